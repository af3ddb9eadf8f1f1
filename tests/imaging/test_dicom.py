"""DICOM pixels, from pydicom's bundled files and from written ones with known answers."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from dicoms import RAMP, bundled, deflated, deflated_bomb, dicom
from medloupe.errors import ImageError, ImageTooLargeError, NotAnImageError, UnreadableImageError
from medloupe.imaging import decode, limits
from pictures import cost_of, encode, gradient, jpeg_claiming, outcome


def jpeg2000(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG2000", no_jp2=True)
    return file.getvalue()


def grey(data: bytes) -> np.ndarray:
    decoded = decode.decode(data)
    assert decoded.dtype == np.uint8
    assert (decoded[..., 0] == decoded[..., 2]).all()
    return decoded[..., 0].astype(int)


@pytest.mark.parametrize(
    "tags",
    [{}, {"WindowCenter": 2000, "WindowWidth": 1000}, {"RescaleSlope": 2, "RescaleIntercept": -1024}],
)
def test_monochrome1_is_monochrome2_inverted(tags: dict[str, object]) -> None:
    two = grey(dicom(RAMP, **tags))
    one = grey(dicom(RAMP, PhotometricInterpretation="MONOCHROME1", **tags))
    np.testing.assert_array_equal(one, 255 - two)
    assert (two[0, 0], two[-1, -1]) == (0, 255)


def test_8_bit_is_kept() -> None:
    pixels = gradient(20, 10)[..., 0]
    np.testing.assert_array_equal(grey(dicom(pixels)), pixels)


def test_16_bit_without_window_goes_by_percentiles() -> None:
    np.testing.assert_array_equal(grey(dicom(RAMP)), decode.decode(RAMP)[..., 0])
    signed = (RAMP.astype(np.int16) - 2000).astype(np.int16)
    np.testing.assert_array_equal(grey(dicom(signed)), grey(dicom(RAMP)))


def test_padding_does_not_set_the_contrast() -> None:
    signed = (RAMP.astype(np.int16) // 4).astype(np.int16)
    padded = signed.copy()
    padded[:32] = -2000
    np.testing.assert_array_equal(grey(dicom(padded, PixelPaddingValue=-2000))[32:], grey(dicom(signed[32:].copy())))


@pytest.mark.parametrize(
    ("function", "at"),
    [
        ("LINEAR", {1499: 0, 1500: 0, 1999: 127, 2000: 128, 2499: 255, 2500: 255}),
        ("LINEAR_EXACT", {1500: 0, 1750: 64, 2000: 128, 2250: 191, 2500: 255}),
        ("SIGMOID", {0: 0, 1500: 30, 2000: 128, 2500: 225, 4095: 255}),
    ],
)
def test_window(function: str, at: dict[int, int]) -> None:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, by hand."""
    shown = grey(dicom(RAMP, WindowCenter=2000, WindowWidth=1000, VOILUTFunction=function)).ravel()
    for stored, expected in at.items():
        assert abs(shown[stored] - expected) <= 1, stored


def test_of_several_windows_the_first_and_after_rescaling() -> None:
    several = dicom(RAMP, WindowCenter=[40, 300], WindowWidth=[400, 1500], RescaleSlope=1, RescaleIntercept=-1024)
    one = dicom(RAMP, WindowCenter=1064, WindowWidth=400)
    np.testing.assert_array_equal(grey(several), grey(one))


@pytest.mark.parametrize("width", [0, -5])
def test_window_without_meaning_is_ignored(width: int) -> None:
    np.testing.assert_array_equal(grey(dicom(RAMP, WindowCenter=10, WindowWidth=width)), grey(dicom(RAMP)))


def test_window_of_width_one_is_a_threshold() -> None:
    shown = grey(dicom(RAMP, WindowCenter=1000, WindowWidth=1)).ravel()
    assert shown[999] == 0
    assert shown[1000] == 255


def test_voi_lut() -> None:
    lut = Dataset()
    lut.LUTDescriptor = [256, 0, 8]
    lut.LUTData = np.arange(255, -1, -1, dtype="<u2").tobytes()
    lut["LUTData"].VR = "OW"
    pixels = gradient(256, 4)[..., 0]
    np.testing.assert_array_equal(grey(dicom(pixels, VOILUTSequence=Sequence([lut]))), 255 - pixels.astype(int))


def test_enhanced_objects_keep_window_and_rescale_in_functional_groups() -> None:
    frame, shared, rescale, window = Dataset(), Dataset(), Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = 1, -1024
    window.WindowCenter, window.WindowWidth = 40, 400
    shared.PixelValueTransformationSequence = Sequence([rescale])
    frame.FrameVOILUTSequence = Sequence([window])
    enhanced = dicom(
        RAMP,
        SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=Sequence([frame]),
    )
    np.testing.assert_array_equal(grey(enhanced), grey(dicom(RAMP, WindowCenter=1064, WindowWidth=400)))


def test_of_frames_the_first() -> None:
    pixels = gradient(20, 10)[..., 0]
    cine = dicom(pixels, NumberOfFrames=3, PixelData=pixels.tobytes() + bytes(400))
    np.testing.assert_array_equal(grey(cine), pixels)
    two = decode.decode(bundled("SC_rgb_rle_2frame.dcm"))
    np.testing.assert_array_equal(two, decode.decode(bundled("SC_rgb_rle.dcm")))


def test_many_frames_are_no_reason_to_refuse() -> None:
    """A cine of 200 frames has more than MAX_PIXELS together; one is decoded."""
    pixels = np.zeros((600, 600), np.uint8)
    frames = 200
    assert pixels.size * frames > limits.MAX_PIXELS
    cine = dicom(pixels, NumberOfFrames=frames, PixelData=bytes(pixels.size * frames))
    assert decode.load(cine, 32).shape == (32, 32, 3)


def test_one_bit_is_black_and_white() -> None:
    assert set(np.unique(decode.decode(bundled("liver_1frame.dcm")))) == {0, 255}


def test_colour() -> None:
    pixels = gradient(20, 10)
    np.testing.assert_array_equal(decode.decode(dicom(pixels)), pixels)
    planar = dicom(pixels, PlanarConfiguration=1, PixelData=pixels.transpose(2, 0, 1).tobytes())
    np.testing.assert_array_equal(decode.decode(planar), pixels)


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_dcmtk_+eb+cy+n1.dcm",
        "SC_rgb_dcmtk_+eb+cy+np.dcm",
        "SC_rgb_dcmtk_+eb+cr.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_rle_16bit.dcm",
        "SC_rgb_rle_32bit.dcm",
        "SC_rgb_small_odd_big_endian.dcm",
        "examples_rgb_color.dcm",
    ],
)
def test_colour_agrees_with_pydicom(name: str) -> None:
    ds = pydicom.dcmread(bundled(name))
    expected = ds.pixel_array >> (ds.BitsStored - 8)
    assert np.abs(decode.decode(bundled(name)).astype(int) - expected).max() <= 1  # rounding of YBR


def test_palette_agrees_with_pydicom() -> None:
    from pydicom.pixels import apply_color_lut

    ds = pydicom.dcmread(bundled("examples_palette.dcm"))
    expected = apply_color_lut(ds.pixel_array, ds)
    np.testing.assert_array_equal(decode.decode(bundled("examples_palette.dcm")), expected >> 8)


def test_one_image_in_every_encoding_is_the_same() -> None:
    expected = decode.decode(bundled("MR_small.dcm"))
    assert expected.std() > 20
    others = ("implicit", "bigendian", "expb", "padded", "RLE", "jp2klossless", "jpeg_ls_lossless")
    for other in others:
        if other.startswith("j"):
            pytest.importorskip("pylibjpeg")
        np.testing.assert_array_equal(decode.decode(bundled(f"MR_small_{other}.dcm")), expected, other)


def test_dual_personality_tiff_is_read_as_dicom() -> None:
    """pydicom's CT_small has a TIFF header in its preamble."""
    data = bundled("CT_small.dcm").read_bytes()
    assert data[:4] == b"II*\x00"
    np.testing.assert_array_equal(decode.decode(data), decode.decode(bytes(128) + data[128:]))


def test_without_preamble_and_without_meta() -> None:
    data = dicom(RAMP)
    np.testing.assert_array_equal(grey(data[132:]), grey(data))
    start = data.index(b"\x08\x00\x16\x00")
    np.testing.assert_array_equal(grey(data[start:]), grey(data))


def test_extension_does_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "IM000001"
    file.write_bytes(dicom(RAMP))
    np.testing.assert_array_equal(decode.load(file, 32), decode.load(dicom(RAMP), 32))


@pytest.mark.parametrize("name", ["rtplan.dcm", "test-SR.dcm", "waveform_ecg.dcm", "dicomdirtests/DICOMDIR"])
def test_without_pixels(name: str) -> None:
    path = bundled(name)
    with pytest.raises(UnreadableImageError, match="without pixels") as caught:
        decode.load(path, 224)
    assert str(path) in str(caught.value)


def test_truncated() -> None:
    with pytest.raises(UnreadableImageError, match="damaged or cut short"):
        decode.load(bundled("MR_truncated.dcm"), 224)
    data = dicom(RAMP)
    for cut in [*range(4, 132, 16), *range(140, len(data) - 1, 97)]:
        assert isinstance(outcome(data[:cut]), ImageError), cut


def test_text_that_is_nearly_dicom() -> None:
    with pytest.raises(NotAnImageError):
        decode.load(b"\x08\x00\x05\x00", 224)
    assert isinstance(outcome(bytes(128) + b"DICM"), UnreadableImageError)


def test_unsupported_transfer_syntax_says_what_to_install() -> None:
    video = dicom(gradient(16, 16), syntax=MPEG2MPML, data=encapsulate([b"\x00\x00\x01\xb3"]))
    with pytest.raises(UnreadableImageError, match="MPEG2") as caught:
        decode.load(video, 224)
    assert "pip install 'medloupe[dicom]'" in caught.value.hint


def test_decoder_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders.base import Decoder

    monkeypatch.setattr(Decoder, "is_available", property(lambda self: False))
    with pytest.raises(UnreadableImageError, match="JPEG 2000") as caught:
        decode.load(bundled("MR_small_jp2klossless.dcm"), 224)
    assert "pip install 'medloupe[dicom]'" in caught.value.hint


def test_odd_identifiers_do_no_harm() -> None:
    data = dicom(RAMP).replace(b"1.2.3\x00", b"../../")
    assert b"../../" in data
    np.testing.assert_array_equal(grey(data), grey(dicom(RAMP)))


# Hostile


@pytest.mark.parametrize(("rows", "columns"), [(65_500, 65_500), (13_000, 13_000)])
def test_rows_and_columns_claiming_too_much(rows: int, columns: int) -> None:
    with pytest.raises(ImageTooLargeError, match=f"{columns} × {rows}"):
        decode.load(dicom(RAMP, Rows=rows, Columns=columns), 224)


def test_endless_frames_of_nothing() -> None:
    assert isinstance(outcome(dicom(RAMP, NumberOfFrames=2**31 - 1)), UnreadableImageError)


def test_codestream_claiming_more_than_the_header() -> None:
    """Decoders allocate by the codestream, whatever Rows and Columns say."""
    frame = jpeg_claiming(16, 16).replace(struct.pack(">HH", 16, 16), struct.pack(">HH", 9_000, 9_000))
    jpeg = dicom(gradient(16, 16), syntax=JPEGBaseline8Bit, data=encapsulate([frame]))
    j2k = bytearray(bundled("MR_small_jp2klossless.dcm").read_bytes())
    at = j2k.index(b"\xff\x4f\xff\x51") + 8
    j2k[at : at + 8] = struct.pack(">II", 60_000, 60_000)
    for data in (jpeg, bytes(j2k)):
        with pytest.raises(ImageError):
            decode.load(data, 224)
    with pytest.raises(UnreadableImageError, match="60000 × 60000"):
        decode.load(bytes(j2k), 224)
    assert str(JPEG2000Lossless) in j2k.decode("latin-1")


def test_run_lengths_beyond_need() -> None:
    data = dicom(RAMP, syntax=RLELossless, data=encapsulate([bytes(100_000)]))
    with pytest.raises(UnreadableImageError, match="run-length"):
        decode.load(data, 224)


@pytest.mark.parametrize("low", [b"\xf0\x05", b"\xe0\x05", b"\x10" + bytes(17)])
def test_run_lengths_that_a_decoder_panics_about(low: bytes) -> None:
    """The second segment ends beyond the last pixel: pylibjpeg-rle panics, with what is no Exception."""
    frame = struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\xf1\x05" + low
    data = dicom(np.zeros((4, 4), np.uint16), syntax=RLELossless, data=encapsulate([frame]))
    assert isinstance(outcome(data), UnreadableImageError)


def test_deflated() -> None:
    np.testing.assert_array_equal(grey(dicom(RAMP, syntax=DeflatedExplicitVRLittleEndian)), grey(dicom(RAMP)))
    assert decode.decode(bundled("image_dfl.dcm")).std() > 20
    assert isinstance(outcome(deflated(b"no deflate stream")), UnreadableImageError)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_cost_of_hostile_files(tmp_path: Path) -> None:
    """At most 150 MiB and 2 s, refused or read."""
    small = tmp_path / "small.dcm"
    small.write_bytes(dicom(RAMP, WindowCenter=2000, WindowWidth=1000))
    big = np.zeros((5_300, 5_400), np.uint16)
    big[::2] = 3000
    colour = np.zeros((3_200, 3_200, 3), np.uint8)
    cases = {
        "deflated bomb": (deflated_bomb(), "ImageTooLargeError"),
        "deflated 24 MP": (dicom(big[:4_600], syntax=DeflatedExplicitVRLittleEndian), "array"),
        "28 MP grey": (dicom(big), "array"),
        "10 MP colour": (dicom(colour), "array"),
        "12 MP JPEG 2000": (
            dicom(big[:3_400, :3_600], syntax=JPEG2000Lossless, data=encapsulate([jpeg2000(big[:3_400, :3_600])])),
            "array",
        ),
        "10 MP YBR": (dicom(colour, PhotometricInterpretation="YBR_FULL"), "array"),
        "10 MP JPEG": (dicom(colour, syntax=JPEGBaseline8Bit, data=encapsulate([encode(colour, "JPEG")])), "array"),
        "65500": (dicom(RAMP, Rows=65_500, Columns=65_500), "ImageTooLargeError"),
    }
    for name, (data, expected) in cases.items():
        file = tmp_path / "case.dcm"
        file.write_bytes(data)
        result, mib, seconds = cost_of(file, small)
        mib -= len(data) / 2**20 if expected == "array" else 0  # the file itself was sent, and is held anyway
        print(name, len(data), result, round(mib), round(seconds, 2))
        assert result == expected, name
        assert mib <= 150, name
        assert seconds <= 2, name


@pytest.mark.filterwarnings("ignore")  # pydicom warns of odd values; as errors they would hide what follows
@pytest.mark.parametrize(
    "name", ["MR_small.dcm", "SC_rgb_rle.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_jpeg_dcmtk.dcm"]
)
def test_mutated_files(name: str) -> None:
    data = bundled(name).read_bytes()
    rng = np.random.default_rng(17)
    for _ in range(300 if name == "MR_small.dcm" else 100):
        mutated = bytearray(data)
        reach = len(data) if rng.random() < 0.3 else 2_000  # mostly in the elements
        for at in rng.integers(128, reach, rng.integers(1, 8)):
            mutated[at] = rng.integers(0, 256)
        result = outcome(bytes(mutated))
        assert isinstance(result, ImageError) or result.shape == (32, 32, 3)


@pytest.mark.filterwarnings("ignore")
def test_broken_length_fields() -> None:
    data = dicom(RAMP, WindowCenter=2000, WindowWidth=1000)
    for at in range(132, len(data) - RAMP.nbytes):
        for length in (b"\xff\xff\xff\xff", b"\xff\x7f"):
            result = outcome(data[:at] + length + data[at + len(length) :])
            assert isinstance(result, ImageError) or result.shape == (32, 32, 3)


def test_deep_sequences_are_an_error_or_an_image() -> None:
    nested = b"\x09\x00\x10\x10SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 3_000
    data = dicom(RAMP)
    at = data.index(b"\x28\x00\x02\x00")
    code = (
        "import sys; from pathlib import Path; from medloupe import errors; from medloupe.imaging import decode\n"
        "try: decode.load(Path(sys.argv[1]), 32)\nexcept errors.ImageError: pass\n"
    )
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile() as file:  # in a process of its own: a crash would take the tests with it
        file.write(data[:at] + nested + data[at:])
        file.flush()
        assert subprocess.run([sys.executable, "-c", code, file.name], timeout=60).returncode == 0


def test_encode_helper_writes_what_pydicom_reads() -> None:
    """The tests' own writer is sound."""
    np.testing.assert_array_equal(pydicom.dcmread(io.BytesIO(dicom(RAMP))).pixel_array, RAMP)
    assert encode(gradient(8, 8), "PNG")
