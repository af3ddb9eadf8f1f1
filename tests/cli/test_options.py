"""What the options of training beside the picture say."""

from __future__ import annotations

import pytest

from medloupe.cli.options import parse_columns, parse_mask


@pytest.mark.parametrize(
    ("told", "columns"),
    [(None, None), ("none", []), ("", []), ("all", ["all"]), ("age", ["age"]), (" age, sex ,", ["age", "sex"])],
)
def test_columns(told: str | None, columns: list[str] | None) -> None:
    assert parse_columns(told) == columns


@pytest.mark.parametrize(
    ("told", "words"),
    [("auto", None), ("none", []), ("", []), ("*covid*,PCR", ["*covid*", "PCR"]), ("no finding", ["no finding"])],
)
def test_masks(told: str, words: list[str] | None) -> None:
    assert parse_mask(told) == words
