"""What each input adds, on the same draws of patients."""

from __future__ import annotations

import numpy as np

from medloupe.training.fusion.contributions import (
    ALL,
    IMAGE,
    NOTES,
    NOTHING,
    TABLE,
    compare_contributions,
    word_contributions,
)
from medloupe.training.heads.ranking import macro_auc
from synthetic import one_hot

N = 200
RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 2, N)
Y = one_hot(CLASSES, 2)


def p(strength: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(2, N)) * 0.3 + rng.normal(size=N) + strength * (CLASSES - 0.5)
    one = 1 / (1 + np.exp(-z))
    return np.stack([1 - one, one], 2).astype(np.float32)


WEAK, STRONG = p(1, 1), p(3, 2)


def test_point_and_paired_difference() -> None:
    rows = {
        r["name"]: r
        for r in compare_contributions({IMAGE: WEAK, TABLE: WEAK, ALL: STRONG}, Y, np.arange(N), "multiclass")
    }
    image, every = (np.mean([macro_auc(one, Y) for one in q]) for q in (WEAK, STRONG))
    np.testing.assert_allclose(rows[IMAGE]["auc"]["value"], image, atol=1e-6)
    np.testing.assert_allclose(rows[ALL]["over_image"]["value"], every - image, atol=1e-6)
    assert 0 < rows[ALL]["over_image"]["low"] < every - image < rows[ALL]["over_image"]["high"]
    assert rows[ALL]["over_notes"] is None and rows[IMAGE]["over_image"] is None


def test_the_same_answers_differ_by_nothing_at_all() -> None:
    rows = {r["name"]: r for r in compare_contributions({IMAGE: WEAK, NOTHING: WEAK}, Y, np.arange(N), "multiclass")}
    assert rows[NOTHING]["over_image"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_pairing_narrows_the_interval() -> None:
    near = np.clip(WEAK + 0.001 * (Y - 0.5), 0, 1).astype(np.float32)
    row = compare_contributions({IMAGE: WEAK, ALL: near}, Y, np.arange(N), "multiclass")[1]
    auc, apart = row["auc"], row["over_image"]
    assert apart["high"] - apart["low"] < 0.2 * (auc["high"] - auc["low"])


def test_the_sentence_says_gain_noise_and_nothing() -> None:
    def said(after: np.ndarray, used: tuple[str, ...], unused: tuple[str, ...] = ()) -> str:
        systems = {IMAGE: WEAK, TABLE: p(0.5, 3), NOTES: p(1, 4), ALL: after}
        return word_contributions(compare_contributions(systems, Y, np.arange(N), "multiclass"), used, unused, "image")

    gain = said(STRONG, ("age", "in_pain"), ("sex",))
    assert "With age and in pain the AUC is" in gain and "more (95% interval" in gain
    assert "Sex adds nothing beyond that, and is not asked for." in gain
    assert "Over the table alone" in gain and "Over the notes alone" in gain
    assert "may be noise" in said(WEAK, ("age",))
    assert "less (95% interval" in said(p(0, 9), ("age",))
    assert said(WEAK, (), ("age", "sex")).startswith("Age and sex add nothing to the image that is more than noise")
