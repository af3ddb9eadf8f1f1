"""Words that state the label are found by name and by data; those that merely go with it are not."""

from __future__ import annotations

import numpy as np

from medloupe.training.audit.masks import propose_masks

N = 200


def example() -> tuple[list[str | None], np.ndarray]:
    rng = np.random.default_rng(0)
    ill = rng.random(N) < 0.4
    texts: list[str | None] = []
    for sick in ill:
        said = [str(rng.choice(["cough", "fatigue", "headache"]))]
        if rng.random() < (0.6 if sick else 0.3):
            said.append("fever")
        if sick and rng.random() < 0.3:
            said.append("xyzzyvir")
        if sick and rng.random() < 0.2:
            said.append("ForCOVID-19")
        texts.append(" ".join(said))
    return texts, np.column_stack([~ill, ill]).astype(np.float32)


def test_words_of_the_name_and_words_of_the_data() -> None:
    texts, y = example()
    found = {s.word: s for s in propose_masks(texts, y, ("healthy", "COVID-19"))}
    assert found["*covid*"].named and found["*covid*"].precision == 1
    assert found["*covid*"].label == "COVID-19"
    assert not found["xyzzyvir"].named and found["xyzzyvir"].patients >= 10
    assert "fever" not in found and "cough" not in found


def test_other_names_are_masked_where_they_occur() -> None:
    texts, y = example()
    texts[0], texts[1] = "SARS-CoV-2 infection", "positive RT-PCR"
    found = {s.word for s in propose_masks(texts, y, ("healthy", "COVID-19"))}
    assert {"*sars*", "rt-pcr"} <= found
    assert "*coronavirus*" not in found


def test_one_talkative_patient_is_no_evidence() -> None:
    texts, y = example()
    ill = np.flatnonzero(y[:, 1] == 1)
    groups = np.arange(N)
    for i in ill[:20]:
        texts[i] = f"{texts[i]} quux"
    assert "quux" in {s.word for s in propose_masks(texts, y, ("healthy", "COVID-19"), groups)}
    groups[ill[:20]] = ill[0]
    assert "quux" not in {s.word for s in propose_masks(texts, y, ("healthy", "COVID-19"), groups)}


def test_general_words_of_labels_are_masked_as_a_phrase_only() -> None:
    texts: list[str | None] = ["no finding today", "a finding in the lung", None]
    y = np.eye(3, 2, dtype=np.float32)
    assert [s.word for s in propose_masks(texts, y, ("No Finding", "other"))] == ["no finding"]


def test_labels_that_are_not_stated_take_no_part() -> None:
    texts, y = example()
    y = y[:, 1:].copy()
    y[::2] = np.nan
    found = {s.word: s for s in propose_masks(texts, y, ("COVID-19",))}
    assert found["*covid*"].patients <= (y[:, 0] == 1).sum()
