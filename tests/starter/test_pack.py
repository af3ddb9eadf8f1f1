"""A check-up written as the package ships it answers as before, and damage is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import ecgmodels
import generated
import several
import tiny
import tinyecg
from ecgsets import Learned
from medloupe.embed import tail as tails
from medloupe.errors import StoreError
from medloupe.inference.find import find_model
from medloupe.model.bundle import Model
from medloupe.modelfile.reader import load
from medloupe.modelfile.writer import write_onnx
from medloupe.starter import pack
from trained import Trained


def nudged(share: float, folder: Path) -> tails.Tail:
    """The backbone's own upper stages, every weight moved a little, as tuning does."""
    from medloupe.embed.registry import backbone

    graph = tails.extract_upper_part(tails.load_graph(backbone()))
    rng = np.random.default_rng(0)
    for tensor in graph.graph.initializer:
        w = numpy_helper.to_array(tensor)
        if w.ndim > 1:
            moved = w.astype(np.float32) + share * w.std() * rng.standard_normal(w.shape).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(moved.astype(w.dtype), tensor.name))
    return tails.write_tail(graph, folder)


@pytest.fixture
def model(trained: Trained, tmp_path: Path) -> Model:
    """`spots` with a tail; its head was fitted without, which does not matter here."""
    tail = nudged(0.05, tmp_path / "tails")
    plain = find_model("spots")
    return replace(plain, tail=tail, card={**plain.card, "tail": tail.as_json()})


def test_it_answers_as_before(model: Model, tmp_path: Path) -> None:
    shipped = pack.pack_checkup(model, tmp_path / "shipped" / "spots")
    again = pack.unpack_checkup(tmp_path / "shipped" / "spots")
    for seed in range(6):
        pixels = generated.tissue(seed, seed % 2 == 0)
        before, after = (m.predict(pixels).probabilities for m in (model, shipped))
        assert after == pytest.approx(before, abs=0.02)
        assert again.predict(pixels).probabilities == pytest.approx(after, abs=1e-6)
    untuned = replace(model, tail=None).predict(pixels).probabilities
    assert untuned != pytest.approx(before, abs=1e-3)  # or the tail would have made no difference to keep
    assert again.version is None
    assert again.novelty is None or again.novelty.limit == model.novelty.limit


def test_what_is_read_beside_the_picture_is_shipped_too(model: Model, tmp_path: Path) -> None:
    model = replace(model, extras=several.extras(2))
    shipped = pack.pack_checkup(model, tmp_path / "spots")
    pixels = generated.tissue(3, True)
    before, after = (m.predict(pixels, several.GIVEN) for m in (model, shipped))
    assert after.inputs == before.inputs and after.inputs
    assert after.probabilities == pytest.approx(before.probabilities, abs=0.02)


def test_a_tail_takes_few_bytes_and_its_file_is_made_once(model: Model, tmp_path: Path) -> None:
    assert model.tail is not None
    folder = tmp_path / "spots"
    shipped = pack.pack_checkup(model, folder)
    assert (folder / "tail.npz").stat().st_size < 0.45 * model.tail.path.stat().st_size
    assert shipped.tail is not None
    made = shipped.tail.path.stat().st_mtime_ns
    again = pack.unpack_checkup(folder)
    assert again.tail == shipped.tail
    assert again.tail.path.stat().st_mtime_ns == made
    whole = again.tail.path.read_bytes()
    for damaged in (b"", whole[:-1] + bytes([whole[-1] ^ 1])):  # what lies in the cache is not believed
        again.tail.path.write_bytes(damaged)
        assert pack.unpack_checkup(folder).tail == shipped.tail
        assert again.tail.path.read_bytes() == whole


def test_more_steps_are_more_exact(model: Model, tmp_path: Path) -> None:
    assert model.tail is not None

    def apart(steps: int) -> float:
        shipped = pack.pack_checkup(model, tmp_path / str(steps), steps)
        assert shipped.tail is not None
        graphs = (onnx.load(t.path) for t in (model.tail, shipped.tail) if t is not None)
        one, two = ([numpy_helper.to_array(t).astype(float) for t in g.graph.initializer] for g in graphs)
        return max(float(np.abs(a - b).max()) for a, b in zip(one, two, strict=True))

    coarse, fine = (apart(steps) for steps in pack.STEPS)
    assert 0 < fine < coarse / 2


def test_it_can_be_exported_and_gone_on_from(model: Model, tmp_path: Path) -> None:
    shipped = pack.pack_checkup(model, tmp_path / "spots")
    write_onnx(shipped, tmp_path / "whole.onnx")
    pixels = generated.tissue(3, True)
    whole = load(tmp_path / "whole.onnx").predict(pixels).probabilities
    assert whole == pytest.approx(shipped.predict(pixels).probabilities, abs=1e-3)
    assert shipped.tail is not None
    graph = onnx.load(shipped.tail.path)
    assert {v.name for v in graph.graph.output} == {"embedding", "map"}


def test_without_a_tail_there_is_none(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "spots").mkdir()
    (tmp_path / "spots" / "tail.npz").write_bytes(b"of an earlier build")
    shipped = pack.pack_checkup(find_model("spots"), tmp_path / "spots")
    assert shipped.tail is None
    assert sorted(p.name for p in (tmp_path / "spots").iterdir()) == ["card.json", "head.npz"]
    pixels = generated.tissue(3, True)
    assert shipped.predict(pixels).probabilities == find_model("spots").predict(pixels).probabilities


def test_damage_is_told(model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "spots"
    pack.pack_checkup(model, folder)
    card = json.loads((folder / "card.json").read_text())
    elsewhere = {**card, "backbone": {**card["backbone"], "sha256": "0"}}
    for wrong in (
        lambda: (folder / "head.npz").write_bytes(b"PK nothing"),
        lambda: (folder / "head.npz").write_bytes((folder / "head.npz").read_bytes()[:-200]),
        lambda: (folder / "tail.npz").unlink(),
        lambda: (folder / "tail.npz").write_bytes((folder / "tail.npz").read_bytes()[:-200]),
        lambda: (folder / "card.json").write_text("{"),
        lambda: (folder / "card.json").write_text(json.dumps(elsewhere)),
    ):
        shipped = pack.pack_checkup(model, folder)
        assert shipped.tail is not None
        shipped.tail.path.unlink()  # else the tail is not read from the package again
        wrong()
        with pytest.raises(StoreError, match="spots cannot be read"):
            pack.unpack_checkup(folder)


def test_only_the_shared_network_is_shipped(home: Path, tmp_path: Path) -> None:
    other = tiny.model(tmp_path)
    with pytest.raises(StoreError, match="network of its own"):
        pack.pack_checkup(other, tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("which", ["of_beats", "of_twelve"])
def test_models_of_ecgs_are_shipped(
    which: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: Learned = request.getfixturevalue(which)
    monkeypatch.setenv("MEDLOUPE_HOME", str(learned.home))
    model = learned.model
    shipped = pack.pack_checkup(model, tmp_path / "ecg")
    assert sorted(p.name for p in (tmp_path / "ecg").iterdir()) == ["card.json", "head.npz"]
    assert shipped.backbone.card == model.backbone.card
    signal = ecgmodels.recording(1) if which == "of_beats" else ecgmodels.standard(1)
    before, after = (m.predict(signal) for m in (model, shipped))
    assert after.probabilities == pytest.approx(before.probabilities, abs=1e-4)
    assert (shipped.extras is not None) == (which == "of_beats")


def test_a_network_that_is_none_of_the_packages_is_not_shipped(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="networks that come with the package"):
        pack.pack_checkup(tinyecg.model(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_card_that_names_an_unknown_network_is_said(of_twelve: Learned, tmp_path: Path) -> None:
    pack.pack_checkup(of_twelve.model, tmp_path / "ecg")
    path = tmp_path / "ecg" / pack.CARD
    path.write_text(path.read_text("utf-8").replace('"ecg-12lead"', '"ecg-13lead"'), "utf-8")
    with pytest.raises(StoreError, match="ecg cannot be read"):
        pack.unpack_checkup(tmp_path / "ecg")
