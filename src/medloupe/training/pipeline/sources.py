"""Describe on the card how heads were chosen by sources left out, and how they fare on sources they had not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medloupe.data.source_column import SourceColumn
from medloupe.metrics.weighted import Metric
from medloupe.training.heads.source_verdict import LeftOut, SourceVerdict
from medloupe.training.heads.sources import MOST, OTHERS
from medloupe.training.heads.verdict import Verdict

METHOD = (
    "Penalty, levels and share of field views were chosen by the mean AUC over sources, each answered by heads that had"
    " seen neither it nor its patients, and as folds choose them where that is better by no more than noise. For the"
    " figures each head was fitted anew without the source that judges it, which took no part in choosing either."
)


def describe_sources(column: SourceColumn, verdict: Verdict) -> dict[str, Any] | None:
    """Build the card's entry `robust`; None where heads were not judged by source.

    Parameters
    ----------
    column : SourceColumn
        Which tells the sources.
    verdict : Verdict
        Of the head.
    """
    found = verdict.by_source
    if found is None:
        return None
    choice, field = verdict.fitted.choice, verdict.field
    judged = {row.name for row in found.rows}
    named = sorted(set(column.told) - {""})
    small = OTHERS in judged
    entry: dict[str, Any] = {
        "column": column.name,
        "found": column.found,
        "other_columns": list(column.others),
        "chosen": {"c": choice.c, "levels": list(choice.levels), "weight": 0.0 if field is None else field.weight},
        "rows": [_row(row) for row in found.rows],
        "not_judged": [] if small else [name for name in named if name not in judged],
        "untold": found.untold,
        "nested": found.nested,
        **{key: _round(getattr(found, key)) for key in ("auc", "ordinary", "gain")},
        "method": METHOD,
    }
    entry["words"] = _word(column, found, entry)
    return entry


def _row(row: LeftOut) -> dict[str, Any]:
    return {
        "source": row.name,
        "n": row.n,
        "groups": row.groups,
        **{key: _round(getattr(row, key)) for key in ("auc", "ordinary", "gain", "ece")},
        "c": list(row.c),
        "weights": list(row.weights),
    }


def _word(column: SourceColumn, found: SourceVerdict, entry: Mapping[str, Any]) -> list[str]:
    """Say in sentences what was left out, and how it was answered."""
    how = "found by its name; --source tells another" if column.found else "as was told"
    named = " and ".join(repr(name) for name in column.others)
    others = f" The column{'s' if len(column.others) > 1 else ''} {named} might have been meant too." if named else ""
    figures = ", ".join(f"{row.name} {_figure(row.auc)}" for row in found.rows)
    words = [
        f"Chosen to hold on sources that it has not seen: the column {column.name!r} tells them ({how}).{others}",
        f"Each source left out in turn and answered by a head that had not seen it, the AUC is {_figure(found.auc)} on"
        f" average: {figures}.",
    ]
    if found.nested:
        words.append(f"Heads chosen by ordinary folds have {_figure(found.ordinary)} there; {_word_gain(found.gain)}.")
    else:
        words.append(
            "With one of two sources left out, one alone is left to choose by: those heads were chosen by folds in it,"
            " so these figures tell what a new source costs, not what the choice brings."
        )
    if left := entry["not_judged"]:
        shown = ", ".join(left[:MOST]) + (" and others" if len(left) > MOST else "")
        words.append(f"Too few cases for or against a label, and so not left out: {shown}.")
    return words


def _word_gain(gain: Metric) -> str:
    value, low, high = gain["value"], gain["low"], gain["high"]
    if value is None:
        return "the difference cannot be told"
    if low is None or high is None:
        return f"the difference is {value:+.3f}".replace("-", "−")
    noise = ", which may be noise" if low <= 0 <= high else ""
    return f"the difference is {value:+.3f} ({low:+.3f} to {high:+.3f}){noise}".replace("-", "−")


def _figure(metric: Metric) -> str:
    if metric["value"] is None:
        return "not known"
    if metric["low"] is None or metric["high"] is None:
        return f"{metric['value']:.3f}"
    return f"{metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})"


def _round(metric: Metric) -> Metric:
    low, high, v = (None if x is None else round(x, 4) for x in (metric["low"], metric["high"], metric["value"]))
    return Metric(value=v, low=low, high=high)
