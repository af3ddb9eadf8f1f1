"""Activations at the cut: made once, right, resumed where they were left, and within bounds on the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunable
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.errors import StoreError
from medloupe.graphs.session import open_session, run
from medloupe.imaging.decode import load
from medloupe.training.tune import activations
from medloupe.training.tune.activations import cache_activations, cache_pixels, count_missing
from medloupe.training.tune.views import Symmetry, random_view

STILL = Symmetry(mirror=False, turn=False)
N = 10


@pytest.fixture
def network(home: Path, tmp_path: Path) -> Backbone:
    return tunable.backbone(tmp_path / "backbone")


@pytest.fixture
def features(network: Backbone) -> Features:
    return tunable.features(network, N)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many pictures were decoded since the last question."""
    seen: list[Any] = []
    monkeypatch.setattr(activations, "load", lambda image, size: seen.append(image) or load(image, size))

    def count() -> int:
        n = len(seen)
        seen.clear()
        return n

    return count


def expected(features: Features, network: Backbone, v: int, allowed: Symmetry = STILL) -> np.ndarray:
    """float16 (N, H, W, C) by hand."""
    pixels = [load(r.image, tunable.SIZE) for r in features.data.records]
    if v:
        seeds = [np.random.default_rng([v, *d[:8]]) for d in features.digests]
        pixels = [random_view(p, allowed, rng) for p, rng in zip(pixels, seeds, strict=True)]
    (cut,) = run(open_session(network.path), ["cut"], np.stack(pixels))
    return cut.transpose(0, 2, 3, 1).astype(np.float16)


def folder(home: Path) -> Path:
    (found,) = [p for p in (home / "cache" / "cuts").iterdir() if p.suffix == ""]
    return found


def test_they_are_what_the_network_gives(features: Features, network: Backbone) -> None:
    allowed = Symmetry(mirror=True, turn=True)
    made = cache_activations(features, network, allowed, 3)
    assert len(made.maps) == len(made.files) == 3
    for v, maps in enumerate(made.maps):
        np.testing.assert_allclose(maps, expected(features, network, v, allowed), rtol=2e-3, atol=1e-3)
        np.testing.assert_array_equal(np.fromfile(made.files[v], np.float16), np.asarray(maps).ravel())
    assert np.abs(np.asarray(made.maps[0], float) - made.maps[1]).max() > 0.05


def test_the_second_call_makes_nothing(features: Features, network: Backbone, decoded: Callable[[], int]) -> None:
    said: list[tuple[int, int]] = []
    first = [np.array(m) for m in cache_activations(features, network, STILL, 2, lambda *at: said.append(at)).maps]
    assert decoded() >= N
    assert said[-1] == (2 * N, 2 * N)
    assert count_missing(features, network, STILL, 2) == 0
    assert count_missing(features, network, STILL, 3) == N
    said.clear()
    second = cache_activations(features, network, STILL, 2, lambda *at: said.append(at)).maps
    assert decoded() == 0
    assert not said
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
    cache_activations(features, network, STILL, 3, lambda *at: said.append(at))  # one view more costs one view
    assert said[-1] == (N, N)


def test_what_they_depend_on_makes_others(features: Features, network: Backbone, home: Path, tmp_path: Path) -> None:
    cache_activations(features, network, STILL, 1)
    cache_activations(features, network, Symmetry(mirror=True, turn=False), 1)
    other = tunable.backbone(tmp_path / "other", lambda nodes, weights: weights.update(stem_b=np.ones(4)))
    cache_activations(tunable.features(other, N), other, STILL, 1)
    cache_activations(tunable.features(network, N + 1), network, STILL, 1)
    assert len(list((home / "cache" / "cuts").iterdir())) == 4


def test_a_half_filled_cache_goes_on(
    features: Features, network: Backbone, home: Path, decoded: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off by an error, as a kill would: only rows that are whole are marked."""
    monkeypatch.setattr(activations, "_FLUSH", 1)
    monkeypatch.setenv("MEDLOUPE_THREADS", "1")
    count = 0

    def breaking(at: int, of: int) -> None:
        nonlocal count
        count = at
        if at >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_activations(features, network, STILL, 2, breaking)
    done = [np.fromfile(folder(home) / f"done-{v}.u1", np.uint8) for v in range(2)]
    assert sum(int(d.sum()) for d in done) == count == 8
    assert count_missing(features, network, STILL, 2) == 2 * N - 8
    decoded()
    said: list[tuple[int, int]] = []
    made = cache_activations(features, network, STILL, 2, lambda *at: said.append(at))
    assert said[-1] == (2 * N - 8, 2 * N - 8)
    assert decoded() <= N - 3
    for v in range(2):
        np.testing.assert_allclose(made.maps[v], expected(features, network, v), rtol=2e-3, atol=1e-3)


def test_rows_that_are_not_marked_are_made_anew(features: Features, network: Backbone, home: Path) -> None:
    cache_activations(features, network, STILL, 1)
    kept = np.memmap(folder(home) / "done-0.u1", np.uint8, "r+")
    rows = np.memmap(folder(home) / "view-0.f16", np.float16, "r+", shape=(N, 8, 8, 4))
    kept[4] = 0  # a kill came before the mark: the row may be anything
    rows[4] = np.nan
    rows[6] = 7.0  # marked: believed
    kept.flush()
    rows.flush()
    made = cache_activations(features, network, STILL, 1).maps[0]
    good = expected(features, network, 0)
    np.testing.assert_allclose(made[4], good[4], rtol=2e-3, atol=1e-3)
    assert (made[6] == 7.0).all()


def test_a_file_of_another_length_is_made_anew(features: Features, network: Backbone, home: Path) -> None:
    cache_activations(features, network, STILL, 1)
    path = folder(home) / "view-0.f16"
    path.write_bytes(path.read_bytes()[:-100])
    (folder(home) / "done-0.u1").write_bytes(b"")
    made = cache_activations(features, network, STILL, 1).maps[0]
    np.testing.assert_allclose(made, expected(features, network, 0), rtol=2e-3, atol=1e-3)


def test_a_cut_file_without_its_marks_is_not_believed(features: Features, network: Backbone, home: Path) -> None:
    """A cut file that is gone or short takes its marks with it: they speak of rows that are no more."""
    cache_activations(features, network, STILL, 1)
    (folder(home) / "view-0.f16").unlink()
    made = cache_activations(features, network, STILL, 1).maps[0]
    np.testing.assert_allclose(made, expected(features, network, 0), rtol=2e-3, atol=1e-3)


def test_other_data_sets_make_room(network: Backbone, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = [tunable.features(network, N, first=100 * i) for i in range(4)]
    for i, each in enumerate(sets[:3]):
        used = cache_activations(each, network, STILL, 1).files[0].parent / "used"
        os.utime(used, (1000 + i, 1000 + i))
    size = sum(p.stat().st_size for p in (home / "cache" / "cuts").rglob("*") if p.is_file())
    monkeypatch.setattr(activations, "MOST_BYTES", size / 3 * 1.5)  # one besides the one in use
    said: list[tuple[int, int]] = []
    cache_activations(sets[1], network, STILL, 1)  # used again
    assert count_missing(sets[0], network, STILL, 1) == N  # the longest unused went
    assert count_missing(sets[1], network, STILL, 1) == count_missing(sets[2], network, STILL, 1) == 0
    cache_activations(sets[3], network, STILL, 1, lambda *at: said.append(at))
    assert [count_missing(s, network, STILL, 1) for s in sets] == [N, 0, N, 0]
    monkeypatch.setattr(activations, "MOST_BYTES", 0)
    cache_activations(sets[3], network, STILL, 1)
    assert [count_missing(s, network, STILL, 1) for s in sets] == [N, N, N, 0]  # never the one in use


@pytest.mark.parametrize("make", [lambda f, n: cache_activations(f, n, STILL, 2), cache_pixels])
def test_a_full_disk_says_how_much_is_needed(
    make: Any, features: Features, network: Backbone, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, offset: int, length: int) -> None:
        os.ftruncate(fd, length // 2)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="No space left") as caught:
        patch.setattr(os, "posix_fallocate", full)
        make(features, network)
    assert "GB" in caught.value.hint and "--home" in caught.value.hint
    assert str(home) in caught.value.message
    left = [p for p in (home / "cache" / "cuts").rglob("*") if p.is_file() and p.stat().st_size]
    assert not left
    make(features, network)


def test_a_place_that_may_not_be_written_to(features: Features, network: Backbone, home: Path) -> None:
    (home / "cache" / "cuts").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        cache_activations(features, network, STILL, 1)
    assert "MEDLOUPE_HOME" in caught.value.hint


def test_fitted_pictures(features: Features, network: Backbone, decoded: Callable[[], int]) -> None:
    said: list[tuple[int, int]] = []
    path, shape = cache_pixels(features, network, lambda *at: said.append(at))
    assert shape == (N, tunable.SIZE, tunable.SIZE, 3)
    stored = np.fromfile(path, np.uint8).reshape(shape)
    for row, record in zip(stored, features.data.records, strict=True):
        np.testing.assert_array_equal(row, load(record.image, tunable.SIZE))
    assert decoded() == N
    assert said[-1] == (N, N)
    assert cache_pixels(features, network) == (path, shape)
    assert decoded() == 0
