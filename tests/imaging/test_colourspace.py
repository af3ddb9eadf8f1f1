"""RGB and YCbCr of DICOM, where the photometric interpretation contradicts the stream or the values."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless

from dicoms import bundled, dicom
from medloupe.imaging import decode
from medloupe.imaging.colourspace import RGB, YBR, jpeg2000_colours, jpeg_colours
from pictures import photo

_LIGHT, _TINT = (np.asarray(photo(96, 80).convert("L")).astype(float), np.asarray(photo(160, 80))[:, :96, 0] / 255)
SCENE = np.clip(  # as skin: channels that go together, red above the others
    _LIGHT[..., None] * (0.95, 0.8, 0.75) + 30 * _TINT[..., None] * (1, -1, -1) + (40, -10, -20), 0, 255
).astype(np.uint8)
TAGS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "MONOCHROME2")


def jpeg(values: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "JPEG", quality=97, subsampling=0, **options)
    return file.getvalue()


def without_markers(stream: bytes) -> bytes:
    """A JPEG as some devices write it: no JFIF."""
    assert stream[2:4] == b"\xff\xe0"
    return stream[:2] + stream[4 + int.from_bytes(stream[4:6], "big") :]


def read(stream: bytes, syntax: str, tag: str, **tags: object) -> tuple[np.ndarray, list[str]]:
    data = dicom(SCENE, syntax=syntax, data=encapsulate([stream]), PhotometricInterpretation=tag, **tags)
    picture = decode.decode_picture(data)
    return np.asarray(picture.image.convert("RGB")).astype(int), [fact.code for fact in picture.facts]


def ycbcr(values: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(values).convert("YCbCr"))


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("adobe", [False, True])
def test_jpeg_of_ycbcr(adobe: bool, tag: str) -> None:
    stream = jpeg(SCENE)
    if adobe:
        stream = stream[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01" + without_markers(stream)[2:]
    assert jpeg_colours(stream) == YBR
    found, facts = read(stream, JPEGBaseline8Bit, tag)
    assert np.abs(found - SCENE).mean() < 3
    assert facts == ([] if tag.startswith("YBR_FULL") else ["colour"])


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("adobe", [False, True])
def test_jpeg_of_rgb(adobe: bool, tag: str) -> None:
    stream = jpeg(SCENE, keep_rgb=True)
    if adobe:
        stream = stream[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00" + stream[2:]
    assert jpeg_colours(stream) == RGB
    found, facts = read(stream, JPEGBaseline8Bit, tag)
    assert np.abs(found - SCENE).mean() < 3
    assert facts == (["colour"] if tag.startswith(("YBR_FULL", "MONO")) else [])


@pytest.mark.parametrize("tag", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("space", [RGB, YBR])
def test_jpeg_that_says_nothing_goes_by_its_values(space: str, tag: str) -> None:
    """Numbered components and no marker: libjpeg would take them for YCbCr, DICOM's tag for what it says."""
    stream = without_markers(jpeg(SCENE))
    if space == RGB:  # the same samples declared, as writers do that compress RGB as it is
        plain = Image.fromarray(SCENE).convert("RGB")
        stored = Image.merge("YCbCr", plain.split())
        file = io.BytesIO()
        stored.save(file, "JPEG", quality=97, subsampling=0)
        stream = without_markers(file.getvalue())
    assert jpeg_colours(stream) is None
    found, facts = read(stream, JPEGBaseline8Bit, tag)
    assert np.abs(found - SCENE).mean() < 3
    assert facts == ([] if tag == space else ["colour_values"])


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("form", ["j2k", "jp2"])
def test_jpeg_2000_with_its_transformation_is_rgb(form: str, lossless: bool, tag: str) -> None:
    stream = imagecodecs.jpeg2k_encode(
        SCENE, level=0 if lossless else 45, codecformat=form, reversible=lossless, mct=True
    )
    assert jpeg2000_colours(stream) == RGB
    found, facts = read(stream, JPEG2000Lossless if lossless else JPEG2000, tag)
    assert np.abs(found - SCENE).mean() < 2
    assert facts == (["colour"] if tag.startswith(("YBR_FULL", "MONO")) else [])


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("space", [RGB, YBR])
@pytest.mark.parametrize("kind", ["j2k", "jpeg-ls", "native"])
def test_streams_that_prove_nothing_go_by_their_values(kind: str, space: str, tag: str) -> None:
    stored = SCENE if space == RGB else ycbcr(SCENE)
    if kind == "j2k":
        stream = imagecodecs.jpeg2k_encode(stored, codecformat="j2k", reversible=True, mct=False)
        assert jpeg2000_colours(stream) is None
        found, facts = read(stream, JPEG2000Lossless, tag)
    elif kind == "jpeg-ls":
        found, facts = read(imagecodecs.jpegls_encode(stored), JPEGLSLossless, tag)
    else:
        if tag in ("YBR_FULL_422", "MONOCHROME2"):
            pytest.skip("native pixels of such a tag have another size")
        picture = decode.decode_picture(dicom(stored, PhotometricInterpretation=tag))
        found, facts = np.asarray(picture.image).astype(int), [fact.code for fact in picture.facts]
    assert np.abs(found - SCENE).mean() < 2
    said = YBR if tag.startswith("YBR_FULL") else RGB
    assert facts == (["colour"] if tag == "MONOCHROME2" else [] if said == space else ["colour_values"])


def test_grey_stream_of_a_file_that_says_colour_and_colour_of_one_that_says_grey() -> None:
    grey = SCENE[..., 0]
    stream = jpeg(grey)
    data = dicom(SCENE, syntax=JPEGBaseline8Bit, data=encapsulate([stream]), PhotometricInterpretation="YBR_FULL")
    assert np.abs(decode.decode(data)[..., 0].astype(int) - grey).mean() < 2
    data = dicom(grey, syntax=JPEGBaseline8Bit, data=encapsulate([jpeg(SCENE)]))
    picture = decode.decode_picture(data)
    assert np.abs(np.asarray(picture.image).astype(int) - SCENE).mean() < 3
    assert [fact.code for fact in picture.facts] == ["colour"]
    assert "in colour" in picture.facts[0].text


def test_grey_jpeg_of_8_bits_in_a_file_that_says_12() -> None:
    grey = SCENE[..., 0]
    data = dicom(
        grey.astype(np.uint16), syntax=JPEGBaseline8Bit, data=encapsulate([jpeg(grey)]), BitsStored=12, HighBit=11
    )
    picture = decode.decode_picture(data)
    assert np.abs(np.asarray(picture.image).astype(int) - grey).mean() < 2
    assert [fact.code for fact in picture.facts] == ["bits"]


@pytest.mark.parametrize("tag", ["RGB", "YBR_FULL"])
def test_grey_as_three_channels_is_left_as_declared(tag: str) -> None:
    """Grey RGB has no colours; grey YCbCr has both channels at 128."""
    grey = np.asarray(photo(96, 80).convert("L"))
    stored = (
        np.stack([grey] * 3, -1) if tag == "RGB" else np.stack([grey, np.full_like(grey, 128)] * 2, -1)[..., [0, 1, 3]]
    )
    picture = decode.decode_picture(dicom(stored, PhotometricInterpretation=tag))
    assert np.abs(np.asarray(picture.image).astype(int) - grey[..., None]).max() <= 1
    assert picture.facts == ()


@pytest.mark.parametrize(
    "name",
    ["SC_rgb_dcmtk_+eb+cy+n1.dcm", "SC_rgb_dcmtk_+eb+cr.dcm", "examples_rgb_color.dcm", "examples_ybr_color.dcm"],
)
def test_sound_files_are_told_nothing_of_colours(name: str) -> None:
    assert not {f.code for f in decode.decode_picture(bundled(name)).facts} & {"colour", "colour_values"}
