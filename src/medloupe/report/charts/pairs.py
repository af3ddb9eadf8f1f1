"""Draw two runs over each other: ROC, precision-recall, calibration, and their paired differences. SVG strings.

The first run is blue and drawn whole, the second orange and dashed: told apart without colour too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from medloupe.report.charts.axes import (
    WIDTH,
    bin_bounds,
    describe_bin,
    diagonal_words,
    drawable_bins,
    prevalence_line,
    square_axes,
    square_frame,
    whisker,
)
from medloupe.report.charts.svg import (
    SMALL,
    TEXT,
    Frame,
    drawing,
    nice_step,
    nice_ticks,
    shorten,
    tag,
    text,
    text_width,
    title,
)
from medloupe.report.formats import bounds, excludes_zero, is_number, plural, signed, signed_interval, value

KINDS = ("first", "second")


class Line(NamedTuple):
    """One run's part of a chart.

    Attributes
    ----------
    name
        Of the run.
    figure
        Its figure as text, or "".
    curve
        What is drawn, as axes.py has it.
    """

    name: str
    figure: str
    curve: Mapping[str, Any]


def roc(key: str, label: str, lines: Sequence[Line], small: bool = False) -> str:
    """Draw sensitivity against false alarms of both runs."""
    frame, width, height = square_frame(small)
    inside = [
        square_axes(frame, small, "false alarms" if small else "false alarms (1 − specificity)", "sensitivity"),
        frame.line(0, 0, 1, 1, "reference"),
    ]
    if not small:
        inside.append(diagonal_words(frame, "chance"))
    inside += [frame.path(line.curve["fpr"], line.curve["tpr"], f"curve {k}") for k, line in _kinds(lines)]
    if not small:
        inside.append(_legend(frame, lines, frame.bottom - 12 - 18 * (len(lines) - 1)))
    said = "; ".join(f"{line.name}: AUC {line.figure}" for line in lines)
    return drawing(key, width, height, f"ROC curves: {label}", said + ".", *inside, kind="small" if small else "")


def precision_recall(key: str, label: str, lines: Sequence[Line], small: bool = False) -> str:
    """Draw precision against sensitivity of both runs, with the prevalence that both share."""
    frame, width, height = square_frame(small)
    inside = [square_axes(frame, small, "sensitivity" if small else "sensitivity (recall)", "precision")]
    prevalence = next((p for line in lines if is_number(p := line.curve.get("prevalence"))), None)
    if prevalence is not None:
        inside.append(prevalence_line(frame, prevalence, small))
    inside += [frame.path(line.curve["recall"], line.curve["precision"], f"curve {k}") for k, line in _kinds(lines)]
    said = "; ".join(line.name for line in lines)
    return drawing(
        key,
        width,
        height,
        f"Precision-recall curves: {label}",
        f"{said}, over each other. The dashed grey line is the prevalence.",
        *inside,
        kind="small" if small else "",
    )


def calibration(key: str, names: Sequence[str], bins: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """Draw what was said against what was so, of both runs, with Wilson intervals."""
    frame, width, height = square_frame(small=False)
    inside = [
        square_axes(frame, False, "probability given", "truly so"),
        frame.line(0, 0, 1, 1, "reference"),
        text(frame.left + 8, frame.top + 18, "too modest", "small muted halo"),
    ]
    said = []
    for (kind, name), own, aside in zip(_kinds(names), bins, (-1.6, 1.6), strict=False):
        shown = drawable_bins(own)
        if len(shown) > 1:
            inside.append(
                frame.path([b["predicted"] for b in shown], [b["observed"] for b in shown], f"curve thin {kind}")
            )
        for b in shown:
            x, y = frame.at_x(b["predicted"]) + aside, frame.at_y(b["observed"])  # apart, so that bars do not cover
            words = f"{name}: {plural(b.get('n') or 0, 'answer')}, {describe_bin(b)}"
            bar = whisker(frame, x, bin_bounds(b), f"whisker thin {kind}")
            inside.append(tag("g", title(words), bar, _dot(x, y, kind)))
            said.append(words)
    inside.append(_legend(frame, [Line(name, "", {}) for name in names], frame.bottom - 12 - 18 * (len(names) - 1)))
    return drawing(key, width, height, "Calibration of both", "; ".join(said) + ".", *inside)


class ForestRow(NamedTuple):
    """One row of the forest.

    Attributes
    ----------
    label
        What differs.
    note
        Both figures as text.
    metric
        The difference, a METRIC.
    """

    label: str
    note: str
    metric: Any


def forest(key: str, name: str, rows: Sequence[ForestRow], sides: tuple[str, str]) -> str:
    """Draw differences with their 95% intervals around no difference.

    Parameters
    ----------
    key
        Unique in the page.
    name
        What a screen reader calls the chart.
    rows
        From top to bottom.
    sides
        Who is better to the left and to the right.
    """
    pitch, top = 36.0, 36.0
    seen = [abs(x) for r in rows for x in (value(r.metric), *(bounds(r.metric) or ())) if x is not None]
    step = nice_step(max(0.02, 2.1 * max(seen, default=0.02)), 4)
    reach = math.ceil(max([0.02, *seen]) / step - 1e-9) * step
    frame = Frame(left=14, top=top, width=WIDTH - 28, height=pitch * len(rows) + 4, x=(-reach, reach))
    middle = frame.at_x(0)
    inside = [
        text(middle - 8, 11, f"← {shorten_run(sides[0], middle - 76)} better", "small", "end"),
        text(middle + 8, 11, f"{shorten_run(sides[1], middle - 76)} better →", "small"),
        text(middle, 26, "no difference", "small muted", "middle"),
    ]
    for x in nice_ticks(-reach, reach, about=4):
        at = frame.at_x(x)
        inside.append(tag("line", x1=at, x2=at, y1=top, y2=frame.bottom, class_="hair"))
        words = f"{x:+.3f}".rstrip("0").rstrip(".").replace("-", "−") if x else "0"
        inside.append(text(at, frame.bottom + 14, words, "tick", "middle"))
    inside.append(tag("line", x1=middle, x2=middle, y1=top - 4, y2=frame.bottom, class_="axis"))
    said = []
    for i, row in enumerate(rows):
        words = _describe_row(row)
        inside.append(_forest_row(frame, row, top + pitch * i, words))
        said.append(words)
    return drawing(key, WIDTH, frame.bottom + 20, name, "; ".join(said) + ".", *inside)


def _describe_row(row: ForestRow) -> str:
    words = f"{row.label}: {row.note}; difference {signed(row.metric)}"
    return f"{words} ({signed_interval(row.metric)})" if bounds(row.metric) else words


def _forest_row(frame: Frame, row: ForestRow, y: float, words: str) -> str:
    """Draw a row whose top is at y: its label, its figure, and the difference with its interval under them."""
    figure = signed(row.metric)
    room = frame.width - text_width(figure, TEXT) - 14
    written = text(frame.left, y + 14, shorten(row.label, room, bold=True), "strong halo")
    written += text(frame.right, y + 14, figure, "figure halo", "end")
    v, ends = value(row.metric), bounds(row.metric)
    if v is None:
        return written
    kind = "neither" if not excludes_zero(row.metric) else KINDS[1] if v > 0 else KINDS[0]
    bar = ""
    if ends:
        bar = tag(
            "line", x1=frame.at_x(ends[0]), x2=frame.at_x(ends[1]), y1=y + 25, y2=y + 25, class_=f"whisker {kind}"
        )
    dot = tag("circle", cx=frame.at_x(v), cy=y + 25, r=4, class_=f"dot {kind}")
    return written + tag("g", title(words), bar, dot)


def _kinds(items: Sequence[Any]) -> list[tuple[str, Any]]:
    return list(zip(KINDS, items, strict=False))


def _dot(x: float, y: float, kind: str) -> str:
    """Draw a dot for the first run, a square for the second."""
    if kind == KINDS[0]:
        return tag("circle", cx=x, cy=y, r=3.5, class_=f"dot {kind}")
    return tag("rect", x=x - 3.2, y=y - 3.2, width=6.4, height=6.4, class_=f"dot {kind}")


def _legend(frame: Frame, lines: Sequence[Line], y: float) -> str:
    """Name lines beside a sample of them, in the lower right corner, where good curves leave room."""
    words = [shorten_run(line.name, 150) + (f"  {line.figure}" if line.figure else "") for line in lines]
    left = frame.right - 6 - 30 - max(text_width(w, SMALL) for w in words)
    drawn = []
    for i, (kind, told) in enumerate(_kinds(words)):
        at = y + 18 * i
        drawn.append(tag("line", x1=left, x2=left + 24, y1=at - 4, y2=at - 4, class_=f"curve {kind}"))
        drawn.append(text(left + 30, at, told, "small halo"))
    return "".join(drawn)


def shorten_run(run: str, width: float) -> str:
    """Cut the name of a run to fit a width.

    Never its version, which may be all that tells two runs apart.
    """
    name, at, version = run.rpartition("@")
    return shorten(name, width - text_width(at + version, SMALL), SMALL) + at + version
