"""Measure how often answers are flagged, unclear or neither, and how often that is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medloupe.data.labels import Roles
from medloupe.metrics import weighted
from medloupe.metrics.lines import FlagRule, finding_free
from medloupe.metrics.tables import Judged
from medloupe.metrics.weighted import Metric, Weighted

WEAK = 0.8  # sensitivity below which a check-up is called weak
CALIBRATED = 0.05  # calibration error up to which percentages are called calibrated
COVERAGES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)  # shares of the answers, the surest first


def describe_states(judged: Judged, rule: FlagRule, *, ece: float | None, seed: int = 0) -> dict[str, Any]:
    """Give the card's entry `decision`: what is said when, and what of it was measured on examples not seen.

    Parameters
    ----------
    judged : Judged
        The answers, by rules that had not seen these examples.
    rule : FlagRule
        That ships.
    ece : float or None
        Calibration error measured on the same examples.
    seed : int
        Of the bootstrap.
    """
    roles = judged.roles
    calibrated = ece is not None and ece <= CALIBRATED
    if not rule.sought.any():
        return {"words": roles.words, "calibrated": calibrated, "weak": False, "unclear": None}
    measured = _measure(judged, rule, seed)
    weak = _is_weak(judged, rule, measured["flagged_with"]["value"])
    quiet = [n for n, s, a in zip(roles.labels, rule.sought, rule.announced, strict=True) if s and not a]
    return {
        "words": _word(roles, measured, weak, quiet),
        "unclear": rule.unclear_from,
        "calibrated": calibrated,
        "weak": weak,
        "not_announced": quiet,
        "measured": measured,
        "risk_coverage": _risk_by_coverage(judged, rule, seed),
    }


def _ill(judged: Judged, rule: FlagRule) -> np.ndarray:
    """Which examples have a finding, bool (N,)."""
    return np.asarray((judged.targets[:, rule.sought] == 1).any(1))


def _flagged(judged: Judged, rule: FlagRule) -> np.ndarray:
    """Which answers have any flag, bool (R, N)."""
    return np.asarray((judged.flags & rule.sought).any(-1))


def _measure(judged: Judged, rule: FlagRule, seed: int) -> dict[str, Metric]:
    """Measure shares of all with and without a finding, and how often a flag or its absence is wrong."""
    free, ill = finding_free(judged.targets, rule.sought), _ill(judged, rule)
    known = free | ill
    shares: dict[str, list[Weighted]] = {}
    for up, close in zip(_flagged(judged, rule), judged.close, strict=True):
        for name, of, among in (
            ("flagged_without", up, free),
            ("flagged_with", up, ill),
            ("unclear_without", close, free),
            ("unclear_with", close, ill),
            ("unclear", close, known),
            ("wrong", up != ill, known),
            ("wrong_unclear", up != ill, known & close),
            ("wrong_others", up != ill, known & ~close),
        ):
            shares.setdefault(name, []).append(weighted.share(of, among))
    averaged = {name: weighted.average(each) for name, each in shares.items()}
    return weighted.bootstrap_intervals(averaged, judged.groups, seed)


def _is_weak(judged: Judged, rule: FlagRule, found: float | None) -> bool:
    """Tell whether too many are missed: of all with a finding, or of those with the most dangerous one."""
    ranks = judged.roles.ranks
    if found is None:
        return False
    first = np.flatnonzero(rule.sought & rule.announced & (ranks == ranks[rule.sought].min()))
    cases = {k: judged.targets[:, k] == 1 for k in first.tolist()}
    each = [float(judged.flags[:, rows, k].mean()) for k, rows in cases.items() if rows.any()]
    return bool(found < WEAK or min(each, default=1.0) < WEAK)


def _word(roles: Roles, measured: Mapping[str, Metric], weak: bool, quiet: list[str]) -> str:
    found, wrong = measured["flagged_with"]["value"], measured["flagged_without"]["value"]
    words = [roles.words]
    if found is not None:
        words.append(f"Of 100 with a finding {round(100 * found)} are flagged.")
    if wrong is not None:
        over = f", more than the {round(100 * roles.false_flags)} that were to be" if wrong > roles.false_flags else ""
        words.append(f"Of 100 without one {round(100 * wrong)} are flagged{over}.")
    elif found is not None:
        words.append("No example is without a finding: how many healthy people it would flag is not known.")
    if weak:
        words.append("It misses too many: the check-up is weak.")
    if quiet:
        words.append(f"Not announced, as such calls are hardly ever right: {', '.join(quiet)}.")
    return " ".join(words)


def _risk_by_coverage(judged: Judged, rule: FlagRule, seed: int) -> list[dict[str, Any]]:
    """Measure the share of wrong answers (flagged or not) among the surest, by how large a share is answered.

    Sure is an answer by the probability that it is right: of any finding where one is flagged, else of none.
    """
    ill = _ill(judged, rule)
    known = np.flatnonzero(finding_free(judged.targets, rule.sought) | ill)
    if not len(known):
        return []
    kept: dict[str, list[Weighted]] = {}
    for p, up in zip(judged.probabilities, _flagged(judged, rule), strict=True):
        finding = rule.finding(p)
        order = known[np.argsort(-np.where(up, finding, 1 - finding)[known], kind="stable")]
        for coverage in COVERAGES:
            among = np.zeros(len(ill), bool)
            among[order[: max(1, round(coverage * len(order)))]] = True
            kept.setdefault(f"{coverage:g}", []).append(weighted.share(up != ill, among))
    averaged = {name: weighted.average(each) for name, each in kept.items()}
    risks = weighted.bootstrap_intervals(averaged, judged.groups, seed)
    return [{"coverage": float(name), "risk": risk} for name, risk in risks.items()]
