"""Measure how a detector's boxes and counts move under what happens to pictures in the field.

Every change (imaging/corruptions.py) is made to the same pictures, which then go the ordinary way. Refused pictures
count in all figures like others; how many would have got no answer stands beside. Of changes that move places (turned,
cropped, photographed) only that is told, since the true boxes would have to move with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from medloupe.data.contents import read_content
from medloupe.data.records import Dataset, Record
from medloupe.evaluation.box_panel import BoxFinder, BoxPanel, assemble_box_panel
from medloupe.evaluation.box_robustness import BoxAnswers, compare_box_figures, word_box_shifts
from medloupe.evaluation.external_boxes import read_lines
from medloupe.evaluation.stress import StressedPicture, StressResult
from medloupe.imaging import decode
from medloupe.imaging.corruptions import CORRUPTIONS, Corruption, limit_size
from medloupe.metrics.matching import Detections, match_label
from medloupe.model.bundle import Model
from medloupe.utils.batches import map_batches
from medloupe.utils.datauri import jpeg_uri
from medloupe.utils.progress import StageProgress

IMAGES = 100
MOVING = ("turned", "margins cut", "photograph of a screen", "photograph on a light box")
"""Kinds of changes that move what is in a picture."""
_HALF = np.array([0.5])
_STRIP_SIDE = 320  # pixels of the longer side of a picture of the page


def stress_detector(
    model: Model,
    data: Dataset,
    box_labels: Mapping[str, str] | None = None,
    *,
    changes: Sequence[Corruption] = CORRUPTIONS,
    images: int = IMAGES,
    seed: int = 0,
    progress: StageProgress | None = None,
) -> StressResult:
    """Judge a detector on pictures as they were brought and under every change.

    Where it has learned from most of the pictures, these are used and it is said, since levels are flattered then.

    Parameters
    ----------
    model : Model
        A detector.
    data : Dataset
        Of the task detection.
    box_labels : mapping of str to str, optional
        For boxes that are named otherwise, the label of the detector that they are.
    changes : sequence of Corruption
        What is done to the pictures.
    images : int
        About so many are judged, whole groups.
    seed : int
        Of the choice, the changes and the bootstrap.
    progress : callable, optional
        Told the stage, how much of it is done, and of how much.

    Raises
    ------
    DataError
        No box belongs to a label of the detector, or nothing can judge it.
    """
    say = progress or (lambda stage, done, total: None)
    panel = assemble_box_panel(model, data, box_labels or {}, images, seed, say, learned_too=True)
    found, silent, altered = _find_changed(model, panel, changes, seed, say)
    lines, counted = read_lines(model, panel.labels)
    answers = [
        BoxAnswers(
            matches=[match_label(boxes, panel.truths, k, thresholds=_HALF) for k in range(len(panel.labels))],
            lines=np.array([lines[n] for n in panel.labels]),
            counts=np.array([counted[n] for n in panel.labels]),
            silent=silent[:, c],
        )
        for c, boxes in enumerate(found)
    ]
    moved = [c.kind in MOVING for c in changes]
    listed = list(zip(changes, answers[1:], altered.mean(0).tolist(), moved, strict=True))
    unchanged, rows = compare_box_figures(answers[0], listed, panel.groups, seed)
    groups = len(np.unique(panel.groups))
    return StressResult(
        name=model.name,
        version=model.version,
        data=data.name,
        images=len(panel.records),
        groups=groups,
        judged="learned" if panel.learned else "model",
        left_out=panel.left_out,
        positive=None,
        unchanged=unchanged,
        rows=rows,
        basis=_word_basis(panel, data),
        words=word_box_shifts(rows, groups),
        pictures=_render_strip(panel, found, changes, lines, silent, seed),
    )


def _find_changed(
    model: Model, panel: BoxPanel, changes: Sequence[Corruption], seed: int, say: StageProgress
) -> tuple[list[list[Detections]], np.ndarray, np.ndarray]:
    """Find boxes on every picture, unchanged and under every change.

    Returns
    -------
    found : list of list of Detections
        By change, unchanged first; in pixels of the picture as given.
    silent, altered : np.ndarray
        bool (n, 1 + C) and (n, C): whether it would get no answer, and whether the change altered it.
    """
    n = len(panel.records)
    found: list[list[Detections | None]] = [[None] * n for _ in range(1 + len(changes))]
    silent, altered = np.zeros((n, 1 + len(changes)), bool), np.zeros((n, len(changes)), bool)
    finder = BoxFinder(model, panel.labels)

    def look(taken: list[int]) -> int:
        for i in taken:
            for c, (picture, is_new) in enumerate(_change(panel.records[i], changes, seed)):
                if c:
                    altered[i, c - 1] = is_new
                if c and not is_new:
                    found[c][i], silent[i, c] = found[0][i], silent[i, 0]
                    continue
                boxes, silent[i, c] = finder.find(picture)
                scale = panel.sizes[i].max() / max(picture.shape[:2]) if c else 1.0  # some changes make it smaller
                found[c][i] = scale_boxes(boxes, scale)
        return len(taken)

    done = 0
    say("changing pictures", 0, n)
    for count in map_batches(range(n), 1, lambda: look):
        done += count
        say("changing pictures", done, n)
    return [[d for d in row if d is not None] for row in found], silent, altered


def scale_boxes(found: Detections, scale: float) -> Detections:
    """Scale boxes."""
    return found if scale == 1.0 else replace(found, boxes=(found.boxes * scale).astype(np.float32))


def _change(record: Record, changes: Sequence[Corruption], seed: int) -> list[tuple[np.ndarray, bool]]:
    """Change a picture: pixels uint8 (h, w, 3), unchanged first, and whether they differ from the unchanged ones."""
    whole = decode.decode(read_content(record.picture))
    limited = limit_size(whole)
    made = [change(limited, seed) for change in changes]
    return [(whole, False), *((m, not np.array_equal(m, limited)) for m in made)]


def _word_basis(panel: BoxPanel, data: Dataset) -> tuple[str, ...]:
    n, groups = len(panel.records), len(np.unique(panel.groups))
    some = f"{n:,} of the {panel.of:,}" if n < panel.of else f"the {n:,}"
    said = [
        f"Judged on {some} pictures of {data.name} ({groups:,} groups of patients and copies), by the model itself."
    ]
    if panel.learned:
        said.append(
            "It has learned from these pictures: levels are flattered, and falls may look larger than they are."
        )
    else:
        said[0] = said[0].replace(", by the model itself.", ", none of which it was trained on, by the model itself.")
    said.append("Where a change moves what is in the picture, only how many get no answer was measured.")
    said += panel.notes
    if panel.left_out:
        said.append(f"Left out: {', '.join(f'{n:,} {reason}' for reason, n in panel.left_out.items())}.")
    return tuple(said)


def _render_strip(
    panel: BoxPanel,
    found: Sequence[Sequence[Detections]],
    changes: Sequence[Corruption],
    lines: Mapping[str, float],
    silent: np.ndarray,
    seed: int,
) -> tuple[StressedPicture, ...]:
    """Render one picture under every change, with how many boxes are marked: the one with boxes in the middle."""
    counts = [len(t.labels) for t in panel.truths]
    with_any = [i for i, n in enumerate(counts) if n] or [0]
    i = sorted(with_any, key=lambda at: counts[at])[len(with_any) // 2]
    limits = np.array([lines[n] for n in panel.labels])
    made = []
    titles = ["unchanged", *(c.title for c in changes)]
    for c, (title, (picture, _)) in enumerate(zip(titles, _change(panel.records[i], changes, seed), strict=True)):
        boxes = found[c][i]
        marked = boxes.labels[boxes.scores >= limits[boxes.labels]]
        words = ", ".join(f"{int((marked == k).sum())} {name}" for k, name in enumerate(panel.labels))
        if silent[i, c]:
            words = "no answer"
        made.append(StressedPicture(title=title, image=jpeg_uri(_shrink(picture)), words=words))
    return tuple(made)


def _shrink(picture: np.ndarray) -> np.ndarray:
    from PIL import Image

    h, w = picture.shape[:2]
    share = min(1.0, _STRIP_SIDE / max(h, w))
    size = (max(1, round(w * share)), max(1, round(h * share)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
