"""What every way of reading notes has: a projection to a few numbers, and how it is kept.

Source: latent semantic analysis, Deerwester et al. (1990); randomised SVD, Halko, Martinsson & Tropp (2011).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from medloupe.utils.arrays import decode_finite, encode_base64

DIMENSION = 32
MOST_DIMENSIONS = 64
MOST_MASKS = 200
LONGEST_MASK = 100
FEWEST = 10  # notes to learn from
_ROUNDS = 4  # of power iteration


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoder(ABC):
    """How notes become numbers.

    column: where they stand. mask: words blanked before all else, `*` standing for any letters. axes: float16 (E, M)
    from the E numbers made of a text (of Notes: BUCKETS) to M. mean: float32 (M,) and scale of the training notes.
    """

    column: str
    mask: tuple[str, ...]
    axes: np.ndarray
    mean: np.ndarray
    scale: float

    @property
    def width(self) -> int:
        """M, how many numbers encode a note."""
        return self.axes.shape[1]

    @property
    @abstractmethod
    def method(self) -> str:
        """How notes are read, in words."""

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays in memory."""
        held = (getattr(self, f.name) for f in fields(self))
        return sum(a.nbytes for a in held if isinstance(a, np.ndarray))

    def vector(self, text: str | None) -> np.ndarray:
        """float32 (M,); all 0 of a note that says nothing. NotesError where what reads it is not at hand."""
        return self.vectors([text])[0]

    @abstractmethod
    def vectors(self, texts: Sequence[str | None]) -> np.ndarray:
        """float32 (N, M) of several notes. NotesError."""

    def field(self) -> dict[str, Any]:
        """What a form asks for."""
        return {"name": self.column, "kind": "notes", "label": self.column.replace("_", " ")}

    def as_json(self) -> dict[str, Any]:
        """Complete but for a network, in types that JSON has: arrays as base64 of their bytes, little endian."""
        return {
            "column": self.column,
            "mask": list(self.mask),
            "axes": halves_as_text(self.axes),
            "mean": [float(v) for v in self.mean],
            "scale": self.scale,
        }


def projection(x: np.ndarray, dimension: int, seed: int) -> dict[str, Any]:
    """axes, mean and scale of a TextEncoder from what was made of the training notes, float32 (n, E). dimension: M at
    most, less with few notes."""
    axes = leading(x, min(dimension, MOST_DIMENSIONS, len(x) // 4, x.shape[1]), seed).astype(np.float16)
    z = x @ axes.astype(np.float32)
    scale = float(1 / max(np.sqrt(z.var(0).mean()), 1e-6))
    return {"axes": axes, "mean": z.mean(0).astype(np.float32), "scale": scale}


def leading(x: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The leading right singular vectors float32 (D, count) of centred x (n, D)."""
    rng = np.random.default_rng(seed)
    x = x - x.mean(0)
    y = x @ rng.normal(size=(x.shape[1], min(count + 8, len(x)))).astype(np.float32)
    for _ in range(_ROUNDS):
        y = x @ (x.T @ np.linalg.qr(y)[0])
    b = np.linalg.qr(y)[0].T @ x  # small by D: its singular vectors are those of x, and cheap from b @ b.T
    values, vectors = np.linalg.eigh((b @ b.T).astype(np.float64))
    largest = np.argsort(-values)[:count]
    axes = (b.T @ (vectors[:, largest] / np.sqrt(np.maximum(values[largest], 1e-12)))).astype(np.float32)
    return axes * np.where(axes[np.abs(axes).argmax(0), np.arange(count)] < 0, -1, 1)  # a sign that repeats


def checked(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What every way of reading notes has: column, mask, mean and scale of its JSON. Raises ValueError."""
    column, mask, mean, scale = (entry[key] for key in ("column", "mask", "mean", "scale"))
    if not isinstance(column, str) or not 0 < len(column) <= 200:
        raise ValueError("the column of the notes has no name")
    if not isinstance(mask, list) or len(mask) > MOST_MASKS or not all(isinstance(m, str) for m in mask):
        raise ValueError(f"the masked words must be a list of at most {MOST_MASKS} texts")
    if any(not 0 < len(m) <= LONGEST_MASK for m in mask):
        raise ValueError(f"a masked word is empty or longer than {LONGEST_MASK} characters")
    if not isinstance(mean, list) or not 0 < len(mean) <= MOST_DIMENSIONS:
        raise ValueError(f"notes must have 1 to {MOST_DIMENSIONS} dimensions")
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e6 for v in (*mean, scale)):
        raise ValueError("the notes hold values that are no numbers")
    if scale <= 0:
        raise ValueError("the weights of the notes are not above 0")
    return {"column": column, "mask": tuple(mask), "mean": np.array(mean, np.float32), "scale": float(scale)}


def halves_as_text(values: np.ndarray) -> str:
    """Base64 of float16."""
    return encode_base64(values, "<f2")


def halves_from(text: object, size: int) -> np.ndarray:
    """float16 (size,) from such a text. Raises ValueError where it is none, or holds other than numbers."""
    return decode_finite(text, size, "<f2", "the arrays of the notes", "together").astype(np.float16)
