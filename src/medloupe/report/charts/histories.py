"""Draw how networks were trained: epoch by epoch, by number of images, trial by trial. SVG strings.

A series is told apart by colour and by its name at the end of its line; training is dashed, validation whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from medloupe.report.charts.axes import WIDTH, band, drawable_points, log_ticks
from medloupe.report.charts.svg import (
    SMALL,
    Frame,
    decimal_tick,
    drawing,
    floor_below_one,
    nice_step,
    nice_ticks,
    shorten,
    tag,
    text,
    text_width,
    title,
)
from medloupe.report.formats import bounds, count, is_number, value, with_interval

SERIES = ("first", "second", "third", "fourth")
_APART = 14.0  # between the names at the ends of lines
_ROOM = 92.0  # for such a name


class _Line(NamedTuple):
    """One line of the chart by epoch: its series, "train" or "val", the training's name, epochs and figures."""

    kind: str
    part: str
    name: str
    xs: list[float]
    ys: list[float]


def epochs(key: str, name: str, axis: str, histories: Sequence[Mapping[str, Any]], figure: str) -> str | None:
    """Draw training and validation of every history, epoch by epoch; None where none has this figure.

    Parameters
    ----------
    key
        Unique in the page.
    name
        What a screen reader calls the chart.
    axis
        What the figure is called.
    histories
        "name", "epochs" (each with "epoch", train_FIGURE and val_FIGURE), and "parts_at": the epoch from which on only
        training improves, or None.
    figure
        "loss" or "accuracy".
    """
    lines = [
        line
        for kind, history in zip(SERIES, histories, strict=False)
        for part in ("train", "val")
        if (line := _line(kind, history, part, figure))
    ]
    if not lines:
        return None
    frame = _epochs_frame(lines, figure)
    inside = [*_epochs_axes(frame, lines, axis, figure), *_parting_flags(frame, histories, lines)]
    for line in lines:
        inside.append(frame.path(line.xs, line.ys, f"curve {line.kind} {line.part}"))
        if len(line.xs) == 1:
            inside.append(_dot(frame.at_x(line.xs[0]), frame.at_y(line.ys[0]), line.kind))
    inside.append(_end_names(frame, lines))
    said = (
        f"{line.name}, {'training' if line.part == 'train' else 'validation'}: {line.ys[0]:.3g} to {line.ys[-1]:.3g}"
        for line in lines
    )
    return drawing(key, WIDTH, frame.bottom + 36, name, "; ".join(said) + ".", *inside)


def _line(kind: str, history: Mapping[str, Any], part: str, figure: str) -> _Line | None:
    """Return the line of one part of a history, or None where it has no such figure."""
    key = f"{part}_{figure}"
    rows = [e for e in history.get("epochs") or [] if is_number(e.get("epoch")) and is_number(e.get(key))]
    if not rows:
        return None
    return _Line(kind, part, _name(history), [float(e["epoch"]) for e in rows], [float(e[key]) for e in rows])


def _epochs_frame(lines: Sequence[_Line], figure: str) -> Frame:
    """Return a frame that holds all lines, with room for their names to its right."""
    first, last = min(line.xs[0] for line in lines), max(line.xs[-1] for line in lines)
    gutter = min(96.0, max(text_width(shorten(line.name, _ROOM, SMALL), SMALL) for line in lines) + 10)
    scale = _range([y for line in lines for y in line.ys], figure)
    return Frame(left=36, top=26, width=WIDTH - 36 - gutter, height=190, x=(first, max(last, first + 1)), y=scale)


def _epochs_axes(frame: Frame, lines: Sequence[_Line], axis: str, figure: str) -> list[str]:
    first, last = frame.x[0], max(line.xs[-1] for line in lines)
    step = max(1, math.ceil((last - first) / 6))
    return [
        frame.axes(
            list(range(int(first), int(last) + 1, step)),
            nice_ticks(*frame.y),
            lambda x: f"{x:.0f}",
            decimal_tick if figure == "accuracy" else lambda y: f"{y:g}",
        ),
        text(0, 11, axis, "name"),
        text(frame.right, frame.bottom + 30, "epoch (once through the training images)", "name", "end"),
    ]


def _parting_flags(frame: Frame, histories: Sequence[Mapping[str, Any]], lines: Sequence[_Line]) -> list[str]:
    """Flag the epoch of each drawn history from which on only training improves."""
    drawn = {line.kind for line in lines}
    last = max(line.xs[-1] for line in lines)
    flags = []
    for kind, history in zip(SERIES, histories, strict=False):
        at = history.get("parts_at")
        if not is_number(at) or not frame.x[0] <= at <= last or kind not in drawn:
            continue
        x = frame.at_x(at)
        words = f"{_name(history)}: from epoch {at:.0f} on only training improves"
        pole = tag("line", x1=x, x2=x, y1=frame.top, y2=frame.bottom, class_=f"parts {kind}")
        top, tip = frame.top - 6, frame.top + 1
        cloth = f"M{x - 5:.1f} {top:.1f}L{x + 5:.1f} {top:.1f}L{x:.1f} {tip:.1f}Z"
        flags.append(tag("g", title(words), pole, tag("path", d=cloth, class_=f"flag {kind}")))
    return flags


def _end_names(frame: Frame, lines: Sequence[_Line]) -> str:
    """Write each training's name once, at the end of its validation, or of its training where it has no other."""
    validated = {line.name for line in lines if line.part == "val"}
    ends = [
        (frame.at_x(line.xs[-1]), frame.at_y(line.ys[-1]), line.kind, line.name)
        for line in lines
        if line.part == "val" or line.name not in validated
    ]
    return _spread(frame, ends)


def few_images(key: str, curves: Sequence[Mapping[str, Any]]) -> str:
    """Draw AUC against the number of images a class (log scale), a line and its 95% band a curve; the page names them.

    Parameters
    ----------
    key
        Unique in the page.
    curves
        "name" and "points", each with "n", images of each class, and "auc", a METRIC; at least one can be drawn.
    """
    shown = [
        (kind, _name(c), points)
        for kind, c in zip(SERIES, curves, strict=False)
        if (points := drawable_points(c.get("points") or []))
    ]
    frame, ticks = _few_images_frame([p for _, _, points in shown for p in points])
    inside = [
        frame.axes(ticks, nice_ticks(*frame.y), count, decimal_tick),
        text(0, 11, "AUC", "name"),
        text(frame.right, frame.bottom + 30, "images of each class to learn from (log scale)", "name", "end"),
    ]
    if frame.y[0] < 0.5:
        inside.append(frame.line(frame.x[0], 0.5, frame.x[1], 0.5, "reference"))
        inside.append(text(frame.left + 4, frame.at_y(0.5) - 5, "a coin", "small muted halo"))
    lines, dots, said = [], [], []
    for kind, name, points in shown:
        xs, ys = [float(p["n"]) for p in points], [value(p["auc"]) or 0.0 for p in points]
        inside.append(band(frame, points, f"band {kind}"))
        lines.append(frame.path(xs, ys, f"curve {kind}"))
        for p, x, y in zip(points, xs, ys, strict=True):
            words = f"{name}, {count(p['n'])} a class: AUC {with_interval(p['auc'])}"
            dots.append(tag("g", title(words), _dot(frame.at_x(x), frame.at_y(y), kind)))
            said.append(words)
    inside += [*lines, *dots]
    return drawing(key, WIDTH, frame.bottom + 36, "AUC by number of images", "; ".join(said) + ".", *inside)


def _few_images_frame(points: Sequence[Mapping[str, Any]]) -> tuple[Frame, list[float]]:
    """Return a frame that holds all points, and the ticks of its axis of images."""
    ns = [float(p["n"]) for p in points]
    lowest = min((bounds(p["auc"]) or (value(p["auc"]) or 0.0,))[0] for p in points)
    frame = Frame(
        left=36,
        top=26,
        width=WIDTH - 36 - 14,
        height=210,
        x=(min(ns) / 1.15, max(ns) * 1.15),
        y=(floor_below_one(lowest), 1.0),
        log=True,
    )
    return frame, sorted(set(ns)) if len(set(ns)) <= 6 else log_ticks(min(ns), max(ns))


def trials(key: str, tried: Sequence[tuple[float, Any]], best: float | None) -> str:
    """Draw AUC of every trial in the order they were made, and the best so far as a step line.

    Parameters
    ----------
    key
        Unique in the page.
    tried
        (number, METRIC) of each trial.
    best
        The number of the trial chosen.
    """
    shown = sorted((n, v) for n, metric in tried if (v := value(metric)) is not None)
    ys = [v for _, v in shown]
    frame = _trials_frame(shown)
    first, last = shown[0][0], shown[-1][0]
    ticks = sorted({round(t) for t in nice_ticks(first, max(last, first + 1)) if first <= round(t) <= last})
    inside = [
        frame.axes(ticks, nice_ticks(*frame.y, about=4), lambda x: f"{x:.0f}", lambda y: f"{y:.3f}"),
        text(0, 11, "AUC", "name"),
        text(frame.right, frame.bottom + 30, "trial", "name", "end"),
    ]
    xs, steps, top = [shown[0][0]], [shown[0][1]], shown[0][1]
    for n, v in shown[1:]:
        xs += [n, n]
        steps += [top, top := max(top, v)]
    inside.append(frame.path(xs, steps, "curve thin so-far"))
    for n, v in shown:
        chosen = n == best
        words = f"trial {n:.0f}: AUC {v:.3f}" + (", chosen" if chosen else "")
        look = "dot second" if chosen else "dot faint"
        dot = tag("circle", cx=frame.at_x(n), cy=frame.at_y(v), r=5 if chosen else 3, class_=look)
        inside.append(tag("g", title(words), dot))
    described = f"{len(shown)} trials, AUC from {min(ys):.3f} to {max(ys):.3f}"
    if best is not None:
        described += f"; chosen: trial {best:.0f}"
    return drawing(key, WIDTH, frame.bottom + 36, "AUC of every trial", described + ".", *inside)


def _trials_frame(shown: Sequence[tuple[float, float]]) -> Frame:
    """Return a frame that holds all trials, (number, AUC), a little off its edges."""
    ys = [v for _, v in shown]
    step = nice_step(max(0.01, max(ys) - min(ys)), 4)
    low, high = math.floor(min(ys) / step + 1e-9) * step, math.ceil(max(ys) / step - 1e-9) * step
    first, last = shown[0][0], shown[-1][0]
    edge = max(0.5, (last - first) * 0.03)
    return Frame(
        left=42,
        top=26,
        width=WIDTH - 42 - 12,
        height=150,
        x=(first - edge, last + edge),
        y=(low, high if high > low else low + step),
    )


def _range(ys: Sequence[float], figure: str) -> tuple[float, float]:
    if figure == "accuracy":
        return floor_below_one(min(ys)), 1.0
    step = nice_step(max(ys) * 1.02, 5)
    return 0.0, math.ceil(max(ys) / step - 1e-9) * step or 1.0


def _spread(frame: Frame, ends: Sequence[tuple[float, float, str, str]]) -> str:
    """Write the names at the ends of lines, pushed apart where they would cover each other."""
    placed: list[tuple[float, float, str, str]] = []
    below = -math.inf
    for x, y, kind, name in sorted(ends, key=lambda e: e[1]):
        below = max(y, below + _APART)
        placed.append((x, below, kind, name))
    over = max(0.0, below - frame.bottom) if placed else 0.0
    return "".join(
        text(x + 6, y - over + 4, shorten(name, _ROOM, SMALL), f"small halo ink {kind}") for x, y, kind, name in placed
    )


def _dot(x: float, y: float, kind: str) -> str:
    return tag("circle", cx=x, cy=y, r=3.5, class_=f"dot {kind}")


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name") or "unnamed")
