"""Which of several frames or pages is looked at, and that it is told."""

from __future__ import annotations

import contextlib
import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLSLossless, RLELossless

from dicoms import RAMP, dicom
from medloupe.errors import UnreadableImageError
from medloupe.imaging import decode
from medloupe.imaging.pages import MOST_TRIED, choose_frames
from pictures import encode, gradient

BLACK = np.zeros_like(RAMP)


def cine(*frames: np.ndarray, **tags: object) -> bytes:
    return dicom(frames[0], NumberOfFrames=len(frames), PixelData=b"".join(f.tobytes() for f in frames), **tags)


def told(data: bytes) -> tuple[np.ndarray, list[tuple[str, object]]]:
    picture = decode.decode_picture(data)
    return np.asarray(picture.image), [(fact.code, fact.values.get("frame")) for fact in picture.facts]


def test_frames_that_are_tried() -> None:
    assert choose_frames(1, 100).order == (0,)
    assert choose_frames(100, 100).order == (0, 50, 25, 75, 1, 99, 12, 62)
    assert choose_frames(3, 100).order == (0, 1, 2)
    assert len(choose_frames(10**6, 60_000_000).order) == 1, "a large one is not decoded again and again"
    assert len(choose_frames(10**6, 100).order) == MOST_TRIED


@pytest.mark.parametrize(
    ("frames", "taken"),
    [
        ((RAMP,), []),
        ((RAMP, BLACK, BLACK), [("frame", 1)]),
        ((BLACK, RAMP, RAMP, RAMP), [("frame_skipped", 3)]),
        ((BLACK, RAMP), [("frame_skipped", 2)]),
        ((BLACK, BLACK, BLACK, RAMP), [("frame_skipped", 4)]),
        ((BLACK + 900, RAMP), [("frame_skipped", 2)]),
    ],
)
def test_a_blank_first_frame_is_passed_over(frames: tuple[np.ndarray, ...], taken: list[tuple[str, int]]) -> None:
    shown, facts = told(cine(*frames))
    np.testing.assert_array_equal(shown, decode.decode(dicom(RAMP))[..., 0])
    assert facts == taken


def test_frames_that_are_all_blank_say_so() -> None:
    shown, facts = told(cine(BLACK, BLACK))
    assert shown.max() == 0
    assert facts == [("frame", 1), ("blank", None)]


def test_compressed_cines() -> None:
    import imagecodecs
    from pydicom.pixels.encoders import RLELosslessEncoder

    def rle(values: np.ndarray) -> bytes:
        return RLELosslessEncoder.encode(
            values,
            rows=64,
            columns=64,
            samples_per_pixel=1,
            photometric_interpretation="MONOCHROME2",
            bits_allocated=16,
            bits_stored=16,
            pixel_representation=0,
            number_of_frames=1,
        )

    for syntax, pack in ((JPEGLSLossless, imagecodecs.jpegls_encode), (RLELossless, rle)):
        data = dicom(RAMP, syntax=syntax, data=encapsulate([pack(BLACK), pack(RAMP)]), NumberOfFrames=2)
        shown, facts = told(data)
        np.testing.assert_array_equal(shown, decode.decode(dicom(RAMP))[..., 0])
        assert facts == [("frame_skipped", 2)]


def test_a_frame_goes_by_its_own_window() -> None:
    def window(centre: int) -> Dataset:
        frame, inner = Dataset(), Dataset()
        inner.WindowCenter, inner.WindowWidth = centre, 400
        frame.FrameVOILUTSequence = Sequence([inner])
        return frame

    shown, _ = told(cine(BLACK, RAMP, PerFrameFunctionalGroupsSequence=Sequence([window(99), window(1064)])))
    np.testing.assert_array_equal(shown, decode.decode(dicom(RAMP, WindowCenter=1064, WindowWidth=400))[..., 0])


def test_a_damaged_later_frame_is_no_reason_to_refuse() -> None:
    import imagecodecs

    frames = [imagecodecs.jpegls_encode(BLACK), b"\xff\xd8 no picture"]
    data = dicom(RAMP, syntax=JPEGLSLossless, data=encapsulate(frames), NumberOfFrames=2)
    assert told(data)[1] == [("frame", 1), ("blank", None)]


# TIFF and animations


def pages(*values: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for k, one in enumerate(values):
            writer.write(one, subfiletype=options.get("reduced") == k, metadata=None)
    return file.getvalue()


@pytest.mark.parametrize("thumbnail", [np.full((8, 8), 90, np.uint8), gradient(12, 8)[..., 0]])
def test_a_first_page_that_is_a_thumbnail_is_passed_over(thumbnail: np.ndarray) -> None:
    whole = gradient(90, 64)[..., 0]
    shown, facts = told(pages(thumbnail, whole))
    np.testing.assert_array_equal(shown, whole)
    assert facts == [("thumbnail", 2)]


def test_a_page_that_is_declared_smaller_is_passed_over() -> None:
    whole = gradient(90, 64)[..., 0]
    assert told(pages(whole[::2, ::2], whole, reduced=0))[1] == [("thumbnail", 2)]
    assert told(pages(whole, whole[::2, ::2], reduced=1))[1] == [("frame", 1)]


def test_pages_of_one_size() -> None:
    first, second = gradient(90, 64), gradient(90, 64)[::-1].copy()
    shown, facts = told(pages(first, second))
    np.testing.assert_array_equal(shown, first)
    assert facts == [("frame", 1)]
    shown, facts = told(pages(np.zeros_like(first), second))
    np.testing.assert_array_equal(shown, second)
    assert facts == [("frame_skipped", 2)]


def test_pages_of_16_bits() -> None:
    deep = np.stack([RAMP * 3, RAMP * 2, RAMP], -1)
    shown, _ = told(pages(np.zeros_like(deep), deep))
    np.testing.assert_array_equal(shown, decode.decode(pages(deep)))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animations_that_begin_blank(kind: str) -> None:
    frames = [Image.new("RGB", (40, 30)), Image.new("RGB", (40, 30)), Image.fromarray(gradient(40, 30))]
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = decode.decode_picture(encode(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert np.asarray(picture.image.convert("RGB")).std() > 40
    assert picture.facts[0].code in ("frame_skipped",)
    assert picture.facts[0].text.startswith("It holds several frames and the first is blank")


def test_a_chain_of_pages_without_end_is_bounded() -> None:
    """A directory that names itself, and one whose next lies beyond the file."""
    data = bytearray(pages(gradient(20, 20)[..., 0]))
    (at,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, at)
    for following in (at, 2**31):
        struct.pack_into("<I", data, at + 2 + 12 * entries, following)
        with contextlib.suppress(UnreadableImageError):
            assert np.asarray(decode.decode_picture(bytes(data)).image).shape == (20, 20)


def test_jpeg_ls_without_an_end_is_not_decoded() -> None:
    import imagecodecs

    whole = imagecodecs.jpegls_encode(RAMP)
    assert whole.endswith(b"\xff\xd9")
    data = dicom(RAMP, syntax=JPEGLSLossless, data=encapsulate([whole[:-2] + b"\x40\xd9"]))
    with pytest.raises(UnreadableImageError, match="without an end"):
        decode.decode_picture(data)
    np.testing.assert_array_equal(
        decode.decode_picture(dicom(RAMP, syntax=JPEGLSLossless, data=encapsulate([whole + b"\0\0"]))).fit(32),
        decode.decode_picture(dicom(RAMP, syntax=JPEGLSLossless, data=encapsulate([whole]))).fit(32),
    )
