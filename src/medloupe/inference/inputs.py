"""Match what people give beside a picture, on a command line, in a table or in a form, to what the model reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

import numpy as np

from medloupe.data.modalities import MODALITIES
from medloupe.data.records import Record
from medloupe.errors import DataError, MedloupeError, did_you_mean
from medloupe.model.prediction import Influence

if TYPE_CHECKING:
    from medloupe.inputs.extras import Extras
    from medloupe.model.bundle import Model

NOTES = "notes"
"""By which notes can be given whatever their column was called."""


@dataclass(frozen=True, slots=True)
class WeighedInputs:
    """What is given beside one picture.

    Attributes
    ----------
    logits : np.ndarray
        float32 (K,), what it adds.
    influences : tuple of Influence
        The same, input by input.
    """

    logits: np.ndarray
    influences: tuple[Influence, ...]


def weigh_inputs(extras: Extras, labels: Sequence[str], given: Mapping[str, str]) -> WeighedInputs:
    """Compute what given inputs, by their names, add to the labels' logits.

    Raises
    ------
    ClinicalError
        For an unreadable value.
    """
    effects = extras.effects(given) if given else ()
    total = np.zeros(len(labels), np.float32)
    for effect in effects:
        total += effect.logits
    influences = tuple(
        Influence(name=e.input, value=e.value, effect=dict(zip(labels, map(float, e.logits), strict=True)))
        for e in effects
    )
    return WeighedInputs(total, influences)


def match_inputs(extras: Extras | None, fields: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Match named values to a model's inputs.

    Case and blanks do not count, and `notes` means the notes. Empty values are left out.

    Parameters
    ----------
    extras : Extras or None
        What the model reads beside the picture.
    fields : mapping
        Values by the names that people gave them.

    Returns
    -------
    given : dict
        The inputs among them, by the model's names for them.
    others : list of str
        The names that are none of its inputs.
    """
    known = {} if extras is None else {_plain(name): name for name in reversed(extras.names)}
    if extras is not None and extras.notes is not None:
        known.setdefault(NOTES, extras.notes.column)
    given: dict[str, str] = {}
    others: list[str] = []
    for name, value in fields.items():
        exact = extras is not None and name in extras.names
        ours = name if exact else known.get(_plain(name))
        if ours is None:
            others.append(name)
        elif value.strip():
            given[ours] = value
    return given, others


def list_askable_inputs(model: Model) -> tuple[str, ...]:
    """List the inputs that people are asked for: all but those that are measured, as the rhythm of an ECG is."""
    names = model.extras.names if model.extras is not None else ()
    measured = MODALITIES[model.backbone.card.modality].measured
    return tuple(n for n in names if n not in measured)


def require_inputs(model: Model, fields: Mapping[str, str]) -> dict[str, str]:
    """Match named values to a model's inputs where all must be inputs of it.

    Raises
    ------
    MedloupeError
        For a name that is no input, or an input that is measured.
    """
    given, others = match_inputs(model.extras, fields)
    names = list_askable_inputs(model)
    if measured := [name for name in given if name not in names]:
        raise MedloupeError(
            f"{measured[0]} is measured from the {MODALITIES[model.backbone.card.modality].one} itself.",
            "Leave it out.",
        )
    if not others:
        return given
    if model.extras is None:
        raise MedloupeError(f"{model.name} reads the picture alone; it has no input {others[0]!r}.", "Leave it out.")
    raise MedloupeError(
        f"{model.name} has no input {others[0]!r}; beside the picture it takes: {', '.join(names)}.",
        did_you_mean(others[0], names),
    )


def read_inputs_table(model: Model, table: Path, files: Iterable[Path]) -> dict[Path, dict[str, str]]:
    """Read what the rows of a table say of the files they name.

    A row names a file by its name, with or without folders and suffix.

    Returns
    -------
    dict
        Inputs by the model's names, by file; files without a row are left out.

    Raises
    ------
    DataError
        When the table cannot be read, names none of the files or says different things of one.
    MedloupeError
        When it has none of the model's inputs.
    """
    from medloupe.data.readers.sheet import load_sheet

    sheet = load_sheet(table)
    names = list_askable_inputs(model)
    given, _ = match_inputs(model.extras, dict.fromkeys(sheet.columns, "?"))
    if not any(name in names for name in given):
        raise MedloupeError(
            f"{table} has no input of {model.name}; it has: {', '.join(sheet.columns)}."
            f" {model.name} takes: {', '.join(names) or 'nothing beside the picture'}.",
            next(filter(None, (did_you_mean(name, sheet.columns) for name in names)), ""),
        )
    wanted = list(files)
    rows = max((_rows(sheet.cells(column), wanted) for column in sheet.columns), key=len)
    if not rows:
        shown = ", ".join(str(f) for f in wanted[:3])
        raise DataError(
            f"No column of {table} names the files asked about ({shown}).", "One column must hold their names."
        )
    found: dict[Path, dict[str, str]] = {}
    for file, places in rows.items():
        said = [match_inputs(model.extras, dict(zip(sheet.columns, sheet.rows[i], strict=True)))[0] for i in places]
        if any(other != said[0] for other in said[1:]):
            raise DataError(f"{table} says different things of {file} in {len(said)} rows.", "Leave one row for each.")
        found[file] = {name: value for name, value in said[0].items() if name in names}
    return found


def _rows(cells: Sequence[str], files: Sequence[Path]) -> dict[Path, list[int]]:
    """Which of a column's cells name each file: those that share most of its path, by its end."""
    by_name: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
    for i, cell in enumerate(cells):
        parts = PureWindowsPath(cell).parts  # parts at / and \ alike
        if parts:
            by_name.setdefault(parts[-1], []).append((i, parts[:-1]))
    found: dict[Path, list[int]] = {}
    for file in files:
        above = file.parent.parts
        near = [
            (len(folders), i)
            for name in dict.fromkeys((file.name, file.stem))
            for i, folders in by_name.get(name, ())
            if not folders or above[-len(folders) :] == folders
        ]
        if near:
            deepest = max(near)[0]
            found[file] = [i for depth, i in near if depth == deepest]
    return found


@dataclass(frozen=True, slots=True)
class StatedInputs:
    """What the records of a data set state of a model's inputs.

    Attributes
    ----------
    logits : np.ndarray
        float32 (N, K), what it adds.
    counts : dict
        How many records state each input.
    unreadable : dict
        In how many each cannot be read, which counts as missing.
    """

    logits: np.ndarray
    counts: dict[str, int]
    unreadable: dict[str, int]


def encode_stated_inputs(model: Model, records: Sequence[Record]) -> StatedInputs:
    """Encode what records state of a model's inputs, in columns that go by the inputs' names."""
    extras, k = model.extras, len(model.labels)
    if extras is None:
        return StatedInputs(np.zeros((len(records), k), np.float32), {}, {})
    from medloupe.data.values import is_stated

    rows = [match_inputs(extras, record.columns)[0] for record in records]
    rows = [{name: value for name, value in row.items() if is_stated(value)} for row in rows]
    unreadable: dict[str, int] = {}
    for column in extras.columns:
        for row, value in zip(rows, column.drop_unreadable([row.get(column.name) for row in rows]), strict=True):
            if value is None and row.pop(column.name, None) is not None:
                unreadable[column.name] = unreadable.get(column.name, 0) + 1
    counts = {name: sum(name in row for row in rows) for name in extras.names}
    return StatedInputs(extras.logits(*extras.encode(rows)), counts, unreadable)


def scale_extras(extras: Extras | None, scale: np.ndarray) -> Extras | None:
    """Scale the extras of a model whose logits are multiplied by scale (K,)."""
    if extras is None:
        return None
    return replace(extras, weight=np.ascontiguousarray(extras.weight * scale[:, None], np.float32))


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()
