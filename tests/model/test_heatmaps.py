"""The heat map is the logit, place by place."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medloupe.embed.registry import backbone
from medloupe.graphs.session import open_session
from medloupe.model.head import Head
from medloupe.model.heatmaps import _COLOUR, STRONGEST, draw_overlay, label_evidence, map_contributions
from synthetic import radiograph


def head(k: int, d: int, seed: int = 0) -> Head:
    rng = np.random.default_rng(seed)
    return Head(
        weight=rng.normal(0, 0.05, (k, d)).astype(np.float32),
        bias=rng.normal(size=k).astype(np.float32),
        task="multiclass",
    )


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    assert image.mode == "RGBA"
    return image


def test_the_parts_add_up_to_the_logits_of_the_real_backbone():
    network = open_session(backbone().path)
    images = np.stack([radiograph(0), radiograph(1)])
    feature_map, embedding = network.run(["map", "embedding"], {"image": images})
    h = head(3, embedding.shape[1])
    parts = map_contributions(h, feature_map)
    assert parts.shape == (2, 3, 7, 7)
    np.testing.assert_allclose(parts.mean((2, 3)) + h.bias, h.logits(embedding), atol=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 20), st.integers(1, 6), st.integers(1, 6))
def test_the_parts_add_up_to_the_logits(seed: int, k: int, d: int, height: int, width: int):
    maps = np.random.default_rng(seed).normal(size=(2, d, height, width)).astype(np.float32)
    h = head(k, d, seed)
    parts = map_contributions(h, maps)
    assert parts.shape == (2, k, height, width)
    np.testing.assert_allclose(parts.mean((2, 3)) + h.bias, h.logits(maps.mean((2, 3))), atol=1e-4)


def test_among_classes_only_the_difference_counts():
    parts = np.random.default_rng(0).normal(size=(3, 4, 4)).astype(np.float32)
    common = np.random.default_rng(1).normal(size=(4, 4)).astype(np.float32)
    np.testing.assert_allclose(
        label_evidence(parts, 1, "multiclass"), label_evidence(parts + common, 1, "multiclass"), atol=1e-5
    )
    one, other = (label_evidence(parts[:2], k, "multiclass") for k in (0, 1))
    difference = parts[0] - parts[1]
    np.testing.assert_allclose(one, difference - difference.mean(), atol=1e-6)
    np.testing.assert_allclose(other, -one, atol=1e-6)


def test_of_the_others_the_strongest_is_compared_with():
    parts = np.random.default_rng(0).normal(size=(3, 4, 4)).astype(np.float32)
    parts[1] += 5
    difference = parts[2] - parts[1]
    np.testing.assert_allclose(label_evidence(parts, 2, "multiclass"), difference - difference.mean(), atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 5), st.sampled_from(["multiclass", "multilabel"]))
def test_some_places_always_speak_for_it_more_than_others(seed: int, k: int, task: str):
    parts = np.random.default_rng(seed).normal(size=(k, 4, 4)).astype(np.float32)
    for label in range(k):
        values = label_evidence(parts, label, task)
        assert values.mean() == pytest.approx(0, abs=1e-5)
        assert values.max() > 0


def test_with_several_labels_each_stands_alone():
    parts = np.random.default_rng(0).normal(size=(3, 4, 4)).astype(np.float32)
    values = label_evidence(parts, 1, "multilabel")
    np.testing.assert_allclose(values, parts[1] - parts[1].mean())
    np.testing.assert_allclose(label_evidence(parts[1:2], 0, "multiclass"), values)


def test_the_overlay_shows_where():
    values = np.full((7, 7), -1.0)
    values[1, 5] = 2.0
    image = opened(draw_overlay(values, 224))
    assert image.size == (224, 224)
    alpha = np.asarray(image)[..., 3]
    top, left = np.unravel_index(alpha.argmax(), alpha.shape)
    assert (top // 32, left // 32) == (1, 5)
    assert abs(int(alpha.max()) - STRONGEST) <= 25
    assert (alpha[96:] == 0).all()
    assert (np.asarray(image)[..., :3] == _COLOUR).all()


def test_stronger_evidence_more_colour():
    values = np.array([[0.0, 1.0], [2.0, 4.0]])
    alpha = np.asarray(opened(draw_overlay(values, 64)))[..., 3].astype(int)
    corners = alpha[0, 0], alpha[0, -1], alpha[-1, 0], alpha[-1, -1]
    assert corners[0] < corners[1] < corners[2] < corners[3]


@pytest.mark.parametrize("values", [np.zeros((7, 7)), np.full((7, 7), -3.0)])
def test_no_evidence_is_no_colour(values: np.ndarray):
    assert (np.asarray(opened(draw_overlay(values, 224)))[..., 3] == 0).all()


def test_the_overlay_is_cut_to_the_picture():
    values = np.ones((7, 7))
    assert opened(draw_overlay(values, 224, (0, 28, 224, 196))).size == (224, 168)


def test_the_scale_of_the_evidence_does_not_show():
    values = np.random.default_rng(0).normal(size=(7, 7))
    assert draw_overlay(values, 64) == draw_overlay(values * 8, 64)
