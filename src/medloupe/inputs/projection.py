"""Project what was made of a text to a few numbers: what every way of reading notes has, and how it is kept.

Source: latent semantic analysis, Deerwester et al. (1990); randomised SVD, Halko, Martinsson & Tropp (2011).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from medloupe.inputs.limits import MOST_DIMENSIONS
from medloupe.utils.arrays import decode_finite, encode_base64

DIMENSION = 32
FEWEST = 10  # notes to learn from
_ROUNDS = 4  # of power iteration


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoder(ABC):
    """How notes become numbers.

    Attributes
    ----------
    column
        Where they stand.
    mask
        Words blanked before all else, `*` standing for any letters.
    axes
        float16 (E, M) from the E numbers made of a text (of Notes: BUCKETS) to M.
    mean, scale
        float32 (M,) of the training notes, and by what their numbers are multiplied.
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

    @abstractmethod
    def vectors(self, texts: Sequence[str | None]) -> np.ndarray:
        """Encode several notes, float32 (N, M); one that says nothing is 0.

        Raises
        ------
        NotesError
            What reads them is not at hand.
        """

    def field(self) -> dict[str, Any]:
        """Give what a form asks for."""
        return {"name": self.column, "kind": "notes", "label": self.column.replace("_", " ")}

    def as_json(self) -> dict[str, Any]:
        """Give all but a network, in types that JSON has: arrays as base64 of their bytes, little endian."""
        return {
            "column": self.column,
            "mask": list(self.mask),
            "axes": encode_halves(self.axes),
            "mean": [float(v) for v in self.mean],
            "scale": self.scale,
        }


def fit_projection(x: np.ndarray, dimension: int, seed: int) -> dict[str, Any]:
    """Fit axes, mean and scale of a TextEncoder.

    Parameters
    ----------
    x
        What was made of the training notes, float32 (n, E).
    dimension
        M at most, less with few notes.
    seed
        Of the SVD.
    """
    axes = leading_singular_vectors(x, min(dimension, MOST_DIMENSIONS, len(x) // 4, x.shape[1]), seed).astype(
        np.float16
    )
    z = x @ axes.astype(np.float32)
    scale = float(1 / max(np.sqrt(z.var(0).mean()), 1e-6))
    return {"axes": axes, "mean": z.mean(0).astype(np.float32), "scale": scale}


def leading_singular_vectors(x: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Find the leading right singular vectors float32 (D, count) of centred x (n, D)."""
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


def encode_halves(values: np.ndarray) -> str:
    """Encode float16 as base64."""
    return encode_base64(values, "<f2")


def decode_halves(text: object, size: int) -> np.ndarray:
    """Decode float16 (size,) from base64.

    Raises
    ------
    ValueError
        It is none, or holds other than numbers.
    """
    return decode_finite(text, size, "<f2", "the arrays of the notes", "together").astype(np.float16)
