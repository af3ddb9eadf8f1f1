"""Pictures in many formats, and what reading them costs."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from medloupe.errors import ImageError
from medloupe.imaging import decode

RESOURCES = """
import resource, sys, time
from pathlib import Path
from medloupe.errors import ImageError
from medloupe.imaging import decode
source = Path(sys.argv[1])
def peak(): return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) / 1024
decode.load(Path(sys.argv[2]), 224)  # imports and pools are no part of one image's cost
before, start = peak(), time.process_time()
try:
    decode.load(source, 224)
    outcome = "array"
except ImageError as e:
    outcome = type(e).__name__
print(outcome, peak() - before, time.process_time() - start)
"""


def cost_of(source: Path, warm_up: Path) -> tuple[str, float, float]:
    """(outcome, added peak MiB, seconds of processor) of loading a file in a process of its own."""
    run = [sys.executable, "-c", RESOURCES, str(source), str(warm_up)]
    outcome, mib, seconds = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    return outcome, float(mib), float(seconds)


def gradient(width: int, height: int) -> np.ndarray:
    """Red rises to the right, green downwards, blue is an 8-pixel checker."""
    y, x = np.mgrid[:height, :width]
    checker = (x // 8 + y // 8) % 2 * 200
    return np.stack([x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), checker], -1).astype(np.uint8)


def encode(pixels: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg_claiming(width: int, height: int, **options: object) -> bytes:
    data = encode(gradient(16, 16), "JPEG", **options)
    at = next(i for i in (data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) if i > 0)
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def outcome(data: bytes) -> np.ndarray | ImageError:
    """What loading gives; any exception but ImageError fails the test."""
    try:
        return decode.load(data, 32)
    except ImageError as e:
        return e


def photo(width: int, height: int) -> Image.Image:
    """Smooth shapes with sensor noise."""
    rng = np.random.default_rng(5)
    small = Image.fromarray(rng.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8))
    pixels = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    return Image.fromarray(np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width: int, height: int, idat: bytes = b"", colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", idat) + png_chunk(b"IEND", b"")


def inflating_png(width: int, height: int, colour: int = 2) -> bytes:
    """A small file of real, complete, black pixels."""
    packer = zlib.compressobj(9)
    row = bytes(1 + width * {0: 1, 2: 3, 6: 4}[colour])
    return png_claiming(
        width, height, b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()]), colour
    )
