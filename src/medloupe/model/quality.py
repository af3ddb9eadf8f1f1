"""Say of a picture's quality what an answer says: why it cannot be used, by a check-up's own limits."""

from __future__ import annotations

from collections.abc import Iterable

from medloupe.imaging.quality import Limits, Measures, find_fault
from medloupe.model.decision import Why


def judge_quality(measures: Measures | None, limits: Limits | None) -> Why | None:
    """Say why a picture cannot be used; None where it can, or was not measured.

    Parameters
    ----------
    measures : Measures or None
        Of the picture.
    limits : Limits or None
        Of the check-up; None stops only what is blank or tiny.
    """
    fault = None if measures is None else find_fault(measures, limits)
    return None if fault is None else Why(code=fault.code, text=fault.text)


def judge_for_all(measures: Measures, every: Iterable[Limits | None]) -> Why | None:
    """Say why no check-up at hand can use a picture, where all that have limits say the same; else None."""
    if (why := judge_quality(measures, None)) is not None:
        return why
    whys = [judge_quality(measures, limits) for limits in every if limits is not None]
    return whys[0] if whys and whys[0] is not None and all(w == whys[0] for w in whys) else None
