"""What a model reads beside the picture: clinical columns and notes, each worth 0 when it is missing.

Logits are the picture's plus `clinical @ Wc.T + notes @ Wn.T`. With nothing given the answer is exactly that of the
picture alone, and what each input adds to the answer is exact: its own numbers times their weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.data.values import stated
from medloupe.inputs.clinical import MOST_COLUMNS, Column, encode
from medloupe.inputs.encoder import from_json as text_encoder
from medloupe.inputs.projection import TextEncoder
from medloupe.utils.arrays import decode_finite, encode_base64

FORMAT = 1
MOST_LABELS = 1_000
_KEYS = ("format", "labels", "columns", "notes", "weight")
_SHOWN = 60  # characters of a note repeated beside its effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one input adds to the answer.

    input: the column's name. value: the input as it was understood; "" where it is missing and that counts.
    logits: float32 (K,), in the order of the labels.
    """

    input: str
    value: str
    logits: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """Clinical columns, in order, and notes (or None). weight: float32 (K, F + M), what each encoded number adds to
    each label's logit."""

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
        """float32 (F,) and (M,) of what is given by name; all 0 where nothing is. ClinicalError."""
        clinical, notes = self.encode([given])
        return clinical[0], notes[0]

    def encode(self, rows: Sequence[Mapping[str, str]]) -> tuple[np.ndarray, np.ndarray]:
        """The same of many: float32 (N, F) and (N, M)."""
        clinical, _ = encode(self.columns, rows)
        if self.notes is None:
            return clinical, np.zeros((len(rows), 0), np.float32)
        return clinical, self.notes.vectors([r.get(self.notes.column) for r in rows])

    def logits(self, clinical: np.ndarray, notes: np.ndarray) -> np.ndarray:
        """float32 (N, K), to be added to the picture's, of encoded (N, F) and (N, M)."""
        f = self.clinical_width
        return np.asarray(clinical @ self.weight[:, :f].T + notes @ self.weight[:, f:].T, np.float32)

    def effects(self, given: Mapping[str, str]) -> tuple[Effect, ...]:
        """What each input adds; together exactly `logits`. ClinicalError.

        For each input given, and for columns whose being missing counts (only where another is given).
        """
        clinical, notes = self.vectors(given)
        found, at = [], 0
        for column in self.columns:
            part = slice(at, at + column.width)
            at += column.width
            value = column.understood(given.get(column.name))
            if value or clinical[part].any():
                found.append(Effect(input=column.name, value=value, logits=self.weight[:, part] @ clinical[part]))
        if self.notes is not None:
            text = " ".join((given.get(self.notes.column) or "").split())
            if text and stated(text):
                shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1].rstrip() + "…"
                found.append(Effect(input=self.notes.column, value=shown, logits=self.weight[:, at:] @ notes))
        return tuple(found)

    def fields(self) -> list[dict[str, Any]]:
        """What forms ask for and cards list, as JSON: name, kind, label, and of a number its usual range and unit, of
        a category its choices."""
        fields = [c.field() for c in self.columns]
        if self.notes is not None:
            fields.append(self.notes.field())
        return fields

    def as_json(self) -> dict[str, Any]:
        """Complete, in types that JSON has."""
        return {
            "format": FORMAT,
            "labels": len(self.weight),
            "columns": [c.as_json() for c in self.columns],
            "notes": self.notes.as_json() if self.notes else None,
            "weight": encode_base64(self.weight, "<f4"),
        }

    @classmethod
    def from_json(cls, entry: object) -> Extras:
        """Read back from as_json, trusting nothing. Raises ValueError, saying what is wrong with it."""
        if not isinstance(entry, Mapping) or set(entry) != set(_KEYS):
            raise ValueError(f"the extras must be an object of {', '.join(_KEYS)}")
        if entry["format"] != FORMAT:
            raise ValueError(f"the extras are of format {entry['format']!r}, not {FORMAT}")
        labels, listed, text = entry["labels"], entry["columns"], entry["weight"]
        if not isinstance(labels, int) or isinstance(labels, bool) or not 0 < labels <= MOST_LABELS:
            raise ValueError("the number of labels of the extras is wrong")
        if not isinstance(listed, list) or len(listed) > MOST_COLUMNS:
            raise ValueError(f"the columns must be a list of at most {MOST_COLUMNS}")
        columns = tuple(Column.from_json(c) for c in listed)
        notes = None if entry["notes"] is None else text_encoder(entry["notes"])
        extras = cls(columns=columns, notes=notes, weight=np.zeros((labels, 0), np.float32))
        if not extras.names or len(set(extras.names)) < len(extras.names):
            raise ValueError("the extras have no inputs, or two of one name")
        width = extras.clinical_width + extras.notes_width
        weight = decode_finite(text, labels * width, "<f4", "the weights", "the inputs")
        if np.abs(weight).max(initial=0) > 1e6:
            raise ValueError("the weights hold values that are no numbers")
        return cls(columns=columns, notes=notes, weight=weight.reshape(labels, width).astype(np.float32))
