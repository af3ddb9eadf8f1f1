"""Say in words how two versions compare on live requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.metrics.shadow import ShadowFigures
from medloupe.serving.web.language import Language
from medloupe.store.shadows import BY_COUNT, Shadow

USUAL = 200  # requests that are suggested
_SHOWN = 12  # lines of a table


def view_shadow(
    all_of_model: Sequence[Shadow],
    pair: tuple[int, int],
    figures: Mapping[str, ShadowFigures],
    present: int | None,
    lang: Language,
) -> dict[str, Any]:
    """Describe what was compared of a candidate and production, and what can be begun.

    Parameters
    ----------
    all_of_model
        The comparisons of the model, the newest first.
    pair
        The two versions of the page.
    figures
        Of those of the pair, by id.
    present
        The version in production.
    """
    own = [one for one in all_of_model if {one.before, one.after} == set(pair)]
    running = next((one for one in all_of_model if one.running), None)
    other = next((number for number in pair if number != present), None) if present in pair else None
    elsewhere = running is not None and running not in own
    return {
        "begin": None if running is not None or other is None else {"version": str(other), "usual": USUAL},
        "elsewhere": ""
        if running is None or not elsewhere
        else lang.t("loop.shadow_elsewhere", one=str(running.before), other=str(running.after)),
        "rounds": [_view_one(one, figures[one.id], present, lang) for one in own[:3]],
    }


def _view_one(one: Shadow, told: ShadowFigures, present: int | None, lang: Language) -> dict[str, Any]:
    t = lang.t
    ended = ""
    if one.ended is not None and one.ended_by is not None:
        key = "loop.shadow_done" if one.ended_by == BY_COUNT else "loop.shadow_ended"
        ended = t(key, at=lang.date(one.ended), by=one.ended_by)
    shown = "" if present is None else t("loop.shadow_shown", version=str(present))
    return {
        "running": one.running,
        "compared": one.compared,
        "wanted": one.wanted,
        "progress": t("loop.shadow_progress", n=one.compared, wanted=lang.number(one.wanted, 0)),
        "begun": t("loop.shadow_begun", at=lang.date(one.started), by=one.started_by),
        "ended": ended,
        "shown": shown if one.running else "",
        "lost": " ".join(
            t(f"loop.shadow_{what}", n=n) for what, n in (("dropped", one.dropped), ("failed", one.failed)) if n
        ),
        "gone": t("loop.shadow_gone", n=one.compared - told.n) if told.n < one.compared else "",
        "agreed": ""
        if not told.n
        else t(
            "loop.shadow_agreed",
            n=told.n,
            agreed=lang.number(told.agreed, 0),
            share=lang.percent(told.agreed / told.n),
            low=lang.percent(told.low),
            high=lang.percent(told.high),
        ),
        "heads": (t("loop.version", n=str(one.before)), t("loop.version", n=str(one.after))),
        "states": [
            {
                "before": t(f"answer.state_{before}"),
                "after": t(f"answer.state_{after}"),
                "n": lang.number(n, 0),
                "changed": before != after,
            }
            for before, after, n in told.states[:_SHOWN]
        ],
        "labels": [
            {"before": lang.label(before), "after": lang.label(after), "n": lang.number(n, 0)}
            for before, after, n in told.labels[:_SHOWN]
        ],
        "differences": [
            {
                "label": lang.label(d.label),
                "mean": _points(d.mean, lang),
                "size": _points(d.size, lang, signed=False),
                "p95": _points(d.p95, lang, signed=False),
                "largest": _points(d.largest, lang),
            }
            for d in told.differences[:_SHOWN]
        ],
        "sites": [
            {
                "name": s.site or t("loop.shadow_no_site"),
                "words": t("loop.shadow_of", n=s.agreed, of=lang.number(s.n, 0)),
                "share": lang.percent(s.agreed / s.n),
            }
            for s in told.sites[:_SHOWN]
        ],
        "ms": ""
        if told.ms[0] is None or told.ms[1] is None
        else t("loop.shadow_ms", before=lang.number(told.ms[0], 0), after=lang.number(told.ms[1], 0)),
    }


def _points(x: float, lang: Language, *, signed: bool = True) -> str:
    x = round(100 * x, 1)
    sign = ("+" if x > 0 else "−" if x < 0 else "±") if signed else ""
    return lang.t("loop.points", x=sign + lang.number(abs(x), 1))
