"""Check that a data set can be learned from, before anything is computed and once its files were read."""

from __future__ import annotations

from medloupe.data.records import Dataset
from medloupe.embed.features import Features
from medloupe.errors import DataError


def check_trainable(data: Dataset) -> None:
    """Check that a data set can be learned from.

    Raises
    ------
    DataError
        Saying what is missing, when there is nothing to tell apart.
    """
    from medloupe.training.audit.findings import require_sound
    from medloupe.training.audit.splits import find_split_labels

    if data.task == "detection":
        check_boxes_given(data)
        return
    counts, one = {name: n for name, n in data.counts().items() if n}, data.things.removesuffix("s")
    if len(data) < 2:
        raise DataError(
            f"{data.root} has {f'only 1 {one}' if len(data) else f'no {data.things}'}.",
            "Bring at least ten a class; thirty give a first impression.",
        )
    if data.task == "multiclass" and len(counts) < 2:
        only = next(iter(counts), None)
        raise DataError(
            f"{data.root} has only one class{f', {only} ({counts[only]:,} {data.things})' if only else ''}; a"
            " classifier needs at least two to tell apart.",
            "Add a folder (or rows) of the other class, for example healthy people.",
        )
    if data.task == "multiclass" and sorted(counts.values())[-2] < 2:
        few = ", ".join(name for name, n in counts.items() if n == 1)
        raise DataError(
            f"{data.root} has only one {one} of {few}; one cannot both teach and judge.",
            "Bring at least ten a class; thirty give a first impression.",
        )
    if data.task == "multilabel" and not counts:
        raise DataError(f"{data.root} has no positive case of any label.", "Check the label column.")
    require_sound(find_split_labels(data))


def check_boxes_given(data: Dataset) -> None:
    """Check that a data set of boxes can be learned from; raise DataError, saying what is missing."""
    with_boxes = sum(bool(r.boxes) for r in data.records)
    if with_boxes < 2:
        raise DataError(
            f"{data.root} has {'only 1 picture' if with_boxes else 'no picture'} with boxes.",
            "Bring at least ten; thirty give a first impression.",
        )


def check_readable(features: Features) -> None:
    """Check the readable part; the error then tells what could not be read."""
    try:
        check_trainable(features.data)
    except DataError as e:
        n, (file, why) = len(features.unreadable), features.unreadable[0]
        raise DataError(
            f"{e.message} That is what is left: {n:,} {'file' if n == 1 else 'files'} could not be read, such as"
            f" {file}: {why}",
            e.hint,
        ) from e
