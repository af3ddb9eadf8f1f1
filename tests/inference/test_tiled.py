"""A detector that learned from tiles is judged by tiles where pictures choose it, as where it is asked by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tiled
from medloupe.imaging.sandbox.pool import DecoderPool
from medloupe.inference.choosing import AutoPredictor
from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.model.prediction import Prediction
from medloupe.ondevice.blobs import BlobSet
from medloupe.ondevice.card import withheld_because
from medloupe.ondevice.kinds import describe_guide
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.pictures import Answerer
from medloupe.serving.engine.question import Question
from medloupe.serving.engine.sessions import Sessions
from medloupe.starter.shipped import load_shipped

Ask = Callable[[bytes], Prediction]


@pytest.fixture(scope="module")
def shared() -> Model:
    return load_shipped("malaria")


@pytest.fixture(scope="module")
def detector(shared: Model) -> Model:
    return tiled.learned_from_tiles(shared)


@pytest.fixture(scope="module", params=["named", "chosen", "served", "served, chosen"])
def ask(
    request: pytest.FixtureRequest, shared: Model, detector: Model, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ask]:
    if request.param == "named":
        yield Predictor(detector).predict
    elif request.param == "chosen":
        yield AutoPredictor([shared], beside=[detector]).predict
    else:
        found, other = CheckUp.of(detector), CheckUp.of(shared)
        with DecoderPool(1) as decoders:
            sessions = Sessions(2**30, tmp_path_factory.mktemp("graphs"), 1)
            answerer = Answerer(sessions, decoders, idle=lambda: True)
            answerer.route_among([found, other])
            named = None if "chosen" in request.param else found

            class Catalog:
                def all(self) -> list[CheckUp]:
                    return [found, other]

            catalog: Any = Catalog()
            yield lambda data: answerer.ask(catalog, named, Question(data=data)).prediction


def test_what_it_finds_in_tiles_is_flagged(ask: Ask) -> None:
    said = ask(tiled.png(tiled.field(101)))
    assert said.model == "blood_cells" and said.tiling is not None and said.tiling.code == "learned"
    assert (said.state, said.flagged) == ("flagged", ("RBC",)), said.said.why


def test_a_negative_is_told_by_its_tiles(ask: Ask) -> None:
    said = ask(tiled.png(255 - tiled.field(101)))
    assert said.said.why is not None
    assert (said.state, said.said.why.code) == ("refused", "inverted")


def test_a_device_does_not_answer_by_it(detector: Model) -> None:
    checkup = CheckUp.of(detector)
    assert withheld_because(checkup) == "boxes"
    guide = describe_guide(checkup, BlobSet())
    assert guide is not None and guide["sighted"], "found by whole pictures, as the shared network sees them"
    assert detector.sight is not None and guide["network"] == detector.sight.network
