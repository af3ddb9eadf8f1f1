"""Judge where a classifier's heat maps point, by boxes that people have drawn.

A heat map was never taught a place. Whether its strongest place means anything is measured on pictures with boxes,
none of which the model has learned from, and held against what is right without looking (metrics/pointing.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medloupe.data.contents import read_content
from medloupe.data.modalities import PICTURES
from medloupe.data.records import Box, Dataset, Record
from medloupe.data.scan import Scan, scan_dataset
from medloupe.data.split import join_groups, list_related_rows, rows_with_same_value, sample_rows
from medloupe.embed.features import embed
from medloupe.errors import DataError
from medloupe.evaluation.basis import word_basis
from medloupe.evaluation.box_labels import Marked, match_boxes_to_labels
from medloupe.evaluation.heldout import HeldOutPanel, assemble_panel, find_groups, find_learned, select_rows
from medloupe.evaluation.judges import HeldOutJudge, make_own_judge
from medloupe.imaging.decode import load_measured
from medloupe.metrics.lines import reached
from medloupe.metrics.pointing import GRID, LabelHeatMaps, judge_places, word_places
from medloupe.model import heatmaps
from medloupe.model.bundle import Model
from medloupe.model.head import Head, probabilities
from medloupe.training.pipeline.examples import find_content_box, make_evidence_reader
from medloupe.utils.progress import StageProgress

IMAGES = 1000
Look = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalisationResult:
    """How well a model's heat maps point.

    Attributes
    ----------
    name, version
        Of the model; the version is None of a file's and of a shipped one's.
    data : str
        Name of the data set.
    judged : str
        By whom, as in `HeldOutPanel`.
    images, groups : int
        How many were judged.
    labels : tuple of dict
        The figures of each label that has boxes, as `judge_places` gives them, with "label" and "words".
    box_labels : mapping of str to str
        Which boxes were taken for a label of another name.
    left_out : mapping of str to mapping
        "boxes" and "pictures" not used: how many, by reason.
    basis : tuple of str
        How it was judged, in sentences.
    records : tuple of Record
        The pictures judged.
    """

    name: str
    version: int | None
    data: str
    judged: str
    images: int
    groups: int
    labels: tuple[dict[str, Any], ...]
    box_labels: Mapping[str, str]
    left_out: Mapping[str, Mapping[str, int]]
    basis: tuple[str, ...]
    records: tuple[Record, ...]

    @property
    def entry(self) -> dict[str, Any]:
        """The card's entry `localisation` (docs/card.md)."""
        return {
            "data": self.data,
            "n": self.images,
            "groups": self.groups,
            "judged": self.judged,
            "labels": [_round_floats(row) for row in self.labels],
            "box_labels": dict(self.box_labels),
            "basis": list(self.basis),
            "words": [row["words"] for row in self.labels],
        }

    def as_json(self) -> dict[str, Any]:
        """Give the line that `evaluate --boxes --json` prints."""
        return {
            "name": self.name,
            "version": self.version,
            **self.entry,
            "left_out": {what: dict(n) for what, n in self.left_out.items()},
        }


def judge_localisation(
    model: Model,
    data: Dataset,
    box_labels: Mapping[str, str] | None = None,
    *,
    images: int = IMAGES,
    seed: int = 0,
    progress: StageProgress | None = None,
) -> LocalisationResult:
    """Judge the heat maps of a classifier by the boxes of a data set.

    Pictures of patients that the model has learned from are left out. Where none remain, heads made like its own judge
    the pictures that they have not seen.

    Parameters
    ----------
    model : Model
        Of pictures.
    data : Dataset
        With boxes.
    box_labels : mapping of str to str, optional
        For boxes that are named otherwise, the label whose places they are: only in pictures that carry it.
    images : int
        At most so many are judged.
    seed : int
        Of the choice, the folds and the bootstrap.
    progress : callable, optional
        Told the stage, how much of it is done, and of how much.

    Raises
    ------
    DataError
        No box belongs to a label of the model, or nobody can judge.
    """
    say = progress or (lambda stage, done, total: None)
    if model.backbone.card.modality != PICTURES.name:
        raise DataError(f"{model.name} looks at no pictures, so boxes cannot judge it.", "Leave out --boxes.")
    marked, left_out = match_boxes_to_labels(model, data, box_labels or {})
    panel = _choose_panel(model, data, marked, images, seed, say)
    by_id = {record.id: m for record, m in zip(data.records, marked, strict=True)}
    kept = [(i, by_id[r.id]) for i, r in enumerate(panel.records) if by_id[r.id]]
    if not kept:
        raise DataError(
            f"Nothing in {data.root} can judge where {model.name} points: heads that have not seen the pictures can be"
            " made for none that has a box.",
            "Bring pictures with boxes that the model has not seen.",
        )
    rows = [i for i, _ in kept]
    panel = replace(panel, records=tuple(panel.records[i] for i in rows), groups=panel.groups[rows])
    judges = _judge_of(panel.judges, rows)
    found = _look_at_all(model, panel.records, judges, [m for _, m in kept], say)
    labels = []
    for k in sorted({k for _, m in kept for k in m}):
        own = np.flatnonzero([k in m for _, m in kept])
        places = _gather(found, own, k, [kept[i][1][k] for i in own], panel.groups[own])
        figures = judge_places(places, seed)
        labels.append({"label": model.labels[k], **figures, "words": word_places(model.labels[k], figures)})
    return LocalisationResult(
        name=model.name,
        version=model.version,
        data=data.name,
        judged=panel.judged,
        images=len(panel.records),
        groups=len(np.unique(panel.groups)),
        labels=tuple(labels),
        box_labels=dict(box_labels or {}),
        left_out={"boxes": left_out, "pictures": {reason: n for reason, n in panel.left_out.items() if n}},
        basis=(*word_basis(model, data, panel), *_word_boxes(box_labels or {}, left_out, labels)),
        records=panel.records,
    )


def _choose_panel(
    model: Model, data: Dataset, marked: Sequence[Marked], images: int, seed: int, say: StageProgress
) -> HeldOutPanel:
    """Choose the pictures with boxes that are judged, and by whom."""
    found = scan_dataset(data)
    digests = [found.digest[r.id] for r in data.records]
    readable, boxed = np.array([bool(d) for d in digests], bool), np.array([bool(m) for m in marked], bool)
    learned = readable & find_learned(model, digests)
    together = join_groups(len(data), list_related_rows(data.records), rows_with_same_value(digests))
    known = np.isin(together, together[learned])  # of a patient, some of whose pictures it has learned from
    usable = boxed & readable
    if not usable.any():
        raise DataError(f"None of the pictures of {data.root} with a box can be read, or says what it shows.", "")
    new = usable & ~known
    if not new.any():
        if model.onnx is not None and model.backbone.path == model.onnx:
            raise DataError(
                f"{model.name} has learned from all pictures of {data.root} that have boxes.",
                "Bring pictures with boxes that it has not seen, or name the model in the store.",
            )
        return assemble_panel(model, _keep_known_labels(model, data), len(data), seed, say)
    return _own_panel(model, found, np.flatnonzero(new), together, int((usable & known).sum()), images, seed, say)


def _keep_known_labels(model: Model, data: Dataset) -> Dataset:
    """Leave out pictures of classes that the model does not know: it was not trained on them."""
    known = {name.casefold() for name in model.labels}
    foreign = {name for name in data.labels if name.casefold() not in known}
    if not foreign or data.task != "multiclass":
        return data
    return replace(
        data,
        records=tuple(r for r in data.records if not foreign & {n for n, v in r.labels.items() if v == 1}),
        labels=tuple(name for name in data.labels if name not in foreign),
    )


def _own_panel(
    model: Model,
    found: Scan,
    rows: np.ndarray,
    together: np.ndarray,
    learned: int,
    images: int,
    seed: int,
    say: StageProgress,
) -> HeldOutPanel:
    """Let the model itself judge pictures that it has not learned from."""
    of = len(rows)
    if of > images:
        rows = rows[sample_rows(np.arange(of), np.ones((of, 1), np.float32), together[rows], images, seed)]
    features = embed(select_rows(found, np.sort(rows)), model.backbone, lambda d, t: say("embedding", d, t))
    n = len(features.data.records)
    return HeldOutPanel(
        records=features.data.records,
        targets=np.full((n, len(model.labels)), np.nan, np.float32),
        groups=find_groups(features),
        judges=[make_own_judge(model, np.arange(n))],
        judged="model",
        of=of,
        fitted=0,
        left_out={"pictures of patients it was trained on": learned},
    )


def _judge_of(judges: Sequence[HeldOutJudge], rows: Sequence[int]) -> list[HeldOutJudge]:
    """Find the judge of each row."""
    by_row = {int(i): judge for judge in judges for i in judge.rows}
    return [by_row[i] for i in rows]


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What was found in one picture: by label the heat map, the share in the picture, and whether it was called."""

    size: tuple[int, int]
    maps: dict[int, np.ndarray]
    seen: dict[int, float]
    called: np.ndarray


def _look_at_all(
    model: Model,
    records: Sequence[Record],
    judges: Sequence[HeldOutJudge],
    marked: Sequence[Marked],
    say: StageProgress,
) -> list[_Seen]:
    size, task = model.backbone.card.input_size, str(model.card["task"])
    readers: dict[int, Look] = {}
    made = []
    for done, (record, judge, own) in enumerate(zip(records, judges, marked, strict=True)):
        say("looking", done, len(records))
        if id(judge.head) not in readers:
            readers[id(judge.head)] = make_evidence_reader(judge.head, model.backbone, model.tail)
        source = record.picture
        pixels, (width, height) = load_measured(
            source if isinstance(source, np.ndarray) else read_content(source), size
        )
        parts = readers[id(judge.head)](pixels[None])
        box = find_content_box(width, height, size)
        spread = {
            k: heatmaps.spread_over_picture(heatmaps.label_evidence(parts, k, task), size, box, GRID) for k in own
        }
        made.append(
            _Seen(
                size=(width, height),
                maps={k: heat for k, (heat, _) in spread.items()},
                seen={k: share for k, (_, share) in spread.items()},
                called=_called(judge, judge.head, parts, task),
            )
        )
    say("looking", len(records), len(records))
    return made


def _called(judge: HeldOutJudge, head: Head, parts: np.ndarray, task: str) -> np.ndarray:
    """Tell which labels are the answer, or flagged: bool (K,). The logits are the means of the maps, and the bias."""
    p = probabilities((parts.mean((1, 2)) + head.bias)[None].astype(np.float64), task)
    return reached(judge.rule, p)[0] if task == "multilabel" else p[0] == p[0].max()


def _gather(
    found: Sequence[_Seen], rows: np.ndarray, k: int, boxes: Sequence[Sequence[Box]], groups: np.ndarray
) -> LabelHeatMaps:
    """Put together what is known of one label."""
    relative = [
        np.array([(b.x / w, b.y / h, (b.x + b.width) / w, (b.y + b.height) / h) for b in own])
        for (w, h), own in zip((found[i].size for i in rows), boxes, strict=True)
    ]
    return LabelHeatMaps(
        maps=np.stack([found[i].maps[k] for i in rows]),
        seen=np.array([found[i].seen[k] for i in rows], np.float32),
        boxes=relative,
        groups=groups,
        called=np.array([found[i].called[k] for i in rows], bool),
    )


def _word_boxes(
    box_labels: Mapping[str, str], left_out: Mapping[str, int], labels: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Say what was taken for what, what was not used, and how the threshold was chosen."""
    said = [
        f"Boxes of {box!r} count as places of {label!r}, in pictures that carry it."
        for box, label in box_labels.items()
    ]
    if left_out:
        said.append(f"Boxes left out: {'; '.join(f'{n:,} of {reason}' for reason, n in left_out.items())}.")
    if any(row["held_out"] for row in labels):
        said.append("The threshold of the overlap was chosen on other patients than it is judged on.")
    return said


def _round_floats(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {k: _round_floats(v) for k, v in value.items()}
    return [_round_floats(v) for v in value] if isinstance(value, list) else value
