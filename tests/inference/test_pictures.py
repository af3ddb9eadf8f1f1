"""One image, one answer, by whichever path it is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import generated
import medloupe
import several
import tunable
from generated import run
from medloupe.data.contents import digest_image
from medloupe.data.readers.base import walk
from medloupe.embed import tail as tails
from medloupe.embed.network import Network
from medloupe.embed.pictures import open_cache
from medloupe.errors import ClinicalError, ImageError, MedloupeError, NotAnImageError, UnreadableImageError
from medloupe.graphs import session
from medloupe.imaging import decode as images
from medloupe.inference import choosing
from medloupe.inference.choosing import AutoPredictor
from medloupe.inference.paths import expand_paths
from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision
from medloupe.model.head import Head, probabilities
from medloupe.model.novelty import Novelty
from medloupe.model.prediction import Influence, Prediction
from medloupe.modelfile.reader import load
from medloupe.modelfile.writer import write_onnx
from medloupe.store.models import Store
from othertails import tuned
from trained import Trained


def fitted(path: Path) -> np.ndarray:
    """The fitting as the docstring of medloupe/imaging/decode.py tells it to people without medloupe."""
    im = Image.open(path).convert("RGB")
    w, h = (max(1, round(side * 224 / max(im.size))) for side in im.size)
    out = Image.new("RGB", (224, 224))
    out.paste(im.resize((w, h), Image.Resampling.BICUBIC), ((224 - w) // 2, (224 - h) // 2))
    return np.asarray(out)[None]


def test_the_recipe_above_is_the_documented_one() -> None:
    documented = images.__doc__ or ""
    for line in (
        "w, h = (max(1, round(side * 224 / max(im.size))) for side in im.size)",
        'out = Image.new("RGB", (224, 224))',
        "out.paste(im.resize((w, h), Image.Resampling.BICUBIC), ((224 - w) // 2, (224 - h) // 2))",
        "x = np.asarray(out)[None]",
    ):
        assert line in documented


@pytest.mark.parametrize("name", ["sick/004.png", "normal/011.png"])
def test_all_paths_agree(name: str, trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    image = trained.data / name
    (line,) = run(capsys, "predict", "spots", image, "--json").lines
    by_store = line["probabilities"]
    labels = list(by_store)
    by_file = medloupe.load(trained.onnx).predict(image).probabilities

    bare = onnxruntime.InferenceSession(trained.onnx, providers=["CPUExecutionProvider"])
    by_session = dict(zip(labels, bare.run(["probabilities"], {"image": fitted(image)})[0][0].tolist(), strict=True))

    model = Store(trained.home).get("spots")
    cache = open_cache(model.backbone)
    rows, _, damaged = cache.read([digest_image(image.read_bytes())])
    assert not damaged
    by_training = dict(zip(labels, model.head.probabilities(rows)[0].tolist(), strict=True))

    for other in (by_file, by_session, by_training):
        assert list(other) == labels
        assert other == pytest.approx(by_store, abs=1e-4)


def test_both_heat_maps_agree_and_add_up_to_the_logits(trained: Trained) -> None:
    image = trained.data / "sick" / "004.png"
    stored, file = Store(trained.home).get("spots"), medloupe.load(trained.onnx)
    one, two = (m.predict(image, heatmap=True).heatmap for m in (stored, file))
    assert one is not None
    assert two is not None
    assert one.shape == two.shape == (2, 7, 7)
    np.testing.assert_allclose(one, two, atol=1e-3)
    logits, _ = Predictor(file).run(fitted(image))
    np.testing.assert_allclose(one.mean((1, 2)) + file.head.bias, logits[0], atol=1e-3)
    assert stored.predict(image).heatmap is None


def test_paths_bytes_and_pixels_are_one(trained: Trained) -> None:
    predictor = Predictor(Store(trained.home).get("spots"))
    path = trained.data / "sick" / "002.png"
    pixels = np.asarray(Image.open(path))
    answers = [predictor.predict(x) for x in (str(path), path, path.read_bytes(), pixels)]
    assert len({tuple(a.probabilities.values()) for a in answers}) == 1
    assert [a.file for a in answers] == [str(path), str(path), "", ""]
    assert predictor.predict(path.read_bytes(), file="upload.png").file == "upload.png"
    assert set(answers[0].timings) == {"decode", "network"}
    assert all(ms >= 0 for ms in answers[0].timings.values())


def test_grey_pixels_and_other_shapes(trained: Trained) -> None:
    predictor = Predictor(Store(trained.home).get("spots"))
    grey = generated.tissue(3, True)[..., 0]
    assert predictor.predict(grey).probabilities == predictor.predict(np.stack([grey] * 3, 2)).probabilities
    with pytest.raises(UnreadableImageError, match="shape"):
        predictor.predict(np.zeros((4, 4, 2), np.uint8))


def test_errors_name_the_file(trained: Trained, tmp_path: Path) -> None:
    model = Store(trained.home).get("spots")
    (tmp_path / "letter.png").write_bytes(b"%PDF-1.4 hello")
    with pytest.raises(NotAnImageError, match=r"letter\.png.*PDF"):
        model.predict(tmp_path / "letter.png")
    with pytest.raises(ImageError, match=r"none\.png"):
        model.predict(str(tmp_path / "none.png"))


def test_many_keep_their_order_and_one_predictor_serves_many_threads(trained: Trained, tmp_path: Path) -> None:
    predictor = Predictor(Store(trained.home).get("spots"), network_threads=1)
    files = sorted(trained.data.rglob("*.png")) * 2
    files[5] = tmp_path / "missing.png"
    answers = list(predictor.predict_many(iter(files)))
    assert [path for path, _ in answers] == files
    assert [i for i, (_, a) in enumerate(answers) if isinstance(a, ImageError)] == [5]
    with ThreadPoolExecutor(8) as pool:
        again = list(pool.map(predictor.predict, files[6:]))
    for (_, one), two in zip(answers[6:], again, strict=True):
        assert not isinstance(one, ImageError)
        assert one.probabilities == pytest.approx(two.probabilities, abs=1e-6)


def test_nothing_is_read_ahead_of_need(trained: Trained) -> None:
    """A folder of a million images must not be listed into memory as answers."""
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield trained.data / "sick" / "000.png"

    answers = Predictor(Store(trained.home).get("spots")).predict_many(endless())
    for _ in range(3):
        next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert taken < 100


def test_the_most_probable_label_is_said_whatever_weights_a_card_brings(trained: Trained) -> None:
    model = Store(trained.home).get("spots")
    leaning = replace(model, card={**model.card, "decision": {"weights": {"normal": 0.0, "sick": 1.0}}})
    image = trained.data / "normal" / "001.png"
    assert model.predict(image).prediction == "normal"
    said = leaning.predict(image)
    assert said.prediction == "normal"
    assert said.probabilities == model.predict(image).probabilities
    bare = {"labels": ["normal", "sick"], "task": "multiclass"}
    assert Decision.from_card(bare).thresholds.tolist() == [0.5, 0.5]
    assert Decision.from_card(bare).rule.unclear_from is None


def test_what_a_folder_holds_is_what_training_would_read(tmp_path: Path) -> None:
    from readers_cases import dicom, stray

    root = tmp_path / "mixed"
    generated.save(root / "deep" / "b.png", generated.tissue(1, False))
    generated.save(root / "a[1].png", generated.tissue(2, False))
    dicom(root / "IM000001")  # exported studies have no suffix
    stray(root)
    (root / ".hidden.png").write_bytes(b"x")
    (tmp_path / "link").symlink_to(root / "deep")
    names = {str(p.relative_to(root)) for p in expand_paths([str(root)])}
    assert names == {"deep/b.png", "a[1].png", "IM000001"}
    assert names == set(walk(root).images)
    assert [p.name for p in expand_paths([str(root / "a[1].png")])] == [
        "a[1].png"
    ]  # a file, though it looks like a glob
    assert [p.name for p in expand_paths([str(tmp_path / "link")])] == ["b.png"]
    assert list(expand_paths([str(root / "none*.png"), "gone.png"])) == [root / "none*.png", Path("gone.png")]


def test_models_with_and_without_tails_are_chosen_from_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answers as it does alone; the shared network runs once an image."""
    base = tunable.backbone(tmp_path)
    made = []
    for seed, name in enumerate(("plain", "one", "two")):
        rng = np.random.default_rng(seed)
        tail = None
        if name != "plain":
            tail = tails.write_tail(
                tuned(tails.extract_upper_part(tails.load_graph(base)), seed, 0.3), tmp_path / "tails"
            )
        weight = rng.normal(0, 1, (2, tunable.D)).astype(np.float32)
        first = 1000 * seed
        images = np.stack([tunable.picture(first + i, bool(seed)) // (1 + seed) for i in range(40)])
        seen = Network(base).see(images).embedding
        novelty = Novelty.fit(seen, np.arange(40), (tunable.LOWER,), 0)
        assert novelty is not None
        head = Head(weight=weight, bias=np.zeros(2, np.float32), task="multiclass")
        card = {"name": name, "version": 1, "task": "multiclass", "labels": ["a", "b"], "per_label": []}
        made.append((Model(backbone=base, head=head, card=card, novelty=novelty, tail=tail), images))
    auto = AutoPredictor([model for model, _ in made])
    calls: list[int] = []
    chosen = set()
    monkeypatch.setattr(choosing, "run", lambda *args: calls.append(1) or session.run(*args))
    for _, images in made:
        for pixels in images[:6]:
            calls.clear()
            found = auto.predict(pixels, heatmap=True)
            assert len(calls) == 1
            if not found.model:
                continue
            chosen.add(found.model)
            (model,) = [m for m, _ in made if m.name == found.model]
            own = Predictor(model).predict(pixels, heatmap=True)
            assert found.probabilities == pytest.approx(own.probabilities, abs=1e-6)
            assert own.heatmap is not None and found.heatmap is not None
            np.testing.assert_allclose(found.heatmap, own.heatmap, atol=1e-5)
    assert chosen == {"plain", "one", "two"}


# ------------------------------------------------------------------ what is given beside the picture


def test_given_inputs_move_the_answer_by_their_exact_parts(home: Path, tmp_path: Path) -> None:
    """The same from the parts, the store and the file; with nothing given it is the picture's answer alone."""
    model = several.model(tmp_path)
    Store(home).add(model, write_files=lambda folder, m: [write_onnx(m, folder / "model.onnx")].clear())
    pixels = generated.tissue(3, True)
    models = (model, Store(home).get("tiny"), load(Store(home).folder("tiny", 1) / "model.onnx"))
    answers = [Predictor(m).predict(pixels, several.GIVEN) for m in models]
    for one in answers:
        assert one.probabilities == pytest.approx(answers[0].probabilities, abs=1e-6)
        assert one.inputs is not None and [i.name for i in one.inputs] == ["age", "sex", "place", "history"]
        assert [i.value for i in one.inputs][:3] == ["63 years", "F", "upper arm"]
    alone = Predictor(replace(model, extras=None)).predict(pixels)
    without = Predictor(model).predict(pixels)
    assert without.probabilities == alone.probabilities
    assert (alone.inputs, without.inputs) == (None, ())
    assert "inputs" not in alone.as_json() and without.as_json()["inputs"] == []
    labels, said = list(alone.probabilities), answers[0].as_json()
    added = np.array([sum(i["effect"][name] for i in said["inputs"]) for name in labels])
    moved = probabilities(np.log([alone.probabilities[n] for n in labels]) + added, "multiclass")
    np.testing.assert_allclose(moved, [said["probabilities"][n] for n in labels], atol=1e-5)
    assert np.abs(added).max() > 0.3
    assert json.loads(json.dumps(said)) == said


def test_what_counts_against_the_others_is_what_moves_a_class(tmp_path: Path) -> None:
    moved = Influence(name="age", value="5", effect={"a": 1.0, "b": 1.0, "c": -0.5})
    assert moved.toward("a", several=False) == pytest.approx(0.75)
    assert moved.toward("a", several=True) == 1.0
    same = Influence(name="age", value="5", effect={"a": 2.0, "b": 2.0})
    assert same.toward("a", several=False) == 0


def test_what_is_wrong_with_what_is_given_is_told(tmp_path: Path) -> None:
    predictor = Predictor(several.model(tmp_path))
    picture = generated.save(tmp_path / "a.png", generated.tissue(3, True))
    with pytest.raises(ClinicalError, match="age is given as 'old'"):
        predictor.predict(picture, {"age": "old"})
    with pytest.raises(MedloupeError, match="no input 'aeg'"):
        predictor.predict(picture, {"aeg": "4"})
    (first, second) = predictor.predict_many([picture, picture], iter_given({"age": "old"}, {"age": "4"}))
    assert isinstance(first[1], ClinicalError)
    assert isinstance(second[1], Prediction) and second[1].inputs


def iter_given(*rows: dict[str, str]) -> Callable[[Path], dict[str, str]]:
    waiting, lock = iter(rows), Lock()

    def given(path: Path) -> dict[str, str]:
        with lock:
            return next(waiting)

    return given
