"""The space of recipes that a search looks through."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from medloupe.training.tune.recipe import Recipe

if TYPE_CHECKING:
    import optuna


def searched_values(recipe: Recipe) -> dict[str, Any]:
    """Give the values of a recipe that are searched over, by name.

    Views are cached for a tail only; otherwise every step sees a new one.
    """
    names = ["depth", "rate", "decay", "head_rate", "mixup", "smoothing", "balance"]
    if recipe.kind == "tail":
        names.append("views")
    return {name: getattr(recipe, name) for name in names}


def suggest_recipe(trial: optuna.trial.BaseTrial, default: Recipe, views: int) -> Recipe:
    """Ask a trial for a recipe near the default one, with at most `views` views of each picture."""

    def number(name: str, low: float, high: float, *, log: bool = False) -> float:
        usual = getattr(default, name)  # always among the possible, as it is tried first
        value = trial.suggest_float(name, min(low, usual), max(high, usual), log=log)
        return value if value == usual else float(f"{value:.3g}")

    values: dict[str, Any] = {
        "depth": number("depth", 0.25, 1.0),
        "rate": number("rate", 5e-5, 1e-3, log=True),
        "decay": number("decay", 0.6, 1.0),
        "head_rate": number("head_rate", 5e-4, 1e-2, log=True),
        "mixup": number("mixup", 0.0, 0.4),
        "smoothing": number("smoothing", 0.0, 0.2),
        "balance": number("balance", 0.0, 1.0),
    }
    if default.kind == "tail":
        values["views"] = trial.suggest_int("views", 1, views)
    return replace(default, **values)
