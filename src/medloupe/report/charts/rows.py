"""Draw the charts that are read row by row: bars, dots with intervals, gauges, confusion, icon arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple

from medloupe.report.charts.svg import (
    SMALL,
    TEXT,
    Frame,
    decimal_tick,
    drawing,
    nice_step,
    nice_ticks,
    percent_tick,
    shorten,
    tag,
    text,
    text_width,
    title,
)
from medloupe.report.formats import bounds, count, decimal, plural, share, value, with_interval

WIDTH = 340.0


class Row(NamedTuple):
    """One row of a chart.

    Attributes
    ----------
    label
        At its left.
    metric
        What is drawn.
    note
        Set after the label, muted.
    shape
        "bar", or "dot" with its interval.
    """

    label: str
    metric: Any
    note: str = ""
    shape: str = "dot"


def shared_scale(metrics: Sequence[Any]) -> tuple[float, float]:
    """Return a round range that holds every interval, so that charts side by side share one scale."""
    seen = [x for m in metrics for x in (value(m), *(bounds(m) or ())) if x is not None]
    if not seen:
        return 0.0, 1.0
    step = nice_step(max(0.1, 1 - min(seen)), 4)
    return min(max(0.0, math.floor(min(seen) / step + 1e-9) * step), 1.0 - step), 1.0


def intervals(
    key: str,
    name: str,
    rows: Sequence[Row],
    scale: tuple[float, float],
    style: str = "decimal",
    reference: tuple[float, str] | None = None,
) -> str:
    """Draw a dot and its 95% interval for each row, under the row's name, so that long names are never cut short.

    Parameters
    ----------
    key
        Unique in the page.
    name
        What a screen reader calls the chart.
    rows
        From top to bottom.
    scale
        Of the figures.
    style
        Of formats.STYLES.
    reference
        A figure to compare with and what it is, or None.
    """
    pitch, top = 36.0, 18.0 if reference else 4.0
    frame = Frame(left=12, top=top, width=WIDTH - 24, height=pitch * len(rows) + 4, x=scale)
    words = percent_tick if style == "percent" else decimal_tick
    inside = [_foot(frame, words)]
    if reference:
        at = frame.at_x(reference[0])
        half = text_width(reference[1], SMALL) / 2
        inside.append(text(min(max(at, half), WIDTH - half), 11, reference[1], "small muted", "middle"))
    said = []
    for i, row in enumerate(rows):
        y = top + pitch * i
        figure = with_interval(row.metric, style) if value(row.metric) is not None else "too few to judge"
        if reference:  # broken off where the figures stand
            at = frame.at_x(reference[0])
            inside.append(tag("line", x1=at, x2=at, y1=y + 18, y2=y + 32, class_="reference"))
        room = WIDTH - 10 - text_width(figure, TEXT) - text_width(row.note, SMALL) - 12
        label = shorten(row.label, room, bold=True)
        inside.append(
            tag(
                "text",
                tag("tspan", escape(label), class_="strong"),
                tag("tspan", escape(row.note), dx=6, class_="small muted"),
                x=frame.left,
                y=y + 14,
                class_="halo",
            )
        )
        inside.append(text(frame.right, y + 14, figure, "figure halo", "end"))
        inside.append(_dot(frame, row, y + 25, f"{row.label}: {figure}"))
        said.append(f"{row.label} {row.note}: {figure}")
    return drawing(key, WIDTH, frame.bottom + 20, name, "; ".join(said) + ".", *inside)


def bars(key: str, name: str, rows: Sequence[Row], scale: tuple[float, float] = (0.5, 1.0), least: str = "") -> str:
    """Draw one line a row: name, bar (or dot with interval), figure.

    Parameters
    ----------
    key
        Unique in the page.
    name
        What a screen reader calls the chart.
    rows
        From top to bottom.
    scale
        Of the bars.
    least
        What the left end of the scale means, or "".
    """
    pitch, top = 23.0, 18.0 if least else 4.0
    gutter = min(132.0, max(text_width(r.label, bold=r.shape == "dot") for r in rows) + 8)
    margin = 52.0
    frame = Frame(left=gutter, top=top, width=WIDTH - gutter - margin, height=pitch * len(rows) + 2, x=scale)
    inside = [_foot(frame, decimal_tick)]
    if least:
        inside.append(text(frame.left, 11, least, "small muted"))
    inside.append(tag("line", x1=frame.left, x2=frame.left, y1=top, y2=frame.bottom, class_="axis"))
    said = []
    for i, row in enumerate(rows):
        y = top + pitch * i + pitch / 2 + 1
        figure = with_interval(row.metric)
        weight = "strong" if row.shape == "dot" else ""
        inside.append(text(0, y + 4, shorten(row.label, gutter - 6), weight))
        if row.shape == "dot":
            inside.append(_dot(frame, row, y, f"{row.label}: {figure}"))
        else:
            length = frame.at_x(value(row.metric) or scale[0]) - frame.left
            inside.append(tag("rect", x=frame.left, y=y - 5, width=length, height=10, class_="bar"))
        inside.append(text(WIDTH, y + 4, decimal(row.metric), f"figure {weight}", "end"))
        said.append(f"{row.label}: {figure}")
    return drawing(key, WIDTH, frame.bottom + 20, name, "; ".join(said) + ".", *inside)


def counts(key: str, name: str, tally: Sequence[tuple[str, int]], whole: int) -> str:
    """Draw how many of each, as bars with count and share of `whole`."""
    pitch = 23.0
    gutter = min(140.0, max(text_width(label) for label, _ in tally) + 8)
    most = max((n for _, n in tally), default=0) or 1
    room = WIDTH - gutter - 84
    inside, said = [], []
    for i, (label, n) in enumerate(tally):
        y = pitch * i + pitch / 2 + 2
        proportion = share(n / whole) if whole else ""
        inside.append(tag("g", title(label), text(0, y + 4, shorten(label, gutter - 6))))
        inside.append(tag("rect", x=gutter, y=y - 6, width=room * n / most, height=12, class_="bar"))
        inside.append(text(WIDTH - 40, y + 4, count(n), "figure", "end"))
        inside.append(text(WIDTH, y + 4, proportion, "figure muted", "end"))
        said.append(f"{label}: {count(n)} ({proportion})")
    return drawing(key, WIDTH, pitch * len(tally) + 4, name, "; ".join(said) + ".", *inside)


def gauge(key: str, name: str, metric: Any, scale: tuple[float, float], baseline: tuple[float, str] | None) -> str:
    """Draw one figure and its interval on its scale, with the baseline it must beat as a tick."""
    frame = Frame(left=5, top=0, width=160, height=20, x=scale)
    inside = [tag("line", x1=frame.left, x2=frame.right, y1=10, y2=10, class_="rail")]
    said = with_interval(metric)
    if baseline:
        at = frame.at_x(baseline[0])
        inside.append(tag("line", title(baseline[1]), x1=at, x2=at, y1=2, y2=18, class_="baseline"))
        said += f"; {baseline[1]}"
    inside.append(_dot(frame, Row(name, metric), 10, f"{name}: {said}"))
    return drawing(key, 170, 20, name, said, *inside, kind="gauge")


def icon_array(key: str, marked: int, name: str, description: str, kind: str = "") -> str:
    """Draw a hundred people as dots, the first `marked` of them filled; kind "alarm" for those flagged wrongly."""
    inside = []
    for i in range(100):
        row, column = divmod(i, 20)
        filled = i < marked
        inside.append(
            tag(
                "circle",
                cx=8 + 16.4 * column,
                cy=8 + 16.4 * row,
                r=6 if filled else 5.5,
                class_=f"dot {kind}".strip() if filled else "dot none",
            )
        )
    return drawing(key, WIDTH - 12, 16.4 * 5, name, description, *inside, kind="hundred")


def confusion(key: str, labels: Sequence[str], matrix: Sequence[Sequence[float]]) -> str:
    """Draw truth by row, answer by column: how many, and what share of the row.

    Columns carry the numbers of the rows.
    """
    k = len(labels)
    detailed, compact = k <= 5, k > 12
    named = [label if detailed else f"{i + 1}  {label}" for i, label in enumerate(labels)]
    width = WIDTH if detailed else 700.0
    cell_h = 48.0 if k <= 3 else 40.0 if not compact else 24.0
    gutter = min(104.0 if detailed else 170.0, max(text_width(n, bold=True) for n in named) + 8)
    cell_w = (width - gutter - 2) / k
    top = 36.0
    inside = [
        text(0, 11, "truth ↓", "name"),
        text(gutter, 11, "answer →", "name"),
    ]
    said = []
    for j, label in enumerate(labels):
        words = shorten(label, cell_w - 4, bold=True) if detailed else str(j + 1)
        inside.append(tag("g", title(label), text(gutter + cell_w * (j + 0.5), 29, words, "strong", "middle")))
    for i, row in enumerate(matrix):
        y, whole = top + cell_h * i, sum(row)
        middle = y + cell_h / 2
        label = tag(
            "g",
            title(labels[i]),
            text(0, middle + (4 if compact else -1), shorten(named[i], gutter - 6, bold=True), "strong"),
        )
        inside.append(label)
        if not compact:
            inside.append(text(0, middle + 14, f"of {count(whole)}", "small muted"))
        for j, n in enumerate(row):
            part = n / whole if whole else 0.0
            x, centre = gutter + cell_w * j, gutter + cell_w * (j + 0.5)
            words = f"{count(n)} of {plural(whole, 'image')} of {labels[i]} called {labels[j]} ({share(part)})"
            kind = "cell right" if i == j else "cell"
            cell = tag(
                "rect",
                x=x + 1,
                y=y + 1,
                width=cell_w - 2,
                height=cell_h - 2,
                fill_opacity=f"{0.5 * part:.2f}",
                class_=kind,
            )
            ink = "middle muted" if n == 0 else "strong" if i == j else ""
            if compact:
                inner = (
                    text(centre, middle + 4, share(part).rstrip("%"), f"small {ink}", "middle") if part >= 0.005 else ""
                )
            else:
                inner = text(centre, middle - 1, count(n), ink, "middle")
                inner += text(centre, middle + 14, share(part), "small", "middle") if n else ""
            inside.append(tag("g", title(words), cell, inner))
            if i != j and n:
                said.append(words)
    described = "; ".join(said[:20]) or "No errors"
    kind = "" if detailed else "wide"
    return drawing(key, width, top + cell_h * k + 2, "Confusion matrix", described + ".", *inside, kind=kind)


def _dot(frame: Frame, row: Row, y: float, words: str) -> str:
    """Draw a value with its interval, on a row's own line."""
    v, ends = value(row.metric), bounds(row.metric)
    if v is None:
        return ""
    bar = tag("line", x1=frame.at_x(ends[0]), x2=frame.at_x(ends[1]), y1=y, y2=y, class_="whisker") if ends else ""
    return tag("g", title(words), bar, tag("circle", cx=frame.at_x(v), cy=y, r=4, class_="dot"))


def _foot(frame: Frame, words: Callable[[float], str]) -> str:
    """Draw the scale under rows of dots or bars, with a hairline up from each tick."""
    marks = []
    for x in nice_ticks(*frame.x, about=4):
        at = frame.at_x(x)
        marks.append(tag("line", x1=at, x2=at, y1=frame.top, y2=frame.bottom, class_="hair"))
        marks.append(text(at, frame.bottom + 14, words(x), "tick", "middle"))
    return "".join(marks)
