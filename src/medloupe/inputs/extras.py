"""Add what a model reads beside the picture: clinical columns and notes, each worth 0 when it is missing.

Logits are the picture's plus `clinical @ Wc.T + notes @ Wn.T`. With nothing given the answer is exactly that of the
picture alone, and what each input adds to the answer is exact: its own numbers times their weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.data.values import is_stated
from medloupe.inputs.clinical import Column, encode
from medloupe.inputs.encoder import read_text_encoder
from medloupe.inputs.limits import FORMAT
from medloupe.inputs.projection import TextEncoder
from medloupe.utils.arrays import decode_finite, encode_base64
from medloupe.utils.validation import read_entry

_SHOWN = 60  # characters of a note repeated beside its effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one input adds to the answer.

    Attributes
    ----------
    input
        The column's name.
    value
        The input as it was understood; "" where it is missing and that counts.
    logits
        float32 (K,), in the order of the labels.
    """

    input: str
    value: str
    logits: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """Clinical columns and notes of a model of K labels.

    Attributes
    ----------
    columns
        In order; F numbers encode them.
    notes
        How notes are read, as M numbers, or None.
    weight
        float32 (K, F + M), what each encoded number adds to each label's logit.
    """

    columns: tuple[Column, ...]
    notes: TextEncoder | None
    weight: np.ndarray

    @property
    def clinical_width(self) -> int:
        """F, the numbers that encode the clinical columns."""
        return sum(c.width for c in self.columns)

    @property
    def notes_width(self) -> int:
        """M, the numbers that encode the notes."""
        return self.notes.width if self.notes else 0

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs' names: columns, then the notes' column."""
        return (*(c.name for c in self.columns), *((self.notes.column,) if self.notes else ()))

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays in memory."""
        return self.weight.nbytes + (self.notes.nbytes if self.notes else 0)

    def vectors(self, given: Mapping[str, str]) -> tuple[np.ndarray, np.ndarray]:
        """Encode what is given by name, float32 (F,) and (M,); all 0 where nothing is.

        Raises
        ------
        ClinicalError
            A value cannot be read.
        """
        clinical, notes = self.encode([given])
        return clinical[0], notes[0]

    def encode(self, rows: Sequence[Mapping[str, str]]) -> tuple[np.ndarray, np.ndarray]:
        """Encode many rows: float32 (N, F) and (N, M)."""
        clinical, _ = encode(self.columns, rows)
        if self.notes is None:
            return clinical, np.zeros((len(rows), 0), np.float32)
        return clinical, self.notes.vectors([r.get(self.notes.column) for r in rows])

    def logits(self, clinical: np.ndarray, notes: np.ndarray) -> np.ndarray:
        """Compute what is added to the picture's logits, float32 (N, K), of encoded (N, F) and (N, M)."""
        f = self.clinical_width
        return np.asarray(clinical @ self.weight[:, :f].T + notes @ self.weight[:, f:].T, np.float32)

    def effects(self, given: Mapping[str, str]) -> tuple[Effect, ...]:
        """List what each input adds; together exactly `logits`.

        For each input given, and for columns whose being missing counts (only where another is given).

        Raises
        ------
        ClinicalError
            A value cannot be read.
        """
        clinical, notes = self.vectors(given)
        found, at = [], 0
        for column in self.columns:
            part = slice(at, at + column.width)
            at += column.width
            value = column.describe(given.get(column.name))
            if value or clinical[part].any():
                found.append(Effect(input=column.name, value=value, logits=self.weight[:, part] @ clinical[part]))
        if self.notes is not None:
            text = " ".join((given.get(self.notes.column) or "").split())
            if text and is_stated(text):
                shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1].rstrip() + "…"
                found.append(Effect(input=self.notes.column, value=shown, logits=self.weight[:, at:] @ notes))
        return tuple(found)

    def fields(self) -> list[dict[str, Any]]:
        """List what forms ask for and cards list, as JSON.

        Each has name, kind, label, and of a number its usual range and unit, of a category its choices.
        """
        fields = [c.field() for c in self.columns]
        if self.notes is not None:
            fields.append(self.notes.field())
        return fields

    def as_json(self) -> dict[str, Any]:
        """Give all of it, in types that JSON has."""
        return {
            "format": FORMAT,
            "labels": len(self.weight),
            "columns": [c.as_json() for c in self.columns],
            "notes": self.notes.as_json() if self.notes else None,
            "weight": encode_base64(self.weight, "<f4"),
        }

    @classmethod
    def from_json(cls, entry: object) -> Extras:
        """Read back from as_json, trusting nothing.

        Raises
        ------
        ValueError
            Says what is wrong with it.
        """
        from medloupe.inputs.schema import EXTRAS_SENTENCES, ExtrasEntry

        checked = read_entry(ExtrasEntry, entry, EXTRAS_SENTENCES)
        columns = tuple(map(Column.from_entry, checked.columns))
        notes = None if checked.notes is None else read_text_encoder(checked.notes)
        labels = checked.labels
        extras = cls(columns=columns, notes=notes, weight=np.zeros((labels, 0), np.float32))
        if not extras.names or len(set(extras.names)) < len(extras.names):
            raise ValueError("the extras have no inputs, or two of one name")
        width = extras.clinical_width + extras.notes_width
        weight = decode_finite(checked.weight, labels * width, "<f4", "the weights", "the inputs")
        if np.abs(weight).max(initial=0) > 1e6:
            raise ValueError("the weights hold values that are no numbers")
        return cls(columns=columns, notes=notes, weight=weight.reshape(labels, width).astype(np.float32))
