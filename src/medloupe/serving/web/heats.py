"""Tell whether a heat map's strongest place lies in the empty border of its picture, and how well it points."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from medloupe.imaging.foreground import find_foreground
from medloupe.model.heatmaps import STRONGEST
from medloupe.serving.engine.figures import Pointed
from medloupe.serving.web.language import Language

_NEAR = 0.9  # of the strongest place, what counts as it
_SHOWN = 0.6  # of the strongest place, what must be seen of it where a part was cut off with the padding
_EMPTY = 0.9  # of it that must lie in the border


def strongest_outside(picture: bytes, overlay: bytes) -> bool:
    """Tell whether the strongest place of an overlay lies where the picture shows nothing.

    Parameters
    ----------
    picture
        The JPEG that a page shows, made by our own decoder.
    overlay
        The PNG that lies over it; its opacity says how strong each place is. Where the strongest place was cut off with
        the padding around the picture, that is outside too.
    """
    with Image.open(io.BytesIO(overlay)) as png:
        alpha = png.getchannel("A")
    with Image.open(io.BytesIO(picture)) as jpeg:
        shown = find_foreground(jpeg)
    strength = np.asarray(alpha.resize(shown.shape[::-1], Image.Resampling.BILINEAR), float)
    most = float(strength.max())
    if most <= 0 or shown.all():
        return False
    if float(np.asarray(alpha).max()) < _SHOWN * STRONGEST:
        return True
    place = strength >= _NEAR * most
    return float((~shown)[place].mean()) >= _EMPTY


def word_pointed(pointed: Pointed, lang: Language, label: str) -> str:
    """Say how often a label's heat map points at the right place, beside what one fixed place would reach.

    Parameters
    ----------
    pointed
        What was measured.
    lang
        The language of the page.
    label
        As people read it.
    """
    data = f" ({pointed.data})" if pointed.data else ""
    figures = {
        "label": label,
        "data": data,
        "n": pointed.images,
        "hits": round(10 * pointed.hits),
        "fixed": round(10 * pointed.fixed),
    }
    if pointed.places:
        said = lang.t("result.heat_judged_in", places=", ".join(pointed.places), **figures)
    else:
        said = lang.t("result.heat_judged", **figures)
    return said if pointed.better else f"{said} {lang.t('result.heat_no_guide')}"
