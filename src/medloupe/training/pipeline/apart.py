"""Set a check-up's own kind of picture apart from others: by what is usual, and by what is known of other kinds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from medloupe.model.kind_bank import KindBank
from medloupe.model.novelty import FEWEST, FEWEST_APART, Novelty
from medloupe.model.sketch import sketch_many
from medloupe.training.heads.contrast import draw_contrast
from medloupe.training.heads.polarity import FittedPolarity

DRAWN = 200
"""Sketches of each known set that stand for its pictures."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Apart:
    """By what other kinds are refused.

    Attributes
    ----------
    novelty : Novelty or None
        None where nothing is refused.
    own, others : tuple of str
        Of the known kinds those that count as its own, and those that it is set apart from; none where no kinds are
        known.
    told : bool
        Whether its own kind was told by a person, not found by distance.
    needed : int
        Groups that it takes to refuse anything.
    polarity : FittedPolarity or None
        How its pictures are told from their negatives; None where they have colours, or cannot be told.
    """

    novelty: Novelty | None
    own: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    told: bool = False
    needed: int = FEWEST
    polarity: FittedPolarity | None = None

    @property
    def words(self) -> str:
        """What its kind was taken to be, in a sentence; "" where no kinds are known."""
        if not self.others:
            return ""
        own = f"Its own kind is {' and '.join(self.own)}" if self.own else "Its own kind is none of those known"
        how = "as was told" if self.told else "found by distance; --kind tells another"
        return f"{own} ({how}); it is set apart from {', '.join(self.others)}."


def set_apart(
    embeddings: np.ndarray,
    groups: np.ndarray,
    levels: tuple[int, ...],
    bank: KindBank | None,
    *,
    kind: str,
    direct: int,
    seed: int,
) -> Apart:
    """Fit what is usual, and draw the boundary to other kinds where any are known.

    Parameters
    ----------
    embeddings : np.ndarray
        float32 (N, D), of pictures and, behind them, of what the field makes of them.
    groups : np.ndarray
        int (N,).
    levels : tuple of int
        How D divides.
    bank : KindBank or None
        What is known of other kinds, by these levels.
    kind : str
        Of picture, as the person says; "" where not told.
    direct : int
        How many of the rows, the first, are the pictures as they were brought.
    seed : int
        Of the folds.
    """
    needed = FEWEST if bank is None else FEWEST_APART
    novelty = Novelty.fit(embeddings, groups, levels, seed, direct, needed)
    if novelty is None or bank is None:
        return Apart(novelty=novelty, needed=needed)
    z = sketch_many(embeddings, levels)
    few = len(np.unique(groups)) < FEWEST
    own = bank.name_own(z[:direct], None if few else novelty, kind)
    others = tuple(name for name in bank.kinds if name not in own)
    if not others:
        return Apart(novelty=None if few else novelty)
    contrast, beyond = draw_contrast(z, groups, bank.draw_others(own, DRAWN, seed), seed)
    refused = max(novelty.own_refused, float(beyond[:direct].mean()))
    return Apart(
        novelty=replace(novelty, contrast=contrast, own_refused=refused),
        own=own,
        others=others,
        told=any(name.casefold() == kind.strip().casefold() for name in own),
    )
