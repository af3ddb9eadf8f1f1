"""Local fit from end to end: what changes and what must not, on pictures, in the store and on the command line."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

import generated
import medloupe
import several
from generated import run
from live import running
from medloupe.data.records import Record
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import embed
from medloupe.embed.network import Network
from medloupe.errors import DataError, StoreError
from medloupe.evaluation.external import validate
from medloupe.evaluation.heldout import assemble_panel
from medloupe.metrics.evidence import FILE, Evidence
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision
from medloupe.store.models import Store
from medloupe.training.adapt.fit import draw_thresholds
from medloupe.training.adapt.run import AdaptedModel, adapt
from medloupe.training.adapt.storage import keep_adapted
from medloupe.training.compress.export import export
from parsing import parsed, visible
from synthetic import of_records
from trained import Trained

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def _warm(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained model's home that has seen the ward: its pictures are embedded once for all tests."""
    root = tmp_path_factory.mktemp("warm")
    shutil.copytree(_trained.home, root / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(root / "home"))
        embed(scan_dataset(medloupe.read(ward(root / "ward"))), Store.open().get("spots").backbone)
    return root / "home"


@pytest.fixture
def own(trained: Trained, _warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """The trained model in a home of the test's own, to write to."""
    copy = tmp_path / "own"
    shutil.copytree(_warm, copy)
    monkeypatch.setenv("MEDLOUPE_HOME", str(copy))
    return replace(trained, home=copy)


@pytest.fixture
def model(own: Trained) -> Model:
    return Store.open().get("spots")


def faint(number: int, sick: bool, strength: float = 0.35) -> np.ndarray:
    """Tissue whose spots are mixed with the same tissue without, and darker: harder, from another camera."""
    well, ill = (generated.tissue(number, s).astype(float) for s in (False, True))
    mixed = strength * ill + (1 - strength) * well if sick else well
    return np.clip(0.9 * mixed, 0, 255).astype(np.uint8)


def ward(root: Path, n: int = 72, every: int = 4, first: int = 5000, strength: float = 0.35) -> Path:
    """n pictures of a ward where one in `every` is sick."""
    for i in range(n):
        sick = i % every == 0
        generated.save(root / ("sick" if sick else "normal") / f"{i:03}.png", faint(first + i, sick, strength))
    return root


def made_of(model: Model, root: Path, sensitivity: float = 0.9) -> AdaptedModel:
    return adapt(model, medloupe.read(root), sensitivity=sensitivity)


# ---------------------------------------------------------------------- end to end


def test_only_head_calibration_and_lines_differ(own: Trained, model: Model, tmp_path: Path) -> None:
    data = ward(tmp_path / "ward")
    made = made_of(model, data)
    kept = keep_adapted(made)
    assert (kept.name, kept.version) == ("spots", 2)
    again = Store.open().get("spots", 2)
    assert Store.open().production()["spots"][0] == 1  # a candidate until it is promoted

    assert again.backbone.sha256 == model.backbone.sha256
    assert again.tail == model.tail is None
    assert again.novelty is not None and model.novelty is not None
    assert json.dumps(again.novelty.as_json()) == json.dumps(model.novelty.as_json())
    changed = {k for k in {*model.card, *again.card} if model.card.get(k) != again.card.get(k)}
    allowed = {"version", "created", "per_label", "decision", "calibration", "adapted", "warnings", "limits", "data"}
    assert changed <= allowed | {"reused"}
    assert again.card["metrics"] == model.card["metrics"]

    entry = again.card["adapted"]
    assert entry["calibration"]["kind"] != "unchanged"
    assert entry["figures"]["difference"]["log_loss"]["high"] < 0
    assert entry["figures"]["after"]["auc"]["value"] == pytest.approx(
        entry["figures"]["before"]["auc"]["value"], abs=0.03
    )
    assert (entry["data"], entry["n"], entry["groups"]) == ("ward", 72, 72)
    assert entry["from"] == {"name": "spots", "version": 1}
    assert entry["prevalence"]["before"] == {"normal": 0.5, "sick": 0.5}
    assert entry["prevalence"]["here"]["sick"]["value"] == 0.25
    assert entry["before"]["per_label"] == [
        {"label": r["label"], "operating_point": r["operating_point"]} for r in model.card["per_label"]
    ]

    # the new probabilities are the old ones shifted and scaled, so every label ranks as before
    embeddings = embed(scan_dataset(medloupe.read(data)), model.backbone).embeddings
    old, new = model.head.probabilities(embeddings)[:, 1], again.head.probabilities(embeddings)[:, 1]
    assert (np.argsort(old, kind="stable") == np.argsort(new, kind="stable")).mean() > 0.95  # but for ties in float32
    scale, shift = entry["calibration"]["scale"], entry["calibration"]["shift"]
    z = model.head.logits(embeddings).astype(float) * scale + [shift["normal"], shift["sick"]]
    assert again.head.logits(embeddings) == pytest.approx(z, abs=1e-2)


def test_the_file_the_page_and_what_it_says(own: Trained, model: Model, tmp_path: Path) -> None:
    data = ward(tmp_path / "ward")
    kept = keep_adapted(made_of(model, data))
    folder = own.home / "models" / "spots" / "2"
    loaded = medloupe.load(folder / "model.onnx")
    assert loaded.card["adapted"]["words"] == kept.card["adapted"]["words"]
    stored = Store.open().get("spots", 2)
    for path in sorted(data.glob("*/*.png"))[:4]:
        one, other = loaded.predict(path).probabilities, stored.predict(path).probabilities
        assert list(one.values()) == pytest.approx(list(other.values()), abs=1e-4)
    page = (folder / "report.html").read_text("utf-8")
    assert page == kept.report
    parsed(page)
    said = visible(page)
    assert "spots version 2" in said
    for sentence in kept.card["adapted"]["words"]:
        assert sentence in said
    line = next(r for r in kept.card["per_label"] if r["label"] == "sick")["operating_point"]
    assert line["judged_on"] == "ward" and line["target_sensitivity"] == 0.9
    assert any("ward" in text and "adapted" in text for text in kept.card["limits"])
    assert sum(text.startswith("The percentages hold") for text in kept.card["limits"]) == 1


def test_the_lines_find_on_new_cases_what_they_promise(own: Trained, model: Model, tmp_path: Path) -> None:
    kept = keep_adapted(made_of(model, ward(tmp_path / "ward", 72, 3), sensitivity=0.8))
    line = next(r for r in kept.card["per_label"] if r["label"] == "sick")["operating_point"]
    later = validate(kept, medloupe.read(ward(tmp_path / "later", 120, 3, first=9000)))
    point = next(r for r in later.report["card"]["per_label"] if r["label"] == "sick")["operating_point"]
    assert point["threshold"] == line["threshold"]
    assert line["sensitivity"]["low"] <= point["sensitivity"]["value"] <= line["sensitivity"]["high"]
    assert line["specificity"]["low"] - 0.05 <= point["specificity"]["value"] <= line["specificity"]["high"] + 0.05
    before = validate(model, medloupe.read(tmp_path / "later"))
    assert later.as_json()["metrics"]["brier"]["value"] < before.as_json()["metrics"]["brier"]["value"]
    assert later.as_json()["metrics"]["auc"]["value"] == pytest.approx(
        before.as_json()["metrics"]["auc"]["value"], abs=1e-3
    )


def test_where_calibration_holds_only_the_lines_change(own: Trained, tmp_path: Path) -> None:
    """A model adapted to a ward needs no second calibration there: it starts from the first, and that holds."""
    first = keep_adapted(made_of(Store.open().get("spots"), ward(tmp_path / "ward", 72, 4, strength=0.2)))
    second = made_of(first, ward(tmp_path / "again", 60, 4, first=9000, strength=0.2))
    entry = second.entry
    assert entry["calibration"]["kind"] == "unchanged"
    assert second.model.head is first.head
    assert any("Calibration holds here" in text for text in entry["words"])
    assert entry["figures"]["before"]["log_loss"] == entry["figures"]["after"]["log_loss"]
    assert entry["from"] == {"name": "spots", "version": 2}
    assert entry["before"]["adapted"]["data"] == "ward"
    assert entry["prevalence"]["before"]["sick"] == 0.25
    assert second.model.card["decision"] == first.card["decision"]
    kept = keep_adapted(second)
    assert kept.version == 3
    with pytest.raises(DataError, match="60 of its images"):
        made_of(kept, tmp_path / "again")


def test_what_is_read_beside_the_picture_is_adapted_with_it(own: Trained, model: Model, tmp_path: Path) -> None:
    """The calibration is fitted to the whole answer and turns every part of it."""
    both = replace(model, extras=several.extras(2), card={**model.card, "name": "both"})
    rows = [{"label": "sick" if i % 4 == 0 else "normal", "age": str(20 + i), "sex": "FM"[i % 2]} for i in range(60)]
    pictures = [faint(9000 + i, i % 4 == 0) for i in range(60)]
    data = medloupe.read(generated.table(tmp_path / "ward", rows, pictures))
    made = adapt(both, data)
    assert both.extras is not None and made.model.extras is not None
    entry = made.model.card["adapted"]["calibration"]
    scale = np.array(entry["scale"]) * np.ones(2)
    assert entry["kind"] != "unchanged"
    np.testing.assert_allclose(made.model.extras.weight, both.extras.weight * scale[:, None], rtol=1e-5)
    before, after = (m.predict(pictures[3], {"age": "23", "sex": "M"}) for m in (both, made.model))
    z = np.log([before.probabilities[n] for n in model.labels]) * scale
    z += [entry["shift"][n] for n in model.labels]
    turned = np.exp(z) / np.exp(z).sum()
    np.testing.assert_allclose([after.probabilities[n] for n in model.labels], turned, atol=1e-4)
    kept = keep_adapted(made)
    stored = Store.open().get("both", kept.version).extras
    assert stored is not None
    np.testing.assert_array_equal(stored.weight, made.model.extras.weight)


def test_the_gate_can_compare_them(own: Trained, model: Model, tmp_path: Path) -> None:
    keep_adapted(made_of(model, ward(tmp_path / "ward")))
    store = Store.open()
    old, new = (Evidence.read(store.folder("spots", v)) for v in (1, 2))
    assert old is not None and new is not None
    assert len(new.digests) == len(old.digests) + 72
    assert not set(new.groups[len(old.groups) :].tolist()) & set(old.groups.tolist())
    found = store.compare("spots", 2, 1)
    assert found.auc is not None and found.records == len(old.digests)
    assert found.auc.difference == pytest.approx(0, abs=5e-3)  # ties that single precision makes
    assert found.passed
    store.promote("spots", 2, actor="test")
    assert store.production()["spots"][0] == 2


def test_local_cases_can_still_judge_it(own: Trained, model: Model, tmp_path: Path) -> None:
    """They moved its lines and percentages, but taught it nothing: no other head stands in for it."""
    data = medloupe.read(ward(tmp_path / "ward"))
    kept = keep_adapted(adapt(model, data))
    adapted = Store.open().get(kept.name, kept.version)
    chosen = assemble_panel(adapted, data, 300, 0, lambda stage, done, total: None)
    assert (chosen.judged, len(chosen.records)) == ("model", len(data))
    assert assemble_panel(adapted, medloupe.read(own.data), 300, 0, lambda *_: None).judged != "model"


def test_8_bits_would_undo_it(own: Trained, model: Model, tmp_path: Path) -> None:
    keep_adapted(made_of(model, ward(tmp_path / "ward")))
    with pytest.raises(DataError, match="adapted to local cases") as e:
        export("spots@2", tmp_path / "small.onnx", precision="int8", data=own.data)
    assert "fp16" in e.value.hint
    assert not (tmp_path / "small.onnx").exists()


def test_same_cases_same_version(own: Trained, model: Model, tmp_path: Path) -> None:
    data = ward(tmp_path / "ward")
    one, other = made_of(model, data), made_of(model, data)
    assert (one.model.head.bias == other.model.head.bias).all()
    assert one.as_json() == other.as_json()


# -------------------------------------------------------------------- what is seen


def test_images_of_the_training_are_left_out(own: Trained, model: Model, tmp_path: Path) -> None:
    data = ward(tmp_path / "ward")
    for i in range(5):
        shutil.copy(own.data / "sick" / f"{i:03}.png", data / "sick" / f"known{i}.png")
    (data / "normal" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    made = made_of(model, data)
    assert made.entry["left_out"] == {"seen": 5, "unlabelled": 0, "unreadable": 1}
    assert made.entry["n"] == 72
    assert "5 more were left out" in made.entry["words"][0]
    plain = made_of(model, ward(tmp_path / "plain" / "ward"))
    assert made.entry["calibration"] == plain.entry["calibration"]


def test_what_was_adapted_to_is_known_from_then_on(own: Trained, model: Model, tmp_path: Path) -> None:
    data = ward(tmp_path / "ward")
    kept = keep_adapted(made_of(model, data))
    with pytest.raises(DataError, match="72 of its images"):
        validate(kept, medloupe.read(data))
    assert validate(model, medloupe.read(data)).as_json()["n"] == 72


# ------------------------------------------------------------------------ too little


def test_too_few_cases(own: Trained, model: Model, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"20 independent cases.*30 are needed"):
        made_of(model, ward(tmp_path / "few", 20))
    copies = tmp_path / "copies"
    for i in range(40):  # the same ten pictures again and again
        generated.save(copies / ("sick" if i % 2 else "normal") / f"{i}.png", faint(7000 + i % 10, bool(i % 2)))
    with pytest.raises(DataError, match="independent cases"):
        made_of(model, copies)


def test_one_class_only(own: Trained, model: Model, tmp_path: Path) -> None:
    rows = [{"file": "", "label": "sick"} for _ in range(40)]
    root = generated.table(tmp_path / "ill", rows, [faint(5000 + i, True) for i in range(40)])
    with pytest.raises(DataError, match=r"All 40 cases .* are sick"):
        made_of(model, root)
    with pytest.raises(DataError, match="no label with 5 independent cases"):
        made_of(model, ward(tmp_path / "rare", 40, 20))


def test_foreign_labels(own: Trained, model: Model, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cat, dog"):
        made_of(model, generated.folders(tmp_path / "zoo", 20, first=500, classes=("cat", "dog")))


def test_few_cases_of_a_label_are_said(own: Trained, model: Model, tmp_path: Path) -> None:
    made = made_of(model, ward(tmp_path / "ward", 72, 9))
    said = " ".join(made.entry["words"])
    assert "only 8 independent cases" in said
    assert "37 for ±0.10 and 141 for ±0.05" in said
    point = next(r for r in made.entry["labels"] if r["label"] == "sick")["after"]["sensitivity"]
    assert point["high"] - point["low"] > 0.2


@pytest.mark.parametrize("n", [5, 9, 20, 100])
def test_a_line_is_reached_by_the_share_promised(n: int) -> None:
    """Averaged over draws, new cases reach the line as often as was asked for, or oftener where the cases are few."""
    rng = np.random.default_rng(n)
    reached = []
    for _ in range(2000):
        p = rng.random((n, 1))
        line = draw_thresholds(p, np.ones((n, 1)), 0.9)[0]
        reached.append(1 - line)
    expected = 0.9 if n >= 9 else n / (n + 1)
    assert expected - 0.01 <= np.mean(reached) <= expected + 1 / (n + 1)
    assert np.isnan(draw_thresholds(np.ones((n, 1)), np.zeros((n, 1)), 0.9)[0])


# ------------------------------------------------------------- other kinds of models


def test_several_findings_at_once(home: Path, tmp_path: Path) -> None:
    """Each finding gets a shift and a line of its own; one that has no cases here keeps what it had."""

    def rows(n: int, first: int, often: tuple[int, int]) -> list[Record]:
        made = []
        for i in range(n):
            dark, spots = (i % often[0] == 0), (i // 2 % often[1] == 0)
            pixels = faint(first + i, spots, 0.5) // (2 if dark else 1)
            labels = {"dark": int(dark), "spots": int(spots)}
            made.append(Record(id=f"{first + i}", image=pixels, labels=labels))
        return made

    names = ("dark", "spots")
    model = medloupe.train(of_records(rows(60, 0, (2, 2)), names, tmp_path, "multilabel"), name="findings")
    made = adapt(model, of_records(rows(80, 1000, (5, 4)), names, tmp_path, "multilabel"))
    assert made.entry["figures"]["after"]["log_loss"]["value"] <= made.entry["figures"]["before"]["log_loss"]["value"]
    kept = keep_adapted(made)
    assert kept.version == 2 and "decision" in kept.card
    assert [row["label"] for row in kept.card["per_label"]] == list(names)
    without = [replace(r, labels={"spots": r.labels["spots"]}) for r in rows(80, 3000, (5, 4))]
    partly = adapt(model, of_records(without, names, tmp_path, "multilabel"))
    dark = next(row for row in partly.model.card["per_label"] if row["label"] == "dark")
    assert dark == next(row for row in model.card["per_label"] if row["label"] == "dark")
    assert (partly.model.head.weight[0] == model.head.weight[0]).all()


def test_a_class_that_does_not_come_here_keeps_its_line(home: Path, tmp_path: Path) -> None:
    train = tmp_path / "train"
    for i in range(20):
        for label, pixels in (
            ("normal", faint(i, False)),
            ("sick", faint(i + 100, True, 1)),
            ("white", 255 - faint(i + 200, False) // 2),
        ):
            generated.save(train / label / f"{i}.png", pixels)
    model = medloupe.train(medloupe.read(train), name="three", sought=("sick", "white"))
    made = adapt(model, medloupe.read(ward(tmp_path / "ward", 80, 5, strength=0.6)))
    old, new = ({r["label"]: r for r in m.card["per_label"]}["white"] for m in (model, made.model))
    assert {**new, "operating_point": 0} == {**old, "operating_point": 0}
    assert 0 < new["operating_point"]["threshold"] < 1
    assert {r["label"] for r in made.entry["labels"]} == {"normal", "sick"}
    assert made.entry["calibration"]["shift"].get("white", 0) == 0
    kept = keep_adapted(made)
    assert kept.card["roles"] == model.card["roles"]
    rule = Decision.from_card(kept.card)
    assert rule.line("normal") is None
    for name in ("sick", "white"):
        assert 0 < (rule.line(name) or 0) <= 0.5, "a finding is flagged where it is the most probable label"


def test_a_model_file(own: Trained, tmp_path: Path) -> None:
    """On an installed backbone its head is taken; where its name is free, it is kept under that."""
    loaded = medloupe.load(own.onnx)
    made = made_of(loaded, ward(tmp_path / "ward"))
    kept = keep_adapted(made, store=Store(tmp_path / "elsewhere"))
    assert (kept.name, kept.version) == ("spots", 1)
    path = next((tmp_path / "ward" / "sick").iterdir())
    stored = Store(tmp_path / "elsewhere").get("spots")
    expected = made.model.head.probabilities(
        embed(scan_dataset(medloupe.read(path.parent.parent)), loaded.backbone).embeddings
    )
    assert min(abs(expected[:, 1] - stored.predict(path).probabilities["sick"])) < 1e-4


def test_a_file_of_another_model_does_not_take_a_name(own: Trained, model: Model, tmp_path: Path) -> None:
    other = replace(
        model, head=replace(model.head, bias=model.head.bias + np.array([1, -1], np.float32)), card={**model.card}
    )
    made = made_of(other, ward(tmp_path / "ward"))
    with pytest.raises(StoreError, match="another model 'spots'"):
        keep_adapted(made)
    kept = keep_adapted(made, name="mine")
    assert (kept.name, kept.version) == ("mine", 1)
    evidence = Evidence.read(own.home / "models" / "mine" / "1")
    assert evidence is not None and len(evidence.digests) == 72  # what the other was judged by is not known


def test_a_file_with_a_network_of_its_own(own: Trained, model: Model, tmp_path: Path) -> None:
    """It is written anew with the new head in it: served, it answers with that."""
    import onnx
    from onnx import numpy_helper

    from medloupe.modelfile.reader import load

    graph = onnx.load(own.onnx)
    for tensor in graph.graph.initializer:  # another network: one number of one weight differs
        if tensor.name not in ("head.weight", "head.bias") and len(tensor.dims) == 4 and tensor.dims[0] > 8:
            value = numpy_helper.to_array(tensor).copy()
            value.flat[0] += value.dtype.type(0.01)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
            break
    whole = tmp_path / "whole.onnx"
    onnx.save(graph, whole)
    loaded = load(whole)
    assert loaded.backbone.path == whole
    made = made_of(loaded, ward(tmp_path / "ward"))
    assert made.entry["calibration"]["kind"] != "unchanged"
    kept = keep_adapted(made, name="whole")
    stored = Store.open().get("whole")
    assert stored.onnx is not None and stored.card["adapted"]["n"] == 72
    path = next((tmp_path / "ward" / "sick").iterdir())
    pixels = medloupe.read(tmp_path / "ward")
    record = next(r for r in pixels.records if r.image == path)
    from medloupe.imaging.decode import load as pixels_of

    seen = Network(loaded.backbone, None).see(pixels_of(record.image, loaded.backbone.card.input_size)[None])
    expected = made.model.head.probabilities(seen.embedding)[0]
    assert list(stored.predict(path).probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-4)
    assert kept.card["adapted"]["from"]["name"] == "spots"


# -------------------------------------------------------------------------- the server


def test_the_served_page_says_to_what_it_was_adapted(own: Trained, model: Model, tmp_path: Path) -> None:
    kept = keep_adapted(made_of(model, ward(tmp_path / "ward")))
    Store.open().promote("spots", kept.version, actor="test")
    with running(own.home) as server:
        for code, said in (("en", "Adapted to ward, 72 cases"), ("fr", "Ajusté à ward, 72 cas")):
            page = httpx.get(f"{server.url}/checkups/spots", headers={"accept-language": code}, timeout=30)
            assert page.status_code == 200
            assert said in visible(page.text), code
        sides = visible(httpx.get(f"{server.url}/models/spots?a=1&b=2", timeout=30).text)
        assert "Adapted to – ward (72)" in sides
        passport = httpx.get(f"{server.url}/models/spots/2/passport", timeout=30)
        assert "Local fit" in passport.text
        sick = next((tmp_path / "ward" / "sick").iterdir())
        answer = httpx.post(
            f"{server.url}/api/v1/models/spots/predict", files={"image": sick.read_bytes()}, timeout=30
        ).json()
        assert answer["version"] == 2
        expected = kept.predict(sick).probabilities["sick"]
        assert answer["probabilities"]["sick"] == pytest.approx(expected, abs=1e-3)


# ------------------------------------------------------------------------ command line


def test_command_line(own: Trained, tmp_path: Path, capsys: Capture) -> None:
    data = ward(tmp_path / "ward")
    page = tmp_path / "page.html"
    dry = run(capsys, "adapt", "spots", data, "--dry-run", "--json", "--report", page)
    (line,) = dry.lines
    assert (line["name"], line["version"], line["n"]) == ("spots", None, 72)
    assert "Nothing" not in dry.out and not (own.home / "models" / "spots" / "2").exists()
    assert "Local fit" in visible(page.read_text("utf-8"))

    said = run(capsys, "adapt", "spots", data)
    assert said.code == 0, said.err
    assert "Calibration does not hold here" in said.out
    assert "sick" in said.out and "log loss" in said.out and "not a medical device" in said.out
    assert "medloupe models promote spots@2" in said.err
    assert (own.home / "models" / "spots" / "2" / FILE).is_file()
    assert run(capsys, "models", "promote", "spots@2").code == 0

    run(capsys, "adapt", "spots@1", data, "--name", "ward-spots", "--json")
    assert Store.open().production()["ward-spots"][0] == 1
    run(capsys, "adapt", "spots", data).failed("adapted to 72 of its images")
    run(capsys, "adapt", "nothing", data).failed("no model 'nothing'")
    run(capsys, "adapt", "spots@1", data, "--dry-run", "--report", tmp_path / "no" / "x.html").failed(
        "cannot be written"
    )
    assert run(capsys, "adapt", "spots", data, "--sensitivity", "1.5").code == 2


def test_a_shipped_model(home: Path, tmp_path: Path, capsys: Capture) -> None:
    """It is not in the store: what comes of it is version 1 there, and answers under the name."""
    from medloupe.starter import shipped

    labels = shipped.load_shipped("imagenet").labels[:2]
    rows = [{"file": "", "label": labels[i % 2]} for i in range(40)]
    root = generated.table(tmp_path / "pets", rows, [generated.tissue(i, bool(i % 2)) for i in range(40)])
    said = run(capsys, "adapt", "imagenet", root, "--json")
    assert said.code == 0, said.err
    (line,) = said.lines
    assert (line["name"], line["version"]) == ("imagenet", 1)
    model = Store.open().get("imagenet")
    assert {row["label"] for row in model.card["per_label"]} == set(labels)
    assert model.predict(root / "images" / "000.png").probabilities
