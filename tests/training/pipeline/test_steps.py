"""From data to an outcome: what is learned beside the picture is judged, described, kept and written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import ecgmodels
import ecgsets
import generated
import medloupe
import weighed
from ecgsets import Learned
from medloupe.errors import BackboneError, ColumnError, DataError, FinetuneError
from medloupe.modelfile.card import read_card
from medloupe.store.models import Store

N = 60


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pictures that tell little, ages that tell much, a column filled in afterwards."""
    found = weighed.patients(N, table=1.6, missing=0.05)
    sick = found.targets[:, 1] == 1
    rng = np.random.default_rng(0)
    rows = [
        {
            "file": "",
            "label": "sick" if ill else "normal",
            "age": row.get("age", ""),
            "in_icu": "Y" if ill and rng.random() < 0.8 else "N",
            "notes": row["notes"],
        }
        for row, ill in zip(found.rows, sick, strict=True)
    ]
    pictures = [generated.tissue(i, bool(ill) and i % 3 == 0) for i, ill in enumerate(sick)]
    return generated.table(tmp_path / "data", rows, pictures)


def test_a_model_that_reads_the_table_is_judged_described_and_kept(data: Path, home: Path) -> None:
    model = medloupe.train(medloupe.read(data), name="both", clinical=["age", "in_icu"], notes="notes")
    assert model.extras is not None and "age" in model.extras.names
    facts = model.card["inputs"]
    rows = {r["name"]: r for r in facts["fusion"]}
    assert model.card["metrics"]["auc"]["value"] == pytest.approx(rows["all"]["auc"]["value"], abs=1e-6)
    assert rows["all"]["over_image"]["value"] > 0.02
    assert [c["name"] for c in facts["columns_left_out"]] == ["in_icu"]
    assert "leaking_column" in {f["kind"] for f in model.card["audit"]["findings"]}
    assert {c["name"] for c in model.card["audit"]["columns"]} == {"age", "in_icu", "notes"}
    assert "What each input adds" in model.report
    kept = Store.open().get("both")
    assert kept.extras is not None
    np.testing.assert_array_equal(kept.extras.weight, model.extras.weight)
    assert (
        json.loads(json.dumps(kept.card["inputs"]))
        == facts
        == read_card(home / "models" / "both" / "1" / "model.onnx")["inputs"]
    )
    again = medloupe.train(medloupe.read(data), name="both", clinical=["age", "in_icu"], notes="notes")
    assert again.card["reused"] and again.extras is not None
    np.testing.assert_array_equal(again.extras.weight, model.extras.weight)


def test_a_column_that_is_not_there_is_said_before_anything_is_done(data: Path, home: Path) -> None:
    with pytest.raises(ColumnError, match="Did you mean 'age'"):
        medloupe.train(medloupe.read(data), name="both", clinical=["agee"])
    assert not (home / "cache").exists()


def test_nothing_is_read_unless_asked(data: Path, home: Path) -> None:
    model = medloupe.train(medloupe.read(data), name="plain")
    assert model.extras is None and "inputs" not in model.card and "columns" not in model.card["audit"]


def test_beats_from_files_to_an_answer(of_beats: Learned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(of_beats.home))
    model = of_beats.model
    card = model.card
    assert card["metrics"]["auc"]["value"] > 0.98
    assert card["data"]["things"] == "beats"
    assert card["data"]["patients"] == card["data"]["groups"] == 10
    assert card["audit"]["shortcut"] is None
    assert card["input"]["size"] == model.backbone.card.input_size
    assert "beats of at least 30 patients" in " ".join(card["limits"])
    model.save(tmp_path / "rhythm.onnx")
    loaded, stored = medloupe.load(tmp_path / "rhythm.onnx"), Store.open().get("rhythm")
    strip = ecgmodels.recording(3)
    said = [m.predict(strip) for m in (model, loaded, stored)]
    assert said[0].ecg is not None and len(said[0].ecg.beats) > 15
    for other in said[1:]:
        assert other.probabilities == pytest.approx(said[0].probabilities, abs=1e-4)
        assert other.ecg is not None
        assert [b.label for b in other.ecg.beats] == [b.label for b in said[0].ecg.beats]
    again = medloupe.train(of_beats.data, name="again")
    assert again.card["reused"]
    np.testing.assert_array_equal(again.head.weight, model.head.weight)


def test_twelve_leads_from_files_to_an_answer(
    of_twelve: Learned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(of_twelve.home))
    model = of_twelve.model
    assert model.card["metrics"]["auc"]["value"] > 0.7
    assert model.extras is None  # none was asked for
    model.save(tmp_path / "rest.onnx")
    loaded, stored = medloupe.load(tmp_path / "rest.onnx"), Store.open().get("rest")
    p = []
    for blocked in (False, True):
        said = [m.predict(ecgmodels.standard(1, blocked), heatmap=True) for m in (model, loaded, stored)]
        for other in said[1:]:
            assert other.probabilities == pytest.approx(said[0].probabilities, abs=1e-4)
        assert said[0].heatmap is not None and said[0].heatmap.shape == (2, *model.backbone.card.places)
        p.append(said[0].probabilities)
    assert p[1]["CD"] > p[0]["CD"]
    assert p[1]["NORM"] < p[0]["NORM"]


def test_networks_of_another_kind_of_data_are_refused(of_beats: Learned, data: Path, home: Path) -> None:
    with pytest.raises(BackboneError, match=r"efficientnet-lite0 reads pictures.*holds beats") as error:
        medloupe.train(of_beats.data, name="wrong", backbone="efficientnet-lite0")
    assert "ecg-beats" in error.value.hint
    with pytest.raises(BackboneError, match=r"ecg-12lead reads ECGs.*holds images"):
        medloupe.train(medloupe.read(data), name="wrong", backbone="ecg-12lead")
    assert not (home / "cache").exists()


def test_networks_of_ecgs_are_not_tuned(of_twelve: Learned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(of_twelve.home))
    with pytest.raises(FinetuneError, match="used as they are"):
        medloupe.train(of_twelve.data, name="tuned", finetune="tail", clinical=())
    made = medloupe.train(of_twelve.data, name="tuned", finetune="auto", clinical=())
    np.testing.assert_array_equal(made.head.weight, of_twelve.model.head.weight)


def test_too_few_are_named_by_what_they_are(of_beats: Learned) -> None:
    with pytest.raises(DataError, match="has only 1 beat"):
        medloupe.train(ecgsets.part(of_beats.data, 1), name="few")
    with pytest.raises(DataError, match="has no beats"):
        medloupe.train(ecgsets.part(of_beats.data, 0), name="few")
