"""Draw boxes over pictures: true ones dashed, marks solid, wrong marks crossed, missed ones filled.

Line, filling and cross tell them apart without colours; the colours are Okabe and Ito's, which differ for all eyes. A
dark casing keeps them visible over bright and dark pictures. Words stand outside the boxes, or are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from medloupe.report.charts.svg import SMALL, drawing, number, tag, text, text_width, title
from medloupe.report.formats import is_number, plural, share
from medloupe.report.parts import entries, is_picture

WIDTH = 340.0
_TALLEST = 440.0
_WORDS_MOST = 14  # boxes of a picture that are named; with more, words would cover it
_CROSS = 9.0
_KINDS = ("truth", "missed", "right", "wrong")
KEYS = (
    ("truth", "true box, found"),
    ("missed", "true box, missed"),
    ("right", "mark that is right"),
    ("wrong", "false mark"),
)


class DrawnBox(NamedTuple):
    """A box in units of the drawing.

    Attributes
    ----------
    x0, y0, x1, y1
        Its sides.
    kind
        "truth", "missed", "right" or "wrong".
    words
        Set beside it, or "".
    title
        Said where a pointer rests on it.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    kind: str
    words: str
    title: str


def picture(key: str, example: Mapping[str, Any], named: bool) -> str | None:
    """Draw a picture with its true boxes and marks; None where the picture is not embedded or has no size.

    Parameters
    ----------
    key
        Unique in the page.
    example
        "image" (a data URL), "width" and "height" in pixels, "file", "truths" ("box", "label", "found") and "marks"
        ("box", "label", "score", "right"); boxes as x0, y0, x1, y1 in pixels.
    named
        Whether words say the label too, as there are several.
    """
    wide, high = example.get("width"), example.get("height")
    if not is_picture(example.get("image")) or not (is_number(wide) and is_number(high) and wide > 0 and high > 0):
        return None
    scale = min(WIDTH / wide, _TALLEST / high)
    width, height = wide * scale, high * scale
    drawn = [_drawn(t, scale, width, height, _truth_words(t, named)) for t in entries(example.get("truths"))]
    drawn += [_drawn(m, scale, width, height, _mark_words(m, named)) for m in entries(example.get("marks"))]
    boxes = sorted((b for b in drawn if b is not None), key=lambda b: _KINDS.index(b.kind))
    inside = [
        tag("image", href=str(example["image"]), x=0, y=0, width=width, height=height, preserveAspectRatio="none")
    ]
    inside += [_box(b) for b in boxes]
    inside += _place_words(boxes, width, height)
    return drawing(key, width, height, f"Boxes in {example.get('file') or 'a picture'}", describe(boxes), *inside)


def describe(boxes: Sequence[DrawnBox]) -> str:
    """Say what is drawn: "3 of 4 true boxes found, 1 false mark."."""
    count = {kind: sum(b.kind == kind for b in boxes) for kind in _KINDS}
    true = count["truth"] + count["missed"]
    return (
        f"{count['truth']} of {plural(true, 'true box', 'true boxes')} found, {plural(count['wrong'], 'false mark')}."
    )


def swatch(kind: str) -> str:
    """Draw a small sample of a kind of box, for the legend."""
    box = DrawnBox(4, 4, 30, 16, kind, "", "")
    ground = tag("rect", x=0, y=0, width=34, height=20, class_="ground")
    inner = f"{ground}{_box(box, pointed=False)}"
    return f'<svg class="swatch" viewBox="0 0 34 20" aria-hidden="true" focusable="false">{inner}</svg>'


def _truth_words(truth: Mapping[str, Any], named: bool) -> tuple[str, str, str]:
    label = str(truth.get("label") or "")
    if truth.get("found"):
        return "truth", "", f"{label}: true box, found"
    return "missed", f"{label} missed" if named else "missed", f"{label}: true box, missed"


def _mark_words(mark: Mapping[str, Any], named: bool) -> tuple[str, str, str]:
    label, score = str(mark.get("label") or ""), share(mark.get("score"))
    kind = "right" if mark.get("right") else "wrong"
    said = "right" if mark.get("right") else "false mark"
    return kind, f"{label} {score}" if named else score, f"{label} {score}: {said}"


def _drawn(
    entry: Mapping[str, Any], scale: float, width: float, height: float, words: tuple[str, str, str]
) -> DrawnBox | None:
    """Bring a box into the drawing, no farther out than the picture."""
    box = entry.get("box")
    if not isinstance(box, list | tuple) or len(box) != 4 or not all(is_number(v) for v in box):
        return None
    x0, x1 = (min(max(float(v) * scale, 1.0), width - 1.0) for v in (box[0], box[2]))
    y0, y1 = (min(max(float(v) * scale, 1.0), height - 1.0) for v in (box[1], box[3]))
    return DrawnBox(x0, y0, max(x0, x1), max(y0, y1), *words)


def _box(box: DrawnBox, pointed: bool = True) -> str:
    size: dict[str, float] = {"x": box.x0, "y": box.y0, "width": box.x1 - box.x0, "height": box.y1 - box.y0}
    parts = [tag("rect", **size, class_="box casing"), tag("rect", **size, class_=f"box {box.kind}")]
    if box.kind == "wrong":
        arm = min(_CROSS, (box.x1 - box.x0) / 2, (box.y1 - box.y0) / 2)
        x, y = (number(v) for v in (box.x1, box.y0))
        left, low = (number(v) for v in (box.x1 - arm, box.y0 + arm))
        d = f"M{left} {y}L{x} {low}M{x} {y}L{left} {low}"
        parts += [tag("path", d=d, class_="box casing"), tag("path", d=d, class_="box wrong")]
    return tag("g", *([title(box.title)] if pointed else []), *parts)


def _place_words(boxes: Sequence[DrawnBox], width: float, height: float) -> list[str]:
    """Set words above or below their boxes where they cover nothing; else leave them out."""
    written: list[str] = []
    taken: list[tuple[float, float, float, float]] = []
    solid = [(b.x0, b.y0, b.x1, b.y1) for b in boxes]
    urgent = {"missed": 0, "wrong": 1, "right": 2}
    worded = sorted((b for b in boxes if b.words), key=lambda b: urgent.get(b.kind, 3))
    for box in worded[:_WORDS_MOST]:
        long = text_width(box.words, SMALL)
        for x in (box.x0, box.x1 - long):
            for y in (box.y0 - 4, box.y1 + 12):
                left = min(max(x, 2.0), width - long - 2)
                spot = (left, y - 10, left + long, y + 2)
                if spot[1] < 0 or spot[3] > height or left < 0 or any(_overlap(spot, t) for t in taken):
                    continue
                if any(_overlap(spot, s) for s in solid):
                    continue
                written.append(text(left, y, box.words, f"small onto {box.kind}"))
                taken.append(spot)
                break
            else:
                continue
            break
    return written


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
