"""What reading more than 8 bits costs, and what hostile files of that kind come to."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from medloupe.errors import ImageError
from medloupe.imaging import decode
from pictures import cost_of, encode, gradient, outcome, png_chunk


def png(width: int, height: int, colour: int, idat: bytes | None = None) -> bytes:
    samples = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    row = b"\0" + (b"\x01\x00" * samples * (width // 2) + b"\x09\x30" * samples * (width - width // 2))
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    body = zlib.compress(row * height, 1) if idat is None else idat
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def tiff(values: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_cost_of_16_bits(tmp_path: Path) -> None:
    """At most 150 MiB and 2 s, refused or read."""
    small = tmp_path / "small.png"
    small.write_bytes(png(64, 64, 2))
    values = np.zeros((2_700, 2_700, 3), np.uint16)
    values[::2] = 4000
    cases = {
        "7 MP colour": (png(2_700, 2_700, 2), "array"),
        "5 MP colour and alpha": (png(2_300, 2_300, 6), "array"),
        "8 MP grey and alpha": (png(2_850, 2_850, 4), "array"),
        "25 MP grey": (png(5_000, 5_000, 0), "array"),
        "9 MP colour": (png(3_000, 3_000, 2), "ImageTooLargeError"),
        "7 MP TIFF": (tiff(values, photometric="rgb", compression="zlib"), "array"),
        "7 MP TIFF in planes": (
            tiff(values.transpose(2, 0, 1), photometric="rgb", planarconfig="separate", compression="zlib"),
            "array",
        ),
        "claimed": (png(60_000, 60_000, 2, b""), "ImageTooLargeError"),
    }
    for name, (data, expected) in cases.items():
        file = tmp_path / "case"
        file.write_bytes(data)
        result, mib, seconds = cost_of(file, small)
        mib -= len(data) / 2**20
        print(name, len(data), result, round(mib), round(seconds, 2))
        assert result == expected, name
        assert mib <= 150, name
        assert seconds <= 2, name


def test_what_is_cut_short_or_changed_is_an_error_or_a_picture() -> None:
    deep = np.stack([np.arange(4096, dtype=np.uint16).reshape(64, 64)] * 3, -1)
    files = [
        png(40, 30, 2),
        png(40, 30, 4),
        png(40, 30, 6),
        tiff(deep, photometric="rgb"),
        tiff(deep.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate", compression="zlib"),
        tiff(deep[..., 0].astype(np.float64), photometric="miniswhite", compression="lzw", predictor=False),
        b"P6\n64 64\n65535\n" + deep.astype(">u2").tobytes(),
        b"P3\n8 8\n65535\n" + b"4095 " * 192,
    ]
    rng = np.random.default_rng(11)
    for data in files:
        assert not isinstance(outcome(data), ImageError)
        for cut in np.linspace(10, len(data) - 1, 20).astype(int):
            result = outcome(data[:cut])
            assert isinstance(result, ImageError) or result.shape == (32, 32, 3)
        for _ in range(60):
            mutated = bytearray(data)
            for at in rng.integers(8, min(len(data), 2_000 if rng.random() < 0.5 else len(data)), rng.integers(1, 6)):
                mutated[at] = rng.integers(0, 256)
            result = outcome(bytes(mutated))
            assert isinstance(result, ImageError) or result.shape == (32, 32, 3)


def test_the_colour_that_is_declared_transparent_is_black() -> None:
    values = np.full((4, 4, 3), 3000, ">u2")
    values[0, 0] = 100, 200, 300
    values[3, 3] = 4000
    header = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"tRNS", struct.pack(">3H", 100, 200, 300))
    data += png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    decoded = decode.decode(data)
    assert decoded[0, 0].tolist() == [0, 0, 0]
    assert decoded[3, 3].tolist() == [255, 255, 255]


@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_of_16_bits(orientation: int) -> None:
    deep = gradient(30, 20).astype(np.uint16) * 16
    plain = decode.decode(tiff(deep, photometric="rgb"))
    turned = decode.decode(tiff(deep, photometric="rgb", extratags=[(274, "H", 1, orientation, True)]))
    np.testing.assert_array_equal(turned, np.rot90(plain, {3: 2, 6: 3}[orientation]))
    assert encode(gradient(4, 4), "PNG")
