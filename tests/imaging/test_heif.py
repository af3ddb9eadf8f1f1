"""HEIC and AVIF are read as any picture where they can be, and said to be what they are where they cannot."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medloupe.data.reading import read
from medloupe.errors import ImageTooLargeError, NotAnImageError, UnreadableImageError
from medloupe.imaging import heif, limits
from medloupe.imaging.decode import decode, decode_picture, load
from medloupe.imaging.headers import sniff

pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra [heif]")
avif = pytest.mark.skipif(not heif.can_read("AVIF"), reason="this Pillow was built without AVIF")


def photo(width: int = 96, height: int = 64) -> Image.Image:
    """A smooth picture, red growing to the right and green downwards."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([255 * x / width, 255 * y / height, 60 + 0 * x], 2).astype(np.uint8))


def heic(image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=90, **options)
    return out.getvalue()


def as_avif(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "AVIF", quality=90)
    return out.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_heic_has_the_pixels_that_were_put_in(mode: str):
    image = photo().convert(mode)
    data = heic(image)
    assert sniff(data[:512]) == "HEIF"
    pixels = decode(data)
    assert pixels.shape == (64, 96, 3)
    assert np.abs(pixels.astype(int) - np.asarray(image.convert("RGB"))).mean() < 4


@avif
def test_avif_has_the_pixels_that_were_put_in():
    data = as_avif(photo())
    assert sniff(data[:512]) == "AVIF"
    assert np.abs(decode(data).astype(int) - np.asarray(photo())).mean() < 4


def test_a_heic_photo_stands_upright_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = decode(heic(photo(96, 64), exif=exif.tobytes()))
    assert pixels.shape == (96, 64, 3)
    assert decode_picture(heic(photo(96, 64), exif=exif.tobytes())).width == 64


def test_it_fits_as_other_formats_do():
    out = io.BytesIO()
    photo().save(out, "PNG")
    assert np.abs(load(heic(photo()), 224).astype(int) - load(out.getvalue(), 224)).mean() < 4


@pytest.mark.parametrize("cut", [20, 60, 200])
def test_a_heic_photo_cut_short(cut: int):
    with pytest.raises(UnreadableImageError):
        decode(heic(photo())[:-cut] if cut < 60 else heic(photo())[:cut])


def test_the_size_is_checked_before_decoding(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MAX_PIXELS", 1000)
    with pytest.raises(ImageTooLargeError, match="96 × 64"):
        decode(heic(photo()))


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(heif, "can_read", lambda kind: False)
    with pytest.raises(NotAnImageError, match="HEIC") as error:
        decode(heic(photo()))
    assert "medloupe[heif]" in error.value.hint


def test_a_class_of_heic_photos_is_read(tmp_path: Path):
    for i in range(3):
        for label, name, data in (("a", f"{i}.HEIC", heic(photo(96 + i, 64))), ("b", f"{i}.png", b"")):
            (tmp_path / label).mkdir(exist_ok=True)
            (tmp_path / label / name).write_bytes(data)
            if not data:
                photo(64, 96 + i).save(tmp_path / label / name)
    assert read(tmp_path).counts() == {"a": 3, "b": 3}


@pytest.mark.parametrize("size", [(96, 64), (3000, 2000)])
def test_a_decoder_process_reads_it(size: tuple[int, int]):
    from medloupe.imaging.sandbox.pool import DecoderPool

    data = heic(photo(*size))
    with DecoderPool(1) as pool:
        decoded = pool.decode(data, 224)
    assert (decoded.kind, decoded.width, decoded.height) == ("HEIF", *size)
    assert (decoded.pixels == load(data, 224)).all()
