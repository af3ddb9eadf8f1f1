"""Damaged image files without end, the same ones for the same seed: for the decoders and for the server."""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np

from dicoms import bundled, dicom
from pictures import encode, gradient, photo

_BUNDLED_DICOM = (
    *("CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_RLE.dcm"),
    *("MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "JPEG-lossy.dcm", "SC_rgb_jpeg_dcmtk.dcm"),
    *("SC_rgb_rle_2frame.dcm", "SC_ybr_full_422_uncompressed.dcm", "examples_palette.dcm", "image_dfl.dcm"),
    *("liver_1frame.dcm", "693_J2KI.dcm", "no_meta.dcm", "rtdose_1frame.dcm"),
)
_BUNDLED_PNG = ("brick.png", "chessboard_GRAY.png", "horse.png", "microaneurysms.png", "phantom.png", "page.png")

_MOST_UNPACKED = 2**20  # bytes of an archive that is changed member by member


def mutations(
    count: int, seed: int = 0, kinds: tuple[str, ...] = ("JPEG", "PNG", "DICOM")
) -> Iterator[tuple[str, bytes]]:
    """(description, file): of the kinds in turn, each a sound file damaged in one way or a few.

    kinds: also "TIFF", "WEBP", "GIF", "BMP" and "PPM".
    """
    rng = np.random.default_rng(seed)
    sources = sound_files()
    for number in range(count):
        kind = kinds[number % len(kinds)]
        files = sources[kind]
        name, data = files[rng.integers(len(files))]
        how: list[str] = []
        for _ in range(min(3, rng.geometric(0.7))):
            change = _CHANGES[rng.integers(len(_CHANGES))]
            data = change(data, rng, files[rng.integers(len(files))][1])
            how.append(change.__name__.strip("_"))
        if kind == "PNG" and rng.random() < 0.7:  # else the first checksum would keep all damage from the decoder
            data = _with_checksums(data)
        yield f"{number}: {name}, {', '.join(how)}", data


def damage(data: bytes, rng: np.random.Generator, other: bytes) -> bytes:
    """The file damaged in one way or a few; other: one of the same format, parts of which may get into it."""
    if data.startswith(b"PK\x03\x04") and rng.random() < 0.7:  # else the checksums would keep all damage from readers
        return _damage_member(data, rng)
    for _ in range(min(3, int(rng.geometric(0.7)))):
        data = _CHANGES[int(rng.integers(len(_CHANGES)))](data, rng, other)
    return _with_checksums(data) if data.startswith(b"\x89PNG") and rng.random() < 0.7 else data


def change_below_checksums(data: bytes, seed: int, change: Callable[[bytes], bytes]) -> bytes:
    """The file changed by `change`: of most archives one member, with sound checksums, which most PNGs have too."""
    rng = np.random.default_rng(seed)
    if rng.random() < 0.8 and data.startswith(b"PK\x03\x04"):
        with contextlib.suppress(Exception):  # an archive that an earlier change has broken is changed as it is
            return _change_member(data, rng, lambda content, _: change(content))
    changed = change(data)
    return _with_checksums(changed) if changed.startswith(b"\x89PNG") and rng.random() < 0.8 else changed


def _damage_member(archive: bytes, rng: np.random.Generator) -> bytes:
    return _change_member(archive, rng, lambda content, other: damage(content, rng, other))


def _change_member(archive: bytes, rng: np.random.Generator, change: Callable[[bytes, bytes], bytes]) -> bytes:
    """A zip file one of whose members is changed, told another's content too, with sound checksums."""
    with zipfile.ZipFile(io.BytesIO(archive)) as read:
        if sum(member.file_size for member in read.infolist()) > _MOST_UNPACKED:
            raise ValueError("too large to be packed again")
        members = [(name, read.read(name)) for name in read.namelist()]
    at = int(rng.integers(len(members)))
    name, content = members[at]
    members[at] = name, change(content, members[int(rng.integers(len(members)))][1])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if rng.random() < 0.5 else zipfile.ZIP_STORED) as written:
        for name, content in members:
            written.writestr(name, content)
    return out.getvalue()


def _with_checksums(png: bytes) -> bytes:
    """A PNG whose chunks' checksums are right again."""
    mended, at = bytearray(png), 8
    while at + 12 <= len(mended):
        length = int.from_bytes(mended[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(mended):
            break
        struct.pack_into(">I", mended, end, zlib.crc32(mended[at + 4 : end]))
        at = end + 4
    return bytes(mended)


@cache
def sound_files() -> dict[str, list[tuple[str, bytes]]]:
    """Sound files by format: generated ones, pydicom's and scikit-image's, small enough to damage by the thousand."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    small, grey = photo(320, 240), gradient(90, 70)[..., 0]
    jpeg = [
        ("baseline", encode(small, "JPEG")),
        ("progressive", encode(small, "JPEG", progressive=True)),
        ("grey", encode(grey, "JPEG", quality=95)),
        ("4:4:4", encode(small, "JPEG", subsampling=0, optimize=True)),
        ("CMYK", encode(small.convert("CMYK"), "JPEG")),
        ("restart markers", encode(small, "JPEG", restart_marker_blocks=4)),
        ("scaled while decoding", encode(photo(1_280, 960), "JPEG", quality=60)),
        ("rocket.jpg", (folder / "rocket.jpg").read_bytes()),
    ]
    png = [
        ("RGB", encode(small, "PNG")),
        ("16 bit", encode(grey.astype(np.uint16) * 200, "PNG")),
        ("palette", encode(small.quantize(32), "PNG", transparency=3)),
        ("alpha", encode(np.dstack([gradient(90, 70), grey]), "PNG")),
        ("one bit", encode(small.convert("1"), "PNG")),
        *((name, (folder / name).read_bytes()) for name in _BUNDLED_PNG),
    ]
    generated = [
        ("16 bit", dicom(np.arange(4_800, dtype=np.uint16).reshape(60, 80), WindowCenter=2_000, WindowWidth=900)),
        ("RGB", dicom(gradient(64, 48))),
    ]
    tiff = [
        *((f"TIFF {how}", encode(small, "TIFF", compression=how)) for how in ("raw", "tiff_lzw", "jpeg", "packbits")),
        ("deflated 16 bit", encode(grey.astype(np.uint16) * 200, "TIFF", compression="tiff_adobe_deflate")),
        *((f"fax {how}", encode(small.convert("1"), "TIFF", compression=how)) for how in ("group3", "group4")),
        ("multipage.tif", (folder / "multipage.tif").read_bytes()),
    ]
    bmp = [("BMP", encode(small, "BMP")), ("palette", encode(small.quantize(32), "BMP"))]
    ppm = [("PPM", encode(small, "PPM")), ("PGM", encode(grey, "PPM")), ("plain", b"P2 3 2 255\n0 1 2\n3 4 255\n")]
    webp = [("lossy", encode(small, "WEBP")), ("lossless", encode(small, "WEBP", lossless=True))]
    gif = [
        ("GIF", encode(small.quantize(32), "GIF", transparency=3)),
        ("no_time_for_that_tiny.gif", (folder / "no_time_for_that_tiny.gif").read_bytes()),
    ]
    return {
        "TIFF": tiff,
        "WEBP": webp,
        "GIF": gif,
        "BMP": bmp,
        "PPM": ppm,
        "JPEG": jpeg,
        "PNG": png,
        "DICOM": generated + [(name, bundled(name).read_bytes()) for name in _BUNDLED_DICOM],
    }


def _place(data: bytes, rng: np.random.Generator) -> int:
    """Half of the damage is done to the first kilobyte, where the headers are."""
    reach = len(data) if rng.random() < 0.5 else min(len(data), 1_024)
    return int(rng.integers(0, max(1, reach)))


def _bits(data: bytes, rng: np.random.Generator, _: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 16)) if data else 0):
        changed[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _bytes(data: bytes, rng: np.random.Generator, _: bytes) -> bytes:
    changed = bytearray(data)
    at = _place(data, rng)
    for k in range(at, min(len(data), at + int(rng.integers(1, 24)))):
        changed[k] = int(rng.integers(256))
    return bytes(changed)


def _number(data: bytes, rng: np.random.Generator, _: bytes) -> bytes:
    """A size or length becomes an extreme one."""
    at = _place(data, rng)
    value = int(rng.choice([0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF]))
    code = str(rng.choice(["<H", ">H", "<I", ">I"]))
    new = struct.pack(code, value & (0xFFFF if code[1] == "H" else 0xFFFFFFFF))
    return data[:at] + new + data[at + len(new) :]


def _cut(data: bytes, rng: np.random.Generator, _: bytes) -> bytes:
    return data[: int(rng.integers(0, max(1, len(data))))]


def _splice(data: bytes, rng: np.random.Generator, other: bytes) -> bytes:
    """The start of one file and the end of another of the same format."""
    at = _place(data, rng)
    return data[:at] + other[min(len(other), max(0, at + int(rng.integers(-64, 65)))) :]


def _insert(data: bytes, rng: np.random.Generator, other: bytes) -> bytes:
    start, length = int(rng.integers(0, max(1, len(other)))), int(rng.integers(1, 2_000))
    at = _place(data, rng)
    return data[:at] + other[start : start + length] + data[at:]


def _repeat(data: bytes, rng: np.random.Generator, _: bytes) -> bytes:
    at, length = _place(data, rng), int(rng.integers(1, 400))
    return data[:at] + data[at : at + length] * int(rng.integers(2, 40)) + data[at + length :]


def _drop(data: bytes, rng: np.random.Generator, _: bytes) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + int(rng.integers(1, 600)) :]


_CHANGES = (_bits, _bytes, _number, _cut, _splice, _insert, _repeat, _drop)
