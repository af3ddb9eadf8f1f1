"""Charts of two runs over each other: ROC, precision-recall, calibration, and their paired differences. SVG strings.

The first run is blue and drawn whole, the second orange and dashed: told apart without colour too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from medloupe.report.charts.axes import WIDTH, along_diagonal, square, square_axes
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
from medloupe.report.formats import bounds, known, plural, share, signed, signed_interval, value

KINDS = ("first", "second")


class Line(NamedTuple):
    """One run's part of a chart: its name, its figure as text, and its curve."""

    name: str
    figure: str
    curve: Mapping[str, Any]


def roc(key: str, label: str, lines: Sequence[Line], small: bool = False) -> str:
    """Sensitivity against false alarms of both runs."""
    frame, width, height = square(small)
    inside = [
        square_axes(frame, small, "false alarms" if small else "false alarms (1 − specificity)", "sensitivity"),
        frame.line(0, 0, 1, 1, "reference"),
    ]
    if not small:
        inside.append(along_diagonal(frame, "chance"))
    inside += [frame.path(line.curve["fpr"], line.curve["tpr"], f"curve {k}") for k, line in _kinds(lines)]
    if not small:
        inside.append(_legend(frame, lines, frame.bottom - 12 - 18 * (len(lines) - 1)))
    said = "; ".join(f"{line.name}: AUC {line.figure}" for line in lines)
    return drawing(key, width, height, f"ROC curves: {label}", said + ".", *inside, kind="small" if small else "")


def precision_recall(key: str, label: str, lines: Sequence[Line], small: bool = False) -> str:
    """Precision against sensitivity of both runs, with the prevalence that both share."""
    frame, width, height = square(small)
    inside = [square_axes(frame, small, "sensitivity" if small else "sensitivity (recall)", "precision")]
    prevalence = next((p for line in lines if known(p := line.curve.get("prevalence"))), None)
    if prevalence is not None:
        inside.append(frame.line(0, prevalence, 1, prevalence, "reference"))
        if not small:
            at = frame.at_y(prevalence)
            below = at + 13 if prevalence > 0.08 else at - 5
            inside.append(text(frame.left + 4, below, f"prevalence {share(prevalence)}", "small halo muted"))
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
    """What was said against what was so, of both runs, with Wilson intervals."""
    frame, width, height = square(small=False)
    inside = [
        square_axes(frame, False, "probability given", "truly so"),
        frame.line(0, 0, 1, 1, "reference"),
        text(frame.left + 8, frame.top + 18, "too modest", "small muted halo"),
    ]
    said = []
    for (kind, name), rows, aside in zip(_kinds(names), bins, (-1.6, 1.6), strict=False):
        shown = sorted((b for b in rows if known(b.get("predicted")) and known(b.get("observed"))), key=_predicted)
        if len(shown) > 1:
            inside.append(
                frame.path([b["predicted"] for b in shown], [b["observed"] for b in shown], f"curve thin {kind}")
            )
        for b in shown:
            x, y = frame.at_x(b["predicted"]) + aside, frame.at_y(b["observed"])  # apart, so that bars do not cover
            told = f"{name}: {plural(b.get('n') or 0, 'answer')}, given {share(b['predicted'])}, truly so"
            bar = ""
            if ends := bounds({**b, "value": b["observed"]}):
                bar = tag(
                    "line", x1=x, x2=x, y1=frame.at_y(ends[0]), y2=frame.at_y(ends[1]), class_=f"whisker thin {kind}"
                )
            words = f"{told} {share(b['observed'])}"
            inside.append(tag("g", title(words), bar, _mark(x, y, kind)))
            said.append(words)
    inside.append(_legend(frame, [Line(name, "", {}) for name in names], frame.bottom - 12 - 18 * (len(names) - 1)))
    return drawing(key, width, height, "Calibration of both", "; ".join(said) + ".", *inside)


class Difference(NamedTuple):
    """One row of the forest: the difference as a METRIC, and both figures as text (note)."""

    label: str
    note: str
    metric: Any


def forest(key: str, name: str, rows: Sequence[Difference], sides: tuple[str, str]) -> str:
    """Differences with their 95% intervals around no difference; sides: who is better to the left and to the right."""
    pitch, top = 36.0, 36.0
    seen = [abs(x) for r in rows for x in (value(r.metric), *(bounds(r.metric) or ())) if x is not None]
    step = nice_step(max(0.02, 2.1 * max(seen, default=0.02)), 4)
    reach = math.ceil(max([0.02, *seen]) / step - 1e-9) * step
    frame = Frame(left=14, top=top, width=WIDTH - 28, height=pitch * len(rows) + 4, x=(-reach, reach))
    middle = frame.at_x(0)
    inside = [
        text(middle - 8, 11, f"← {short(sides[0], middle - 76)} better", "small", "end"),
        text(middle + 8, 11, f"{short(sides[1], middle - 76)} better →", "small"),
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
        y = top + pitch * i
        figure = signed(row.metric)
        room = frame.width - text_width(figure, TEXT) - 14
        inside.append(text(frame.left, y + 14, shorten(row.label, room, bold=True), "strong halo"))
        inside.append(text(frame.right, y + 14, figure, "figure halo", "end"))
        v, ends = value(row.metric), bounds(row.metric)
        words = f"{row.label}: {row.note}; difference {figure}"
        if ends:
            words += f" ({signed_interval(row.metric)})"
        if v is not None:
            apart = ends is not None and (ends[0] > 0 or ends[1] < 0)
            kind = "" if not apart else KINDS[1] if v > 0 else KINDS[0]
            bar = ""
            if ends:
                low, high = frame.at_x(ends[0]), frame.at_x(ends[1])
                bar = tag("line", x1=low, x2=high, y1=y + 25, y2=y + 25, class_=f"whisker {kind or 'neither'}")
            dot = f"dot {kind or 'neither'}"
            inside.append(tag("g", title(words), bar, tag("circle", cx=frame.at_x(v), cy=y + 25, r=4, class_=dot)))
        said.append(words)
    return drawing(key, WIDTH, frame.bottom + 20, name, "; ".join(said) + ".", *inside)


def _kinds(items: Sequence[Any]) -> list[tuple[str, Any]]:
    return list(zip(KINDS, items, strict=False))


def _predicted(b: Mapping[str, Any]) -> float:
    return b["predicted"]


def _mark(x: float, y: float, kind: str) -> str:
    """A dot for the first run, a square for the second."""
    if kind == KINDS[0]:
        return tag("circle", cx=x, cy=y, r=3.5, class_=f"dot {kind}")
    return tag("rect", x=x - 3.2, y=y - 3.2, width=6.4, height=6.4, class_=f"dot {kind}")


def _legend(frame: Frame, lines: Sequence[Line], y: float) -> str:
    """Names with a sample of their lines, in the lower right corner, where good curves leave room."""
    words = [short(line.name, 150) + (f"  {line.figure}" if line.figure else "") for line in lines]
    left = frame.right - 6 - 30 - max(text_width(w, SMALL) for w in words)
    drawn = []
    for i, (kind, told) in enumerate(_kinds(words)):
        at = y + 18 * i
        drawn.append(tag("line", x1=left, x2=left + 24, y1=at - 4, y2=at - 4, class_=f"curve {kind}"))
        drawn.append(text(left + 30, at, told, "small halo"))
    return "".join(drawn)


def short(run: str, width: float) -> str:
    """The name of a run cut to fit; never its version, which may be all that tells two runs apart."""
    name, at, version = run.rpartition("@")
    return shorten(name, width - text_width(at + version, SMALL), SMALL) + at + version


__all__ = ["KINDS", "Difference", "Line", "calibration", "forest", "precision_recall", "roc", "short"]
