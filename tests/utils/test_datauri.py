"""Data URIs: a page shows what they hold."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from medloupe.utils.datauri import data_uri, jpeg_uri


def test_bytes_come_back_whole() -> None:
    uri = data_uri(bytes(range(256)), "image/png")
    head, text = uri.split(",", 1)
    assert head == "data:image/png;base64"
    assert base64.b64decode(text, validate=True) == bytes(range(256))


def test_a_part_of_a_picture_is_that_part() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, 30:] = (200, 100, 50)
    file = base64.b64decode(jpeg_uri(pixels[8:24, 32:56], quality=95).split(",", 1)[1])
    image = Image.open(io.BytesIO(file))
    assert (image.format, image.size) == ("JPEG", (24, 16))
    assert np.abs(np.asarray(image).astype(int) - (200, 100, 50)).max() <= 3
