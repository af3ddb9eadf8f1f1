"""Batches hold what was asked for, from a buffer that is used again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tunable
from medloupe.embed.field_cuts import FieldCuts
from medloupe.training.tune.activations import Activations
from medloupe.training.tune.loader import HARD, LEAST_SCALE, ActivationSource, PixelSource, open_source
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.views import Symmetry, random_view

torch = pytest.importorskip("torch")
STILL = Symmetry(mirror=False, turn=False)
RNG = np.random.default_rng(0)
MAPS = tuple(RNG.normal(v * 10, 1, (20, 4, 4, 3)).astype(np.float16) for v in range(3))  # each view another level
EMBEDDINGS = RNG.normal(0, 1, (20, 5)).astype(np.float32)
PIXELS = np.stack([tunable.picture(i, i % 2 == 1) for i in range(6)])


def test_plain_rows_are_the_first_view_in_the_order_asked_for() -> None:
    source = ActivationSource(Activations(maps=MAPS), EMBEDDINGS, 3)
    rows = np.array([7, 2, 2, 19])
    x = source.plain(rows)
    assert (x.dtype, tuple(x.shape)) == (torch.float32, (4, 3, 4, 4))
    np.testing.assert_array_equal(x.permute(0, 2, 3, 1).numpy(), MAPS[0][rows].astype(np.float32))
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_batches_draw_among_the_views_allowed() -> None:
    rows = np.arange(20)
    for views in (1, 2, 3):
        source = ActivationSource(Activations(maps=MAPS), EMBEDDINGS, views)
        drawn = set()
        for seed in range(10):
            x = source.batch(rows, np.random.default_rng(seed)).permute(0, 2, 3, 1).numpy()
            which = np.round(x.mean((1, 2, 3)) / 10).astype(int)
            drawn |= set(which.tolist())
            for row, v in zip(rows, which, strict=True):
                np.testing.assert_array_equal(x[row], MAPS[v][row].astype(np.float32))
        assert drawn == set(range(views))


@pytest.mark.parametrize("kind", ["cuts", "pixels"])
def test_the_same_draw_again_and_the_same_memory(kind: str) -> None:
    source = (
        ActivationSource(Activations(maps=MAPS), EMBEDDINGS, 3)
        if kind == "cuts"
        else PixelSource(PIXELS, EMBEDDINGS[:6], STILL)
    )
    rows = np.arange(6)
    one = source.batch(rows, np.random.default_rng(5))
    kept, place = one.clone(), one.data_ptr()
    fewer = source.plain(rows[:3])
    assert fewer.data_ptr() == place
    assert torch.equal(source.batch(rows, np.random.default_rng(5)), kept)
    assert not torch.equal(source.batch(rows, np.random.default_rng(6)), kept)


def test_pixels_are_viewed_anew() -> None:
    source = PixelSource(PIXELS, EMBEDDINGS[:6], STILL)
    rows = np.array([3, 0])
    plain = source.plain(rows)
    assert (plain.dtype, tuple(plain.shape)) == (torch.float32, (2, 32, 32, 3))
    np.testing.assert_array_equal(plain.numpy(), PIXELS[rows].astype(np.float32))
    rng = np.random.default_rng(1)
    expected = [random_view(PIXELS[row], STILL, rng) for row in rows]
    found = source.batch(rows, np.random.default_rng(1)).numpy()
    np.testing.assert_array_equal(found, np.stack(expected).astype(np.float32))


def test_the_standard_is_that_of_the_rows_and_never_of_others() -> None:
    rows = np.arange(0, 20, 2)
    spoilt = EMBEDDINGS.copy()
    spoilt[1::2] = 1e6  # rows that are judged must not be felt
    for source in (
        ActivationSource(Activations(maps=MAPS), spoilt, 1),
        PixelSource(np.zeros((20, 2, 2, 3)), spoilt, STILL),
    ):
        mean, scale = source.mean_and_scale(rows)
        np.testing.assert_allclose(mean, EMBEDDINGS[rows].mean(0), atol=1e-5)
        np.testing.assert_allclose(scale, EMBEDDINGS[rows].std(0), atol=1e-4)


def test_what_hardly_varies_is_not_blown_up() -> None:
    embeddings = EMBEDDINGS.copy()
    embeddings[:, 1] = 3.0
    embeddings[:, 2] *= 1e-5
    mean, scale = ActivationSource(Activations(maps=MAPS), embeddings, 1).mean_and_scale(np.arange(20))
    varied = np.median(embeddings.std(0)[[0, 2, 3, 4]])
    assert scale[1] >= 1e8  # says nothing: left out
    assert scale[2] == pytest.approx(LEAST_SCALE * varied, rel=0.01)
    np.testing.assert_allclose(scale[[0, 3, 4]], embeddings.std(0)[[0, 3, 4]], rtol=1e-4)
    _, none = ActivationSource(Activations(maps=MAPS), np.ones((20, 5), np.float32), 1).mean_and_scale(np.arange(20))
    assert (none >= 1e8).all()
    assert np.isfinite(mean).all()


def test_the_recipe_says_which(tmp_path: Path) -> None:
    files = [tmp_path / f"view-{v}.f16" for v in range(2)]
    for path, maps in zip(files, MAPS, strict=False):
        maps.tofile(path)
    source = open_source(files, (20, 4, 4, 3), EMBEDDINGS, STILL, Recipe(kind="tail", views=2))
    assert isinstance(source, ActivationSource)
    np.testing.assert_array_equal(source.plain(np.array([4])).permute(0, 2, 3, 1)[0].numpy(), MAPS[0][4])
    PIXELS.tofile(tmp_path / "pixels")
    source = open_source([tmp_path / "pixels"], PIXELS.shape, EMBEDDINGS[:6], STILL, Recipe(kind="full"))
    assert isinstance(source, PixelSource)
    np.testing.assert_array_equal(source.plain(np.array([4]))[0].numpy(), PIXELS[4])


def field_cuts(folder: Path) -> FieldCuts:
    """Two views of row 2, the second hard, and one of row 5; each of one number."""
    views = np.stack([np.full((4, 4, 3), 100.0 + v, np.float16) for v in range(3)])
    views.tofile(folder / "views.f16")
    return FieldCuts(
        path=folder / "views.f16",
        shape=views.shape,
        rows=np.array([5, 2, 2]),
        places=np.array([2, 0, 1]),
        hard=np.array([False, False, True]),
    )


def test_a_share_of_the_rows_is_shown_as_their_own_views(tmp_path: Path) -> None:
    source = ActivationSource(Activations(maps=MAPS), EMBEDDINGS, 1, field_cuts(tmp_path), 0.5)
    rows = np.repeat([2, 5, 7], 4000)
    x = source.batch(rows, np.random.default_rng(0)).permute(0, 2, 3, 1)[:, 0, 0, 0].numpy()
    for row, own in ((2, {100.0, 101.0}), (5, {102.0}), (7, set())):
        shown = x[rows == row]
        assert set(shown[shown >= 100].tolist()) == own
        assert np.mean(shown >= 100) == pytest.approx(0.5 if own else 0, abs=0.03)
    of_two = x[rows == 2]
    assert (of_two == 101).sum() / (of_two >= 100).sum() == pytest.approx(HARD / (1 + HARD), abs=0.03)
    plain = source.plain(rows[::4000]).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(plain, MAPS[0][[2, 5, 7]].astype(np.float32))


def test_without_a_share_batches_are_drawn_as_without_views(tmp_path: Path) -> None:
    rows = np.arange(20)
    with_views = ActivationSource(Activations(maps=MAPS), EMBEDDINGS, 3, field_cuts(tmp_path), 0.0)
    without = ActivationSource(Activations(maps=MAPS), EMBEDDINGS, 3)
    for seed in range(3):
        drawn = (s.batch(rows, np.random.default_rng(seed)).numpy().copy() for s in (with_views, without))
        np.testing.assert_array_equal(*drawn)
