"""Read WFDB records (PhysioNet): a .hea header with its .dat samples, and by the wfdb package .atr annotations."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medloupe.ecg.channels import Channel, assemble_signal, check_size, choose_rate
from medloupe.ecg.signal import Signal, missing_package
from medloupe.ecg.wfdb_header import Header, read_header
from medloupe.ecg.wfdb_samples import count_samples, decode_file
from medloupe.errors import SignalError

_MOST_SHORT = 64  # frames that may be missing at the end

# ANSI/AAMI EC57: the heart beats of the MIT-BIH code, by class.
_AAMI = {
    **dict.fromkeys("NLReje", "N"),
    **dict.fromkeys("AaJS", "S"),
    **dict.fromkeys("VE", "V"),
    **dict.fromkeys("F", "F"),
    **dict.fromkeys("/fQ", "Q"),
}


def read(files: Mapping[str, bytes], name: str, source: str = "WFDB", *, gain: float | None = None) -> Signal:
    """Read the ECG of one record: of its leads those of the commonest rate.

    Parameters
    ----------
    files : Mapping
        Bytes by name without folders.
    name : str
        Its .hea.
    source : str
        What to call the format.
    gain : float, optional
        Units a millivolt, for channels whose gain, or whose unit in volts, the header does not tell.

    Raises
    ------
    SignalError
        Naming what is missing.
    """
    told = read_header(files[name], name)
    for file in told.files:
        if file not in files:
            raise SignalError(
                f"{name} needs {file}, which is not there.", "Give both files, the .hea and the .dat, together."
            )
    frames = _count_frames(told, files, name)
    found: dict[int, np.ndarray] = {}
    for file in told.files:
        of_file = [k for k, line in enumerate(told.lines) if line.file == file]
        lines = [told.lines[k] for k in of_file]
        if gain:
            lines = [line if line.calibrated else replace(line, gain=gain) for line in lines]
        found |= zip(of_file, decode_file(files[file], lines, frames), strict=True)
    channels = [Channel(line.name, line.unit, found[k]) for k, line in enumerate(told.lines)]
    rates = [told.rate * line.per_frame for line in told.lines]
    channels, rate, notes = choose_rate(channels, rates)
    if not gain and not all(line.calibrated for line in told.lines):
        notes.append("The header tells no gain; 200 units a millivolt are taken, as is usual in WFDB.")
    return assemble_signal(channels, rate, source, name, notes, gain=gain)


def _count_frames(told: Header, files: Mapping[str, bytes], name: str) -> int:
    """Count the frames that are claimed and there, once what is claimed was compared with the bytes."""
    counts = []
    for file in told.files:
        lines = [line for line in told.lines if line.file == file]
        forms = {line.form for line in lines}
        if len(forms) > 1:
            raise SignalError(f"{name} says that {file} is in several formats: {', '.join(sorted(forms))}.")
        size = len(files[file]) - max(line.offset for line in lines)
        there = count_samples(lines[0].form, max(0, size)) // sum(line.per_frame for line in lines)
        if told.length > there + _MOST_SHORT:
            raise SignalError(
                f"{file} is shorter than {name} says: {len(files[file]):,} bytes for {told.length:,} samples of "
                f"{len(lines)} channels.",
                "Copy it again.",
            )
        counts.append(there)
    frames = min(*counts, told.length) if told.length else min(counts)
    fastest = max(line.per_frame for line in told.lines)
    check_size(name, len(told.lines), frames * fastest, told.rate * fastest)
    return frames


def _import_wfdb():
    """Import the wfdb package. ExtraError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on its use of pandas
            import wfdb
    except ImportError:
        raise missing_package("wfdb") from None
    return wfdb


def read_annotations(path: Path) -> tuple[np.ndarray, Sequence[str]]:
    """Read the annotations in a .atr file.

    Returns
    -------
    positions : ndarray of int64, shape (n,)
        In samples.
    symbols : Sequence of str
        The MIT code's symbol of each.

    Raises
    ------
    SignalError
        Where it is damaged, or holds none.
    """
    wfdb = _import_wfdb()
    try:
        data = path.read_bytes()
        with tempfile.TemporaryDirectory(prefix="medloupe-") as folder:
            (Path(folder) / "record.atr").write_bytes(data)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = wfdb.rdann(str(Path(folder) / "record"), "atr")
    except Exception as error:  # a damaged file may fail anywhere in wfdb
        raise SignalError(f"{path} is no readable annotation file ({error}).", "Copy it again.") from None
    symbols = found.symbol
    if not symbols or len(symbols) != len(found.sample):
        raise SignalError(f"{path} holds no annotations.", "Copy it again.")
    return np.asarray(found.sample, np.int64), symbols


def aami_class(symbol: str) -> str:
    """Return the class of a beat annotation by ANSI/AAMI EC57: N, S, V, F or Q; "" for what is no beat."""
    return _AAMI.get(symbol, "")
