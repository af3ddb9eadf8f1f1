"""Make what every chart is made of: elements, text that fits, a frame with scales and ticks.

Colours and type sizes live in style.css, by class, so that the dark and the printed page need no second drawing.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

TEXT = 12.0
SMALL = 11.0


def number(x: float) -> str:
    """Write a coordinate, to a tenth of a unit."""
    text = f"{x:.1f}"
    return "0" if text == "-0.0" else text.removesuffix(".0")


def tag(name: str, *inside: str, **attributes: float | str | None) -> str:
    """Write one element.

    Attribute names take "_" for "-", and "class_" for class; None leaves the attribute out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{number(v) if isinstance(v, int | float) else escape(v)}"'
        for key, v in attributes.items()
        if v is not None
    )
    return f"<{name}{written}>{''.join(inside)}</{name}>" if inside else f"<{name}{written}/>"


def text(x: float, y: float, words: str, class_: str = "", anchor: str | None = None) -> str:
    """Write words with their baseline at y; anchor is start, middle or end."""
    return tag("text", escape(words), x=x, y=y, class_=class_ or None, text_anchor=anchor)


def title(words: str) -> str:
    """Say what a pointer resting on the enclosing element is told."""
    return tag("title", escape(words))


def text_width(words: str, size: float = TEXT, bold: bool = False) -> float:
    """Estimate how wide words are set in a wide sans-serif face (DejaVu, Verdana); in others they leave room."""
    capital, other = (0.76, 0.66) if bold else (0.68, 0.6)

    def width(c: str) -> float:
        return 1.0 if unicodedata.east_asian_width(c) in "WF" else capital if c.isupper() else other

    return size * sum(map(width, words))


def shorten(words: str, width: float, size: float = TEXT, bold: bool = False) -> str:
    """Cut words with an ellipsis to fit a width."""
    if text_width(words, size, bold) <= width:
        return words
    while words and text_width(words + "…", size, bold) > width:
        words = words[:-1]
    return words.rstrip() + "…"


def drawing(key: str, width: float, height: float, name: str, description: str, *inside: str, kind: str = "") -> str:
    """Write a whole chart.

    Parameters
    ----------
    key
        Unique in the page.
    width, height
        Of the drawing, in its own units.
    name, description
        What a screen reader says; escaped here.
    inside
        Elements, escaped already.
    kind
        Classes beside "chart".
    """
    return tag(
        "svg",
        tag("title", escape(name), id=f"{key}-title"),
        tag("desc", escape(description), id=f"{key}-desc"),
        *inside,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
        class_=f"chart {kind}".strip(),
    )


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers from low to high, both inside."""
    step = nice_step(high - low, about)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 10) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def nice_step(span: float, about: int = 5) -> float:
    """Return the round step that cuts span into about so many."""
    raw = max(span, 1e-9) / about
    unit = 10.0 ** math.floor(math.log10(raw))
    return next((m * unit for m in (1, 2, 5) if m * unit >= raw * 0.999), 10 * unit)


def floor_below_one(lowest: float) -> float:
    """Return the round number at which a scale up to 1 begins so that it holds lowest; 0 at the least."""
    step = nice_step(max(0.05, 1 - lowest), 5)
    return max(0.0, math.floor(min(lowest, 1 - step) / step + 1e-9) * step)


def percent_tick(x: float) -> str:
    """Write a tick as "50"; the unit stands once, at 100%."""
    return f"{100 * x:.0f}" + ("%" if x == 1 else "")


def decimal_tick(x: float) -> str:
    """Write a tick as "0.9" or "0.95"."""
    return f"{x:.2f}".removesuffix("0") if x not in (0, 1) else f"{x:.0f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The plotting rectangle inside a drawing, and its two scales.

    Attributes
    ----------
    left, top, width, height
        In units of the drawing.
    x, y
        The ends of the scales.
    log
        Whether the scale of x is logarithmic.
    """

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float] = (0.0, 1.0)
    y: tuple[float, float] = (0.0, 1.0)
    log: bool = False

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    def at_x(self, x: float) -> float:
        """Return where x lies in the drawing, no farther out than the frame."""
        low, high = self.x
        if self.log:
            x, low, high = math.log(x), math.log(low), math.log(high)
        return self.left + self.width * min(1.0, max(0.0, (x - low) / (high - low)))

    def at_y(self, y: float) -> float:
        """Return where y lies in the drawing, no farther out than the frame."""
        low, high = self.y
        return self.bottom - self.height * min(1.0, max(0.0, (y - low) / (high - low)))

    def path(self, xs: Sequence[float], ys: Sequence[float], class_: str) -> str:
        """Draw a line through the points; steps too short to be seen are left out, so a page stays small."""
        kept: list[tuple[float, float]] = []
        last = len(xs) - 1
        for i, point in enumerate(zip(map(self.at_x, xs), map(self.at_y, ys), strict=True)):
            if not kept or i == last or abs(point[0] - kept[-1][0]) + abs(point[1] - kept[-1][1]) >= 0.7:
                kept.append(point)
        return tag("path", d="M" + "L".join(f"{number(x)} {number(y)}" for x, y in kept), class_=class_)

    def line(self, x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
        """Draw a straight line between two places of the scales."""
        return tag("line", x1=self.at_x(x1), y1=self.at_y(y1), x2=self.at_x(x2), y2=self.at_y(y2), class_=class_)

    def axes(
        self,
        xs: Sequence[float],
        ys: Sequence[float],
        x_words: Callable[[float], str] = percent_tick,
        y_words: Callable[[float], str] = percent_tick,
    ) -> str:
        """Draw hairlines at the ticks of y, a rule at the foot, numbers at both."""
        marks = []
        for y in ys:
            marks.append(self.line(self.x[0], y, self.x[1], y, "hair"))
            marks.append(text(self.left - 5, self.at_y(y) + 4, y_words(y), "tick", "end"))
        marks.append(self.line(self.x[0], self.y[0], self.x[1], self.y[0], "axis"))
        for x in xs:
            here = self.at_x(x)
            marks.append(tag("line", x1=here, x2=here, y1=self.bottom, y2=self.bottom + 4, class_="axis"))
            marks.append(text(here, self.bottom + 16, x_words(x), "tick", "middle"))
        return "".join(marks)
