"""Calibrate the scores of boxes that were found out of fold, draw their lines, and weigh them for the whole picture.

Sources: Platt, "Probabilistic outputs for support vector machines" (1999); Küppers et al., "Multivariate confidence
calibration for object detection" (CVPR workshops 2020) on calibrating by matches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medloupe.metrics.counting import find_count_line
from medloupe.metrics.froc import find_line
from medloupe.metrics.matching import Detections, LabelMatches, Truths, match_label
from medloupe.model.boxes import best_scores, score_logits
from medloupe.model.head import Head
from medloupe.training.detect.export import CLIP
from medloupe.training.heads.fit import fit

HALF = np.array([0.5])  # IoU from which on a box is right
FEWEST = 10  # right and wrong boxes of a label, below which all labels are calibrated together
SURE = 0.02  # raw score from which on boxes take part: below they are countless, and nearly all wrong
JUDGED = 10  # groups with and without a label, below which a whole picture is judged by its boxes alone
_RIDGE = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxLines:
    """From which calibrated score on boxes are marked and counted, by label; infinite where none is.

    Attributes
    ----------
    mark, count : np.ndarray
        float64 (K,).
    """

    mark: np.ndarray
    count: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class WholePicture:
    """How probabilities of whole pictures come about.

    Attributes
    ----------
    head : Head
        On the embedding; zeros where a label is judged by its boxes alone.
    gain : np.ndarray
        float32 (K,), of the logit of the best score.
    judged : np.ndarray
        bool (K,): whether there are pictures with and without the label, so that it can be judged.
    out_of_fold : np.ndarray
        float32 (N, K): probabilities of the pictures that it was fitted on, by parts that had not seen them.
    """

    head: Head
    gain: np.ndarray
    judged: np.ndarray
    out_of_fold: np.ndarray


def fit_score_calibration(detections: Sequence[Detections], truths: Sequence[Truths], labels: int) -> np.ndarray:
    """Fit slope and intercept of the logit of each label's score, by which boxes are right at an IoU of one half.

    Returns
    -------
    np.ndarray
        float32 (2, K).
    """
    matched = [match_label(detections, truths, k, thresholds=HALF) for k in range(labels)]
    pairs = [(m.scores[m.scores >= SURE], m.hit[0, 0][m.scores >= SURE]) for m in matched]
    everything = fit_logistic(
        _raw_logits(np.concatenate([s for s, _ in pairs]))[:, None], np.concatenate([h for _, h in pairs])
    )
    made = np.empty((2, labels), np.float32)
    for k, (scores, hit) in enumerate(pairs):
        own = min(hit.sum(), (~hit).sum()) >= FEWEST
        made[:, k] = fit_logistic(_raw_logits(scores)[:, None], hit) if own else everything
    return made


def calibrate_scores(scores: np.ndarray, labels: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Calibrate scores (n,) of boxes with labels (n,), as the graph of a model file does."""
    z = calibration[0][labels] * _raw_logits(scores) + calibration[1][labels]
    return 1 / (1 + np.exp(-z))


def _raw_logits(scores: np.ndarray) -> np.ndarray:
    p = np.clip(scores, CLIP, 1 - CLIP)
    return np.log(p) - np.log1p(-p)


def fit_logistic(x: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Fit a logistic regression by Newton's method: slopes (d,), none below 0, and the intercept, as float64 (d + 1,).

    Without any right or any wrong ones the slopes are 1 and the intercept 0.
    """
    d = x.shape[1]
    start = np.array([*np.ones(d), 0.0])
    if not hit.any() or hit.all():
        return start
    design, y, w = np.column_stack([x, np.ones(len(x))]), hit.astype(np.float64), start.copy()
    pull = _RIDGE * np.array([*np.ones(d), 0.0])  # towards what the scores say by themselves

    def loss(v: np.ndarray) -> float:
        z = design @ v
        return float((np.logaddexp(0, z) - y * z).sum() + (pull * (v - start) ** 2).sum() / 2)

    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ w, -30, 30)))
        gradient = design.T @ (p - y) + pull * (w - start)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(pull + 1e-9)
        step, before = np.linalg.solve(hessian, gradient), loss(w)
        while loss(w - step) > before and np.abs(step).max() > 1e-8:
            step = step / 2  # far from the solution a whole step goes too far
        w = w - step
        if np.abs(step).max() < 1e-8:
            break
    if (w[:-1] < 0).any():  # what speaks for it may not speak against it
        kept = w[:-1] > 0
        again = fit_logistic(x[:, kept], hit) if kept.any() else np.array([np.log(y.mean() / (1 - y.mean()))])
        w = np.zeros(d + 1)
        w[:-1][kept], w[-1] = again[:-1], again[-1]
    return w


def draw_box_lines(matches: Sequence[LabelMatches], false_marks: float) -> BoxLines:
    """Draw the lines of each label, by boxes found out of fold.

    They are the lines by which `metrics.detection` judges: a box is counted from the score at which counts are nearest
    to the truth, and marked from the one with the best F2 among those with at most so many false marks a picture.

    Parameters
    ----------
    matches : sequence of LabelMatches
        Of each label, at an IoU of one half, with calibrated scores.
    false_marks : float
        Of one label, allowed a picture.
    """
    mark, count = [], []
    for m in matches:
        every = np.ones(m.truths.shape[1], bool)
        count.append(find_count_line(m.scores, m.picture, m.truths[0], every))
        mark.append(find_line(m, false_marks, every))
    return BoxLines(mark=np.array(mark), count=np.array(count))


def fit_whole_picture(
    embeddings: np.ndarray,
    boxes: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    levels: tuple[int, ...],
    seed: int,
) -> WholePicture:
    """Fit how the probability that a label is on a picture follows from its boxes and its embedding together.

    Parameters
    ----------
    embeddings : np.ndarray
        float32 (N, D); (0, D) where pictures are looked at in tiles: the surest box alone then tells.
    boxes : np.ndarray
        float32 (N, M, 6), found out of fold, with calibrated scores.
    targets : np.ndarray
        float32 (N, K) of 1, 0 and NaN.
    groups : np.ndarray
        int (N,).
    levels : tuple of int
        How D divides.
    seed : int
        Of the folds.
    """
    k, d = targets.shape[1], embeddings.shape[1]
    weight, bias, gain = np.zeros((k, d), np.float32), np.zeros(k, np.float32), np.ones(k, np.float32)
    best = score_logits(best_scores(boxes, k)).astype(np.float64)
    out_of_fold = 1 / (1 + np.exp(-best))
    with_it, without = (np.array([len(np.unique(groups[column == value])) for column in targets.T]) for value in (1, 0))
    judged = np.minimum(with_it, without) >= JUDGED
    if len(embeddings) and judged.any():
        fitted = fit(embeddings, targets[:, judged], groups, task="multilabel", levels=levels, seed=seed, repeats=1)
        folds = fitted.folds[0]
        for at, label in enumerate(np.flatnonzero(judged)):
            known = ~np.isnan(targets[:, label])
            p = np.clip(fitted.out_of_fold[0][:, at].astype(np.float64), 1e-6, 1 - 1e-6)
            x, y = np.column_stack([np.log(p) - np.log1p(-p), best[:, label]]), targets[:, label] == 1
            for f in np.unique(folds):
                part = fit_logistic(x[known & (folds != f)], y[known & (folds != f)])
                z = x[folds == f] @ part[:-1] + part[-1]
                out_of_fold[folds == f, label] = 1 / (1 + np.exp(-z))
            a, g, c = fit_logistic(x[known], y[known])
            weight[label], bias[label], gain[label] = a * fitted.head.weight[at], a * fitted.head.bias[at] + c, g
    head = Head(weight=weight, bias=bias, task="detection")
    return WholePicture(head=head, gain=gain, judged=judged, out_of_fold=out_of_fold.astype(np.float32))
