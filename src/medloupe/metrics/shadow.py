"""Compare what two versions say of the same requests, of which nobody knows the truth: how often they agree, and where.

States are those of an answer. Two answers agree where state, most probable label and labels flagged are the same;
refused ones agree where both are refused. Differences of probabilities are of requests that both answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from medloupe.metrics.weighted import wilson

REFUSED = ("refused", "unusable")
_MOST_CHANGES, _MOST_LABELS = 50, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelDifference:
    """Of a label's probability, after less before: mean, mean of its size, 95th percentile of it, and the largest."""

    label: str
    n: int
    mean: float
    size: float
    p95: float
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteAgreement:
    """At a site, or "" where none was told: requests, and how many were answered alike."""

    site: str
    n: int
    agreed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowFigures:
    """How two versions compare on the same requests.

    Attributes
    ----------
    n, agreed
        Requests that both answered, and those answered alike.
    low, high
        Wilson's 95 % interval of the share that agrees.
    states
        (state before, state after, how many), those that change first, the most frequent first.
    labels
        The same of the most probable label, where both were answered and it changes.
    differences
        Of probabilities by label, the largest mean size first.
    sites
        The same by site, the largest first.
    ms
        Median milliseconds of both; None where nothing is known.
    """

    n: int
    agreed: int
    low: float
    high: float
    states: tuple[tuple[str, str, int], ...]
    labels: tuple[tuple[str, str, int], ...]
    differences: tuple[LabelDifference, ...]
    sites: tuple[SiteAgreement, ...]
    ms: tuple[float | None, float | None]

    def as_json(self) -> dict[str, Any]:
        """Give all fields, in types that JSON has."""
        told = asdict(self)
        keys = ("before", "after", "n")
        return told | {k: [dict(zip(keys, c, strict=True)) for c in told[k]] for k in ("states", "labels")}


def compare_answers(
    cases: Iterable[tuple[str, Mapping[str, Any], Mapping[str, Any]]],
    ms: Iterable[tuple[float | None, float | None]] = (),
) -> ShadowFigures:
    """Compare answers.

    Parameters
    ----------
    cases
        Site, and what each of the two versions said: `state`, `prediction`, `flagged` and `probabilities`.
    ms
        Milliseconds that both took.
    """
    states: Counter[tuple[str, str]] = Counter()
    labels: Counter[tuple[str, str]] = Counter()
    sites: dict[str, list[bool]] = {}
    apart: dict[str, list[float]] = {}
    for site, before, after in cases:
        states[_state(before), _state(after)] += 1
        sites.setdefault(site, []).append(_said(before) == _said(after))
        if _state(before) in REFUSED or _state(after) in REFUSED:
            continue
        one, other = str(before.get("prediction") or ""), str(after.get("prediction") or "")
        if one != other:
            labels[one, other] += 1
        p, q = before.get("probabilities") or {}, after.get("probabilities") or {}
        for label in (label for label in p if label in q):
            apart.setdefault(label, []).append(float(q[label]) - float(p[label]))
    every = [agreed for one in sites.values() for agreed in one]
    low, high = wilson(sum(every), len(every)) if every else (0.0, 1.0)
    found = [
        LabelDifference(
            label=label,
            n=len(d),
            mean=float(np.mean(d)),
            size=float(np.mean(np.abs(d))),
            p95=float(np.quantile(np.abs(d), 0.95)),
            largest=max(d, key=abs),
        )
        for label, d in apart.items()
    ]
    both = [(a, b) for a, b in ms if a is not None and b is not None]
    return ShadowFigures(
        n=len(every),
        agreed=sum(every),
        low=low,
        high=high,
        states=_ranked(states),
        labels=_ranked(labels),
        differences=tuple(sorted(found, key=lambda d: -d.size)[:_MOST_LABELS]),
        sites=tuple(
            SiteAgreement(site=site, n=len(s), agreed=sum(s))
            for site, s in sorted(sites.items(), key=lambda one: (-len(one[1]), one[0]))
        ),
        ms=(float(np.median([a for a, _ in both])), float(np.median([b for _, b in both]))) if both else (None, None),
    )


def _state(answer: Mapping[str, Any]) -> str:
    return str(answer.get("state") or "answered")


def _said(answer: Mapping[str, Any]) -> tuple[object, ...]:
    """Give what of an answer counts."""
    state = _state(answer)
    if state in REFUSED:
        return (state,)
    return (state, answer.get("prediction") or "", tuple(sorted(answer.get("flagged") or ())))


def _ranked(counts: Counter[tuple[str, str]]) -> tuple[tuple[str, str, int], ...]:
    ranked = sorted(counts.items(), key=lambda one: (one[0][0] == one[0][1], -one[1], one[0]))
    return tuple((before, after, n) for (before, after), n in ranked[:_MOST_CHANGES])
