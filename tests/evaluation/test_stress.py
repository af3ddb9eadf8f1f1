"""How figures move under changes: who judges, what the differences are of, what is said of it and where it is shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import generated
import medloupe
from generated import run
from live import running
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import embed
from medloupe.errors import DataError
from medloupe.evaluation import robustness
from medloupe.evaluation.judges import make_fold_judges
from medloupe.evaluation.robustness import CorruptionRow, StressAnswers, StressQuestion, compare_figures, word_shifts
from medloupe.evaluation.stress import StressResult, stress, stress_entry
from medloupe.imaging.corruptions import CORRUPTIONS, Corruption
from medloupe.imaging.decode import load
from medloupe.metrics import weighted
from medloupe.model.bundle import Model
from medloupe.model.contrast import Contrast
from medloupe.model.head import Head
from medloupe.modelfile.writer import write_onnx
from medloupe.report.pages import render, render_stress
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.web import cards
from medloupe.serving.web.language import language
from medloupe.store.models import Store
from medloupe.training.heads.own_views import see_own_views
from medloupe.training.heads.ranking import macro_auc
from parsing import parsed, visible

Capture = pytest.CaptureFixture[str]
EACH = 36
BY_NAME = {c.name: c for c in CORRUPTIONS}
SOME = [BY_NAME[name] for name in ("blur-strong", "darker", "greyscale")]


def skin(number: int, rough: bool) -> np.ndarray:
    """uint8 (96, 96, 3): soft clouds under grain; rough ones also carry a grid as fine as the pixels."""
    rng = np.random.default_rng([number, 7])
    clouds = Image.fromarray(rng.integers(80, 170, (6, 6), dtype=np.uint8))
    picture = np.asarray(clouds.resize((96, 96), Image.Resampling.BICUBIC)).astype(float)
    grain = Image.fromarray(rng.normal(0, 8, (32, 32)).astype(np.float32))
    picture += np.asarray(grain.resize((96, 96), Image.Resampling.BICUBIC))
    if rough:
        picture += 6 * (1 - 2 * (np.indices((96, 96)).sum(0) % 2))
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[:, :, None], 3, 2)


def folder(root: Path, first: int = 0, each: int = EACH, splits: Sequence[str] = ("",)) -> Path:
    for s, split in enumerate(splits):
        for i in range(each):
            for k, label in enumerate(("normal", "rough")):
                number = first + 2 * (s * each + i) + k
                generated.save(root / split / label / f"{number:04}.png", skin(number, label == "rough"))
    return root


@dataclass(frozen=True, slots=True)
class Lab:
    """A home with `skin`, trained on data."""

    home: Path
    data: Path
    model: Model


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    root = tmp_path_factory.mktemp("stress")
    data = folder(root / "skin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(root / "home"))
        yield Lab(root / "home", data, medloupe.train(medloupe.read(data), name="skin"))


@pytest.fixture(scope="module")
def stressed(lab: Lab) -> StressResult:
    return stress(lab.model, medloupe.read(lab.data), changes=SOME, images=2 * EACH)


def row(of: StressResult, name: str) -> CorruptionRow:
    return next(r for r in of.rows if r.change.name == name)


# ------------------------------------------------------------------ real trainings


def test_a_label_in_fine_texture_is_lost_by_blur_and_not_by_the_light(stressed: StressResult) -> None:
    assert stressed.judged == "out of fold"
    assert stressed.images == 2 * EACH and stressed.positive == "rough"
    assert set(stressed.unchanged) == set(robustness.FIGURES)
    assert (stressed.unchanged["auc"]["value"] or 0) > 0.9
    blurred, darker = row(stressed, "blur-strong"), row(stressed, "darker")
    fall = blurred.figures["auc"]["difference"]
    assert (fall["high"] or 0) < -0.1
    assert blurred.figures["sensitivity"]["difference"]["value"] < -0.3 or (blurred.same["value"] or 0) < 0.7
    kept = darker.figures["auc"]["difference"]
    assert (kept["value"] or 0) > -0.1 > (fall["value"] or 0)
    for figures in (blurred.figures, darker.figures):
        for name, moved in figures.items():
            before = stressed.unchanged[name]["value"]
            assert moved["difference"]["value"] == pytest.approx(moved["value"] - before, abs=1e-6)
            assert moved["low"] <= moved["value"] <= moved["high"]
    assert stressed.words[0].startswith("Most sensitive to: blur (strong): AUC −0.")


def test_what_alters_nothing_moves_nothing(stressed: StressResult) -> None:
    grey = row(stressed, "greyscale")
    assert grey.altered == 0
    assert grey.same["value"] == 1
    for moved in grey.figures.values():
        assert moved["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_the_same_figures_each_time(lab: Lab, stressed: StressResult) -> None:
    data = medloupe.read(lab.data)
    first, again = (stress(lab.model, data, changes=SOME[:1], images=12) for _ in range(2))
    assert again.as_json() == first.as_json() and again.pictures == first.pictures
    assert first.images < stressed.images
    other = stress(lab.model, data, changes=SOME[:1], images=12, seed=1)
    assert other.as_json() != first.as_json()


def test_images_it_learned_from_are_judged_by_heads_that_did_not(lab: Lab, tmp_path: Path) -> None:
    """Labels drawn by lot: a head knows them by heart, one that has not seen the image can only guess."""
    lots = np.random.default_rng(1).permutation([0, 1] * EACH)
    for lot, path in zip(lots, sorted(lab.data.rglob("*.png")), strict=True):
        target = tmp_path / "lots" / ("normal", "rough")[lot] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    data = medloupe.read(tmp_path / "lots")
    model = medloupe.train(data, name="lots")
    features = embed(scan_dataset(data), model.backbone)
    knows = model.head.probabilities(features.embeddings).argmax(1) == features.data.targets.argmax(1)
    assert knows.mean() > 0.9
    found = stress(model, data, changes=[BY_NAME["darker"]])
    assert found.judged == "out of fold"
    assert 0.25 < (found.unchanged["auc"]["value"] or 0) < 0.72
    assert "without the image's group (5 folds)" in found.basis[0]


def test_stand_ins_share_the_images_out_and_keep_groups_apart(lab: Lab) -> None:
    data = medloupe.read(lab.data)
    features = embed(scan_dataset(data), lab.model.backbone)
    groups = np.arange(len(data)) // 2
    judges = make_fold_judges(lab.model, features, features.embeddings, data.targets, groups, 0)
    rows = np.concatenate([j.rows for j in judges])
    assert sorted(rows.tolist()) == list(range(len(data)))
    owner = {int(i): n for n, j in enumerate(judges) for i in j.rows}
    assert all(owner[2 * g] == owner[2 * g + 1] for g in range(len(data) // 2))
    assert len({j.head.weight.tobytes() for j in judges}) == len(judges) == 5


def test_stand_ins_learn_from_the_views_that_the_model_learned_from(lab: Lab) -> None:
    """In worn copies a fine grid is hard to see: heads that saw those of others see it more often."""
    data = medloupe.read(lab.data)
    features = embed(scan_dataset(data), lab.model.backbone)
    groups = np.arange(len(data)) // 2
    entry = {"weight": 3.0, "freer": 1.0, "rounds": 1, "seed": 0, "pictures": len(data)}
    taught = replace(lab.model, card={**lab.model.card, "field": entry})
    views = see_own_views(taught, features, np.arange(len(data)), lab.model.backbone)
    assert views is not None and see_own_views(lab.model, features, np.arange(len(data)), lab.model.backbone) is None
    shown = views.part((views.kinds == "worn") & (views.severities != "hard"))

    def auc(model: Model) -> float:
        scores, truth = [], []
        for judge in make_fold_judges(model, features, features.embeddings, data.targets, groups, 0):
            own = shown.within(judge.rows)
            scores.append(judge.head.logits(own.embeddings))
            truth.append(data.targets[judge.rows][own.rows])
        return macro_auc(np.concatenate(scores), np.concatenate(truth))

    assert auc(taught) > auc(lab.model) + 0.02


def test_new_images_are_judged_by_the_model_itself(lab: Lab, tmp_path: Path) -> None:
    root = folder(tmp_path / "clinic", first=4000, each=12)
    for path in sorted((lab.data / "rough").iterdir())[:5]:
        shutil.copy(path, root / "rough" / f"known-{path.name}")
    (root / "rough" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    data = medloupe.read(root)
    found = stress(lab.model, data, changes=[BY_NAME["darker"]])
    assert (found.judged, found.images) == ("model", 24)
    assert found.left_out == {"trained on": 5}
    records = [r for r in data.records if "known" not in r.id and "broken" not in r.id]
    said = [lab.model.predict(r.image).prediction for r in records]
    truth = [r.id.split("/")[0] for r in records]
    recall = [np.mean([s == t for s, t in zip(said, truth, strict=True) if t == name]) for name in ("normal", "rough")]
    assert found.unchanged["balanced_accuracy"]["value"] == pytest.approx(np.mean(recall))
    assert lab.model.novelty is not None
    changed = [BY_NAME["darker"](load(r.image, 96)) for r in records]  # their own size: fitting leaves them as they are
    answers = [lab.model.predict(pixels) for pixels in changed]
    refused = np.mean([a.refused is not None for a in answers])
    assert found.rows[0].figures["refused"]["value"] == pytest.approx(refused)
    assert "none of which the model was trained on" in found.basis[0]
    assert "Left out: 5 trained on." in found.basis


def test_fewer_images_are_whole_groups_of_every_label(lab: Lab) -> None:
    found = stress(lab.model, medloupe.read(lab.data), changes=[], images=30)
    assert 20 <= found.images <= 36 and found.rows == ()
    assert found.unchanged["auc"]["value"] is not None
    assert f"{found.images} of the {2 * EACH} images" in found.basis[0]


def test_an_official_test_split_is_judged_by_a_head_without_it(lab: Lab, tmp_path: Path) -> None:
    data = medloupe.read(folder(tmp_path / "split", each=18, splits=("train", "test")))
    model = medloupe.train(data, name="split")
    assert model.card["split"]["scheme"] == "official test"
    found = stress(model, data, changes=[BY_NAME["darker"]])
    assert (found.judged, found.images) == ("test split", model.card["split"]["test"])
    for name in ("auc", "sensitivity", "balanced_accuracy"):
        own = model.card["metrics"].get(name)
        if own is not None:
            assert found.unchanged[name]["value"] == pytest.approx(own["value"], abs=0.06)


def test_several_findings_at_once(lab: Lab, tmp_path: Path) -> None:
    rows, pictures = [], []
    for i in range(48):
        rough, light = i % 2, i // 2 % 2
        rows.append({"file": "", "rough": rough, "light": light if i % 7 else ""})
        pictures.append(np.clip(skin(8000 + i, bool(rough)).astype(int) + 50 * light, 0, 255).astype(np.uint8))
    data = medloupe.read(generated.table(tmp_path / "two", rows, pictures), labels="rough,light")
    assert data.task == "multilabel"
    model = medloupe.train(data, name="two")
    found = stress(model, data, changes=SOME[:1])
    assert found.positive is None and "sensitivity" not in found.unchanged
    assert (found.unchanged["auc"]["value"] or 0) > 0.8
    assert found.rows[0].figures["balanced_accuracy"]["value"] is not None
    html = render_stress(found.as_json(), found.pictures)
    parsed(html)


def test_tuned_stages_and_adapted_models_are_named(lab: Lab, stressed: StressResult) -> None:
    data = medloupe.read(lab.data)
    tuned = replace(lab.model, card={**lab.model.card, "finetuning": {"winner": "full"}})
    found = stress(tuned, data, changes=[])
    assert any("differences hold, levels are flattered" in s for s in found.basis)
    assert not any("flattered" in s for s in stressed.basis)
    assert lab.model.novelty is not None
    width = len(lab.model.novelty.mean)
    contrast = Contrast(weight=np.zeros(width, np.float32), bias=-1.0, sure=1.0, room=0.0)  # all lie on its wrong side
    strict = replace(lab.model, novelty=replace(lab.model.novelty, contrast=contrast))
    found = stress(strict, data, changes=[])
    assert found.unchanged["refused"]["value"] == 1
    assert any("sets its kind apart" in s for s in found.basis)
    adapted = replace(lab.model, card={**lab.model.card, "adapted": {"words": "local"}})
    assert any("adaptation to local cases is left out" in s for s in stress(adapted, data, changes=[]).basis)


def test_part_of_the_training_images_makes_weaker_heads_and_it_is_said(lab: Lab, tmp_path: Path) -> None:
    for path in sorted(lab.data.rglob("*.png"))[::3]:
        target = tmp_path / "part" / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    found = stress(lab.model, medloupe.read(tmp_path / "part"), changes=[])
    assert any(f"Only 24 of the {2 * EACH} images" in s for s in found.basis)


def test_what_cannot_be_judged(lab: Lab, tmp_path: Path) -> None:
    foreign = generated.folders(tmp_path / "zoo", 2, classes=("cat", "dog"))
    with pytest.raises(DataError, match=r"cat, dog.*normal, rough"):
        stress(lab.model, medloupe.read(foreign))
    few = tmp_path / "few"
    for label in ("normal", "rough"):
        path = sorted((lab.data / label).iterdir())[0]
        (few / label).mkdir(parents=True)
        shutil.copy(path, few / label / path.name)
    with pytest.raises(DataError, match="too few to judge it by heads that have not seen them"):
        stress(lab.model, medloupe.read(few))
    without = replace(lab.model, card={k: v for k, v in lab.model.card.items() if k != "head"})
    with pytest.raises(DataError, match="does not say how its head was fitted"):
        stress(without, medloupe.read(lab.data), changes=[])
    data = medloupe.read(lab.data)
    blank = replace(data, records=tuple(replace(r, labels={}) for r in data.records))
    with pytest.raises(DataError, match="none of its 72 images"):
        stress(lab.model, blank)


# ------------------------------------------------------------------ figures


def asked(n: int, groups: np.ndarray | None = None) -> StressQuestion:
    truth = np.arange(n) % 2
    return StressQuestion(
        targets=np.column_stack([1 - truth, truth]).astype(np.float32),
        groups=np.arange(n) if groups is None else groups,
        labels=("well", "ill"),
        task="multiclass",
        positive="ill",
    )


def answered(
    of: StressQuestion, skill: float, seed: int = 0, noise: float = 1.0, refused: float = 0.0
) -> StressAnswers:
    """Answers that tell the truth the better the greater the skill; the same seed gives the same luck."""
    rng = np.random.default_rng(seed)
    z = skill * (2 * of.targets[:, 1] - 1) + noise * rng.normal(0, 1, len(of.targets))
    p = 1 / (1 + np.exp(-z))
    probabilities = np.column_stack([1 - p, p]).astype(np.float32)
    called = np.eye(2, dtype=bool)[(p > 0.5).astype(int)]
    away = rng.random(len(p)) < refused
    return StressAnswers(scores=probabilities, probabilities=probabilities, called=called, flags=called, refused=away)


def change(name: str) -> Corruption:
    return replace(BY_NAME["darker"], name=name, kind=name)


def test_differences_are_paired() -> None:
    """The same luck in both: the difference is known far better than either figure."""
    of = asked(200)
    before, worse = answered(of, 1.0), answered(of, 0.9)
    unlucky = answered(of, 0.9, seed=5)
    unchanged, rows = compare_figures(of, before, [(change("a"), worse, 1.0), (change("b"), unlucky, 1.0)])

    def width(m: Any) -> float:
        return m["high"] - m["low"]

    same_luck, other_luck = (r.figures["auc"]["difference"] for r in rows)
    assert width(same_luck) < 0.4 * width(unchanged["auc"])
    assert width(same_luck) < 0.4 * width(other_luck)
    assert same_luck["high"] < 0


def test_groups_are_drawn_whole() -> None:
    of = asked(240)
    before, after = answered(of, 1.0), answered(of, 0.7, noise=1.3)
    # A copy of every image in its own group tells nothing new, and must not make the interval narrower.
    single = compare_figures(of, before, [(change("a"), after, 1.0)])[1][0].figures["auc"]["difference"]
    twice = StressQuestion(
        targets=np.repeat(of.targets, 2, 0),
        groups=np.repeat(of.groups, 2),
        labels=of.labels,
        task=of.task,
        positive="ill",
    )

    def doubled(a: StressAnswers) -> StressAnswers:
        assert a.refused is not None
        parts = (a.scores, a.probabilities, a.called, a.flags, a.refused)
        return StressAnswers(**dict(zip(StressAnswers.__slots__, (np.repeat(x, 2, 0) for x in parts), strict=True)))

    copied = compare_figures(twice, doubled(before), [(change("a"), doubled(after), 1.0)])[1][0].figures["auc"][
        "difference"
    ]
    assert copied["low"] == pytest.approx(single["low"], abs=1e-6)
    assert copied["high"] == pytest.approx(single["high"], abs=1e-6)


def test_figures_are_those_of_the_formulas() -> None:
    of = asked(100)
    said = answered(of, 1.0, refused=0.2)
    unchanged, _ = compare_figures(of, said, [])
    ill = of.targets[:, 1] == 1
    assert unchanged["sensitivity"]["value"] == pytest.approx(said.flags[ill, 1].mean())
    assert unchanged["specificity"]["value"] == pytest.approx(1 - said.flags[~ill, 1].mean())
    assert said.refused is not None
    assert unchanged["refused"]["value"] == pytest.approx(said.refused.mean())
    pairs = said.scores[ill, 1][:, None] - said.scores[~ill, 1][None]
    assert unchanged["auc"]["value"] == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def test_no_difference_seen_is_no_proof_of_none() -> None:
    """Where no answer differs a bootstrap has no spread; forty groups still allow what Wilson's interval does."""
    of = asked(40)
    said = answered(of, 1.0)
    figures = compare_figures(of, said, [(change("a"), said, 1.0)])[1][0].figures
    refused = figures["refused"]["difference"]
    assert refused["value"] == 0
    assert refused["high"] == pytest.approx(weighted.wilson(0, 40)[1])
    assert figures["auc"]["difference"]["value"] == 0


def test_data_of_one_label_tells_refusals_and_changed_answers_only() -> None:
    of = replace(asked(40), targets=np.tile(np.float32([0, 1]), (40, 1)), positive=None)
    unchanged, rows = compare_figures(of, answered(of, 1.0), [(change("a"), answered(of, 0.5), 1.0)])
    assert unchanged["auc"]["value"] is None and rows[0].figures["auc"]["difference"]["value"] is None
    assert rows[0].same["value"] is not None
    assert "cannot be computed" in word_shifts(unchanged, rows, 40)[0]


def test_what_is_said() -> None:
    of = asked(300)
    before = answered(of, 2.0)
    unchanged, rows = compare_figures(
        of,
        before,
        [
            (change("fog"), answered(of, 0.5), 1.0),
            (change("rain"), answered(of, 1.2), 1.0),
            (change("sun"), before, 1.0),
            (change("frame"), answered(of, 2.0, refused=0.5), 1.0),
        ],
    )
    first, second, third = word_shifts(unchanged, rows, 300)
    assert first.startswith("Most sensitive to: fog: AUC −0.") and "; rain: AUC −0." in first and "sun" not in first
    assert "frame 4" in second or "frame 5" in second
    assert third == "Holds (AUC within ±0.02) under: sun."
    none, rest = word_shifts(unchanged, rows[2:3], 12)[0], word_shifts(unchanged, rows[2:3], 12)[-1]
    assert none == "No change lowers the AUC by more than chance explains."
    assert "fewer than 30 groups" in rest


# ------------------------------------------------------------------ where it is shown


def test_the_card_keeps_figures_and_no_pictures(stressed: StressResult) -> None:
    entry = stress_entry(stressed)
    text = json.dumps(entry)
    assert "data:image" not in text and len(text) < 1500 * (1 + len(stressed.rows))
    assert entry["unchanged"]["auc"]["value"] == pytest.approx(stressed.unchanged["auc"]["value"], abs=1e-4)
    assert [c["change"] for c in entry["changes"]] == [c.name for c in SOME]
    assert entry["words"] == list(stressed.words)


def test_the_report_shows_it_where_the_card_has_it(stressed: StressResult) -> None:
    card = {"name": "skin", "task": "multiclass", "labels": ["normal", "rough"], "metrics": {}}
    without = render({"card": card, "curves": {}, "examples": {}})
    assert "What the field does to it" not in without
    page = render({"card": {**card, "stress": stress_entry(stressed)}, "curves": {}, "examples": {}})
    parsed(page)
    text = visible(page)
    assert "What the field does to it" in text and stressed.words[0] in text
    assert "changes nothing in these pictures" in text  # grey ones lose no colour
    for odd in (
        {},
        {"changes": []},
        {"changes": [{"kind": "blur"}]},
        {"changes": [{"kind": "x", "auc": {"value": 1}}]},
        3,
    ):
        parsed(render({"card": {**card, "stress": odd}, "curves": {}, "examples": {}}))


def test_its_own_page_shows_one_image_under_every_change(stressed: StressResult) -> None:
    page = render_stress(stressed.as_json(), stressed.pictures)
    parsed(page)
    assert page.count("data:image/jpeg") == 1 + len(SOME) == len(stressed.pictures)
    text = visible(page)
    for c in SOME:
        assert c.title in text and c.words in text
    hostile = replace(stressed, name="<script>alert(1)</script>", data="<b>")
    assert "<script>alert" not in render_stress(hostile.as_json(), hostile.pictures)


def test_the_check_up_page_shows_it_in_both_languages(stressed: StressResult, lab: Lab) -> None:
    model = replace(lab.model, card={**lab.model.card, "stress": stress_entry(stressed)})
    checkup = CheckUp.of(model)
    assert [h.name for h in checkup.hardships] == ["blur-strong", "darker"]  # what alters nothing is left out
    english, french = (cards.describe_checkup(checkup, language(code)) for code in ("en", "fr"))
    assert english.weakest.startswith("Most sensitive to: ") and "strong blur" in english.weakest
    assert "fort flou" in french.weakest and "," in french.hardships[0].auc
    assert english.hardships[0].auc.startswith("−0.")
    plain = cards.describe_checkup(CheckUp.of(lab.model), language("en"))
    assert (plain.weakest, plain.hardships) == ("", ())
    for c in CORRUPTIONS:
        assert all(language(code).has(f"stress.{c.name}") for code in ("en", "fr"))


def test_a_version_with_it_is_stored_exported_and_served(stressed: StressResult, lab: Lab, tmp_path: Path) -> None:
    home = tmp_path / "home"
    card = {**lab.model.card, "stress": stress_entry(stressed), "name": "rough-skin"}
    model = replace(lab.model, card=card, onnx=None)
    stored = Store(home).add(model, write_files=lambda folder, m: (write_onnx(m, folder / "model.onnx"), None)[1])
    assert stored.onnx is not None
    assert medloupe.load(stored.onnx).card["stress"] == stress_entry(stressed)
    with running(home) as server, server.client(headers={"Accept": "text/html"}) as client:
        page = client.get("/checkups/rough-skin?lang=fr").text
        other = client.get("/checkups/imagenet?lang=fr").text
    assert "Ce qui l’affaiblit" in page and "fort flou" in page and "image trop sombre" in page
    assert "Ce qui l’affaiblit" not in other


@pytest.mark.parametrize(
    "entry",
    [
        "text",
        [],
        {"changes": 3},
        {"changes": [None, {"altered": 1}]},
        {"changes": [{"altered": 1, "kind": "x", "auc": 3, "refused": {"value": "y"}}]},
    ],
)
def test_cards_from_elsewhere_stop_nothing(entry: Any, lab: Lab) -> None:
    checkup = CheckUp.of(replace(lab.model, card={**lab.model.card, "stress": entry}))
    assert len(cards.describe_checkup(checkup, language("fr")).hardships) <= 1


def test_models_show_says_it(stressed: StressResult, capsys: Capture) -> None:
    from medloupe.cli.console import print_card

    head = Head(weight=np.zeros((2, 3), np.float32), bias=np.zeros(2, np.float32), task="multiclass")
    card = {"name": "skin", "labels": ["normal", "rough"], "task": "multiclass", "stress": stress_entry(stressed)}
    print_card(Model(backbone=None, head=head, card=card))  # type: ignore[arg-type]
    assert f"In the field: {stressed.words[0]}" in capsys.readouterr().out


# ------------------------------------------------------------------ command line


def test_the_command(lab: Lab, tmp_path: Path, capsys: Capture) -> None:
    page = tmp_path / "page.html"
    done = run(capsys, "stress", "skin", lab.data, "--images", 12, "--report", page, "--json")
    assert done.code == 0, done.err
    (line,) = done.lines
    assert (line["name"], line["version"], line["judged"]) == ("skin", 1, "out of fold")
    assert [c["change"] for c in line["changes"]] == [c.name for c in CORRUPTIONS]
    assert set(line["changes"][0]["auc"]) == {"value", "low", "high", "difference"}
    html = page.read_text("utf-8")
    parsed(html)
    assert line["words"][0] in visible(html)
    assert html.count("data:image/jpeg") == 1 + len(CORRUPTIONS)

    shown = run(capsys, "stress", "skin", lab.data, "--images", 10)
    assert shown.code == 0 and "calibration" in shown.out and "photograph of a screen" in shown.out
    assert "fewer than 30 groups" in shown.out and "changes nothing in these pictures" in shown.out


def test_the_command_without_a_model_data_or_place(lab: Lab, tmp_path: Path, capsys: Capture) -> None:
    run(capsys, "stress", "nobody", lab.data).failed("no model 'nobody'")
    run(capsys, "stress", "skin", tmp_path / "nowhere").failed("does not exist")
    run(capsys, "stress", "skin", lab.data, "--report", tmp_path / "no" / "page.html").failed("cannot be written")
    assert run(capsys, "stress", "skin").code == 2
