"""Read the ECG that a request brings, within limits, and tell it from a picture.

Everything here blocks and runs in the server's worker threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from medloupe.ecg.recording_files import Source, bare_name
from medloupe.errors import ClinicalError, NotAnEcgError, NotAnImageError, SignalError
from medloupe.imaging import headers
from medloupe.serving.engine import ecg_storage

if TYPE_CHECKING:
    from medloupe.ecg.reading import Reading
    from medloupe.ecg.signal import Signal
    from medloupe.serving.engine.checkup import CheckUp

MOST_SAMPLES = 24_000_000
"""Most samples of all leads together: more than twelve leads of an hour at 500 Hz."""

MOST_SECONDS = 3600
"""Longest recording that is read; `medloupe predict` reads a day."""

_MOST_LINES = 3_600_000  # of text, whose numbers are slow to read: an hour at 1,000 Hz

FIELDS = ("rate", "start")
"""Fields of a form that say how an ECG is to be read and drawn."""


def is_ecg(data: Source, file: str) -> bool:
    """Tell whether what was sent is an ECG rather than a picture."""
    if not isinstance(data, bytes):
        return True
    kind = headers.sniff(data[: headers.SNIFF_BYTES])
    if kind not in (None, "DICOM") or (kind == "DICOM" and headers.WAVEFORM_CLASSES not in data[:4096]):
        return False  # without parsing it
    from medloupe.ecg.files import is_ecg_bytes

    return is_ecg_bytes(data, file)


def select_by_kind(checkups: Sequence[CheckUp], data: Source, file: str) -> list[CheckUp]:
    """Select the check-ups that read what was sent, ECGs or pictures."""
    ecgs = is_ecg(data, file)
    return [c for c in checkups if (c.ecg is not None) == ecgs]


def is_picture(data: Source) -> bool:
    """Tell whether the first bytes are a picture's; DICOM may be either, so it counts as none."""
    return isinstance(data, bytes) and headers.sniff(data[: headers.SNIFF_BYTES]) not in (None, "DICOM")


def parse_rate(fields: Mapping[str, str]) -> float | None:
    """Read the sampling rate in Hz told beside an ECG, None where there is none.

    Raises
    ------
    ClinicalError
        It is no number from 1 to 1e6.
    """
    return _number("rate", fields, "a sampling rate in Hz, such as 500", 1, 1e6)


def parse_start(fields: Mapping[str, str]) -> float:
    """Read from which second on an ECG is to be drawn.

    Raises
    ------
    ClinicalError
        It is no number from 0 to 1e6.
    """
    return _number("start", fields, "a time in seconds from the start", 0, 1e6) or 0.0


def read_recording(data: Source, file: str, checkups: Iterable[CheckUp], rate: float | None) -> Signal:
    """Read the ECG in what was sent.

    Parameters
    ----------
    data, file
        Its files, and its name as it was sent.
    checkups
        For which it is read; they are named where it is a picture.
    rate
        Sampling rate in Hz, where the files do not tell it.

    Raises
    ------
    SignalError
        It cannot be read, or is longer than is read here.
    ExtraError
        What reads such files is not installed.
    """
    if is_picture(data):
        raise NotAnEcgError(
            f"{file or 'The file'} is a picture; {_names(checkups)} reads ECG recordings.",
            "Send WFDB (.hea and .dat), CSV, EDF, .npz or a DICOM waveform, or ask a check-up of pictures.",
        )
    from medloupe.ecg.files import read_ecg

    if (
        isinstance(data, bytes)
        and ecg_storage.guess_suffix(data) == "csv"
        and (lines := data.count(b"\n")) > _MOST_LINES
    ):
        raise SignalError(
            f"{file or 'The file'} has {lines:,} lines; up to {_MOST_LINES:,} are read here.",
            "Send a part of it, or ask on the command line: medloupe predict",
        )
    if isinstance(data, bytes):
        known = PurePosixPath(bare_name(file)).suffix
        data = {bare_name(file) if known else f"{bare_name(file) or 'ecg'}.{ecg_storage.guess_suffix(data)}": data}
    signal = read_ecg(data, rate=rate)
    _check_length(signal)
    return signal


def _check_length(signal: Signal) -> None:
    if signal.samples.size > MOST_SAMPLES:
        raise SignalError(
            f"The recording has {signal.samples.size / 1e6:.0f} million samples; up to {MOST_SAMPLES / 1e6:.0f} million"
            " are read here.",
            "Export it at 500 Hz, send a part of it, or ask on the command line: medloupe predict",
        )
    if signal.seconds > MOST_SECONDS:
        raise SignalError(
            f"The recording lasts {signal.seconds / 3600:.1f} hours; at most {MOST_SECONDS / 3600:.0f} is read here.",
            "Send a part of it, or ask on the command line: medloupe predict",
        )


def not_a_picture_error(file: str, checkups: Iterable[CheckUp]) -> NotAnImageError:
    """Make the error for an ECG that was sent to a check-up of pictures."""
    able = _names(c for c in checkups if c.ecg is not None)
    return NotAnImageError(
        f"{file or 'The file'} is an ECG recording, not a picture.",
        f"ECGs are read by: {able}." if able else "No check-up here reads ECGs.",
    )


def read_again(source: Source, said: Mapping[str, object], checkup: CheckUp | None) -> Reading:
    """Read an ECG that was kept again, with what was found in it.

    Parameters
    ----------
    source
        Its files.
    said
        The answer's entry `ecg`.
    checkup
        The one that answered, if it is still there.

    Raises
    ------
    SignalError
        It cannot be read.
    ValueError, KeyError, TypeError
        The entry is not as written here.
    """
    from medloupe.ecg.reading import restore_reading

    rate = said.get("rate")
    signal = read_recording(
        source, "", [checkup] if checkup else [], float(rate) if isinstance(rate, int | float) else None
    )
    return restore_reading(signal, said)


def _number(name: str, fields: Mapping[str, str], expected: str, least: float, most: float) -> float | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = -1.0
    if not least <= value <= most:
        raise ClinicalError(name, text, expected)
    return value


def _names(checkups: Iterable[CheckUp]) -> str:
    return ", ".join(c.name for c in checkups)
