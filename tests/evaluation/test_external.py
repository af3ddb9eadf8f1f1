"""A model judged elsewhere: which images count, whose labels they are, and what is said when it does worse."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import generated
import medloupe
import several
from medloupe.errors import DataError
from medloupe.evaluation.external import Validation, validate
from trained import Trained


@pytest.fixture
def model(trained: Trained) -> medloupe.Model:
    return medloupe.load(trained.onnx)


def judged(model: medloupe.Model, root: Path) -> Validation:
    return validate(model, medloupe.read(root))


def test_unseen_images_judge_the_model(model: medloupe.Model, tmp_path: Path) -> None:
    result = judged(model, generated.folders(tmp_path / "clinic", 20, first=500))
    card = result.report["card"]
    assert (result.seen, result.unlabelled, result.unreadable) == (0, 0, 0)
    assert card["split"]["scheme"] == "external validation"
    assert card["data"]["labelled"] == card["split"]["test"] == 40
    assert card["metrics"]["auc"]["value"] > 0.8
    assert card["claimed"] == model.card["metrics"]
    assert card["warnings"] == []
    p = [model.predict(r.image).prediction for r in medloupe.read(tmp_path / "clinic").records]
    right = np.mean(
        [said == r.id.split("/")[0] for said, r in zip(p, medloupe.read(tmp_path / "clinic").records, strict=True)]
    )
    assert card["metrics"]["accuracy"]["value"] == pytest.approx(
        right, abs=1e-6
    )  # the announced class, as predict says
    matrix = np.array(card["confusion"]["matrix"])
    assert matrix.sum() == 40
    assert np.trace(matrix) / 40 == pytest.approx(right, abs=1e-6)


def test_operating_points_are_those_of_the_model(model: medloupe.Model, tmp_path: Path) -> None:
    root = generated.folders(tmp_path / "clinic", 12, first=500)
    table = {row["label"]: row for row in judged(model, root).report["card"]["per_label"]}
    own = {row["label"]: row["operating_point"] for row in model.card["per_label"]}
    records = medloupe.read(root).records
    for label, row in table.items():
        point = row["operating_point"]
        assert point["threshold"] == own[label]["threshold"]
        assert point["target_sensitivity"] == own[label]["target_sensitivity"]
        cases = [model.predict(r.image).probabilities[label] for r in records if label in r.labels]
        found = np.mean(np.float32(cases) >= np.float32(point["threshold"]))
        assert point["sensitivity"]["value"] == pytest.approx(found, abs=1e-6)


def test_images_of_the_training_are_left_out_and_counted(
    model: medloupe.Model, trained: Trained, tmp_path: Path
) -> None:
    root = generated.folders(tmp_path / "mixed", 10, first=500)
    for i in range(6):
        shutil.copy(trained.data / "sick" / f"{i:03}.png", root / "sick" / f"renamed{i}.png")
    (root / "normal" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = judged(model, root)
    assert (result.seen, result.unreadable) == (6, 1)
    assert result.as_json()["n"] == 20
    assert result.as_json()["left_out"] == {"seen": 6, "unlabelled": 0, "unreadable": 1}
    with pytest.raises(DataError, match="32 of its images were in the training"):
        judged(model, trained.data)


def test_labels_may_differ_in_case(model: medloupe.Model, tmp_path: Path) -> None:
    root = generated.folders(tmp_path / "clinic", 10, first=500)
    plain = judged(model, root).as_json()["metrics"]
    loud = generated.folders(tmp_path / "loud" / "clinic", 10, first=500, classes=("NORMAL", "Sick"))
    assert judged(model, loud).as_json()["metrics"] == plain


def test_labels_that_are_others(model: medloupe.Model, tmp_path: Path) -> None:
    root = generated.folders(tmp_path / "clinic", 6, first=500, classes=("normal", "sickk"))
    with pytest.raises(DataError, match=r"normal, sickk.*normal, sick.*Did you mean 'sick'\?"):
        judged(model, root)
    foreign = generated.folders(tmp_path / "zoo", 6, first=500, classes=("cat", "dog"))
    with pytest.raises(DataError, match=r"cat, dog.*--labels"):
        judged(model, foreign)


def test_a_class_that_does_not_occur_here(model: medloupe.Model, tmp_path: Path) -> None:
    rows = [{"file": "", "label": "sick"} for _ in range(8)]
    root = generated.table(tmp_path / "ward", rows, [generated.tissue(500 + i, True) for i in range(8)])
    result = judged(model, root)
    card = result.report["card"]
    assert card["split"]["test"] == 8
    assert card["metrics"]["auc"]["value"] is None  # nothing to rank against
    sick = next(row for row in card["per_label"] if row["label"] == "sick")
    assert sick["operating_point"]["sensitivity"]["value"] is not None
    from medloupe.report.pages import render

    assert "ward" in render(result.report)


def test_unlabelled_images_are_counted(model: medloupe.Model, tmp_path: Path) -> None:
    rows = [{"file": "", "label": ("normal", "sick", "")[i % 3]} for i in range(18)]
    pictures = [generated.tissue(600 + i, i % 3 == 1) for i in range(18)]
    result = judged(model, generated.table(tmp_path / "ward", rows, pictures))
    assert result.unlabelled == 6
    assert result.as_json()["n"] == 12


def test_doing_worse_than_claimed_is_said(model: medloupe.Model, tmp_path: Path) -> None:
    root = tmp_path / "inverted"
    for label, sick in (("normal", False), ("sick", True)):
        for i in range(40):
            inverted = 255 - generated.tissue(700 + i, sick) // 3
            noise = np.random.default_rng(i).normal(0, 40, inverted.shape)
            generated.save(root / label / f"{i}.png", np.clip(inverted + noise, 0, 255).astype(np.uint8))
    result = judged(model, root)
    (warning,) = result.report["card"]["warnings"]
    assert warning["level"] == "serious"
    assert "does worse here" in warning["text"]
    metrics = result.as_json()
    assert metrics["metrics"]["auc"]["high"] < metrics["claimed"]["auc"]["low"]


def test_figures_that_a_card_lacks_are_not_claimed(model: medloupe.Model, tmp_path: Path) -> None:
    bare = {k: v for k, v in model.card.items() if k not in ("metrics", "per_label", "decision", "data")}
    bare["per_label"] = [{"label": name, "operating_point": {"threshold": 0.4}} for name in model.labels]
    bare["data"] = {}
    root = generated.folders(tmp_path / "clinic", 6, first=500)
    result = judged(replace(model, card=bare), root)
    assert result.as_json()["claimed"] == {}
    assert result.report["card"]["warnings"] == []


def test_several_labels_are_not_one_class(model: medloupe.Model, tmp_path: Path) -> None:
    """Two findings in one picture cannot judge a model that gives one answer."""
    rows = [{"file": "", "normal": i % 2, "sick": int(i % 3 == 0)} for i in range(12)]
    pictures = [generated.tissue(600 + i, i % 3 == 0) for i in range(12)]
    root = generated.table(tmp_path / "both", rows, pictures)
    data = medloupe.read(root, labels="normal,sick")
    assert data.task == "multilabel"
    with pytest.raises(DataError, match="several"):
        validate(model, data)


def with_columns(root: Path, n: int = 24) -> Path:
    """A table beside n pictures that no model has seen, which states some of what `several` reads."""
    pictures = [generated.tissue(700 + i, i % 2 == 1) for i in range(n)]
    rows = [
        {
            "label": "sick" if i % 2 else "normal",
            "Age": "old" if i == 0 else str(20 + 2 * i),
            "sex": "F" if i % 3 else "",
            "shoes": "42",
        }
        for i in range(n)
    ]
    return generated.table(root, rows, pictures)


def test_columns_of_the_data_are_inputs_of_the_model(model: medloupe.Model, tmp_path: Path) -> None:
    """Those that go by the names of its inputs; what lacks or cannot be read counts as missing and is told."""
    both = replace(model, extras=several.extras(2))
    root = with_columns(tmp_path / "clinic")
    result, alone = judged(both, root), judged(model, root)
    said = result.report["card"]["inputs"]["here"]
    assert said["stated"] == {"age": 23, "sex": 16, "place": 0, "history": 0}
    assert (said["records"], said["unreadable"]) == (24, {"age": 1})
    sentence = result.report["card"]["split"]["sentence"]
    assert "age of 23, sex of 16" in sentence and "nothing for place, history" in sentence
    assert "1 of the values of age cannot be read" in sentence
    assert "inputs" not in alone.report["card"]
    records = medloupe.read(root).records
    answers = []
    for r in records:
        given = {n.lower(): v for n, v in r.columns.items() if n != "shoes" and v != "old"}
        answers.append(both.predict(r.picture, given).prediction)
    right = np.mean([answer in r.labels for answer, r in zip(answers, records, strict=True)])
    assert result.report["card"]["metrics"]["accuracy"]["value"] == pytest.approx(right, abs=1e-6)
    assert result.report["card"]["metrics"]["ece"]["value"] != alone.report["card"]["metrics"]["ece"]["value"]


def test_ages_follow_from_dates(model: medloupe.Model, tmp_path: Path) -> None:
    """As in training: for the inputs, and for the figures of age groups."""
    rows = [
        {"label": "sick" if i % 2 else "normal", "dob": f"{1990 - 30 * (i < 22)}-01-31", "study_date": "2020-02-01"}
        for i in range(44)
    ]
    root = generated.table(tmp_path / "clinic", rows, [generated.tissue(800 + i, i % 2 == 1) for i in range(44)])
    result = judged(replace(model, extras=several.extras(2)), root)
    card = result.report["card"]
    assert card["inputs"]["here"]["stated"]["age"] == 44
    assert [(g["value"], g["n"]) for g in card["subgroups"]] == [("18-39", 22), ("60-79", 22)]


def test_a_table_without_its_inputs_judges_the_picture_alone(model: medloupe.Model, tmp_path: Path) -> None:
    root = generated.folders(tmp_path / "clinic", 10, first=500)
    both, alone = judged(replace(model, extras=several.extras(2)), root), judged(model, root)
    assert both.as_json()["metrics"] == alone.as_json()["metrics"]
    assert "The pictures were judged alone." in both.report["card"]["split"]["sentence"]
