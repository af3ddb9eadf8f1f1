"""Fit a recipe into the time that a person allows: views first, then epochs, then folds are given up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from medloupe.errors import FinetuneError
from medloupe.training.tune.recipe import Recipe

FEWEST_EPOCHS, FEWEST_FOLDS = 2, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningPlan:
    """How a network is tuned within its time.

    Attributes
    ----------
    recipe : Recipe
        Of each training.
    folds : int
        Of the cross-validation.
    words : str
        What was given up for the time, a sentence or "".
    """

    recipe: Recipe
    folds: int
    words: str = ""

    def as_json(self) -> dict[str, Any]:
        """Give all fields."""
        return {"recipe": self.recipe.as_json(), "folds": self.folds, "words": self.words}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> TuningPlan:
        """Read what as_json gave."""
        return cls(recipe=Recipe.from_json(entry["recipe"]), folds=int(entry["folds"]), words=str(entry["words"]))


def limit_views(recipe: Recipe, missing: Callable[[int], int], each: float, seconds: float) -> Recipe:
    """Take as many views as can be made in half of the time; the plain one may take all of it.

    Parameters
    ----------
    recipe : Recipe
        With the views that are wanted.
    missing : callable
        How many pictures have yet to be made for so many views.
    each : float
        Seconds for one of them.
    seconds : float
        At hand.

    Raises
    ------
    FinetuneError
        When there is not time enough even for the plain one.
    """
    for views in range(recipe.views, 1, -1):
        if missing(views) * each <= max(0, seconds / 2):
            return replace(recipe, views=views)
    count = missing(1)
    if count and count * each > seconds:
        raise FinetuneError(
            f"Preparing {count:,} pictures for fine-tuning takes {_format_minutes(count * each / 60)} on this machine,"
            " longer than is allowed.",
            f"Allow more with --minutes {int(count * each / 20) + 1}, or use --finetune none.",
        )
    return replace(recipe, views=1)


def limit_trainings(
    asked: TuningPlan, count: int, needs: Callable[[int, int], float], minutes: float, left: float
) -> TuningPlan:
    """Take fewer epochs, then fewer folds than asked for, until it fits.

    Parameters
    ----------
    asked : TuningPlan
        What is wanted.
    count : int
        Of pictures.
    needs : callable
        Seconds for so many epochs and folds.
    minutes : float
        That were allowed.
    left : float
        Seconds of them.

    Raises
    ------
    FinetuneError
        When even the least takes longer.
    """
    recipe = asked.recipe
    fewest = min(FEWEST_EPOCHS, recipe.epochs)
    for folds in range(asked.folds, FEWEST_FOLDS - 1, -1):
        for epochs in range(recipe.epochs, fewest - 1, -1):
            if needs(epochs, folds) <= left:
                return TuningPlan(recipe=replace(recipe, epochs=epochs), folds=folds, words=asked.words)
    least = minutes + (needs(fewest, FEWEST_FOLDS) - left) / 60
    raise FinetuneError(
        f"Fine-tuning ({recipe.kind}) {count:,} pictures takes at least {_format_minutes(least)} on this machine;"
        f" {_format_minutes(minutes)} {'is' if minutes == 1 else 'are'} allowed.",
        f"Allow more with --minutes {int(least) + 1}, or use --finetune none.",
    )


def describe_reductions(asked: TuningPlan, taken: TuningPlan, minutes: float) -> str:
    """Say in a sentence what was taken instead of what was asked for, or ""."""
    parts = []
    if taken.recipe.epochs < asked.recipe.epochs:
        parts.append(f"trained for {taken.recipe.epochs} instead of {asked.recipe.epochs} epochs")
    if taken.folds < asked.folds:
        parts.append(f"judged in {taken.folds} folds instead of {asked.folds}")
    if taken.recipe.views < asked.recipe.views:
        parts.append(f"shown {taken.recipe.views} views of each picture instead of {asked.recipe.views}")
    if taken.recipe.field < asked.recipe.field:
        parts.append("not shown photographs of them")
    return f"To stay within {_format_minutes(minutes)} it was {', '.join(parts)}." if parts else ""


def _format_minutes(minutes: float) -> str:
    return "1 minute" if minutes == 1 else f"{minutes:.2g} minutes" if minutes < 10 else f"{minutes:,.0f} minutes"
