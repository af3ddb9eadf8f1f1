"""Judge examples by heads that have not learned from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from medloupe.data.split import Plan, assign_folds, count_folds
from medloupe.embed.features import Features
from medloupe.embed.field import FieldFeatures
from medloupe.errors import DataError
from medloupe.metrics import tables
from medloupe.metrics.lines import FlagRule, fit_rule
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision
from medloupe.model.head import Head
from medloupe.model.novelty import Novelty
from medloupe.training.heads.fit import FOLDS, Fitter, HeadChoice, build_head
from medloupe.training.heads.own_views import add_soft_views, see_own_views, solve_as_own
from medloupe.training.heads.solver import Solution
from medloupe.training.heads.temperature import calibrate_across_folds, fit_temperature


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutJudge:
    """One head with the rules by which it answers.

    Attributes
    ----------
    rows : np.ndarray
        int (n,), which images it may judge.
    head : Head
        By which it answers.
    rule : FlagRule
        By which it flags.
    novelty : Novelty or None
        By what it refuses, if it does.
    """

    rows: np.ndarray
    head: Head
    rule: FlagRule
    novelty: Novelty | None


def make_own_judge(model: Model, rows: np.ndarray) -> HeldOutJudge:
    """Make the model itself a judge, of images (rows) that it was not trained on."""
    rule = Decision.from_card(model.card).rule
    return HeldOutJudge(rows=rows, head=model.head, rule=rule, novelty=model.novelty)


def make_fold_judges(
    model: Model, features: Features, shared: np.ndarray, targets: np.ndarray, groups: np.ndarray, seed: int
) -> list[HeldOutJudge]:
    """Fit judges that share all rows of the features out among them, each for the groups that it has not seen.

    Parameters
    ----------
    model : Model
        Whose head they stand in for.
    features : Features
        By its network.
    shared : np.ndarray
        float32 (N, D), embeddings by the untuned backbone, which novelty reads.
    targets : np.ndarray
        (N, K) of 1, 0 and NaN, in the order of the model's labels.
    groups : np.ndarray
        int (N,).
    seed : int
        Of the folds.

    Raises
    ------
    DataError
        Where the groups are too few, or the card does not say how its head was made.
    """
    choice = _head_choice(model)
    count = count_folds(targets, groups, FOLDS)
    if not count:
        raise _too_few(model)
    task = str(model.card["task"])
    fold = assign_folds(targets, groups, count, seed)
    views = see_own_views(model, features, np.arange(len(targets)), model.backbone)
    solutions = _solve(model, features.embeddings, targets, views, [fold != f for f in range(count)], choice)
    logits = np.empty(targets.shape, np.float32)
    for f, solution in enumerate(solutions):
        logits[fold == f] = features.embeddings[fold == f] @ solution.weight + solution.bias
    p = calibrate_across_folds(logits, targets, fold, task)
    judges = []
    for f, solution in enumerate(solutions):
        others = fold != f
        head, rule = _fit_rules(model, solution, logits[others], p[others], targets[others], groups[others])
        novelty = _fit_novelty(model, shared[others], groups[others], views, np.flatnonzero(others), seed)
        judges.append(HeldOutJudge(rows=np.flatnonzero(~others), head=head, rule=rule, novelty=novelty))
    return judges


def make_test_judge(
    model: Model, features: Features, shared: np.ndarray, targets: np.ndarray, planned: Plan, seed: int
) -> HeldOutJudge:
    """Fit the one judge of an official test split, on the rows that the plan fits on.

    Parameters
    ----------
    model, features, shared, targets, seed
        As for `make_fold_judges`.
    planned : Plan
        With a test split.

    Raises
    ------
    DataError
        As `make_fold_judges` does.
    """
    assert planned.test is not None
    choice = _head_choice(model)
    rows, task = planned.fitting, str(model.card["task"])
    y, groups = targets[rows], planned.groups[rows]
    count = count_folds(y, groups, FOLDS)
    if not count:
        raise _too_few(model)
    fold = assign_folds(y, groups, count, seed)
    x = features.embeddings[rows]
    views = see_own_views(model, features, rows, model.backbone)
    masks = [*(fold != f for f in range(count)), np.ones(len(rows), bool)]
    *parts, solution = _solve(model, x, y, views, masks, choice)
    logits = np.empty(y.shape, np.float32)
    for f, part in enumerate(parts):
        logits[fold == f] = x[fold == f] @ part.weight + part.bias
    head, rule = _fit_rules(model, solution, logits, calibrate_across_folds(logits, y, fold, task), y, groups)
    novelty = _fit_novelty(model, shared[rows], groups, views, np.arange(len(rows)), seed)
    return HeldOutJudge(rows=planned.test, head=head, rule=rule, novelty=novelty)


def _fit_rules(
    model: Model, solution: Solution, logits: np.ndarray, p: np.ndarray, y: np.ndarray, groups: np.ndarray
) -> tuple[Head, FlagRule]:
    """Fit head and rule by out-of-fold logits and probabilities (n, K) of the other images, and their truth.

    Of tuned stages that have seen the images the logits look surer than they are: then what training measured stands.
    """
    task = str(model.card["task"])
    said = Decision.from_card(model.card)
    if model.tuned and not model.card.get("adapted"):
        temperature = np.broadcast_to(np.asarray(model.card["calibration"]["temperature"], np.float32), y.shape[1:])
        return build_head(solution, temperature, task), said.rule
    rule = fit_rule(p, y, groups, said.roles, task, sensitivity=tables.target_sensitivity(model.card))
    return build_head(solution, fit_temperature(logits, y, task), task), rule


def _solve(
    model: Model,
    x: np.ndarray,
    y: np.ndarray,
    views: FieldFeatures | None,
    masks: list[np.ndarray],
    choice: HeadChoice,
) -> list[Solution]:
    """Fit heads on the rows of each mask, with views where the model's own learned from them."""
    if views is not None:
        return solve_as_own(model, x, y, views, masks, choice)
    fitter = Fitter(x, y, str(model.card["task"]), model.backbone.card.levels)
    return fitter.solve([(mask, choice) for mask in masks])


def _fit_novelty(
    model: Model,
    shared: np.ndarray,
    groups: np.ndarray,
    views: FieldFeatures | None,
    rows: np.ndarray,
    seed: int,
) -> Novelty | None:
    """Fit it without the images to be judged, as the model's own; take that itself where they are too few.

    Its contrast to other kinds is the model's: those kinds are not at hand.
    """
    if model.novelty is None:
        return None
    direct = len(groups)
    shared, groups = add_soft_views(shared, groups, None if views is None else views.within(rows))
    fitted = Novelty.fit(shared, groups, model.novelty.levels, seed, direct)
    if fitted is None:
        return model.novelty
    return replace(fitted, contrast=model.novelty.contrast, legibility=model.novelty.legibility)


def _head_choice(model: Model) -> HeadChoice:
    said = model.card.get("head") or {}
    if said.get("regularisation") is None or not said.get("levels"):
        raise DataError(
            f"The card of {model.name} does not say how its head was fitted, so no other can stand in for it on images"
            " that it was trained on.",
            "Bring labelled images that the model has not seen.",
        )
    return HeadChoice(c=float(said["regularisation"]), levels=tuple(said["levels"]))


def _too_few(model: Model) -> DataError:
    return DataError(
        f"{model.name} was trained on these images, and they are too few to judge it by heads that have not seen them.",
        "Bring all images it was trained on (two patients with and two without each finding at least), or new ones.",
    )
