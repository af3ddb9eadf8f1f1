"""Select from a folder of unlabelled examples those whose labels would teach a model most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.data.modalities import MODALITIES
from medloupe.data.readers.base import compile_patient_pattern, match_patients
from medloupe.data.records import Dataset, Record
from medloupe.data.scan import scan_dataset
from medloupe.data.split import join_groups, rows_with_same_value
from medloupe.embed.features import Features, embed
from medloupe.errors import DataError
from medloupe.evaluation.heldout import find_groups, find_learned
from medloupe.model.active_learning import measure_uncertainty, select_batch
from medloupe.model.bundle import Model
from medloupe.utils.progress import StageProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedExample:
    """An example to label next.

    Attributes
    ----------
    rank : int
        From 1, of which the model is least sure.
    file : str
        Relative to the folder.
    uncertainty : float
        0 to 1.
    prediction : str
        What the model says now, the most probable label.
    probability : float
        Of the prediction.
    """

    rank: int
    file: str
    uncertainty: float
    prediction: str
    probability: float

    def as_json(self) -> dict[str, Any]:
        """Give all fields, rounded."""
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What was selected.

    Attributes
    ----------
    chosen : tuple of SelectedExample
        In the order in which to label them.
    of : int
        Among how many.
    left_out : mapping of str to int
        How many files took no part, by reason.
    """

    chosen: tuple[SelectedExample, ...]
    of: int
    left_out: Mapping[str, int]


def select_examples(
    model: Model,
    folder: Path,
    files: Sequence[Path],
    count: int,
    *,
    patient: str | None = None,
    seed: int = 0,
    progress: StageProgress | None = None,
) -> Selection:
    """Select examples to label next: where the model is unsure, spread over what there is, one of each patient.

    Those that the model was trained on are left out, as its card remembers them, and those that it would refuse.

    Parameters
    ----------
    model : Model
        A classifier.
    folder : Path
        To which names are relative.
    files : sequence of Path
        The examples.
    count : int
        How many to select.
    patient : str, optional
        Regular expression that finds the patient in a file's name.
    seed : int
        Of the choice.
    progress : callable, optional
        Told the stage, how much of it is done, and of how much.

    Raises
    ------
    DataError
        For a detector, or where no file is left.
    """
    if model.detector is not None:
        raise DataError(f"{model.name} finds boxes; only pictures for classifiers are selected.", "Name a classifier.")
    say = progress or (lambda stage, done, total: None)
    found = scan_dataset(_unlabelled(model, folder, files, patient))
    shared = embed(found, model.backbone, lambda done, total: say("embedding", done, total))
    digests = [found.digest[record.id] for record in shared.data.records]
    learned = find_learned(model, digests)
    refused = np.zeros(len(digests), bool)
    if model.novelty is not None:
        refused = model.novelty.score(shared.embeddings) > 1
    rows = np.flatnonzero(~learned & ~refused)
    left_out = {
        "trained on": int(learned.sum()),
        "of another kind": int((refused & ~learned).sum()),
        "unreadable": len(shared.unreadable),
    }
    if not len(rows):
        raise DataError(
            f"Nothing in {folder} is left to label for {model.name}: "
            + ", ".join(f"{n:,} {why}" for why, n in left_out.items())
            + ".",
            "Give a folder of pictures that the model has not learned from.",
        )
    embeddings = shared.embeddings
    if model.tail is not None:
        embeddings = embed(found, model.backbone, tail=model.tail).embeddings
    p = model.head.probabilities(embeddings[rows])
    uncertainty = measure_uncertainty(p, str(model.card["task"]))
    chosen = select_batch(embeddings[rows], uncertainty, _group(shared)[rows], count, seed)
    return Selection(
        chosen=tuple(
            SelectedExample(
                rank=rank,
                file=shared.data.records[rows[i]].id,
                uncertainty=float(uncertainty[i]),
                prediction=model.labels[int(p[i].argmax())],
                probability=float(p[i].max()),
            )
            for rank, i in enumerate(chosen.tolist(), start=1)
        ),
        of=len(rows),
        left_out={why: n for why, n in left_out.items() if n},
    )


def _unlabelled(model: Model, folder: Path, files: Sequence[Path], patient: str | None) -> Dataset:
    """Make a data set of files without labels."""
    kind = MODALITIES[model.backbone.card.modality]
    ids = [path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path) for path in files]
    patients: Mapping[str, str] = {}
    if patient is not None:
        pattern = compile_patient_pattern(patient)
        if pattern is None:
            raise DataError(f"--patient {patient!r} finds no patient in file names.", r"For example: 'P\d+'.")
        patients, _ = match_patients(pattern, ids)

    def make_record(id: str, path: Path) -> Record:
        held: dict[str, Any] = {kind.field: path}
        return Record(id=id, patient=patients.get(id), **held)

    return Dataset(
        name=folder.name,
        root=folder,
        records=tuple(map(make_record, ids, files)),
        labels=model.labels,
        task="multilabel" if str(model.card["task"]) == "multilabel" else "multiclass",
        reader="files",
        modality=kind.name,
        things=kind.many,
    )


def _group(features: Features) -> np.ndarray:
    """Find groups of patients and copies; of pictures near copies, too."""
    if MODALITIES[features.data.modality].near_copies:
        return find_groups(features)
    return join_groups(
        len(features.data),
        rows_with_same_value(record.patient for record in features.data.records),
        rows_with_same_value(features.digests),
    )
