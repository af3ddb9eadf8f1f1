"""How far pictures may be shrunk before they are sent, and what the answer says of it."""

from __future__ import annotations

import pytest

from medloupe.imaging.facts import Fact
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.question import Question
from medloupe.serving.engine.sending import limits_for_any, read_shrunk, sending_limits
from medloupe.starter.shipped import load_shipped


def test_whole_pictures_may_be_shrunk_and_nothing_else(home: object) -> None:
    told = {
        name: sending_limits(CheckUp.of(load_shipped(name)))
        for name in ("pneumonia", "blood_cells", "heart_size", "ecg12")
    }
    assert told["blood_cells"] is told["heart_size"] is told["ecg12"] is None
    limits = told["pneumonia"]
    assert limits is not None
    assert limits.longer >= 2 * 224, "a JPEG is not decoded smaller, either"
    assert limits.longer >= 480, "corners are placed at that size"
    assert limits.shorter >= 2 * CheckUp.of(load_shipped("pneumonia")).quality.values["shorter"]  # type: ignore[union-attr]


def test_where_any_may_be_asked_the_one_that_wants_most_counts(home: object) -> None:
    checkups = {name: CheckUp.of(load_shipped(name)) for name in ("pneumonia", "malaria", "blood_cells", "ecg12")}
    own = [sending_limits(checkups[n]) for n in ("pneumonia", "malaria")]
    both = limits_for_any([checkups["pneumonia"], checkups["malaria"], checkups["ecg12"]])
    assert both is not None
    assert both.shorter == max(limits.shorter for limits in own if limits)
    assert limits_for_any(list(checkups.values())) is None, "one counts cells in the whole picture"
    assert limits_for_any([checkups["ecg12"]]) is None


@pytest.mark.parametrize(
    "value", [None, "", "4000", "4000x", "0x10", "-1x3", "4000x3000x2", "1e3x5", "1234567x9", "<b>x1"]
)
def test_what_is_no_size_is_left_out(value: str | None) -> None:
    assert read_shrunk(value) == ()


def test_an_answer_says_that_it_was_shrunk() -> None:
    question = Question(data=b"", fields={"shrunk": "4000x3000"})
    first, second = question.tell((Fact("transparent"),))
    assert (first.code, dict(first.values)) == ("shrunk", {"width": 4000, "height": 3000})
    assert second.code == "transparent"
