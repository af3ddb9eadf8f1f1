"""Finding a picture in a photograph of it: corners are right, direct exports stay as they are, nothing is guessed."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import fixed_pictures
from medloupe.errors import CornersError
from medloupe.imaging.decode import decode_picture
from medloupe.imaging.photo import AUTO, Photo, PhotoMode, PhotoRequest, read_photo_request
from medloupe.imaging.photograph import find_photo
from medloupe.imaging.picture import whole_picture
from medloupe.imaging.sandbox.pool import DecoderPool
from snapshots import snap

ALWAYS = PhotoRequest(mode="always")


def rgb(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 3 else np.stack([pixels] * 3, 2)


def chest() -> np.ndarray:
    return rgb((fixed_pictures.chest(420, 360, opaque=True) // 16).astype(np.uint8))


DIRECT = {
    "chest": chest(),
    "brain": rgb(fixed_pictures.brain()),
    "fundus": fixed_pictures.fundus(),
    "lesion": fixed_pictures.lesion(),
    "ultrasound": rgb(fixed_pictures.ultrasound()),
    "shapes": fixed_pictures.shapes(),
    "gradient": fixed_pictures.gradient(),
}


def as_png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def worst_corner(photo: Photo | None, corners: np.ndarray, shape: tuple[int, ...]) -> float:
    if photo is None or photo.corners is None:
        return 1.0
    return float(np.linalg.norm(np.array(photo.corners) - corners, axis=1).max() / np.hypot(shape[0], shape[1]))


@pytest.mark.parametrize("name", DIRECT)
def test_direct_exports_pass_bit_for_bit(name):
    data = as_png(DIRECT[name])
    looked, plain = decode_picture(data, min_side=224, photo=AUTO), decode_picture(data, min_side=224)
    assert looked.photo is None
    assert np.array_equal(looked.fit(224), plain.fit(224))
    assert looked.facts == plain.facts


@pytest.mark.parametrize("surface", ["screen", "film", "print"])
def test_corners_are_found(surface):
    """Of mild photographs in which the picture parts from its surroundings, most are found, and those rightly."""
    errors = []
    for seed in range(10):
        taken, corners = snap(chest(), np.random.default_rng(seed), surface=surface, severity="mild")
        errors.append(worst_corner(find_photo(whole_picture(Image.fromarray(taken)), AUTO), corners, taken.shape))
    found = [e for e in errors if e < 1]
    assert len(found) >= 6, errors
    assert np.median(found) < 0.02, errors


def test_what_is_cut_out_is_the_picture():
    picture = fixed_pictures.lesion()
    taken, corners = snap(picture, np.random.default_rng(3), surface="print", severity="mild")
    given = PhotoRequest(corners=tuple((float(x), float(y)) for x, y in corners))  # type: ignore[arg-type]
    cut = decode_picture(as_png(taken), photo=given)
    own = np.asarray(Image.fromarray(picture).resize(cut.sides), float).mean(2)
    seen = np.asarray(cut.image, float).mean(2)
    assert np.corrcoef(own.ravel(), seen.ravel())[0, 1] > 0.97
    assert abs(np.log(cut.width / cut.height) - np.log(400 / 300)) < 0.08
    assert cut.photo is not None and cut.photo.given and cut.photo.confidence == 1
    assert [f.code for f in cut.facts] == ["photograph_given"]


def test_corners_are_pixels_of_the_picture_as_given_however_it_is_decoded():
    """A large JPEG is scaled while it is decoded, and a turned one is turned."""
    taken, corners = snap(chest(), np.random.default_rng(1), surface="film", severity="mild")
    large = Image.fromarray(taken).resize((taken.shape[1] * 4, taken.shape[0] * 4), Image.Resampling.BICUBIC)
    turned, exif = large.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6
    for image, kept in ((large, None), (turned, exif)):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=92, **({} if kept is None else {"exif": kept}))
        found = decode_picture(file.getvalue(), min_side=224, photo=AUTO)
        assert worst_corner(found.photo, corners * 4, large.size) < 0.02
        assert max(found.sides) >= 224
        assert found.given_size == large.size


def test_places_are_taken_back_to_the_photograph():
    taken, corners = snap(chest(), np.random.default_rng(5), surface="film", severity="medium")
    photo = Photo(
        corners=tuple((float(x), float(y)) for x, y in corners),  # type: ignore[arg-type]
        confidence=1.0,
        given=True,
        width=taken.shape[1],
        height=taken.shape[0],
    )
    back = photo.to_given(np.array([(0, 0), (300, 0), (300, 200), (0, 200)], float), 300, 200)
    assert np.allclose(back, corners)
    middle = photo.to_given(np.array([(150.0, 100.0)]), 300, 200)[0]
    assert (middle > corners.min(0)).all() and (middle < corners.max(0)).all()


def test_what_is_said_to_be_a_photograph_is_not_guessed():
    cut = decode_picture(as_png(fixed_pictures.gradient()), photo=ALWAYS)
    assert cut.photo is not None and not cut.photo.found and cut.photo.corners is None
    assert cut.sides == (300, 200)
    assert [f.code for f in cut.facts] == ["photograph_unfound"]


def test_never_is_never():
    taken, _ = snap(chest(), np.random.default_rng(1), surface="film", severity="mild")
    assert decode_picture(as_png(taken), photo=AUTO).photo is not None
    assert decode_picture(as_png(taken), photo=PhotoRequest(mode="never")).photo is None


@pytest.mark.parametrize(
    "corners",
    [
        "0,0,10,0,10,10",
        "a,0,10,0,10,10,0,10",
        "nan,0,100,0,100,100,0,100",
        "0,0,5000,0,5000,100,0,100",
        "0,0,100,0,0,100,100,100",
        "0,100,100,100,100,0,0,0",
        "5,5,9,5,9,9,5,9",
    ],
)
def test_corners_that_cannot_be_are_refused(corners):
    with pytest.raises(CornersError, match=r"corners"):
        decode_picture(as_png(fixed_pictures.lesion()), photo=read_photo_request("auto", corners))


def test_modes_that_are_none_are_refused():
    with pytest.raises(CornersError, match="sometimes"):
        read_photo_request("sometimes")


def test_the_decoding_process_tells_the_same():
    taken, _ = snap(chest(), np.random.default_rng(1), surface="film", severity="mild")
    data = as_png(taken)
    here = decode_picture(data, min_side=224, photo=AUTO)
    with DecoderPool(1) as pool:
        there, shown = pool.decode_and_preview(data, 224, 768, AUTO)
        assert there.photo == here.photo and there.photo is not None
        assert np.array_equal(there.pixels, here.fit(224))
        assert (there.width, there.height) == (here.width, here.height)
        assert abs(shown.width / shown.height - here.width / here.height) < 0.02
        assert max(shown.width, shown.height) > 300
        with pytest.raises(CornersError, match="outside"):
            pool.decode(data, 224, PhotoRequest(corners=((0, 0), (9999, 0), (9999, 99), (0, 99))))
        assert pool.decode(data, 224).photo is None


@pytest.mark.parametrize("mode", ["auto", "always"])
def test_what_has_no_edges_or_no_room_is_no_photograph(mode: PhotoMode) -> None:
    rng = np.random.default_rng(0)
    for w, h in ((1, 3000), (3000, 1), (3, 700), (640, 480), (700, 33)):
        for pixels in (np.full((h, w, 3), 127, np.uint8), rng.integers(0, 256, (h, w, 3), np.uint8)):
            picture = decode_picture(pixels, min_side=64, photo=PhotoRequest(mode=mode))
            assert picture.photo is None or not picture.photo.found
            assert (picture.width, picture.height) == (w, h)
