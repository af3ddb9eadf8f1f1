"""Decoding and fitting. Every hostile or damaged file must give an array or an ImageError, never anything else."""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medloupe.errors import ImageError, ImageTooLargeError, NotAnImageError, UnreadableImageError
from medloupe.imaging import decode, headers, levels, limits
from pictures import cost_of, encode, gradient, inflating_png, jpeg_claiming, outcome, photo, png_chunk, png_claiming


def documented_fit(image: Image.Image) -> np.ndarray:
    """The recipe at the top of imaging/decode.py, word for word."""
    im = image.convert("RGB")
    w, h = (max(1, round(side * 224 / max(im.size))) for side in im.size)
    out = Image.new("RGB", (224, 224))
    out.paste(im.resize((w, h), Image.Resampling.BICUBIC), ((224 - w) // 2, (224 - h) // 2))
    return np.asarray(out)


# Fitting


@pytest.mark.parametrize(
    "shape", [(224, 224), (448, 224), (100, 301), (1, 500), (500, 1), (28, 28), (1, 1), (223, 225)]
)
def test_fit_is_the_documented_recipe(shape: tuple[int, int]) -> None:
    pixels = gradient(*shape)
    fitted = decode.fit(pixels, 224)
    assert fitted.dtype == np.uint8
    assert fitted.shape == (224, 224, 3)
    np.testing.assert_array_equal(fitted, documented_fit(Image.fromarray(pixels)))


def test_pixels_of_fit_are_pinned() -> None:
    """These numbers must never change: every trained model depends on them."""
    fitted = decode.fit(gradient(301, 200), 224)
    assert fitted[:37].max() == 0  # 149 rows of picture in 224: 37 above, 38 below
    assert fitted[37].max() > 0
    assert fitted[186:].max() == 0
    assert [fitted[y, x].tolist() for y, x in ((37, 0), (100, 50), (112, 112), (185, 223))] == PINNED
    assert hashlib.sha256(fitted.tobytes()).hexdigest()[:16] == PINNED_HASH
    assert hashlib.sha256(decode.fit(gradient(28, 28), 224).tobytes()).hexdigest()[:16] == PINNED_HASH_28


PINNED = [[0, 0, 0], [56, 108, 0], [128, 129, 0], [255, 255, 200]]
PINNED_HASH = "2a90735c46c7ba8a"
PINNED_HASH_28 = "118fb6113e56f59b"


def test_image_at_size_is_untouched() -> None:
    pixels = gradient(224, 224)
    np.testing.assert_array_equal(decode.fit(pixels, 224), pixels)


def test_grey_fits_like_its_rgb() -> None:
    grey = gradient(300, 170)[..., 0]
    np.testing.assert_array_equal(decode.fit(grey, 224), decode.fit(np.stack([grey] * 3, -1), 224))


def test_fit_averages_what_it_shrinks() -> None:
    checker = (np.indices((896, 896)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.abs(decode.fit(checker, 224)[8:-8, 8:-8].astype(int) - 127).max() <= 2


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 64))
def test_fit_centres_and_keeps_the_aspect(width: int, height: int, size: int) -> None:
    fitted = decode.fit(np.full((height, width, 3), 255, np.uint8), size)
    rows, columns = (np.flatnonzero(fitted[..., 0].any(axis)) for axis in (1, 0))
    assert max(len(rows), len(columns)) == size
    assert abs(len(rows) - max(1, height * size / max(width, height))) <= 0.5
    assert abs(len(columns) - max(1, width * size / max(width, height))) <= 0.5
    assert abs(rows[0] - (size - 1 - rows[-1])) <= 1
    assert abs(columns[0] - (size - 1 - columns[-1])) <= 1


@pytest.mark.parametrize("bad", [np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8), np.zeros((0, 4), np.uint8)])
def test_other_arrays_are_refused(bad: np.ndarray) -> None:
    for call in (lambda: decode.fit(bad, 8), lambda: decode.decode(bad), lambda: decode.load(bad, 8)):
        with pytest.raises(UnreadableImageError, match="shape"):
            call()


def test_arrays_of_no_numbers_are_refused() -> None:
    for bad in (np.zeros((4, 4), complex), np.full((4, 4), "x")):
        with pytest.raises(UnreadableImageError, match="real numbers"):
            decode.decode(bad)


# Modes


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_keep_pixels(kind: str) -> None:
    pixels = gradient(33, 21)
    np.testing.assert_array_equal(decode.decode(encode(pixels, kind)), pixels)
    np.testing.assert_array_equal(decode.decode(encode(pixels[..., 0], kind))[..., 2], pixels[..., 0])


def test_lossless_webp_keeps_pixels() -> None:
    pixels = gradient(33, 21)
    np.testing.assert_array_equal(decode.decode(encode(pixels, "WEBP", lossless=True)), pixels)


def test_jpeg_is_near_the_original() -> None:
    smooth = np.asarray(Image.fromarray(gradient(90, 70)).convert("L"))
    for options in ({}, {"progressive": True}):
        decoded = decode.decode(encode(smooth, "JPEG", quality=95, **options))
        assert np.abs(decoded[..., 0].astype(int) - smooth).mean() < 2


def test_one_bit() -> None:
    image = Image.fromarray(gradient(16, 16)[..., 2]).convert("1", dither=Image.Dither.NONE)
    assert set(np.unique(decode.decode(encode(image, "PNG")))) == {0, 255}


def test_palette() -> None:
    image = Image.fromarray(gradient(32, 32)).quantize(16)
    np.testing.assert_array_equal(decode.decode(encode(image, "PNG")), np.asarray(image.convert("RGB")))


def test_palette_with_a_transparent_colour_lies_over_black() -> None:
    image = Image.new("P", (4, 2), 1)
    image.putpalette([200, 0, 0, 0, 200, 0])
    image.paste(0, (0, 0, 2, 2))
    for kind in ("PNG", "GIF"):
        decoded = decode.decode(encode(image, kind, transparency=0))
        assert decoded[0, 0].tolist() == [0, 0, 0]
        assert decoded[0, 3].tolist() == [0, 200, 0]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_transparency_lies_over_black(kind: str) -> None:
    image = Image.new("RGBA", (3, 1), (200, 100, 50, 255))
    image.putpixel((1, 0), (200, 100, 50, 0))
    image.putpixel((2, 0), (200, 100, 50, 128))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    decoded = decode.decode(encode(image, kind, **options))
    assert decoded[0].tolist() == [[200, 100, 50], [0, 0, 0], [100, 50, 25]]


def test_grey_with_alpha_lies_over_black() -> None:
    image = Image.new("LA", (2, 1), (200, 255))
    image.putpixel((1, 0), (200, 0))
    assert decode.decode(encode(image, "PNG"))[0].tolist() == [[200] * 3, [0] * 3]


def test_transparency_by_strips_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.dstack([gradient(40, 50), gradient(40, 50)[..., 1]])
    data = encode(pixels, "PNG")
    whole = decode.decode(data)
    monkeypatch.setattr(levels, "STRIP_PIXELS", 300)
    np.testing.assert_array_equal(decode.decode(data), whole)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_is_stretched_between_percentiles(kind: str) -> None:
    values = np.linspace(1000, 5000, 10_000).astype(np.uint16).reshape(100, 100)
    values[0, 0], values[-1, -1] = 0, 65535  # a dead and a hot pixel must not set the contrast
    decoded = decode.decode(encode(values, kind))
    low, high = np.percentile(values, [0.5, 99.5], method="inverted_cdf")
    expected = np.rint(np.clip((values - float(low)) * (255 / (float(high) - low)), 0, 255))
    np.testing.assert_array_equal(decoded[..., 0], expected)
    np.testing.assert_array_equal(decode.decode(values), decoded)  # an array takes the same way
    assert (decoded[0, 0, 0], decoded[50, 0, 0], decoded[-1, -1, 0]) == (0, 128, 255)


def test_16_bit_with_8_bits_of_content_is_kept() -> None:
    values = gradient(30, 30)[..., 0].astype(np.uint16)
    np.testing.assert_array_equal(decode.decode(encode(values, "PNG"))[..., 0], values)


def test_float_tiff_and_arrays() -> None:
    values = np.linspace(-1, 1, 900, dtype=np.float32).reshape(30, 30)
    decoded = decode.decode(encode(values, "TIFF"))
    assert (decoded.min(), decoded.max()) == (0, 255)
    np.testing.assert_array_equal(decoded, decode.decode(values))
    already = gradient(30, 30).astype(np.float64)
    np.testing.assert_array_equal(decode.decode(already), already)
    np.testing.assert_array_equal(decode.decode(np.eye(4, dtype=bool))[..., 0], np.eye(4) * 255)


@pytest.mark.parametrize("value", [0, 7, 40_000])
def test_constant_images(value: int) -> None:
    for values in (np.full((9, 9), value, np.uint16), np.full((9, 9), value, np.float32)):
        decoded = decode.decode(values)
        assert len(np.unique(decoded)) == 1
        assert decoded[0, 0, 0] == (value if value <= 255 else 0)


def test_floats_that_are_no_numbers() -> None:
    values = np.linspace(0, 1000, 400).reshape(20, 20)
    values[0, :3] = np.nan, np.inf, -np.inf
    assert decode.decode(values)[0, :3, 0].tolist() == [0, 255, 0]
    assert decode.decode(np.full((3, 3), np.nan)).max() == 0
    assert decode.decode(np.array([[-1.7e308, 1.7e308], [0, 1]]))[..., 0].tolist() == [[0, 255], [128, 128]]


def test_cmyk_jpeg_and_tiff() -> None:
    image = Image.fromarray(gradient(32, 32)).convert("CMYK")
    for kind in ("JPEG", "TIFF"):
        decoded = decode.decode(encode(image, kind)).astype(int)
        assert np.abs(decoded - np.asarray(image.convert("RGB"))).mean() < 12


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_of_animations_the_first_frame_counts(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert decode.decode(data)[4, 4].tolist() == [250, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_exif_orientation(kind: str, orientation: int) -> None:
    """Stored as the camera held it, the image must come out as the original."""
    upright = Image.fromarray(gradient(48, 32))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # inverse operations, as numbers of Image.Transpose
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    decoded = decode.decode(encode(stored, kind, exif=exif, **options))
    assert decoded.shape == (32, 48, 3)
    difference = np.abs(decoded.astype(int) - np.asarray(upright))
    assert difference.max() == 0 if kind != "JPEG" else difference.mean() < 4


def test_broken_exif_is_ignored() -> None:
    data = encode(gradient(16, 16), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f" + bytes(8))
    assert decode.decode(data).shape == (16, 16, 3)
    assert headers.exif_orientation(b"") == headers.exif_orientation(b"Exif\x00\x00MM\x00*") == 1


# Scaled decoding


@pytest.mark.parametrize("size", [(940, 627), (627, 940), (1881, 1254), (3763, 2509), (3000, 10)])
def test_scaled_jpeg_fits_like_the_full_one(size: tuple[int, int]) -> None:
    image = photo(*size) if min(size) > 40 else photo(size[0], 400).crop((0, 0, *size))
    data = encode(image, "JPEG", quality=90)
    assert max(decode.decode(data, min_side=224).shape) < max(size)
    difference = np.abs(decode.load(data, 224).astype(int) - documented_fit(Image.open(io.BytesIO(data))))
    assert difference.mean() <= 0.6
    assert np.percentile(difference, 99) <= 3


@pytest.mark.parametrize("orientation", range(2, 9))
def test_scaled_jpeg_is_turned_without_a_shift(orientation: int) -> None:
    """941 / 2 leaves a partial last pixel, which turning moves to the left or the top."""
    image = photo(941, 629)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(image, "JPEG", quality=95, exif=exif)
    full = decode.fit(decode.decode(data), 224)
    assert np.abs(decode.load(data, 224).astype(int) - full).mean() <= 0.6


def test_decode_keeps_twice_the_needed_side() -> None:
    data = encode(photo(2000, 1000), "JPEG")
    assert decode.decode(data).shape == (1000, 2000, 3)
    assert decode.decode(data, min_side=224).shape == (250, 500, 3)
    assert decode.decode(data, min_side=300).shape == (500, 1000, 3)
    assert decode.decode(data, min_side=1001).shape == (1000, 2000, 3)


# What is no image


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"patient,label\n1,0\n", "text"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\x00\x00\x00\x18ftypheic", "HEIC"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (bytes(range(1, 200)), "no known image format"),
        (b"BMW is a car maker, not a bitmap", "text"),
    ],
)
def test_what_is_no_image_is_named(data: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "scan.png"
    file.write_bytes(data)
    for source in (data, file):
        with pytest.raises(NotAnImageError, match=says) as caught:
            decode.load(source, 224)
        assert "JPEG, PNG" in caught.value.message
        assert caught.value.hint
    assert str(file) in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "absent.png", "There is no file .*absent.png"), (tmp_path, "cannot be opened")):
        with pytest.raises(UnreadableImageError, match=said):
            decode.load(path, 224)


def test_extension_does_not_matter_and_path_equals_bytes(tmp_path: Path) -> None:
    data = encode(photo(1000, 700), "JPEG")
    file = tmp_path / "really-a.dcm"
    file.write_bytes(data)
    np.testing.assert_array_equal(decode.load(file, 224), decode.load(data, 224))


def test_polyglot_jpeg_with_a_zip_is_the_jpeg() -> None:
    data = encode(gradient(64, 64), "JPEG")
    polyglot = data + b"PK\x03\x04" + bytes(100) + b"\xff\xda" * 500
    np.testing.assert_array_equal(decode.load(polyglot, 32), decode.load(data, 32))


# Too large


@pytest.mark.parametrize("size", [(13_000, 13_000), (65_500, 65_500), (65_500, 1_000)])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_jpeg_claiming_too_much(size: tuple[int, int], options: dict[str, bool]) -> None:
    data = jpeg_claiming(*size, **options)
    assert len(data) < 1200
    with pytest.raises(ImageTooLargeError, match="claims"):
        decode.load(data, 224)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_other_headers_claiming_too_much(kind: str) -> None:
    big = struct.pack("<HH", 13_000, 13_000)
    small = encode(gradient(16, 16), kind)
    data = {
        "PNG": png_claiming(13_000, 13_000),
        "GIF": small[:6] + big + small[10:],
        "BMP": small[:18] + struct.pack("<II", 13_000, 13_000) + small[26:],
        "TIFF": tiff_with({256: 13_000, 257: 13_000}),
        "WEBP": b"RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00"
        + (12_999).to_bytes(3, "little") * 2
        + encode(gradient(16, 16), "WEBP")[12:],
        "PPM": b"P6 13000 13000 255\n" + bytes(48),
    }[kind]
    with pytest.raises(ImageTooLargeError if kind != "WEBP" else ImageError):
        decode.load(data, 224)


def tiff_with(tags: dict[int, int]) -> bytes:
    """A 16×16 TIFF with some of its tags set."""
    data = bytearray(encode(gradient(16, 16), "TIFF"))
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for k in range(count):
        entry = at + 2 + 12 * k
        tag = struct.unpack_from("<H", data, entry)[0]
        if tag in tags:
            struct.pack_into("<HII", data, entry + 2, 4, 1, tags[tag])
    return bytes(data)


def test_tiff_with_a_tile_larger_than_the_image() -> None:
    entries = [(256, 16), (257, 16), (258, 8), (259, 5), (262, 1), (277, 1), (322, 30_000), (323, 30_000), (324, 8)]
    entries += [(325, 8)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    data = b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(entries)) + directory + bytes(64)
    with pytest.raises(ImageTooLargeError, match="30000"):
        decode.load(data, 224)


def test_colour_has_a_lower_limit_than_grey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_DECODED_BYTES", 2_000)
    decode.load(encode(gradient(40, 40)[..., 0], "PNG"), 32)
    with pytest.raises(ImageTooLargeError):
        decode.load(encode(gradient(40, 40), "PNG"), 32)


def test_progressive_jpeg_of_endless_scans() -> None:
    """Each further scan passes over all pixels again, for a few bytes in the file."""
    data = encode(gradient(16, 16)[..., 0], "JPEG", progressive=True)
    at = data.index(b"\xff\xc2")
    data = data[: at + 5] + struct.pack(">HH", 6000, 6000) + data[at + 9 :]
    first = data.index(b"\xff\xda")
    scan = data[first : data.index(b"\xff", first + 2)]
    with pytest.raises(ImageTooLargeError, match="scans"):
        decode.load(data[:-2] + scan * 40 + b"\xff\xd9", 224)


def test_endless_segments_and_chunks() -> None:
    jpeg = encode(gradient(16, 16), "JPEG")
    with pytest.raises(UnreadableImageError, match="segments"):
        decode.load(jpeg[:2] + b"\xff\xfe\x00\x02" * 100_000 + jpeg[2:], 224)
    png = encode(gradient(16, 16), "PNG")
    with pytest.raises(ImageTooLargeError, match="chunks"):
        decode.load(png[:33] + png_chunk(b"juNk", b"") * 100_000 + png[33:], 224)


def test_text_and_profile_bombs() -> None:
    bomb = zlib.compress(bytes(80 * 2**20))
    png = encode(gradient(16, 16), "PNG")
    for chunk in (png_chunk(b"zTXt", b"a\x00\x00" + bomb), png_chunk(b"iCCP", b"a\x00\x00" + bomb)):
        outcome(png[:33] + chunk + png[33:])


def test_slow_codecs_have_a_limit() -> None:
    header = b"P5 3000 3000 4095\n"
    with pytest.raises(ImageTooLargeError):
        decode.load(header + bytes(18_000_000), 224)
    assert decode.load(b"P2 2 1 255\n0 255\n", 2).max() == 255


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_cost_of_hostile_files(tmp_path: Path) -> None:
    """At most 150 MiB and 2 s for any file, refused or read; the largest allowed of each kind stand here."""
    plain = tmp_path / "plain.jpg"
    plain.write_bytes(encode(gradient(300, 200), "JPEG"))
    cases = {
        "jpeg-13000": jpeg_claiming(13_000, 13_000),
        "jpeg-65500": jpeg_claiming(65_500, 65_500),
        "jpeg-64MP-empty": jpeg_claiming(8_000, 8_000),
        "jpeg-64MP-empty-progressive": jpeg_claiming(6_900, 6_900, progressive=True),
        "jpeg-24MP-progressive": encode(Image.new("RGB", (6_000, 4_000)), "JPEG", progressive=True),
        "jpeg-60MP": encode(Image.new("RGB", (10_000, 6_000)), "JPEG"),
        "png-13000": inflating_png(13_000, 13_000, 0),
        "png-34MP": inflating_png(5_830, 5_830),
        "png-17MP-alpha": inflating_png(4_120, 4_120, 6),
        "png-64MP-grey": inflating_png(8_000, 8_000, 0),
        "webp-8MP": encode(Image.new("RGB", (2_910, 2_910)), "WEBP"),
        "tiff-34MP": encode(Image.new("RGB", (5_830, 5_830)), "TIFF", compression="tiff_adobe_deflate"),
        "gif-27MP": encode(Image.new("P", (5_200, 5_200)), "GIF"),
    }
    for name, data in cases.items():
        file = tmp_path / name
        file.write_bytes(data)
        result, mib, seconds = cost_of(file, plain)
        print(name, len(data), result, round(mib), round(seconds, 2))
        assert mib <= 150, name
        assert seconds <= 2, name
        assert (result == "array") == ("MP" in name and "empty" not in name), name


# Damage


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_truncated_files_are_errors(kind: str) -> None:
    rng = np.random.default_rng(3)
    data = encode(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8), kind)
    tail = {"JPEG": 2, "PNG": 16, "GIF": 4, "TIFF": 0, "WEBP": 1, "BMP": 0, "PPM": 0}[kind]  # bytes without pixels
    for cut in range(1, len(data) - 1 - tail, 7):
        assert isinstance(outcome(data[:cut]), ImageError), f"{cut} of {len(data)} bytes"


def test_truncated_progressive_jpeg() -> None:
    data = encode(photo(120, 80), "JPEG", progressive=True)
    for cut in range(1, len(data) - 4, 11):
        assert isinstance(outcome(data[:cut]), ImageError), f"{cut} of {len(data)} bytes"


@pytest.mark.filterwarnings("ignore")  # Pillow warns of some damaged TIFF tags; as errors they would hide what follows
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "PPM"])
def test_mutated_files(kind: str) -> None:
    data = encode(photo(120, 80), kind)
    rng = np.random.default_rng(11)
    for _ in range(300):
        mutated = bytearray(data)
        reach = len(data) if rng.random() < 0.5 else min(len(data), 200)  # half of them in the header
        for at in rng.integers(0, reach, rng.integers(1, 8)):
            mutated[at] = rng.integers(0, 256)
        result = outcome(bytes(mutated))
        assert isinstance(result, ImageError) or result.shape == (32, 32, 3)


def test_jpeg_with_an_end_but_no_data_for_its_pixels() -> None:
    """libjpeg fills the rest with grey where the end marker is there."""
    with pytest.raises(UnreadableImageError, match="too few bytes"):
        decode.load(jpeg_claiming(2_000, 2_000), 224)
    assert decode.load(encode(Image.new("L", (2_000, 2_000)), "JPEG", optimize=True), 224).max() == 0


def test_errors_name_the_file_and_say_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "cut.png"
    file.write_bytes(encode(gradient(50, 50), "PNG")[:120])
    with pytest.raises(UnreadableImageError) as caught:
        decode.load(file, 224)
    assert str(file) in caught.value.message
    assert caught.value.hint


def test_no_global_is_changed() -> None:
    from PIL import ImageFile

    assert Image.MAX_IMAGE_PIXELS == 89_478_485
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_import_leaves_dicom_alone() -> None:
    code = "import sys, medloupe.imaging.decode; sys.exit('pydicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("subsampling", [0, 1, 2, None])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("sides", [(97, 61), (1001, 703), (8, 8), (1, 500)])
def test_plain_jpegs_have_the_pixels_that_pillow_gives(
    subsampling: int | None, progressive: bool, sides: tuple[int, int]
) -> None:
    rng = np.random.default_rng(sides[0])
    mode = "RGB" if subsampling is not None else "L"
    small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).convert(mode)
    out = io.BytesIO()
    how = {} if subsampling is None else {"subsampling": subsampling}
    small.resize(sides, Image.Resampling.BICUBIC).save(out, "JPEG", quality=80, progressive=progressive, **how)
    data = out.getvalue()
    for min_side in (None, 30, 100):
        found = decode.decode_picture(data, min_side=min_side)
        assert isinstance(found.content, np.ndarray), "not decoded by libjpeg-turbo itself"
        expected = Image.open(io.BytesIO(data))
        if min_side:
            scale = max(s for s in (1, 2, 4, 8) if s == 1 or max(sides) >= s * 2 * min_side)
            expected.draft(mode, (max(1, sides[0] // scale), max(1, sides[1] // scale)))
        np.testing.assert_array_equal(found.content, np.asarray(expected))


def test_what_libjpeg_turbo_warns_of_is_left_to_pillow() -> None:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)).save(out, "JPEG")
    with pytest.raises(UnreadableImageError, match="damaged or cut short"):
        decode.decode_picture(out.getvalue()[:-3000])
    cmyk = io.BytesIO()
    Image.new("CMYK", (40, 30), (10, 200, 30, 40)).save(cmyk, "JPEG")
    assert isinstance(decode.decode_picture(cmyk.getvalue()).content, Image.Image)
