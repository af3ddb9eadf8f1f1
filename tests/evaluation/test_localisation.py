"""Where heat maps point, judged by boxes: which boxes count, who judges, what is kept and where it is said."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import generated
import medloupe
import synthetic
from generated import SIDE, run
from live import running
from medloupe.data.records import Box, Dataset, Record
from medloupe.errors import DataError, StoreError
from medloupe.evaluation.box_labels import match_boxes_to_labels
from medloupe.evaluation.kept import keep_entry
from medloupe.evaluation.localisation import LocalisationResult, judge_localisation
from medloupe.modelfile.schema import card_fault
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.figures import read_pointed
from medloupe.serving.web.heats import word_pointed
from medloupe.serving.web.language import language
from medloupe.store.models import Store
from trained import Trained
from visiting import ask, browser, png

HALF = SIDE // 2


def cornered(number: int) -> tuple[np.ndarray, Box]:
    """Tissue with its bright spots in one quarter of the picture, and that quarter."""
    rng = np.random.default_rng([number, 9])
    grey = generated.tissue(number, sick=False)[:, :, 0].astype(float)
    left, top = rng.integers(0, 2, 2) * HALF
    yy, xx = np.mgrid[:SIDE, :SIDE]
    for x, y in rng.integers(6, HALF - 6, (6, 2)) + np.array([left, top]):
        grey += rng.uniform(60, 110) * (np.hypot(xx - x, yy - y) < rng.integers(3, 6))
    pixels = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, 2)
    return pixels, Box("sick", float(left), float(top), HALF - 2, HALF - 2)


def boxed(root: Path, count: int = 24, name: str = "sick") -> Dataset:
    records = []
    for i in range(count):
        pixels, box = cornered(900 + i)
        file = generated.save(root / f"{i:03}.png", pixels)
        records.append(
            Record(id=file.name, image=file, labels={"sick": 1}, patient=str(i // 2), boxes=(replace(box, label=name),))
        )
    return synthetic.of_records(records, ("normal", "sick"), root)


@pytest.fixture
def model(trained: Trained) -> medloupe.Model:
    return Store(trained.home).get("spots")


@pytest.fixture(scope="module")
def found(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> LocalisationResult:
    return judge_localisation(Store(_trained.home).get("spots"), boxed(tmp_path_factory.mktemp("boxed")))


def test_heat_maps_point_at_the_spots(found: LocalisationResult) -> None:
    (row,) = found.labels
    assert (found.judged, row["label"], row["n"], row["groups"]) == ("model", "sick", 24, 12)
    assert row["pointing"]["value"] > 0.8
    assert row["energy"]["value"] > 2 * row["baselines"]["middle"]["energy"]["value"]
    assert row["baselines"]["usual_place"]["pointing"]["value"] < 0.6
    assert row["gain"]["pointing"]["low"] > 0
    assert "does better than" in row["words"]
    assert found.basis[0].startswith("Judged on the 24 images")


def test_pictures_it_has_learned_from_are_left_out(model: medloupe.Model, trained: Trained, tmp_path: Path) -> None:
    data = boxed(tmp_path)
    seen = sorted((trained.data / "sick").glob("*.png"))[:3]
    whole = (Box("sick", 0, 0, SIDE, SIDE),)
    learned = [Record(id=f"seen{i}", image=p, labels={"sick": 1}, patient="0", boxes=whole) for i, p in enumerate(seen)]
    result = judge_localisation(model, replace(data, records=(*data.records, *learned)))
    assert result.images == 22  # the patient of these three has two other pictures
    assert result.left_out["pictures"] == {"pictures of patients it was trained on": 5}


def test_heads_that_have_not_seen_them_judge_where_no_other_pictures_are(
    model: medloupe.Model, trained: Trained, tmp_path: Path
) -> None:
    data = medloupe.read(trained.data)
    whole = (Box("sick", 0, 0, SIDE, SIDE),)
    drawn = tuple(replace(r, boxes=whole if r.labels.get("sick") else ()) for r in data.records)
    result = judge_localisation(model, replace(data, records=drawn))
    assert (result.judged, result.images) == ("out of fold", 16)
    assert result.labels[0]["pointing"]["value"] == 1
    file = medloupe.load(trained.onnx)
    alone = replace(file, backbone=replace(file.backbone, path=trained.onnx))  # with no map for another head
    with pytest.raises(DataError, match="has learned from all pictures"):
        judge_localisation(alone, replace(data, records=drawn))


def test_a_file_of_its_own_points_as_the_version_does(
    trained: Trained, found: LocalisationResult, tmp_path: Path
) -> None:
    file = judge_localisation(medloupe.load(trained.onnx), boxed(tmp_path))
    assert file.labels[0]["pointing"]["value"] == pytest.approx(found.labels[0]["pointing"]["value"], abs=0.05)


def test_boxes_belong_to_labels_by_name_or_as_told(model: medloupe.Model, tmp_path: Path) -> None:
    data = boxed(tmp_path, 3, "SICK")
    assert [list(m) for m in match_boxes_to_labels(model, data, {})[0]] == [[1], [1], [1]]
    lungs = boxed(tmp_path, 3, "lung")
    with pytest.raises(DataError, match="lung") as told:
        match_boxes_to_labels(model, lungs, {})
    assert '--box-label "lung=sick"' in told.value.hint
    healthy = replace(lungs.records[0], labels={"normal": 1})
    unlabelled = replace(lungs.records[1], labels={})
    mixed = replace(lungs, records=(healthy, unlabelled, lungs.records[2]))
    marked, left_out = match_boxes_to_labels(model, mixed, {"lung": "Sick"})
    assert [list(m) for m in marked] == [[], [], [1]]
    assert left_out == {
        "lung: on pictures that are said not to have it": 1,
        "lung: on pictures without sick": 1,
    }


def test_boxes_that_cannot_be_used_are_counted(model: medloupe.Model, tmp_path: Path) -> None:
    data = boxed(tmp_path, 2)
    first = replace(data.records[0], boxes=(*data.records[0].boxes, Box("tube", 0, 0, 9, 9), Box("sick", 3, 3, 0, 5)))
    marked, left_out = match_boxes_to_labels(model, replace(data, records=(first, data.records[1])), {})
    assert [len(m[1]) for m in marked] == [1, 1]
    assert left_out == {"tube: no label of the model": 1, "sick: of no size": 1}


@pytest.mark.parametrize(
    ("told", "said"), [({"lungs": "sick"}, "No box of .* is called 'lungs'"), ({"sick": "ill"}, "has no label 'ill'")]
)
def test_names_that_are_not_there_are_told(
    model: medloupe.Model, tmp_path: Path, told: dict[str, str], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        match_boxes_to_labels(model, boxed(tmp_path, 2), told)


def test_data_without_boxes_is_refused(model: medloupe.Model, trained: Trained) -> None:
    with pytest.raises(DataError, match="has no boxes"):
        judge_localisation(model, medloupe.read(trained.data))


def test_padding_is_no_part_of_the_picture(model: medloupe.Model, found: LocalisationResult, tmp_path: Path) -> None:
    """Twice as wide, the same picture lies in the middle of the fitted square; its boxes are still where they were."""
    data = boxed(tmp_path, 12)
    wide = []
    for record in data.records:
        assert isinstance(record.image, Path)
        pixels = np.asarray(Image.open(record.image))
        side = np.repeat(pixels[:, ::-1].mean(axis=(1, 2), keepdims=True), SIDE, 1).astype(np.uint8)
        file = generated.save(tmp_path / "wide" / record.image.name, np.hstack([pixels, np.repeat(side, 3, 2)]))
        wide.append(replace(record, image=file))
    (row,) = judge_localisation(model, replace(data, records=tuple(wide))).labels
    assert row["pointing"]["value"] > 0.6
    assert row["baselines"]["middle"]["energy"]["value"] == pytest.approx(30 * 30 / 64 / 128)


# ------------------------------------------------------------------ kept, and said


def test_it_is_kept_as_a_version_with_the_same_weights(
    trained: Trained, found: LocalisationResult, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained.home, home)
    store = Store(home)
    model = store.get("spots")
    kept = keep_entry(model, "localisation", found.entry, found.records, store=store)
    assert (kept.version, card_fault(kept.card)) == (2, "")
    again = store.get("spots", 2)
    assert again.card["localisation"] == found.entry
    assert np.array_equal(again.head.weight, model.head.weight)
    assert again.report == model.report
    assert (store.folder("spots", 2) / "judged.npz").read_bytes() == (
        store.folder("spots", 1) / "judged.npz"
    ).read_bytes()
    assert medloupe.load(store.folder("spots", 2) / "model.onnx").card["localisation"] == found.entry
    assert store.production()["spots"][0] == 1
    store.promote("spots", 2, actor="test")
    with running(home, "--keep-images") as server, browser(server) as client:
        page = ask(client, ("a.png", png(3, sick=True)))
        french = client.get(f"{page.url}?lang=fr").text
    assert "judged on 24 pictures with boxes (set)." in page.text and "data-judged" in page.text
    assert "d’après 24 images avec des cadres (set)." in french
    with pytest.raises(StoreError, match="file of its own"):
        keep_entry(medloupe.load(trained.onnx), "localisation", found.entry, found.records, store=Store(tmp_path / "x"))


def test_the_page_says_it_under_the_heat_map(model: medloupe.Model, found: LocalisationResult) -> None:
    checkup = CheckUp.of(replace(model, card={**model.card, "localisation": found.entry}))
    (pointed,) = checkup.pointed.values()
    assert pointed.better
    said = word_pointed(pointed, language("en"), "sick")
    assert "judged on 24 pictures with boxes (set)." in said
    assert "with boxes." in word_pointed(replace(pointed, data=""), language("en"), "sick")
    assert "no guide" not in said
    worse = replace(pointed, better=False, places=("Left Lung", "Right Lung"))
    assert "no guide" in word_pointed(worse, language("en"), "sick")
    assert "Left Lung, Right Lung" in word_pointed(worse, language("fr"), "malade")
    assert CheckUp.of(model).pointed == {}


@pytest.mark.parametrize(
    "entry",
    [None, [], {"labels": None}, {"labels": ["x", {"label": "a"}, {"label": "a", "n": 3, "pointing": {"value": "x"}}]}],
)
def test_cards_from_elsewhere_are_not_believed(entry: object) -> None:
    assert list(read_pointed(entry)) == []


def test_the_command_line_prints_and_keeps(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained.home, home)
    monkeypatch.setenv("MEDLOUPE_HOME", str(home))
    data = tmp_path / "data"
    rows = ["file,label,x,y,w,h"]
    for i in range(8):
        pixels, box = cornered(700 + i)
        generated.save(data / "sick" / f"{i}.png", pixels)
        rows.append(f"sick/{i}.png,sick,{box.x},{box.y},{box.width},{box.height}")
    generated.save(data / "normal" / "0.png", generated.tissue(900, sick=False))
    (data / "boxes.csv").write_text("\n".join(rows) + "\n")
    plain = run(capsys, "evaluate", "spots", data, "--boxes")
    assert plain.code == 0
    assert "points into a box" in plain.out and "always the middle" in plain.out
    kept = run(capsys, "evaluate", "spots", data, "--boxes", "--keep", "--json")
    assert kept.code == 0
    (line,) = kept.lines
    assert (line["kept"], line["n"], line["labels"][0]["label"]) == ("spots@2", 8, "sick")
    shown = run(capsys, "models", "show", "spots@2", "--json")
    assert shown.lines[0]["localisation"]["n"] == 8


@pytest.mark.parametrize(
    "options",
    [("--keep",), ("--box-label", "a=b"), ("--boxes", "--box-label", "a"), ("--boxes", "--report", "x.html")],
)
def test_options_that_do_not_go_together_are_refused(
    trained: Trained, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    assert run(capsys, "evaluate", "spots", trained.data, *options).code == 2
    assert run(capsys, "evaluate", trained.onnx, trained.data, "--boxes", "--keep").code == 2
