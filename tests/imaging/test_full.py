"""Pictures are decoded for the whole and for their parts, once where all of them are wanted in full."""

import io

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from medloupe.errors import ImageTooLargeError
from medloupe.imaging.decode import decode_in_full, decode_picture
from medloupe.imaging.picture import FULL_SIDE
from medloupe.imaging.sandbox.pool import DecoderPool


def as_jpeg(width: int, height: int) -> bytes:
    y, x = np.ogrid[:height, :width]
    pixels = ((x // 97 + y // 89) % 2 * 150 + 50).astype(np.uint8)[..., None]
    return simplejpeg.encode_jpeg(pixels, quality=60, colorspace="GRAY")


def as_png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_only_what_is_longer_is_given_in_full() -> None:
    data = as_png(300, 200)
    assert decode_in_full(data, 64, None)[1] is None and decode_in_full(data, 64, 300)[1] is None
    picture, full = decode_in_full(data, 64, 299)
    assert full is not None and full.shape == (300, 300, 3) and (picture.width, picture.height) == (300, 200)
    assert np.array_equal(full[50:250], picture.image) and not full[:50].any()


def test_what_is_seen_as_a_whole_does_not_depend_on_whether_parts_are_wanted() -> None:
    data = as_jpeg(2000, 1500)
    picture, full = decode_in_full(data, 64, 500)
    assert np.array_equal(picture.fit(64), decode_picture(data, min_side=64).fit(64))
    assert full is not None and len(full) == 2000
    every, same = decode_in_full(data, 64, 0)
    assert max(every.sides) == 2000 and np.array_equal(same, full), "decoded once, with all pixels"


def test_the_sandbox_gives_the_same_pixels() -> None:
    data = as_jpeg(2000, 1500)
    picture, full = decode_in_full(data, 64, 500)
    with DecoderPool(1) as pool:
        decoded, shown = pool.decode_and_preview(data, 64, 128, above=500)
        assert np.array_equal(decoded.full, full) and np.array_equal(decoded.pixels, picture.fit(64))
        assert max(shown.width, shown.height) <= 128
        assert pool.decode(data, 64).full is None and pool.decode(data, 64, above=2000).full is None
        assert (pool.decode(data, 64, above=1999).width, pool.decode(data, 64, above=1999).height) == (2000, 1500)


def test_a_jpeg_of_twelve_thousand_pixels_is_read_scaled_down() -> None:
    data = as_jpeg(12_000, 6_000)
    picture, full = decode_in_full(data, 224, 447)
    assert (picture.width, picture.height) == (12_000, 6_000)
    assert full is not None and len(full) == FULL_SIDE
    with pytest.raises(ImageTooLargeError, match="12000"):
        decode_picture(data)  # at its own size, for nobody who says how much of it is needed
