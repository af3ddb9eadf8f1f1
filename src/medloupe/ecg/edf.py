"""Read EDF, EDF+ and BDF recordings, by the edfio package once their header agrees with their size."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

from medloupe.ecg.channels import Channel, assemble_signal, check_size, choose_rate
from medloupe.ecg.signal import Signal, lead_name, missing_package
from medloupe.ecg.units import is_counts, unit_in_millivolts
from medloupe.errors import SignalError

if TYPE_CHECKING:
    from edfio import BdfSignal, EdfSignal

_FIELDS = 256  # bytes of header, of the file and of each channel
_MOST_CHANNELS = 512


def is_edf(start: bytes) -> bool:
    """Tell whether the first bytes are those of an EDF or a BDF file."""
    return start.startswith((b"0       ", b"\xffBIOSEMI")) and len(start) >= 192


def read(data: bytes, name: str, *, gain: float | None = None) -> Signal:
    """Read the ECG channels of a recording, those of the commonest rate among them.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        What to call it in errors.
    gain : float, optional
        Units a millivolt, for channels that tell no unit.

    Raises
    ------
    SignalError
        Where there is none.
    """
    biosemi = data.startswith(b"\xff")
    _check(data, name, 3 if biosemi else 2)
    try:
        import edfio
    except ImportError:
        raise missing_package("edfio") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on fields that the ECG does not depend on
        recording = (edfio.read_bdf if biosemi else edfio.read_edf)(data, header_encoding="latin-1")
        signals = [s for s in recording.signals if "annotation" not in s.label.lower()]
        # Polysomnograms hold many channels; those of the heart say so, or are called as leads are.
        heart = [s for s in signals if "ecg" in s.label.lower() or "ekg" in s.label.lower() or lead_name(s.label)]
        heart = [s for s in heart if _is_voltage(s.physical_dimension.strip())]
        if not heart and len(signals) == 1:
            heart = signals
        if not heart:
            labels = ", ".join(s.label for s in signals[:12]) or "none"
            raise SignalError(
                f"{name} has no channel called ECG or after a lead; it has: {labels}.",
                "Export the ECG leads.",
            )
        for signal in heart:
            _check_scale(name, signal)
            check_size(name, len(heart), len(signal.digital), signal.sampling_frequency)
        made = [Channel(s.label, s.physical_dimension.strip(), s.data) for s in heart]
    channels, rate, notes = choose_rate(made, [s.sampling_frequency for s in heart])
    return assemble_signal(channels, rate, "BDF" if biosemi else "EDF", name, notes, gain=gain)


def _is_voltage(unit: str) -> bool:
    """Tell whether a unit may be that of an ECG: a voltage, a converter's counts, or none told."""
    return not unit or unit_in_millivolts(unit) is not None or is_counts(unit)


def _check_scale(name: str, signal: EdfSignal | BdfSignal) -> None:
    """Check that a channel's numbers can be scaled; edfio gives them as they are stored where they cannot."""
    try:
        low, high = signal.physical_min, signal.physical_max
        least, most = signal.digital_min, signal.digital_max
        gain = (high - low) / (most - least)
    except (ValueError, ZeroDivisionError):
        gain = math.nan
    if gain == 0 or not math.isfinite(gain):
        raise SignalError(
            f"{name} does not tell the scale of {signal.label!r}: its physical minimum and maximum must be numbers "
            "that differ, with a decimal point, and its digital ones whole numbers that differ.",
            "Export it again, or as CSV with the unit in the names of the columns.",
        )


def _check(data: bytes, name: str, width: int) -> None:
    """Compare what the header claims with the bytes that are there."""

    def number(start: int, length: int) -> int:
        text = data[start : start + length].strip(b" \x00")
        if not text.isdigit() and text != b"-1":
            raise SignalError(
                f"{name} has a damaged EDF header ({text[:8]!r} where a number stands).", "Copy it again."
            )
        return int(text)

    if data[192:197] in (b"EDF+D", b"BDF+D"):
        raise SignalError(
            f"{name} is in pieces with gaps between them (discontinuous {data[192:195].decode()}+), which is not read.",
            "Export one piece, without gaps.",
        )
    count, records = number(252, 4), number(236, 8)
    if not 1 <= count <= _MOST_CHANNELS or len(data) < _FIELDS * (count + 1):
        raise SignalError(f"{name} says it has {count} channels; 1 to {_MOST_CHANNELS} are read.", "Copy it again.")
    if (told := number(184, 8)) != _FIELDS * (count + 1):
        raise SignalError(
            f"{name} says that its header has {told} bytes; {count} channels take {_FIELDS * (count + 1)}.",
            "Copy it again, or export it again.",
        )
    samples = [number(_FIELDS + 216 * count + 8 * k, 8) for k in range(count)]
    there = len(data) - _FIELDS * (count + 1)
    if min(samples) < 0 or max(records, 1) * sum(samples) * width > there:
        raise SignalError(
            f"{name} is shorter than its header says: {records} records of {sum(samples)} samples.", "Copy it again."
        )
