"""A boundary to other kinds lets in what the field does to pictures, and nothing else."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from embedded import LEVELS, embeddings
from medloupe.model.contrast import MOST, Contrast
from medloupe.model.novelty import Novelty
from medloupe.model.sketch import sketch
from medloupe.training.heads.contrast import fit_contrast


def changed(x: np.ndarray, seed: int) -> np.ndarray:
    """As a poor camera would: one and the same shift, stronger for some pictures."""
    way = np.random.default_rng(77).gamma(0.3, 1, x.shape[1]) * 1.5
    return np.maximum(x * 0.7 + np.random.default_rng(seed).uniform(0.5, 1.5, (len(x), 1)) * way, 0).astype(np.float32)


@pytest.fixture(scope="module")
def plain() -> Novelty:
    novelty = Novelty.fit(embeddings(300, 0), np.arange(300), LEVELS, 0)
    assert novelty is not None
    return novelty


@pytest.fixture(scope="module")
def fitted(plain: Novelty) -> Novelty:
    own, others = embeddings(300, 0), np.concatenate([embeddings(100, 3, kind) for kind in range(1, 5)])
    both = np.concatenate([own, changed(own, 1)])
    others = np.concatenate([others, changed(others, 2)])
    boundary = fit_contrast(sketch(both, LEVELS), sketch(others, LEVELS))
    parts = {"": sketch(own, LEVELS), "camera": sketch(changed(own, 1), LEVELS)}
    return replace(plain, contrast=boundary.with_room({n: plain.distance(z) for n, z in parts.items()}, parts))


def test_what_the_field_does_is_let_in_and_other_kinds_are_not(plain: Novelty, fitted: Novelty) -> None:
    poor = changed(embeddings(400, 9), 5)
    assert (plain.score(poor) > 1).mean() > 0.5  # by distance alone most would be refused
    assert (fitted.score(poor) > 1).mean() < 0.05
    assert (fitted.score(embeddings(400, 9)) > 1).mean() <= (plain.score(embeddings(400, 9)) > 1).mean()
    for kind in range(1, 9):  # also kinds that the boundary was not drawn against
        foreign = embeddings(200, 11, kind)
        assert (fitted.score(foreign) > 1).mean() >= 0.99, kind
        assert (fitted.score(changed(foreign, 12)) > 1).mean() >= 0.95, kind


def test_on_the_wrong_side_no_distance_is_small_enough(fitted: Novelty) -> None:
    assert fitted.contrast is not None
    z = sketch(embeddings(50, 1), LEVELS)
    wrong = replace(fitted, contrast=replace(fitted.contrast, bias=fitted.contrast.bias - 1000))
    assert (fitted.distance(z) < 1).mean() > 0.9
    assert (wrong.score_sketch(z) > 1).all()


def test_room_is_bounded(plain: Novelty) -> None:
    own, others = sketch(embeddings(100, 0), LEVELS), sketch(embeddings(100, 3, 2), LEVELS)
    boundary = fit_contrast(own, others)
    far = boundary.with_room({"far": np.full(100, 50.0)}, {"far": own})
    near = boundary.with_room({"near": np.full(100, 0.5)}, {"near": own})
    assert (far.room, near.room) == (MOST, 0)
    assert (boundary.side(own) > 0).mean() > 0.95 > 0.05 > (boundary.side(others) > 0).mean()


def test_it_is_moved_off_its_own_kind() -> None:
    own, others = sketch(embeddings(100, 0), LEVELS), sketch(embeddings(100, 3, 2), LEVELS)
    boundary = fit_contrast(own, others)
    assert boundary.shift(np.linspace(1, 9, 101)).bias == boundary.bias
    assert boundary.shift(np.linspace(-5, 5, 101)).bias == pytest.approx(boundary.bias + 4.8)


def test_it_is_kept_with_the_novelty(fitted: Novelty) -> None:
    x = np.concatenate([embeddings(20, 1), embeddings(20, 2, 3)])
    out = io.BytesIO()
    np.savez(out, **fitted.as_arrays())
    with np.load(io.BytesIO(out.getvalue())) as stored:
        again = Novelty.from_arrays(stored)
    read = Novelty.from_json(json.loads(json.dumps(fitted.as_json())))
    assert again is not None
    for kept in (again, read):
        assert np.allclose(kept.score(x), fitted.score(x), rtol=1e-3)


@pytest.mark.parametrize("at, value", [(-1, MOST + 1), (-1, -0.1), (-2, 0.0), (0, np.nan), (-3, np.inf)])
def test_what_cannot_be_is_not_read(fitted: Novelty, at: int, value: float) -> None:
    assert fitted.contrast is not None
    stored = fitted.contrast.as_array()
    stored[at] = value
    with pytest.raises(ValueError, match="contrast"):
        Contrast.from_array(stored, 512)
    with pytest.raises(ValueError, match="515 numbers"):
        Contrast.from_array(stored[:-1], 512)
    entry = fitted.as_json()
    broken = replace(fitted.contrast, weight=fitted.contrast.weight[:100])
    with pytest.raises(ValueError):
        Novelty.from_json({**entry, "contrast": replace(fitted, contrast=broken).as_json()["contrast"]})
