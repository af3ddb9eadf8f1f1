"""Damaged files for all that reads bytes from elsewhere: a twentieth of what benchmarks/fuzz.py tries by default."""

from __future__ import annotations

import pytest

import fuzzing


@pytest.mark.parametrize("name", fuzzing.TARGETS)
def test_damaged_bytes_are_read_or_refused(name: str) -> None:
    outcome = fuzzing.hammer(name, 100, seed=0)
    assert not outcome.faults
    assert outcome.read + outcome.refused == 100
    assert outcome.refused, "nothing was damaged enough"
