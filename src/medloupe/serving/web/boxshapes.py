"""Draw boxes as paths of an SVG: a shape for each label, so that labels are told apart without colour.

All boxes of one label are one path, a box a line of its data: thousands of boxes stay a few elements of the page, and a
script shows some of them by taking lines out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

COLOURS = 8  # as many as result.css knows, after Okabe and Ito; then they repeat, with other shapes
_DIGITS = 2  # after the point


def draw_path(boxes: Iterable[tuple[float, float, float, float]], place: int) -> str:
    """Draw boxes (x, y, width, height) in the shape of the label at that place among the labels."""
    draw = SHAPES[place % len(SHAPES)]
    return "\n".join(draw(*box) for box in boxes)


def _rectangle(x: float, y: float, w: float, h: float) -> str:
    return f"M{_n(x)} {_n(y)}h{_n(w)}v{_n(h)}h{_n(-w)}z"


def _ellipse(x: float, y: float, w: float, h: float) -> str:
    half = f"a{_n(w / 2)} {_n(h / 2)} 0 1 0"
    return f"M{_n(x)} {_n(y + h / 2)}{half} {_n(w)} 0{half} {_n(-w)} 0z"


def _corners(x: float, y: float, w: float, h: float) -> str:
    a = 0.3 * min(w, h)
    return (
        f"M{_n(x)} {_n(y + a)}v{_n(-a)}h{_n(a)}M{_n(x + w - a)} {_n(y)}h{_n(a)}v{_n(a)}"
        f"M{_n(x + w)} {_n(y + h - a)}v{_n(a)}h{_n(-a)}M{_n(x + a)} {_n(y + h)}h{_n(-a)}v{_n(-a)}"
    )


def _octagon(x: float, y: float, w: float, h: float) -> str:
    a = 0.25 * min(w, h)
    p, q, c = _n(w - 2 * a), _n(h - 2 * a), _n(a)
    return (
        f"M{_n(x + a)} {_n(y)}h{p}l{c} {c}v{q}l{_n(-a)} {c}h{_n(2 * a - w)}l{_n(-a)} {_n(-a)}v{_n(2 * a - h)}"
        f"l{c} {_n(-a)}z"
    )


def _ticked(x: float, y: float, w: float, h: float) -> str:
    a = 0.16 * min(w, h)
    middle, centre = _n(x + w / 2), _n(y + h / 2)
    return (
        f"{_rectangle(x, y, w, h)}M{middle} {_n(y)}v{_n(a)}M{middle} {_n(y + h)}v{_n(-a)}"
        f"M{_n(x)} {centre}h{_n(a)}M{_n(x + w)} {centre}h{_n(-a)}"
    )


def _diamond(x: float, y: float, w: float, h: float) -> str:
    p, q = w / 2, h / 2
    return f"M{_n(x + p)} {_n(y)}l{_n(p)} {_n(q)}l{_n(-p)} {_n(q)}l{_n(-p)} {_n(-q)}z"


SHAPES: tuple[Callable[[float, float, float, float], str], ...] = (
    _rectangle,
    _ellipse,
    _corners,
    _octagon,
    _ticked,
    _diamond,
)


def _n(value: float) -> str:
    """Write a number as short as it may be."""
    return f"{round(value, _DIGITS):.7g}" if abs(value) < 100_000 else f"{value:.0f}"
