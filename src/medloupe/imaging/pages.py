"""Choose the page or frame that is looked at, where a file holds several.

It is the first, unless that is a thumbnail of another page or blank, as the first pictures of cines often are. Frames
of DICOM and pages of TIFF can be reached directly, so the middle is tried next; those of animations only one after the
other.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import ImageFile

from medloupe.imaging.facts import Fact
from medloupe.imaging.headers import TiffPage, tiff_pages

MOST_TRIED = 8
"""Frames that are decoded at most until one shows something."""

_TRIED_PIXELS = 16_000_000  # of all that are tried behind the first
_MOST_PAGES = 64  # of a TIFF that are looked at
_THUMBNAIL = 256  # pixels of the longer side, at most
_LARGER = 16  # times a thumbnail's pixels that another page has
SEVERAL = "several"
"""The number of frames of an animation, which would have to be read to be counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameChoice:
    """Which of several frames are looked at.

    Attributes
    ----------
    order : tuple of int
        Numbers from 0: the one that is read, and those that are tried in turn where it is blank.
    frames : int or str
        How many there are.
    thumbnail : bool
        Whether the first page is passed over as a thumbnail.
    """

    order: tuple[int, ...] = (0,)
    frames: int | str = 1
    thumbnail: bool = False

    def facts(self, taken: int) -> tuple[Fact, ...]:
        """Say which frame was taken; nothing where there is but one."""
        if self.frames == 1:
            return ()
        code = "thumbnail" if self.thumbnail else "frame" if taken == 0 else "frame_skipped"
        return (Fact(code, {"frames": self.frames, "frame": taken + 1}),)


def choose_frames(frames: int, pixels: int, first: int = 0) -> FrameChoice:
    """Choose among frames that can be reached directly. pixels: of one of them. first: the one to be read."""
    spread = (first, frames // 2, frames // 4, 3 * frames // 4, 1, frames - 1, frames // 8, 5 * frames // 8)
    order = [k for k in dict.fromkeys(spread) if 0 <= k < frames]
    return FrameChoice(order=tuple(order[: _count_tried(pixels)]), frames=frames)


def choose_page(image: ImageFile.ImageFile, data: bytes, kind: str) -> FrameChoice:
    """Choose among the pages or frames of a file that Pillow opened. kind: as headers.sniff tells it."""
    pixels = image.width * image.height
    if kind == "TIFF":
        return _choose_tiff_page(tiff_pages(data, _MOST_PAGES), pixels)
    if kind in ("GIF", "PNG", "WEBP") and getattr(image, "is_animated", False):
        return FrameChoice(order=tuple(range(_count_tried(pixels))), frames=SEVERAL)
    return FrameChoice()


def _choose_tiff_page(pages: list[TiffPage], pixels: int) -> FrameChoice:
    first = pages[0]
    sizes = [page.width * page.height for page in pages]
    largest = sizes.index(max(sizes))
    small = max(first.width, first.height) <= _THUMBNAIL and sizes[largest] >= _LARGER * max(1, sizes[0])
    whole = next((k for k, page in enumerate(pages) if not page.reduced), 0)
    if whole or small:
        return FrameChoice(order=(whole or largest,), frames=len(pages), thumbnail=True)
    return choose_frames(len(pages), pixels) if len(pages) > 1 else FrameChoice()


def _count_tried(pixels: int) -> int:
    return min(MOST_TRIED, 1 + _TRIED_PIXELS // max(1, pixels))
