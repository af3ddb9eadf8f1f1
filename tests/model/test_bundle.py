"""The nouns of a trained model: a linear head, its probabilities, and saving and loading that change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import medloupe
import tiny
from medloupe.data.labels import tell_roles
from medloupe.model.bundle import Model
from medloupe.model.head import Head, probabilities

finite = st.floats(-80, 80, width=32)
logits = st.integers(2, 6).flatmap(lambda k: arrays(np.float32, (3, k), elements=finite))


@given(logits)
def test_probabilities_of_classes_sum_to_one_and_keep_the_order(z: np.ndarray) -> None:
    p = probabilities(z, "multiclass")
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    assert (p >= 0).all()
    assert (np.take_along_axis(p, z.argmax(1)[:, None], 1) == p.max(1, keepdims=True)).all()
    np.testing.assert_allclose(probabilities(z + 5, "multiclass"), p, atol=1e-5)


@given(logits)
def test_probabilities_of_findings_stand_alone(z: np.ndarray) -> None:
    p = probabilities(z, "multilabel")
    assert ((p >= 0) & (p <= 1)).all()
    exact = 1 / (1 + np.exp(-z.astype(np.float64)))
    np.testing.assert_allclose(p, exact, atol=1e-6)
    np.testing.assert_allclose(p + probabilities(-z, "multilabel"), 1, atol=1e-6)


def test_a_head_is_linear() -> None:
    head = Head(weight=np.float32([[1, 0, 2], [0, 1, 0]]), bias=np.float32([0.5, -1]), task="multiclass")
    embedding = np.float32([[1, 2, 3], [0, 0, 0]])
    np.testing.assert_array_equal(head.logits(embedding), np.float32([[7.5, 1], [0.5, -1]]))
    assert head.logits(embedding).dtype == np.float32
    np.testing.assert_allclose(head.probabilities(embedding)[1, 0], 1 / (1 + np.exp(-1.5)), rtol=1e-6)


def test_a_model_knows_its_name_version_and_labels(tmp_path: Path) -> None:
    model = tiny.model(tmp_path)
    assert (model.name, model.version, model.labels) == ("tiny", 3, tuple(tiny.LABELS))
    unversioned = Model(backbone=model.backbone, head=model.head, card={"name": "x", "labels": ["a"]})
    assert unversioned.version is None


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_saving_and_loading_change_nothing(task: str, tmp_path: Path) -> None:
    model = tiny.model(tmp_path, task)
    saved = model.save(tmp_path / "m.onnx")
    assert (saved.onnx, model.onnx) == (tmp_path / "m.onnx", None)
    loaded = medloupe.load(tmp_path / "m.onnx")
    np.testing.assert_array_equal(loaded.head.weight, model.head.weight)
    np.testing.assert_array_equal(loaded.head.bias, model.head.bias)
    assert loaded.labels == model.labels
    rng = np.random.default_rng(4)
    for _ in range(5):
        pixels = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
        said = [m.predict(pixels, heatmap=True) for m in (model, saved, loaded)]
        for other in said[1:]:
            assert other.probabilities == pytest.approx(said[0].probabilities, abs=1e-4)
            assert other.prediction == said[0].prediction
            assert other.heatmap is not None
            np.testing.assert_allclose(other.heatmap, said[0].heatmap, atol=1e-3)
    loaded.save(tmp_path / "again.onnx")
    assert medloupe.load(tmp_path / "again.onnx").card["labels"] == tiny.LABELS


def test_several_findings_are_announced_at_their_own_limits(tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).integers(60, 120, (32, 32, 3), dtype=np.uint8)
    p = list(tiny.model(tmp_path, "multilabel").predict(pixels).probabilities.values())
    for limits in ([0, 0, 0, 0], p, [*p[:2], 1.1, 1.1], [1.1] * 4):
        rows = [
            {"label": name, "operating_point": {"threshold": t}} for name, t in zip(tiny.LABELS, limits, strict=True)
        ]
        roles = tell_roles(tiny.LABELS, sought=tiny.LABELS).as_json()
        said = tiny.model(tmp_path, "multilabel", per_label=rows, roles=roles).predict(pixels)
        first = max(range(4), key=lambda k: p[k])
        over = {n for n, v, t in zip(tiny.LABELS, p, limits, strict=True) if v >= min(t, 1)}
        assert set(said.flagged) == over | ({tiny.LABELS[first]} if p[first] >= 0.5 else set())
        assert said.prediction == tiny.LABELS[first]


def test_a_limit_rounded_up_to_one_still_finds_what_is_certain(tmp_path: Path) -> None:
    """Limits are found in single precision, where 0.99999999 is 1; answers must be compared likewise."""
    model = tiny.model(tmp_path, "multilabel")
    rows = [{"label": name, "operating_point": {"threshold": 1.0}} for name in tiny.LABELS]
    sure = Head(weight=model.head.weight * 0, bias=np.float32([19, 19, -19, 0]), task="multilabel")
    card = {**model.card, "per_label": rows, "roles": tell_roles(tiny.LABELS, sought=tiny.LABELS).as_json()}
    told = Model(backbone=model.backbone, head=sure, card=card)
    pixels = np.random.default_rng(6).integers(0, 256, (32, 32), dtype=np.uint8)
    assert told.predict(pixels).flagged == tuple(tiny.LABELS[:2])
