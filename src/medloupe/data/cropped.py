"""Define a picture that is cut out of another when it is read, and how a data set was cropped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from medloupe.errors import UnreadableImageError
from medloupe.imaging.crops import bound_crop

_KEPT = 2  # decoded pictures: the crops of one follow each other


@dataclass(frozen=True, slots=True, eq=False)
class CroppedPicture:
    """The part of a picture around a box; nothing is decoded before it is asked for.

    Attributes
    ----------
    picture : Path or ndarray
        The whole picture, as a Record has it.
    corners : tuple of float
        x0, y0, x1, y1 of the box, in pixels of the upright picture.
    margin : float
        Of the box's own side, that is added on each side.
    source : str
        The id of the whole picture's record.
    """

    picture: Path | np.ndarray
    corners: tuple[float, float, float, float]
    margin: float
    source: str

    def cut(self) -> np.ndarray:
        """Decode the picture and cut: uint8 (h, w, 3).

        Raises
        ------
        ImageError
            Where the picture cannot be read, or the box lies outside of it.
        """
        from medloupe.imaging.decode import decode  # here, as reading a data set loads no decoders

        if isinstance(self.picture, Path):
            whole = _decode_file(self.picture, _stamp(self.picture))
        else:
            whole = decode(self.picture)
        height, width = whole.shape[:2]
        place = bound_crop(self.corners, self.margin, (0, 0, width, height))
        if place is None:
            raise UnreadableImageError(
                f"The box of {self.source} at {self.corners[0]:g}, {self.corners[1]:g} lies outside of its picture,"
                f" which has {width} × {height} pixels.",
                "Check the annotation: was it drawn on another size?",
            )
        left, top, right, bottom = place
        return whole[top:bottom, left:right].copy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cropping:
    """How the pictures of a data set were cropped to their boxes.

    Attributes
    ----------
    each : bool
        Whether each box is an example of its own, named by its label; else each picture is cut to all of its boxes of
        these labels together, and keeps what it is said to show.
    labels : tuple of str
        Of the boxes.
    margin : float
        Of a box's own side, that is added on each side.
    pictures : int
        How many pictures were cropped.
    """

    each: bool
    labels: tuple[str, ...]
    margin: float
    pictures: int


def _stamp(path: Path) -> tuple[int, int]:
    """Tell two states of a file apart. Raises UnreadableImageError where it cannot be found."""
    try:
        found = path.stat()
    except OSError as e:
        raise UnreadableImageError(f"{path} cannot be read: {e.strerror or e}.", "Check the path and rights.") from e
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=_KEPT)
def _decode_file(path: Path, stamp: tuple[int, int]) -> np.ndarray:
    """Decode a file at its own size. stamp: of its state, so that a changed one is decoded anew."""
    from medloupe.imaging.decode import decode

    del stamp
    return decode(path)
