"""What is wrong with an entry, in the words of whoever reads it."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict

from medloupe.utils.validation import MISSING, ROOT, read_entry, sentences_under


def _check_even(value: int) -> int:
    if value % 2:
        raise ValueError("is odd")
    return value


class Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    size: Annotated[int, AfterValidator(_check_even)]
    name: str = ""


class Whole(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    first: Part
    parts: list[Part] = []
    tags: dict[str, float] = {}


PART = {ROOT: "a part is an object", MISSING: "a part lacks [{missing}]", "*": "{key} of a part is not {value}"}
SENTENCES = {
    ROOT: "no object",
    MISSING: "lacks [{missing}]",
    "parts": "parts must be a list",
    **sentences_under("first", {**PART, MISSING: "the first lacks [{missing}]"}),
    **sentences_under("parts.#", {**PART, "name": "part {within[1][size]} has no name"}),
}
SOUND = {"size": 2, "name": "a"}


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (None, "no object"),
        ([], "no object"),
        ({}, "lacks [first]"),
        ({"first": 5, "more": 1}, "lacks []"),
        ({"first": 5}, "a part is an object"),
        ({"first": {}}, "the first lacks [size]"),
        ({"first": {"size": 3}}, "is odd"),
        ({"first": {"size": "x" * 99}}, f"size of a part is not {'x' * 40}"),
        ({"first": SOUND, "parts": {}}, "parts must be a list"),
        ({"first": SOUND, "parts": [1]}, "a part is an object"),
        ({"first": SOUND, "parts": [SOUND, {"size": 4, "name": 5}]}, "part 4 has no name"),
        ({"first": SOUND, "parts": [SOUND, {"size": 4, "mass": 5}]}, "a part lacks []"),
        ({"first": SOUND, "tags": []}, "has a 'tags' that is no object"),
        ({"first": SOUND, "tags": {"a": "b"}}, "has a 'tags.a' that is no number"),
    ],
)
def test_what_is_wrong_is_said(entry: object, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_entry(Whole, entry, SENTENCES)
    assert str(caught.value) == says


def test_what_is_right_comes_back() -> None:
    whole = read_entry(Whole, {"first": SOUND, "parts": [SOUND], "tags": {"a": 1}}, SENTENCES)
    assert whole == Whole(first=Part(size=2, name="a"), parts=[Part(size=2, name="a")], tags={"a": 1.0})
