"""The browser's code against Python's: the same pixels, to the last bit, and the same measures of quality."""

from __future__ import annotations

import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from medloupe.imaging.decode import decode_picture
from medloupe.imaging.quality import MEASURES, as_numbers
from pocket import Browser, saved, turned

SIDE = 224


def made(seed: int, width: int, height: int) -> Image.Image:
    """A picture with soft and hard parts."""
    rng = np.random.default_rng(seed)
    coarse = 2 ** (seed % 5)
    pixels = rng.integers(0, 256, (max(2, height // coarse), max(2, width // coarse), 3), np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


def check(modules: Browser, data: bytes) -> None:
    picture = decode_picture(data, min_side=SIDE)
    read = modules.read(data)
    assert "unreadable" not in read, read
    assert np.array_equal(np.frombuffer(read["pixels"], np.uint8), picture.fit(SIDE).ravel())
    assert tuple(read["size"]) == (picture.width, picture.height)
    expected = dict(zip(MEASURES, as_numbers(picture.measure()), strict=True))
    for name, value in expected.items():
        found = read["measures"][name]
        assert (found is None and np.isnan(value)) or found == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(224, 224), (301, 187), (97, 410), (17, 16), (50, 47)])
def test_jpeg(modules: Browser, subsampling: int, progressive: bool, size: tuple[int, int]) -> None:
    image = made(sum(size) + subsampling, *size)
    for quality in (5, 75, 100):
        check(modules, saved(image, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive))
    check(modules, saved(image.convert("L"), "JPEG", progressive=progressive))


@pytest.mark.parametrize("size", [(901, 640), (1793, 1200), (1000, 3601), (3584, 90)])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_jpeg_scaled_while_decoded(modules: Browser, size: tuple[int, int], subsampling: int) -> None:
    check(modules, saved(made(size[0], *size), "JPEG", quality=85, subsampling=subsampling))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(modules: Browser, orientation: int) -> None:
    check(modules, saved(made(3, 130, 77), "JPEG", exif=turned(orientation)))
    check(modules, saved(made(4, 1003, 611), "JPEG", exif=turned(orientation)))
    check(modules, saved(made(5, 90, 141), "PNG", exif=turned(orientation)))


def test_jpeg_with_restarts(modules: Browser) -> None:
    for blocks in (1, 7, 40):
        check(modules, saved(made(6, 260, 199), "JPEG", restart_marker_blocks=blocks))


def forms() -> dict[str, bytes]:
    image, rng = made(7, 141, 93), np.random.default_rng(0)
    alpha = Image.fromarray(rng.integers(0, 256, (93, 141), np.uint8))
    colours, greys = image.copy(), image.convert("L")
    colours.putalpha(alpha)
    grey_alpha = greys.copy()
    grey_alpha.putalpha(alpha)
    clear, grey_clear = image.copy(), greys.copy()
    clear.putalpha(0)
    grey_clear.putalpha(0)
    return {
        "grey": saved(greys, "PNG"),
        "rgb": saved(image, "PNG"),
        "bits": saved(image.convert("1"), "PNG"),
        "palette": saved(image.quantize(200), "PNG"),
        "palette of 2 bits": saved(image.quantize(4), "PNG", bits=2),
        "palette of 4 bits": saved(image.quantize(13), "PNG", bits=4),
        "palette with transparency": saved(image.quantize(20), "PNG", transparency=bytes(range(0, 200, 10))),
        "grey with a clear level": saved(greys, "PNG", transparency=100),
        "rgb with a clear colour": saved(image.quantize(3).convert("RGB"), "PNG", transparency=(0, 0, 0)),
        "alpha": saved(colours, "PNG"),
        "grey alpha": saved(grey_alpha, "PNG"),
        "clear": saved(clear, "PNG"),
        "grey clear": saved(grey_clear, "PNG"),
        "interlaced": interlaced(np.asarray(image)),
    }


def interlaced(pixels: np.ndarray) -> bytes:
    """A PNG of RGB pixels in Adam7, which Pillow does not write."""
    rows = b""
    for left, top, right, down in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        rows += b"".join(b"\0" + row.tobytes() for row in pixels[top::down, left::right] if row.size)
    height, width = pixels.shape[:2]
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


@pytest.mark.parametrize("form", forms())
def test_png(modules: Browser, form: str) -> None:
    check(modules, forms()[form])


def test_sizes_at_random(modules: Browser) -> None:
    dice = random.Random(0)
    for seed in range(30):
        size = int(2 ** dice.uniform(4, 9.5)), int(2 ** dice.uniform(4, 9.5))
        check(modules, saved(made(seed, *size), dice.choice(["JPEG", "PNG"])))


def test_what_is_not_read(modules: Browser) -> None:
    image = made(8, 120, 80)
    jpeg, png = saved(image, "JPEG"), saved(image, "PNG")
    assert modules.read(saved(image, "WEBP")) == {"unreadable": "kind"}
    assert modules.read(b"") == {"unreadable": "kind"}
    assert modules.read(saved(image.convert("CMYK"), "JPEG")) == {"unreadable": "form"}
    assert modules.read(saved(Image.fromarray(np.zeros((9, 9), np.uint16)), "PNG")) == {"unreadable": "form"}
    frames = [made(9, 60, 60), made(10, 60, 60)]
    assert modules.read(saved(frames[0], "PNG", save_all=True, append_images=frames[1:])) == {"unreadable": "form"}
    for cut in (3, 40, 200, len(jpeg) // 2, len(jpeg) - 40):
        assert modules.read(jpeg[:cut]) == {"unreadable": "damaged"}, cut
    for cut in (30, len(png) // 2, len(png) - 13):
        assert modules.read(png[:cut]) == {"unreadable": "damaged"}, cut
    broken = bytearray(png)
    broken[len(png) // 2] ^= 1
    assert modules.read(bytes(broken)) == {"unreadable": "damaged"}


def test_what_is_damaged_is_never_read_otherwise(modules: Browser) -> None:
    dice, refused = random.Random(1), 0
    for i in range(60):
        data = bytearray(saved(made(i, 150, 120), "JPEG", progressive=i % 3 == 0))
        at = dice.randrange(2, len(data) - 2)
        if i % 2:
            data[at] ^= 1 << dice.randrange(8)
        else:
            del data[at : at + dice.randrange(1, 20)]
        read = modules.read(bytes(data))
        if "unreadable" in read:
            refused += 1
            continue
        expected = decode_picture(bytes(data), min_side=SIDE).fit(SIDE)  # raises where Python refuses it
        assert np.array_equal(np.frombuffer(read["pixels"], np.uint8), expected.ravel()), i
    assert refused < 60
