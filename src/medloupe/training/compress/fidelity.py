"""Measure what a network in fewer bits keeps of a model's accuracy, by heads that have not seen the answers.

Both networks' embeddings get a head made in the same way, fold by fold: each image is judged by a head that was fitted
without its group. What differs between the two figures is the network alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.data.labels import Roles
from medloupe.data.split import assign_folds, count_folds
from medloupe.errors import DataError
from medloupe.metrics.lines import cross_fit_rules
from medloupe.model.head import Head
from medloupe.training.heads.fit import FOLDS, REPEATS, Fitter, HeadChoice, build_head
from medloupe.training.heads.ranking import macro_auc, ranking_scores
from medloupe.training.heads.solver import Solution
from medloupe.training.heads.temperature import calibrate_across_folds, fit_temperature

AUC_FALL = 0.005  # how far the AUC may fall
SENSITIVITY_FALL = 0.02  # how far the sensitivity of any class may fall
_ROUNDING = 1e-9  # a fall of exactly as much as is allowed passes


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionTask:
    """A model's data set without its images, and how its head was made.

    Attributes
    ----------
    labels : tuple of str
        K names.
    kind : str
        "multiclass" or "multilabel".
    targets : np.ndarray
        float32 (N, K) of 1, 0 and NaN.
    groups : np.ndarray
        int (N,), of patients and copies.
    levels : tuple of int
        How embeddings divide.
    choice : HeadChoice
        Of the model's head.
    seed : int
        Of the model's head.
    sensitivity : float
        That its operating points aim at.
    """

    labels: tuple[str, ...]
    kind: str
    targets: np.ndarray
    groups: np.ndarray
    levels: tuple[int, ...]
    choice: HeadChoice
    seed: int
    sensitivity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionFigures:
    """How a network fares, as means over repeats of cross-validation.

    Attributes
    ----------
    auc : float
        Macro average.
    sensitivity : mapping of str to float
        By label, of the label announced; only of labels that occur.
    agreement : float or None
        Share of the images for which the same is announced as with the network compared to, if there is one.
    """

    auc: float
    sensitivity: Mapping[str, float]
    agreement: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the figures rounded to what can be told apart."""
        said = {"auc": round(self.auc, 5), "sensitivity": {k: round(v, 5) for k, v in self.sensitivity.items()}}
        return said if self.agreement is None else {**said, "agreement": round(self.agreement, 5)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionJudgement:
    """Figures and what they come from.

    Attributes
    ----------
    figures : PrecisionFigures
        How the network fares.
    logits : np.ndarray
        float32 (R, N, K), uncalibrated, out of fold.
    probabilities : np.ndarray
        float32 (R, N, K), calibrated.
    called : np.ndarray
        bool (R, N, K), which labels are announced.
    """

    figures: PrecisionFigures
    logits: np.ndarray
    probabilities: np.ndarray
    called: np.ndarray


def judge_embeddings(
    embeddings: np.ndarray, task: PrecisionTask, beside: PrecisionJudgement | None = None
) -> PrecisionJudgement:
    """Judge the embeddings of all images of a task by heads that have not seen their groups.

    Parameters
    ----------
    embeddings : np.ndarray
        float32 (N, D).
    task : PrecisionTask
        Their truth.
    beside : PrecisionJudgement, optional
        Of the other network, for the agreement.

    Raises
    ------
    DataError
        Where there are too few groups to cross-validate.
    """
    y = task.targets
    count = count_folds(y, task.groups, FOLDS)
    if not count:
        raise DataError(
            "The images cannot be cross-validated, so nothing can say what 8 bits would cost.",
            "Bring at least two patients with and two without each finding.",
        )
    fold = np.stack([assign_folds(y, task.groups, count, task.seed + r) for r in range(REPEATS)])
    fitter = Fitter(embeddings, y, task.kind, task.levels)
    logits = np.stack([fitter.out_of_fold(f, [task.choice])[0] for f in fold])
    p = np.stack([calibrate_across_folds(z, y, f, task.kind) for z, f in zip(logits, fold, strict=True)])
    if task.kind == "multilabel":
        called, _ = cross_fit_rules(p, y, task.groups, fold, Roles(labels=task.labels), task.kind, task.sensitivity)
    else:
        called = p.argmax(-1)[..., None] == np.arange(y.shape[1])
    sensitivity = {
        name: float(called[:, y[:, k] == 1, k].mean()) for k, name in enumerate(task.labels) if (y[:, k] == 1).any()
    }
    figures = PrecisionFigures(
        auc=float(np.mean([macro_auc(ranking_scores(z, task.kind), y) for z in logits])),
        sensitivity=sensitivity,
        agreement=None if beside is None else float((called == beside.called).all(-1).mean()),
    )
    return PrecisionJudgement(figures=figures, logits=logits, probabilities=p, called=called)


def describe_falls(before: PrecisionFigures, after: PrecisionFigures) -> list[str]:
    """Say what fell further than is allowed; empty where the network is accepted."""
    said = []
    if before.auc - after.auc > AUC_FALL + _ROUNDING:
        said.append(f"the AUC falls from {before.auc:.4f} to {after.auc:.4f} (at most {AUC_FALL} is allowed)")
    for label, value in before.sensitivity.items():
        if value - after.sensitivity[label] > SENSITIVITY_FALL + _ROUNDING:
            said.append(
                f"the sensitivity for {label} falls from {value:.3f} to {after.sensitivity[label]:.3f}"
                f" (at most {SENSITIVITY_FALL} is allowed)"
            )
    return said


def measure_worst_fall(before: PrecisionFigures, after: PrecisionFigures) -> float:
    """Measure the largest fall as a share of what is allowed; at most 1 where the network is accepted."""
    each = [(v - after.sensitivity[label]) / SENSITIVITY_FALL for label, v in before.sensitivity.items()]
    return max([(before.auc - after.auc) / AUC_FALL, *each])


def fit_head(
    embeddings: np.ndarray,
    task: PrecisionTask,
    judged: PrecisionJudgement,
    temperature: float | Sequence[float] | None = None,
    solution: Solution | None = None,
) -> Head:
    """Fit the head on all images, as training makes it.

    Parameters
    ----------
    embeddings : np.ndarray
        float32 (N, D).
    task : PrecisionTask
        Their truth.
    judged : PrecisionJudgement
        Of these embeddings.
    temperature : float or sequence of float, optional
        By default fitted to the out-of-fold logits.
    solution : Solution, optional
        The head uncalibrated, where field views taught it too.
    """
    if solution is None:
        fitter = Fitter(embeddings, task.targets, task.kind, task.levels)
        solution = fitter.solve([(np.ones(len(task.targets), bool), task.choice)])[0]
    if temperature is None:
        cooled = fit_temperature(judged.logits[0], task.targets, task.kind)
    else:
        cooled = np.broadcast_to(np.asarray(temperature, np.float32), task.targets.shape[1:])
    return build_head(solution, cooled, task.kind)
