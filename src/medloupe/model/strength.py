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

Of a detector the average precision at an overlap of one half (mAP50) takes the place of the AUC: strong from .80 on,
weak below .50. Its true boxes are the examples; the false flags are those of whole pictures. One that looks for
something and was judged on no picture without it is moderate at most: how often it marks nothing is not known. One that
computes measurements from its boxes is strong only where, at the upper end, none of them is off by more than half of
what always saying the mean would be off by: well found boxes may measure badly.

It is a word for choosing, no figure: the card has those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from medloupe.utils.jsonvalues import as_number

Mark = Literal["strong", "moderate", "weak", "unknown"]
STRONG_AUC, WEAK_AUC, STRONG_ELSEWHERE = 0.90, 0.75, 0.85
STRONG_AP, WEAK_AP = 0.80, 0.50
MEASURED = 0.5  # of the error of always saying the mean
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
    places : bool
        Whether it is a detector, of which `low` is that of the average precision.
    coarse : bool
        Whether it measures, and one of its measurements is too far off, or was not judged.
    unopposed : bool
        Whether it is a detector that looks for something, and no picture without it judged it.
    """

    mark: Mark
    low: float | None = None
    examples: int | None = None
    groups: int | None = None
    elsewhere: float | None = None
    false_flags: float | None = None
    misses: bool = False
    places: bool = False
    coarse: bool = False
    unopposed: bool = False


NOT_JUDGED = Strength(mark="unknown")


def judge_strength(card: Mapping[str, Any]) -> Strength:
    """Judge a card by the rule above; what it lacks counts against it."""
    places = card.get("task") == "detection"
    low = as_number(_inner(card, "metrics", "map50" if places else "auc", "low"))
    if low is None:
        return NOT_JUDGED
    test = as_number(_inner(card, "split", "test"))
    examples = test if test is not None else as_number(_inner(card, "data", "labelled"))
    groups = as_number(_inner(card, "split", "groups"))
    if groups is not None and examples is not None:
        groups = min(groups, examples)
    if places:
        examples = _count_boxes(card)
    elsewhere = as_number(_inner(card, "adapted", "figures", "after", "auc", "low"))
    false_flags = as_number(_inner(card, "decision", "measured", "flagged_without", "value"))
    known = Strength(
        mark="moderate",
        low=low,
        examples=None if examples is None else int(examples),
        groups=None if groups is None else int(groups),
        elsewhere=elsewhere,
        false_flags=false_flags,
        misses=bool(_inner(card, "decision", "weak")),
        places=places,
        coarse=places and any(not _is_fine(m) for m in _list(card.get("measurements"))),
        unopposed=places and _seeks(card) and false_flags is None,
    )
    return replace(known, mark=_mark(known))


def _count_boxes(card: Mapping[str, Any]) -> float | None:
    """Count the true boxes that a detector was judged on; None where its card does not say."""
    rows = _inner(card, "detection", "per_label")
    counts = [as_number(_inner(row, "boxes")) for row in rows] if isinstance(rows, list) else []
    known = [n for n in counts if n is not None]
    return sum(known) if known else None


def _seeks(card: Mapping[str, Any]) -> bool:
    """Tell whether a label is looked for."""
    labels = _inner(card, "roles", "labels")
    return isinstance(labels, Mapping) and any(_inner(role, "role") == "sought" for role in labels.values())


def _is_fine(measurement: Any) -> bool:
    """Tell whether a measurement is off by at most half of what always saying the mean would be off by."""
    off = as_number(_inner(measurement, "figures", "mean_absolute_error", "high"))
    plain = as_number(_inner(measurement, "figures", "always_the_mean", "value"))
    return off is not None and plain is not None and off <= MEASURED * plain


def _list(x: Any) -> list[Any]:
    return x if isinstance(x, list) else []


def _mark(known: Strength) -> Mark:
    examples, groups, low = known.examples or 0, known.groups or 0, known.low or 0.0
    flags = known.false_flags or 0.0
    strong, weak = (STRONG_AP, WEAK_AP) if known.places else (STRONG_AUC, WEAK_AUC)
    if known.misses or low < weak or flags > WEAK_FALSE_FLAGS:
        return "weak"
    if examples < FEWEST_EXAMPLES or groups < FEWEST_GROUPS:
        return "weak"
    many = examples >= STRONG_EXAMPLES and groups >= STRONG_GROUPS
    holds = known.elsewhere is None or known.elsewhere >= STRONG_ELSEWHERE
    holds = holds and not known.coarse and not known.unopposed
    quiet = flags <= STRONG_FALSE_FLAGS
    return "strong" if low >= strong and many and holds and quiet else "moderate"


def _inner(x: Any, *keys: str) -> Any:
    """Read a card's entry within entries; cards come from elsewhere, so nothing is taken for granted."""
    for key in keys:
        x = x.get(key) if isinstance(x, Mapping) else None
    return x
