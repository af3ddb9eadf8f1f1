"""Charts of how networks were trained: epoch by epoch, by number of images, trial by trial. SVG strings.

A series is told apart by colour and by its name at the end of its line; training is dashed, validation whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.report.charts.axes import WIDTH, log_ticks, outline
from medloupe.report.charts.svg import (
    SMALL,
    Frame,
    decimal_tick,
    drawing,
    nice_step,
    nice_ticks,
    shorten,
    tag,
    text,
    text_width,
    title,
)
from medloupe.report.formats import bounds, count, known, value, with_interval

SERIES = ("first", "second", "third", "fourth")
_APART = 14.0  # between the names at the ends of lines


def epochs(key: str, name: str, axis: str, histories: Sequence[Mapping[str, Any]], figure: str) -> str | None:
    """Training and validation of every history, epoch by epoch; None where none has this figure.

    figure: "loss" or "accuracy", read from train_FIGURE and val_FIGURE. axis: what it is called.
    """
    lines = []
    for kind, history in zip(SERIES, histories, strict=False):
        for part, dash in (("train", "train"), ("val", "val")):
            rows = [
                e for e in history.get("epochs") or [] if known(e.get("epoch")) and known(e.get(f"{part}_{figure}"))
            ]
            if rows:
                xs, ys = [float(e["epoch"]) for e in rows], [float(e[f"{part}_{figure}"]) for e in rows]
                lines.append((kind, dash, str(history.get("name") or "unnamed"), xs, ys))
    if not lines:
        return None
    last = max(xs[-1] for *_, xs, _ in lines)
    first = min(xs[0] for *_, xs, _ in lines)
    low, high = _range([y for *_, ys in lines for y in ys], figure)
    names = {n for _, _, n, _, _ in lines}
    gutter = min(96.0, max(text_width(shorten(n, 92, SMALL), SMALL) for n in names) + 10)
    frame = Frame(
        left=36, top=26, width=WIDTH - 36 - gutter, height=190, x=(first, max(last, first + 1)), y=(low, high)
    )
    step = max(1, math.ceil((last - first) / 6))
    inside = [
        frame.axes(
            [x for x in range(int(first), int(last) + 1) if (x - int(first)) % step == 0],
            nice_ticks(low, high),
            lambda x: f"{x:.0f}",
            decimal_tick if figure == "accuracy" else lambda y: f"{y:g}",
        ),
        text(0, 11, axis, "name"),
        text(frame.right, frame.bottom + 30, "epoch (once through the training images)", "name", "end"),
    ]
    for kind, history in zip(SERIES, histories, strict=False):
        at = history.get("parts_at")
        if known(at) and first <= at <= last and any(k == kind for k, *_ in lines):
            x = frame.at_x(at)
            inside.append(
                tag(
                    "g",
                    title(f"{history.get('name') or 'unnamed'}: from epoch {at:.0f} on only training improves"),
                    tag("line", x1=x, x2=x, y1=frame.top, y2=frame.bottom, class_=f"parts {kind}"),
                    tag("path", d=f"M{x - 5:.1f} {frame.top - 6:.1f}L{x + 5:.1f} {frame.top - 6:.1f}L{x:.1f}"
                        f" {frame.top + 1:.1f}Z", class_=f"flag {kind}"),
                )
            )  # fmt: skip
    ends, said = [], []
    for kind, dash, of, xs, ys in lines:
        inside.append(frame.path(xs, ys, f"curve {kind} {dash}"))
        if len(xs) == 1:
            inside.append(tag("circle", cx=frame.at_x(xs[0]), cy=frame.at_y(ys[0]), r=3.5, class_=f"dot {kind}"))
        if dash == "val" or not any(d == "val" and n == of for _, d, n, _, _ in lines):
            ends.append((frame.at_x(xs[-1]), frame.at_y(ys[-1]), kind, of))
        said.append(f"{of}, {'training' if dash == 'train' else 'validation'}: {ys[0]:.3g} to {ys[-1]:.3g}")
    inside.append(_named(frame, ends, 92))
    return drawing(key, WIDTH, frame.bottom + 36, name, "; ".join(said) + ".", *inside)


def few_images(key: str, curves: Sequence[Mapping[str, Any]]) -> str:
    """AUC against the number of images a class (log scale), a line and its 95% band a curve; the page names them."""
    shown = [
        (kind, str(c.get("name") or "unnamed"), usable(c)) for kind, c in zip(SERIES, curves, strict=False) if usable(c)
    ]
    every = [p for _, _, points in shown for p in points]
    ns = [float(p["n"]) for p in every]
    lowest = min((bounds(p["auc"]) or (value(p["auc"]) or 0.0,))[0] for p in every)
    step = nice_step(max(0.05, 1 - lowest), 5)
    floor = max(0.0, math.floor(min(lowest, 1 - step) / step + 1e-9) * step)
    frame = Frame(
        left=36,
        top=26,
        width=WIDTH - 36 - 14,
        height=210,
        x=(min(ns) / 1.15, max(ns) * 1.15),
        y=(floor, 1.0),
        log=True,
    )
    ticks = sorted(set(ns)) if len(set(ns)) <= 6 else log_ticks(min(ns), max(ns))
    inside = [
        frame.axes(ticks, nice_ticks(*frame.y), count, decimal_tick),
        text(0, 11, "AUC", "name"),
        text(frame.right, frame.bottom + 30, "images of each class to learn from (log scale)", "name", "end"),
    ]
    if floor < 0.5 < 1:
        inside.append(frame.line(frame.x[0], 0.5, frame.x[1], 0.5, "reference"))
        inside.append(text(frame.left + 4, frame.at_y(0.5) - 5, "a coin", "small muted halo"))
    lines, dots, said = [], [], []
    for kind, name, points in shown:
        xs, ys = [float(p["n"]) for p in points], [value(p["auc"]) or 0.0 for p in points]
        limits = [bounds(p["auc"]) or (y, y) for p, y in zip(points, ys, strict=True)]
        band = outline(frame, xs + xs[::-1], [h for _, h in limits] + [low for low, _ in limits][::-1])
        inside.append(tag("polygon", points=band, class_=f"band {kind}"))
        lines.append(frame.path(xs, ys, f"curve {kind}"))
        for p, x, y in zip(points, xs, ys, strict=True):
            words = f"{name}, {count(p['n'])} a class: AUC {with_interval(p['auc'])}"
            dots.append(tag("g", title(words), _dot(frame.at_x(x), frame.at_y(y), kind)))
            said.append(words)
    inside += [*lines, *dots]
    return drawing(key, WIDTH, frame.bottom + 36, "AUC by number of images", "; ".join(said) + ".", *inside)


def usable(curve: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The points of a few-images curve that can be drawn, fewest images first."""
    points = [
        p for p in curve.get("points") or [] if known(p.get("n")) and p["n"] > 0 and value(p.get("auc")) is not None
    ]
    return sorted(points, key=lambda p: p["n"])


def trials(key: str, tried: Sequence[tuple[float, Any]], best: float | None) -> str:
    """AUC of every trial in the order they were made, and the best so far as a step line.

    tried: (number, METRIC). best: the number of the trial chosen.
    """
    shown = sorted((n, v) for n, metric in tried if (v := value(metric)) is not None)
    ys = [v for _, v in shown]
    step = nice_step(max(0.01, max(ys) - min(ys)), 4)
    low, high = math.floor(min(ys) / step + 1e-9) * step, math.ceil(max(ys) / step - 1e-9) * step
    first, last = shown[0][0], shown[-1][0]
    edge = max(0.5, (last - first) * 0.03)
    frame = Frame(
        left=42,
        top=26,
        width=WIDTH - 42 - 12,
        height=150,
        x=(first - edge, last + edge),
        y=(low, high if high > low else low + step),
    )
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
        dot = tag(
            "circle",
            cx=frame.at_x(n),
            cy=frame.at_y(v),
            r=5 if chosen else 3,
            class_="dot second" if chosen else "dot faint",
        )
        inside.append(tag("g", title(words), dot))
    described = f"{len(shown)} trials, AUC from {min(ys):.3f} to {max(ys):.3f}"
    if best is not None:
        described += f"; chosen: trial {best:.0f}"
    return drawing(key, WIDTH, frame.bottom + 36, "AUC of every trial", described + ".", *inside)


def _range(ys: Sequence[float], figure: str) -> tuple[float, float]:
    if figure == "accuracy":
        step = nice_step(max(0.05, 1 - min(ys)), 5)
        return max(0.0, math.floor(min(min(ys), 1 - step) / step + 1e-9) * step), 1.0
    step = nice_step(max(ys) * 1.02, 5)
    return 0.0, math.ceil(max(ys) / step - 1e-9) * step or 1.0


def _named(frame: Frame, ends: Sequence[tuple[float, float, str, str]], room: float) -> str:
    """The names at the ends of lines, pushed apart where they would cover each other."""
    placed: list[tuple[float, float, str, str]] = []
    below = -math.inf
    for x, y, kind, name in sorted(ends, key=lambda e: e[1]):
        below = max(y, below + _APART)
        placed.append((x, below, kind, name))
    over = max(0.0, below - frame.bottom) if placed else 0.0
    return "".join(
        text(x + 6, y - over + 4, shorten(name, room, SMALL), f"small halo ink {kind}") for x, y, kind, name in placed
    )


def _dot(x: float, y: float, kind: str) -> str:
    return tag("circle", cx=x, cy=y, r=3.5, class_=f"dot {kind}")


__all__ = ["SERIES", "epochs", "few_images", "trials", "usable"]
