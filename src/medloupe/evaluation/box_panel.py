"""Choose the pictures that judge a detector on other data, and find boxes on them as it answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medloupe.data.digests import remembers_part
from medloupe.data.records import Dataset, Record
from medloupe.data.scan import scan_dataset
from medloupe.data.split import sample_rows
from medloupe.embed.features import Features, embed
from medloupe.embed.registry import backbone
from medloupe.errors import DataError
from medloupe.evaluation.box_labels import read_box_labels
from medloupe.evaluation.heldout import find_groups, find_learned, select_rows
from medloupe.inference.pictures import Predictor
from medloupe.metrics.matching import Detections, Truths
from medloupe.model.boxes import FoundBox
from medloupe.model.bundle import Model
from medloupe.training.audit.boxes import repair_boxes
from medloupe.training.detect.boxed import collect_boxes
from medloupe.utils.progress import StageProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxPanel:
    """Pictures with true boxes by which a detector is judged.

    Attributes
    ----------
    features : Features
        Of n pictures, as the shared network sees them.
    truths : list of Truths
        Of each, with labels by their place in `labels`.
    labels : tuple of str
        The detector's own that the data have boxes of, in its order.
    sizes : np.ndarray
        int (n, 2): width and height as given.
    groups : np.ndarray
        int (n,), of patients and copies.
    learned : bool
        Whether the detector has learned from these pictures.
    of : int
        How many pictures these were chosen from.
    left_out : mapping of str to int
        Pictures not used, by reason.
    notes : tuple of str
        What was done with boxes, a sentence each.
    """

    features: Features
    truths: list[Truths]
    labels: tuple[str, ...]
    sizes: np.ndarray
    groups: np.ndarray
    learned: bool
    of: int
    left_out: Mapping[str, int]
    notes: tuple[str, ...]

    @property
    def records(self) -> tuple[Record, ...]:
        """Of the pictures."""
        return self.features.data.records


class BoxFinder:
    """Finds boxes as a detector answers, also on pictures that it refuses; says which these are.

    Parameters
    ----------
    model : Model
        The detector.
    labels : sequence of str
        Those whose boxes are wanted.
    """

    def __init__(self, model: Model, labels: Sequence[str]):
        self._place = {name: k for k, name in enumerate(labels)}
        self._answering = Predictor(model)
        self._always = Predictor(replace(model, novelty=None, card={**model.card, "quality": None}))

    def find(self, source: Path | bytes | np.ndarray) -> tuple[Detections, bool]:
        """Find boxes on a picture, in its pixels; and tell whether it would get no answer. Raises ImageError."""
        said = self._answering.predict(source)
        silent = said.refused is not None or said.state == "unusable"
        found = (self._always.predict(source) if silent else said).boxes or ()
        return self._as_detections([box for box in found if box.label in self._place]), silent

    def _as_detections(self, found: Sequence[FoundBox]) -> Detections:
        corners = np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b in found], np.float32).reshape(-1, 4)
        return Detections(
            boxes=corners,
            scores=np.array([b.score for b in found], np.float64),
            labels=np.array([self._place[b.label] for b in found], np.int64),
        )


def assemble_box_panel(
    model: Model,
    data: Dataset,
    box_labels: Mapping[str, str],
    most: int | None,
    seed: int,
    say: StageProgress,
    *,
    learned_too: bool = False,
) -> BoxPanel:
    """Choose the pictures of a data set that judge a detector: those whose boxes are known and that it has not seen.

    Parameters
    ----------
    model : Model
        The detector.
    data : Dataset
        Of the task detection.
    box_labels : mapping of str to str
        For boxes that are named otherwise, the label of the detector that they are.
    most : int or None
        About so many are chosen, whole groups; None for all.
    seed : int
        Of the choice.
    say : callable
        Told the stage, how much of it is done, and of how much.
    learned_too : bool
        Whether pictures that it has learned from will do where there are more of these than of others.

    Raises
    ------
    DataError
        No box belongs to a label of the detector, or no picture remains.
    """
    named, labels, notes = rename_boxes(model, data, box_labels)
    found = scan_dataset(named)
    digests = [found.digest[r.id] for r in named.records]
    readable = np.array([bool(d) for d in digests], bool)
    stated = np.array([bool(r.boxes) or bool(r.labels) for r in named.records], bool)
    usable = readable & stated
    learned = usable & find_learned(model, digests)
    patients = {r.patient for r, seen in zip(named.records, learned, strict=True) if seen and r.patient}
    if remembers_part(model.card) or patients:  # then a patient some of whose pictures it learned from is known
        learned |= usable & np.array([r.patient in patients for r in named.records], bool)
    new = usable & ~learned
    judged_by_learned = learned_too and learned.sum() > new.sum()
    rows = np.flatnonzero(learned if judged_by_learned else new)
    if not len(rows):
        raise DataError(
            f"Nothing in {data.root} can judge {model.name}: {int(learned.sum()):,} of its pictures were in the"
            f" training data, and of {int((~stated).sum()):,} it is not known what is on them.",
            "Bring pictures with boxes that the model has not seen.",
        )
    of = len(rows)
    if most is not None and of > most:
        has = np.array([[any(b.label == n for b in named.records[i].boxes) for n in labels] for i in rows], np.float32)
        alike = _number_patients([named.records[i] for i in rows])
        rows = np.sort(rows[sample_rows(np.arange(of), has, alike, most, seed)])
    features = embed(select_rows(found, rows), backbone(), lambda d, t: say("embedding", d, t))
    sizes = np.column_stack([features.facts["width"], features.facts["height"]]).astype(np.int64)
    boxed = collect_boxes(repair_boxes(replace(features.data, labels=labels), sizes)[0], sizes)
    left_out = {
        "without known boxes": int((readable & ~stated).sum()),
        "unreadable": int((~readable).sum()),
        **({"not trained on": int(new.sum())} if judged_by_learned else {"trained on": int(learned.sum())}),
    }
    return BoxPanel(
        features=features,
        truths=[Truths(boxes=p.boxes, labels=p.labels) for p in boxed.pictures],
        labels=labels,
        sizes=sizes,
        groups=find_groups(features),
        learned=judged_by_learned,
        of=of,
        left_out={reason: n for reason, n in left_out.items() if n},
        notes=(*notes, *boxed.notes),
    )


def _number_patients(records: Sequence[Record]) -> np.ndarray:
    """Give each patient a number, int (n,); a picture without one is by itself."""
    names = [r.patient or f"\0{i}" for i, r in enumerate(records)]
    return np.unique(names, return_inverse=True)[1]


def rename_boxes(
    model: Model, data: Dataset, box_labels: Mapping[str, str]
) -> tuple[Dataset, tuple[str, ...], tuple[str, ...]]:
    """Give boxes the names that the detector has for them, and leave the others out.

    Returns
    -------
    tuple of Dataset, tuple and tuple
        The data, the labels of the detector that it has boxes of, and what was done in words.

    Raises
    ------
    DataError
        No box has the name of a label, or what was told names none.
    """
    names = Counter(box.label for record in data.records for box in record.boxes)
    if data.task != "detection" or not names:
        raise DataError(f"{data.root} has no boxes to judge {model.name} by.", "See docs/boxes.md for their forms.")
    own = {name.casefold(): name for name in model.labels}
    to = {name: own[name.casefold()] for name in data.labels if name.casefold() in own}
    to |= read_box_labels(model, data, names, box_labels)
    if not set(to) & set(names):
        raise DataError(
            f"No box of {data.root} ({', '.join(sorted(names))}) has the name of a label of {model.name}"
            f" ({', '.join(model.labels)}).",
            f'Say which label they are: --box-label "{sorted(names)[0]}={model.labels[0]}".',
        )
    labels = tuple(name for name in model.labels if name in to.values())
    records = tuple(
        replace(
            r,
            boxes=tuple(replace(b, label=to[b.label]) for b in r.boxes if b.label in to),
            labels=_known_labels(r, to),
        )
        for r in data.records
    )
    notes = [f"Boxes of {box!r} count as {label!r}." for box, label in box_labels.items()]
    if other := [f"{n:,} of {name}" for name, n in sorted(names.items()) if name not in to]:
        notes.append(f"Boxes that are no label of the model were left out: {', '.join(other)}.")
    if lacking := [name for name in model.labels if name not in labels]:
        notes.append(f"The data has no boxes of {', '.join(lacking)}, which was not judged.")
    return replace(data, records=records, labels=labels), labels, tuple(notes)


def _known_labels(record: Record, to: Mapping[str, str]) -> dict[str, int]:
    """Say what is stated of a picture, by the detector's labels: of one that shows other things alone, none of them."""
    stated = {to[n]: v for n, v in record.labels.items() if n in to}
    if not stated and (record.boxes or record.labels):
        return dict.fromkeys(to.values(), 0)
    return stated
