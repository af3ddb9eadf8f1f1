"""Open HEIC and AVIF, the photos of phones: HEIC by the extra [heif], AVIF by Pillow where it was built with it."""

from __future__ import annotations

import io
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageFile

KINDS = ("HEIF", "AVIF")
EXTRA = "HEIC photos are read after: pip install 'medloupe[heif]'. Or save them as JPEG."


@cache
def can_read(kind: str) -> bool:
    """Tell whether this installation decodes a format, "HEIF" or "AVIF"."""
    if kind == "HEIF":
        return find_spec("pillow_heif") is not None
    from PIL import features

    return bool(features.check("avif"))


def open_heif(data: io.BytesIO) -> ImageFile.ImageFile:
    """Open a HEIC photo. It is turned upright as it is decoded, so the orientation in its EXIF block is dropped.

    Raises
    ------
    Exception
        Whatever libheif says of a damaged file.
    """
    from pillow_heif import HeifImageFile

    image = HeifImageFile(data)
    image.info["exif"] = b""
    return image


def open_avif(data: io.BytesIO) -> ImageFile.ImageFile:
    """Open an AVIF picture.

    Raises
    ------
    Exception
        Whatever Pillow says of a damaged file.
    """
    from PIL.AvifImagePlugin import AvifImageFile

    return AvifImageFile(data)
