"""Notes become numbers by their letters, without the masked words, in any script."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

from medloupe.inputs.notes import BUCKETS, Masks, Notes, fold_text, split_words
from medloupe.inputs.projection import leading_singular_vectors

ILL = ("fever and dry cough since monday", "fièvre et toux sèche", "high fever, coughing at night", "咳嗽 发烧 三天")
WELL = ("routine control before surgery", "contrôle de routine", "knee pain, no complaints", "常规 检查")


def written(n: int = 80) -> list[str | None]:
    rng = np.random.default_rng(0)
    notes: list[str | None] = []
    for i in range(n):
        of = (ILL, WELL)[i % 2]
        notes.append(" ".join(rng.choice(of, 2)) + f" {rng.integers(20, 90)} years")
    return notes


def fitted(texts: list[str | None] | None = None, **options: Any) -> Notes:
    notes = Notes.fit(written() if texts is None else texts, **options)
    assert notes is not None
    return notes


def test_like_notes_lie_together() -> None:
    notes = fitted()
    one, other, far = (
        notes.vectors(["dry coughs and fever"])[0],
        notes.vectors(["fever, cough"])[0],
        notes.vectors(["routine surgery"])[0],
    )

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert cosine(one, other) > 0.3 > 0 > cosine(one, far)
    assert cosine(notes.vectors(["咳嗽"])[0], one) > cosine(notes.vectors(["常规"])[0], one)


def test_nothing_said_is_zero() -> None:
    notes = fitted()
    for text in (None, "", "  \n", "!!! ...", "ωψξ"):
        assert not notes.vectors([text])[0].any()
    assert notes.vectors(["fever"])[0].dtype == np.float32 and notes.vectors(["fever"])[0].shape == (notes.width,)
    np.testing.assert_array_equal(notes.vectors(["fever", ""])[0], notes.vectors(["FEVER"])[0])


def test_a_short_note_says_less() -> None:
    notes = fitted()
    assert np.linalg.norm(notes.vectors(["fever"])[0]) < 0.5 * np.linalg.norm(notes.vectors(["fever " * 20])[0])


def test_training_notes_are_centred_and_of_unit_size() -> None:
    texts = [f"{t} {t} {t}" for t in written()]
    z = fitted(list(texts)).vectors(texts)
    assert np.abs(z.mean(0)).max() < 0.15
    assert 0.3 < z.var(0).mean() < 1.2


def test_the_same_notes_give_the_same_numbers() -> None:
    np.testing.assert_array_equal(fitted().vectors(["fever"])[0], fitted().vectors(["fever"])[0])
    assert Notes.fit(["fever"] * 3) is None


@pytest.mark.parametrize(
    ("mask", "text", "left"),
    [
        ("covid", "covid, and COVID-19", ", and covid-19"),
        ("*covid*", "ClassicCOVID-19 in covid.", "in ."),
        ("sars-cov-2", "SARS-CoV-2 positive", "positive"),
        ("no finding", "there is no finding here", "there is here"),
        ("pneu*ia", "pneumonia, pneumothorax", ", pneumothorax"),
        ("*", "all words", ""),
        ("肺炎", "肺炎 咳嗽", "咳嗽"),
        ("", "kept", "kept"),
    ],
)
def test_masked_words_are_blanks(mask: str, text: str, left: str) -> None:
    assert " ".join(Masks((mask,)).apply(text).split()) == left


def test_masked_words_change_nothing() -> None:
    notes = fitted(mask=("*covid*",))
    np.testing.assert_array_equal(notes.vectors(["fever COVID-19 cough"])[0], notes.vectors(["fever cough"])[0])
    assert (fitted().vectors(["fever COVID-19 cough"])[0] != fitted().vectors(["fever cough"])[0]).any()


def test_masks_of_a_hostile_file_keep_nobody_busy() -> None:
    started = time.process_time()
    Masks(("*a" * 49 + "*b", "x " * 40)).apply("a" * 20_000 + " " + "x " * 5_000)
    assert time.process_time() - started < 2


def test_words_keep_what_hyphens_join() -> None:
    assert split_words("SARS-CoV-2, don't 38.5") == ["sars-cov-2", "don't", "38.5"]
    assert fold_text("Ｆｅｖｅｒ") == "fever"


def test_it_comes_back_from_json() -> None:
    notes = fitted(mask=("*covid*", "pcr"), column="report")
    back = Notes.from_json(json.loads(json.dumps(notes.as_json())))
    assert (back.column, back.mask, back.width) == ("report", ("*covid*", "pcr"), notes.width)
    np.testing.assert_array_equal(back.vectors(["fever and cough"])[0], notes.vectors(["fever and cough"])[0])


@pytest.mark.parametrize(
    "change",
    [
        {"column": ""},
        {"mask": ["x"] * 300},
        {"mask": [1]},
        {"mask": ["x" * 101]},
        {"idf": "AAAA"},
        {"axes": ""},
        {"axes": None},
        {"mean": []},
        {"mean": [0.0] * 65},
        {"mean": [float("inf")]},
        {"scale": 0},
        {"scale": True},
        {"more": 1},
    ],
)
def test_hostile_json_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Notes.from_json({**fitted().as_json(), **change})


def test_arrays_without_numbers_are_refused() -> None:
    import base64

    spoilt = base64.b64encode(np.full(BUCKETS, np.nan, "<f2").tobytes()).decode()
    with pytest.raises(ValueError, match="no numbers"):
        Notes.from_json({**fitted().as_json(), "idf": spoilt})


def test_the_axes_are_the_leading_singular_vectors() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(90, 6)) * [9, 8, 7, 6, 5, 4] @ rng.normal(size=(6, 400))).astype(np.float32)
    x += rng.normal(size=x.shape).astype(np.float32)
    axes = leading_singular_vectors(x, 6, 0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(6), atol=1e-4)
    wanted = np.linalg.svd(x - x.mean(0), full_matrices=False)[2][:6]
    np.testing.assert_allclose(np.abs(np.diag(wanted @ axes)), 1, atol=1e-3)


def test_a_long_note_and_many_masks_take_no_time() -> None:
    masks = Masks([f"word{i} *other{i}*" for i in range(200)])
    started = time.process_time()
    for text in ("a " * 10_000, "\ufdfa " * 10_000):
        masks.apply(text)
        split_words(text)
    assert time.process_time() - started < 5
