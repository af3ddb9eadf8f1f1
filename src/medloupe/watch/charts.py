"""Draw what is watched as SVG: bars, lines with the expected band, evidence of a drift. Colours live in watch.css."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medloupe.report.charts.svg import drawing, number, tag, text, title

WIDTH, HEIGHT = 320.0, 150.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 8.0, 10.0, 26.0
_INNER = WIDTH - _LEFT - _RIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekPoint:
    """A value of a week as it is drawn.

    Attributes
    ----------
    when
        The week, in words.
    value
        None where there is none.
    low, high
        What was expected, or None.
    words
        What a pointer that rests on it is told.
    odd
        Whether it is outside of what was expected.
    """

    when: str
    value: float | None
    words: str
    low: float | None = None
    high: float | None = None
    odd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekScale:
    """The vertical axis: its top, and what stands at its marks."""

    top: float
    marks: tuple[tuple[float, str], ...]


def draw_bars(key: str, points: Sequence[WeekPoint], scale: WeekScale, name: str, words: str) -> str:
    """Draw bars by week."""
    step = _INNER / max(1, len(points))
    width = max(2.0, min(22.0, 0.7 * step))
    bars = [
        tag(
            "rect",
            title(p.words),
            x=_x(i, len(points)) - width / 2,
            y=_y(p.value, scale),
            width=width,
            height=max(0.0, HEIGHT - _BOTTOM - _y(p.value, scale)),
            class_="bar",
        )
        for i, p in enumerate(points)
        if p.value
    ]
    return _frame(key, points, scale, name, words, *bars)


def draw_share(key: str, points: Sequence[WeekPoint], scale: WeekScale, name: str, words: str) -> str:
    """Draw a line by week within the band that was expected; what is outside is a filled square."""
    return _frame(
        key, points, scale, name, words, *_band(points, scale), *_line(points, scale, "line"), *_dots(points, scale)
    )


def draw_two(
    key: str, points: Sequence[WeekPoint], above: Sequence[WeekPoint], scale: WeekScale, name: str, words: str
) -> str:
    """Draw two lines by week, the upper one broken."""
    lines = (*_line(above, scale, "line upper"), *_line(points, scale, "line"))
    return _frame(key, points, scale, name, words, *lines, *_dots(above, scale), *_dots(points, scale))


def draw_evidence(key: str, evidence: Sequence[float], ends: tuple[str, str], name: str, words: str, limit: str) -> str:
    """Draw the evidence of a drift after each batch, in units of the limit: at 1 there is an alarm."""
    top = max(1.3, min(2.0, max(evidence, default=0.0) * 1.1))
    scale = WeekScale(top=top, marks=())
    n = len(evidence)
    places = [(_x(i, n), _y(min(value, top), scale)) for i, value in enumerate(evidence)]
    path = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in places) if places else ""
    at = _y(1.0, scale)
    inside = [
        tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=at, y2=at, class_="limit"),
        text(_LEFT + 4, at - 5, limit, "tick"),
        tag("path", d=path, class_="line") if path else "",
        *(
            tag("rect", x=x - 3, y=y - 3, width=6.0, height=6.0, class_="dot odd")
            for (x, y), value in zip(places, evidence, strict=True)
            if value >= 1
        ),
    ]
    return drawing(key, WIDTH, HEIGHT, name, words, *_axis(), *_ends(*ends), *inside, kind="watch")


def _x(i: int, n: int) -> float:
    return _LEFT + _INNER * (i + 0.5) / max(1, n)


def _y(value: float | None, scale: WeekScale) -> float:
    share = min(1.0, max(0.0, (value or 0.0) / scale.top)) if scale.top else 0.0
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _axis() -> list[str]:
    at = HEIGHT - _BOTTOM
    return [tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=at, y2=at, class_="axis")]


def _ends(first: str, last: str) -> list[str]:
    at = HEIGHT - 8
    ends = [text(_LEFT, at, first, "tick", "start")]
    if last and last != first:
        ends.append(text(WIDTH - _RIGHT, at, last, "tick", "end"))
    return ends


def _frame(key: str, points: Sequence[WeekPoint], scale: WeekScale, name: str, words: str, *inside: str) -> str:
    marks = [
        part
        for value, said in scale.marks
        for part in (
            tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=_y(value, scale), y2=_y(value, scale), class_="grid"),
            text(_LEFT - 6, _y(value, scale) + 4, said, "tick", "end"),
        )
    ]
    ends = _ends(points[0].when, points[-1].when) if points else []
    return drawing(key, WIDTH, HEIGHT, name, words, *marks, *_axis(), *ends, *inside, kind="watch")


def _band(points: Sequence[WeekPoint], scale: WeekScale) -> list[str]:
    """Draw what was expected, week by week, as a stepped area."""
    half = _INNER / max(1, len(points)) / 2
    return [
        tag(
            "rect",
            x=_x(i, len(points)) - half,
            y=_y(p.high, scale),
            width=2 * half,
            height=max(1.0, _y(p.low, scale) - _y(p.high, scale)),
            class_="band",
        )
        for i, p in enumerate(points)
        if p.low is not None and p.high is not None
    ]


def _line(points: Sequence[WeekPoint], scale: WeekScale, kind: str) -> list[str]:
    """Draw lines between weeks that follow each other and have values."""
    runs: list[list[str]] = [[]]
    for i, p in enumerate(points):
        if p.value is None:
            runs.append([])
        else:
            runs[-1].append(f"{number(_x(i, len(points)))} {number(_y(p.value, scale))}")
    return [tag("path", d="M" + "L".join(run), class_=kind) for run in runs if len(run) > 1]


def _dots(points: Sequence[WeekPoint], scale: WeekScale) -> list[str]:
    found = []
    for i, p in enumerate(points):
        if p.value is None:
            continue
        x, y = _x(i, len(points)), _y(p.value, scale)
        if p.odd:
            found.append(tag("rect", title(p.words), x=x - 4.5, y=y - 4.5, width=9.0, height=9.0, class_="dot odd"))
        else:
            found.append(tag("circle", title(p.words), cx=x, cy=y, r=3.0, class_="dot"))
    return found
