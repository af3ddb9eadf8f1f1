"""Choose from which probability on findings are flagged: all lines together, by examples that a head has not seen.

First comes what is asked of people with nothing: at most a share of the finding-free examples may get any flag. What
that leaves goes to the sensitivity of the findings, the most dangerous first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from medloupe.data.labels import Roles

OFTEN = 100  # examples in the usual group, from which on a line below the most probable would flag everybody
MOST_PROBABLE = 0.5  # from here on a class is the most probable of all whatever the others are
HOPELESS, WORTH_FINDING = 0.1, 0.1  # a label whose flags are right less often, at any line that finds this share
UNCLEAR_MOST = 0.14  # share of the examples, and of those without a finding, that may be unclear
FEW_ERRORS, CLEARER, CLEARER_ELSEWHERE = 0.1, 4.0, 1.5
"""Where at most so many are flagged wrongly, unclear ones must be wrong so many times as often; and elsewhere."""
_MARGIN = 1.3  # what holds on the examples at hand must hold on new ones
_STEPS = 91


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagRule:
    """When a label is flagged, and when an answer is too close to call.

    Attributes
    ----------
    task : str
        "multiclass" or "multilabel".
    sought : np.ndarray
        bool (K,), which labels are findings.
    announced : np.ndarray
        bool (K,), which of them are worth a flag.
    settled : bool
        Whether another label says that nothing was found.
    lines : np.ndarray
        float32 (K,), probabilities from which findings are flagged; of the others without meaning.
    unclear_from : float or None
        Probability of any finding from which an answer without a flag is unclear; None: never for that.
    """

    task: str
    sought: np.ndarray
    announced: np.ndarray
    settled: bool
    lines: np.ndarray
    unclear_from: float | None = None

    def flags(self, p: np.ndarray) -> np.ndarray:
        """Tell which labels are flagged, bool (..., K), for probabilities (..., K).

        A finding is flagged at or over its line, and where it is the most probable label.
        """
        # In single precision, as the lines were found: near 1 a line is rounded up to 1, above all that is exact.
        able = self.sought & self.announced
        return np.asarray(((p.astype(np.float32) >= self.lines) | self.leading(p)) & able)

    def leading(self, p: np.ndarray) -> np.ndarray:
        """Tell whether a label is the most probable one, bool (..., K).

        Where labels do not exclude each other and none says that nothing was found, one must be more probable than not.
        """
        first = np.asarray(np.arange(p.shape[-1]) == p.argmax(-1)[..., None])
        return first if self.task == "multiclass" or self.settled else np.asarray(first & (p >= MOST_PROBABLE))

    def finding(self, p: np.ndarray) -> np.ndarray:
        """Compute the probability of any finding, (...,), of probabilities (..., K)."""
        if self.task == "multiclass":
            return p[..., self.sought].sum(-1)
        return 1 - np.prod(1 - p[..., self.sought], axis=-1)

    def unclear(self, p: np.ndarray) -> np.ndarray:
        """Tell where the answer is too close to call, bool (...,): never where a label is flagged."""
        hidden = np.asarray((self.leading(p) & self.sought & ~self.announced).any(-1))
        close = hidden if self.unclear_from is None else hidden | (self.finding(p) >= self.unclear_from)
        return np.asarray(close & ~self.flags(p).any(-1))


def thresholds(probabilities: np.ndarray, targets: np.ndarray, sensitivity: float) -> np.ndarray:
    """Find for each label the highest threshold (K,) that still finds the share `sensitivity` of its cases.

    NaN for a label without cases.
    """
    found = np.full(targets.shape[1], np.nan)
    for k in range(targets.shape[1]):
        cases = np.sort(probabilities[targets[:, k] == 1, k])
        if len(cases):
            found[k] = cases[min(int((1 - sensitivity) * len(cases) + 1e-9), len(cases) - 1)]
    return found


def hundreds_each(groups: np.ndarray) -> bool:
    """Tell whether each person brings hundreds of examples, as single beats. groups: int (N,), whose they are."""
    _, counts = np.unique(groups, return_counts=True)
    return bool(np.median(counts) >= OFTEN)


def fit_rule(
    p: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    roles: Roles,
    task: str,
    *,
    sensitivity: float,
) -> FlagRule:
    """Choose lines and the interval of unclear answers by predictions out of fold.

    Parameters
    ----------
    p : np.ndarray
        (N, K) probabilities.
    y : np.ndarray
        (N, K) of 1, 0 and NaN.
    groups : np.ndarray
        int (N,), of patients and copies.
    roles : Roles
        Of the labels.
    task : str
        "multiclass" or "multilabel".
    sensitivity : float
        Beyond which no line is lowered further.
    """
    limits = thresholds(p, y, sensitivity)
    top = MOST_PROBABLE if task == "multiclass" else 1.0
    missing = np.isnan(limits)
    sought = roles.sought
    rule = FlagRule(
        task=task,
        sought=sought,
        announced=_worth_announcing(p, y, groups, sought),
        settled=roles.settled,
        lines=np.where(missing, np.inf, np.where(sought, np.minimum(limits, top), limits)).astype(np.float32),
    )
    if not sought.any():
        return rule
    able = sought & rule.announced & ~missing
    free = finding_free(y, sought)
    if free.any() or task == "multiclass":
        rule = replace(rule, lines=np.where(able, top, rule.lines).astype(np.float32))
    if free.any() and not hundreds_each(groups):
        rule = _lower_lines(rule, p, y, free, able, roles, sensitivity)
    return replace(rule, unclear_from=_choose_unclear(rule, p, y))


def _lower_lines(
    rule: FlagRule,
    p: np.ndarray,
    y: np.ndarray,
    free: np.ndarray,
    able: np.ndarray,
    roles: Roles,
    sensitivity: float,
) -> FlagRule:
    """Lower the lines, the most dangerous first, as far as the finding-free examples (free) allow.

    Labels of one rank go down together, by the sensitivity that each has alone.
    """
    for rank in sorted({int(r) for r in roles.ranks[able]}):
        alike, highest = able & (roles.ranks == rank), rule.lines
        for s in np.linspace(0, sensitivity, _STEPS)[1:]:
            wanted = thresholds(p, y, float(s))
            lowered = np.where(alike & ~np.isnan(wanted), np.minimum(wanted, highest), highest).astype(np.float32)
            tried = replace(rule, lines=lowered)
            if _share(np.asarray(tried.flags(p[free]).any(1))) > roles.false_flags:
                break
            rule = tried
    return rule


def _share(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else 0.0


def finding_free(y: np.ndarray, sought: np.ndarray) -> np.ndarray:
    """Tell on which rows every finding is known to be absent, bool (N,)."""
    return np.asarray((y[:, sought] == 0).all(1))


def _worth_announcing(p: np.ndarray, y: np.ndarray, groups: np.ndarray, sought: np.ndarray) -> np.ndarray:
    """Which findings are right often enough at some line that finds a share of them, bool (K,).

    People who have more than a quarter of its cases each do not decide where there are others: a line must not rest on
    one person.
    """
    worth = np.ones(y.shape[1], bool)
    for k in np.flatnonzero(sought):
        rows = ~np.isnan(y[:, k])
        owners, counts = np.unique(groups[y[:, k] == 1], return_counts=True)
        often = owners[counts * 4 > counts.sum()]
        if len(often) < len(owners) and len(owners) > 4:
            rows &= ~np.isin(groups, often)
        truth = (y[rows, k] == 1)[np.argsort(-p[rows, k], kind="stable")]
        if not truth.any():
            continue
        found = truth.cumsum()
        right = found / np.arange(1, len(truth) + 1)
        worth[k] = right[found >= max(1, WORTH_FINDING * truth.sum())].max(initial=0) >= HOPELESS
    return worth


def _choose_unclear(rule: FlagRule, p: np.ndarray, y: np.ndarray) -> float | None:
    """From which probability of any finding on an answer without a flag is unclear; None where nothing is gained.

    The widest interval that stays within UNCLEAR_MOST and whose answers would be wrong often enough, held against all
    others.
    """
    free, ill = finding_free(y, rule.sought), np.asarray((y[:, rule.sought] == 1).any(1))
    known = free | ill
    if not ill.any() or not free.any():
        return None
    p, ill, free = p[known], ill[known], free[known]
    flagged, score = rule.flags(p).any(1), rule.finding(p)
    wrong = flagged != ill
    goal = CLEARER if wrong.mean() <= FEW_ERRORS else CLEARER_ELSEWHERE
    passed = np.flatnonzero(~flagged)
    order = passed[np.argsort(-score[passed], kind="stable")]
    best, found = 0.0, None
    counts = np.unique(np.linspace(1, UNCLEAR_MOST * len(p), 60).astype(int))
    for n in counts[(counts >= 3) & (counts <= len(order))]:
        inside, others = wrong[order[:n]], np.delete(np.arange(len(p)), order[:n])
        rest = max(float(wrong[others].mean()), 0.5 / max(1, len(others)))
        ratio = float(inside.mean()) / rest
        if free[order[:n]].sum() > UNCLEAR_MOST * free.sum():
            break
        if ratio >= goal * _MARGIN and inside.sum() >= best:
            best, found = float(inside.sum()), float(np.float32(score[order[n - 1]]))
    return found


def cross_fit_rules(
    probabilities: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    folds: np.ndarray,
    roles: Roles,
    task: str,
    sensitivity: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Flag each fold by the rule that the other folds give.

    Parameters
    ----------
    probabilities
        (R, N, K).
    targets
        (N, K) of 1/0/NaN.
    groups
        int (N,).
    folds
        int (R, N).
    roles, task, sensitivity
        As `fit_rule` has them.

    Returns
    -------
    flags : np.ndarray
        bool (R, N, K); of labels that are not sought, whether they reach the threshold of that sensitivity.
    unclear : np.ndarray
        bool (R, N).
    """
    flags, unclear = np.zeros(probabilities.shape, bool), np.zeros(probabilities.shape[:2], bool)
    for r, fold in enumerate(folds):
        for f in np.unique(fold):
            own = fold == f
            p, y = probabilities[r, ~own], targets[~own]
            rule = fit_rule(p, y, groups[~own], roles, task, sensitivity=sensitivity)
            flags[r, own] = reached(rule, probabilities[r, own])
            unclear[r, own] = rule.unclear(probabilities[r, own])
    return flags, unclear


def reached(rule: FlagRule, p: np.ndarray) -> np.ndarray:
    """Tell which labels are flagged and, of those that are not sought, which reach their threshold: bool (..., K)."""
    return np.where(rule.sought, rule.flags(p), p.astype(np.float32) >= rule.lines)
