"""A picture of one's own kind passes, a foreign one does not; what was fitted survives being kept."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import generated
import medloupe
import tiny
from embedded import LEVELS, embeddings
from generated import run
from medloupe.embed.registry import backbone
from medloupe.errors import NotOurModelError
from medloupe.inference.pictures import Predictor
from medloupe.model import contrast
from medloupe.model.novelty import FEWEST, METHOD, Novelty
from medloupe.model.sketch import match_levels, sketch
from medloupe.modelfile.card import MAX_NOVELTY, NOVELTY_KEY
from medloupe.modelfile.parts import head_bytes, read_head
from medloupe.modelfile.reader import load
from medloupe.modelfile.writer import build, write_onnx
from medloupe.store.models import Store
from trained import Trained

SKETCHED = (0.0912773, -0.0367548, -0.0168150, -0.0938097, -0.0005904, 0.0015982)


@pytest.fixture(scope="module")
def fitted() -> Novelty:
    novelty = Novelty.fit(embeddings(300, 0), np.arange(300), LEVELS, 0)
    assert novelty is not None
    return novelty


def test_the_share_refused_is_told_of_direct_pictures() -> None:
    """Four of another kind beside them, too few to widen the limit, are refused, and not counted."""
    x = np.concatenate([embeddings(200, 20), embeddings(4, 21, 5)])
    every, told = (Novelty.fit(x, np.arange(204), LEVELS, 0, direct) for direct in (None, 200))
    assert every is not None and told is not None
    assert told.limit == every.limit
    assert round(every.own_refused * 204) == round(told.own_refused * 200) + 4


def test_its_own_kind_passes_and_others_do_not(fitted: Novelty) -> None:
    own = fitted.score(embeddings(2000, 1))
    assert own.dtype == np.float32
    assert own.shape == (2000,)
    assert (own > 1).mean() <= 0.05
    assert fitted.own_refused <= 0.05
    for kind in range(1, 6):
        assert (fitted.score(embeddings(200, 2, kind)) > 1).mean() >= 0.99
    assert (fitted.score(np.random.default_rng(0).gamma(1, 1, (50, 900)).astype(np.float32)) > 1).all()


def test_the_share_refused_is_found_on_what_fitted_nothing() -> None:
    """Without room for other cameras it is the share beyond the limit: 3 of 100. In the fit itself it would be less."""
    x = embeddings(90, 3)
    x[:6] = embeddings(6, 4, kind=9)  # six strangers among its own
    novelty = Novelty.fit(x, np.arange(90), LEVELS, 0)
    assert novelty is not None
    assert 0 <= novelty.own_refused <= 0.07
    alone = Novelty.fit(embeddings(90, 3), np.arange(90), LEVELS, 0)
    assert alone is not None
    assert novelty.limit > alone.limit


def test_images_of_one_patient_count_together() -> None:
    """Ten pictures of each patient are nearly the same: a limit found among them would refuse every new patient."""
    each = np.repeat(embeddings(60, 5), 10, 0)
    x = np.maximum(each + np.random.default_rng(0).normal(0, 0.01, each.shape), 0).astype(np.float32)
    new = embeddings(300, 6)
    together = Novelty.fit(x, np.repeat(np.arange(60), 10), LEVELS, 0)
    apart = Novelty.fit(x, np.arange(600), LEVELS, 0)
    assert together is not None
    assert apart is not None
    assert (together.score(new) > 1).mean() <= 0.05
    assert together.score(new).mean() < apart.score(new).mean()


def test_too_few_groups_have_none() -> None:
    x = embeddings(200, 7)
    assert Novelty.fit(x, np.arange(200) % (FEWEST - 1), LEVELS, 0) is None
    assert Novelty.fit(x, np.arange(200) % FEWEST, LEVELS, 0) is not None


def test_it_is_small_and_the_same_again() -> None:
    levels = backbone().card.levels
    x = embeddings(120, 8, levels=levels)
    one, two = (Novelty.fit(x, np.arange(120), levels, 0) for _ in range(2))
    assert one is not None
    assert two is not None
    assert one.nbytes <= 32 * 1024
    assert json.dumps(one.as_json()) == json.dumps(two.as_json())
    assert len(json.dumps(one.as_json())) < MAX_NOVELTY / 10


def test_what_is_no_number_is_foreign(fitted: Novelty) -> None:
    wrong = embeddings(4, 9)
    wrong[0, 3], wrong[1, 5], wrong[2] = np.nan, np.inf, 0
    with np.errstate(invalid="ignore"):
        scores = fitted.score(wrong)
    assert (scores[:3] > 1).all()
    assert not np.isnan(scores).any()
    assert scores[3] <= 1


def test_images_that_are_all_the_same_do_not_break_it() -> None:
    x = np.repeat(embeddings(1, 10), 40, 0)
    novelty = Novelty.fit(x, np.arange(40), LEVELS, 0)
    assert novelty is not None
    assert (novelty.score(x) <= 1).all()
    assert (novelty.score(embeddings(20, 11, kind=3)) > 1).all()


@given(st.integers(1, 1300), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_the_sketch_keeps_distances(width: int, parts: int, seed: int) -> None:
    levels = (width,) * parts
    rng = np.random.default_rng(seed)
    a, b = (0.01 + rng.gamma(0.5, 1, (2, width * parts))).astype(np.float32)
    z = sketch(np.stack([a, b, 5 * a]), levels)
    assert z.shape == (3, min(512, width * parts))
    assert z[2] == pytest.approx(z[0], abs=1e-4)  # contrast is taken out
    lengths = (z[:2] ** 2).sum(1)
    if width * parts <= 512:  # nothing is added up: lengths are exactly those of the levels, which are one each
        assert lengths == pytest.approx(parts, rel=1e-3)
    else:
        assert lengths == pytest.approx(parts, rel=0.5)


def test_the_sketch_never_changes() -> None:
    """Files hold what was fitted in it: another sketch would make them refuse everything."""
    x = np.arange(1, 1001, dtype=np.float32)[None]
    assert sketch(x, (600, 400))[0, :6] == pytest.approx(SKETCHED, abs=1e-5)


# ------------------------------------------------------------------ keeping


def test_it_survives_arrays_and_json(fitted: Novelty) -> None:
    x = np.concatenate([embeddings(20, 12), embeddings(20, 13, kind=4)])
    for again in (Novelty.from_arrays(fitted.as_arrays()), Novelty.from_json(json.loads(json.dumps(fitted.as_json())))):
        assert again is not None
        assert np.array_equal(again.score(x), fitted.score(x))
        assert again.own_refused == fitted.own_refused
    assert Novelty.from_arrays({"weight": np.zeros(3)}) is None


def _changed(key: str, value: Callable[[Any], Any]) -> Callable[[dict[str, Any]], object]:
    return lambda entry: {**entry, key: value(entry[key])}


BROKEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "no object": lambda entry: [entry],
    "text": lambda entry: "novelty",
    "a key missing": lambda entry: {k: v for k, v in entry.items() if k != "mean"},
    "a key too many": lambda entry: {**entry, "more": 1},
    "another format": _changed("levels", lambda v: [2, *v[1:]]),
    "no levels at all": _changed("levels", lambda v: v[:1]),
    "a level below one": _changed("levels", lambda v: [1, 0]),
    "levels that are no numbers": _changed("levels", lambda v: [1, "400"]),
    "levels that are truths": _changed("levels", lambda v: [True, True]),
    "huge levels": _changed("levels", lambda v: [1, 10**400]),
    "no list": _changed("numbers", lambda v: None),
    "a number too few": _changed("numbers", lambda v: v[:2]),
    "no number": _changed("numbers", lambda v: [float("nan"), *v[1:]]),
    "a limit of nothing": _changed("numbers", lambda v: [v[0], 0, v[2]]),
    "a limit below nothing": _changed("numbers", lambda v: [v[0], -1.0, v[2]]),
    "a share above one": _changed("numbers", lambda v: [*v[:2], 1.5]),
    "no base64": _changed("mean", lambda v: "*" + v[1:]),
    "not ASCII": _changed("mean", lambda v: "é" + v[1:]),
    "half a value": _changed("spread", lambda v: "AAA="),
    "arrays cut": _changed("axes", lambda v: v[:400]),
    "arrays empty": _changed("spread", lambda v: ""),
    "arrays as numbers": _changed("axes", lambda v: 17),
    "arrays too long": _changed("axes", lambda v: "AAAA" * 10**6),
    "values that are no numbers": _changed("mean", lambda v: "/////" + v[5:]),
    "variances of nothing": _changed("spread", lambda v: "A" * (len(v) - v.count("=")) + "=" * v.count("=")),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_ones_are_refused(what: str, fitted: Novelty, tmp_path: Path) -> None:
    entry = BROKEN[what](fitted.as_json())
    with pytest.raises(ValueError, match=r"."):
        Novelty.from_json(entry)
    with pytest.raises(NotOurModelError, match=NOVELTY_KEY):
        load(with_property(tmp_path, json.dumps(entry)))


def test_broken_arrays_are_refused(fitted: Novelty) -> None:
    whole = fitted.as_arrays()
    for key in whole:
        if not key.endswith("levels"):
            with pytest.raises(ValueError, match="missing"):
                Novelty.from_arrays({k: v for k, v in whole.items() if k != key})
        with pytest.raises(ValueError, match=r"."):
            Novelty.from_arrays({**whole, key: whole[key][:1]})


_LEAVES = st.none() | st.booleans() | st.floats() | st.text()


@given(st.recursive(_LEAVES, lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_anything_else_is_refused_in_words(entry: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        Novelty.from_json(entry)


def tiny_novelty(folder: Path) -> Novelty:
    levels = tiny.backbone(folder).card.levels
    novelty = Novelty.fit(embeddings(60, 14, levels=levels), np.arange(60), levels, 0)
    assert novelty is not None
    return novelty


def with_property(folder: Path, text: str) -> Path:
    """A sound model file with that text as its novelty."""
    from onnx import helper

    model = tiny.model(folder)
    proto = build(model)
    properties = {p.key: p.value for p in proto.metadata_props}
    helper.set_model_props(proto, {**properties, NOVELTY_KEY: text})
    path = folder / "given.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_a_file_takes_it_along(tmp_path: Path) -> None:
    model = replace(tiny.model(tmp_path), novelty=tiny_novelty(tmp_path))
    assert model.novelty is not None
    write_onnx(model, tmp_path / "m.onnx")
    again = load(tmp_path / "m.onnx")
    assert again.novelty is not None
    assert again.novelty.as_json() == model.novelty.as_json()
    write_onnx(again, tmp_path / "again.onnx")
    twice = load(tmp_path / "again.onnx").novelty
    assert twice is not None
    assert twice.as_json() == model.novelty.as_json()
    assert load(with_property(tmp_path, json.dumps(model.novelty.as_json()))).novelty is not None
    write_onnx(tiny.model(tmp_path), tmp_path / "without.onnx")
    assert load(tmp_path / "without.onnx").novelty is None
    assert NOVELTY_KEY.encode() not in (tmp_path / "without.onnx").read_bytes()


def test_one_of_another_backbone_or_text_that_is_no_json_is_refused(fitted: Novelty, tmp_path: Path) -> None:
    for text in (json.dumps(fitted.as_json()), "{", "", "[" * 100_000, "x" * (MAX_NOVELTY + 1)):
        with pytest.raises(NotOurModelError, match=f"{NOVELTY_KEY} cannot be used"):
            load(with_property(tmp_path, text))


def test_the_last_levels_alone_do_and_what_lies_before_them_is_not_felt() -> None:
    """What a tail makes comes first; models with different tails are asked on one shared embedding, or on their own."""
    x, new, foreign = embeddings(90, 31), embeddings(200, 32), embeddings(200, 33, kind=7)
    novelty = Novelty.fit(x, np.arange(90), LEVELS[1:], 0)
    assert novelty is not None
    alone = Novelty.fit(x[:, LEVELS[0] :], np.arange(90), LEVELS[1:], 0)
    assert alone is not None
    tuned = new.copy()
    tuned[:, : LEVELS[0]] = np.random.default_rng(0).gamma(3, 9, (200, LEVELS[0]))
    np.testing.assert_array_equal(novelty.score(tuned), novelty.score(new))
    np.testing.assert_array_equal(novelty.score(new), alone.score(new[:, LEVELS[0] :]))
    assert (novelty.score(new) > 1).mean() <= 0.06
    assert (novelty.score(foreign) > 1).mean() >= 0.99
    assert Novelty.from_json(json.loads(json.dumps(novelty.as_json()))).levels == LEVELS[1:]


@pytest.mark.parametrize(
    ("own", "of"),
    [
        *[((400, 200, 300), True), ((200, 300), True), ((300,), True), ((150, 300), True), ((1,), True)],
        *[((), False), ((201, 300), False), ((400, 200), False), ((0, 300), False), ((150, 299), False)],
        ((1, 400, 200, 300), False),
    ],
)
def test_whose_levels_they_are(own: tuple[int, ...], of: bool) -> None:
    assert match_levels(own, LEVELS) is of


def test_a_file_whose_tail_left_only_some_levels_alone(tmp_path: Path) -> None:
    """In one file the tuned numbers come first; the novelty reads those behind them."""
    base = tiny.backbone(tmp_path)
    last = (base.card.dimension // 2,)
    novelty = Novelty.fit(embeddings(60, 14, levels=(base.card.dimension,)), np.arange(60), last, 0)
    assert novelty is not None
    write_onnx(replace(tiny.model(tmp_path), novelty=novelty), tmp_path / "m.onnx")
    again = load(tmp_path / "m.onnx").novelty
    assert again is not None and again.levels == last
    too_many = {**novelty.as_json(), "levels": [1, base.card.dimension]}
    with pytest.raises(NotOurModelError, match=NOVELTY_KEY):
        load(with_property(tmp_path, json.dumps(too_many)))


def test_a_head_without_one_is_kept_as_before(tmp_path: Path) -> None:
    """Blobs are named by their content: a head kept by an older medloupe must keep its name."""
    head = tiny.model(tmp_path).head
    plain = head_bytes(head, None)
    with np.load(io.BytesIO(plain)) as stored:
        assert sorted(stored) == ["bias", "weight"]
    assert read_head(plain, head.task)[1] is None
    novelty = tiny_novelty(tmp_path)
    back, again, _ = read_head(head_bytes(head, novelty), head.task)
    assert again is not None
    assert again.as_json() == novelty.as_json()
    assert np.array_equal(back.weight, head.weight)


# ------------------------------------------------------------------ the whole way


CHECKERED = (
    np.kron(np.indices((12, 12)).sum(0) % 2, np.ones((8, 8)))[..., None].repeat(3, 2).astype(np.uint8) * 150 + 40
)


def noise(height: int, width: int) -> np.ndarray:
    """A picture that is sharp and bright enough to be judged, and of nothing."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_training_gives_one_and_store_and_file_keep_it(trained: Trained) -> None:
    stored, file = Store(trained.home).get("spots"), medloupe.load(trained.onnx)
    assert stored.novelty is not None
    assert file.novelty is not None
    assert stored.novelty.as_json() == file.novelty.as_json()
    card = stored.card["novelty"]
    assert card["own_refused"] == round(stored.novelty.own_refused, 4) <= 0.05
    assert (card["limit_at"], card["method"]) == (0.97, f"{METHOD} {contrast.METHOD}")
    assert set(card["own_kinds"]).isdisjoint(card["other_kinds"]) and "chest X-ray" in card["other_kinds"]
    assert card["kind_told"] is False and "set apart from" in card["words"]
    assert any("are refused" in said for said in stored.card["limits"])


def test_foreign_pictures_are_refused_the_same_by_store_and_file(trained: Trained) -> None:
    stored, file = Store(trained.home).get("spots"), medloupe.load(trained.onnx)
    for model in (stored, file):
        for foreign in (noise(200, 300), CHECKERED):
            said = model.predict(foreign, heatmap=True)
            assert said.prediction == ""
            assert said.refused is not None
            assert (said.state, said.flagged) == ("refused", ())
            assert "unlike everything 'spots' was trained on" in said.refused.reason
            assert said.refused.looks_like == ""
            assert set(said.probabilities) == {"normal", "sick"}
            assert said.heatmap is not None
        blank = model.predict(np.full((90, 90, 3), 250, np.uint8))
        assert (blank.state, blank.prediction, blank.refused) == ("unusable", "", None), "quality goes before kind"
        own = model.predict(generated.tissue(4321, True))
        assert own.refused is None
        assert own.prediction == "sick"


def test_a_refusal_asks_what_else_it_looks_like(trained: Trained) -> None:
    asked = []

    def looks_like(embedding: np.ndarray, name: str) -> str:
        asked.append((embedding.shape, name))
        return "brain_mri"

    predictor = Predictor(Store(trained.home).get("spots"), looks_like=looks_like)
    assert predictor.predict(generated.tissue(4322, False)).refused is None
    assert asked == []
    refused = predictor.predict(noise(50, 50)).refused
    assert refused is not None
    assert refused.looks_like == "brain_mri"
    assert asked == [((3584,), "spots")]


def test_a_reused_outcome_brings_it_too(home: Path, tmp_path: Path) -> None:
    data = medloupe.read(generated.folders(tmp_path / "cells", 17))
    first, second = (medloupe.train(data, name="cells") for _ in range(2))
    assert second.card["reused"]
    assert first.novelty is not None
    assert second.novelty is not None
    assert second.novelty.as_json() == first.novelty.as_json()


def test_few_images_are_set_apart_from_the_kinds_that_are_known(home: Path, tmp_path: Path) -> None:
    model = medloupe.train(medloupe.read(generated.folders(tmp_path / "few", 10)), name="few")
    assert model.novelty is not None and model.novelty.contrast is not None
    assert model.predict(noise(50, 50)).refused is not None
    own = [model.predict(generated.tissue(seed, seed % 2 == 0)).refused for seed in range(7000, 7020)]
    assert sum(r is not None for r in own) <= 1


def test_too_few_images_are_trained_without_and_the_card_says_so(home: Path, tmp_path: Path) -> None:
    model = medloupe.train(medloupe.read(generated.folders(tmp_path / "few", 3)), name="few")
    assert model.novelty is None
    assert model.card["novelty"] is None
    assert any("answers for any input" in said and "at least 8 patients" in said for said in model.card["limits"])
    assert model.predict(noise(50, 50)).refused is None


def test_the_kind_that_is_told_is_not_refused_for_lying_near_itself(home: Path, tmp_path: Path) -> None:
    data = medloupe.read(generated.folders(tmp_path / "few", 10))
    model = medloupe.train(data, name="told", kind="Drawn")
    assert (model.card["novelty"]["own_kinds"], model.card["novelty"]["kind_told"]) == (["drawn"], True)
    assert "drawn" not in model.card["novelty"]["other_kinds"]


def test_the_command_line_says_it(trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = generated.save(tmp_path / "foreign.png", noise(60, 60))
    (line,) = run(capsys, "predict", "spots", foreign, "--json").lines
    assert line["prediction"] == ""
    assert set(line["refused"]) == {"reason", "looks_like"}
    assert line["model"] == "spots"
    said = run(capsys, "predict", "spots", foreign)
    assert said.code == 0
    assert "foreign.png: not judged\n  This picture is unlike everything 'spots' was trained on" in said.out
    assert "%" not in said.out


@pytest.mark.realdata
@pytest.mark.slow
def test_on_real_pictures(home: Path, real_sets: Path) -> None:
    """Fundus photographs know one another, and neither chest X-rays nor cats."""
    from medloupe.data.scan import scan_dataset
    from medloupe.embed.features import embed

    def some(folder: str, n: int) -> medloupe.Dataset:
        data = medloupe.read(real_sets / folder)
        return replace(data, records=data.records[:: len(data) // n][:n])

    own, xray, cats = (
        embed(scan_dataset(some(f, 120)), backbone()) for f in ("fundus", "chest_pneumonia", "cats_dogs")
    )
    patients = np.unique([r.patient or r.id for r in own.data.records], return_inverse=True)[1]
    aside = patients % 3 == 0
    novelty = Novelty.fit(own.embeddings[~aside], patients[~aside], backbone().card.levels, 0)
    assert novelty is not None
    assert (novelty.score(own.embeddings[aside]) > 1).mean() <= 0.05
    for foreign in (xray, cats):
        assert (novelty.score(foreign.embeddings) > 1).mean() >= 0.95


def test_how_near_a_picture_lies_to_what_was_learned() -> None:
    """Its own lie where they usually do, others within the room for another camera or beyond it."""
    fitted = Novelty.fit(embeddings(300, 1), np.arange(300), LEVELS, 0)
    assert fitted is not None
    own = [fitted.nearness(row) for row in embeddings(200, 2)]
    assert own.count("usual") >= 180
    assert {fitted.nearness(row) for row in embeddings(20, 3, kind=7)} == {"far"}
    row, other = embeddings(1, 2)[0], embeddings(1, 3, kind=7)[0]
    found = [fitted.nearness(row + share * (other - row)) for share in np.linspace(0, 1, 101)]
    order = {"usual": 0, "unusual": 1, "far": 2}
    assert [order[n] for n in found] == sorted(order[n] for n in found) and set(found) == set(order)
