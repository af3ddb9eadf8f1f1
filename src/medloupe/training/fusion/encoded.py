"""The extras of many rows as numbers, and the same with inputs taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from medloupe.inputs.clinical import Column, encode
from medloupe.inputs.projection import TextEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedInputs:
    """The extras of N rows as numbers. clinical: float32 (N, F). stated: bool (N, C), which columns are. notes:
    float32 (N, M)."""

    columns: tuple[Column, ...]
    clinical: np.ndarray
    stated: np.ndarray
    notes: np.ndarray

    @classmethod
    def of(
        cls, columns: tuple[Column, ...], notes: TextEncoder | None, rows: Sequence[Mapping[str, str]]
    ) -> EncodedInputs:
        """Of rows that state, by name, what they know."""
        clinical, stated = encode(columns, rows)
        vectors = np.zeros((len(rows), 0), np.float32)
        if notes is not None:
            vectors = notes.vectors([r.get(notes.column) for r in rows])
        return cls(columns=columns, clinical=clinical, stated=stated, notes=vectors)

    @property
    def x(self) -> np.ndarray:
        """float32 (N, F + M)."""
        return np.concatenate([self.clinical, self.notes], axis=1)

    @property
    def input_of(self) -> np.ndarray:
        """int (F + M,): which column each number belongs to; those of the notes have the number after the last."""
        widths = [*(c.width for c in self.columns), self.notes.shape[1]]
        return np.repeat(np.arange(len(widths)), widths)

    @property
    def parts(self) -> list[slice]:
        """Which numbers of x are each column's, and those of the notes last."""
        ends = np.cumsum([0, *(c.width for c in self.columns), self.notes.shape[1]]).tolist()
        return [slice(a, b) for a, b in pairwise(ends)]

    def drop(self, keep: np.ndarray, notes: np.ndarray) -> np.ndarray:
        """x with columns as bool (N, C) and notes as bool (N,) say; what is dropped looks as if it had been missing."""
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
        """x with all columns, or the notes, taken away."""
        n, columns = self.stated.shape
        return self.drop(np.full((n, columns), not clinical), np.full(n, not notes))

    def restrict_to(self, inputs: Sequence[int]) -> EncodedInputs:
        """The same, of the same width, as if the table had only these inputs."""
        keep = np.zeros(self.stated.shape, bool)
        keep[:, [j for j in inputs if j < len(self.columns)]] = True
        x = self.drop(keep, np.full(len(keep), len(self.columns) in inputs))
        f = self.clinical.shape[1]
        return replace(self, clinical=x[:, :f], stated=self.stated & keep, notes=x[:, f:])
