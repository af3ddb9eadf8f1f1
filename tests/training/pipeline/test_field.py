"""From pictures to a check-up that learned from their photographs: what it says on its card and in its report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import generated
import medloupe
from medloupe.model.bundle import Model
from medloupe.modelfile.card import read_card
from medloupe.report.field import section
from medloupe.store.models import Store
from medloupe.training.pipeline import field

COUNT = 20  # pictures a class


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Model, Model]:
    """A home with `taught` and `plain`, which had no views."""
    root = tmp_path_factory.mktemp("field")
    data = generated.folders(root / "data", COUNT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(root / "home"))
        patch.setattr(field, "FEWEST", 2 * COUNT)  # of real sets it takes more
        read = medloupe.read(data)
        model, plain = medloupe.train(read, name="taught"), medloupe.train(read, name="plain", field="none")
    return root / "home", model, plain


def test_the_card_tells_what_photographs_taught(taught: tuple[Path, Model, Model]) -> None:
    home, model, _ = taught
    entry = model.card["field"]
    assert entry["pictures"] == 2 * COUNT and entry["views"] == 2 * COUNT * 6 and entry["rounds"] == 2
    assert {(row["kind"], row["severity"]) for row in entry["rows"]} == {
        (k, s) for k in ("whole", "straight", "worn") for s in ("mild", "medium", "hard")
    }
    assert sum(row["n"] for row in entry["rows"]) == entry["views"]
    for row in entry["rows"]:
        assert 0 <= row["withheld"]["value"] <= 1
    assert entry["tried"][0]["weight"] == 0
    assert entry["weight"] in {c["weight"] for c in entry["tried"]}
    assert read_card(home / "models" / "taught" / "1" / "model.onnx")["field"] == entry
    assert "When the picture is a photograph" in model.report
    assert "Photograph, corners undone (medium)" in model.report


def test_photographs_of_its_kind_are_refused_less_often(taught: tuple[Path, Model, Model]) -> None:
    home, model, plain = taught
    assert model.card["field"]["weight"] > 0
    rows = {(r["kind"], r["severity"]): r for r in model.card["field"]["rows"]}
    straight = rows["straight", "mild"]
    assert straight["auc"]["value"] >= straight["auc_before"]["value"]
    novelty, before = model.novelty, plain.novelty
    assert novelty is not None and before is not None
    assert novelty.noise > before.noise  # room for what photographs do
    kept = Store(home).get("taught")
    assert kept.novelty is not None
    x = np.random.default_rng(0).gamma(1, 1, (4, sum(novelty.levels))).astype(np.float32)
    np.testing.assert_array_equal(kept.novelty.score(x), novelty.score(x))
    np.testing.assert_array_equal(kept.novelty.too_poor(x), novelty.too_poor(x))


def test_without_views_it_is_trained_as_before(taught: tuple[Path, Model, Model]) -> None:
    _, _, plain = taught
    assert plain.card.get("field") is None
    assert "When the picture is a photograph" not in plain.report
    assert section(plain.card.get("field")) is None


def test_few_pictures_have_no_views(tmp_path: Path, home: Path) -> None:
    model = medloupe.train(medloupe.read(generated.folders(tmp_path / "data", 6)), name="few")
    assert model.card.get("field") is None
    assert not (home / "cache" / "field").exists()


def test_answers_of_several_labels_are_wrong_where_any_is() -> None:
    p = np.array([[0.9, 0.2], [0.4, 0.1], [0.9, 0.9]], np.float32)
    y = np.array([[1, 0], [1, 0], [1, np.nan]], np.float32)
    assert field.find_wrong(p, y, "multilabel").tolist() == [False, True, False]
    assert field.find_wrong(p, y, "multiclass").tolist() == [False, False, False]
