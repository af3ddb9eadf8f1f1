"""Show where in the picture a linear head found its evidence: the exact parts of the logit, drawn over the image.

Source: class activation maps, Zhou et al. (CVPR 2016). For a linear head on pooled features the map times the head's
weights, averaged over its places, is the logit; nothing is approximated.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from medloupe.model.head import Head

_COLOUR = (214, 59, 29)  # vermilion: stands out on grey, blue-free for the colour-blind
STRONGEST = 170
"""Opacity of the strongest place, of 255."""


def map_contributions(head: Head, feature_map: np.ndarray) -> np.ndarray:
    """Compute what each place adds to each label's logit; the mean over places plus the head's bias is the logit.

    Parameters
    ----------
    head
        With weights (K, D).
    feature_map
        (N, D, h, w).

    Returns
    -------
    np.ndarray
        float32 (N, K, h, w).
    """
    return np.einsum("kd,ndhw->nkhw", head.weight, feature_map, optimize=True)


def label_evidence(parts: np.ndarray, label: int, task: str) -> np.ndarray:
    """Compute what speaks for a label at each place, float32 (h, w), of one image's contributions (K, h, w).

    Above 0 are the places that speak more for it than the picture does on average. Among exclusive classes only the
    difference to the strongest other counts: what adds the same to all moves no probability.
    """
    own = parts[label]
    if task != "multilabel" and len(parts) > 1:
        others = np.delete(parts, label, axis=0)
        own = own - others[others.mean((1, 2)).argmax()]
    return own - own.mean()


def along(values: np.ndarray, samples: int) -> np.ndarray | None:
    """Spread evidence (h, w) along a window: float (samples,), 0 to 1; None where nothing speaks for the label."""
    row = values.max(0)
    at = (np.arange(samples) + 0.5) / samples * len(row) - 0.5
    found = np.interp(at, np.arange(len(row)), np.maximum(row, 0))
    strongest = float(found.max())
    return found / strongest if strongest > 0 else None


def spread_over_picture(
    values: np.ndarray, size: int, box: tuple[int, int, int, int], places: int
) -> tuple[np.ndarray, float]:
    """Spread evidence over the picture itself, as `draw_overlay` shows it.

    Parameters
    ----------
    values
        (h, w), over the fitted square.
    size
        Side of the square in pixels.
    box
        Left, top, right, bottom of the picture without its padding.
    places
        A side, of what comes out.

    Returns
    -------
    tuple of np.ndarray and float
        float32 (places, places), and the share of what is above 0 that lies in the picture.
    """
    wide = Image.fromarray(np.asarray(values, np.float32)).resize((size, size), Image.Resampling.BICUBIC)
    heat = np.maximum(np.asarray(wide), 0)
    whole = float(heat.sum())
    left, top, right, bottom = box
    share = float(heat[top:bottom, left:right].sum()) / whole if whole > 0 else 0.0
    picture = wide.crop(box).resize((places, places), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.float32), share


def draw_overlay(values: np.ndarray, size: int, box: tuple[int, int, int, int] | None = None) -> bytes:
    """Draw a PNG with transparency, size x size, to lay over the fitted image: stronger evidence, more colour.

    Parameters
    ----------
    values
        (h, w); only what lies above 0 is shown, relative to the strongest place.
    size
        Side in pixels.
    box
        Left, top, right, bottom of the picture without its padding, to which the overlay is cut.
    """
    positive = np.maximum(values, 0)
    strongest = float(positive.max())
    scaled = positive / strongest if strongest > 0 else positive
    alpha = Image.fromarray((scaled * STRONGEST).astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    image = Image.new("RGBA", (size, size), (*_COLOUR, 0))
    image.putalpha(alpha)
    if box:
        image = image.crop(box)
    out = io.BytesIO()
    image.save(out, "PNG")  # to optimise it takes ten times as long and saves an eighth
    return out.getvalue()
