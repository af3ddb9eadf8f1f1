"""Find a picture in the photograph of it, and cut it out straight; leave direct exports as they are.

What clinics photograph is flat and has four sides: a film on a light box, a monitor, a print. So a photograph is told
by its sides: four straight edges with something else around (lines.py, quadrilaterals.py), weighed by how much of each
side is there, how it parts inside from outside and how it lies in the frame (sides.py). Below a line of confidence
nothing is found rather than guessed; a picture in which nothing is found is not touched.

Corners are told and taken in pixels of the picture as given, upright: from the upper left clockwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from medloupe.imaging import perspective
from medloupe.imaging.facts import Fact
from medloupe.imaging.frames import is_frame
from medloupe.imaging.perspective import Corners
from medloupe.imaging.photo import Photo, PhotoRequest, check_corners
from medloupe.imaging.picture import Picture, whole_picture
from medloupe.imaging.prescreen import may_have_round_field, may_have_sides
from medloupe.imaging.quadrilaterals import candidates
from medloupe.imaging.roundfield import ROUND_LINE, find_round_field, is_photographed_dark, may_be_photographed
from medloupe.imaging.sides import ALWAYS_LINE, AUTO_LINE, confidences, refine

SIDE = 160
"""Pixels of the longer side at which sides are looked for."""

_FINE = 480  # pixels of the longer side at which they are placed
_LEAST = 160  # pixels of the longer side below which a picture is no photograph
MOST_QUADRILATERALS = 14
"""How many are weighed."""


def find_photo(picture: Picture, request: PhotoRequest) -> Photo | None:
    """Find where the picture lies in a photograph.

    Parameters
    ----------
    picture : Picture
        As it was decoded.
    request : PhotoRequest
        What is asked.

    Returns
    -------
    Photo or None
        None where it is not taken for a photograph.

    Raises
    ------
    CornersError
        Where given corners cannot be those of a picture.
    """
    w, h = picture.width, picture.height
    if request.corners is not None:
        check_corners(request.corners, w, h)
        return Photo(corners=request.corners, confidence=1.0, given=True, width=w, height=h)
    if request.mode == "never" or (request.mode == "auto" and max(w, h) < _LEAST):
        return None
    if request.mode == "always":
        return search(picture, request)
    glance = np.asarray(picture.glance)
    sided, rounded = may_have_sides(glance, picture.colour), may_have_round_field(glance)
    return search(picture, request, sided=sided, rounded=rounded) if sided or rounded else None


def search(picture: Picture, request: PhotoRequest, *, sided: bool = True, rounded: bool = True) -> Photo | None:
    """Search a picture as `find_photo` does, for sides and a round field, or for one of them, without a glance before.

    picture, request: as there, of a mode other than "never", without corners.
    """
    w, h = picture.width, picture.height
    small = scaled(picture, SIDE)
    corners, confidence = _find_sides(picture, small, _line(request)) if sided else (np.zeros((4, 2)), 0.0)
    if request.mode == "auto" and confidence >= AUTO_LINE and is_frame(small, corners):
        return None
    if rounded and confidence < AUTO_LINE:
        round_corners, round_confidence = _find_round(picture, small, request)
        if round_confidence >= max(ROUND_LINE, confidence):
            placed = _to_corners(round_corners * (w, h))
            return Photo(corners=placed, confidence=round_confidence, given=False, width=w, height=h)
    if confidence >= _line(request):
        placed = _to_corners(corners * (w, h))
        return Photo(corners=placed, confidence=confidence, given=False, width=w, height=h)
    if request.mode == "auto":
        return None
    return Photo(corners=None, confidence=confidence, given=False, width=w, height=h)


def search_sides(picture: Picture) -> np.ndarray | None:
    """Search for the sides of a photographed picture as `find_photo` does unasked, whatever a glance says.

    Returns corners (4, 2) as shares of the picture, or None where no photograph is found by its sides.
    """
    small = scaled(picture, SIDE)
    corners, confidence = _find_sides(picture, small, AUTO_LINE)
    return None if confidence < AUTO_LINE or is_frame(small, corners) else corners


def cut_out(picture: Picture, photo: Photo, most: int | None = None) -> Picture:
    """Cut out what lies between a photograph's corners, its perspective undone. most: pixels of its longer side."""
    if photo.corners is None:
        return replace(picture, photo=photo, facts=(*picture.facts, Fact("photograph_unfound")))
    left, top, right, bottom = picture.box
    scale = np.array([(right - left) / photo.width, (bottom - top) / photo.height])
    corners = np.array(photo.corners)
    own = corners * scale + (left, top)
    cut = perspective.rectify(picture.image, own, most or perspective.MOST_SIDE)
    width, height = (max(1, round(side)) for side in perspective.upright_size(corners))
    facts = (*picture.facts, Fact("photograph_given" if photo.given else "photograph"))
    return replace(whole_picture(cut, picture.kind, facts), width=width, height=height, photo=photo)


def straighten(decode: Callable[[int | None], Picture], request: PhotoRequest, min_side: int | None) -> Picture:
    """Decode a picture and cut it out where it is a photograph; else give it as it was decoded.

    Parameters
    ----------
    decode : callable
        Decodes to at least twice so many pixels on the longer side.
    request : PhotoRequest
        What is asked.
    min_side : int, optional
        What the longer side will be fitted to.
    """
    picture = decode(min_side)
    if request.is_idle or (photo := find_photo(picture, request)) is None:
        return picture
    if photo.corners is None or min_side is None:
        return cut_out(picture, photo)
    taken = max(perspective.upright_size(np.array(photo.corners))) / max(photo.width, photo.height)
    if max(picture.sides) * taken < min(min_side, taken * max(photo.width, photo.height)):
        picture = decode(int(min_side / taken))  # scaled down while decoding, it would have too few pixels
    return cut_out(picture, photo, 2 * min_side)


def _line(request: PhotoRequest) -> float:
    return AUTO_LINE if request.mode == "auto" else ALWAYS_LINE


def _find_sides(picture: Picture, small: np.ndarray, line: float) -> tuple[np.ndarray, float]:
    """Find the most probable corners (4, 2), as shares of the picture, and how probable they are.

    They are placed to a fraction of a pixel where a photograph is probable by `line`.
    """
    h, w = small.shape[:2]
    corners, features = candidates(small, MOST_QUADRILATERALS)
    if not len(corners):
        return np.zeros((4, 2)), 0.0
    p, placed = confidences(features)
    best = int((p * placed).argmax())
    found = corners[best] / (w, h)
    if p.max() >= line and p[best] >= ALWAYS_LINE:
        fine = scaled(picture, _FINE)
        size = np.array([fine.shape[1], fine.shape[0]])
        found = refine(fine, found * size, max(size) / SIDE) / size
    return np.clip(found, 0, 1), float(p.max())


def _find_round(picture: Picture, small: np.ndarray, request: PhotoRequest) -> tuple[np.ndarray, float]:
    """Find the square around a round field, as shares of the picture.

    Of what may be a direct export only where the dark around it is that of a phone.
    """
    if request.mode == "auto" and not may_be_photographed(small):
        return np.zeros((4, 2)), 0.0
    corners, confidence = find_round_field(small)
    size = np.array([small.shape[1], small.shape[0]])
    if confidence < ROUND_LINE:
        return corners, 0.0
    if request.mode == "auto":
        fine = scaled(picture, _FINE)
        if not is_photographed_dark(fine, corners * (max(fine.shape[:2]) / SIDE)):
            return corners, 0.0
    return np.clip(corners / size, 0, 1), confidence


def scaled(picture: Picture, side: int) -> np.ndarray:
    """Scale the picture down to at most `side` pixels: float32 (h, w) or (h, w, 3)."""
    left, top, right, bottom = picture.box
    scale = min(1.0, side / max(right - left, bottom - top))
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    small = picture.image.resize(size, Image.Resampling.BILINEAR, picture.box, reducing_gap=1.5)
    return np.asarray(small, np.float32)


def _to_corners(points: np.ndarray) -> Corners:
    a, b, c, d = ((float(x), float(y)) for x, y in points)
    return a, b, c, d
