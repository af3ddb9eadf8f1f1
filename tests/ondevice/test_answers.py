"""Answers of the browser against Python's: every shipped check-up of pictures on real ones, its own kind and others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

import generated
import medloupe
from medloupe.imaging.photo import NEVER
from medloupe.model.prediction import Prediction
from medloupe.starter.shipped import load_shipped
from pocket import PICTURES, answering, sample_pictures, shipped_pictures

OWN, OTHERS = 24, 8  # pictures a check-up
MOST = 1e-3  # that a probability may differ


@pytest.fixture(scope="module")
def ask(chromium: Any, web_runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(home))
        with answering(chromium, tmp_path_factory.mktemp("web"), shipped_pictures()) as asking:
            yield asking


def near_a_line(said: Prediction, name: str) -> bool:
    """Whether a probability is so near to a line that the state may differ."""
    lines = [line for line in load_shipped(name).card["decision"].values() if isinstance(line, float)]
    lines += [row["operating_point"]["threshold"] for row in load_shipped(name).card["per_label"]] + [0.5]
    return any(abs(p - line) <= MOST for p in said.probabilities.values() for line in lines if line is not None)


def compare(answer: dict[str, Any], said: Prediction, name: str) -> bool:
    """Assert that the browser says what Python says; whether a probability was too near to a line to tell."""
    for label, p in said.probabilities.items():
        assert abs(answer["probabilities"][label] - p) <= MOST, label
    told, expected = answer["said"], said.said
    if told["state"] != expected.state and near_a_line(said, name):
        return True
    assert told["state"] == expected.state
    assert told["why"] == (expected.why.code if expected.why else None)
    assert (told["prediction"], told["flagged"]) == (expected.prediction, list(expected.flagged))
    assert told["grade"] == expected.grade
    assert told["at_least"] == pytest.approx(expected.at_least, abs=MOST)
    return False


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_same_answers(ask: Any, real_sets: Path, name: str) -> None:
    if name not in shipped_pictures():
        pytest.skip("medloupe-research is not installed")
    predictor = medloupe.predictor(load_shipped(name))
    other = "skin" if PICTURES[name] != "skin" else "brain_mri"
    chosen = [*sample_pictures(real_sets / PICTURES[name], OWN, 1), *sample_pictures(real_sets / other, OTHERS, 2)]
    unsure = sum(compare(ask(name, p.read_bytes()), predictor.predict(p, photo=NEVER), name) for p in chosen)
    assert unsure <= 1


@pytest.mark.slow
def test_states_that_say_nothing(ask: Any, tmp_path: Path) -> None:
    predictor = medloupe.predictor(load_shipped("pneumonia"))
    tissue = Image.fromarray(generated.tissue(3, True))
    flat = tissue.convert("L").point([128] * 256)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (190, 224, 3), np.uint8))
    seen = set()
    for image in (tissue, noise, flat, tissue.resize((12, 12)), tissue.point([v // 12 for v in range(256)] * 3)):
        path = tmp_path / "picture.png"
        image.save(path)
        said = predictor.predict(path, photo=NEVER)
        compare(ask("pneumonia", path.read_bytes()), said, "pneumonia")
        seen.add(said.state)
    assert seen >= {"refused", "unusable"}


@pytest.mark.realdata
@pytest.mark.slow
def test_negative_is_refused(ask: Any, real_sets: Path, tmp_path: Path) -> None:
    predictor = medloupe.predictor(load_shipped("pneumonia"))
    states = []
    for source in sample_pictures(real_sets / "chest_pneumonia", 4, 3):
        path = tmp_path / "negative.png"
        ImageOps.invert(Image.open(source).convert("L")).save(path)
        said = predictor.predict(path, photo=NEVER)
        compare(ask("pneumonia", path.read_bytes()), said, "pneumonia")
        states.append(said.said.why.code if said.said.why else "")
    assert "inverted" in states
