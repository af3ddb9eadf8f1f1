"""Make views of pictures with boxes: mirrored, turned by quarters, moved, scaled, and changed in light.

Only what keeps rectangles rectangles is done to the geometry, and only what leaves the kind of picture what it is
(`training.tune.views.Symmetry`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

from medloupe.imaging.picture import Picture, to_rgb
from medloupe.model.boxes import fit_boxes
from medloupe.training.detect.targets import mark_cut
from medloupe.training.tune.views import LIGHT, Symmetry

SCALE = (0.8, 1.3)  # of the fitted picture
STRETCH = 0.1  # of one side against the other, to either side
COLOUR = 0.2  # of saturation, to either side
LEAST_SEEN = 0.35  # share of a box that must lie within a view for the box to count
MOST_WITHIN = 0.5  # the same of a part of a picture: below it, there is neither something nor nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxedView:
    """A view of a picture.

    Attributes
    ----------
    pixels : np.ndarray
        uint8 (S, S, 3).
    boxes : np.ndarray
        float32 (n, 4), in pixels of the view, cut off at its edges.
    labels : np.ndarray
        int64 (n,); below 0 as `targets.mark_cut` has it.
    """

    pixels: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray


def plain_view(picture: Picture, boxes: np.ndarray, labels: np.ndarray, size: int) -> BoxedView:
    """Fit a picture as it is. boxes: in pixels of the picture as given."""
    placed = fit_boxes(boxes, picture.width, picture.height, size)
    return _keep_seen(picture.fit(size), placed, labels)


def random_boxed_view(
    picture: Picture,
    boxes: np.ndarray,
    labels: np.ndarray,
    size: int,
    allowed: Symmetry,
    rng: np.random.Generator,
    reach: float = 1.0,
) -> BoxedView:
    """Draw a random view.

    Parameters
    ----------
    picture : Picture
        As decoded.
    boxes, labels : np.ndarray
        float (n, 4) in pixels of the picture as given, and int (n,).
    size : int
        S.
    allowed : Symmetry
        What leaves the kind of picture what it is.
    rng : np.random.Generator
        Of what is drawn.
    reach : float
        Times as long as what is meant that the picture is: over 1 it is a part of a larger one, more of which is around
        it. Boxes that the view cuts off too much to be learned are then marked so (`targets.mark_cut`).
    """
    zoom = reach * rng.uniform(*SCALE) * np.exp(rng.uniform(-STRETCH, STRETCH, 2) / 2)
    fitted = size / max(picture.width, picture.height)
    w, h = (max(1, round(side * fitted * z)) for side, z in zip((picture.width, picture.height), zoom, strict=True))
    image = to_rgb(picture.image.resize((w, h), Image.Resampling.BICUBIC, picture.box))
    placed = np.asarray(boxes, np.float64).reshape(-1, 4) * ([w / picture.width, h / picture.height] * 2)
    if (allowed.mirror or allowed.turn) and rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        placed = np.column_stack([w - placed[:, 2], placed[:, 1], w - placed[:, 0], placed[:, 3]])
    if allowed.turn:
        for _ in range(rng.integers(4)):  # a quarter to the left: (x, y) -> (y, w - x)
            w = image.width
            image = image.transpose(Image.Transpose.ROTATE_90)
            placed = np.column_stack([placed[:, 1], w - placed[:, 2], placed[:, 3], w - placed[:, 0]])
    left, top = (round(rng.uniform(min(0, size - side), max(0, size - side))) for side in image.size)
    square = Image.new("RGB", (size, size))
    square.paste(image, (left, top))
    for enhance, change in (
        (ImageEnhance.Brightness, LIGHT),
        (ImageEnhance.Contrast, LIGHT),
        (ImageEnhance.Color, COLOUR),
    ):
        square = enhance(square).enhance(rng.uniform(1 - change, 1 + change))
    moved = placed + np.array([left, top, left, top])
    return _keep_seen(np.asarray(square), moved, labels, MOST_WITHIN if reach > 1 else 0.0)


def _keep_seen(pixels: np.ndarray, boxes: np.ndarray, labels: np.ndarray, marked: float = 0.0) -> BoxedView:
    """Cut boxes off at the edges, and leave out those of which too little is seen.

    marked: share that must be seen for a box not to be marked as cut off, in place of being left out.
    """
    labels = np.asarray(labels, np.int64)
    size = len(pixels)
    whole = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1)
    cut = np.clip(boxes, 0, size)
    seen = np.clip(cut[:, 2:] - cut[:, :2], 0, None).prod(1)
    if marked:
        labels = np.where((seen < marked * whole) & (labels >= 0), mark_cut(labels), labels)
    kept = (seen >= LEAST_SEEN * whole) & (whole > 0) | (labels < 0) & (seen > 0)
    return BoxedView(pixels=pixels, boxes=cut[kept].astype(np.float32), labels=labels[kept])
