"""Tell the frame that exports have around a picture from the surroundings of a photographed one."""

from __future__ import annotations

import numpy as np

from medloupe.imaging.perspective import area

_WHOLE = 0.93  # of the picture, from which on what lies between the sides found is no less than the picture itself
_CORNER = 0.07  # of the way from the middle to a corner, inside and outside of it
_UPRIGHT = 0.012  # tangent of the angle up to which a side lies exactly upright or level
_BLACK, _WHITE, _EMPTY = 10, 248, 0.85  # levels of what is empty, and the share of a frame that is


def is_frame(small: np.ndarray, corners: np.ndarray) -> bool:
    """Tell whether what lies around the corners, shares of the picture, is the frame that exports have.

    It is a few pixels wide, or it is black or white and its sides lie exactly upright and level, or it is black and so
    are corners of the picture itself, whose field is round.
    """
    if area(corners) > _WHOLE:
        return True
    h, w = small.shape[:2]
    middle = corners.mean(0)
    black = np.ones(4, bool)
    for off in (1 - _CORNER, 1 + _CORNER):
        at = np.clip((middle + off * (corners - middle)) * (w, h), 0, (w - 1, h - 1)).astype(int)
        found = small[at[:, 1], at[:, 0]]
        black &= (found if small.ndim == 2 else found.max(1)) <= _BLACK
    if black.sum() >= 2:
        return True
    along = (np.roll(corners, -1, 0) - corners) * (w, h)
    tilts = np.sort(np.abs(along).min(1) / np.abs(along).max(1))
    if tilts[2] > _UPRIGHT:  # the third of four
        return False
    (left, top), (right, bottom) = corners.min(0) * (w, h), corners.max(0) * (w, h)
    around = np.ones((h, w), bool)
    around[max(0, int(top) - 1) : int(bottom) + 2, max(0, int(left) - 1) : int(right) + 2] = False
    if not around.any():
        return True
    levels = small[around] if small.ndim == 2 else small[around].max(1)
    return float(max((levels <= _BLACK).mean(), (levels >= _WHITE).mean())) > _EMPTY
