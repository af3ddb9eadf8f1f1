"""Bit depth × bits held × photometric × transparency × container × compression, against the libraries that wrote it.

Each case is the same scene in another form. What is decoded must be the grey levels that follow from the values which
an independent library reads: tifffile, imagecodecs, pydicom, or Pillow, and the values that were written.
"""

from __future__ import annotations

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from dicoms import dicom
from medloupe.imaging import decode
from pictures import png_chunk

SIDE = 48


def scene(bits: int, channels: int = 1) -> np.ndarray:
    """Blobs on a ramp, using all of so many bits; uint8 or uint16, (h, w) or (h, w, channels)."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    planes = [
        0.5 * x + 0.5 * np.exp(-((x - 0.3 - 0.15 * k) ** 2 + (y - 0.6 + 0.1 * k) ** 2) / (0.02 + 0.02 * k))
        for k in range(channels)
    ]
    whole = np.stack(planes, -1)
    whole = (whole - whole.min()) / np.ptp(whole)
    made = np.rint(whole * (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16)
    return made[..., 0] if channels == 1 else made


def stretched(values: np.ndarray) -> np.ndarray:
    """The documented rule for more than 8 bits, all channels together, as RGB."""
    values = values.astype(np.float64)
    if values.min() >= 0 and values.max() <= 255 and (values.max() > 1):
        shown = values
    else:
        low, high = np.percentile(values, [0.5, 99.5], method="inverted_cdf")
        shown = np.clip((values - low) * (255 / (high - low)), 0, 255)
    shown = np.rint(shown).astype(np.uint8)
    return np.stack([shown] * 3, -1) if shown.ndim == 2 else shown


def agree(data: bytes, expected: np.ndarray, most: int = 0) -> None:
    decoded = decode.decode(data)
    assert decoded.shape == expected.shape
    assert np.abs(decoded.astype(int) - expected).max() <= most


def png16(values: np.ndarray, colour: int, filtered: bool = True) -> bytes:
    """A PNG of 16 bits; imagecodecs writes none with alpha in grey. filtered: by Sub, which needs the pixel's size."""
    height, width = values.shape[:2]
    raw = np.ascontiguousarray(values.astype(">u2")).view(np.uint8).reshape(height, -1).astype(np.int16)
    size = raw.shape[1] // width
    if filtered:
        raw[:, size:] -= raw[:, :-size].copy()
    rows = b"".join(bytes([int(filtered)]) + (row % 256).astype(np.uint8).tobytes() for row in raw)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )


def tiff(values: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


# PNG


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", ["", "opaque", "opaque in the bits held", "partly"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_png_of_16_bits(bits: int, alpha: str, channels: int, filtered: bool) -> None:
    values = scene(bits, channels).astype(np.uint16)
    full = 2**bits - 1 if "held" in alpha else 65535
    mask = np.full((SIDE, SIDE), full, np.uint16)
    if alpha == "partly":
        mask[:10] = 0
    colour = {(1, False): 0, (3, False): 2, (1, True): 4, (3, True): 6}[channels, bool(alpha)]
    stored = np.dstack([values, mask]) if alpha else values
    shown = values.copy()
    shown[mask == 0] = 0
    data = png16(stored, colour, filtered)
    np.testing.assert_array_equal(imagecodecs.png_decode(data).reshape(stored.shape), stored)
    agree(data, stretched(shown if alpha else values))


def test_interlaced_png_of_16_bits_in_colour() -> None:
    """Seven passes, each a picture of its own with its own filters."""
    values = scene(12, 3)
    rows = b""
    for x0, y0, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        rows += b"".join(b"\0" + row.astype(">u2").tobytes() for row in values[y0::dy, x0::dx])
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 2, 0, 0, 1)
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows))
    agree(data + png_chunk(b"IEND", b""), stretched(values))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_8_bits_stay_as_pillow_has_them(kind: str, mode: str) -> None:
    channels = len(mode)
    values = scene(8, channels)
    if mode.endswith("A"):
        values[..., -1] = 255
    file = io.BytesIO()
    Image.fromarray(values, mode).save(file, kind)
    agree(file.getvalue(), np.asarray(Image.fromarray(values, mode).convert("RGB")))


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_ppm_of_16_bits_in_colour(bits: int) -> None:
    values = scene(bits, 3)
    head = b"%d %d\n65535\n" % (SIDE, SIDE)
    agree(b"P6\n" + head + values.astype(">u2").tobytes(), stretched(values))
    agree(b"P3\n" + head + " ".join(map(str, values.ravel())).encode(), stretched(values))


# TIFF


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("layout", ["contig", "separate"])
@pytest.mark.parametrize("form", ["grey", "grey+alpha", "rgb", "rgb+alpha"])
@pytest.mark.parametrize("bits", [10, 16])
def test_tiff_of_16_bits(bits: int, form: str, layout: str, order: str, compression: str | None) -> None:
    values = scene(bits, 3 if "rgb" in form else 1)
    shown = values
    if "alpha" in form:
        mask = np.full((SIDE, SIDE), 65535, np.uint16)
        mask[-12:] = 0
        shown = values.copy()
        shown[-12:] = 0
        values = np.dstack([values, mask])
    if values.ndim == 2 and layout == "separate":
        pytest.skip("grey has one plane")
    stored = values.transpose(2, 0, 1) if layout == "separate" else values
    options = {"planarconfig": layout} if values.ndim == 3 else {}
    data = tiff(
        stored,
        photometric="rgb" if "rgb" in form else "minisblack",
        extrasamples=["unassalpha"] if "alpha" in form else None,
        compression=compression,
        predictor=compression in ("zlib", "lzw"),
        byteorder=order,
        rowsperstrip=7,
        **options,
    )
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(data)), stored)
    agree(data, stretched(shown))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiled_tiff_of_16_bits(planar: str, compression: str | None) -> None:
    values = scene(12, 3)
    stored = values if planar == "contig" else values.transpose(2, 0, 1)
    data = tiff(stored, photometric="rgb", planarconfig=planar, tile=(16, 32), compression=compression)
    agree(data, stretched(values))


def test_premultiplied_alpha_is_over_black_already() -> None:
    values = np.dstack([scene(12, 3), np.full((SIDE, SIDE), 9000, np.uint16)])
    values[:5] = 0
    agree(tiff(values, photometric="rgb", extrasamples=["assocalpha"]), stretched(values[..., :3]))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i4", "f2", "f4", "f8"])
@pytest.mark.parametrize("white", ["miniswhite", "minisblack"])
def test_numbers_and_polarity_of_tiff(white: str, dtype: str, compression: str | None, order: str) -> None:
    values = scene(8 if dtype == "u1" else 11).astype(dtype)
    if dtype[0] in "if":
        values = values - np.array(700, dtype)
    if dtype == "u4":
        values = values * np.uint32(2**21 - 1)  # beyond the signed
    data = tiff(values, photometric=white, compression=compression, byteorder=order)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(data)), values)
    expected = stretched(values)
    agree(data, 255 - expected if white == "miniswhite" else expected)


@pytest.mark.parametrize("order", ["<", ">"])
def test_signed_8_bits_of_tiff(order: str) -> None:
    values = (scene(8).astype(int) - 128).astype(np.int8)
    agree(tiff(values, photometric="minisblack", byteorder=order), stretched(values))


def test_palette_of_tiff_has_16_bits() -> None:
    table = np.stack([np.arange(256) * k for k in (257, 200, 90)]).astype(np.uint16)
    data = tiff(scene(8), photometric="palette", colormap=table)
    agree(data, (table >> 8).T.astype(np.uint8)[scene(8)], most=1)


def test_forms_that_are_not_read_are_named() -> None:
    from medloupe.errors import UnreadableImageError

    with pytest.raises(UnreadableImageError, match="form that is not read"):
        decode.decode(tiff(scene(12, 3).astype(np.float32), photometric="rgb"))


# DICOM

NATIVE = {"explicit": ExplicitVRLittleEndian, "implicit": ImplicitVRLittleEndian, "big": ExplicitVRBigEndian}


def compressed(values: np.ndarray, how: str) -> tuple[str, bytes]:
    if how == "jpeg-ls":
        return JPEGLSLossless, imagecodecs.jpegls_encode(values)
    if how == "j2k":
        stream = imagecodecs.jpeg2k_encode(values, codecformat="j2k", reversible=True, mct=values.ndim == 3)
        return JPEG2000Lossless, stream
    assert how == "rle"
    from pydicom.pixels.encoders import RLELosslessEncoder

    samples = 1 if values.ndim == 2 else 3
    frame = RLELosslessEncoder.encode(
        values,
        rows=SIDE,
        columns=SIDE,
        samples_per_pixel=samples,
        photometric_interpretation="RGB" if samples == 3 else "MONOCHROME2",
        bits_allocated=8 * values.itemsize,
        bits_stored=8 * values.itemsize,
        pixel_representation=0,
        number_of_frames=1,
        planar_configuration=0,
    )
    return RLELossless, frame


@pytest.mark.parametrize("how", ["jpeg-ls", "j2k", "rle", *NATIVE])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2", "RGB"])
@pytest.mark.parametrize(("bits", "stored"), [(8, 8), (10, 10), (12, 12), (12, 16), (16, 16)])
def test_dicom(bits: int, stored: int, photometric: str, how: str) -> None:
    """stored: what BitsStored says, which may be more than is held."""
    values = scene(bits, 3 if photometric == "RGB" else 1)
    tags = {"BitsStored": stored, "HighBit": stored - 1, "PhotometricInterpretation": photometric}
    if how in NATIVE:
        swapped = values.astype(values.dtype.newbyteorder(">" if how == "big" else "<"))
        data = dicom(swapped, syntax=NATIVE[how], **tags)
    else:
        syntax, frame = compressed(values, how)
        data = dicom(values, syntax=syntax, data=encapsulate([frame]), **tags)
    with pydicom.config.disable_value_validation():
        ds = pydicom.dcmread(io.BytesIO(data))
    if not (how == "j2k" and photometric == "RGB"):  # where pydicom would want YBR_RCT
        np.testing.assert_array_equal(ds.pixel_array, values)
    expected = stretched(values)
    agree(data, 255 - expected if photometric == "MONOCHROME1" else expected)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_planar_colour_of_dicom(bits: int, planar: int) -> None:
    values = scene(bits, 3)
    stored = values.transpose(2, 0, 1).tobytes() if planar else values.tobytes()
    agree(dicom(values, PlanarConfiguration=planar, PixelData=stored), stretched(values))


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_floats_of_dicom(photometric: str, kind: str) -> None:
    values = (scene(16).astype(kind) - 30_000) / 7
    keyword = "FloatPixelData" if kind == "f4" else "DoubleFloatPixelData"
    tags = dict.fromkeys(("BitsStored", "HighBit", "PixelRepresentation", "PixelData"))
    data = dicom(
        scene(8),
        BitsAllocated=8 * values.itemsize,
        PhotometricInterpretation=photometric,
        **tags,
        **{keyword: values.tobytes()},
    )
    expected = stretched(values)
    agree(data, 255 - expected if photometric == "MONOCHROME1" else expected)


@pytest.mark.parametrize("subsampling", ["444", "420"])
def test_jpeg_of_dicom(subsampling: str) -> None:
    values = scene(8, 3)
    stream = imagecodecs.jpeg8_encode(values, level=98, subsampling=subsampling)
    for tag in ("YBR_FULL_422", "RGB"):
        data = dicom(values, syntax=JPEGBaseline8Bit, data=encapsulate([stream]), PhotometricInterpretation=tag)
        agree(data, imagecodecs.jpeg8_decode(stream), most=2 if subsampling == "444" else 12)
