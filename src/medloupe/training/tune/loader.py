"""Load the batches of a training: cached activations (tail) or fitted pictures (whole network).

A batch is what the trained part takes, float32 (n, C, H, W) or (n, S, S, 3). Buffers are reused from step to step: on
small machines fresh memory costs more than arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from medloupe.embed.field_cuts import FieldCuts
from medloupe.graphs.module import import_torch
from medloupe.training.tune.activations import Activations
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.views import Symmetry, random_view

if TYPE_CHECKING:
    import torch


HARD = 0.5  # how often a hard view is drawn, against another: what it shows may not tell the label
LEAST_SCALE = 0.05  # of the median scale: what a number of the embedding is divided by at least


class BatchSource(Protocol):
    """Gives batches of rows. A tensor is valid until the next call."""

    def batch(self, rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        """Load a random view of each row, float32."""
        ...

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        """Load each row as it is, float32."""
        ...

    def mean_and_scale(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Measure float32 (U,) over rows, before training, the part of the embedding that the head sees."""
        ...


class ActivationSource:
    """Gives activations at the cut.

    Parameters
    ----------
    cached : Activations
        Of V views of all pictures.
    embeddings : np.ndarray
        float32 (N, U), before training, of the part that the tail makes.
    views : int
        How many of the views are drawn from.
    field : FieldCuts, optional
        Of field views.
    share : float
        Of the rows of a batch that have any, how many are shown as one of these.
    """

    def __init__(
        self,
        cached: Activations,
        embeddings: np.ndarray,
        views: int,
        field: FieldCuts | None = None,
        share: float = 0.0,
    ):
        self._torch = import_torch()
        self._photographed = None if field is None or not share else _FieldDraw(field, share)
        self._maps, self._embeddings = cached.maps[:views], embeddings
        self._x = np.empty((0, *cached.maps[0].shape[1:]), np.float32)

    def batch(self, rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        """Load a random view of each row."""
        x = self._of(rows, rng.integers(0, len(self._maps), len(rows)))
        if self._photographed is not None:
            self._photographed.put(self._x, rows, rng)
        return x

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        """Load each row as it is."""
        return self._of(rows, np.zeros(len(rows), np.int64))

    def mean_and_scale(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Measure the embeddings of rows."""
        return _embedding_scale(self._embeddings, rows)

    def _of(self, rows: np.ndarray, views: np.ndarray) -> torch.Tensor:
        if len(self._x) < len(rows):
            self._x = np.empty((len(rows), *self._x.shape[1:]), np.float32)
        for i, (row, v) in enumerate(zip(rows, views, strict=True)):
            self._x[i] = self._maps[v][row]
        return self._torch.from_numpy(self._x[: len(rows)]).permute(0, 3, 1, 2)  # channels last, as it lies in memory


class _FieldDraw:
    """Draws field views of rows: of each all alike, hard ones less often."""

    def __init__(self, field: FieldCuts, share: float):
        self._maps, self._share = field.open(), share
        self._of: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        order = np.argsort(field.rows, kind="stable")
        for some in np.split(order, np.flatnonzero(np.diff(field.rows[order])) + 1):
            weight = np.where(field.hard[some], HARD, 1.0)
            self._of[int(field.rows[some[0]])] = field.places[some], weight / weight.sum()

    def put(self, x: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> None:
        """Put a view in the place of some rows of a batch float32 (n, H, W, C)."""
        for i in np.flatnonzero(rng.random(len(rows)) < self._share):
            found = self._of.get(int(rows[i]))
            if found is not None:
                places, weight = found
                x[i] = self._maps[rng.choice(places, p=weight)]


class PixelSource:
    """Gives fitted pictures, viewed anew each time.

    Parameters
    ----------
    pixels : np.ndarray
        uint8 (N, S, S, 3).
    embeddings : np.ndarray
        float32 (N, U), before training; (0, U) where the network starts from nothing, whose embedding the head then
        sees as it is.
    allowed : Symmetry
        Which changes leave a picture what it is.
    """

    def __init__(self, pixels: np.ndarray, embeddings: np.ndarray, allowed: Symmetry):
        self._torch = import_torch()
        self._pixels, self._embeddings, self._allowed = pixels, embeddings, allowed
        self._x = np.empty((0, *pixels.shape[1:]), np.float32)

    def batch(self, rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        """Load a random view of each row."""
        x = self._buffer(len(rows))
        for i, row in enumerate(rows):
            x[i] = random_view(np.asarray(self._pixels[row]), self._allowed, rng)
        return self._torch.from_numpy(x)

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        """Load each row as it is."""
        x = self._buffer(len(rows))
        for i, row in enumerate(rows):
            x[i] = self._pixels[row]
        return self._torch.from_numpy(x)

    def mean_and_scale(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Measure the embeddings of rows."""
        return _embedding_scale(self._embeddings, rows)

    def _buffer(self, n: int) -> np.ndarray:
        if len(self._x) < n:
            self._x = np.empty((n, *self._x.shape[1:]), np.float32)
        return self._x[:n]


def open_source(
    files: Sequence[Path],
    shape: Sequence[int],
    embeddings: np.ndarray,
    allowed: Symmetry,
    recipe: Recipe,
    field: FieldCuts | None = None,
) -> BatchSource:
    """Open the source that a recipe needs, on mapped files of one shape (jobs.TrainingInputs)."""
    if recipe.kind == "tail":
        maps = tuple(np.memmap(path, np.float16, "r", shape=tuple(shape)) for path in files)
        return ActivationSource(Activations(maps=maps), embeddings, recipe.views, field, recipe.field)
    known = embeddings if recipe.kind == "full" else embeddings[:0]  # what a random network will give, nobody knows
    return PixelSource(np.memmap(files[0], np.uint8, "r", shape=tuple(shape)), known, allowed)


def _embedding_scale(embeddings: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from medloupe.training.heads.solver import mean_and_scale

    if not len(embeddings):
        return np.zeros(embeddings.shape[1], np.float32), np.ones(embeddings.shape[1], np.float32)
    chosen = np.zeros(len(embeddings), bool)
    chosen[rows] = True
    mean, scale = mean_and_scale(embeddings, chosen)
    varied = np.isfinite(scale)
    if not varied.any():
        return mean, np.full(len(mean), 1e9, np.float32)
    # what hardly varies before training may vary a thousand times as much after a few steps of it
    least = LEAST_SCALE * np.median(scale[varied])
    return mean, np.where(varied, np.maximum(scale, least), 1e9).astype(np.float32)
