"""Keep ECGs of review cases as one file each, and read them again to be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medloupe.ecg.overview import draw_overview
from medloupe.ecg.packing import pack_signal
from medloupe.ecg.recording_files import Source
from medloupe.serving.engine import ecg_intake

if TYPE_CHECKING:
    from medloupe.ecg.parsers import EcgParsers
    from medloupe.ecg.reading import Reading


def tells_beats(answer: Mapping[str, Any]) -> bool:
    """Tell whether an answer is about single beats of a recording, not about the recording."""
    return "counts" in (answer.get("ecg") or ())


def keep_ecg(source: Source, said: Mapping[str, Any], parsers: EcgParsers | None) -> tuple[bytes, tuple[int, int]]:
    """Give the one file as which an ECG is kept, and its samples and leads.

    It is the file that was sent where that says all by itself, so that the same file is known again; else, of several
    files or where its rate or units were told beside it, an .npz that says all.

    Parameters
    ----------
    source
        What was sent.
    said
        The answer's entry `ecg`.
    parsers
        The processes that read it.

    Raises
    ------
    SignalError
        It cannot be read.
    """
    told = ecg_intake.told_fields(said)
    rate, gain = ecg_intake.parse_rate(told), ecg_intake.parse_gain(told)
    signal = ecg_intake.read_recording(source, "", (), rate, gain, parsers=parsers)
    leads, samples = signal.samples.shape
    kept = source if isinstance(source, bytes) and not told else pack_signal(signal)
    return kept, (samples, leads)


def read_ecg_of_case(data: bytes, said: Mapping[str, Any], parsers: EcgParsers | None) -> Reading:
    """Read the ECG of a case, with what was found in it when it was answered.

    Parameters
    ----------
    data
        As `keep_ecg` gave it.
    said
        The entry `ecg` of the case's answer.
    parsers
        The processes that read it.

    Raises
    ------
    SignalError
        It cannot be read.
    ValueError, KeyError, TypeError
        The entry is not as an answer writes it.
    """
    return ecg_intake.read_again(data, said, None, parsers)


def draw_ecg_of_case(data: bytes, parsers: EcgParsers | None) -> str:
    """Draw the beginning of the ECG of a case as an <svg>. Raises SignalError."""
    return draw_overview(ecg_intake.read_recording(data, "", (), None, parsers=parsers), "ECG")
