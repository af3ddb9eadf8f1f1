"""Audit a data set: find what is wrong with it before any training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from medloupe.data.modalities import MODALITIES
from medloupe.data.records import Dataset
from medloupe.data.split import join_groups, list_related_rows
from medloupe.embed.features import Features
from medloupe.errors import DataError
from medloupe.training.audit import duplicates, shortcut
from medloupe.training.audit.boxes import find_box_faults
from medloupe.training.audit.copies import judge_copies, judge_near_copies, tell_search
from medloupe.training.audit.finding import ORDER, SHOWN, Audit, Finding, count_noun, is_or_are
from medloupe.training.audit.label_errors import describe_label_errors, find_label_errors
from medloupe.training.audit.losses import MOST as BLANK_MOST
from medloupe.training.audit.losses import find_blank, find_lost_classes, judge_blank
from medloupe.training.audit.splits import find_split_labels

FEW = 10  # groups of a label below which its figures say little
TOO_FEW = 2  # below which it cannot be judged at all
STOPPING = frozenset({"labels_by_split", "class_lost", "blank_class", "one_class"})
"""Kinds of findings with which nothing is trained."""
SKEWED = 0.9  # share of the commonest class from which accuracy misleads


def audit(features: Features, seed: int = 0) -> Audit:
    """Look for what is unreadable, blank, copied, across splits, rare, told by a shortcut or labelled wrongly.

    Parameters
    ----------
    features : Features
        Of all readable records; copies of pictures are found by embedding and thumbnail, of signals by content.
    seed : int
        Of the shortcut probe.
    """
    data = features.data
    n = len(data)
    kind = MODALITIES[data.modality]
    found = duplicates.find(features) if kind.near_copies else duplicates.find_exact(features)
    blank = find_blank(features) if kind.near_copies else np.zeros(n, bool)
    groups = join_groups(
        n,
        list_related_rows(data.records),
        found.together,
        [np.flatnonzero(blank).tolist()] if 0 < blank.sum() < BLANK_MOST * n else [],
    )
    lost = find_lost_classes(features)
    findings = [
        *find_split_labels(data),
        *_one_class(data),
        *lost,
        *judge_blank(data, blank),
        *_unreadable(features),
        *judge_copies(data, _without(found.exact, blank)),
        *judge_near_copies(data, _without(found.near, blank)),
        *tell_search(data, found.by_index),
        *_patients_across(data),
        *(f for f in _small_classes(data, groups) if f.count or not lost),
        *_unlabelled(data),
        *(find_box_faults(data, _sizes(features)) if data.task == "detection" else ()),
    ]
    probed = _probe_shortcut(features, groups, seed) if kind.shortcuts else None
    if probed and (probed["auc"]["value"] or 0) >= shortcut.SERIOUS:
        findings.append(_shortcut_finding(probed, len(_labelled(data))))
    suspects = find_label_errors(features, groups, seed)
    findings += describe_label_errors(data, suspects)
    findings.sort(key=lambda f: ORDER.index(f.level))
    return Audit(
        checked=n + len(features.unreadable),
        findings=tuple(findings),
        groups=groups,
        shortcut=probed,
        suspects=suspects,
    )


def require_sound(findings: Iterable[Finding]) -> None:
    """Raise DataError where a finding makes training pointless: a class lost, blank, or under two names."""
    for finding in findings:
        if finding.kind in STOPPING:
            raise DataError(f"{finding.title}. {finding.detail}", finding.advice)


def _sizes(features: Features) -> np.ndarray:
    """Return width and height of each picture, float (N, 2)."""
    return np.stack([features.facts["width"], features.facts["height"]], 1).astype(float)


def _without(pairs: np.ndarray, blank: np.ndarray) -> np.ndarray:
    """Leave out pairs of blank pictures, which are alike since there is nothing in them."""
    return pairs[~blank[pairs].all(1)] if len(pairs) else pairs


def _one_class(data: Dataset) -> list[Finding]:
    """Say that there is nothing to tell apart, where all that is labelled is of one class."""
    counts = {name: n for name, n in data.counts().items() if n}
    if data.task != "multiclass" or len(counts) != 1:
        return []
    (name, count), *_ = counts.items()
    return [
        Finding(
            kind="one_class",
            level="serious",
            title=f"There is only one class, {name}",
            detail=f"All {count:,} {data.things} that have a label are {name}, so there is nothing to tell apart.",
            advice="Bring the other class. If it is here, but stands in the names of the files or in a table of another"
            " kind, write a table with a column of files and one of labels.",
            count=count,
        )
    ]


def _labelled(data: Dataset) -> np.ndarray:
    return np.flatnonzero(~np.isnan(data.targets).all(1)) if data.labels else np.empty(0, np.int64)


def _probe_shortcut(features: Features, groups: np.ndarray, seed: int) -> dict[str, Any] | None:
    """Ask the shortcut probe where there are at least two labels to tell apart."""
    data, labelled = features.data, _labelled(features.data)
    if not len(labelled) or len(data.labels) < 2 or data.task == "detection":
        return None
    if data.cropped is not None and data.cropped.each:
        return None  # they lie in the same pictures: size and colour are their own, not how they were taken
    return shortcut.probe_shortcut(features, labelled, groups, seed)


def _shortcut_finding(probed: dict[str, Any], count: int) -> Finding:
    return Finding(
        kind="shortcut",
        level="serious",
        title="The label can be guessed without looking into the pictures",
        detail=probed["sentence"],
        advice="Collect all classes with the same devices and settings, or judge the model on another site's"
        " data with `medloupe evaluate` before believing its figures.",
        count=count,
    )


def _unreadable(features: Features) -> list[Finding]:
    if not features.unreadable:
        return []
    n = len(features.unreadable)
    return [
        Finding(
            kind="unreadable",
            level="warning",
            title=f"{count_noun(n, 'file')} cannot be read",
            detail=f"For example {features.unreadable[0][0]}: {features.unreadable[0][1]}",
            advice="They are left out, and counted in the model's card. Replace or delete them.",
            count=n,
            files=tuple((name,) for name, _ in features.unreadable[:SHOWN]),
        )
    ]


def _patients_across(data: Dataset) -> list[Finding]:
    splits: dict[str, set[str]] = {}
    files: dict[str, list[int]] = {}
    for i, r in enumerate(data.records):
        if r.patient is not None and r.split:
            splits.setdefault(r.patient, set()).add(r.split)
            files.setdefault(r.patient, []).append(i)
    across = [p for p, s in splits.items() if len(s) > 1]
    if not across:
        return []
    return [
        Finding(
            kind="patients_across_splits",
            level="serious",
            title=f"{count_noun(len(across), 'patient')} of {len(splits):,} {is_or_are(len(across))} on both sides of a"
            " split",
            detail=f"For example {across[0]}. A model recognises the patient, the slide or the session, and figures"
            " from such a split are too good.",
            advice="medloupe judges by patient instead; figures published on this split should not be compared.",
            count=len(across),
            files=tuple(tuple(data.records[i].id for i in files[p][:4]) for p in across[:SHOWN]),
        )
    ]


def _small_classes(data: Dataset, groups: np.ndarray) -> list[Finding]:
    findings = []
    y = data.targets
    sizes = {name: len(np.unique(groups[y[:, k] == 1])) for k, name in enumerate(data.labels)}
    for name, n in sizes.items():
        if n < FEW:
            findings.append(
                Finding(
                    kind="small_class",
                    level="serious" if n < TOO_FEW else "warning",
                    title=f"{name} has only {count_noun(n, 'independent case')}",
                    detail="Patients and copies are counted once. Intervals for this label will be very wide"
                    + ("; it cannot be judged at all." if n < TOO_FEW else "."),
                    advice="Bring more cases of it, or leave the label out or join it with a related one.",
                    count=n,
                )
            )
    counts = data.counts()
    if data.task == "multiclass" and len(counts) > 1:
        name, most = max(counts.items(), key=lambda item: item[1])
        total = sum(counts.values())
        if total and most / total >= SKEWED:
            findings.append(
                Finding(
                    kind="skewed",
                    level="warning",
                    title=f"{most / total:.0%} of the images are {name}",
                    detail=f"Always answering {name} would be right that often; accuracy says little here.",
                    advice="Read the balanced accuracy and the AUC instead.",
                    count=most,
                )
            )
    return findings


def _unlabelled(data: Dataset) -> list[Finding]:
    n = int(np.isnan(data.targets).all(1).sum()) if data.labels else 0
    if not n:
        return []
    if data.task == "detection":
        return [
            Finding(
                kind="unlabelled",
                level="notice",
                title=f"{count_noun(n, 'image')} {is_or_are(n)} not annotated",
                detail="They have no box, and nothing says that there is nothing on them.",
                advice="They take no part in training or judging. Where nothing is there, say so: docs/boxes.md.",
                count=n,
            )
        ]
    return [
        Finding(
            kind="unlabelled",
            level="notice",
            title=f"{count_noun(n, 'image')} {'has' if n == 1 else 'have'} no label",
            detail="Blank cells, or words such as 'unknown'.",
            advice="They take no part in training or judging. Label them, or leave them.",
            count=n,
        )
    ]
