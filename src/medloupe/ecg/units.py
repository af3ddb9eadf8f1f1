"""Tell what the numbers of an ECG are in millivolts: by the unit told, by proof, else ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medloupe.errors import SignalError

_UNITS = {"v": 1e3, "volt": 1e3, "volts": 1e3, "mv": 1.0, "millivolt": 1.0, "millivolts": 1.0, "uv": 1e-3, "µv": 1e-3}
_UNITS |= {"μv": 1e-3, "microv": 1e-3, "microvolt": 1e-3, "microvolts": 1e-3, "nv": 1e-6, "nanovolt": 1e-6}
_COUNTS = frozenset(
    ("adu", "adc", "adcunits", "au", "a.u.", "bit", "bits", "count", "counts", "digit", "digits", "lsb", "nu", "raw")
)
_IN_MICROVOLTS = 20.0  # no R wave has 20 mV
_SURELY_MICROVOLTS = 500.0  # converters have 200 counts a millivolt and more: below, these would be usual beats, too
_IN_VOLTS = 0.02
_MOST_LOOKED_AT = 200_000  # samples of each lead

# The MIT-BIH Arrhythmia Database, as raw counts: 11 bits about 1,024, 200 a millivolt, 360 Hz, MLII in nearly all.
_MIT_LEADS = frozenset(("MLII", "V1", "V2", "V4", "V5"))
_MIT_RATE, _MIT_GAIN, _MIT_BASELINE, _MIT_MOST = 360.0, 200.0, 1024.0, 2047.0
_MIT_NEAR = 200.0  # how far from it a lead's usual value may lie

ASK = (
    "Tell how many units make 1 mV, 1000 where they are µV: --gain on the command line, the field `gain` over HTTP; or "
    "write the unit into the file, in text as II (µV)."
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How numbers become millivolts: (number - baseline) × factor. note: what was concluded, "" where nothing was."""

    factor: float = 1.0
    baseline: float = 0.0
    note: str = ""


def unit_in_millivolts(unit: str) -> float | None:
    """Return what one unit is in mV; None where it is no voltage, or none that is known."""
    return _UNITS.get(unit[:40].strip().strip("[]()").lower().replace(" ", ""))


def is_counts(unit: str) -> bool:
    """Tell whether a unit is that of a converter's counts, of which so many make a millivolt."""
    return unit[:40].strip().strip("[]()").lower().replace(" ", "") in _COUNTS


def find_scale(
    name: str,
    leads: Sequence[np.ndarray],
    lead_names: Sequence[str],
    rate: float,
    *,
    gain: float | None = None,
    counts: bool = False,
) -> Scale:
    """Find the scale of leads whose unit is not told.

    Numbers with digits behind the point tell it by how high the beats are, where only one reading is possible. Whole
    numbers do not: microvolts and counts of a converter look alike.

    Parameters
    ----------
    name : str
        The file.
    leads : Sequence of ndarray
        Their samples.
    lead_names : Sequence of str
        Their standard names, "" unknown.
    rate : float
        Hz.
    gain : float, optional
        Units a millivolt, when the person tells it.
    counts : bool
        Whether the file says that they are counts.

    Raises
    ------
    SignalError
        Where more than one reading is plausible.
    """
    if gain is not None:
        return Scale(1 / gain, _told_baseline(leads, lead_names, rate, gain))
    known = [lead[np.isfinite(lead)] for lead in (lead[:_MOST_LOOKED_AT] for lead in leads)]
    known = [lead for lead in known if lead.size]
    heights = [float(np.percentile(np.abs(lead - np.median(lead)), 99.5)) for lead in known]
    height = float(np.median(heights)) if heights else 0.0
    moving = [lead for lead, high in zip(known, heights, strict=True) if high > 0]
    if not moving:
        return Scale()
    if counts or all(bool(np.all(lead == np.rint(lead))) for lead in moving):
        if _is_mit_bih(leads, lead_names, rate):
            said = (
                "The file tells no unit; whole numbers about 1,024 at 360 Hz on the leads of the MIT-BIH database are"
            )
            return Scale(1 / _MIT_GAIN, _MIT_BASELINE, f"{said} its counts, 200 a millivolt.")
        low, high = min(float(lead.min()) for lead in moving), max(float(lead.max()) for lead in moving)
        what = "its samples are counts" if counts else "its samples are whole numbers"
        raise SignalError(
            f"{name} tells no unit, and {what}, from {low:,.0f} to {high:,.0f}: microvolts and the counts of a "
            "converter cannot be told apart.",
            ASK,
        )
    if _IN_MICROVOLTS < height <= _SURELY_MICROVOLTS:
        raise SignalError(
            f"{name} tells no unit, and its beats are {height:,.0f} high: too high for mV, and low for µV.", ASK
        )
    if height > _IN_MICROVOLTS:
        return Scale(1e-3, note=f"The file tells no unit; its beats are {height:,.0f} high, so it is read as µV.")
    if height < _IN_VOLTS:
        return Scale(1e3, note=f"The file tells no unit; its beats are {height:.2g} high, so it is read as volts.")
    return Scale()


def _is_mit_bih(leads: Sequence[np.ndarray], lead_names: Sequence[str], rate: float) -> bool:
    if rate != _MIT_RATE or "MLII" not in lead_names or not set(lead_names) <= _MIT_LEADS:
        return False
    return all(
        lead.size
        and float(np.nanmin(lead)) >= 0
        and float(np.nanmax(lead)) <= _MIT_MOST
        and abs(float(np.nanmedian(lead)) - _MIT_BASELINE) < _MIT_NEAR
        for lead in leads
    )


def _told_baseline(leads: Sequence[np.ndarray], lead_names: Sequence[str], rate: float, gain: float) -> float:
    """Return the stored value of 0 mV where it is known; elsewhere the wander's filter takes the offset out."""
    return _MIT_BASELINE if gain == _MIT_GAIN and _is_mit_bih(leads, lead_names, rate) else 0.0
