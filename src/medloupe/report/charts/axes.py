"""Draw the charts that have two axes: ROC, precision-recall, calibration, learning. Each is one SVG string."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from medloupe.report.charts.svg import (
    SMALL,
    Frame,
    decimal_tick,
    drawing,
    floor_below_one,
    nice_ticks,
    tag,
    text,
    text_width,
    title,
)
from medloupe.report.formats import bounds, count, decimal, is_number, plural, share, value, with_interval

WIDTH = 340.0  # about the width of a phone's column, so that type keeps its size there
PANEL = 170.0  # a small multiple: two to a phone's row, four to a desk's
_COLUMN = 26  # height of the column that stands for the most answers


class CurvePoint(NamedTuple):
    """A point on a ROC curve worth naming."""

    specificity: float
    sensitivity: float
    words: str


def square_frame(small: bool) -> tuple[Frame, float, float]:
    """Return a square frame with room for ticks, and its drawing's width and height."""
    width, left, right = (PANEL, 35.0, 14.0) if small else (WIDTH, 36.0, 18.0)
    side = width - left - right
    frame = Frame(left=left, top=26, width=side, height=side)
    return frame, width, frame.bottom + 34


def square_axes(frame: Frame, small: bool, x_name: str, y_name: str) -> str:
    """Draw the axes of a square frame, from 0 to 1 both ways, and their names."""
    ticks = [0, 0.5, 1] if small else [0, 0.25, 0.5, 0.75, 1]
    return (
        frame.axes(ticks, ticks)
        + text(0, 11, y_name, "name")
        + text(frame.right, frame.bottom + 30, x_name, "name", "end")
    )


def _interpolate(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the highest y reached by the time x is."""
    return max((b for a, b in zip(xs, ys, strict=True) if a <= x), default=0.0)


def roc(
    key: str, label: str, curve: Mapping[str, Any], auc: Any, marks: Sequence[CurvePoint] = (), small: bool = False
) -> str:
    """Draw sensitivity against false alarms, with the diagonal of chance and the points named in marks.

    Parameters
    ----------
    key
        Unique in the page.
    label
        Whose curve it is.
    curve
        "fpr" and "tpr", 0 to 1.
    auc
        A METRIC.
    marks
        Points worth naming.
    small
        Whether it is one of many small panels.
    """
    frame, width, height = square_frame(small)
    fpr, tpr = list(curve["fpr"]), list(curve["tpr"])
    inside = [square_axes(frame, small, "false alarms" if small else "false alarms (1 − specificity)", "sensitivity")]
    inside.append(frame.line(0, 0, 1, 1, "reference"))
    if not small:
        inside.append(diagonal_words(frame, "chance"))
    inside.append(
        tag("polygon", points=outline(frame, [0, *fpr, 1, 0], [0, *tpr, 0, 0]), class_="wash")
        + frame.path(fpr, tpr, "curve")
    )
    for i, mark in enumerate(sorted(marks, key=lambda m: -m.sensitivity)):
        inside.append(_marked_point(frame, mark, i, small))
    said = (
        f"AUC {with_interval(auc)}. At 10% false alarms it finds {share(_interpolate(0.1, fpr, tpr))} of the cases, "
        f"at 20% {share(_interpolate(0.2, fpr, tpr))}. The dashed diagonal is chance."
    )
    return drawing(key, width, height, f"ROC curve: {label}", said, *inside, kind="small" if small else "")


def precision_recall(key: str, label: str, curve: Mapping[str, Any], average: Any, small: bool = False) -> str:
    """Draw precision against sensitivity, with the line of prevalence: what flagging everybody would reach.

    Parameters
    ----------
    key
        Unique in the page.
    label
        Whose curve it is.
    curve
        "recall" and "precision", 0 to 1, and "prevalence".
    average
        The average precision, a METRIC.
    small
        Whether it is one of many small panels.
    """
    frame, width, height = square_frame(small)
    inside = [square_axes(frame, small, "sensitivity" if small else "sensitivity (recall)", "precision")]
    said = f"Average precision {with_interval(average)}."
    prevalence = curve.get("prevalence")
    if is_number(prevalence):
        inside.append(prevalence_line(frame, prevalence, small))
        said += f" The dashed line at {share(prevalence)} is the prevalence, what flagging everybody would reach."
    inside.append(frame.path(list(curve["recall"]), list(curve["precision"]), "curve"))
    return drawing(key, width, height, f"Precision-recall curve: {label}", said, *inside, kind="small" if small else "")


def _marked_point(frame: Frame, mark: CurvePoint, i: int, small: bool) -> str:
    """Draw the i-th point of the curve that is worth naming, with its words where there is room."""
    x, y = frame.at_x(1 - mark.specificity), frame.at_y(mark.sensitivity)
    dot = tag("circle", title(mark.words), cx=x, cy=y, r=3 if small else 4, class_="dot" if i == 0 else "dot open")
    if small:
        return dot
    at = min(x + 34, frame.right - text_width(mark.words, SMALL))
    down = max(y + 34, frame.at_y(0.84)) + 20 * i
    leader = tag("path", d=f"M{x:.1f} {y:.1f}L{at - 3:.1f} {down - 4:.1f}", class_="leader")
    return leader + text(at, down, mark.words, "small halo") + dot


def prevalence_line(frame: Frame, prevalence: float, small: bool) -> str:
    """Draw the prevalence as a reference line, named where there is room."""
    line = frame.line(0, prevalence, 1, prevalence, "reference")
    if small:  # a small panel has no room; there the caption says it
        return line
    at = frame.at_y(prevalence)
    below = at + 13 if prevalence > 0.08 else at - 5
    return line + text(frame.left + 4, below, f"prevalence {share(prevalence)}", "small halo muted")


def calibration(
    key: str,
    bins: Sequence[Mapping[str, Any]],
    ece: Any,
    things: tuple[str, str] = ("answer", "answers"),
    given: str = "probability given",
) -> str:
    """Draw what was said against what was so, with Wilson intervals; below it how many answers a point stands for.

    Parameters
    ----------
    key
        Unique in the page.
    bins
        "predicted" and "observed", 0 to 1, "low" and "high" of the latter, and how many answers, "n".
    ece
        The expected calibration error, a METRIC.
    things
        What a point stands for many of, one and many.
    given
        What lies along the foot.
    """
    frame, width, _ = square_frame(small=False)
    strip = Frame(left=frame.left, top=frame.bottom + 44, width=frame.width, height=58, x=frame.x)
    inside = [
        square_axes(frame, False, "", "truly so"),
        text(frame.right, frame.bottom + 30, given, "name", "end"),
        frame.line(0, 0, 1, 1, "reference"),
        text(frame.left + 8, frame.top + 18, "too modest", "small muted halo"),
        text(frame.right - 8, frame.bottom - 10, "too sure", "small muted halo", "end"),
        text(0, strip.top + 6, things[1], "name"),
        strip.line(0, 0, 1, 0, "axis"),
    ]
    shown = drawable_bins(bins)
    most = max((b.get("n") or 0 for b in shown), default=0) or 1
    for b in shown:
        x, y = frame.at_x(b["predicted"]), frame.at_y(b["observed"])
        words, ends = f"{plural(b.get('n') or 0, *things)}: {describe_bin(b)}", bin_bounds(b)
        if ends:
            words += f" ({share(ends[0])} to {share(ends[1])})"
        dot = tag("circle", cx=x, cy=y, r=3.5, class_="dot")
        inside.append(tag("g", title(words), whisker(frame, x, ends, "whisker"), dot))
        top = strip.bottom - _COLUMN * (b.get("n") or 0) / most
        inside.append(tag("line", x1=x, x2=x, y1=strip.bottom, y2=top, class_="column"))
    inside += _bin_counts(frame, strip, shown, most, width)
    said = "; ".join(map(describe_bin, shown))
    return drawing(
        key, width, strip.bottom + 6, "Calibration", f"Expected calibration error {decimal(ece)}. {said}.", *inside
    )


def drawable_bins(bins: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the bins of a reliability diagram that can be drawn, the smallest prediction first."""
    usable = (b for b in bins if is_number(b.get("predicted")) and is_number(b.get("observed")))
    return sorted(usable, key=lambda b: b["predicted"])


def describe_bin(b: Mapping[str, Any]) -> str:
    """Say what a bin of a reliability diagram stands for."""
    return f"given {share(b['predicted'])}, truly so {share(b['observed'])}"


def bin_bounds(b: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the interval of what was so in a bin, or None."""
    return bounds({**b, "value": b["observed"]})


def whisker(frame: Frame, x: float, ends: tuple[float, float] | None, class_: str) -> str:
    """Draw an upright interval at x, in the units of the drawing; "" where there is none."""
    if ends is None:
        return ""
    return tag("line", x1=x, x2=x, y1=frame.at_y(ends[0]), y2=frame.at_y(ends[1]), class_=class_)


def _bin_counts(frame: Frame, strip: Frame, shown: Sequence[Mapping[str, Any]], most: int, width: float) -> list[str]:
    """Write how many answers stand in each column; counts that would collide are left to the table."""
    written: list[str] = []
    taken: list[tuple[float, float]] = []
    for b in sorted(shown, key=lambda b: -(b.get("n") or 0)):
        n = b.get("n") or 0
        half = text_width(count(n), SMALL) / 2
        at = min(max(frame.at_x(b["predicted"]), half), width - half)
        if all(at + half + 2 < left or at - half - 2 > right for left, right in taken):
            written.append(text(at, strip.bottom - _COLUMN * n / most - 4, count(n), "small", "middle"))
            taken.append((at - half, at + half))
    return written


def learning(key: str, points: Sequence[Mapping[str, Any]]) -> str:
    """Draw AUC against the number of training images (log scale), with its 95% band.

    Parameters
    ----------
    key
        Unique in the page.
    points
        "n", how many images, and "auc", a METRIC; at least one that can be drawn.
    """
    shown = drawable_points(points)
    ns = [float(p["n"]) for p in shown]
    values = [value(p["auc"]) or 0.0 for p in shown]
    lowest = min((bounds(p["auc"]) or (v, v))[0] for p, v in zip(shown, values, strict=True))
    frame = Frame(
        left=36,
        top=26,
        width=WIDTH - 36 - 24,
        height=190,
        x=(ns[0] / 1.1, ns[-1] * 1.1),
        y=(floor_below_one(lowest), 1.0),
        log=True,
    )
    inside = [
        frame.axes(log_ticks(ns[0], ns[-1]), nice_ticks(*frame.y), count, decimal_tick),
        text(0, 11, "AUC", "name"),
        text(frame.right, frame.bottom + 30, "training images (log scale)", "name", "end"),
        band(frame, shown, "band"),
        frame.path(ns, values, "curve"),
    ]
    for p, n, v in zip(shown, ns, values, strict=True):
        words = f"{plural(n, 'image')}: AUC {with_interval(p['auc'])}"
        inside.append(tag("circle", title(words), cx=frame.at_x(n), cy=frame.at_y(v), r=3.5, class_="dot"))
    for i, anchor, shift in ((0, "start", -3.0), (-1, "end", 6.0)):
        v = frame.at_y(values[i])
        y = v + 20 if v + 20 < frame.bottom - 4 else v - 10
        inside.append(text(frame.at_x(ns[i]) + shift, y, decimal(shown[i]["auc"]), "small strong halo", anchor))
    said = "; ".join(f"{plural(n, 'image')}: {with_interval(p['auc'])}" for p, n in zip(shown, ns, strict=True))
    return drawing(key, WIDTH, frame.bottom + 36, "Learning curve", f"AUC by training images. {said}.", *inside)


def drawable_points(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the points of an AUC-by-images curve ("n", "auc") that can be drawn, fewest images first."""
    usable = (p for p in points if is_number(p.get("n")) and p["n"] > 0 and value(p.get("auc")) is not None)
    return sorted(usable, key=lambda p: p["n"])


def band(frame: Frame, points: Sequence[Mapping[str, Any]], class_: str) -> str:
    """Draw the 95% band of an AUC-by-images curve; a point without an interval has no width."""
    xs = [float(p["n"]) for p in points]
    ends = [bounds(p["auc"]) or (value(p["auc"]) or 0.0,) * 2 for p in points]
    ys = [high for _, high in ends] + [low for low, _ in ends][::-1]
    return tag("polygon", points=outline(frame, xs + xs[::-1], ys), class_=class_)


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2, 5, 10 … within the range, thinned until the numbers stand apart."""
    fine = [m * 10.0**e for e in range(9) for m in (1, 2, 5) if low * 0.95 <= m * 10.0**e <= high * 1.05]
    return fine if len(fine) <= 6 else fine[::-2][::-1]


def diagonal_words(frame: Frame, words: str) -> str:
    """Set words along the diagonal, under it."""
    x, y = frame.at_x(0.6), frame.at_y(0.6)
    turned = f"rotate(-45 {x:.1f} {y:.1f})"
    return tag("text", words, x=x, y=y + 14, transform=turned, class_="small muted", text_anchor="middle")


def outline(frame: Frame, xs: Sequence[float], ys: Sequence[float]) -> str:
    """Return the points attribute of a polygon, without steps too short to be seen."""
    kept: list[tuple[float, float]] = []
    for point in zip(map(frame.at_x, xs), map(frame.at_y, ys), strict=True):
        if not kept or abs(point[0] - kept[-1][0]) + abs(point[1] - kept[-1][1]) >= 0.7:
            kept.append(point)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in kept)
