"""A robust training says which column it took, holds sources apart, and tells figures on those left out."""

from __future__ import annotations

from pathlib import Path

import pytest

import generated
import medloupe
from medloupe.errors import ColumnError, DataError
from medloupe.modelfile.schema import card_fault

N = 60


@pytest.fixture
def clinics(tmp_path: Path) -> Path:
    """Pictures of three clinics, and a scanner that is the same everywhere."""
    rows = [
        {"file": "", "label": ("normal", "sick")[i % 2], "clinic": "abc"[i // 2 % 3].upper(), "scanner": "one"}
        for i in range(N)
    ]
    return generated.table(tmp_path / "clinics", rows, [generated.tissue(i, i % 2 == 1) for i in range(N)])


def test_figures_on_sources_left_out_stand_beside_the_usual_ones(
    clinics: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = generated.run(capsys, "train", clinics, "--name", "held", "--robust", "--home", home)
    assert ran.code == 0
    assert "column 'clinic' tells them (found by its name" in ran.out
    model = medloupe.load(home / "models" / "held" / "1" / "model.onnx")
    entry = model.card["robust"]
    assert entry["column"] == "clinic" and entry["found"] and entry["nested"]
    assert [(row["source"], row["n"]) for row in entry["rows"]] == [("A", 20), ("B", 20), ("C", 20)]
    for row in (entry, *entry["rows"]):
        assert row["auc"]["low"] <= row["auc"]["value"] <= row["auc"]["high"]
        assert row["gain"]["value"] == pytest.approx(row["auc"]["value"] - row["ordinary"]["value"], abs=2e-4)
    assert card_fault(model.card) == ""
    assert model.card["head"]["regularisation"] == entry["chosen"]["c"]
    page = (home / "models" / "held" / "1" / "report.html").read_text("utf-8")
    assert "Does it hold at another hospital?" in page and "mean of the sources" in page


def test_what_cannot_be_held_apart_is_refused(clinics: Path, home: Path) -> None:
    data = medloupe.read(clinics)
    with pytest.raises(ColumnError, match="hospital"):
        medloupe.train(data, name="x", robust=True, source="hospital")
    with pytest.raises(DataError, match="one source alone, 'one'"):
        medloupe.train(data, name="x", robust=True, source="scanner")
    assert not (home / "cache").exists()  # before anything costs time


def test_a_plain_training_says_nothing_of_sources(clinics: Path, home: Path) -> None:
    assert "robust" not in medloupe.train(medloupe.read(clinics), name="plain").card
