"""The check-ups in the package: whole, small, introduced in words, and asked about real pictures."""

from __future__ import annotations

import json
import shutil
import sys
import zlib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

import ecgmodels
import generated
from generated import run
from medloupe.embed.network import Network
from medloupe.embed.registry import ECG_BEATS, ECG_TWELVE
from medloupe.errors import MedloupeError, NotAnImageError, StoreError
from medloupe.imaging.corruptions import CORRUPTIONS, limit_size
from medloupe.imaging.decode import decode
from medloupe.imaging.decode import load as pixels_of
from medloupe.inference.choosing import AutoPredictor
from medloupe.inference.find import find_model, list_beside, list_choosable_models
from medloupe.inference.pictures import Predictor
from medloupe.serving.web.language import CODES, language
from medloupe.starter import shipped
from places import ROOT

SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))

import checkups_page  # noqa: E402
import terms  # noqa: E402
from starters import STARTERS  # noqa: E402

SILENT = ("refused", "unusable")  # nothing is said of what is foreign, or blank
CHECKUPS = [name for name in shipped.list_shipped() if name != shipped.EVERYDAY]
DEFINED = {s.name: s for s in STARTERS}
ECGS = [s.name for s in STARTERS if s.kind == "ECG"]
PICTURES = [name for name in CHECKUPS if name not in ECGS]
FINDERS = [s.name for s in STARTERS if s.finds]


@pytest.fixture(autouse=True)
def _all(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("MEDLOUPE_STARTERS", "all")
    monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path_factory.getbasetemp() / "starters"))


def test_what_is_defined_is_shipped() -> None:
    assert set(CHECKUPS) == set(DEFINED)
    assert shipped.list_offered() == shipped.list_shipped()


def test_each_lies_in_the_wheel_that_its_data_allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert terms.find_breaches() == []
    assert set(shipped.ELSEWHERE) == {path.parent.name for path in terms.RESEARCH.glob("*/card.json")}
    for name in CHECKUPS:
        card = shipped.load_shipped(name).card
        assert card["terms"] == DEFINED[name].terms
        assert DEFINED[name].data in card["shipped"]["made_from"]
        assert shipped.find_folders()[name] == terms.place_of(card["terms"]) / name
    card = json.loads((terms.MAIN / "malaria" / "card.json").read_text("utf-8"))
    for place, change in (
        ("main/a", {"shipped": {"made_from": ["skin", "malaria"]}}),
        ("main/b", {"terms": "research"}),
        ("research/c", {"shipped": {}}),
        ("research/d", {}),
    ):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        (folder / "card.json").write_text(json.dumps({**card, **change}), "utf-8")
    monkeypatch.setattr(terms, "MAIN", tmp_path / "main")
    monkeypatch.setattr(terms, "RESEARCH", tmp_path / "research")
    said = terms.find_breaches()
    assert [line.partition(":")[0] for line in said] == ["a", "b", "c", "d"]
    assert "made from skin" in said[0] and "belongs into the first wheel" in said[3]


def test_other_packages_bring_check_ups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Those of a package that is installed are offered; a taken name and a package that is gone are said, no more."""
    package = tmp_path / "hospital_checkups"
    for name in ("ours", "malaria"):
        shutil.copytree(shipped.find_folders()["malaria"], package / "checkups" / name)
    (package / "__init__.py").write_text("raise RuntimeError('it is never imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    entries = [EntryPoint(n, v, shipped.GROUP) for n, v in (("hospital", "hospital_checkups"), ("gone", "not_there"))]
    monkeypatch.setattr(shipped, "entry_points", lambda group: entries)
    shipped.find_folders.cache_clear()
    try:
        assert shipped.find_folders()["ours"] == package / "checkups" / "ours"
        assert shipped.find_folders()["malaria"] == terms.MAIN / "malaria"
        assert "skin" not in shipped.list_shipped()
        with pytest.raises(StoreError) as asked:
            find_model("skin")
        assert "pip install medloupe-research" in asked.value.hint
        monkeypatch.setenv("MEDLOUPE_STARTERS", "skin")
        with pytest.raises(MedloupeError) as told:
            shipped.list_offered()
        assert "pip install medloupe-research" in told.value.hint
        assert shipped.load_shipped("ours").labels == shipped.load_shipped("malaria").labels
    finally:
        shipped.find_folders.cache_clear()
    assert (
        "not_there cannot be imported" in caplog.text and "malaria of hospital_checkups is passed over" in caplog.text
    )


def test_what_is_offered_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_STARTERS", "none")
    assert shipped.list_offered() == ()
    with pytest.raises(StoreError, match="no model"):
        find_model("malaria")
    monkeypatch.setenv("MEDLOUPE_STARTERS", "skin, malaria")
    assert shipped.list_offered() == ("malaria", "skin")
    assert {m.name for m in list_choosable_models()} == {"malaria", "skin"}
    monkeypatch.setenv("MEDLOUPE_STARTERS", "skn")
    with pytest.raises(MedloupeError, match="names 'skn'") as e:
        shipped.list_offered()
    assert "skin" in e.value.hint


@pytest.mark.parametrize("name", CHECKUPS)
def test_the_card_says_what_must_be_known(name: str) -> None:
    model = shipped.load_shipped(name)
    card, one = model.card, DEFINED[name]
    assert (card["name"], card["version"], card["title"], card["about"]) == (name, None, one.title, one.about)
    assert card["licence"] == card["data"]["licence"] == one.licence
    assert card["data"]["name"] == one.collection
    assert set(one.weaknesses) <= set(card["limits"])
    assert "not a medical device" in card["intended_use"]
    finds = name in FINDERS
    for metric in ("map50", "map", "sensitivity") if finds else ("auc", "balanced_accuracy", "ece"):
        value = card["metrics"][metric]
        assert value["low"] <= value["value"] <= value["high"]
    assert card["metrics"]["map50" if finds else "auc"]["low"] > 0.5
    for row in card["per_label"]:
        assert {"sensitivity", *(() if finds else ("specificity",))} <= set(row["operating_point"])
    assert card["shipped"]["moved"] <= (1e-4 if finds else 0.02)
    assert model.novelty is not None
    assert (model.detector is not None) == (model.sight is not None) == finds
    if name in PICTURES and not finds:
        assert len(card["stress"]["changes"]) >= 15
        assert model.novelty.contrast is not None
    assert (model.tail is not None) == ((card.get("finetuning") or {}).get("winner") == "tail")


@pytest.mark.parametrize("code", CODES)
def test_every_title_and_label_is_in_words(code: str) -> None:
    words = language(code)
    for name in CHECKUPS:
        assert f"starter.{name}" in words.words
        for label in shipped.load_shipped(name).labels:
            assert f"label.{name}.{label.casefold()}" in words.words, label
    if code == "en":
        assert {n: words.t(f"starter.{n}") for n in CHECKUPS} == {n: DEFINED[n].title for n in CHECKUPS}


def test_the_package_stays_small() -> None:
    """As a wheel holds it, which is a zip; what is shipped of models counts as it lies on the disk, too."""
    root = Path(shipped.__file__).parents[1]
    files = [p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sum(len(zlib.compress(p.read_bytes())) for p in files) <= 28.5e6
    assert sum(p.stat().st_size for p in files if "starter" in p.parts) <= 28.5e6  # of which 0.3 a detector


def test_the_page_is_in_step() -> None:
    assert checkups_page.PAGE.read_text("utf-8") == checkups_page.page()


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "starters", "list", "--json").lines
    assert [line["name"] for line in said] == list(shipped.list_shipped())
    assert all(line["offered"] for line in said)
    assert {line["name"]: line["things"] for line in said}["arrhythmia"] == "beats"
    (skin,) = [line for line in said if line["name"] == "skin"]
    assert skin["auc"]["low"] < skin["auc"]["value"] < skin["auc"]["high"]
    for line in (line for line in said if line["name"] in FINDERS):
        assert line["map50"]["low"] < line["map50"]["value"] < line["map50"]["high"]
    text = run(capsys, "starters", "list").out
    assert all(DEFINED[name].title in text for name in CHECKUPS)
    assert "CC BY-NC" in text


def bundled(name: str) -> np.ndarray:
    """A picture among scikit-image's files; none of them took part in anything."""
    with Image.open(Path(skimage.__file__).parent / "data" / name) as image:
        return np.asarray(image.convert("RGB"))


def test_foreign_pictures_are_refused_by_all() -> None:
    names = (
        "astronaut.png",
        "camera.png",
        "chelsea.png",
        "coffee.png",
        "page.png",
        "rocket.jpg",
        "motorcycle_left.png",
    )
    foreign = [bundled(name) for name in names]
    foreign += [np.full((200, 200, 3), 127, np.uint8), generated.tissue(1, True)]
    auto = AutoPredictor(list_choosable_models())
    for picture in foreign:
        assert auto.predict(picture).state in SILENT
    for name in PICTURES:
        predictor = Predictor(shipped.load_shipped(name))
        assert all(predictor.predict(picture).state in SILENT for picture in foreign), name


def test_a_cat_without_colour_is_no_chest() -> None:
    cat = bundled("chelsea.png").mean(2).astype(np.uint8)
    said = Predictor(shipped.load_shipped("pneumonia")).predict(cat)
    assert said.state in SILENT and said.prediction == ""
    assert said.refused is None or "pneumonia" in said.refused.reason


@pytest.mark.realdata
@pytest.mark.slow
def test_own_pictures_are_answered_and_find_their_check_up(real_sets: Path) -> None:
    """On pictures that took part in training: no figure, but whole and in the right place."""
    auto = AutoPredictor(list_choosable_models())
    of_kind = {s.name: s.kind for s in STARTERS if s.name in PICTURES}
    network = Network(shipped.load_shipped("malaria").backbone)
    for one in (s for s in STARTERS if s.name in PICTURES and not s.finds):
        data = one.read(real_sets)
        records = [r for r in data.records if r.labels][:: max(1, len(data) // 40)][:40]
        model = shipped.load_shipped(one.name)
        assert model.novelty is not None
        pixels = np.stack([pixels_of(r.picture, 224) for r in records])
        refused = model.novelty.score(network.see(pixels, maps=False).embedding) > 1
        assert refused.mean() <= 0.05, one.name
        asked = Predictor(model)
        p = np.stack([list(asked.predict(r.picture).probabilities.values()) for r in records[:10]])
        assert np.allclose(p.sum(1), 1, atol=1e-4)
        chosen = [auto.predict(r.picture).model for r in records]
        right = np.mean([of_kind.get(name) == one.kind for name in chosen])
        assert right >= 0.95, (one.name, chosen)


@pytest.mark.realdata
@pytest.mark.parametrize("name", FINDERS)
def test_a_detector_answers_its_own_kind_and_is_found_by_it(real_sets: Path, name: str) -> None:
    """On pictures that took part in training: no figure, but boxes, and in the right place."""
    auto = AutoPredictor(models := list_choosable_models(), beside=list_beside(models))
    one, asked = DEFINED[name], Predictor(shipped.load_shipped(name))
    records = one.read(real_sets).records[::15][:12]
    said = [asked.predict(r.picture) for r in records]
    answered = [s for s in said if s.refused is None]
    assert len(answered) >= len(said) - 1
    assert np.mean([bool(s.boxes) for s in answered]) >= 0.9
    kinds = {s.name: s.kind for s in STARTERS}
    chosen = [auto.predict(r.picture) for r in records]
    assert np.mean([name in {a.model for a in (c, *c.answers)} for c in chosen]) >= 0.9
    assert np.mean([kinds.get(c.model) == one.kind for c in chosen]) >= 0.9


@pytest.mark.realdata
@pytest.mark.parametrize("name", FINDERS)
def test_a_detector_refuses_other_kinds(real_sets: Path, name: str) -> None:
    asked, kind = Predictor(shipped.load_shipped(name)), DEFINED[name].kind
    refused = []
    for other in (s for s in STARTERS if s.name in PICTURES and s.kind != kind):
        records = [r for r in other.read(real_sets).records if r.picture is not None]
        refused += [asked.predict(r.picture).state in SILENT for r in records[:: max(1, len(records) // 6)][:6]]
    assert np.mean(refused) >= 0.95


@pytest.mark.realdata
def test_a_photographed_x_ray_is_answered(real_sets: Path) -> None:
    """Of pictures that took part in the contrast: that it holds for others is for benchmarks/refusal.py to say."""
    (one,) = (s for s in STARTERS if s.name == "pneumonia")
    predictor = Predictor(shipped.load_shipped("pneumonia"))
    screen = next(c for c in CORRUPTIONS if c.name == "screen")
    records = one.read(real_sets).records[::60][:30]
    refused = [predictor.predict(screen(limit_size(decode(r.picture)))).refused is not None for r in records]
    assert np.mean(refused) <= 0.2


def test_ecgs_are_answered_beat_by_beat() -> None:
    model = shipped.load_shipped("arrhythmia")
    assert model.labels == ("N", "S", "V", "F")
    assert any("rhythms" in limit for limit in model.card["limits"])
    assert (model.card["modality"], model.card["backbone"]["name"]) == ("ecg", ECG_BEATS)
    strip = ecgmodels.recording(1)
    said = model.predict(strip)
    assert said.refused is None
    assert sum(said.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert said.ecg is not None
    ectopic = [i for i, beat in enumerate(said.ecg.beats) if beat.label == "V"]
    assert {i % 5 for i in ectopic} == {4}, "every fifth beat is made ventricular"
    assert len(ectopic) >= 0.8 * len(said.ecg.beats) / 5
    assert (said.state, said.flagged) == ("flagged", ("V",))


def test_twelve_leads_are_answered() -> None:
    model = shipped.load_shipped("ecg12")
    assert model.labels == ("NORM", "MI", "STTC", "CD", "HYP")
    assert any("rhythm is not seen" in limit for limit in model.card["limits"])
    assert (model.card["modality"], model.card["backbone"]["name"]) == ("ecg", ECG_TWELVE)
    said = [model.predict(ecgmodels.standard(seed, blocked=blocked)) for seed in (1, 3) for blocked in (False, True)]
    for sinus, blocked in (said[:2], said[2:]):
        assert "NORM" in sinus.prediction
        assert blocked.probabilities["NORM"] < 0.1 < blocked.probabilities["CD"]
        assert sinus.probabilities["CD"] < blocked.probabilities["CD"]


@pytest.mark.parametrize("name", ECGS)
def test_the_card_of_an_ecg_check_up_names_its_data(name: str) -> None:
    card = shipped.load_shipped(name).card
    assert card["licence"] in ("ODC-BY 1.0", "CC BY 4.0")
    assert card["data"]["citation"] == DEFINED[name].citation
    assert card["data"]["patients"] >= 30
    assert any("not" in limit and "trained on" in limit for limit in card["limits"])
    with pytest.raises(MedloupeError, match="sampling rate"):
        shipped.load_shipped(name).predict(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(NotAnImageError, match="looks at pictures"):
        shipped.load_shipped("malaria").predict(ecgmodels.standard(1))


def test_one_can_go_on_from_a_check_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tuned = next(name for name in CHECKUPS if shipped.load_shipped(name).tail is not None)
    data = generated.folders(tmp_path / "mine", 8)
    run(capsys, "train", data, "--name", "mine", "--from", tuned, "--json")
    card = find_model("mine").card
    assert any("public pictures" in w["text"] for w in card["warnings"])
    assert card["started_from"]["name"] == tuned
    assert card["tail"] == shipped.load_shipped(tuned).card["tail"]
    assert DEFINED[tuned].licence in card["licence"]


def test_a_card_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    (card,) = run(capsys, "models", "show", "malaria", "--json").lines
    assert card["title"] == DEFINED["malaria"].title
    assert json.dumps(card)
