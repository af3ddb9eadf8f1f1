"""Draw the app's icons: the loupe with a trace in it, as PNG at the sizes that systems ask for."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

SIZES = (192, 512)
_BLUE, _PAPER = (27, 94, 145), (255, 254, 251)
_FINER = 4  # drawn so many times larger, then shrunk, for smooth edges
_TRACE = ((6.5, 14.0), (10.0, 14.0), (12.0, 9.5), (15.0, 17.5), (16.8, 14.0), (20.5, 14.0))


def draw_icon(size: int, *, maskable: bool = False) -> bytes:
    """Draw an icon as PNG bytes.

    Parameters
    ----------
    size : int
        Pixels a side.
    maskable : bool
        Whether systems may cut it to a shape of theirs: then all that matters lies within the middle.
    """
    side = size * _FINER
    image = Image.new("RGB", (side, side), _BLUE)
    draw = ImageDraw.Draw(image)
    margin = 0.2 if maskable else 0.1
    scale = side * (1 - 2 * margin) / 32

    def at(x: float, y: float) -> tuple[float, float]:
        return side * margin + x * scale, side * margin + y * scale

    def stroke(points: tuple[tuple[float, float], ...], width: float) -> None:
        draw.line([at(*p) for p in points], _PAPER, round(width * scale), joint="curve")
        for x, y in (at(*p) for p in (points[0], points[-1])):
            r = width * scale / 2
            draw.ellipse((x - r, y - r, x + r, y + r), _PAPER)

    radius, width = 9.5, 2.6
    draw.ellipse(
        (
            *at(13.5 - radius - width / 2, 13.5 - radius - width / 2),
            *at(13.5 + radius + width / 2, 13.5 + radius + width / 2),
        ),
        _PAPER,
    )
    inner = radius - width / 2
    draw.ellipse((*at(13.5 - inner, 13.5 - inner), *at(13.5 + inner, 13.5 + inner)), _BLUE)
    stroke(((20.5, 20.5), (28.0, 28.0)), 3.6)
    stroke(_TRACE, 1.7)
    out = io.BytesIO()
    image.resize((size, size), Image.Resampling.LANCZOS).save(out, "PNG", optimize=True)
    return out.getvalue()
