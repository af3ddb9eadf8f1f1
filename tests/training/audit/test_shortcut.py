"""The shortcut probe sees what lies outside the picture, and only that."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.embed.cache import FACTS, THUMB
from medloupe.embed.features import Features
from medloupe.training.audit.shortcut import SERIOUS, outside_features, probe_shortcut
from synthetic import features, of_targets, one_hot

N = 120


def facts(seed: int = 0, n: int = N) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = np.zeros(n, FACTS)
    made["width"], made["height"] = rng.integers(200, 260, n), rng.integers(200, 260, n)
    made["bytes"] = rng.integers(8_000, 12_000, n)
    made["thumb"] = rng.integers(60, 190, (n, THUMB, THUMB, 3))
    return made


def example(made: np.ndarray, classes: np.ndarray | None = None) -> Features:
    classes = np.arange(len(made)) % 2 if classes is None else classes
    return features(of_targets(one_hot(classes, 2)), np.zeros((len(made), 4), np.float32), made)


def probed(found: Features, groups: np.ndarray | None = None) -> dict:
    n = len(found.data)
    result = probe_shortcut(found, np.arange(n), np.arange(n) if groups is None else groups)
    assert result is not None
    return result


def test_files_alike_on_the_outside_tell_nothing():
    result = probed(example(facts()))
    assert 0.3 < result["auc"]["value"] < 0.68
    assert "tells next to nothing" in result["sentence"]
    assert result["auc"]["low"] <= result["auc"]["value"] <= result["auc"]["high"]


def bigger_files(f: np.ndarray, ill: np.ndarray) -> None:
    f["bytes"][ill] += 6000


def wider(f: np.ndarray, ill: np.ndarray) -> None:
    f["width"][ill] = 320


def brighter(f: np.ndarray, ill: np.ndarray) -> None:
    f["thumb"][ill] = f["thumb"][ill] // 2 + 120


def framed(f: np.ndarray, ill: np.ndarray) -> None:
    f["width"] = f["height"] = 224
    for edge in (np.s_[:, :2], np.s_[:, -2:], np.s_[:, :, :2], np.s_[:, :, -2:]):
        picked = f["thumb"][ill]
        picked[edge] = 250
        f["thumb"][ill] = picked


def coloured(f: np.ndarray, ill: np.ndarray) -> None:
    f["thumb"][~ill] = f["thumb"][~ill].mean(3, keepdims=True)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (bigger_files, "file size"),
        (wider, "width in pixels"),
        (brighter, "brightness"),
        (framed, "border brightness"),
        (coloured, "colourfulness"),
    ],
)
def test_a_shortcut_is_found_and_named(change, name: str):
    made = facts()
    change(made, np.arange(N) % 2 == 1)
    result = probed(example(made))
    assert result["auc"]["value"] >= SERIOUS
    single = {f["name"]: f["auc"] for f in result["features"]}
    assert single[name] > 0.95
    assert "the label can be guessed" in result["sentence"].replace("\n", " ")
    assert [f["auc"] for f in result["features"]] == sorted((f["auc"] for f in result["features"]), reverse=True)


def test_a_shortcut_that_is_no_straight_line_is_found():
    """The ill are of middle size, the healthy small or large: no linear trend."""
    made = facts()
    ill = np.arange(N) % 2 == 1
    made["bytes"] = np.where(ill, 10_000, np.where(np.arange(N) % 4 == 0, 5_000, 15_000))
    made["bytes"] += np.random.default_rng(0).integers(0, 1000, N).astype("u8")
    result = probed(example(made))
    assert result["auc"]["value"] > 0.95


def test_the_session_of_a_patient_is_no_evidence_for_another():
    """File size tells the patient, and the patient the label; by patient nothing is left."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 4)
    made = facts()
    made["bytes"] = (rng.permutation(30) * 1000 + 5000)[groups]
    classes = rng.permutation(np.arange(30) % 2)[groups]
    assert probed(example(made, classes), groups)["auc"]["value"] < 0.75


def test_padding_is_not_picture():
    made = facts(n=2)
    made["width"], made["height"] = 200, 100
    made["thumb"][:] = 0
    made["thumb"][:, 8:24] = 100  # what a picture twice as wide as high fills
    values = outside_features(example(made))
    np.testing.assert_allclose(values["brightness"], 100 / 255, rtol=1e-5)
    np.testing.assert_allclose(values["contrast"], 0, atol=1e-3)
    np.testing.assert_allclose(values["border brightness"], 100 / 255, rtol=1e-5)
    np.testing.assert_allclose(values["aspect ratio"], 2)
    np.testing.assert_allclose(values["bytes per pixel"], made["bytes"] / 20_000)


def test_extreme_sizes_have_an_outside_too():
    made = facts(n=2)
    made["width"], made["height"] = [1, 5000], [5000, 1]
    assert all(np.isfinite(v).all() for v in outside_features(example(made)).values())


def test_too_few_to_say():
    found = example(facts(n=4), np.array([0, 0, 0, 1]))
    assert probe_shortcut(found, np.arange(4), np.arange(4)) is None


def test_files_that_do_not_differ_at_all():
    made = facts()
    made[:] = made[0]
    result = probed(example(made))
    assert result["auc"]["value"] == 0.5
    assert result["features"] == []
    assert "no outside feature varies" in result["sentence"]


def test_unlabelled_rows_are_not_asked_for():
    made = facts()
    bigger_files(made, np.arange(N) % 2 == 1)
    y = one_hot(np.arange(N) % 2, 2)
    y[:20] = np.nan
    found = features(of_targets(y), np.zeros((N, 4), np.float32), made)
    result = probe_shortcut(found, np.arange(20, N), np.arange(N))
    assert result is not None
    assert result["auc"]["value"] > 0.95


def test_several_labels():
    rng = np.random.default_rng(0)
    y = (rng.random((N, 2)) < 0.5).astype(np.float32)
    made = facts()
    bigger_files(made, y[:, 0] == 1)
    found = features(of_targets(y, task="multilabel"), np.zeros((N, 4), np.float32), made)
    result = probed(found)
    assert 0.65 < result["auc"]["value"] < 0.9  # one label of the two


def test_is_deterministic():
    assert probed(example(facts())) == probed(example(facts()))
