"""Every change of a picture: what it gives, that it does what it says, and that odd pictures survive it."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

import synthetic
from medloupe.errors import UnreadableImageError
from medloupe.imaging import corruptions, decode
from medloupe.imaging.corruptions import CORRUPTIONS, Corruption
from places import ROOT

every = pytest.mark.parametrize("change", CORRUPTIONS, ids=lambda c: c.name)
BY_NAME = {c.name: c for c in CORRUPTIONS}


def picture(h: int = 120, w: int = 160, seed: int = 0) -> np.ndarray:
    """Colour patches under fine grain; uint8 (h, w, 3)."""
    soft = Image.fromarray(synthetic.scene(seed, 160)).resize((w, h))
    grain = np.random.default_rng(seed).normal(0, 12, (h, w, 1))
    return np.clip(np.asarray(soft, float) * 0.6 + 45 + grain, 0, 255).astype(np.uint8)


def fine(image: np.ndarray) -> float:
    """How much neighbouring pixels differ."""
    grey = image.astype(float).mean(2)
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())


def error(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference."""
    return float(np.abs(a.astype(float) - b).mean())


@every
def test_pixels_in_pixels_out_the_same_each_time(change: Corruption) -> None:
    before = picture()
    kept = before.copy()
    made = change(before, seed=3)
    assert made.dtype == np.uint8 and made.ndim == 3 and made.shape[2] == 3
    assert made.flags.c_contiguous
    assert np.array_equal(before, kept)  # what came in is left alone
    assert np.array_equal(made, change(before, seed=3))
    assert not np.array_equal(made, before)
    assert decode.fit(made, 224).shape == (224, 224, 3)


@every
@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (900, 2), (3, 3)])
def test_odd_shapes(change: Corruption, shape: tuple[int, int]) -> None:
    made = change(picture(*shape))
    assert made.dtype == np.uint8 and made.ndim == 3 and made.shape[2] == 3 and made.size
    assert decode.fit(made, 32).shape == (32, 32, 3)


@every
def test_pictures_of_sixteen_bits(change: Corruption) -> None:
    file = io.BytesIO()
    Image.fromarray(np.linspace(0, 60_000, 80 * 90).reshape(80, 90).astype(np.uint16)).save(file, "PNG")
    decoded = decode.decode(file.getvalue())
    assert decoded.max() > 250
    made = change(decoded)
    assert made.std() > 10  # the slope is still there


@every
def test_names_and_words(change: Corruption) -> None:
    assert change.words.endswith(".") and change.title and change.name == change.name.lower()
    assert [c.name for c in CORRUPTIONS].count(change.name) == 1
    documented = ROOT / "docs" / "stress.md"
    assert f"`{change.name}`" in documented.read_text("utf-8")


@pytest.mark.parametrize("name", ["noise-mild", "screen", "lightbox"])
def test_chance_comes_from_seed_and_picture(name: str) -> None:
    change, grounds = BY_NAME[name], [np.full((64, 64, 3), v, np.uint8) for v in (100, 101)]
    made = [change(grounds[0], seed) for seed in range(8)]
    assert any(not np.array_equal(made[0], m) for m in made)
    if name == "noise-mild":  # two pictures of one data set do not get the same noise
        residue = [change(g).astype(float) - g for g in grounds]
        assert abs(np.corrcoef(residue[0].ravel(), residue[1].ravel())[0, 1]) < 0.1


def test_only_plain_pixels_are_taken() -> None:
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), float), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(UnreadableImageError, match=r"uint8 \(h, w, 3\)"):
            CORRUPTIONS[0](wrong)


def test_jpeg_loses_more_the_lower_its_quality() -> None:
    before = picture()
    lost = [error(BY_NAME[f"jpeg-{q}"](before), before) for q in (60, 30, 10)]
    assert 0 < lost[0] < lost[1] < lost[2]
    assert fine(BY_NAME["jpeg-10"](before)) < 0.8 * fine(before)


def test_blur_takes_detail_and_grows_with_the_picture() -> None:
    before = picture()
    mild, strong = (fine(BY_NAME[f"blur-{s}"](before)) for s in ("mild", "strong"))
    assert strong < 0.5 * fine(before) and strong < mild < fine(before)
    assert np.array_equal(BY_NAME["blur-strong"](np.full_like(before, 77)), np.full_like(before, 77))
    dot = np.zeros((400, 400, 3), np.uint8)
    dot[200, 200] = 255
    small = np.zeros((100, 100, 3), np.uint8)
    small[50, 50] = 255
    assert (BY_NAME["blur-strong"](dot) > 0).sum() > 4 * (BY_NAME["blur-strong"](small) > 0).sum()


def test_light() -> None:
    before = picture()
    assert BY_NAME["darker"](before).mean() == pytest.approx(0.55 * before.mean(), abs=1)
    brighter = BY_NAME["brighter"](before)
    assert brighter.mean() > 1.2 * before.mean() and (brighter == 255).mean() > (before == 255).mean()
    flat = BY_NAME["contrast"](before)
    assert flat.std() == pytest.approx(before.std() / 2, rel=0.05) and abs(flat.mean() - before.mean()) < 1
    bent = BY_NAME["gamma"](np.array([[[0, 128, 255]]], np.uint8))[0, 0]
    assert bent[0] == 0 and bent[2] == 255 and bent[1] < 100


def test_turned_by_as_many_degrees_as_it_says() -> None:
    line = np.zeros((201, 201, 3), np.uint8)
    line[100, 20:181] = 255
    seen = set()
    for seed in range(12):
        made = BY_NAME["turned-10"](line, seed)
        assert made.shape == line.shape
        y, x = np.nonzero(made[..., 0] > 100)
        middle = (x > 40) & (x < 160) & (abs(y - 100) < 25)
        slope = np.degrees(np.arctan(np.polyfit(x[middle], y[middle], 1)[0]))
        assert abs(slope) == pytest.approx(10, abs=0.7)
        seen.add(np.sign(slope))
    assert seen == {-1.0, 1.0}  # to either side
    white = np.full((60, 90, 3), 255, np.uint8)
    assert BY_NAME["turned-10"](white).min() == 255  # no black corners


def test_resolution() -> None:
    before = picture(121, 160)
    assert BY_NAME["half"](before).shape == (60, 80, 3)
    assert BY_NAME["quarter"](before).shape == (30, 40, 3)
    checks = np.zeros((128, 128, 3), np.uint8)
    checks[::2, 1::2] = checks[1::2, ::2] = 255
    assert decode.fit(BY_NAME["half"](checks), 128).std() < 0.1 * checks.std()  # averaged, not picked


def test_noise_is_as_strong_as_it_says_and_grey_on_grey() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    for name, wanted in (("noise-mild", 8), ("noise-strong", 24)):
        made = BY_NAME[name](grey)
        assert made.std() == pytest.approx(wanted, rel=0.1) and abs(made.mean() - 128) < 1
        assert corruptions.is_grey(made)
    colour = grey.copy()
    colour[..., 0] = 160
    assert not corruptions.is_grey(BY_NAME["noise-mild"](colour))
    dark = np.full((200, 200, 3), 40, np.uint8)
    assert BY_NAME["noise-mild"](dark).std() < BY_NAME["noise-mild"](grey).std()  # counted light


def test_photographs_have_surroundings_askew_edges_and_beats() -> None:
    white = np.full((300, 300, 3), 210, np.uint8)
    shot = BY_NAME["screen"](white).astype(float)
    assert shot.shape == (512, 512, 3)
    assert shot[:8].mean() < 120 < shot[200:300, 200:300].mean()  # a desk around the light
    inside = shot[150:360, 150:360].mean(2)
    spectrum = np.abs(np.fft.fft2(inside - inside.mean()))
    spectrum[:4, :4] = spectrum[:4, -3:] = spectrum[-3:, :4] = spectrum[-3:, -3:] = 0  # of the glare
    assert spectrum.max() > 20 * np.median(spectrum)  # a grating stands out
    assert shot[..., 2].mean() > shot[..., 0].mean()  # bluish

    dark = np.full((300, 300, 3), 20, np.uint8)
    film = BY_NAME["lightbox"](dark).astype(float)
    assert film[:6].mean() > 120 > film[200:300, 200:300].mean()  # light around a dense film
    tops = [int(np.argmax(film[:, x].mean(1) < 110)) for x in (100, 400)]
    assert all(5 < t < 120 for t in tops)
    others = [BY_NAME["lightbox"](dark, seed).astype(float) for seed in range(6)]
    tilted = [abs(int(np.argmax(f[:, 100].mean(1) < 110)) - int(np.argmax(f[:, 400].mean(1) < 110))) for f in others]
    assert max(tilted) > 3


def test_colour_goes_and_margins_go() -> None:
    before = picture(100, 200)
    assert corruptions.is_grey(BY_NAME["greyscale"](before)) and not corruptions.is_grey(before)
    grey = np.repeat(before[..., :1], 3, 2)
    assert np.array_equal(BY_NAME["greyscale"](grey), grey)
    assert np.array_equal(BY_NAME["crop-5"](before), before[5:-5, 10:-10])
    assert np.array_equal(BY_NAME["crop-10"](before), before[10:-10, 20:-20])


@pytest.mark.parametrize(
    ("shape", "wanted"), [((10, 20), (10, 20)), ((3000, 1000), (1536, 512)), ((1, 60_000), (1, 1536))]
)
def test_large_pictures_are_brought_to_a_workable_size(shape: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert corruptions.limit_size(np.zeros((*shape, 3), np.uint8)).shape == (*wanted, 3)


def test_changes_can_be_made_by_anyone() -> None:
    act: Callable[[np.ndarray, np.random.Generator], np.ndarray] = lambda im, rng: im[::-1]  # noqa: E731
    upside = Corruption(name="upside", kind="upside down", strength="", words="Upside down.", act=act)
    before = picture()
    assert np.array_equal(upside(before), before[::-1]) and upside.title == "upside down"
