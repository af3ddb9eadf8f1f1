"""The last step of every way of decoding: levels are kept, or the picture is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dicoms import RAMP, dicom
from medloupe.errors import UnreadableImageError
from medloupe.imaging import decode
from medloupe.imaging.check import check_levels, is_flat, measure_spread
from medloupe.imaging.facts import Fact, pack_facts, unpack_facts
from pictures import encode, gradient


def shown(**tags: object) -> tuple[np.ndarray, list[str]]:
    picture = decode.decode_picture(dicom(RAMP, **{"BitsStored": 12, "HighBit": 11, **tags}))
    return np.asarray(picture.image), [fact.code for fact in picture.facts]


SPREAD = decode.decode(RAMP)[..., 0]


@pytest.mark.parametrize(
    "window", [(-600, 1), (-600, 200), (9000, 100), (32768, 65536), (2048, 10**9), ([-600, -500], [1, 1])]
)
def test_a_window_by_which_nothing_is_seen_is_not_used(window: tuple) -> None:
    levels, facts = shown(WindowCenter=window[0], WindowWidth=window[1])
    np.testing.assert_array_equal(levels, SPREAD)
    assert facts == ["window"]
    inverted, _ = shown(WindowCenter=window[0], WindowWidth=window[1], PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(inverted, 255 - SPREAD)


def test_of_several_windows_the_first_by_which_something_is_seen() -> None:
    both, facts = shown(WindowCenter=[-600, 2000], WindowWidth=[1, 1000])
    np.testing.assert_array_equal(both, shown(WindowCenter=2000, WindowWidth=1000)[0])
    assert facts == ["window"]


def test_a_window_on_few_pixels_that_stand_out_is_used() -> None:
    """A threshold, and a picture that is nearly all one value: there is nothing better to show."""
    assert shown(WindowCenter=4000, WindowWidth=1)[1] == []
    sparse = np.zeros((64, 64), np.uint16)
    sparse[30:32, 30:34] = 4000
    picture = decode.decode_picture(dicom(sparse, WindowCenter=2000, WindowWidth=4000))
    assert (np.asarray(picture.image).max(), picture.facts) == (255, ())


def test_a_slope_of_nothing_is_one() -> None:
    levels, facts = shown(RescaleSlope=0, RescaleIntercept=0, WindowCenter=2000, WindowWidth=1000)
    np.testing.assert_array_equal(levels, shown(WindowCenter=2000, WindowWidth=1000)[0])
    assert facts == ["slope"]


@pytest.mark.parametrize(
    ("photometric", "shape", "facts"),
    [
        ("MONOCHROME1", "INVERSE", []),
        ("MONOCHROME2", "IDENTITY", []),
        ("MONOCHROME1", "IDENTITY", ["polarity"]),
        ("MONOCHROME2", "INVERSE", ["polarity"]),
    ],
)
def test_polarity_that_is_contradicted_is_told(photometric: str, shape: str, facts: list[str]) -> None:
    levels, codes = shown(PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    np.testing.assert_array_equal(levels, 255 - SPREAD if photometric == "MONOCHROME1" else SPREAD)
    assert codes == facts


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_what_is_wholly_transparent_is_shown(kind: str, mode: str) -> None:
    picture = Image.fromarray(gradient(40, 30)).convert(mode)
    picture.putalpha(0)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    decoded = decode.decode_picture(encode(picture, kind, **options))
    expected = picture.convert(mode[:-1]).convert("RGB")
    np.testing.assert_array_equal(np.asarray(decoded.image.convert("RGB")), np.asarray(expected))
    assert [fact.code for fact in decoded.facts] == ["transparent"]


def test_a_picture_whose_levels_were_lost_is_refused() -> None:
    black = Image.new("L", (9, 9))
    with pytest.raises(UnreadableImageError, match="comes out blank, although its values go from 0 to 4095") as caught:
        check_levels(black, (0.0, 4095.0), ())
    assert "Export it again" in caught.value.hint
    assert check_levels(black, None, ()) == (Fact("blank"),)
    assert check_levels(Image.fromarray(gradient(9, 9)), (0.0, 1.0), ()) == ()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
def test_what_is_blank_in_its_file_is_told(kind: str) -> None:
    picture = decode.decode_picture(encode(Image.new("RGB", (300, 200), (9, 80, 7)), kind))
    assert [fact.code for fact in picture.facts] == ["blank"]
    assert decode.decode_picture(encode(gradient(40, 30), kind)).facts == ()


def test_spread_is_that_of_the_widest_channel() -> None:
    image = Image.new("RGB", (400, 500), (10, 20, 30))
    assert measure_spread(image, 3) == 0
    image.putpixel((399, 499), (10, 22, 30))
    assert measure_spread(image, 3) == 2
    assert is_flat(np.arange(15)) and not is_flat(np.arange(100))


def test_facts_pass_between_processes_and_nothing_else_does() -> None:
    facts = (Fact("bits", {"declared": 12, "found": 16}), Fact("slope", {"declared": "0"}), Fact("blank"))
    assert unpack_facts(pack_facts(facts)) == facts
    assert facts[0].as_json() == {
        "code": "bits",
        "text": "The file says 12 bits a value, but they take 16; that counts.",
        "values": {"declared": 12, "found": 16},
    }
    for hostile in (b"\xff", b"{}", b"7", b'[["bits"]]', b'[["bits", {}]]', b'[["nothing", {}]]', b"[" * 5000):
        assert unpack_facts(hostile) == ()
