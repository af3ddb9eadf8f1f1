"""What the options of training beside the picture say."""

from __future__ import annotations

import pytest

from medloupe.cli.options import columns_asked, words_masked


@pytest.mark.parametrize(
    ("told", "columns"),
    [(None, None), ("none", []), ("", []), ("all", ["all"]), ("age", ["age"]), (" age, sex ,", ["age", "sex"])],
)
def test_columns(told: str | None, columns: list[str] | None) -> None:
    assert columns_asked(told) == columns


@pytest.mark.parametrize(
    ("told", "words"),
    [("auto", None), ("none", []), ("", []), ("*covid*,PCR", ["*covid*", "PCR"]), ("no finding", ["no finding"])],
)
def test_masks(told: str, words: list[str] | None) -> None:
    assert words_masked(told) == words
