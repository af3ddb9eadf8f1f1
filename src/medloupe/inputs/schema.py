"""Describe how columns, notes and extras are kept as JSON, as typed schemas that trust nothing.

The sentences say what is wrong with an entry (see medloupe.utils.validation).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from medloupe.data.values import LONGEST
from medloupe.inputs.limits import (
    FORMAT,
    KNOTS,
    LONGEST_COLUMN,
    LONGEST_MASK,
    LONGEST_NETWORK,
    MOST_CHOICES,
    MOST_COLUMNS,
    MOST_DIMENSIONS,
    MOST_LABELS,
    MOST_MASKS,
    MOST_NUMBERS,
    MOST_POOLED,
)
from medloupe.utils.validation import MISSING, ROOT, sentences_under

Short = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]
Value = Annotated[float, Field(gt=-1e15, lt=1e15)]
NoteValue = Annotated[float, Field(gt=-1e6, lt=1e6)]


class _Closed(BaseModel):
    """What has just these keys: what is wrong with it would change every answer."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _list_keys(schema: type[BaseModel]) -> str:
    return ", ".join(schema.model_fields)


# ----------------------------------------------------------------------- columns


class ColumnEntry(_Closed):
    """A clinical column (medloupe.inputs.clinical.Column.as_json).

    numbers: low, high, both ends of the usual range, then of a number means and spreads, of a category shares.
    """

    name: Short
    kind: Literal["number", "category"]
    missing: bool
    numbers: list[Value] = Field(max_length=MOST_NUMBERS)
    knots: list[Value] = Field(max_length=KNOTS)
    choices: list[Short] = Field(max_length=MOST_CHOICES)
    pooled: list[Short] = Field(max_length=MOST_POOLED)

    @property
    def parts(self) -> int:
        """How many numbers encode a value that is stated."""
        return 1 + len(self.knots) if self.kind == "number" else len(self.choices) + bool(self.pooled)

    @model_validator(mode="after")
    def _check_numbers(self) -> ColumnEntry:
        low, high, first, last = self.numbers[:4] if len(self.numbers) >= 4 else (0, 0, 0, 0)
        rest, is_number = self.numbers[4:], self.kind == "number"
        fits = len(self.numbers) >= 4 and len(rest) == (2 * self.parts if is_number else self.parts)
        if not fits or bool(self.choices) == is_number or (is_number and self.pooled):
            raise ValueError(f"the numbers of column {self.name!r} do not fit together")
        if not is_number and (self.knots or min(rest) < 0 or sum(rest) > 1.001):
            raise ValueError(f"the shares of column {self.name!r} are none")
        if is_number and (not low < high or not first <= last or min(rest[self.parts :]) <= 0):
            raise ValueError(f"the limits of column {self.name!r} are in no order")
        return self


_COLUMN = f"a column must be an object of {_list_keys(ColumnEntry)}"
_NUMBERS = "its numbers must be a list of at most {} finite numbers"
_CHOICES = "choices must be a list of at most {} short texts"
COLUMN_SENTENCES = {
    ROOT: _COLUMN,
    MISSING: _COLUMN,
    "*": "a column's name, kind or missing is wrong",
    "knots": _NUMBERS.format(KNOTS),
    "numbers": _NUMBERS.format(MOST_NUMBERS),
    "choices": _CHOICES.format(MOST_CHOICES),
    "pooled": _CHOICES.format(MOST_POOLED),
}

# ------------------------------------------------------------------------- notes


def _check_masks(masks: list[str]) -> list[str]:
    if any(not 0 < len(m) <= LONGEST_MASK for m in masks):
        raise ValueError(f"a masked word is empty or longer than {LONGEST_MASK} characters")
    return masks


def _check_scale(scale: float) -> float:
    if scale <= 0:
        raise ValueError("the weights of the notes are not above 0")
    return scale


def _check_printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError(NETWORK_SENTENCES["network"])
    return name


class _TextEntry(_Closed):
    """What every way of reading notes has; arrays are base64."""

    column: str = Field(min_length=1, max_length=LONGEST_COLUMN)
    mask: Annotated[list[str], Field(max_length=MOST_MASKS), AfterValidator(_check_masks)]
    axes: str
    mean: list[NoteValue] = Field(min_length=1, max_length=MOST_DIMENSIONS)
    scale: Annotated[NoteValue, AfterValidator(_check_scale)]

    def common(self) -> dict[str, Any]:
        """Give column, mask, mean and scale, as a TextEncoder has them."""
        mean = np.array(self.mean, np.float32)
        return {"column": self.column, "mask": tuple(self.mask), "mean": mean, "scale": self.scale}


class LettersEntry(_TextEntry):
    """Notes read by their letters (medloupe.inputs.notes.Notes.as_json)."""

    idf: str


class NetworkEntry(_TextEntry):
    """Notes read by a language network (medloupe.inputs.sentences.Sentences.as_json)."""

    network: Annotated[str, Field(min_length=1, max_length=LONGEST_NETWORK), AfterValidator(_check_printable)]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


_NOTES = f"notes must be an object of {_list_keys(LettersEntry)}"
_READ = f"notes read by a network must be an object of {_list_keys(NetworkEntry)}"
_ARRAYS = "the arrays of the notes do not fit together"
_VALUES = "the notes hold values that are no numbers"
LETTERS_SENTENCES = {
    ROOT: _NOTES,
    MISSING: _NOTES,
    "column": "the column of the notes has no name",
    "mask": f"the masked words must be a list of at most {MOST_MASKS} texts",
    "axes": _ARRAYS,
    "idf": _ARRAYS,
    "mean": f"notes must have 1 to {MOST_DIMENSIONS} dimensions",
    "mean.#": _VALUES,
    "scale": _VALUES,
}
NETWORK_SENTENCES = {
    **LETTERS_SENTENCES,
    ROOT: _READ,
    MISSING: _READ,
    "network": f"the network of the notes must be named in at most {LONGEST_NETWORK} printable characters",
    "sha256": "the network of the notes has no sha256",
}

# ------------------------------------------------------------------------ extras


class ExtrasEntry(_Closed):
    """What a model reads beside the picture (medloupe.inputs.extras.Extras.as_json).

    notes: of medloupe.inputs.encoder, which knows both ways of reading them. weight: base64 of float32.
    """

    format: Literal[1]
    labels: int = Field(gt=0, le=MOST_LABELS)
    columns: list[ColumnEntry] = Field(max_length=MOST_COLUMNS)
    notes: Any
    weight: str


_EXTRAS = f"the extras must be an object of {_list_keys(ExtrasEntry)}"
EXTRAS_SENTENCES = {
    ROOT: _EXTRAS,
    MISSING: _EXTRAS,
    "format": f"the extras are of format {{value}}, not {FORMAT}",
    "labels": "the number of labels of the extras is wrong",
    "columns": f"the columns must be a list of at most {MOST_COLUMNS}",
    "weight": "the weights do not fit the inputs",
    **sentences_under("columns.#", COLUMN_SENTENCES),
}
