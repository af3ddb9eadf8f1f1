"""The browser's finder of photographed pictures against Python's: the same corners, and the same pixels cut out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import generated
import medloupe
from medloupe.imaging.decode import decode_picture
from medloupe.imaging.photo import PhotoMode, PhotoRequest
from medloupe.imaging.quality import MEASURES, as_numbers
from medloupe.imaging.rephotograph import photograph_light_box, photograph_screen
from medloupe.model.heatmaps import STRONGEST, draw_overlay, label_evidence
from medloupe.starter.shipped import load_shipped
from pocket import Browser, answering, saved, turned

SIDE = 224
_HEAT = """async ([origin, map, weight, width, labels, task, frame]) => {
  const {evidence, overlay} = await import(`${origin}/heatmaps.js`);
  const {size, alpha} = evidence(Float32Array.from(map), 60, {weight: Float32Array.from(weight), width}, {labels, task},
    [...labels.keys()]);
  return labels.map((label) => Array.from(overlay(alpha[label], size, 224, frame).data));
}"""


def picture(seed: int, width: int = 420, height: int = 360) -> np.ndarray:
    """Grey or coloured tissue of a size."""
    pixels = generated.tissue(seed, bool(seed % 2))
    if seed % 3 == 0:
        pixels = (pixels * np.array([1.0, 0.75, 0.6])).astype(np.uint8)
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def eyepiece(seed: int) -> np.ndarray:
    """A round field in the dark of a camera."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:480, :640]
    lit = np.hypot(x - 320 - seed, y - 236) < 170
    field = np.asarray(Image.fromarray(picture(seed, 640, 480)), float) * lit[..., None] + 22
    return np.clip(field + rng.normal(0, 3, field.shape), 0, 255).astype(np.uint8)


def compare(modules: Browser, data: bytes, mode: PhotoMode, corners: Any = None) -> bool:
    """Assert that browser and Python find and cut out the same; whether there was a photograph."""
    expected = decode_picture(data, min_side=SIDE, photo=PhotoRequest(mode=mode, corners=corners))
    made = modules.straighten(data, mode, corners)
    assert (made["photo"] is None) == (expected.photo is None)
    if expected.photo is not None:
        photo = made["photo"]
        assert (photo["corners"] is None) == (expected.photo.corners is None)
        assert photo["confidence"] == pytest.approx(expected.photo.confidence, abs=1e-6)
        if expected.photo.corners is not None:
            assert np.abs(np.array(photo["corners"]) - np.array(expected.photo.corners)).max() < 1e-6
    assert made["facts"] == [fact.code for fact in expected.facts if fact.code.startswith("photograph")]
    assert tuple(made["size"]) == (expected.width, expected.height)
    assert np.array_equal(np.frombuffer(made["pixels"], np.uint8), expected.fit(SIDE).ravel())
    for name, value in zip(MEASURES, as_numbers(expected.measure()), strict=True):
        assert made["measures"][name] is None or made["measures"][name] == pytest.approx(value, abs=1e-12), name
    return expected.photo is not None and expected.photo.found


def test_photographs_are_found_alike(modules: Browser) -> None:
    found = 0
    for seed in range(6):
        take = photograph_screen if seed % 2 else photograph_light_box
        pixels = take(picture(seed), np.random.default_rng(seed))
        found += compare(modules, saved(Image.fromarray(pixels), "JPEG", quality=80), "auto")
    assert found >= 3


def test_large_photographs_are_decoded_alike(modules: Browser) -> None:
    pixels = photograph_light_box(picture(2), np.random.default_rng(5))
    large = Image.fromarray(pixels).resize((1900, 1629), Image.Resampling.BICUBIC)
    assert compare(modules, saved(large, "JPEG", quality=70, exif=turned(6)), "always")


def test_round_fields_are_found_alike(modules: Browser) -> None:
    assert sum(compare(modules, saved(Image.fromarray(eyepiece(seed)), "JPEG"), "auto") for seed in (1, 2)) >= 1


def test_direct_exports_are_left_alike(modules: Browser) -> None:
    for seed in range(4):
        data = saved(Image.fromarray(picture(seed)), "PNG")
        assert not compare(modules, data, "auto")
        assert not compare(modules, data, "never")
    flat = saved(Image.new("L", (300, 260), 90), "PNG")
    assert not compare(modules, flat, "always")  # the corners are not found, and that is told


def test_corners_that_are_told(modules: Browser) -> None:
    pixels = photograph_screen(picture(1), np.random.default_rng(3))
    corners = ((61.5, 48.25), (470.0, 52.0), (466.75, 395.0), (58.0, 401.5))
    assert compare(modules, saved(Image.fromarray(pixels), "JPEG"), "always", corners)


def test_very_many_edges_are_weighed_alike(modules: Browser) -> None:
    rng = np.random.default_rng(0)
    busy = np.asarray(Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8)).resize((640, 480)))
    compare(modules, saved(Image.fromarray(photograph_screen(busy, rng)), "JPEG", quality=90), "always")


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_heat_maps_are_drawn_alike(modules: Browser, task: str) -> None:
    rng = np.random.default_rng(1)
    feature_map, weight = rng.normal(0, 1, (60, 7, 7)), rng.normal(0, 1, (3, 40))  # the head reads the leading part
    feature_map, weight = feature_map.astype(np.float32), weight.astype(np.float32)
    frame = {"left": 0, "top": 20, "width": 224, "height": 184}
    given = [modules.origin, feature_map.ravel().tolist(), weight.ravel().tolist(), 40, ["a", "b", "c"], task, frame]
    drawn = modules.page.evaluate(_HEAT, given)
    parts = np.einsum("kd,dhw->khw", weight, feature_map[:40])
    for k, alpha in enumerate(drawn):
        png = draw_overlay(label_evidence(parts, k, task), SIDE, (0, 20, 224, 204))
        expected = np.asarray(Image.open(io.BytesIO(png)))[..., 3].ravel()
        assert np.abs(np.array(alpha) - expected.astype(int)).max() <= 1
        assert expected.max() >= 0.9 * STRONGEST


@pytest.mark.slow
def test_photographs_are_answered_alike(chromium: Any, web_runtime: Path, home: object, tmp_path: Path) -> None:
    names = ["pneumonia", "covid"]  # one has learned from photographs, the other has not
    predictors = {name: medloupe.predictor(load_shipped(name)) for name in names}
    states = set()
    with answering(chromium, tmp_path / "web", names) as ask:
        for seed in (2, 4):
            pixels = photograph_light_box(picture(seed), np.random.default_rng(seed))
            data = saved(Image.fromarray(pixels), "JPEG", quality=80)
            for name, predictor in predictors.items():
                for mode in ("auto", "always", "never"):
                    said, answer = predictor.predict(data, photo=PhotoRequest(mode=mode)), ask(name, data, mode)
                    assert answer["said"]["state"] == said.state
                    assert answer["said"]["why"] == (said.said.why.code if said.said.why else None)
                    assert (answer["photo"] is not None) == (said.photo is not None)
                    for label, p in said.probabilities.items():
                        assert abs(answer["probabilities"][label] - p) <= 1e-3
                    states.add(answer["said"]["why"] or said.state)
    assert "photo_untrained" in states and len(states) > 1
