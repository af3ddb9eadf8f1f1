"""Roles of labels: recognised by name where that is safe, told by people, never guessed beyond."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.data.labels import Roles, recognise_roles, tell_roles
from medloupe.errors import DataError


@pytest.mark.parametrize(
    ("labels", "roles"),
    [
        (("NORMAL", "PNEUMONIA"), ("normal", "sought")),
        (("not_referable", "referable"), ("normal", "sought")),
        (("COVID", "NonCOVID"), ("sought", "normal")),
        (("benign", "malignant", "normal"), ("harmless", "sought", "normal")),
        (("Parasitized", "Uninfected"), ("sought", "normal")),
        (("negative", "positive"), ("normal", "sought")),
        (("abnormal", "normal"), ("sought", "normal")),
        (("No Finding", "Effusion", "Nodule"), ("normal", "sought", "sought")),
        (("0_no_dr", "1_mild", "2_moderate"), ("normal", "none", "none")),
        (
            ("glioma", "meningioma", "notumor"),
            ("none", "none", "normal"),
        ),  # to flag one alone would call the other clear
        (("cat", "dog"), ("none", "none")),
        (("Monkey_Pox", "Others"), ("none", "none")),
    ],
)
def test_roles_are_recognised_by_name_and_that_is_said(labels: tuple[str, ...], roles: tuple[str, ...]):
    found = recognise_roles(labels)
    assert tuple(found.of(n) for n in labels) == roles
    assert found.by == "recognised"
    if any(r != "none" for r in roles):
        assert "recognised by the names" in found.words
    else:
        assert "No label is looked for" in found.words


def test_what_is_told_goes_before_what_names_say():
    roles = tell_roles(("a", "normal", "b"), sought=("b", "a"))
    assert [roles.of(n) for n in roles.labels] == ["sought", "normal", "sought"]
    assert roles.danger == {"b": 1, "a": 2}
    assert roles.by_danger() == ["b", "a", "normal"]
    assert roles.by == "told"
    np.testing.assert_array_equal(roles.ranks, [2, 0, 1])


def test_of_grades_the_later_is_the_more_dangerous():
    roles = tell_roles(("0_no_dr", "1_mild", "2_severe"), ordered=True)
    assert [roles.of(n) for n in roles.labels] == ["normal", "sought", "sought"]
    assert roles.danger == {"1_mild": 2, "2_severe": 1}
    assert roles.ordered


@pytest.mark.parametrize(
    ("told", "words"),
    [({"sought": ("pneumonai",)}, "pneumonia"), ({"sought": ("normal",), "normal": ("normal",)}, "one role")],
)
def test_what_cannot_be_is_refused(told: dict[str, tuple[str, ...]], words: str):
    with pytest.raises(DataError) as e:
        tell_roles(("normal", "pneumonia"), **told)
    assert words in str(e.value)


def test_roles_come_back_from_a_card():
    roles = tell_roles(("none", "mild", "bad"), normal=("none",), ordered=True, false_flags=0.1)
    assert Roles.from_json(roles.labels, roles.as_json()) == roles
    assert Roles.from_json(("NORMAL", "PNEUMONIA"), None) == recognise_roles(("NORMAL", "PNEUMONIA"))
