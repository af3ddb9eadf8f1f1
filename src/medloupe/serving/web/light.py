"""Make an answer light for slow connections: without the picture, which the browser sent, and with small heat maps."""

from __future__ import annotations

import io
from dataclasses import replace

from PIL import Image

from medloupe.serving.web.views import AnswerView, HeatOverlay
from medloupe.utils.datauri import data_uri, read_data_uri

_HEAT = 48  # pixels of a heat map's longer side: it has 7 places a side, and browsers smooth what they enlarge
_ALPHAS = 32  # levels of opacity


def lighten(reading: AnswerView, *, own: bool) -> AnswerView:
    """Leave out of an article what a browser has, and shrink its heat maps.

    Parameters
    ----------
    reading
        As it would be shown.
    own
        Whether the picture shown is the one that was sent, rather than a part that was cut out of it.
    """
    picture = reading.picture
    if picture is not None and own:
        picture = replace(picture, uri="")
    return replace(reading, picture=picture, heats=tuple(_shrink(heat) for heat in reading.heats))


def _shrink(heat: HeatOverlay) -> HeatOverlay:
    if not heat.uri:
        return heat
    with Image.open(io.BytesIO(read_data_uri(heat.uri))) as png:
        overlay = png.convert("RGBA")
    scale = min(1.0, _HEAT / max(overlay.size))
    size = tuple(max(1, round(side * scale)) for side in overlay.size)
    alpha = overlay.getchannel("A").resize((size[0], size[1]), Image.Resampling.BILINEAR)
    alpha = alpha.point([round(v * (_ALPHAS - 1) / 255) for v in range(256)])
    alpha.putpalette(list(overlay.getpixel((0, 0))[:3]) * _ALPHAS)  # type: ignore[index]
    out = io.BytesIO()
    levels = bytes(round(k * 255 / (_ALPHAS - 1)) for k in range(_ALPHAS))
    alpha.save(out, "PNG", transparency=levels, bits=8, optimize=True)
    return replace(heat, uri=data_uri(out.getvalue(), "image/png"))
