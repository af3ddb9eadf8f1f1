"""Tell whether a check-up has seen anything like a picture. Fitted when it is trained, asked in microseconds.

An embedding (N, D) is first brought to 512 numbers (medloupe.model.sketch). In the sketch a Gaussian of few axes is
fitted: its own variance along each of at most 24 axes, one common variance for all other directions. The
score is the Mahalanobis distance under it divided by a limit: above 1 a picture is foreign.

The limit is the distance that 97 of 100 images stay under which took no part in the fit (grouped folds), with room for
another camera: a shift by a squared length of 0.07 a level, about what saving a picture again, blurring or turning it
does. It is a length, not a factor, so that a varied collection, which has room already, gets little more. Where other
kinds of picture were at hand or known, medloupe.model.contrast adds what sets the own kind apart from them.
Measured by benchmarks/refusal.py.

Sources: Lee et al., "A simple unified framework for detecting out-of-distribution samples" (NeurIPS 2018,
arXiv:1807.03888) for the distance; Tipping & Bishop, "Probabilistic principal component analysis" (JRSS B 61, 1999) for
the covariance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from medloupe.metrics.drift import DriftReference
from medloupe.model.contrast import Contrast
from medloupe.model.drift import pack_reference, unpack_reference
from medloupe.model.gaussian import Gaussian
from medloupe.model.legibility import Legibility
from medloupe.model.polarity_boundary import PolarityBoundary
from medloupe.model.sketch import FORMAT, WIDTH, sketch, sketch_many
from medloupe.utils.arrays import decode_base64, encode_base64
from medloupe.utils.validation import MISSING, ROOT, read_entry

Nearness = Literal["usual", "unusual", "far"]
AXES = 24
FEWEST = 30  # groups; with fewer, nobody can say by distance what is usual
FEWEST_APART = 8  # groups that can be set apart from other kinds, if from nothing else
SLACK = 1.5  # by which the limit is larger with fewer than FEWEST groups: there the contrast refuses, not the distance
_AXES_OF_FEW = FEWEST // 4  # with fewer axes it was fitted on fewer groups
LIMIT_AT = 0.97  # share of its own kind that stays under the distance from which the limit is made
ALLOWANCE = 0.07  # squared length, for each level, that a picture may lie farther off
_FOLDS = 5
_KEYS = ("levels", "mean", "axes", "spread", "numbers")
_MORE = _CONTRAST, _LEGIBILITY, _POLARITY, *_WATCHED = ("contrast", "legibility", "polarity", "reference", "patients")
"""What only some have."""
_PREFIX = "novelty_"
_LONGEST = 4 * AXES * WIDTH  # characters of an array
_SENTENCES = {  # what is wrong with an entry (see medloupe.utils.validation)
    ROOT: f"it must be an object of {', '.join(_KEYS)}",
    MISSING: f"it must be an object of {', '.join(_KEYS)}",
    "levels": "its levels are no list of numbers",
    "numbers": "its numbers are no list of numbers",
    "*": f"its arrays must be base64 of at most {_LONGEST:,} characters",
}

METHOD = (
    f"Mahalanobis distance of the embedding's sketch under a Gaussian of up to {AXES} axes; the limit is the distance"
    f" under which {LIMIT_AT:.0%} of the model's own kind stay that took no part in the fit (grouped folds),"
    f" plus room for a shift of the sketch by a squared length of {ALLOWANCE:g} a level."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Novelty:
    """What the embeddings of one data set usually look like, in W = min(512, D) sums and k axes; about 26 kB.

    Attributes
    ----------
    levels
        How the embedding divides (BackboneCard.levels), or its last part, which fine-tuning leaves alone.
    mean
        float16 (W,).
    axes
        float16 (k, W), orthonormal.
    spread
        float32 (k,), the variance along each axis.
    noise
        The variance in each other direction.
    limit
        The distance at which the score is 1.
    own_refused
        Share of its own images refused when neither the fit nor the limit had seen them.
    contrast
        What sets its kind apart from other kinds that were at hand, or None.
    legibility
        What tells pictures of its kind that show too little, or None.
    polarity
        What tells its pictures from their negatives, or None.
    reference
        By which it is watched whether pictures change, or None; patients: the same of one row a patient.
    """

    levels: tuple[int, ...]
    mean: np.ndarray
    axes: np.ndarray
    spread: np.ndarray
    noise: float
    limit: float
    own_refused: float
    contrast: Contrast | None = None
    legibility: Legibility | None = None
    polarity: PolarityBoundary | None = None
    reference: DriftReference | None = None
    patients: DriftReference | None = None

    @classmethod
    def fit(
        cls,
        embedding: np.ndarray,
        groups: np.ndarray,
        levels: Sequence[int],
        seed: int = 0,
        direct: int | None = None,
        fewest: int = FEWEST,
        axes: int = AXES,
    ) -> Novelty | None:
        """Fit to embeddings; None with fewer than `fewest` groups.

        Parameters
        ----------
        embedding
            float32 (N, D).
        groups
            (N,), to which the rows belong.
        levels
            How D divides.
        seed
            Of the folds in which the limit is found.
        direct
            How many of the rows, the first, are the pictures as they were brought: the share refused is told of these.
            All where left out.
        fewest
            Groups; with fewer than FEWEST the limit is so far that a contrast is needed to refuse anything.
        axes
            At most.
        """
        from medloupe.data.split import assign_folds

        independent = len(np.unique(groups))
        if independent < max(fewest, _FOLDS):
            return None
        z = sketch_many(embedding, levels)
        # as many axes in every fold as in the end, else their distances could not be compared
        count = max(1, min(axes, z.shape[1] // 2, independent // 4))
        slack = SLACK if independent // 4 < _AXES_OF_FEW else 1.0
        fold = assign_folds(np.ones((len(z), 1)), np.asarray(groups), _FOLDS, seed)
        distance = np.zeros(len(z))
        for f in range(_FOLDS):
            distance[fold == f] = Gaussian.fit(z[fold != f], count).distance(z[fold == f])
        whole = Gaussian.fit(z, count)
        told = len(z) if direct is None else direct
        room = ALLOWANCE * len(levels) / whole.noise
        refused = sum(
            int((distance[:told][fold[:told] == f] > slack * _limit(distance[fold != f], z.shape[1], room)).sum())
            for f in range(_FOLDS)
        )
        return cls(
            levels=tuple(int(n) for n in levels),
            mean=whole.mean.astype(np.float16),
            axes=np.ascontiguousarray(whole.axes, np.float16),
            spread=np.ascontiguousarray(whole.spread, np.float32),
            noise=whole.noise,
            limit=slack * _limit(distance, z.shape[1], room),
            own_refused=refused / told,
        )

    def score(self, embedding: np.ndarray) -> np.ndarray:
        """Score embeddings (N, D), float32 (N,): above 1 the picture is foreign. What is no number is foreign too."""
        return self.score_sketch(sketch(embedding, self.levels))

    def score_sketch(self, z: np.ndarray) -> np.ndarray:
        """Score sketches (N, W), which several models on one backbone can share."""
        distance = self.distance(z)
        if self.contrast is not None:
            distance = self.contrast.apply(distance, z)
        return np.where(np.isnan(distance), np.inf, distance).astype(np.float32)

    def too_poor(self, embedding: np.ndarray) -> np.ndarray:
        """Tell which pictures, by embeddings (N, D), show too little to be answered: bool (N,)."""
        if self.legibility is None:
            return np.zeros(len(embedding), bool)
        return np.asarray(self.legibility.score(sketch(embedding, self.levels)) > 0)

    def nearness(self, embedding: np.ndarray) -> Nearness:
        """Tell how near an embedding (D,) lies to its own images.

        It is "usual" where 97 of 100 of its own lie, "unusual" within the room for another camera, and "far" where only
        the contrast lets it in, if anything does.
        """
        far = float(self.distance(sketch(embedding[None], self.levels))[0])
        return "usual" if far <= self.usual_below else "unusual" if far <= 1 else "far"

    def are_usual(self, embedding: np.ndarray) -> np.ndarray:
        """Tell which embeddings (N, D) lie where 97 of 100 of its own images do: bool (N,)."""
        return self.distance(sketch(embedding, self.levels)) <= self.usual_below

    @property
    def usual_below(self) -> float:
        """The distance, relative to the limit, under which 97 of 100 of its own images lie."""
        room = ALLOWANCE * len(self.levels) / self.noise
        return math.sqrt(max(self.limit**2 - room, 0.0)) / self.limit

    def distance(self, z: np.ndarray) -> np.ndarray:
        """Compute the distance (N,) of sketches (N, W) alone, relative to the limit, without the contrast."""
        return self.gaussian.distance(z) / self.limit

    @property
    def gaussian(self) -> Gaussian:
        """The Gaussian by which distances are computed."""
        return Gaussian(self.mean.astype(np.float32), self.axes.astype(np.float32), self.spread, self.noise)

    @property
    def can_choose(self) -> bool:
        """Whether its distance can be held against others': of few groups its limit is far, and all looks near."""
        return len(self.spread) >= _AXES_OF_FEW

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays in memory."""
        more = sum(part.weight.nbytes for part in self._parts.values())
        return self.mean.nbytes + self.axes.nbytes + self.spread.nbytes + more

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Give arrays by name, for an npz file beside others."""
        values = (
            np.array((FORMAT, *self.levels), np.int64),
            self.mean,
            self.axes,
            self.spread,
            np.array((self.noise, self.limit, self.own_refused), np.float64),
        )
        arrays = {_PREFIX + key: value for key, value in zip(_KEYS, values, strict=True)}
        return arrays | {_PREFIX + key: values for key, values in self._more_arrays().items()}

    @property
    def _parts(self) -> dict[str, Contrast | Legibility | PolarityBoundary]:
        """By key, what it has of the linear scores that only some have."""
        more = {_CONTRAST: self.contrast, _LEGIBILITY: self.legibility, _POLARITY: self.polarity}
        return {key: part for key, part in more.items() if part is not None}

    def _more_arrays(self) -> dict[str, np.ndarray]:
        """Give what only some have, as arrays by key."""
        found = {key: part.as_array() for key, part in self._parts.items()}
        watched = zip(_WATCHED, (self.reference, self.patients), strict=True)
        return found | {key: pack_reference(reference) for key, reference in watched if reference is not None}

    @classmethod
    def from_arrays(cls, stored: Mapping[str, np.ndarray]) -> Novelty | None:
        """Read back from as_arrays; None where there is none.

        Raises
        ------
        ValueError
            They do not fit together.
        """
        if _PREFIX + _KEYS[0] not in stored:
            return None
        try:
            levels, mean, axes, spread, numbers = (np.asarray(stored[_PREFIX + key]) for key in _KEYS)
        except KeyError as e:
            raise ValueError(f"{e.args[0]} is missing") from e
        more = (stored.get(_PREFIX + key) for key in _MORE)
        return cls._from_parts(levels.tolist(), mean, axes, spread, numbers, *more)

    def as_json(self) -> dict[str, Any]:
        """Give the same in types that JSON has: arrays as base64 of their bytes, little endian."""
        arrays = {key.removeprefix(_PREFIX): value for key, value in self.as_arrays().items()}
        return {
            "levels": arrays["levels"].tolist(),
            "numbers": arrays["numbers"].tolist(),
            "mean": encode_base64(self.mean, "<f2"),
            "axes": encode_base64(self.axes, "<f2"),
            "spread": encode_base64(self.spread, "<f4"),
            **{key: encode_base64(values, "<f4") for key, values in self._more_arrays().items()},
        }

    @classmethod
    def from_json(cls, entry: object) -> Novelty:
        """Read back from as_json, trusting nothing.

        Raises
        ------
        ValueError
            Says what is wrong with it.
        """
        from medloupe.model.schema import NoveltyEntry

        checked = read_entry(NoveltyEntry, entry, _SENTENCES)
        mean, axes, spread = (_array(checked.mean, "<f2"), _array(checked.axes, "<f2"), _array(checked.spread, "<f4"))
        if not len(mean) or not len(spread) or len(axes) != len(mean) * len(spread):
            raise ValueError("its arrays do not fit together")
        told = (getattr(checked, key) for key in _MORE)
        more = (None if text is None else _array(text, "<f4") for text in told)
        numbers = np.array(checked.numbers, np.float64)
        return cls._from_parts(checked.levels, mean, axes.reshape(len(spread), -1), spread, numbers, *more)

    @classmethod
    def _from_parts(
        cls,
        numbered: list[int],
        mean: np.ndarray,
        axes: np.ndarray,
        spread: np.ndarray,
        numbers: np.ndarray,
        apart: np.ndarray | None,
        legible: np.ndarray | None,
        upright: np.ndarray | None,
        *watched: np.ndarray | None,
    ) -> Novelty:
        if len(numbered) < 2 or numbered[0] != FORMAT or min(numbered[1:]) < 1:
            raise ValueError(f"its levels are not those of format {FORMAT}")
        width, count = min(WIDTH, sum(numbered[1:])), len(spread)
        if (mean.shape, axes.shape, spread.shape, numbers.shape) != ((width,), (count, width), (count,), (3,)):
            raise ValueError("its arrays do not fit together")
        if not all(np.isfinite(a).all() for a in (mean, axes, spread, numbers)):
            raise ValueError("it holds values that are no numbers")
        noise, limit, own = (float(v) for v in numbers)
        if not (1 <= count <= AXES and spread.min() > 0 and noise > 0 and limit > 0 and 0 <= own <= 1):
            raise ValueError("its variances or its limit are not above 0")
        references = (None if stored is None else unpack_reference(stored, count) for stored in watched)
        return cls(
            levels=tuple(numbered[1:]),
            mean=np.ascontiguousarray(mean, np.float16),
            axes=np.ascontiguousarray(axes, np.float16),
            spread=np.ascontiguousarray(spread, np.float32),
            noise=noise,
            limit=limit,
            own_refused=own,
            contrast=None if apart is None else Contrast.from_array(apart, width),
            legibility=None if legible is None else Legibility.from_array(legible, width),
            polarity=None if upright is None else PolarityBoundary.from_array(upright, width),
            **dict(zip(_WATCHED, references, strict=True)),
        )


def _limit(distance: np.ndarray, width: int, room: float) -> float:
    """Find the limit from distances (N,) of its own kind; never below what that many independent numbers give."""
    at = min(len(distance), math.ceil((len(distance) + 1) * LIMIT_AT)) - 1
    return math.sqrt(max(float(np.partition(distance, at)[at]) ** 2, width) + room)


def _array(text: str, dtype: str) -> np.ndarray:
    if len(text) > _LONGEST:
        raise ValueError(_SENTENCES["*"])
    return decode_base64(text, dtype, "its arrays")
