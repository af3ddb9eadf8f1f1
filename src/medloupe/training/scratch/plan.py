"""Fit a comparison with random weights into the time: fewer steps, smaller pictures, fewer of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from medloupe.training.tune.recipe import DEFAULTS, Recipe

_EPOCHS = range(12, 4, -1)  # of the histories
_ENOUGH = 8  # for which smaller pictures are not taken
_FEWEST = 100  # pictures in the histories
_SHARES, _LEAST = (1.0, 0.7, 0.5), 0.3  # of the steps on few images that are wanted
_STEPS, _MOST_EPOCHS = 280, 60
_CHECK = 1 / 3  # of a training step's time, to look at a picture


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchPlan:
    """What fits into the time.

    Attributes
    ----------
    side : int
        Of the pictures, in pixels.
    epochs, rows : int
        Of the histories.
    share : float
        Of the wanted steps on few images.
    sizes : tuple of int
        Images a class.
    """

    side: int
    epochs: int
    rows: int
    share: float
    sizes: tuple[int, ...]


def plan_trainings(
    sides: Mapping[int, float], tuned: float, sizes: Mapping[int, int], rest: int, held: int, seconds: float
) -> ScratchPlan:
    """Plan the most that fits: half of the seconds for the histories, half for few images.

    Parameters
    ----------
    sides : mapping of int to float
        Seconds an image trained on takes, by the pictures' side in pixels, the best side first.
    tuned : float
        Likewise for the pretrained network.
    sizes : mapping of int to int
        Images in all by images a class.
    rest, held : int
        How many can be learned from, and judge.
    seconds : float
        At hand.
    """
    half = seconds / 2

    def history(epochs: int, rows: int, each: float) -> float:
        return epochs * (rows + held * _CHECK) * (each + tuned)

    def of_few(chosen: Sequence[int], share: float, each: float) -> float:
        recipes = [(few_images_recipe(sizes[n], share), sizes[n]) for n in chosen]
        return each * sum(r.epochs * max(n, r.batch) + held * _CHECK for r, n in recipes)

    def fitting(each: float) -> tuple[int, tuple[int, ...], float]:
        epochs = next((e for e in _EPOCHS if history(e, rest, each) <= half), 0)
        kept = range(len(sizes), 0, -1)
        # a curve needs two points: for these still fewer steps will do
        ways = [(tuple(sizes)[:n], share) for n in kept for share in (_SHARES if n != 2 else (*_SHARES, _LEAST))]
        chosen, share = next((w for w in ways if of_few(*w, each) <= half), ((), _SHARES[-1]))
        return epochs, chosen, share

    side = next(iter(sides))
    epochs, chosen, share = fitting(sides[side])
    if epochs < _ENOUGH or len(chosen) < len(sizes):
        side = min(sides)
        epochs, chosen, share = fitting(sides[side])
    rows = rest
    if not epochs:  # then on fewer pictures
        epochs = _EPOCHS[-1]
        rows = min(rest, max(_FEWEST, int(half / (epochs * (sides[side] + tuned)) - held * _CHECK)))
    return ScratchPlan(side=side, epochs=epochs, rows=rows, share=share, sizes=chosen)


def few_images_recipe(count: int, share: float) -> Recipe:
    """Make a recipe for `count` images, seen often enough for a network that begins with nothing, or a share of it."""
    batch = batch_size(count)
    wanted = min(_MOST_EPOCHS, _STEPS / max(1, count // batch))
    epochs = max(5, round(share * wanted))
    return replace(DEFAULTS["scratch"], batch=batch, epochs=epochs, patience=epochs)


def batch_size(count: int) -> int:
    """Choose the images a step: a network that begins with nothing needs steps, even where there are few images."""
    return 16 if count < 400 else 32


def describe_omissions(plan: ScratchPlan, sizes: Mapping[int, int], rows: int, rest: int, full: int) -> str:
    """Say what of the comparison the time did not allow, in a sentence, or ""."""
    less = []
    if plan.side < full:
        less.append(f"the network from scratch saw pictures of {plan.side} instead of {full} pixels a side")
    if plan.share < 1 and plan.sizes:
        less.append(f"it went {plan.share:.0%} of the usual times through the few pictures")
    if left := [n for n in sizes if n not in plan.sizes]:
        less.append(f"{' and '.join(map(str, left))} a class were left out")
    if rows < rest:
        less.append(f"the epochs are of {rows:,} of {rest:,} pictures")
    return f"To stay within the time, {', '.join(less)}. --minutes allows more." if less else ""
