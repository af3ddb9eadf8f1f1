"""Going on from another model's network: what is taken over, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import generated
import medloupe
import tunable
from medloupe.data.contents import digest_image
from medloupe.data.digests import seen_in_training
from medloupe.data.records import Dataset
from medloupe.embed import tail as tails
from medloupe.embed.network import Network
from medloupe.errors import PromotionRefusedError
from medloupe.evaluation.external import validate
from medloupe.inference.pictures import Predictor
from medloupe.metrics.evidence import Evidence
from medloupe.model.bundle import Model
from medloupe.store.models import Store
from othertails import tuned


def write_only_onnx(folder: Path, model: Model) -> None:
    from medloupe.modelfile.writer import write_onnx

    write_onnx(model, folder / "model.onnx")


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return tunable.backbone(tmp_path / "network").path


def start(network: Path, tmp_path: Path, *, tail: bool = True, licence: str | None = "CC BY-NC 4.0") -> Model:
    """A model of the store, `first`, on a tail with weights of its own."""
    data = tunable.data(24)
    model = medloupe.train(
        replace(data, origin={"licence": licence} if licence else {}), name="first", backbone=network
    )
    if not tail:
        return model
    written = tails.write_tail(
        tuned(tails.extract_upper_part(tails.load_graph(model.backbone)), spread=0.3), tmp_path / "tails"
    )
    card = {**model.card, "tail": written.as_json()}
    made = Store.open().add(replace(model, tail=written, card=card, onnx=None), write_files=write_only_onnx)
    return Store.open().get("first", made.version)


def others(**origin: str) -> Dataset:
    return replace(tunable.data(24, first=1000), origin=origin)


def test_the_tail_goes_on(network: Path, tmp_path: Path, home: Path) -> None:
    first = start(network, tmp_path)
    assert first.tail is not None
    data = others(licence="CC BY 4.0")
    second = medloupe.train(data, name="second", start=first)
    assert second.tail is not None
    assert second.tail.sha256 == first.tail.sha256
    assert second.backbone.sha256 == first.backbone.sha256
    pixels = np.stack([r.image for r in data.records[:4] if isinstance(r.image, np.ndarray)])
    plain, seen = Network(first.backbone).see(pixels), Network(second.backbone, second.tail).see(pixels)
    assert np.abs(plain.embedding - seen.embedding).max() > 0.01
    stored = Store.open().get("second")
    second.save(tmp_path / "second.onnx")
    loaded = medloupe.load(tmp_path / "second.onnx")
    for record in data.records[:4]:
        want = second.head.probabilities(
            Network(first.backbone, first.tail).see(np.asarray(record.image)[None]).embedding
        )[0]
        for model in (stored, loaded):
            said = Predictor(model).predict(record.image, heatmap=True)
            assert list(said.probabilities.values()) == pytest.approx(want.tolist(), abs=1e-4)
    assert validate(stored, tunable.data(24, first=3000)).as_json()["metrics"]["auc"]["value"] > 0.8


def test_the_licences_of_both_bind(network: Path, tmp_path: Path, home: Path) -> None:
    first = start(network, tmp_path)
    card = medloupe.train(others(licence="CC BY 4.0"), name="second", start=first).card
    assert card["started_from"] == {
        "name": "first",
        "version": first.version,
        "licence": "CC BY-NC 4.0",
        "tuned": True,
    }
    assert card["licence"] == f"CC BY 4.0; the network it goes on from, first@{first.version}: CC BY-NC 4.0"
    assert any("CC BY-NC 4.0" in limit for limit in card["limits"])
    assert card["data"]["licence"] == "CC BY 4.0"
    third = medloupe.train(tunable.data(24, first=2000), name="third", start=Store.open().get("second")).card
    assert "CC BY-NC 4.0" in third["licence"]
    assert third["licence"].startswith("not stated; ")


def test_images_that_the_network_has_seen_are_told(network: Path, tmp_path: Path, home: Path) -> None:
    first = start(network, tmp_path)
    fresh = medloupe.train(others(), name="fresh", start=first)
    assert not [w for w in fresh.card["warnings"] if "first@" in w["text"]]
    old = [digest_image(np.asarray(r.image)) for r in tunable.data(24).records]
    assert seen_in_training(fresh.card, old).all()  # evaluating on them would flatter
    both = replace(others(), records=(*others().records[:20], *_renamed(tunable.data(4))))
    mixed = medloupe.train(both, name="mixed", start=first)
    (warning,) = [w for w in mixed.card["warnings"] if "first@" in w["text"]]
    assert warning["level"] == "serious"
    assert warning["text"].startswith("4 of the 24 images")
    assert "first@" in mixed.report


def test_images_that_the_network_has_seen_prove_nothing(network: Path, tmp_path: Path, home: Path) -> None:
    """Neither for the gate nor in a comparison: its out-of-fold predictions of them are too good."""
    first = start(network, tmp_path)
    medloupe.train(tunable.data(24), name="first", start=first)
    evidence = [Evidence.read(Store.open().folder("first", v)) for v in (1, 3)]
    assert [None if e is None else len(e.digests) for e in evidence] == [24, 0]
    assert not Store.open().compare("first", 3, 1).passed
    with pytest.raises(PromotionRefusedError, match=r"0 common groups.*--from"):
        Store.open().promote("first", 3, actor="tester")
    fresh = medloupe.train(others(), name="fresh", start=first)
    kept = Evidence.read(Store.open().folder("fresh", fresh.version))
    assert kept is not None and len(kept.digests) == 24


def _renamed(data: Dataset) -> list[Any]:
    return [replace(r, id=f"old-{r.id}") for r in data.records]


def test_a_network_as_it_was_published_carries_nothing(network: Path, tmp_path: Path, home: Path) -> None:
    first = start(network, tmp_path, tail=False)
    card = medloupe.train(others(licence="CC BY 4.0"), name="second", start=first).card
    assert card["started_from"]["tuned"] is False
    assert card["licence"] == "CC BY 4.0"
    assert not any("first" in text for text in card["limits"])


@pytest.mark.slow
def test_tuning_starts_from_its_weights(network: Path, tmp_path: Path, home: Path) -> None:
    first = start(network, tmp_path)
    assert first.tail is not None
    options: dict[str, Any] = {"finetune": "tail", "minutes": 0.2}
    second = medloupe.train(others(), name="second", start=first, **options)
    plain = medloupe.train(others(), name="plain", backbone=network, **options)
    assert second.tail is not None and plain.tail is not None
    assert second.tail.sha256 != first.tail.sha256
    pixels = np.stack([tunable.picture(5000 + i, i % 2 == 1) for i in range(8)])

    def sees(model: Model) -> np.ndarray:
        return Network(model.backbone, model.tail).see(pixels).embedding

    near, far = (np.abs(sees(model) - sees(first)).mean() for model in (second, plain))
    assert near < 0.5 * far


def test_by_the_command_line(network: Path, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(network, tmp_path)
    data = generated.folders(tmp_path / "tissue", 12)
    generated.run(capsys, "models", "promote", "first@2", "--force", "--reason", "test")
    ran = generated.run(capsys, "train", data, "--name", "tissue", "--from", "first", "--json")
    assert ran.code == 0, ran.err
    model = Store.open().get("tissue")
    assert model.card["started_from"]["name"] == "first"
    assert model.tail is not None
    both = generated.run(capsys, "train", data, "--name", "x", "--from", "first", "--backbone", network)
    assert both.code == 2
    missing = generated.run(capsys, "train", data, "--name", "x", "--from", "nonesuch")
    missing.failed("nonesuch")
