"""Know kinds of pictures by their statistics, so that a check-up that saw only its own kind can be set apart from them.

Of each data set a Gaussian in the sketch of medloupe.model.novelty is kept: a mean, a few axes with their variance and
one variance for all other directions, estimated from a hundred pictures and more. Sketches drawn from it stand in
for the pictures: boundaries drawn with them refuse as much as boundaries drawn with the pictures' own sketches
(benchmarks/kind_bank.py). No picture, embedding or sketch of one is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medloupe.model.gaussian import Gaussian
from medloupe.model.novelty import Novelty

NEAR = 0.95
"""Share of a kind's limit below which half of a set's pictures lie, where they are of that kind."""
NEAR_TOGETHER = 1.25
"""The same, where also many of the kind's pictures would be let in (LET_IN)."""
LET_IN = 0.25
"""Share of the pictures of a kind that would be let in, from which on the two count as near each other."""
_ASKED = 200  # sketches of a kind by which it is told whether they would be let in


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownSet:
    """What the pictures of one data set usually look like.

    Attributes
    ----------
    name, kind : str
        Of the data set, and of what it shows in words ("chest X-ray").
    anything : bool
        Whether it is so varied (drawn pictures, everyday photographs) that much lies within it which is not of it.
    pictures : int
        By how many it was estimated.
    gaussian : Gaussian
        In W dimensions.
    limit : float
        The distance under which 97 of 100 pictures of it lie, with room for another camera.
    """

    name: str
    kind: str
    anything: bool
    pictures: int
    gaussian: Gaussian
    limit: float

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw sketches float32 (count, W) as its pictures might have."""
        return self.gaussian.draw(count, rng)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KindBank:
    """What is known of kinds of pictures, by embeddings that divide into some levels.

    Attributes
    ----------
    sets : sequence of KnownSet
        At least one.
    """

    sets: Sequence[KnownSet]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds, in order, each once."""
        return tuple(dict.fromkeys(known.kind for known in self.sets))

    def name_own(self, z: np.ndarray, novelty: Novelty | None, told: str = "") -> tuple[str, ...]:
        """Name the kinds that pictures are of, as far as these are known here.

        Parameters
        ----------
        z : np.ndarray
            float32 (N, W), sketches of the pictures.
        novelty : Novelty or None
            Fitted on them.
        told : str
            What a person says they are; where this is a kind that is known here, that counts alone.

        Returns
        -------
        tuple of str
            Where any set of a kind is near, that kind.
        """
        said = tuple(kind for kind in self.kinds if kind.casefold() == told.strip().casefold())
        if said:
            return said
        rng = np.random.default_rng(0)
        near = {known.kind for known in self.sets if not known.anything and self._is_near(known, z, novelty, rng)}
        return tuple(kind for kind in self.kinds if kind in near)

    def _is_near(self, known: KnownSet, z: np.ndarray, novelty: Novelty | None, rng: np.random.Generator) -> bool:
        apart = float(np.median(known.gaussian.distance(z))) / known.limit
        if apart <= NEAR or novelty is None or apart > NEAR_TOGETHER:
            return apart <= NEAR
        return float((novelty.distance(known.draw(_ASKED, rng)) <= 1).mean()) >= LET_IN

    def draw_others(self, own: Sequence[str], count: int, seed: int = 0) -> np.ndarray:
        """Draw sketches float32 (M, W) of every set whose kind is none of its own, `count` of each."""
        rng = np.random.default_rng(seed)
        drawn = [known.draw(count, rng) for known in self.sets if known.kind not in own]
        width = len(self.sets[0].gaussian.mean)
        return np.concatenate(drawn) if drawn else np.zeros((0, width), np.float32)
