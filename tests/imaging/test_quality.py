"""Measures of how a picture was taken: what each sees, and that they are the same wherever it is decoded."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import synthetic
from medloupe.imaging import corruptions
from medloupe.imaging.decode import decode_picture, load, load_judged
from medloupe.imaging.quality import BOUNDS, MEASURES, SENTENCES, SIDES, Limits, Measures, as_numbers, find_fault
from medloupe.imaging.sandbox.pool import DecoderPool

PICTURE = synthetic.radiograph(1, 320)


def measured(pixels: np.ndarray) -> Measures:
    return decode_picture(pixels).measure()


def saved(pixels: np.ndarray, kind: str, **how: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **how)
    return out.getvalue()


def disc(size: int = 256, reach: float = 0.45) -> np.ndarray:
    """An organ on a dark surround."""
    yy, xx = np.mgrid[:size, :size] / size - 0.5
    inside = np.hypot(yy, xx) < reach
    rng = np.random.default_rng(0)
    texture = np.asarray(Image.fromarray(rng.integers(90, 190, (32, 32), np.uint8)).resize((size, size)))
    return np.repeat((texture * inside).astype(np.uint8)[..., None], 3, axis=2)


def test_blur_grows_with_blurring_whatever_the_light() -> None:
    steps = [measured(corruptions.blur(PICTURE, share)).blur for share in (0.0, 0.004, 0.012, 0.03)]
    assert steps == sorted(steps) and steps[-1] - steps[0] > 0.3
    dim = measured(corruptions.change_exposure(PICTURE, 0.6)).blur
    assert dim == pytest.approx(steps[0], abs=0.03)


def test_light_is_seen() -> None:
    whole = measured(PICTURE)
    dark = measured(corruptions.change_exposure(PICTURE, 0.4))
    bright = measured(corruptions.change_exposure(PICTURE, 2.5))
    veiled = measured(corruptions.lower_contrast(PICTURE, 0.25))
    assert dark.highlights == pytest.approx(0.4 * whole.highlights, abs=3)
    assert bright.white > whole.white + 0.1
    assert veiled.spread == pytest.approx(0.25 * whole.spread, abs=3)
    assert veiled.shadows > whole.shadows


def test_glare_is_a_white_patch_in_the_middle() -> None:
    shining = corruptions.add_glare(PICTURE, 0.15, np.random.default_rng(0))
    assert measured(PICTURE).glare == 0
    assert 0.01 < measured(shining).glare < 0.4
    margin = PICTURE.copy()
    margin[:20] = 255
    assert measured(margin).glare == 0, "a white margin hides nothing"
    speckled = PICTURE.copy()
    speckled[::9, ::9] = 255
    assert measured(speckled).glare == 0, "nor do points"


def test_an_organ_that_runs_into_the_frame_is_seen() -> None:
    whole, cut = disc(), corruptions.crop_margins(disc(), 0.2)
    assert measured(whole).frame == 0
    assert measured(cut).frame > 0.9
    assert measured(corruptions.lower_contrast(whole, 0.3)).frame == 0, "a veil is no cut"


@pytest.mark.parametrize(("h", "w"), [(300, 300), (300, 120), (60, 60), (40, 40), (9, 1), (1, 1)])
def test_any_size_can_be_measured(h: int, w: int) -> None:
    found = measured(np.random.default_rng(0).integers(0, 256, (h, w, 3), np.uint8))
    assert (found.shorter, found.aspect) == (min(h, w), pytest.approx(max(h, w) / min(h, w)))
    known = [not np.isnan(value) for value in (found.blur, found.blur_half, found.blur_small)]
    assert known == [max(h, w) >= side for side in SIDES]


def test_the_same_however_it_is_decoded() -> None:
    """By path of a file or in another process, with a preview or without."""
    files = [saved(synthetic.radiograph(2, 900), "JPEG", quality=90), saved(PICTURE, "PNG"), saved(disc(64), "BMP")]
    with DecoderPool(workers=1) as decoders:
        for data in files:
            expected = as_numbers(decode_picture(data, min_side=224).measure())
            for decoded in (decoders.decode(data, 224), decoders.decode_and_preview(data, 224, 768)[0]):
                np.testing.assert_array_equal(as_numbers(decoded.measures), expected)
            pixels, found = load_judged(data, 224)
            np.testing.assert_array_equal(as_numbers(found), expected)
            np.testing.assert_array_equal(pixels, load(data, 224))


def test_large_pictures_measure_like_small_ones() -> None:
    large = np.asarray(Image.fromarray(disc(256)).resize((1600, 1600), Image.Resampling.BICUBIC))
    once, again = measured(np.asarray(Image.fromarray(large).resize((416, 416), Image.Resampling.BOX))), measured(large)
    assert again.blur == pytest.approx(once.blur, abs=0.03)
    assert again.highlights == pytest.approx(once.highlights, abs=2)


@pytest.mark.parametrize(
    ("pixels", "code"),
    [
        (np.zeros((100, 100, 3), np.uint8), "blank"),
        (np.full((100, 100, 3), 255, np.uint8), "blank"),
        (np.random.default_rng(0).integers(0, 256, (15, 200, 3), np.uint8), "too_small"),
        (np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8), ""),
        (PICTURE, ""),
        (corruptions.change_exposure(PICTURE, 0.2), ""),
    ],
)
def test_without_limits_only_blank_and_tiny_pictures_are_stopped(pixels: np.ndarray, code: str) -> None:
    fault = find_fault(measured(pixels), None)
    assert (fault.code if fault else "") == code
    if fault:
        assert fault.text == SENTENCES[code]


def test_each_limit_stops_what_lies_beyond_it_by_its_own_code() -> None:
    good = measured(PICTURE)
    for bound in BOUNDS:
        at = getattr(good, bound.measure)
        limits = Limits(values={bound.measure: at})
        assert find_fault(good, limits) is None, "at the limit it can be used"
        beyond = replace(good, **{bound.measure: at + (0.001 if bound.above else -0.001)})
        fault = find_fault(beyond, limits)
        assert fault is not None and fault.code == bound.code
        unknown = replace(good, **{bound.measure: np.nan})
        assert find_fault(unknown, limits) is None, "what cannot be measured stops nothing"
    assert {bound.code for bound in BOUNDS} | {"blank"} == set(SENTENCES)


def test_limits_are_read_from_cards_of_any_kind() -> None:
    found = Limits.from_json({"limits": {"blur": 0.6, "unheard_of": 1, "glare": "much"}})
    assert found == Limits(values={"blur": 0.6})
    for nothing in (None, {}, {"limits": {}}, {"limits": None}, {"limits": {"unheard_of": 1}}, "limits"):
        assert Limits.from_json(nothing) is None
    assert {bound.measure for bound in BOUNDS} < set(MEASURES)
