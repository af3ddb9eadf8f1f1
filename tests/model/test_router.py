"""Which check-up an image belongs to, and what a refused one looks like."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import generated
import medloupe
import tiny
from embedded import LEVELS, embeddings
from generated import run
from medloupe.embed.registry import backbone
from medloupe.errors import ClinicalError, StoreError
from medloupe.inference.choosing import AutoPredictor
from medloupe.inference.everyday import load_everyday
from medloupe.inference.find import list_choosable_models, make_looks_like
from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.model.novelty import Novelty
from medloupe.model.router import EVOKED, UNKNOWN_TO_ALL, Everyday, Router, find_kind, kind_key, refusal_reason
from medloupe.model.sketch import sketch
from medloupe.starter import shipped
from medloupe.store.models import Store
from medloupe.training.heads.contrast import fit_contrast
from trained import Trained


def novelty(kind: int) -> Novelty:
    fitted = Novelty.fit(embeddings(120, kind, kind), np.arange(120), LEVELS, 0)
    assert fitted is not None
    return fitted


@pytest.fixture(scope="module")
def checkups() -> dict[str, Novelty]:
    return {name: novelty(kind) for kind, name in enumerate(("lungs", "eyes", "cells"))}


def test_each_image_finds_its_check_up(checkups: dict[str, Novelty]) -> None:
    router = Router(checkups)
    for kind, name in enumerate(checkups):
        for row in embeddings(40, 50, kind)[:20]:
            choice = router.choose(row)
            assert choice.name in (name, None)
            assert choice.scores == pytest.approx({n: float(v.score(row[None])[0]) for n, v in checkups.items()})
        chosen = [router.choose(row).name for row in embeddings(200, 51, kind)]
        assert chosen.count(name) >= 190


def test_where_all_refuse_none_is_chosen(checkups: dict[str, Novelty]) -> None:
    router = Router(checkups)
    for row in embeddings(20, 52, kind=7):
        choice = router.choose(row)
        assert choice.name is None
        assert min(choice.scores.values()) > 1
        assert router.looks_like(row, "lungs") == ""
    nothing = Router({}).choose(embeddings(1, 53)[0])
    assert (nothing.name, nothing.scores) == (None, {})


def test_the_least_foreign_is_chosen_and_never_the_one_asked_is_named() -> None:
    """Two check-ups for one kind of picture: one of them has seen more variety."""
    narrow, wide = novelty(0), replace(novelty(0), limit=1.2 * novelty(0).limit)
    row = embeddings(1, 54)[0]
    router = Router({"narrow": narrow, "wide": wide})
    assert router.choose(row).name == "wide"
    assert router.looks_like(row, "wide") == "narrow"
    assert router.looks_like(row, "narrow") == "wide"
    assert router.looks_like(embeddings(1, 55, kind=8)[0], "narrow") == ""


def test_what_is_forgiven_makes_nothing_fit_better() -> None:
    """One check-up knows other kinds and gives room; the other knows the picture better."""
    own, plain = embeddings(120, 0), novelty(0)
    z = sketch(own, LEVELS)
    generous = replace(fit_contrast(z, sketch(embeddings(120, 1, 1), LEVELS)), sure=1e-3, room=1.0)
    far = replace(plain, limit=0.8 * plain.limit, contrast=generous)
    router = Router({"far": far, "near": plain})
    row = embeddings(1, 54)[0]
    scores = router.scores(row)
    assert scores["far"] < scores["near"] <= 1
    assert list(router.rank(row)) == ["near", "far"]
    assert router.choose(row).name == "near"


def test_a_check_up_goes_before_an_everyday_object(checkups: dict[str, Novelty]) -> None:
    sure = Everyday(weight=np.zeros((2, 5), np.float16), bias=np.array([9, 0], np.float32), labels=("cup", "tray"))
    router = Router(checkups, sure)
    assert router.looks_like(embeddings(1, 56, kind=1)[0], "lungs") == "eyes"
    assert router.looks_like(embeddings(1, 56, kind=7)[0], "lungs") == "an everyday object: cup"


@pytest.mark.parametrize(
    ("bias", "said"),
    [
        ((9, 0, 0, 0), "cup"),
        ((1, 1, -4, -4), "cup or tray"),
        ((0, 0, 0, 0), ""),
        ((0, 0, 9, 0), ""),  # what X-rays and smears evoke
        ((2, 0, 2, 0), ""),
        ((np.nan, 0, 0, 0), ""),
    ],
)
def test_only_what_is_clear_is_named(bias: tuple[float, ...], said: str) -> None:
    labels = ("cup", "tray", "nematode", "vase")
    head = Everyday(weight=np.zeros((4, 3), np.float16), bias=np.array(bias, np.float32), labels=labels)
    assert head.name(np.ones(5, np.float32)) == said


def test_the_everyday_head_is_that_of_the_shipped_model() -> None:
    head = load_everyday(backbone().sha256)
    assert head is not None
    assert set(head.labels) >= EVOKED
    assert load_everyday("0" * 64) is None
    assert head.weight.nbytes < 3e6
    whole = shipped.load_shipped("imagenet").head
    x = np.random.default_rng(0).gamma(0.5, 1, 3584).astype(np.float32)
    ours = head.weight @ x[: head.weight.shape[1]] + head.bias
    assert ours == pytest.approx(whole.logits(x[None])[0], abs=1e-2)


def test_the_reason_is_a_sentence() -> None:
    said = "This picture is unlike everything 'pneumonia' was trained on (1.8 times the limit)."
    assert refusal_reason("pneumonia", 1.8) == said


def test_all_of_the_nearest_kind_are_found_whether_they_know_the_picture_or_not() -> None:
    cards = {
        "a": {"kind": "Chest X-ray "},
        "b": {"kind": "chest x-ray"},
        "c": {"kind": "fundus"},
        "fundus": {},
        "e": {},
    }
    kinds = {name: kind_key(card, name) for name, card in cards.items()}
    assert find_kind({"c": 0.5, "b": 0.4}, kinds) == ["b", "a"]
    assert find_kind({"b": 0.5, "a": 0.4, "c": 0.45}, kinds) == ["a", "b"]
    assert find_kind({"c": 0.2}, kinds) == ["c"], "a name is no kind"
    assert find_kind({"e": 0.1, "a": 0.2}, kinds) == ["e"]
    assert find_kind({}, kinds) == []


# ------------------------------------------------------------------ with real networks


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two check-ups for different pictures, `spots` and `stripes`, and `few`, which cannot tell."""
    root = tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(root / "home"))
        medloupe.train(medloupe.read(generated.folders(root / "spots", 17)), name="spots")
        for label in ("wide", "narrow"):
            for number in range(17):
                generated.save(root / "stripes" / label / f"{number:03}.png", stripes(number, label == "narrow"))
        medloupe.train(medloupe.read(root / "stripes"), name="stripes", kind=" Stripes ")
        medloupe.train(medloupe.read(generated.folders(root / "few", 6)), name="few")
    return root / "home"


def stripes(number: int, narrow: bool) -> np.ndarray:
    """uint8 (64, 64, 3): coloured stripes, different for every number."""
    rng = np.random.default_rng([7, number, int(narrow)])
    place = np.arange(64)[:, None] * rng.uniform(0.8, 1.2) + np.arange(64)[None] * rng.uniform(-0.3, 0.3)
    wave = np.sin(place * (1.3 if narrow else 0.4) + rng.uniform(0, 6))
    colours = np.array([200, 90, 40]) + rng.uniform(-20, 20, 3)
    pixels = colours * (0.6 + 0.4 * wave[..., None]) + rng.normal(0, 4, (64, 64, 3))
    return pixels.clip(0, 255).astype(np.uint8)


def test_auto_answers_as_the_chosen_model_would(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(two))
    models = list_choosable_models()
    assert [m.name for m in models] == ["spots", "stripes"]
    auto = AutoPredictor(models)
    for name, picture in (("spots", generated.tissue(900, True)), ("stripes", stripes(900, True))):
        said, direct = auto.predict(picture, heatmap=True), Store(two).get(name).predict(picture, heatmap=True)
        assert (said.model, said.version, said.prediction) == (name, 1, direct.prediction)
        assert said.refused is None
        assert dict(said.probabilities) == pytest.approx(dict(direct.probabilities), abs=1e-5)
        assert said.heatmap is not None
        assert direct.heatmap is not None
        assert said.heatmap == pytest.approx(direct.heatmap, abs=1e-4)


def test_training_says_of_what_kind_it_is(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Store(two).get("stripes").card["kind"] == "Stripes"
    assert "kind" not in Store(two).get("spots").card
    long = run(capsys, "train", two.parent / "stripes", "--name", "x", "--kind", "x" * 61, "--home", two)
    long.failed("A kind of picture is told in at most 60 letters.")


def test_auto_on_the_command_line(
    two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(two))
    files = [
        generated.save(tmp_path / "a.png", generated.tissue(901, False)),
        generated.save(tmp_path / "b.png", stripes(901, False)),
        generated.save(tmp_path / "c.png", np.random.default_rng(0).integers(0, 256, (90, 90, 3)).astype(np.uint8)),
    ]
    (tmp_path / "d.png").write_bytes(b"no image")
    said = run(capsys, "predict", "auto", *files, tmp_path / "d.png", "--json")
    assert said.code == 1
    first, second, third, fourth = said.lines
    assert (first["model"], first["prediction"]) == ("spots", "normal")
    assert (second["model"], second["prediction"]) == ("stripes", "wide")
    assert third == {
        "file": str(files[2]),
        "model": None,
        "version": None,
        "state": "refused",
        "why": {"code": "foreign", "text": UNKNOWN_TO_ALL},
        "prediction": "",
        "flagged": [],
        "probabilities": {},
        "scope": "",
        "refused": {"reason": UNKNOWN_TO_ALL, "looks_like": ""},
    }
    assert [a["model"] for a in first["answers"]] == ["spots"], "without a kind each is one of its own"
    assert set(fourth) == {"file", "error"}
    words = run(capsys, "predict", "auto", *files).out
    assert re.search(r"a\.png: not flagged; .* Most probable: normal \d+\.\d%  \(by spots@1\)\n", words)
    assert f"c.png: not judged\n  {UNKNOWN_TO_ALL}\n" in words


def test_a_refusal_names_the_check_up_it_belongs_to(
    two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(two))
    file = generated.save(tmp_path / "b.png", stripes(902, False))
    (line,) = run(capsys, "predict", "spots", file, "--json").lines
    assert line["refused"]["looks_like"] == "stripes"
    assert "It looks like stripes." in run(capsys, "predict", "spots", file).out


def test_without_a_store_only_the_refusal_is_said(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(trained.onnx, tmp_path / "spots.onnx")
    monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / "empty"))
    model = medloupe.load(tmp_path / "spots.onnx")
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    refused = Predictor(model, looks_like=make_looks_like(model.backbone.sha256)).predict(noise).refused
    assert refused is not None
    assert refused.looks_like == ""
    assert not (tmp_path / "empty").exists()


def test_nothing_to_choose_from(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = generated.save(tmp_path / "a.png", generated.tissue(1, True))
    run(capsys, "predict", "auto", picture).failed("can be chosen by an image: it is empty")
    medloupe.train(medloupe.read(generated.folders(tmp_path / "few", 5)), name="few")
    with pytest.raises(StoreError, match=r"none of its models \(few\) can be"):
        list_choosable_models()


def test_what_it_is_told_decides_who_answers(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one kind: one for children on the shared network, one for adults that refuses nothing."""
    monkeypatch.setenv("MEDLOUPE_HOME", str(two))
    ages = ["child", "adult"]

    def meant(model: Model, name: str, value: str) -> Model:
        applies = [{"question": "age", "values": [value], "choices": ages}]
        return replace(model, card={**model.card, "name": name, "kind": "spots", "applies": applies})

    spots = Store(two).get("spots")
    child, adult = meant(spots, "small", "child"), replace(meant(spots, "tall", "adult"), novelty=None)
    picture = generated.tissue(900, True)
    both = AutoPredictor([child], beside=[adult]).predict(picture)
    assert {a.model for a in both.answers} == {"small", "tall"}
    direct = dict(spots.predict(picture).probabilities)
    assert all(dict(a.probabilities) == pytest.approx(direct, abs=1e-5) for a in both.answers)
    for told, name in (("child", "small"), ("adult", "tall")):
        said = AutoPredictor([child], beside=[adult], told={"applies.age": told}).predict(picture, heatmap=True)
        assert [a.model for a in said.answers] == [name] and said.heatmap is not None
    nobody = AutoPredictor([child], told={"applies.age": "adult"}).predict(picture)
    assert nobody.said.why is not None and (nobody.state, nobody.said.why.code) == ("refused", "not_meant")
    with pytest.raises(ClinicalError, match="child, adult"):
        AutoPredictor([child], told={"applies.age": "old"})


def test_models_that_cannot_be_chosen_are_not_taken(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="share a backbone"):
        AutoPredictor([tiny.model(tmp_path)])
