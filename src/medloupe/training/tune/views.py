"""Make augmented views of a picture that are still pictures of their kind.

A skin lesion may be turned as one likes, a chest radiograph may not: its heart lies on the left. Instead of asking for
the modality, the data are asked: if a linear probe on embeddings cannot tell mirrored (or turned) pictures from the
originals, the collection itself holds both ways round, and the change keeps their meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from medloupe.training.heads.fit import HeadChoice, build_head
from medloupe.training.heads.ranking import macro_auc
from medloupe.training.heads.refit import refit

PROBE_PICTURES = 120  # pictures that the probe looks at
UNSEEN_AUC = 0.70  # AUC of the probe up to which a change counts as unseen
TURN = 10.0  # degrees to either side where the way up has a meaning
ZOOM = 1.2  # at most this much is cropped away
LIGHT = 0.15  # of brightness and contrast, to either side


@dataclass(frozen=True, slots=True, kw_only=True)
class Symmetry:
    """Which changes leave the kind of picture what it is.

    Attributes
    ----------
    mirror : bool
        Left and right may be exchanged.
    turn : bool
        It may be turned by any angle, and upside down.
    mirror_auc, turn_auc : float or None
        How well a probe told changed pictures from the originals.
    """

    mirror: bool
    turn: bool
    mirror_auc: float | None = None
    turn_auc: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Give all fields."""
        return asdict(self)

    @property
    def words(self) -> str:
        """What views are made, in a sentence."""
        made = ["turned by any angle" if self.turn else f"turned by up to {TURN:g} degrees"]
        if self.mirror or self.turn:
            made.append("mirrored")
        return (
            f"Augmented views were {', '.join(made)}, cropped by up to {1 - 1 / ZOOM:.0%}, and changed in brightness"
            f" and contrast by up to {LIGHT:.0%}."
            + ("" if self.mirror or self.turn else " They were not mirrored: left and right differ in these pictures.")
        )


def judge_symmetry(embeddings: Sequence[np.ndarray], groups: np.ndarray, seed: int = 0) -> Symmetry:
    """Find which changes a probe cannot see in a collection.

    A probe is trained on half of the groups and asked about the other half. A quarter turn is not asked about:
    compression and cameras treat rows and columns differently, which a probe sees in any picture.

    Parameters
    ----------
    embeddings : sequence of np.ndarray
        Three of float32 (N, D): of N pictures as they are, mirrored, and turned upside down.
    groups : np.ndarray
        int (N,).
    seed : int
        Of the halves.
    """
    plain, mirrored, turned = embeddings
    mirror, turn = (_probe_auc(plain, other, groups, seed) for other in (mirrored, turned))
    return Symmetry(
        mirror=mirror <= UNSEEN_AUC, turn=turn <= UNSEEN_AUC, mirror_auc=round(mirror, 3), turn_auc=round(turn, 3)
    )


def crop_centre(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Crop the middle square of a fitted picture uint8 (S, S, 3), and make it as large again.

    The bars that pad a picture of width x height to a square would tell which way it was turned.
    """
    size = len(pixels)
    side = max(8, size * min(width, height) // max(width, height, 1))
    at = (size - side) // 2
    if at == 0:
        return pixels
    box = (at, at, at + side, at + side)
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC, box=box))


def symmetry_variants(pixels: np.ndarray) -> list[np.ndarray]:
    """Give a picture uint8 (S, S, 3) as it is, mirrored, and upside down: what judge_symmetry is asked about."""
    return [np.ascontiguousarray(v) for v in (pixels, pixels[:, ::-1], pixels[::-1, ::-1])]


def _probe_auc(one: np.ndarray, other: np.ndarray, groups: np.ndarray, seed: int) -> float:
    """Measure how well a linear probe tells two sets (N, D) apart: its AUC out of fold."""
    x = np.concatenate([one, other]).astype(np.float32)
    is_other = np.repeat([0.0, 1.0], len(one)).astype(np.float32)
    y = np.column_stack([1 - is_other, is_other])
    numbers = np.random.default_rng(seed).permutation(np.unique(groups))
    half = np.isin(np.tile(groups, 2), numbers[: len(numbers) // 2])
    choice = HeadChoice(c=1e-3, levels=(0,))
    scores = np.zeros_like(y)
    sides = [np.flatnonzero(half), np.flatnonzero(~half)]
    solutions = refit(x, y, sides, choice, task="multiclass", levels=(x.shape[1],))
    for solution, rows in zip(solutions, sides[::-1], strict=True):
        scores[rows] = build_head(solution, np.ones(2, np.float32), "multiclass").probabilities(x[rows])
    return macro_auc(scores, y)


def random_view(pixels: np.ndarray, allowed: Symmetry, rng: np.random.Generator) -> np.ndarray:
    """Draw a random view uint8 (S, S, 3) of a picture of the same shape."""
    size = len(pixels)
    image = Image.fromarray(pixels)
    if (allowed.mirror or allowed.turn) and rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    angle = rng.uniform(-180, 180) if allowed.turn else rng.uniform(-TURN, TURN)
    image = image.rotate(angle, Image.Resampling.BICUBIC)
    side = size / rng.uniform(1.0, ZOOM)
    left, top = rng.uniform(0, size - side, 2)
    image = image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast):
        image = enhance(image).enhance(rng.uniform(1 - LIGHT, 1 + LIGHT))
    return np.asarray(image)
