"""Negatives of pictures are refused by name, by the app's choice and by the server alike; pictures are not."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import negatives
from dicoms import dicom
from medloupe.imaging.decode import decode_picture
from medloupe.imaging.sandbox.pool import DecoderPool
from medloupe.inference.choosing import AutoPredictor
from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.model.prediction import Prediction
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.pictures import Answerer
from medloupe.serving.engine.question import Question
from medloupe.serving.engine.sessions import Sessions
from medloupe.starter.shipped import load_shipped

Ask = Callable[[bytes], Prediction]


@pytest.fixture(scope="module")
def knowing() -> Model:
    return negatives.knowing()


@pytest.fixture(scope="module", params=["named", "chosen", "served", "served, chosen"])
def ask(request: pytest.FixtureRequest, knowing: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    if request.param == "named":
        yield Predictor(knowing).predict
    elif request.param == "chosen":
        yield AutoPredictor([knowing]).predict
    else:
        checkup = CheckUp.of(knowing)
        with DecoderPool(1) as decoders:
            sessions = Sessions(2**30, tmp_path_factory.mktemp("graphs"), 1)
            answerer = Answerer(sessions, decoders, idle=lambda: True)
            answerer.route_among([checkup])
            named = None if "chosen" in request.param else checkup

            class Catalog:
                def all(self) -> list[CheckUp]:
                    return [checkup]

            catalog: Any = Catalog()
            yield lambda data: answerer.ask(catalog, named, Question(data=data)).prediction


def test_a_negative_is_refused_and_says_so(ask: Ask) -> None:
    for seed in (100, 101):
        pixels = negatives.picture(seed)
        assert ask(negatives.png(pixels)).refused is None
        said = ask(negatives.png(255 - pixels))
        assert (said.state, said.said.why and said.said.why.code) == ("refused", "inverted")
        assert said.refused is not None
        assert "looks inverted, with black and white swapped" in said.refused.reason
        assert "Export it with black and white as usual" in said.refused.reason
        assert said.prediction == ""


def test_colours_are_never_called_inverted(ask: Ask) -> None:
    pixels = np.stack([255 - negatives.picture(100), np.full(negatives.SIZE[::-1], 90), negatives.picture(3)], -1)
    why = ask(negatives.png(pixels.astype(np.uint8))).said.why
    assert why is None or why.code != "inverted"


def test_what_was_decided_while_decoding_is_told(ask: Ask) -> None:
    pixels = negatives.picture(100).astype(np.uint16) << 4
    data = dicom(pixels, BitsStored=12, HighBit=11, WindowCenter=-900, WindowWidth=1)
    told = ask(data)
    assert told.as_json()["picture"] == {
        "notes": [{"code": "window", "text": told.facts[0].text, "values": {}}],
    }
    assert told.as_json().get("answers", [{}])[0].get("picture") is None, "once is enough"
    assert "picture" not in ask(negatives.png(negatives.picture(100))).as_json()


def test_ordinary_pictures_cost_one_pass(knowing: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Predictor(knowing)
    passes = []
    monkeypatch.setattr(asked, "run_shared", lambda windows: passes.append(len(windows)))
    asked.predict(negatives.png(negatives.picture(100)))
    assert passes == []


SETS = {
    "pneumonia": ("chest_pneumonia", "covid_cxr"),
    "covid": ("covid_cxr",),
    "brain-tumour": ("brain_mri",),
    "breast": ("breast_ultrasound",),
    "malaria": ("malaria",),
}


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize(("name", "folder"), [(name, folder) for name, all_ in SETS.items() for folder in all_])
def test_real_pictures_are_not_called_inverted_and_their_negatives_are(real_sets: Path, name: str, folder: str) -> None:
    with (real_sets / folder / "labels.csv").open(encoding="utf-8") as file:
        rows = [real_sets / folder / row["file"] for row in csv.DictReader(file)]
    model = load_shipped(name)
    asked = Predictor(replace(model, card={k: v for k, v in model.card.items() if k != "quality"}))
    files = [path for path in rows[:: max(1, len(rows) // 25)] if path.is_file()][:25]
    codes: list[list[str]] = [[], []]
    for path in files:
        pixels = np.asarray(decode_picture(path, min_side=224).image.convert("L"))
        for k, one in enumerate((pixels, 255 - pixels)):
            why = asked.predict(np.asarray(Image.fromarray(one))).said.why
            codes[k].append("" if why is None else why.code)
    assert "inverted" not in codes[0]
    caught = sum(code in ("inverted", "foreign") for code in codes[1]) / len(files)
    assert folder == "covid_cxr" or caught >= 0.9, "of other people's X-rays fewer are told"
