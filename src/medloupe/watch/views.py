"""Choose what the pages of the watch show, in the reader's language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from markupsafe import Markup

from medloupe.report.charts.svg import nice_ticks
from medloupe.serving.web.language import Language
from medloupe.watch.board import BoardState, CheckupBoard, FeedbackCalibration
from medloupe.watch.charts import WeekPoint, WeekScale, draw_bars, draw_evidence, draw_share, draw_two
from medloupe.watch.pictures import FIRST, SiteWatch
from medloupe.watch.weeks import Week, WeekShare
from medloupe.words.locales import format_day

if TYPE_CHECKING:
    from collections.abc import Mapping

_GOOD, _WARN, _BAD = "good", "warn", "bad"
_LITTLE = 0.1  # of the disk that should be free


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchVerdict:
    """A sentence on something watched. look: "good", "warn", "bad" or ""; todo: what to do, or ""."""

    look: str
    text: str
    todo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChart:
    """A chart with its heading."""

    heading: str
    svg: Markup
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckupWatchView:
    """A check-up on the board. rows: its weeks as a table, in the order of the page's columns."""

    key: str
    title: str
    about: str
    verdicts: tuple[WatchVerdict, ...]
    charts: tuple[ShownChart, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardView:
    """The whole board. facts: names and values of what is not of one check-up."""

    at: str
    first: tuple[WatchVerdict, ...]
    facts: tuple[tuple[str, str], ...]
    checkups: tuple[CheckupWatchView, ...]


def view_board(
    state: BoardState, titles: Mapping[str, str], lang: Language, failures: Mapping[str, float]
) -> BoardView:
    """Show the board.

    Parameters
    ----------
    state
        What is watched.
    titles
        Of check-ups by name.
    lang
        The language of the page.
    failures
        How many requests the server answered, "asked", and how many by a fault of its own, "failed", since it started.
    """
    views = tuple(
        _view_checkup(board, titles.get(board.model) or lang.label(board.model), lang) for board in state.checkups
    )
    bad = tuple(v for view in views for v in view.verdicts if v.look in (_WARN, _BAD))
    disk = state.disk
    if disk.total and disk.free < _LITTLE * disk.total:
        bad += (WatchVerdict(look=_BAD, text=lang.t("watch.disk_low"), todo=lang.t("watch.disk_todo")),)
    if failures["failed"]:
        failed = int(failures["failed"])
        bad += (WatchVerdict(look=_WARN, text=lang.t("watch.failed", n=failed), todo=lang.t("watch.failed_todo")),)
    facts = [
        (lang.t("watch.disk"), lang.t("watch.disk_free", free=_bytes(disk.free, lang), total=_bytes(disk.total, lang))),
        (lang.t("watch.requests"), lang.t("watch.of", n=int(failures["failed"]), of=int(failures["asked"]))),
    ]
    if disk.database is not None:
        facts.insert(1, (lang.t("watch.database"), _bytes(disk.database, lang)))
    if state.hidden:
        facts.append((lang.t("watch.hidden"), lang.number(state.hidden)))
    return BoardView(at=lang.date(state.at), first=bad, facts=tuple(facts), checkups=views)


def _view_checkup(board: CheckupBoard, title: str, lang: Language) -> CheckupWatchView:
    name = title if board.version is None else f"{title} {lang.t('models.number', n=str(board.version))}"
    verdicts = [*_judge_sites(board, title, lang), *_judge_weeks(board, title, lang)]
    if (said := _judge_calibration(board.calibration, title, lang)) is not None:
        verdicts.append(said)
    return CheckupWatchView(
        key=board.model,
        title=name,
        about=lang.t("watch.answers", n=board.answers),
        verdicts=tuple(verdicts),
        charts=tuple(_draw(board, title, lang)),
        rows=tuple(_row(week, lang) for week in reversed(board.weeks)),
    )


def _judge_sites(board: CheckupBoard, title: str, lang: Language) -> list[WatchVerdict]:
    if not board.watched:
        return [WatchVerdict(look="", text=lang.t("watch.not_watched"))]
    found = []
    for site in board.sites:
        of = "patients_" if site.by == "patients" else ""
        where = lang.t(f"watch.{of}of_site", site=site.site) if site.site else lang.t(f"watch.{of}of_all")
        if site.state == "drift":
            day = format_day(date.fromisoformat((site.since or "")[:10]), lang.code)
            key = {"training": "watch.drift", "patients": "watch.drift_patients", "first": "watch.drift_first"}[site.by]
            text = lang.t(key, where=where, since=day, title=title, n=FIRST)
            found.append(
                WatchVerdict(look=_BAD, text=text, todo=f"{lang.t('watch.drift_todo')} {_untold(site, lang)}".strip())
            )
        elif site.state == "steady" and site.patients is not None:
            text = lang.t("watch.steady_patients", where=where, n=site.patients, pictures=lang.number(site.pictures))
            found.append(WatchVerdict(look=_GOOD, text=text))
        elif site.state == "steady":
            key = "watch.steady" if site.by == "training" else "watch.steady_first"
            text = lang.t(key, where=where, n=site.pictures, first=FIRST)
            found.append(WatchVerdict(look=_GOOD, text=f"{text} {_untold(site, lang)}".strip()))
        elif site.patients is not None:
            found.append(WatchVerdict(look="", text=lang.t("watch.few_patients", where=where, n=site.patients)))
        else:
            text = lang.t(f"watch.{site.state}", where=where, n=site.pictures, first=FIRST)
            found.append(WatchVerdict(look="", text=f"{text} {_untold(site, lang)}".strip()))
    return found


def _untold(site: SiteWatch, lang: Language) -> str:
    """Say that pictures are counted, and not patients: as nobody told whose they are, or as it cannot be used."""
    if site.by == "patients" or not site.pictures:
        return ""
    rest = site.pictures - site.told
    return lang.t("watch.untold", n=rest) if rest > 0 else lang.t("watch.untaught")


def _judge_weeks(board: CheckupBoard, title: str, lang: Language) -> list[WatchVerdict]:
    """Say of the last two weeks what is unusual; older ones are seen in the charts."""
    found = []
    for week in board.weeks[-2:]:
        for name, share in (("flagged", week.flagged), ("refused", week.refused)):
            if share.unusual and share.value is not None and share.low is not None and share.high is not None:
                more = "more" if share.value > share.high else "less"
                text = lang.t(
                    f"watch.{name}_{more}",
                    title=title,
                    week=_day(week.start, lang),
                    share=lang.percent(share.value),
                    low=lang.percent(share.low),
                    high=lang.percent(share.high),
                )
                found.append(WatchVerdict(look=_WARN, text=text, todo=lang.t(f"watch.{name}_todo")))
    return found


def _judge_calibration(found: FeedbackCalibration | None, title: str, lang: Language) -> WatchVerdict | None:
    if found is None:
        return None
    told = {
        "title": title,
        "n": found.n,
        "claimed": lang.percent(found.claimed),
        "right": lang.percent(found.right),
        "low": lang.percent(found.low),
        "high": lang.percent(found.high),
    }
    look = {"few": "", "fits": _GOOD, "too_sure": _WARN, "too_unsure": _WARN}[found.verdict]
    todo = lang.t("watch.calibration_todo") if look == _WARN else ""
    return WatchVerdict(look=look, text=lang.t(f"watch.calibration_{found.verdict}", **told), todo=todo)


def _draw(board: CheckupBoard, title: str, lang: Language) -> list[ShownChart]:
    weeks, key = board.weeks, f"w-{board.model}"
    charts: list[ShownChart] = []
    if not weeks:
        return charts
    volume = [_point(w, float(w.answers), lang.t("watch.answers", n=w.answers), lang) for w in weeks]
    charts.append(
        _chart(draw_bars, f"{key}-n", "volume", volume, _scale([w.answers for w in weeks], lang), title, lang)
    )
    for name in ("flagged", "refused"):
        shares: list[WeekShare] = [getattr(w, name) for w in weeks]
        points = [_share_point(w, s, lang) for w, s in zip(weeks, shares, strict=True)]
        top = max([0.05, *(v for s in shares for v in (s.value, s.high) if v is not None)])
        charts.append(_chart(draw_share, f"{key}-{name}", name, points, _percent_scale(top, lang), title, lang))
    slow = [w.slow_ms or 0.0 for w in weeks]
    middle = [_point(w, w.middle_ms, _ms(w.middle_ms, lang), lang) for w in weeks]
    upper = [_point(w, w.slow_ms, _ms(w.slow_ms, lang), lang) for w in weeks]
    if any(slow):
        name = f"{lang.t('watch.latency')}: {title}"
        svg = draw_two(f"{key}-ms", middle, upper, _scale(slow, lang), name, _describe(upper))
        note = lang.t("watch.latency_note")
        charts.append(ShownChart(heading=lang.t("watch.latency"), svg=Markup(svg), note=note))
    for i, site in enumerate(board.sites):
        if site.evidence:
            charts.append(_draw_site(f"{key}-s{i}", site, title, lang))
    return charts


def _draw_site(key: str, site: SiteWatch, title: str, lang: Language) -> ShownChart:
    where = site.site or title
    of = "_patients" if site.by == "patients" else ""
    heading = lang.t(f"watch.evidence{of}", site=where)
    ends = (_day(date.fromisoformat(site.at[0][:10]), lang), _day(date.fromisoformat(site.at[-1][:10]), lang))
    words = lang.t(f"watch.evidence_words{of}", n=len(site.evidence), share=lang.percent(min(1.0, site.evidence[-1])))
    svg = draw_evidence(key, site.evidence, ends, f"{heading}: {title}", words, lang.t("watch.limit"))
    return ShownChart(heading=heading, svg=Markup(svg), note=lang.t(f"watch.evidence_note{of}"))


def _chart(
    draw: object, key: str, name: str, points: list[WeekPoint], scale: WeekScale, title: str, lang: Language
) -> ShownChart:
    assert callable(draw)
    heading = lang.t(f"watch.{name}")
    svg = draw(key, points, scale, f"{heading}: {title}", _describe(points))
    note = lang.t(f"watch.{name}_note") if lang.has(f"watch.{name}_note") else ""
    return ShownChart(heading=heading, svg=Markup(str(svg)), note=note)


def _describe(points: Sequence[WeekPoint]) -> str:
    return "; ".join(p.words for p in points if p.value is not None)


def _point(week: Week, value: float | None, words: str, lang: Language) -> WeekPoint:
    when = _day(week.start, lang)
    return WeekPoint(when=when, value=value, words=f"{when}: {words}")


def _share_point(week: Week, share: WeekShare, lang: Language) -> WeekPoint:
    when = _day(week.start, lang)
    if share.value is None:
        return WeekPoint(when=when, value=None, words="")
    words = f"{when}: {_word_share(share, lang)}"
    return WeekPoint(when=when, value=share.value, words=words, low=share.low, high=share.high, odd=share.unusual)


def _word_share(share: WeekShare, lang: Language) -> str:
    if share.value is None:
        return "–"
    told = f"{lang.percent(share.value)} ({lang.t('watch.of', n=share.hits, of=share.n)})"
    if share.low is None or share.high is None:
        return told
    return f"{told}, {lang.t('watch.expected', low=lang.percent(share.low), high=lang.percent(share.high))}"


def _row(week: Week, lang: Language) -> tuple[str, ...]:
    return (
        _day(week.start, lang),
        lang.number(week.answers),
        _word_share(week.flagged, lang),
        _word_share(week.refused, lang),
        f"{_ms(week.middle_ms, lang)} / {_ms(week.slow_ms, lang)}",
    )


def _ms(value: float | None, lang: Language) -> str:
    return "–" if value is None else f"{lang.number(value)}\u00a0ms"


def _day(day: date, lang: Language) -> str:
    return format_day(day, lang.code)


def _scale(values: Sequence[float], lang: Language) -> WeekScale:
    top = max(1.0, *values)
    marks = tuple((at, lang.number(at)) for at in nice_ticks(0, top, 3) if at >= 1 and at == int(at))
    return WeekScale(top=top, marks=marks)


def _percent_scale(top: float, lang: Language) -> WeekScale:
    top = min(1.0, top * 1.1)
    return WeekScale(top=top, marks=tuple((at, lang.percent(at)) for at in nice_ticks(0, top, 3) if at > 0))


def _bytes(n: int, lang: Language) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if n >= size:
            return f"{lang.number(n / size, 1)}\u00a0{unit}"
    return f"{lang.number(n / 1e3, 1)}\u00a0kB"
