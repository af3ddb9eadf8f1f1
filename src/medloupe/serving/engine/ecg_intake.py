"""Read the ECG that a request brings, within limits.

Everything here blocks and runs in the server's worker threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from medloupe.ecg.recording_files import Source, bare_name
from medloupe.errors import ClinicalError, NotAnEcgError, SignalError
from medloupe.imaging import headers
from medloupe.serving.engine import ecg_storage

if TYPE_CHECKING:
    from medloupe.ecg.parsers import EcgParsers
    from medloupe.ecg.reading import Reading
    from medloupe.ecg.signal import Signal
    from medloupe.imaging.sandbox.processpool import Cancellation
    from medloupe.serving.engine.checkup import CheckUp

_MOST_LINES = 3_600_000  # of text, whose numbers are slow to read: an hour at 1,000 Hz

FIELDS = ("rate", "gain", "start")
"""Fields of a form that say how an ECG is to be read and drawn."""


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


def parse_gain(fields: Mapping[str, str]) -> float | None:
    """Read how many units make a millivolt, told beside an ECG; None where it is not told.

    Raises
    ------
    ClinicalError
        It is no number from 1e-6 to 1e9.
    """
    return _number("gain", fields, "how many units make 1 mV, such as 200, or 1000 where they are µV", 1e-6, 1e9)


def parse_start(fields: Mapping[str, str]) -> float:
    """Read from which second on an ECG is to be drawn.

    Raises
    ------
    ClinicalError
        It is no number from 0 to 1e6.
    """
    return _number("start", fields, "a time in seconds from the start", 0, 1e6) or 0.0


def read_recording(
    data: Source,
    file: str,
    checkups: Iterable[CheckUp],
    rate: float | None,
    gain: float | None = None,
    *,
    parsers: EcgParsers | None = None,
    cancellation: Cancellation | None = None,
) -> Signal:
    """Read the ECG in what was sent.

    Parameters
    ----------
    data, file
        Its files, and its name as it was sent.
    checkups
        For which it is read; they are named where it is a picture.
    rate
        Sampling rate in Hz, where the files do not tell it.
    gain
        Units a millivolt, where the files do not tell it.
    parsers
        The processes that read it, so that this one does not; None reads it here.
    cancellation
        By which it is given up.

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
    if parsers is not None:
        return parsers.read(data, rate=rate, gain=gain, cancellation=cancellation)
    from medloupe.ecg.channels import reading_within
    from medloupe.ecg.files import read_ecg
    from medloupe.ecg.parsers import HOUR

    with reading_within(HOUR):
        return read_ecg(data, rate=rate, gain=gain)


def told_fields(said: Mapping[str, object]) -> dict[str, str]:
    """Return the fields that were told when an ECG was read, of the answer's entry `ecg`."""
    told = said.get("told")
    return {key: repr(value) for key, value in told.items() if key in FIELDS} if isinstance(told, Mapping) else {}


def read_again(
    source: Source, said: Mapping[str, object], checkup: CheckUp | None, parsers: EcgParsers | None = None
) -> Reading:
    """Read an ECG that was kept again, with what was found in it.

    Parameters
    ----------
    source
        Its files.
    said
        The answer's entry `ecg`.
    checkup
        The one that answered, if it is still there.
    parsers
        As `read_recording` has them.

    Raises
    ------
    SignalError
        It cannot be read.
    ValueError, KeyError, TypeError
        The entry is not as written here.
    """
    from medloupe.ecg.reading import restore_reading

    asked = [checkup] if checkup else []
    told = told_fields(said)
    try:
        signal = read_recording(source, "", asked, parse_rate(told), parse_gain(told), parsers=parsers)
    except SignalError:
        rate = said.get("rate")
        if told or not isinstance(rate, int | float):
            raise
        # Entries of older versions hold the rate alone, that at which it was read.
        signal = read_recording(source, "", asked, float(rate), parsers=parsers)
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
