"""The contract of what networks read: every kind has a window, a tensor, samples, a backbone and embeddings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kinds
import medloupe
from medloupe.data.modalities import MODALITIES
from medloupe.data.scan import scan_dataset
from medloupe.embed.backbone import BackboneCard
from medloupe.embed.features import embed, fit_record
from medloupe.embed.modalities import EMBEDDINGS, generate_examples
from medloupe.embed.network import Network
from medloupe.embed.registry import backbone, choose_backbone_name
from medloupe.errors import BackboneError, ImageError
from medloupe.modelfile.schema import card_fault


@pytest.fixture(autouse=True)
def _added(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("MEDLOUPE_KINDS", kinds.ADDED)


@pytest.fixture(params=sorted(kinds.CASES))
def case(request: pytest.FixtureRequest) -> kinds.Case:
    return kinds.CASES[request.param]


@pytest.fixture
def data(case: kinds.Case, tmp_path: Path) -> medloupe.Dataset:
    return medloupe.read(case.folder(tmp_path / "set", each=3))


def test_both_tables_have_the_same_kinds() -> None:
    assert EMBEDDINGS.names == MODALITIES.names
    assert len({kind.input for kind in EMBEDDINGS}) == len(EMBEDDINGS.names)


def test_the_usual_backbone_reads_the_windows_of_the_kind(case: kinds.Case, data: medloupe.Dataset) -> None:
    kind, network = EMBEDDINGS[case.name], backbone(choose_backbone_name(data))
    assert network.card.modality == case.name
    assert len(network.card.input_shape) == kind.rank - 1
    window = fit_record(data.records[0], network)
    assert window.shape == network.card.input_shape and window.dtype == kind.dtype
    np.testing.assert_array_equal(window, fit_record(data.records[0], network))
    samples = generate_examples(network.card)
    assert samples.shape == (3, *network.card.input_shape) and samples.dtype == kind.dtype
    np.testing.assert_array_equal(samples, generate_examples(network.card))
    seen = Network(network).see(samples, maps=True)
    assert seen.map is not None and seen.map.shape[2:] == network.card.places
    np.testing.assert_allclose(seen.map.mean((2, 3)), seen.embedding, atol=1e-3)


def test_a_card_survives_json_and_is_checked(case: kinds.Case, data: medloupe.Dataset) -> None:
    network = backbone(choose_backbone_name(data))
    said = network.as_json()
    assert BackboneCard.from_json(said) == replace(network.card, file=None)
    card = {"name": "x", "task": "multiclass", "labels": ["a", "b"], "backbone": said}
    assert card_fault(card) == ""
    spoilt = {"image": "cut", "ecg": "leads"}.get(case.name, "shape")
    assert spoilt in card_fault({**card, "backbone": {**said, spoilt: []}})
    assert "neither image nor ecg nor sound" in card_fault({**card, "backbone": {**said, "modality": "smell"}})


def test_embeddings_are_made_once(data: medloupe.Dataset) -> None:
    network, found = backbone(choose_backbone_name(data)), scan_dataset(data)
    first, again = embed(found, network), embed(found, network)
    assert first.embeddings.shape == (6, network.card.dimension) and np.isfinite(first.embeddings).all()
    assert (first.decoded, again.decoded) == (6, 0)
    np.testing.assert_array_equal(first.embeddings, again.embeddings)


def test_what_is_of_no_use_is_left_out_and_named(case: kinds.Case, data: medloupe.Dataset, tmp_path: Path) -> None:
    kind, network = MODALITIES[case.name], backbone(choose_backbone_name(data))
    path = tmp_path / f"broken{case.suffix}"
    path.write_bytes(case.broken)
    bad = path if case.faulty is None else case.faulty(tmp_path)
    with pytest.raises(ImageError, match=case.says):
        EMBEDDINGS[case.name].window(bad, network.card)
    first = replace(data.records[0], **{kind.field: bad})
    features = embed(scan_dataset(replace(data, records=(first, *data.records[1:]))), network)
    ((name, why),) = features.unreadable
    assert name == first.id and case.says in why and len(features.data) == 5


def test_a_window_is_drawn(case: kinds.Case, data: medloupe.Dataset) -> None:
    kind, network = EMBEDDINGS[case.name], backbone(choose_backbone_name(data))
    if kind.overlaid:
        assert case.name == "image"
        return
    window = fit_record(data.records[0], network)
    svg = kind.drawn(window, network.card, np.linspace(0, 1, window.shape[-1]), "a <title>")
    assert svg.startswith("<svg") and "a &lt;title&gt;" in svg and "<script" not in svg


def test_a_network_of_another_kind_is_refused(case: kinds.Case, data: medloupe.Dataset) -> None:
    other = "efficientnet-lite0" if case.name != "image" else "ecg-12lead"
    with pytest.raises(BackboneError, match=r"reads (pictures|ECGs); .* holds"):
        medloupe.train(data, name="x", backbone=other)
