"""Every reader with every shipped backbone, and every kind of set: read, train, export, load, predict."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ecgmaker
import generated
import medloupe
from generated import table, tissue
from medloupe import settings
from medloupe.data.reading import READERS
from medloupe.data.scan import scan_dataset
from medloupe.embed.backbone import BackboneCard
from medloupe.embed.features import embed
from medloupe.embed.registry import BACKBONES, backbone, choose_backbone_name
from medloupe.embed.windows import fit_window
from medloupe.evaluation.external import validate
from medloupe.graphs.session import open_session
from medloupe.inference.pictures import Predictor
from medloupe.model.decision import Decision
from medloupe.model.head import probabilities
from medloupe.store.models import Store
from places import ROOT
from readers_cases import CASES, ECG_CASES

SHIPPED = [card.name for card in BACKBONES.values() if card.file]


def paint(root: Path) -> None:
    """Puts pictures that differ into a miniature tree, whose own are a few pixels of one grey."""
    for number, path in enumerate(sorted(p for p in root.rglob("*") if p.is_file())):
        if path.suffix == ".png":
            Image.fromarray(tissue(number, bool(re.search("pneumonia|[135].png", str(path))))).save(path)
        elif path.suffix == ".dcm":
            from pydicom import dcmread

            opened = dcmread(path)
            opened.Rows = opened.Columns = generated.SIDE
            opened.PixelData = tissue(number, "HAND" in str(path))[..., 0].tobytes()
            opened.save_as(path)
        elif path.suffix == ".npz":
            with np.load(path) as stored:
                arrays = dict(stored)
            for split in ("train", "val", "test"):
                labels = arrays[f"{split}_labels"].ravel()
                arrays[f"{split}_images"] = np.stack(
                    [tissue(10 * len(split) + i, y == 1)[..., 0] for i, y in enumerate(labels)]
                )
            np.savez(path, allow_pickle=True, **arrays)


def round_trip(
    data: medloupe.Dataset, name: str, folder: Path, backbone: str = "efficientnet-lite0", sought: str = ""
) -> medloupe.Model:
    """Trains, exports, loads; the three answer alike. Returns the trained model."""
    things = data.things
    model = medloupe.train(data, name=name, backbone=backbone, sought=sought.split(",") if sought else ())
    model.save(folder / "out.onnx")
    loaded = medloupe.load(folder / "out.onnx")
    stored = Store(settings.home()).get(name)
    assert loaded.labels == stored.labels == data.labels
    for record in data.records[:3]:
        source = record.image if record.signal is None else record.signal
        assert source is not None
        said = [m.predict(source, heatmap=True) for m in (model, loaded, stored)]
        for other in said[1:]:
            assert other.prediction == said[0].prediction
            assert (other.state, other.flagged) == (said[0].state, said[0].flagged)
            assert other.probabilities == pytest.approx(said[0].probabilities, abs=1e-4)
            assert (other.heatmap is None) == (things == "beats"), "each beat has its own"
            assert (other.ecg is not None) == (data.modality == "ecg")
        if data.task == "multiclass":
            assert sum(said[0].probabilities.values()) == pytest.approx(1, abs=1e-5)
    return model


@pytest.mark.parametrize(
    ("reader", "network"),
    [
        (reader.name, network)
        for reader in READERS
        for network in SHIPPED
        if reader.name not in ECG_CASES and BACKBONES[network].modality == "image"
    ],
)
def test_every_reader_and_backbone(reader: str, network: str, home: Path, tmp_path: Path) -> None:
    root = CASES[reader](tmp_path / "case")
    if reader not in ECG_CASES:
        paint(root)
    data = medloupe.read(root)
    assert data.reader.removeprefix("original:") == reader  # a file that is laid out like a published one is one
    model = round_trip(data, "mini", tmp_path, network)
    assert model.card["data"]["reader"] == data.reader
    assert model.card["data"]["unreadable"] == []
    assert model.card["backbone"]["name"] == network


@pytest.mark.parametrize("reader", ECG_CASES)
def test_every_reader_of_ecgs_and_its_usual_backbone(reader: str, home: Path, tmp_path: Path) -> None:
    data = medloupe.read(CASES[reader](tmp_path / "case"))
    assert data.reader == reader
    network = choose_backbone_name(data)
    assert BACKBONES[network].modality == "ecg"
    model = round_trip(data, "mini", tmp_path, network)
    assert model.card["modality"] == "ecg"
    assert model.card["data"]["things"] == data.things
    assert model.card["data"]["unreadable"] == []
    assert model.card["backbone"]["name"] == network
    embeddings = embed(scan_dataset(data), model.backbone).embeddings  # as training saw them
    if model.extras is None or data.things == "beats":
        logits = model.head.logits(embeddings[:3])
        for record, p in zip(data.records, probabilities(logits, data.task), strict=False):
            assert record.signal is not None
            said = model.predict(record.signal).probabilities  # of a beat alone, whose neighbours it does not know
            assert list(said.values()) == pytest.approx(p.tolist(), abs=1e-4)


@pytest.mark.parametrize("card", BACKBONES.values(), ids=lambda card: card.name)
def test_every_backbone_says_where_it_comes_from_and_what_it_gives(card: BackboneCard) -> None:
    assert card.source
    assert re.fullmatch(r"[\w.-]+", card.licence), "an SPDX name"
    assert card.input_size >= 32
    assert sum(card.levels) == card.dimension
    assert bool(card.file) != bool(card.weights and card.extra), "either shipped, or made from an extra"
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    assert card.extra is None or f"\n{card.extra} = [" in pyproject


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_backbone_keeps_the_contract(name: str) -> None:
    found = backbone(name)
    card, opened = found.card, open_session(found.path)
    if card.modality == "ecg":
        signals = [ecgmaker.ecg(ecgmaker.even(10, bpm), 10, 250, noise=0.01) for bpm in (60, 90)]
        given = {"signal": np.stack([fit_window(signal, card) for signal in signals])}
    else:
        images = [
            Image.fromarray(i).resize((card.input_size, card.input_size)) for i in (tissue(1, True), tissue(2, False))
        ]
        given = {"image": np.stack([np.asarray(i) for i in images])}
        assert opened.run(["cut"], given)[0].shape == (2, *card.cut)
    embedding, places = opened.run(["embedding", "map"], given)
    assert embedding.shape == (2, card.dimension)
    assert places.shape == (2, card.dimension, *card.places)
    np.testing.assert_allclose(places.mean((2, 3)), embedding, atol=1e-4)


def findings(n: int, missing: int = 0) -> tuple[list[dict[str, object]], list[np.ndarray]]:
    """A row an image with the findings `spots` and `dark`; every `missing`-th does not state `dark`."""
    rows, pictures = [], []
    for i in range(n):
        spots, dark = i % 2, int(i % 3 == 0)
        picture = tissue(i, bool(spots)) // (3 if dark else 1)
        said = "" if missing and i % missing == 0 else dark
        rows.append({"file": "", "spots": spots, "dark": said, "patient_id": f"p{i // 2}"})
        pictures.append(picture)
    return rows, pictures


def test_several_findings_at_once(home: Path, tmp_path: Path) -> None:
    root = table(tmp_path / "findings", *findings(36))
    data = medloupe.read(root, labels="spots,dark")
    assert data.task == "multilabel"
    model = round_trip(data, "findings", tmp_path, sought="spots,dark")
    assert model.card["confusion"] is None
    decision = Decision.from_card(model.card)
    assert (model.card["roles"]["by"], decision.roles.danger) == ("told", {"spots": 1, "dark": 2})
    limits = {name: decision.line(name) for name in model.labels}
    predictor, seen = Predictor(model), set()
    for record in data.records:
        said = predictor.predict(record.image)
        first = max(said.probabilities, key=lambda name: said.probabilities[name])
        assert said.prediction == first, "of several findings the most probable one"
        wanted = [
            name
            for name, p in said.probabilities.items()
            if np.float32(p) >= limits[name] or (name == first and p >= 0.5)
        ]
        assert list(said.flagged) == wanted, "the most dangerous first"
        assert (said.state == "flagged") == bool(wanted)
        seen.add(said.flagged)
    assert ("spots", "dark") in seen
    assert () in seen


def test_what_is_not_stated_is_not_absent(home: Path, tmp_path: Path) -> None:
    root = table(tmp_path / "gaps", *findings(36, missing=4))
    data = medloupe.read(root, labels="spots,dark")
    assert np.isnan(data.targets).sum() == 9
    model = round_trip(data, "gaps", tmp_path)
    dark = next(row for row in model.card["per_label"] if row["label"] == "dark")
    assert dark["n"] == sum(i % 3 == 0 and i % 4 != 0 for i in range(36))
    assert model.card["data"]["labelled"] == 36
    rows, pictures = findings(24, missing=4)
    other = table(tmp_path / "other", rows, [255 - p for p in pictures])
    result = validate(model, medloupe.read(other, labels="spots,dark"))
    assert result.unlabelled == 0
    assert [row["n"] for row in result.as_json()["per_label"]] == [12, 6]


def test_unlabelled_images_take_no_part(home: Path, tmp_path: Path) -> None:
    rows = [{"file": "", "label": ("normal", "sick", "")[i % 3]} for i in range(30)]
    root = table(tmp_path / "part", rows, [tissue(i, i % 3 == 1) for i in range(30)])
    model = round_trip(medloupe.read(root), "part", tmp_path)
    assert model.card["data"]["labelled"] == 20
    assert model.card["data"]["records"] == 30
    assert any(f["kind"] == "unlabelled" for f in model.card["audit"]["findings"])


def test_an_official_test_split_judges(home: Path, tmp_path: Path) -> None:
    root = generated.folders(tmp_path / "cells", 18, splits=("train", "test"))
    source = root / "test" / "sick" / "000.png"
    (root / "train" / "sick" / "copy.png").write_bytes(source.read_bytes())  # leaks
    model = round_trip(medloupe.read(root), "cells", tmp_path)
    split = model.card["split"]
    assert split["scheme"] == "official test"
    assert (split["test"], split["train"], split["leaking"]) == (36, 36, 1)
    assert model.card["secondary"]["metrics"]["auc"]["value"] is not None
    assert sum(map(sum, model.card["confusion"]["matrix"])) == 36
    assert model.card["data"]["splits"] == {"train": 37, "test": 36}


def test_subgroups_are_judged_apart(home: Path, tmp_path: Path) -> None:
    rows = [
        {"file": "", "label": ("normal", "sick")[i % 2], "sex": ("F", "M")[i // 2 % 2], "age": 20 + i}
        for i in range(48)
    ]
    root = table(tmp_path / "people", rows, [tissue(i, i % 2 == 1) for i in range(48)])
    model = round_trip(medloupe.read(root), "people", tmp_path)
    groups = model.card["subgroups"]
    assert {g["column"] for g in groups} >= {"sex"}
    assert {g["value"] for g in groups if g["column"] == "sex"} == {"F", "M"}
