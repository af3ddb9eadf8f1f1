"""Draw how a detector finds: FROC, the share found by size, and counts against the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.report.charts.axes import PANEL, WIDTH, whisker
from medloupe.report.charts.svg import (
    SMALL,
    Frame,
    drawing,
    nice_step,
    nice_ticks,
    tag,
    text,
    text_width,
    title,
)
from medloupe.report.formats import MISSING, bounds, is_number, plural, share, value, with_interval

RATE_WORDS = {0.125: "⅛", 0.25: "¼", 0.5: "½"}
_FEWEST, _MOST = 1 / 8, 8.0  # false marks a picture
COCO_BOUNDS = (32.0, 96.0)


def rate_tick(x: float) -> str:
    """Write a number of false marks: "⅛", "2"."""
    return RATE_WORDS.get(x, f"{x:g}")


def froc(
    key: str,
    label: str,
    curve: Mapping[str, Any],
    rates: Sequence[float],
    figures: Sequence[Any],
    point: tuple[float, float] | None,
    small: bool = False,
) -> str:
    """Draw the share found against false marks a picture, on a scale that doubles from tick to tick.

    Parameters
    ----------
    key
        Unique in the page.
    label
        Whose curve it is.
    curve
        "false_marks" and "sensitivity".
    rates, figures
        Rates at which the sensitivity is known with an interval, and these METRICs.
    point
        False marks and sensitivity at the line, or None.
    small
        Whether it is one of many small panels.
    """
    width, left, right = (PANEL, 35.0, 14.0) if small else (WIDTH, 36.0, 18.0)
    side = width - left - right
    frame = Frame(left=left, top=26, width=side, height=side if small else 230, x=(_FEWEST, _MOST), log=True)
    ticks = [_FEWEST, 0.5, 2.0, _MOST] if small else [_FEWEST * 2**i for i in range(7)]
    inside = [
        frame.axes(ticks, [0, 0.5, 1] if small else [0, 0.25, 0.5, 0.75, 1], rate_tick),
        text(0, 11, "found", "name"),
        text(frame.right, frame.bottom + 30, "false marks a picture", "name", "end"),
        frame.path(*_steps(curve), "curve"),
    ]
    said = []
    for rate, metric in zip(rates, figures, strict=False):
        v = value(metric)
        if v is None or not _FEWEST <= rate <= _MOST:
            continue
        words = f"{with_interval(metric, 'percent')} found at {rate_tick(rate)} false marks a picture"
        dot = tag("circle", cx=frame.at_x(rate), cy=frame.at_y(v), r=2.5 if small else 3.5, class_="dot")
        inside.append(tag("g", title(words), whisker(frame, frame.at_x(rate), bounds(metric), "whisker thin"), dot))
        said.append(words)
    if point and _FEWEST / 2 <= point[0] <= _MOST:
        words = f"the line: {share(point[1])} found"
        x, y = frame.at_x(point[0]), frame.at_y(point[1])
        inside.append(tag("circle", title(words), cx=x, cy=y, r=4 if small else 5.5, class_="dot alarm"))
        if not small:
            at = min(max(x + 14, frame.left), frame.right - text_width(words, SMALL))
            down = y + 30 if y + 36 < frame.bottom else y - 24
            inside.append(tag("path", d=f"M{x:.1f} {y:.1f}L{at - 3:.1f} {down - 4:.1f}", class_="leader"))
            inside.append(text(at, down, words, "small halo"))
    kind = "small" if small else ""
    return drawing(key, width, frame.bottom + 34, f"FROC curve: {label}", "; ".join(said) + ".", *inside, kind=kind)


def _steps(curve: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """Bring the curve to steps from the fewest to the most false marks that are drawn."""
    pairs = [
        (float(x), float(y))
        for x, y in zip(curve.get("false_marks") or [], curve.get("sensitivity") or [], strict=False)
        if is_number(x) and is_number(y)
    ]
    reached = max((y for x, y in pairs if x <= _FEWEST), default=0.0)
    xs, ys = [_FEWEST], [reached]
    for x, y in pairs:
        if _FEWEST < x <= _MOST:
            xs += [x, x]
            ys += [reached, y]
            reached = max(reached, y)
    return [*xs, _MOST], [*ys, reached]


def by_size(key: str, label: str, bins: Sequence[Mapping[str, Any]]) -> str:
    """Draw the share found by the box's side in pixels, on a logarithmic scale, with Wilson intervals.

    Parameters
    ----------
    key
        Unique in the page.
    label
        Whose boxes they are.
    bins
        "smallest", "side" and "largest" in pixels, "found", "low", "high", "n"; at least one.
    """
    ends = (min(b["smallest"] for b in bins), max(b["largest"] for b in bins))
    low, high = max(1.0, ends[0] / 1.15), max(ends[1] * 1.15, ends[0] * 1.5, 2.0)
    frame = Frame(left=36, top=40, width=WIDTH - 36 - 18, height=190, x=(low, high), log=True)
    ticks = [m * 10.0**e for e in range(5) for m in (1, 2, 5) if low <= m * 10.0**e <= high]
    if len(ticks) < 3:
        ticks = nice_ticks(low, high, 4)
    inside = [
        frame.axes(ticks if len(ticks) <= 7 else ticks[::2], [0, 0.25, 0.5, 0.75, 1], _plain),
        text(0, 11, "found", "name"),
        text(frame.right, frame.bottom + 30, "side of the true box in pixels (log scale)", "name", "end"),
    ]
    inside += [frame.line(bound, 0, bound, 1, "reference") for bound in COCO_BOUNDS if low < bound < high]
    inside += _size_words(frame, low, high)
    said = []
    for b in bins:
        x, y = frame.at_x(b["side"]), frame.at_y(b["found"])
        words = (
            f"{share(b['found'])} of {plural(b['n'], 'box', 'boxes')} of {b['smallest']:.0f} to {b['largest']:.0f}"
            f" pixels found"
        )
        reach = tag("line", x1=frame.at_x(b["smallest"]), x2=frame.at_x(b["largest"]), y1=y, y2=y, class_="reach")
        stem = whisker(frame, x, (b["low"], b["high"]), "whisker")
        inside.append(tag("g", title(words), reach, stem, tag("circle", cx=x, cy=y, r=4, class_="dot")))
        said.append(words)
    return drawing(key, WIDTH, frame.bottom + 36, f"Found by size: {label}", "; ".join(said) + ".", *inside)


def _size_words(frame: Frame, low: float, high: float) -> list[str]:
    """Name the three sizes of COCO over the frame, where there is room."""
    written = []
    edges = (0.0, *COCO_BOUNDS, float("inf"))
    for name, a, b in zip(("small", "medium", "large"), edges[:-1], edges[1:], strict=True):
        left, right = frame.at_x(max(a, low)), frame.at_x(min(b, high))
        if a < high and b > low and right - left > text_width(name, SMALL) + 6:
            written.append(text((left + right) / 2, frame.top - 8, name, "small muted", "middle"))
    return written


def agreement(key: str, label: str, pairs: Sequence[tuple[int, int]], figures: Mapping[str, Any]) -> str:
    """Draw counted minus true against their mean, with the mean difference and the limits of agreement.

    Parameters
    ----------
    key
        Unique in the page.
    label
        What is counted.
    pairs
        True and counted, of each picture; at least one.
    figures
        METRICs "mean_difference", "lower_limit" and "upper_limit".
    """
    points = Counter(((t + c) / 2, float(c - t)) for t, c in pairs)
    lines = {name: value(figures.get(name)) for name in ("upper_limit", "mean_difference", "lower_limit")}
    reach = max([abs(d) for _, d in points] + [abs(v) for v in lines.values() if v is not None] + [1.0])
    step = nice_step(2.2 * reach, 6)
    end = step * -(-reach * 1.1 // step)
    most = max(m for m, _ in points)
    frame = Frame(left=40, top=26, width=WIDTH - 40 - 76, height=220, x=(0.0, max(1.0, most * 1.05)), y=(-end, end))
    inside = [
        frame.axes(nice_ticks(0, frame.x[1]), nice_ticks(-end, end), _plain, _signed_tick),
        text(0, 11, "counted − true", "name"),
        text(frame.right, frame.bottom + 30, "mean of both, a picture", "name", "end"),
        frame.line(0, 0, frame.x[1], 0, "axis"),
    ]
    for (m, d), n in sorted(points.items()):
        radius = min(7.0, 2.6 + 0.8 * (n - 1) ** 0.5)
        words = f"{plural(n, 'picture')}: {d:+.0f} at {m:g}"
        inside.append(tag("circle", title(words), cx=frame.at_x(m), cy=frame.at_y(d), r=radius, class_="dot thin"))
    taken: list[float] = []
    for name, words in (("mean_difference", "mean"), ("upper_limit", "limit"), ("lower_limit", "limit")):
        v = lines[name]
        if v is None:
            continue
        inside.append(frame.line(0, v, frame.x[1], v, "level" if name == "mean_difference" else "reference strong"))
        y = frame.at_y(v) + 4
        while any(abs(y - t) < 13 for t in taken):
            y += 13 if name == "lower_limit" else -13
        taken.append(y)
        inside.append(text(WIDTH, y, f"{words} {_signed_number(v)}", "small strong", "end"))
    said = (
        f"Mean difference {_signed_number(lines['mean_difference'])}, limits of agreement"
        f" {_signed_number(lines['lower_limit'])} to {_signed_number(lines['upper_limit'])}."
    )
    return drawing(key, WIDTH, frame.bottom + 36, f"Counted against true: {label}", said, *inside)


def _plain(x: float) -> str:
    return f"{x:g}"


def _signed_tick(x: float) -> str:
    return f"{x:+g}".replace("-", "−") if x else "0"


def _signed_number(x: float | None) -> str:
    """Write a difference of counts: "+1.2", "−0.4"."""
    return MISSING if x is None else f"{x:+.1f}".replace("-", "−")
