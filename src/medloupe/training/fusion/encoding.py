"""Encode the inputs of many rows as numbers, and take inputs away from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from medloupe.inputs.clinical import Column, encode
from medloupe.inputs.projection import TextEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedInputs:
    """The inputs of N rows as numbers.

    Attributes
    ----------
    columns : tuple of Column
        C clinical columns.
    clinical : np.ndarray
        float32 (N, F), these encoded.
    stated : np.ndarray
        bool (N, C), which columns a row states.
    notes : np.ndarray
        float32 (N, M), the notes encoded.
    """

    columns: tuple[Column, ...]
    clinical: np.ndarray
    stated: np.ndarray
    notes: np.ndarray

    @classmethod
    def encode(
        cls, columns: tuple[Column, ...], notes: TextEncoder | None, rows: Sequence[Mapping[str, str]]
    ) -> EncodedInputs:
        """Encode rows that state, by name, what they know."""
        clinical, stated = encode(columns, rows)
        vectors = np.zeros((len(rows), 0), np.float32)
        if notes is not None:
            vectors = notes.vectors([r.get(notes.column) for r in rows])
        return cls(columns=columns, clinical=clinical, stated=stated, notes=vectors)

    @property
    def x(self) -> np.ndarray:
        """All numbers, float32 (N, F + M); a new array each time."""
        return np.concatenate([self.clinical, self.notes], axis=1)

    @property
    def input_of(self) -> np.ndarray:
        """Which column each number belongs to, int (F + M,); those of the notes have the number after the last."""
        widths = [*(c.width for c in self.columns), self.notes.shape[1]]
        return np.repeat(np.arange(len(widths)), widths)

    @property
    def parts(self) -> list[slice]:
        """Which numbers of x are each column's, and those of the notes last."""
        ends = np.cumsum([0, *(c.width for c in self.columns), self.notes.shape[1]]).tolist()
        return [slice(a, b) for a, b in pairwise(ends)]

    def drop(self, keep: np.ndarray, notes: np.ndarray) -> np.ndarray:
        """Drop inputs from x; what is dropped looks as if it had been missing.

        Parameters
        ----------
        keep : np.ndarray
            bool (N, C), which columns stay.
        notes : np.ndarray
            bool (N,), whose notes stay.
        """
        stated = self.stated & keep
        x = self.x
        at = 0
        for j, column in enumerate(self.columns):
            part = x[:, at : at + column.width]
            gone = ~stated[:, j]
            part[gone] = 0
            if column.missing:
                part[gone, -1] = 1
            at += column.width
        x[~stated.any(1), :at] = 0
        x[~notes, at:] = 0
        return x

    def without(self, *, clinical: bool = False, notes: bool = False) -> np.ndarray:
        """Take all columns, or the notes, away from x."""
        n, columns = self.stated.shape
        return self.drop(np.full((n, columns), not clinical), np.full(n, not notes))

    def restrict_to(self, inputs: Sequence[int]) -> EncodedInputs:
        """Restrict to some inputs, in the same width, as if the table had only these."""
        keep = np.zeros(self.stated.shape, bool)
        keep[:, [j for j in inputs if j < len(self.columns)]] = True
        x = self.drop(keep, np.full(len(keep), len(self.columns) in inputs))
        f = self.clinical.shape[1]
        return replace(self, clinical=x[:, :f], stated=self.stated & keep, notes=x[:, f:])
