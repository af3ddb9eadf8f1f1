"""Spellings of one label are one; different words stay different."""

from __future__ import annotations

from pathlib import Path

import pytest

from medloupe.data.readers.label_spelling import merge_spellings
from medloupe.data.reading import read
from tabled import labels, rows, said, tabled


@pytest.mark.parametrize(
    "spellings",
    [
        *(["Normal", "normal", "NORMAL"], ["0", "0.0", "False", "false"], ["1", "1.0", "TRUE"], ["no_dr", "No DR"]),
        *(["no-dr", "no dr", "NoDR"], ["Ödem", "O\u0308dem"], ["2", "2.0", "02"], ["stage  2", "Stage 2", "stage_2"]),
    ],
)
def test_one_label(spellings: list[str]):
    merged = merge_spellings([*spellings, spellings[0], "other"])
    assert set(merged.cells) == {spellings[0], "other"}
    assert all(repr(spelling) in merged.notes[0] for spelling in spellings)


@pytest.mark.parametrize(
    "words",
    [
        *(
            ["1", "-1"],
            ["1-2", "12"],
            ["1", "10"],
            ["HER2-", "HER2+", "HER2"],
            ["a", "b"],
            ["yes", "1"],
            ["0.5", "0", "5"],
        ),
        *(["normal", "abnormal"], ["benign", "no benign"], ["T1", "T1a"], ["grade 1-2", "grade 12"], ["", "0"]),
    ],
)
def test_different_words(words: list[str]):
    merged = merge_spellings(words)
    assert (merged.cells, merged.notes) == (words, [])


def test_the_commonest_spelling_is_kept():
    assert set(merge_spellings(["ill", "Ill", "Ill", "ILL"]).cells) == {"Ill"}
    assert set(merge_spellings(["0.0", "0.0", "0"]).cells) == {"0"}


def test_in_a_table(tmp_path: Path):
    words = ("Normal", "normal", "NORMAL", "ill")
    data = read(tabled(tmp_path, rows("file,label", lambda i: f"{i}.png, {words[i % 4]} ")))
    assert data.counts() == {"NORMAL": 9, "ill": 3}
    assert labels(data)["1.png"] == {"NORMAL": 1}
    assert "'NORMAL' is also written 'Normal' (3), 'normal' (3)" in said(data)
