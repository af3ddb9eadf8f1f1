"""Write files and pictures as data URIs, for pages that are one file."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def data_uri(data: bytes, media_type: str) -> str:
    """Write bytes as a data URI of a media type, such as "image/png"."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def read_data_uri(uri: str) -> bytes:
    """Read the bytes of a data URI in base64."""
    return base64.b64decode(uri.partition(",")[2])


def jpeg_uri(pixels: np.ndarray, quality: int = 80) -> str:
    """Write a picture, uint8 (H, W, 3), as the data URI of a JPEG file."""
    from PIL import Image  # a server writes data URIs of files that others have made

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return data_uri(file.getvalue(), "image/jpeg")
