"""Bring a picture to few numbers by which it can be watched whether pictures change, and fit what they usually are.

By the Gaussian that novelty has fitted: where a picture lies along each of its k axes, along 8 fixed random directions
in what is left, and how far off it is along the axes and beside them; p = k + 10 numbers, 68 bytes. They tell nothing
that could be seen: of 3,584 numbers of an embedding, itself no picture, 34 are left.

What is kept of the training is means by class, one covariance and two moments (metrics/drift.py), some 3 kB: no number
of any single picture. The two distances are cross-fitted, since pictures that a Gaussian was fitted to lie nearer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from medloupe.metrics.drift import BATCH, DriftReference, fit_moments, measure_distance
from medloupe.model.gaussian import Gaussian

BESIDE = 8  # random directions beside the axes
FEWEST = 40  # groups; with fewer, T² of pictures that took no part cannot be measured
FORMAT = 1.0  # of what is stored
_FOLDS, _ORDERS = 5, 4
_MOST = 4000  # examples that are looked at
_ALONG, _OFF = 3.0, 5.0  # scales of the logarithms, to which 16 bits are exact enough


def count_numbers(axes: int) -> int:
    """Count the numbers a picture, p, of a Gaussian of so many axes."""
    return axes + BESIDE + 2


def watch_features(gaussian: Gaussian, z: np.ndarray) -> np.ndarray:
    """Bring sketches (N, W) to float32 (N, p)."""
    centred = z - gaussian.mean
    along = centred @ gaussian.axes.T
    rest = centred - along @ gaussian.axes
    beside = rest @ _directions(z.shape[1]).T / np.sqrt(gaussian.noise)
    whitened = along / np.sqrt(gaussian.spread)
    free = max(1, z.shape[1] - len(gaussian.spread))
    far = (rest**2).sum(1) / gaussian.noise / free
    distances = np.stack([_OFF * np.log(far + 1e-6), _ALONG * 0.5 * np.log((whitened**2).sum(1) + 1)], 1)
    return np.concatenate([whitened, beside, distances], 1).astype(np.float32)


@lru_cache(maxsize=4)
def _directions(width: int) -> np.ndarray:
    """Give fixed random directions (BESIDE, width) of length 1; from a hash, as those of the sketch."""
    stream = hashlib.shake_256(f"medloupe watch {FORMAT:g} {width}".encode()).digest(8 * BESIDE * width)
    uniform = (np.frombuffer(stream, "<u8").reshape(BESIDE, width) + 0.5) / 2**64
    signs = np.where(uniform < 0.5, -1.0, 1.0)
    return signs / np.sqrt(width)


def fit_reference(
    z: np.ndarray, groups: np.ndarray, targets: np.ndarray, gaussian: Gaussian, seed: int = 0
) -> DriftReference | None:
    """Fit what sketches of the training look like in the numbers that are watched.

    None with fewer than FEWEST groups, or where batches are too unlike each other (`DriftReference.fit`).

    Parameters
    ----------
    z
        float32 (N, W).
    groups
        (N,), of patients and copies.
    targets
        (N, K), what each shows.
    gaussian
        By which pictures are watched, fitted to them.
    seed
        Of folds and orders.
    """
    from medloupe.data.split import assign_folds

    rng = np.random.default_rng(seed)
    groups = np.unique(groups, return_inverse=True)[1].ravel()
    if len(z) > _MOST:
        kept = np.isin(groups, _draw_groups(groups, rng))
        z, groups, targets = z[kept], groups[kept], targets[kept]
    if len(np.unique(groups)) < FEWEST:
        return None
    axes = len(gaussian.spread)
    fold = assign_folds(np.ones((len(z), 1)), groups, _FOLDS, seed)
    found: list[float] = []
    for f in range(_FOLDS):
        own, held = fold != f, fold == f
        fitted = Gaussian.fit(z[own], axes)
        features = _cross_fit(z[own], fold[own], fitted)
        means, precision = fit_moments(features, groups[own], targets[own])
        unseen = watch_features(fitted, z[held])
        found += [
            measure_distance(unseen[rows].mean(0), means, precision) * BATCH
            for rows in _draw_batches(groups[held], rng)
        ]
    if len(found) < 2 * _ORDERS:
        return None
    return DriftReference.fit(_cross_fit(z, fold, gaussian), groups, targets, found)


def fit_patients(
    z: np.ndarray, groups: np.ndarray, targets: np.ndarray, gaussian: Gaussian, seed: int = 0
) -> DriftReference | None:
    """Fit what patients of the training look like: one row each, the numbers of one of their pictures, drawn.

    Not the mean of theirs: how far means scatter depends on how many pictures they are of, which is another number at
    each site. Parameters are those of `fit_reference`. None with fewer than two batches of groups, or where batches are
    too unlike each other.
    """
    rng = np.random.default_rng(seed)
    groups = np.unique(groups, return_inverse=True)[1].ravel()
    if len(z) > _MOST:
        kept = np.isin(groups, _draw_groups(groups, rng))
        z, targets = z[kept], targets[kept]
        groups = np.unique(groups[kept], return_inverse=True)[1].ravel()
    count = int(groups.max()) + 1 if len(groups) else 0
    if count < 2 * BATCH:
        return None
    folds = min(_FOLDS, count // BATCH)
    shown = np.round(mean_by_group(np.nan_to_num(targets), groups))
    fold_of = rng.permutation(count) % folds
    crossed = fold_of if folds == _FOLDS else rng.permutation(count) % _FOLDS  # of few, what is left has folds, too
    axes, found = len(gaussian.spread), list[float]()
    for f in range(folds):
        own, held = fold_of[groups] != f, np.flatnonzero(fold_of == f)
        fitted = Gaussian.fit(z[own], axes)
        picked = _pick_one(groups[own], rng)
        seen = _cross_fit(z[own], crossed[groups][own], fitted)[picked]
        means, precision = fit_moments(seen, np.arange(len(seen)), shown[fold_of != f])
        unseen = watch_features(fitted, z[~own])
        for _ in range(_ORDERS):
            order = _pick_one(groups[~own], rng)[rng.permutation(len(held))]
            batches = (unseen[order[i : i + BATCH]] for i in range(0, len(order) - BATCH + 1, BATCH))
            found += [measure_distance(batch.mean(0), means, precision) * BATCH for batch in batches]
    rows = _cross_fit(z, crossed[groups], gaussian)[_pick_one(groups, rng)]
    return DriftReference.fit(rows, np.arange(len(rows)), shown, found) if found else None


def _pick_one(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a row of each group (N,), in the order of the groups' names: int (G,)."""
    order = rng.permutation(len(groups))
    return order[np.unique(groups[order], return_index=True)[1]]


def mean_by_group(rows: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Compute the means of rows (N, p) by group (N,), in the order of the groups' names: float64 (G, p)."""
    inverse = np.unique(groups, return_inverse=True)[1].ravel()
    sums = np.zeros((int(inverse.max()) + 1, rows.shape[1]))
    np.add.at(sums, inverse, rows)
    return sums / np.bincount(inverse)[:, None]


def _draw_groups(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw whole groups until _MOST examples are there."""
    order = rng.permutation(np.unique(groups))
    sizes = np.bincount(groups)[order]
    return order[: max(FEWEST, int(np.searchsorted(np.cumsum(sizes), _MOST)))]


def _cross_fit(z: np.ndarray, fold: np.ndarray, whole: Gaussian) -> np.ndarray:
    """Bring sketches to numbers by a Gaussian fitted to them; the two distances by others that were not."""
    features = watch_features(whole, z)
    for f in np.unique(fold):
        held = fold == f
        features[held, -2:] = watch_features(Gaussian.fit(z[~held], len(whole.spread)), z[held])[:, -2:]
    return features


def _draw_batches(groups: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Draw batches of rows as they come in a clinic, patient after patient."""
    for _ in range(_ORDERS):
        rank = np.argsort(rng.permutation(int(groups.max()) + 1))
        order = np.argsort(rank[groups], kind="stable")
        for i in range(0, len(order) - BATCH + 1, BATCH):
            yield order[i : i + BATCH]


def pack_reference(reference: DriftReference) -> np.ndarray:
    """Give all numbers of a reference as float32: format, classes, moments, means, the precision's lower triangle."""
    lower = reference.precision[np.tril_indices(len(reference.precision))]
    head = (FORMAT, len(reference.means), reference.mean, reference.variance)
    return np.concatenate([head, reference.means.ravel(), lower]).astype(np.float32)


def unpack_reference(stored: np.ndarray, axes: int) -> DriftReference:
    """Read back from pack_reference, trusting nothing.

    Raises
    ------
    ValueError
        Says what is wrong with it.
    """
    wrong = ValueError("its reference for watching does not fit its axes")
    if stored.ndim != 1 or len(stored) < 4 or not np.isfinite(stored).all() or stored[0] != FORMAT:
        raise wrong
    p, classes = count_numbers(axes), float(stored[1])
    if not 1 <= classes <= 1000 or classes != int(classes):
        raise wrong
    numbers = int(classes) * p
    if len(stored) != 4 + numbers + p * (p + 1) // 2 or stored[2] <= 0 or stored[3] <= 0:
        raise wrong
    precision = np.zeros((p, p))
    precision[np.tril_indices(p)] = stored[4 + numbers :]
    precision += np.tril(precision, -1).T
    return DriftReference(
        means=stored[4 : 4 + numbers].reshape(int(classes), p).astype(np.float64),
        precision=precision,
        mean=float(stored[2]),
        variance=float(stored[3]),
    )


def observe(gaussian: Gaussian, z: np.ndarray) -> bytes:
    """Give what is kept of one picture to be watched, of its sketch (W,): p numbers of 16 bits."""
    features = watch_features(gaussian, z[None])[0]
    return np.nan_to_num(np.clip(features, -6e4, 6e4)).astype("<f2").tobytes()


def read_observed(stored: bytes) -> np.ndarray:
    """Read what `observe` gave: float32 (p,)."""
    return np.frombuffer(stored, "<f2").astype(np.float32)
