"""Find what makes a class of a data set worthless as it lies there: blank pictures, files of which none can be read."""

from __future__ import annotations

import re

import numpy as np

from medloupe.data.records import Dataset
from medloupe.embed.features import Features
from medloupe.training.audit.finding import SHOWN, Finding, count_noun, is_or_are, list_files

FLAT = 2  # grey levels that a thumbnail of a blank picture spans at most
MOST = 0.5  # share of a class from which its blank pictures make it worthless

_EMPTY = re.compile(r"\b(background|blank|empty)\b", re.IGNORECASE)  # classes of nothing to see


def find_blank(features: Features) -> np.ndarray:
    """Find the pictures that are of one value all over, bool (N,), by their thumbnails less the padding."""
    thumbs, n = features.facts["thumb"], len(features.data)
    side = thumbs.shape[1] if n else 0
    blank = np.zeros(n, bool)
    for i, (thumb, width, height) in enumerate(
        zip(thumbs, features.facts["width"], features.facts["height"], strict=True)
    ):
        longest = max(int(width), int(height), 1)
        # One pixel less on each side, as the border of picture and padding is a mixture.
        w, h = (max(1, int(side * length / longest) // 2 - 1) for length in (width, height))
        inside = thumb[max(0, side // 2 - h) : side // 2 + h, max(0, side // 2 - w) : side // 2 + w]
        blank[i] = bool((np.ptp(inside.reshape(-1, inside.shape[-1]).astype(int), axis=0) <= FLAT).all())
    return blank


def judge_blank(data: Dataset, blank: np.ndarray) -> list[Finding]:
    """Judge blank pictures: serious where they are most of a class, or of all."""
    rows = np.flatnonzero(blank)
    if not len(rows):
        return []
    worst = [
        (name, int(of.sum()), int((of & blank).sum()))
        for name, y in zip(data.labels, data.targets.T, strict=True)
        if (of := y == 1).any() and (of & blank).sum() >= MOST * of.sum() and not _EMPTY.search(name)
    ]
    meant = [name for name in data.labels if _EMPTY.search(name)]
    serious = bool(worst) or (len(rows) >= MOST * len(data) and not meant)
    where = "; ".join(f"{here:,} of {every:,} of {name}" for name, every, here in worst)
    dicom = data.reader == "dicom" or any(data.records[i].id.lower().endswith((".dcm", ".dicom", ".ima")) for i in rows)
    return [
        Finding(
            kind="blank_class" if serious else "blank",
            level="serious" if serious else "warning",
            title=f"{len(rows):,} of {count_noun(len(data), 'picture')} {is_or_are(len(rows))} blank",
            detail=f"They have one value all over{f' ({where})' if where else ''}, so there is nothing to see in them: "
            + (
                "the first frame of a film is often black, and a window written in the file may lie outside its pixels."
                if dicom
                else "an export that failed, or the first page of a file of several."
            ),
            advice="Export these pictures again and look at one, or delete them."
            + (
                " As they are, no model is trained on them." if serious else " A model learns from them as from others."
            ),
            count=len(rows),
            files=list_files(data, [[int(i)] for i in rows]),
        )
    ]


def find_lost_classes(features: Features) -> list[Finding]:
    """Find labels of which no file could be read, so that a model would not know of them."""
    counts = features.data.counts()
    lost = [name for name in features.data.labels if not counts[name]]
    if not lost or not features.unreadable:
        return []
    of_it = [pair for pair in features.unreadable if any(name in pair[0].split("/") for name in lost)]
    file, why = (of_it or features.unreadable)[0]
    return [
        Finding(
            kind="class_lost",
            level="serious",
            title=f"Nothing of {' and '.join(lost)} can be read",
            detail=f"A model would be made without it. For example {file}: {why}",
            advice="Save these files again in another format, or take them out if you mean to go on without them.",
            count=len(of_it) or len(features.unreadable),
            files=tuple((name,) for name, _ in of_it[:SHOWN]),
        )
    ]
