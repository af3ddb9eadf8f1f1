"""Photographs found too poor by their embedding: every way in says so, and what shows enough is answered as before."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ecgmodels
import generated
from live import Live, running
from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.model.legibility import CODE, SENTENCE, Legibility
from medloupe.model.sketch import sketch
from medloupe.modelfile.reader import load
from medloupe.store.models import Store
from trained import Trained

POOR, GOOD = generated.tissue(700, True), generated.tissue(701, True)


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def strict(model: Model) -> Model:
    """The model with a boundary halfway between two pictures of its kind."""
    novelty = model.novelty
    assert novelty is not None
    asked = Predictor(model)
    a, b = (sketch(asked.embedding(pixels)[None], novelty.levels)[0] for pixels in (POOR, GOOD))
    weight = (a - b).astype(np.float32)
    legibility = Legibility(weight=weight, bias=-float(weight @ (a + b) / 2))
    card = {**model.card, "name": "strict"}
    return replace(model, card=card, onnx=None, novelty=replace(novelty, legibility=legibility))


@pytest.fixture(scope="module")
def server(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server with `strict`."""
    home = tmp_path_factory.mktemp("strict") / "home"
    shutil.copytree(_trained.home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(home))
        store = Store(home)
        store.add(strict(store.get("spots")), write_files=ecgmodels.write_files)
        store.engine.dispose()
    with running(home) as one:
        yield one


def test_the_server_says_that_a_photograph_is_too_poor(server: Live) -> None:
    said = server.ask("strict", png(POOR)).json()
    assert (said["state"], said["why"]) == ("unusable", {"code": CODE, "text": SENTENCE})
    assert (said["prediction"], said["flagged"], said["refused"]) == ("", [], None)
    good = server.ask("strict", png(GOOD)).json()
    assert good["state"] not in ("unusable", "refused")
    assert server.ask("spots", png(POOR)).json()["state"] != "unusable"


def test_library_and_file_say_what_the_server_says(
    server: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(server.home))
    kept = Store(server.home).get("strict")
    kept.save(tmp_path / "strict.onnx")
    for model in (kept, load(tmp_path / "strict.onnx")):
        predictor = Predictor(model)
        poor, good = predictor.predict(POOR), predictor.predict(GOOD)
        assert poor.said.why is not None
        assert (poor.state, poor.said.why.code, poor.refused) == ("unusable", CODE, None)
        assert good.state not in ("unusable", "refused")
