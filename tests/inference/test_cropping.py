"""Models of crops: trained on boxes, asked about crops that are said to be some, or about what a detector finds."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import generated
import medloupe
from discs import write_discs, write_sick_discs
from generated import run
from live import running
from medloupe.data.reading import read
from medloupe.errors import DataError, FinetuneError, StoreError
from medloupe.inference.compose import assemble
from medloupe.inference.cropping import CroppingPredictor
from medloupe.inference.find import find_model, list_choosable_models
from medloupe.training.detect import loop

pytest.importorskip("torch")

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a detector of discs and squares, `kinds` of single boxes, and `sick` of pictures cut to the disc."""
    root = tmp_path_factory.mktemp("crops")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(root / "home"))
        patch.setattr(loop, "STEPS", 200)
        discs = write_discs(root / "discs", 40)
        medloupe.train(medloupe.read(discs), name="shapes")
        medloupe.train(medloupe.read(discs, crop=0.2), name="kinds")
        sick = medloupe.read(write_sick_discs(root / "sick"), crop=0.2, crop_to="disc")
        medloupe.train(sick, name="sick", sought=["sick"])
    return root


@pytest.fixture
def home(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDLOUPE_HOME", str(made / "home"))
    return made


def test_the_card_says_how_crops_were_made_and_who_stayed_together(home: Path) -> None:
    card = find_model("kinds").card
    assert card["crop"]["each"] is True
    assert (card["crop"]["labels"], card["crop"]["margin"]) == (["disc", "square"], 0.2)
    assert card["crop"]["grey"] is False
    assert 20 <= card["crop"]["side"] <= 60
    assert card["split"]["groups"] <= 40 < card["data"]["labelled"]
    assert card["audit"]["shortcut"] is None  # size and colour are the things' own
    assert card["scope"][0] == "single crops only: disc, square"
    assert card["crop"]["words"][0] in card["limits"]
    assert any("names no patients" in warning["text"] for warning in card["warnings"])
    assert card["metrics"]["auc"]["value"] > 0.95
    assert find_model("sick").card["crop"]["each"] is False
    assert find_model("sick").card["metrics"]["auc"]["value"] > 0.9


def test_whole_pictures_are_refused_by_boundaries_that_had_not_seen_them(home: Path) -> None:
    told = find_model("kinds").card["crop"]["whole_refused"]
    assert told["value"] >= 0.95
    assert find_model("kinds").novelty.contrast is not None  # type: ignore[union-attr]


def test_a_picture_that_nobody_calls_a_crop_is_not_answered(home: Path) -> None:
    model = find_model("sick")
    whole = home / "sick/images/01.png"
    said = model.predict(whole).as_json()
    assert said["state"] == "unusable"
    assert said["why"]["code"] == "whole_picture"
    assert said["prediction"] == ""
    record = next(r for r in read(home / "sick", crop=0.2, crop_to="disc").records if r.id == "images/01.png")
    assert model.predict(record.picture, cropped=True).as_json()["prediction"] == "sick"


def test_a_detector_finds_where_to_cut(home: Path) -> None:
    predictor = CroppingPredictor(find_model("sick"), find_model("shapes"))
    answers = [predictor.predict(home / f"sick/images/{i:02}.png").as_json() for i in range(12)]
    judged = [(i, a) for i, a in enumerate(answers) if a["state"] != "unusable"]
    assert len(judged) >= 9
    assert sum(a["prediction"] == ("sick" if i % 2 else "healthy") for i, a in judged) >= len(judged) - 1
    empty = np.random.default_rng(0).normal(60, 12, (128, 160, 3)).clip(0, 255).astype(np.uint8)
    said = predictor.predict(empty).as_json()
    assert said["state"] == "unusable"
    assert said["why"]["code"] == "not_found"
    assert set(said["probabilities"].values()) == {0.0}


def test_what_does_not_fit_together_is_refused(home: Path) -> None:
    kinds, sick, shapes = find_model("kinds"), find_model("sick"), find_model("shapes")
    with pytest.raises(StoreError, match="whole pictures"):
        CroppingPredictor(shapes, shapes)
    with pytest.raises(StoreError, match="no detector"):
        CroppingPredictor(sick, kinds)
    with pytest.raises(FinetuneError, match="Crops are told"):
        medloupe.train(read(home / "discs", crop=0.2), name="other", finetune="full")


def test_composed_it_goes_by_what_its_card_says_of_crops(home: Path) -> None:
    composed = assemble("field", find_model("shapes"), "disc", find_model("kinds")).card["composed"]
    crop = find_model("kinds").card["crop"]
    assert (composed["margin"], composed["grey"], composed["side"]) == (crop["margin"], crop["grey"], crop["side"])


def test_the_command_line_asks_and_answers(home: Path, capsys: Capture) -> None:
    predictor = CroppingPredictor(find_model("sick"), find_model("shapes"))
    sick = [home / f"sick/images/{i:02}.png" for i in range(1, 12, 2)]
    whole = next(
        file for file in sick if predictor.predict(file).as_json()["state"] != "unusable"
    )  # a few are not found
    asked = run(capsys, "predict", "sick", whole, "--json")
    asked.failed("--cropped", "--find DETECTOR", code=2)
    (line,) = run(capsys, "predict", "sick", whole, "--json", "--find", "shapes").lines
    assert line["prediction"] == "sick"
    (line,) = run(capsys, "predict", "kinds", whole, "--json", "--cropped").lines
    assert line["state"] == "refused"
    (line,) = run(capsys, "predict", "kinds", whole, "--json", "--find", "shapes:disc").lines
    assert {cell["label"] for cell in line["asked"]["cells"]} <= {"disc", ""}
    several = run(capsys, "predict", "kinds", whole, "--find", "shapes")
    assert (several.code, "shapes:disc" in several.err) == (2, True)
    needless = run(capsys, "predict", "shapes", whole, "--cropped")
    assert (needless.code, "looks at whole" in needless.err) == (2, True)


def test_it_is_judged_on_crops_made_as_its_own(home: Path, tmp_path: Path, capsys: Capture) -> None:
    other = write_discs(tmp_path / "other", 20, seed=7)
    (line,) = run(capsys, "evaluate", "kinds", other, "--json").lines
    assert line["n"] == len(read(other, crop=0.2))
    assert line["metrics"]["auc"]["value"] > 0.95
    cut = tmp_path / "cut"
    for record in read(other, crop=0.2).records:
        (label,) = record.labels
        assert isinstance(record.picture, np.ndarray)
        generated.save(cut / label / f"{record.id.replace('/', '-')}.png", record.picture)
    run(capsys, "evaluate", "kinds", cut).failed("no boxes")
    (again,) = run(capsys, "evaluate", "kinds", cut, "--json", "--cropped").lines
    assert again["n"] == line["n"]


def test_a_picture_never_chooses_it(home: Path) -> None:
    try:
        names = [model.name for model in list_choosable_models()]
    except StoreError:
        names = []
    assert not {"kinds", "sick"} & set(names)


def test_the_server_answers_crops_that_are_said_to_be_some(home: Path, tmp_path: Path) -> None:
    record = next(r for r in read(home / "sick", crop=0.2, crop_to="disc").records if r.id == "images/01.png")
    assert isinstance(record.picture, np.ndarray)
    crop = generated.save(tmp_path / "crop.png", record.picture).read_bytes()
    shutil.copytree(home / "home", tmp_path / "home")
    with running(tmp_path / "home") as server:
        bare, told = server.ask("sick", crop).json(), server.ask("sick", crop, cropped="true").json()
    assert bare["state"] == "unusable"
    assert bare["why"]["code"] == "whole_picture"
    assert told["prediction"] == "sick"


def test_crops_cannot_be_made_of_data_without_boxes(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to crop to"):
        medloupe.validate(find_model("kinds"), read(generated.folders(tmp_path / "flat"), crop=0.2))
