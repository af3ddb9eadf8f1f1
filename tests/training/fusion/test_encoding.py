"""Inputs taken away look as if they had never been stated."""

from __future__ import annotations

import numpy as np

from medloupe.training.fusion.encoding import EncodedInputs
from weighed import patients

ENCODED, COLUMNS, NOTES = patients(200).encoded("age", "sex", notes=True)
ROWS = patients(200).rows


def test_it_is_columns_and_notes_side_by_side() -> None:
    x = ENCODED.x
    assert x.shape == (200, ENCODED.clinical.shape[1] + ENCODED.notes.shape[1])
    assert len(ENCODED.input_of) == x.shape[1]
    for j, part in enumerate(ENCODED.parts):
        assert (ENCODED.input_of[part] == j).all()


def test_a_dropped_column_is_a_missing_one() -> None:
    without_age = EncodedInputs.encode(COLUMNS, NOTES, [{k: v for k, v in r.items() if k != "age"} for r in ROWS])
    keep = np.ones((200, 2), bool)
    keep[:, 0] = False
    np.testing.assert_array_equal(ENCODED.drop(keep, np.ones(200, bool)), without_age.x)
    np.testing.assert_array_equal(ENCODED.restrict_to((1, 2)).x, without_age.x)


def test_all_taken_away_is_zero() -> None:
    assert not ENCODED.without(clinical=True, notes=True).any()
    f = ENCODED.clinical.shape[1]
    assert not ENCODED.without(notes=True)[:, f:].any() and not ENCODED.without(clinical=True)[:, :f].any()
    np.testing.assert_array_equal(ENCODED.without(), ENCODED.x)
    np.testing.assert_array_equal(ENCODED.without(notes=True)[:, :f], ENCODED.clinical)
