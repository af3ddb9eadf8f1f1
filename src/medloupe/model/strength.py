"""Say in one word how strong a model is, by its card: strong, moderate, weak, or not judged.

The rule, in this order:

- *unknown*: the card has no AUC of pictures that the model had not seen.
- *weak*: the card says that it misses too many (its decision), or the lower end of the 95 % interval of its AUC is
  below .75, or it flags more than half of those without a finding, or it was judged on fewer than 100 examples or on
  fewer than 30 groups of patients and copies.
- *strong*: that lower end is .90 or more, on 300 examples and 100 groups or more, and where that was measured at most
  .30 of those without a finding are flagged. Where it was fitted to the cases of another place and judged there too,
  the lower end there must be .85 or more.
- *moderate*: all others.

It is a word for choosing, no figure: the card has those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Mark = Literal["strong", "moderate", "weak", "unknown"]
STRONG_AUC, WEAK_AUC, STRONG_ELSEWHERE = 0.90, 0.75, 0.85
STRONG_FALSE_FLAGS, WEAK_FALSE_FLAGS = 0.30, 0.50
STRONG_EXAMPLES, FEWEST_EXAMPLES = 300, 100
STRONG_GROUPS, FEWEST_GROUPS = 100, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """How strong a model is, and by what.

    Attributes
    ----------
    mark : str
        "strong", "moderate", "weak" or "unknown".
    low : float or None
        Lower end of the 95 % interval of the AUC.
    examples, groups : int or None
        On how many it was judged; groups of patients and copies.
    elsewhere : float or None
        The lower end on cases of another place.
    false_flags : float or None
        Share of those without a finding that are flagged.
    misses : bool
        Whether the card says that it misses too many.
    """

    mark: Mark
    low: float | None = None
    examples: int | None = None
    groups: int | None = None
    elsewhere: float | None = None
    false_flags: float | None = None
    misses: bool = False


NOT_JUDGED = Strength(mark="unknown")


def judge_strength(card: Mapping[str, Any]) -> Strength:
    """Judge a card by the rule above; what it lacks counts against it."""
    low = _number(_inner(card, "metrics", "auc", "low"))
    if low is None:
        return NOT_JUDGED
    test = _number(_inner(card, "split", "test"))
    examples = test if test is not None else _number(_inner(card, "data", "labelled"))
    groups = _number(_inner(card, "split", "groups"))
    if groups is not None and examples is not None:
        groups = min(groups, examples)
    elsewhere = _number(_inner(card, "adapted", "figures", "after", "auc", "low"))
    known = Strength(
        mark="moderate",
        low=low,
        examples=None if examples is None else int(examples),
        groups=None if groups is None else int(groups),
        elsewhere=elsewhere,
        false_flags=_number(_inner(card, "decision", "measured", "flagged_without", "value")),
        misses=bool(_inner(card, "decision", "weak")),
    )
    return replace(known, mark=_mark(known))


def _mark(known: Strength) -> Mark:
    examples, groups, low = known.examples or 0, known.groups or 0, known.low or 0.0
    flags = known.false_flags or 0.0
    if known.misses or low < WEAK_AUC or flags > WEAK_FALSE_FLAGS:
        return "weak"
    if examples < FEWEST_EXAMPLES or groups < FEWEST_GROUPS:
        return "weak"
    many = examples >= STRONG_EXAMPLES and groups >= STRONG_GROUPS
    holds = known.elsewhere is None or known.elsewhere >= STRONG_ELSEWHERE
    quiet = flags <= STRONG_FALSE_FLAGS
    return "strong" if low >= STRONG_AUC and many and holds and quiet else "moderate"


def _inner(x: Any, *keys: str) -> Any:
    """Read a card's entry within entries; cards come from elsewhere, so nothing is taken for granted."""
    for key in keys:
        x = x.get(key) if isinstance(x, Mapping) else None
    return x


def _number(x: Any) -> float | None:
    return float(x) if isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) else None
