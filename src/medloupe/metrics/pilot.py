"""Plan a pilot's size, and compare its answers with the reference: sensitivity, specificity and predictive values.

The size is the smallest number of people with the finding, and without it, for which Wilson's 95 % interval about the
expected sensitivity, and specificity, is no wider than wished; how many must be examined follows from how common the
finding is. Buderer's formula, by the normal approximation, is given beside it, as protocols often ask for it.

What was unclear, refused or unusable is neither right nor wrong; it is counted openly, and a second figure takes all of
it as wrong (Schuetz et al., "Use of 3 × 2 tables with an intention to diagnose approach", BMJ 345, 2012).

Sources: Wilson, "Probable inference" (JASA 22, 1927); Buderer, "Statistical methodology: I. Incorporating the
prevalence of disease into the sample size calculation" (Academic Emergency Medicine 3, 1996).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from medloupe.errors import MedloupeError
from medloupe.metrics.weighted import wilson

ASSURANCE = 0.95  # with which enough people with the finding come
UNDECIDED = ("unclear", "refused", "unusable")
_Z = 1.959963984540054
_MOST = 10**7


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotPlan:
    """How many people a pilot takes.

    Attributes
    ----------
    sensitivity, specificity, half_width, prevalence
        As expected and wished, shares from 0 to 1.
    having, lacking
        People with and without the finding whom the intervals take.
    people
        To be examined, so that on average there are as many.
    assured
        To be examined, so that with a probability of ASSURANCE there are as many.
    normal
        To be examined by Buderer's formula.
    """

    sensitivity: float
    specificity: float
    half_width: float
    prevalence: float
    having: int
    lacking: int
    people: int
    assured: int
    normal: int

    def as_json(self) -> dict[str, Any]:
        """Give it in types that JSON has."""
        return asdict(self)


def plan_pilot(*, sensitivity: float, specificity: float, half_width: float, prevalence: float) -> PilotPlan:
    """Plan a pilot's size.

    Raises
    ------
    MedloupeError
        A share is none, or more people would be needed than can be counted.
    """
    shares = {"sensitivity": sensitivity, "specificity": specificity}
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise MedloupeError(f"The {name} {share:g} is no share from 0 to 1.", "Write 0.9 for 90 %.")
    if not 0 < half_width < 0.5:
        raise MedloupeError(f"The half width {half_width:g} is not between 0 and 0.5.", "Write 0.05 for ± 5 %.")
    if not 0 < prevalence < 1:
        raise MedloupeError(f"The prevalence {prevalence:g} is not between 0 and 1.", "Write 0.1 for 10 %.")
    having, lacking = _count_needed(sensitivity, half_width), _count_needed(specificity, half_width)
    people = max(math.ceil(having / prevalence), math.ceil(lacking / (1 - prevalence)))
    if people > _MOST:
        raise MedloupeError(f"That would take {people:,} people.", "Wish for a wider interval.")
    normal = max(
        math.ceil(_Z**2 * sensitivity * (1 - sensitivity) / half_width**2 / prevalence),
        math.ceil(_Z**2 * specificity * (1 - specificity) / half_width**2 / (1 - prevalence)),
    )
    return PilotPlan(
        sensitivity=sensitivity,
        specificity=specificity,
        half_width=half_width,
        prevalence=prevalence,
        having=having,
        lacking=lacking,
        people=people,
        assured=max(_assure(having, prevalence, people), _assure(lacking, 1 - prevalence, people)),
        normal=normal,
    )


def _count_needed(share: float, half_width: float) -> int:
    """Count the cases for which Wilson's interval is no wider than twice half_width, and for all more cases."""

    def wide(n: int) -> bool:
        low, high = wilson(share * n, n)
        return high - low > 2 * half_width

    n = 1
    while wide(n) and n <= _MOST:
        n *= 2
    low, high = n // 2, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if wide(middle) else (low, middle)
    return high


def _assure(needed: int, share: float, people: int) -> int:
    """Count the people among whom at least `needed` are found with a probability of ASSURANCE."""
    low, high = needed - 1, max(needed, people)
    while _at_least(needed, high, share) < ASSURANCE:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _at_least(needed, middle, share) >= ASSURANCE else (middle, high)
    return high


def _at_least(k: int, n: int, share: float) -> float:
    """Compute P(X >= k) of a binomial, by sums of logarithms."""
    if n < k:
        return 0.0
    logs = (
        math.lgamma(n + 1)
        - math.lgamma(i + 1)
        - math.lgamma(n - i + 1)
        + i * math.log(share)
        + (n - i) * math.log1p(-share)
        for i in range(k)
    )
    return 1 - math.fsum(math.exp(v) for v in logs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share with Wilson's 95 % interval; value, low and high are None where there is nothing to divide by."""

    hits: int
    n: int
    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, hits: int, n: int) -> Share:
        """Make one of counts."""
        if not n:
            return cls(hits=hits, n=n, value=None, low=None, high=None)
        low, high = wilson(hits, n)
        return cls(hits=hits, n=n, value=hits / n, low=low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderTable:
    """Answers against the reference, for one label; "" for any finding that is looked for.

    Attributes
    ----------
    tp, fp, fn, tn
        Of answers that decide.
    undecided_with, undecided_without
        By state how many with the finding, and without it, were unclear, refused or unusable.
    """

    label: str
    tp: int
    fp: int
    fn: int
    tn: int
    undecided_with: Mapping[str, int]
    undecided_without: Mapping[str, int]

    @property
    def n(self) -> int:
        """All answers that are compared."""
        undecided = sum(self.undecided_with.values()) + sum(self.undecided_without.values())
        return self.tp + self.fp + self.fn + self.tn + undecided

    def figures(self) -> dict[str, Share]:
        """Compute sensitivity, specificity, ppv and npv; with `_all` what is undecided counts as wrong."""
        having = self.tp + self.fn + sum(self.undecided_with.values())
        lacking = self.tn + self.fp + sum(self.undecided_without.values())
        return {
            "sensitivity": Share.of(self.tp, self.tp + self.fn),
            "specificity": Share.of(self.tn, self.tn + self.fp),
            "ppv": Share.of(self.tp, self.tp + self.fp),
            "npv": Share.of(self.tn, self.tn + self.fn),
            "sensitivity_all": Share.of(self.tp, having),
            "specificity_all": Share.of(self.tn, lacking),
        }

    def as_json(self) -> dict[str, Any]:
        """Give it in types that JSON has."""
        counts = {name: getattr(self, name) for name in ("label", "n", "tp", "fp", "fn", "tn")}
        undecided = {"with": dict(self.undecided_with), "without": dict(self.undecided_without)}
        return {**counts, "undecided": undecided, **{name: asdict(share) for name, share in self.figures().items()}}


def compare_with_reference(
    answers: Iterable[tuple[Mapping[str, Any], Sequence[str]]], labels: Sequence[str], sought: Sequence[str]
) -> list[ReaderTable]:
    """Compare answers with references.

    Parameters
    ----------
    answers
        The Prediction's JSON, and the labels that are true.
    labels
        All labels of the check-up.
    sought
        Those that are looked for. With some, a label counts as said where it is flagged, and the first table is of any
        of them; with none, where it is the most probable one.
    """
    pairs = list(answers)

    def table(label: str, true: Sequence[bool], said: Sequence[bool]) -> ReaderTable:
        counts = {"tp": 0, "fp": 0, "fn": 0, "tn": 0}
        undecided: tuple[dict[str, int], dict[str, int]] = (dict.fromkeys(UNDECIDED, 0), dict.fromkeys(UNDECIDED, 0))
        for (answer, _), is_true, is_said in zip(pairs, true, said, strict=True):
            state = str(answer.get("state") or "answered")
            if state in UNDECIDED:
                undecided[0 if is_true else 1][state] += 1
            else:
                counts[("tp" if is_said else "fn") if is_true else ("fp" if is_said else "tn")] += 1
        return ReaderTable(label=label, **counts, undecided_with=undecided[0], undecided_without=undecided[1])

    def says(answer: Mapping[str, Any], label: str) -> bool:
        return label in (answer.get("flagged") or ()) if sought else answer.get("prediction") == label

    tables = []
    if sought:
        any_true = [bool(set(reference) & set(sought)) for _, reference in pairs]
        tables.append(table("", any_true, [answer.get("state") == "flagged" for answer, _ in pairs]))
    for label in sought or labels:
        true = [label in reference for _, reference in pairs]
        tables.append(table(label, true, [says(answer, label) for answer, _ in pairs]))
    return tables
