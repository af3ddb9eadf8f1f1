"""Pack what is asked and told of photographs for the pipes between server and decoding process.

Asked are the mode's number and eight coordinates, NaN where no corners are given. Told are a number (0: no photograph,
1: not found, 2: found, 3: given), the confidence, width and height of the picture as given, and its corners.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from medloupe.imaging.perspective import Corners
from medloupe.imaging.photo import PHOTO_MODES, Photo, PhotoRequest

ASKED = "B8d"
TOLD = "Bd2I8d"

_NONE = (math.nan,) * 8
NO_PHOTO = (0, 0.0, 0, 0, *_NONE)
"""What is told of a picture that is no photograph."""

_UNFOUND, _FOUND, _GIVEN = 1, 2, 3


def pack_request(request: PhotoRequest) -> tuple[float, ...]:
    """Make the numbers of ASKED."""
    return PHOTO_MODES.index(request.mode), *_flat(request.corners)


def unpack_request(numbers: Sequence[float]) -> PhotoRequest:
    """Read the numbers of ASKED."""
    return PhotoRequest(mode=PHOTO_MODES[int(numbers[0])], corners=_corners(numbers[1:]))


def pack_photo(photo: Photo | None) -> tuple[float, ...]:
    """Make the numbers of TOLD."""
    if photo is None:
        return NO_PHOTO
    what = _UNFOUND if photo.corners is None else _GIVEN if photo.given else _FOUND
    return what, photo.confidence, photo.width, photo.height, *_flat(photo.corners)


def unpack_photo(numbers: Sequence[float]) -> Photo | None:
    """Read the numbers of TOLD, trusting nothing.

    Raises
    ------
    ValueError
        Where no sound process would say so.
    """
    what, confidence, width, height, *flat = numbers
    if what == 0:
        return None
    corners = _corners(flat)
    sound = what in (_UNFOUND, _FOUND, _GIVEN) and (corners is None) == (what == _UNFOUND) and width > 0 and height > 0
    if not sound or not 0 <= confidence <= 1 or any(abs(v) > 2**20 for v in flat):
        raise ValueError("it told what it should not of a photograph")
    given = what == _GIVEN
    return Photo(corners=corners, confidence=float(confidence), given=given, width=int(width), height=int(height))


def _flat(corners: Corners | None) -> tuple[float, ...]:
    return _NONE if corners is None else tuple(v for place in corners for v in place)


def _corners(flat: Sequence[float]) -> Corners | None:
    if not all(map(math.isfinite, flat)):
        return None
    a, b, c, d, e, f, g, h = flat
    return (a, b), (c, d), (e, f), (g, h)
