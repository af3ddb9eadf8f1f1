"""Say of a picture's quality what an answer says: why it cannot be used, by a check-up's own limits."""

from __future__ import annotations

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
