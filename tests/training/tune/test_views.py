"""Views stay pictures of their kind: what a collection shows both ways round may be turned, other pictures may not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medloupe.embed.registry import backbone
from medloupe.graphs.session import open_session, run
from medloupe.training.tune import views
from medloupe.training.tune.views import LIGHT, TURN, Symmetry, judge_symmetry, random_view, symmetry_variants

STILL = Symmetry(mirror=False, turn=False)
SIDE = 64


def organ(number: int, way: int) -> np.ndarray:
    """uint8 (64, 64, 3): a bright mass low on one side, a small one high on the other; way: 0 as it is, to 7."""
    rng = np.random.default_rng(number)
    yy, xx = np.mgrid[:SIDE, :SIDE]
    pixels = rng.normal(70, 15, (SIDE, SIDE))
    x, y = rng.uniform(42, 48), rng.uniform(40, 46)
    pixels += 120 * (np.hypot((xx - x) / 12, (yy - y) / rng.uniform(14, 18)) < 1)
    pixels += 80 * (np.hypot(xx - rng.uniform(14, 20), yy - rng.uniform(12, 18)) < 6)
    turned = np.rot90(pixels if way < 4 else pixels[:, ::-1], way % 4)
    return np.repeat(np.clip(turned, 0, 255).astype(np.uint8)[:, :, None], 3, 2)


def probe(ways: Any, n: int = 48) -> Symmetry:
    """Asks the shipped backbone, as training does."""
    base = backbone()
    network, size = open_session(base.path), base.card.input_size
    found = []
    for i in range(n):
        large = np.asarray(Image.fromarray(organ(i, ways(i))).resize((size, size)))
        found.append(run(network, ["embedding"], np.stack(symmetry_variants(large)))[0])
    return judge_symmetry(list(np.stack(found).transpose(1, 0, 2)), np.arange(n))


def test_pictures_that_all_lie_one_way_may_not_be_turned() -> None:
    found = probe(lambda i: 0)
    assert (found.mirror, found.turn) == (False, False)
    assert found.mirror_auc is not None and found.turn_auc is not None
    assert min(found.mirror_auc, found.turn_auc) > 0.9
    assert "not mirrored" in found.words


def test_pictures_that_lie_any_way_may_be() -> None:
    found = probe(lambda i: int(np.random.default_rng(i).integers(8)))
    assert (found.mirror, found.turn) == (True, True)
    assert "any angle" in found.words


def test_pictures_of_both_sides_may_be_mirrored_only() -> None:
    found = probe(lambda i: (0, 4)[i % 2])
    assert (found.mirror, found.turn) == (True, False)
    assert "mirrored" in found.words


def test_pictures_of_one_patient_stand_on_one_side_of_the_probe() -> None:
    """Told apart by what is peculiar to each patient, noise would look like a side."""
    rng = np.random.default_rng(0)
    own = np.repeat(rng.normal(0, 1, (8, 200)), 15, 0)  # of eight patients
    peculiar = np.repeat(rng.normal(0, 1, (8, 200)), 15, 0)  # how mirroring looks, for each another way
    noise = rng.normal(0, 0.05, (3, 120, 200))
    embeddings = [own + noise[0], own + peculiar + noise[1], own + noise[2]]
    found = judge_symmetry(embeddings, np.repeat(np.arange(8), 15))
    mixed = judge_symmetry(embeddings, np.arange(120))
    assert mixed.mirror_auc is not None and found.mirror_auc is not None
    assert mixed.mirror_auc > 0.95 > found.mirror_auc


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("turn", [True, False])
def test_views_are_pictures_and_the_seeds(mirror: bool, turn: bool) -> None:
    allowed = Symmetry(mirror=mirror, turn=turn)
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    for pixels in (noise, np.zeros_like(noise), np.full_like(noise, 255)):
        before = pixels.copy()
        made = [random_view(pixels, allowed, np.random.default_rng(s)) for s in range(40)]
        again = [random_view(pixels, allowed, np.random.default_rng(s)) for s in range(40)]
        np.testing.assert_array_equal(pixels, before)
        for one, two in zip(made, again, strict=True):
            assert (one.dtype, one.shape) == (np.uint8, pixels.shape)
            np.testing.assert_array_equal(one, two)
    assert len({v.tobytes() for v in made}) > 1


def test_what_is_bright_stays_bright() -> None:
    """Brightness and contrast stay within bounds: no wrapping around at 0 or 255."""
    white = np.full((SIDE, SIDE, 3), 250, np.uint8)
    middle = slice(SIDE // 4, -SIDE // 4)
    for seed in range(60):
        found = random_view(white, STILL, np.random.default_rng(seed))[middle, middle]
        assert found.min() >= 250 * (1 - LIGHT) ** 2 - 40  # contrast pulls towards the mean, which has black corners


def test_left_stays_left_where_it_must() -> None:
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[:, : SIDE // 2] = 200
    stayed = [random_view(pixels, STILL, np.random.default_rng(s)) for s in range(80)]
    assert all(v[:, : SIDE // 2].mean() > v[:, SIDE // 2 :].mean() + 50 for v in stayed)
    mirrored = [random_view(pixels, replace(STILL, mirror=True), np.random.default_rng(s)) for s in range(80)]
    away = sum(v[:, : SIDE // 2].mean() < v[:, SIDE // 2 :].mean() for v in mirrored)
    assert 20 <= away <= 60
    turned = [random_view(pixels, replace(STILL, turn=True), np.random.default_rng(s)) for s in range(80)]
    assert sum(v[: SIDE // 2].mean() > v[SIDE // 2 :].mean() + 50 for v in turned) > 5  # on its side


def test_the_changes_asked_about() -> None:
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    plain, mirrored, half = symmetry_variants(pixels)
    np.testing.assert_array_equal(plain, pixels)
    np.testing.assert_array_equal(mirrored[:, ::-1], pixels)
    np.testing.assert_array_equal(np.rot90(half, 2), pixels)
    assert all(c.flags["C_CONTIGUOUS"] for c in (plain, mirrored, half))


def test_the_words_name_what_is_done() -> None:
    assert f"up to {TURN:g} degrees" in STILL.words
    assert "any angle, mirrored" in Symmetry(mirror=False, turn=True).words
    assert views.Symmetry(**STILL.as_json()) == STILL
