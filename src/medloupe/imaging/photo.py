"""Say what is asked and told of a photograph of a picture: whether it is one, and where its corners lie.

Corners are pixels of the picture as given, upright: from the upper left clockwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from medloupe.errors import CornersError
from medloupe.imaging import perspective
from medloupe.imaging.perspective import Corners

PhotoMode = Literal["auto", "never", "always"]
PHOTO_MODES: tuple[PhotoMode, ...] = get_args(PhotoMode)


_BEYOND = 0.1  # shares of the sides by which given corners may lie outside
_LEAST_AREA = 0.01  # of the picture, that lies between given corners


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoRequest:
    """What is asked about a picture that may be a photograph.

    Attributes
    ----------
    mode : str
        "auto": find out; "never": it is none; "always": it is one.
    corners : Corners or None
        Where the picture lies in it; then nothing is looked for, whatever the mode.
    """

    mode: PhotoMode = "auto"
    corners: Corners | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be done."""
        return self.mode == "never" and self.corners is None


def read_photo_request(mode: str | None, corners: str | None = None) -> PhotoRequest:
    """Read what people and programs say: a mode, "" or None for auto, and corners as x0,y0,…,x3,y3.

    Raises
    ------
    CornersError
        Where one of them cannot be read.
    """
    said = (mode or "auto").strip().lower()
    if said not in PHOTO_MODES:
        raise CornersError(f"photo is given as {said[:40]!r}.", f"Expected one of {', '.join(PHOTO_MODES)}.")
    if not corners or not corners.strip():
        return PhotoRequest(mode=said)
    try:
        a, b, c, d, e, f, g, h = (float(v) for v in corners.split(","))
    except ValueError:
        raise CornersError(
            f"The corners are given as {corners[:80]!r}; expected eight numbers with commas between.",
            "Give x and y of the upper left, the upper right, the lower right and the lower left corner, in pixels.",
        ) from None
    return PhotoRequest(mode=said, corners=((a, b), (c, d), (e, f), (g, h)))


NEVER = PhotoRequest(mode="never")
AUTO = PhotoRequest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """Where in a photograph the picture lies.

    Attributes
    ----------
    corners : Corners or None
        In pixels of the picture as given; None where they were not found.
    confidence : float
        That they are right, 0 to 1; 1 of given ones.
    given : bool
        Whether they were given.
    width, height : int
        Pixels of the picture as given, upright.
    """

    corners: Corners | None
    confidence: float
    given: bool
    width: int
    height: int

    @property
    def found(self) -> bool:
        """Whether the corners are known."""
        return self.corners is not None

    def as_json(self) -> dict[str, Any]:
        """Give the entry of an answer's JSON."""
        corners = self.corners and [[round(x, 1), round(y, 1)] for x, y in self.corners]
        return {"found": self.found, "corners": corners, "confidence": round(self.confidence, 3), "given": self.given}

    def to_given(self, points: np.ndarray, width: float, height: float) -> np.ndarray:
        """Take places (N, 2) in the picture that was cut out, of width x height, to the picture as given."""
        assert self.corners is not None
        matrix = perspective.homography(perspective.rectangle(width, height), np.array(self.corners))
        return perspective.apply(matrix, points)


def check_corners(corners: Corners, width: int, height: int) -> None:
    """Check that given corners can be those of a picture within width x height pixels.

    Raises
    ------
    CornersError
        Where they cannot.
    """
    points = np.array(corners, float)
    frame = np.array([width, height])
    if not np.isfinite(points).all() or (points < -_BEYOND * frame).any() or (points > (1 + _BEYOND) * frame).any():
        raise CornersError(
            f"The corners {points.tolist()} lie outside the picture, which has {width} × {height} pixels.",
            "Give them in pixels of the picture as it was sent, upright: x0,y0,…,x3,y3.",
        )
    if not perspective.is_convex(points) or perspective.area(points) < _LEAST_AREA * width * height:
        raise CornersError(
            f"The corners {points.tolist()} make no quadrilateral in which a picture could lie.",
            "Give the upper left, the upper right, the lower right and the lower left one, in this order.",
        )
