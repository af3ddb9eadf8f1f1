"""Tell whether a picture is good enough to be judged: not too dark, washed out, blurred, glaring, small or cut off.

A picture is measured once, on versions of at most 208 pixels, where it is decoded (a few milliseconds, under 1 MiB
whatever its size). A check-up's limits come from its own pictures (training/pipeline/quality.py): what is sharp or dark
differs from X-rays to photographs. Without limits only what is blank or tiny is stopped.

What this can tell honestly is how a picture was taken, not what it shows. *Cropped* is told where the organ usually
stands before a dark surround and here runs into the frame (eye, brain, ultrasound), and by a shape of the frame as no
picture had it; of pictures that are filled by the organ (skin, chest X-rays) a cut cannot be seen without a learned
part. Nor can a wrong view of the right organ: what is of another kind altogether is refused as foreign (novelty).
Glare is seen where it hides what lies below (white patches), not where it only veils.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

SIDES = (208, 104, 48)
"""Longer sides, in pixels, at which sharpness is measured: of a picture those that it has."""

LEAST_SIDE = 16
"""Pixels of the shorter side below which nothing can be judged."""

LEAST_CONTRAST = 3.0
"""Grey levels between the darkest and the brightest pixel below which a picture is blank."""

_WHITE = 250
_PATCH = 1 / 23  # side of the smallest white patch that counts as glare, as a share of the longer side
_MIDDLE = 0.12  # of the height and width, outside of which white is margin or lamp
DIM = 128
"""Highlights below the middle of all levels, which tell what lacks light."""

_TAPS = 7  # of the blur by which sharpness is measured
_RING = 0.02  # of the longer side: the frame in which the organ is looked for
_SURROUND = 0.12  # of the way from the darkest pixel to the bright parts, below which a pixel is surround


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """How a picture was taken; NaN where that cannot be measured.

    Attributes
    ----------
    shorter, aspect : float
        The file's shorter side in pixels; longer over shorter.
    contrast : float
        Grey levels between its darkest and its brightest pixel.
    highlights, shadows, spread : float
        Luminance 0 to 255 that 5 % exceed; that 95 % exceed; how far these lie apart.
    white : float
        Share of white pixels.
    glare : float
        Share of the middle that lies in white patches.
    blur, blur_half, blur_small : float
        At SIDES, 0 sharp to 1: how little is lost by blurring it further (Crete et al. 2007, "The blur effect").
    frame : float
        Share of the frame that is brighter than a dark surround.
    """

    shorter: float
    aspect: float
    contrast: float
    highlights: float
    shadows: float
    spread: float
    white: float
    glare: float
    blur: float
    blur_half: float
    blur_small: float
    frame: float


MEASURES = tuple(f.name for f in fields(Measures))
BLURS = ("blur", "blur_half", "blur_small")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A limit of one measure.

    Attributes
    ----------
    code : str
        Of what lies beyond it.
    measure : str
        One of MEASURES.
    above : bool
        Whether what exceeds it is stopped; else what falls short of it.
    """

    code: str
    measure: str
    above: bool


BOUNDS = (
    Bound(code="too_small", measure="shorter", above=False),
    Bound(code="too_dark", measure="highlights", above=False),
    Bound(code="too_bright", measure="white", above=True),
    Bound(code="glare", measure="glare", above=True),  # before what its soft edge blurs
    Bound(code="blurred", measure="blur", above=True),
    Bound(code="blurred", measure="blur_half", above=True),
    Bound(code="blurred", measure="blur_small", above=True),
    Bound(code="cropped", measure="frame", above=True),  # before what a missing surround makes bright
    Bound(code="too_bright", measure="shadows", above=True),
    Bound(code="too_bright", measure="spread", above=False),
    Bound(code="cropped", measure="aspect", above=True),
)
"""What is looked at, in the order in which it is told."""

SENTENCES = {
    "blank": "The picture is blank: nothing can be made out. Export or photograph it again.",
    "too_small": "The picture has too few pixels. Send the original, not a thumbnail.",
    "too_dark": "The picture is too dark. Photograph it again with more light, or export it again.",
    "too_bright": "The picture is too bright or washed out. Photograph it again with less light, without flash.",
    "blurred": "The picture is blurred. Photograph it again: hold still, and wait until it is in focus.",
    "glare": "Light is reflected over the organ. Photograph it again with the lamp or flash off, or from the side.",
    "cropped": "The organ seems to be cut off by the frame. Photograph it again with all of it inside.",
}
"""What is wrong and what to do, by code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a picture cannot be used: a code, and a sentence that says what to do."""

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What of its pictures a check-up can use: `values`, limits by measure, as BOUNDS has them."""

    values: Mapping[str, float]

    @classmethod
    def from_json(cls, entry: object) -> Limits | None:
        """Read a card's entry `quality`; None where there is none, or nothing in it that is known."""
        limits = entry.get("limits") if isinstance(entry, Mapping) else None
        if not isinstance(limits, Mapping):
            return None
        known = {k: float(v) for k, v in limits.items() if k in MEASURES and isinstance(v, int | float)}
        return cls(values=known) if known else None


def find_fault(measures: Measures, limits: Limits | None) -> Fault | None:
    """Say why a picture cannot be used; None where it can.

    Parameters
    ----------
    measures : Measures
        Of the picture.
    limits : Limits or None
        Of the check-up; None stops only what is blank or tiny.
    """
    if measures.shorter < LEAST_SIDE:
        return Fault(code="too_small", text=SENTENCES["too_small"])
    if measures.contrast < LEAST_CONTRAST:
        return Fault(code="blank", text=SENTENCES["blank"])
    known = {} if limits is None else limits.values
    for bound in BOUNDS:
        limit, value = known.get(bound.measure), getattr(measures, bound.measure)
        if limit is not None and (value > limit if bound.above else value < limit):
            code = "too_dark" if bound.measure == "spread" and _is_dark(measures) else bound.code
            return Fault(code=code, text=SENTENCES[code])
    return None


def _is_dark(measures: Measures) -> bool:
    """Tell what lacks light from what lies behind a veil: its dark parts are dark."""
    return measures.highlights < DIM and measures.shadows < measures.highlights / 2


def shrink_for_measures(image: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """Make the grey version of a decoded picture on which it is measured, of SIDES[0] pixels at most.

    Parameters
    ----------
    image : Image
        L or RGB.
    box : tuple
        Where in it the picture lies.
    """
    w, h = max(1, round(box[2] - box[0])), max(1, round(box[3] - box[1]))
    return _shrink(image, box, (w, h), min(SIDES[0], max(w, h)))


def shrink_further(grey: Image.Image, side: int) -> Image.Image:
    """Bring what `shrink_for_measures` made to a longer side of `side` where it is longer."""
    return _shrink(grey, None, grey.size, side)


def measure(grey: Image.Image, half: Image.Image, width: int, height: int) -> Measures:
    """Measure a decoded picture.

    Parameters
    ----------
    grey : Image
        As `shrink_for_measures` makes it.
    half : Image
        The same of SIDES[1] pixels.
    width, height : int
        The file's own pixels.
    """
    side = max(grey.size)
    light = np.asarray(grey)
    counts = np.bincount(light.ravel(), minlength=256)
    share = counts.cumsum() / light.size
    low, high = (float(np.searchsorted(share, q)) for q in (0.05, 0.95))
    versions = (grey, half, shrink_further(grey, SIDES[2]))
    blurs = [_blur(np.asarray(v)) if side >= s else np.nan for v, s in zip(versions, SIDES, strict=True)]
    return Measures(
        shorter=float(min(width, height)),
        aspect=max(width, height) / max(1, min(width, height)),
        contrast=float(np.ptp(light)),
        highlights=high,
        shadows=low,
        spread=high - low,
        white=float(counts[_WHITE:].sum() / light.size),
        glare=_glare(grey, side) if counts[_WHITE:].any() else 0.0,
        blur=blurs[0],
        blur_half=blurs[1],
        blur_small=blurs[2],
        frame=_frame(light, high, side),
    )


def _shrink(image: Image.Image, box: Any, size: tuple[int, int], side: int) -> Image.Image:
    """Bring the longer side to `side` where it is longer, and make it grey. size: of what is shrunk."""
    w, h = (max(1, round(s * side / max(size))) for s in size) if max(size) > side else size
    if image.mode != "L":  # grey first: the same but for rounding, in half the time
        image = image.convert("L")
    if (w, h) != image.size or box is not None:
        # Blocks are averaged first: a photograph costs no more than its pixels' sum.
        image = image.resize((w, h), Image.Resampling.BOX, box, reducing_gap=2.0)
    return image


def _blur(light: np.ndarray) -> float:
    """Measure how blurred a picture is, 0 to 1; NaN of one that is even."""
    worst = np.nan
    for x in (light, light.T):
        if x.shape[1] <= _TAPS + 1:
            continue
        values = np.ascontiguousarray(x).astype(np.int16)
        steps = np.abs(values[:, 1:] - values[:, :-1])[:, _TAPS // 2 + 1 : -(_TAPS // 2)]
        total = _TAPS * int(steps.sum(dtype=np.int64))
        if total > 0:
            # Of a mean of _TAPS pixels, each step is a _TAPS-th of that from the first to the one behind the last.
            smooth = np.abs(values[:, _TAPS + 1 :] - values[:, 1:-_TAPS])
            lost = np.maximum(0, _TAPS * steps - smooth)
            worst = np.fmax(worst, 1 - int(lost.sum(dtype=np.int64)) / total)
    return float(worst)


def _glare(grey: Image.Image, side: int) -> float:
    """Measure the share of the middle that lies in white patches."""
    size = max(3, int(side * _PATCH) // 2 * 2 + 1)
    white = grey.point([255 * (v >= _WHITE) for v in range(256)])
    patches = np.asarray(white.filter(ImageFilter.MinFilter(size)).filter(ImageFilter.MaxFilter(size)))
    h, w = patches.shape
    y, x = int(h * _MIDDLE), int(w * _MIDDLE)
    middle = patches[y : h - y, x : w - x]
    return float(np.count_nonzero(middle) / max(1, middle.size))


def _frame(light: np.ndarray, high: float, side: int) -> float:
    """Measure the share of the frame, the outermost pixels, that is brighter than a dark surround."""
    n = max(1, round(side * _RING))
    dark = float(light.min())
    ring = np.concatenate([light[:n].ravel(), light[-n:].ravel(), light[:, :n].ravel(), light[:, -n:].ravel()])
    return float(np.count_nonzero(ring > dark + max(8.0, _SURROUND * (high - dark))) / ring.size)


def as_numbers(measures: Measures) -> tuple[float, ...]:
    """Give the values in the order of MEASURES."""
    return tuple(asdict(measures).values())
