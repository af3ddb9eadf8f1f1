"""How often the shipped check-ups flag, are unclear, or do neither; how often that is wrong, and among the surest.

    python benchmarks/states.py

What the cards say of examples that the judging heads had not seen: the test split where the data brings one, else
cross-validation by patient. Shares with 95 % intervals over groups (bootstrap). The rule for unclear answers: where at
most 10 % are flagged wrongly, at most 15 % are unclear, and these are wrong at least 4 times as often as the others;
elsewhere at least 1.5 times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medloupe.starter.shipped import EVERYDAY, list_shipped, load_shipped

FEW, UNCLEAR_MOST, TIMES, TIMES_ELSEWHERE = 0.10, 0.15, 4.0, 1.5


def told(metric: Mapping[str, Any] | None) -> str:
    """Write a share as percent with its interval."""
    if not metric or metric["value"] is None:
        return "–"
    ends = "" if metric["low"] is None else f" ({100 * metric['low']:.0f}–{100 * metric['high']:.0f})"
    return f"{100 * metric['value']:.0f}{ends}"


def judge(measured: Mapping[str, Any]) -> str:
    """Say whether the answers called unclear are few and wrong often enough."""
    wrong, close = measured["wrong"]["value"], measured["unclear"]["value"]
    inside, others = measured["wrong_unclear"]["value"], measured["wrong_others"]["value"]
    if not close or inside is None:
        return "none unclear"
    times = inside / max(others, 1e-9)
    goal = TIMES if wrong <= FEW else TIMES_ELSEWHERE
    few = close <= UNCLEAR_MOST
    return f"{times:.1f} times {'≥' if times >= goal else '<'} {goal:g}; {'few' if few else 'too many'}"


def main() -> None:
    """Print the tables."""
    print("| check-up | with a finding: flagged | unclear | without: flagged | unclear | wrong | unclear ones |")
    print("|---|---|---|---|---|---|---|")
    curves = []
    for name in list_shipped():
        if name == EVERYDAY:
            continue
        decision = load_shipped(name).card.get("decision") or {}
        m = decision.get("measured")
        if not m:
            print(f"| {name} | not measured | | | | | |")
            continue
        keys = ("flagged_with", "unclear_with", "flagged_without", "unclear_without", "wrong")
        shown = [told(m[key]) for key in keys]
        weak = " (weak)" if decision.get("weak") else ""
        print(f"| {name}{weak} | {' | '.join(shown)} | {judge(m)} |")
        curves.append((name, decision.get("risk_coverage") or []))
    print("\nWrong among the surest, by the share answered:\n")
    coverages = [row["coverage"] for row in curves[0][1]]
    print(f"| check-up | {' | '.join(f'{100 * c:.0f} %' for c in coverages)} |")
    print(f"|---|{'---|' * len(coverages)}")
    for name, rows in curves:
        print(f"| {name} | {' | '.join(told(row['risk']) for row in rows)} |")


if __name__ == "__main__":
    main()
