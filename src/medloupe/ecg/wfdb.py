"""Read WFDB records (PhysioNet) by the wfdb package: a .hea header with its .dat samples, and .atr annotations.

The header is untrusted: it is read here first and written anew, so that wfdb sees only file names of our own, in a
private folder, and sizes that the bytes bear out.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medloupe.ecg.channels import Channel, assemble_signal, check_size
from medloupe.ecg.signal import Signal, missing_package
from medloupe.errors import SignalError

# Bits a sample takes at least; the compressed formats (FLAC) and multi-segment records are not read.
_BITS = {"8": 8, "16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12, "310": 10, "311": 10}
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_FORMAT = re.compile(r"(\d{1,3})(?:x(\d{1,3}))?(?::(\d{1,9}))?(?:\+(\d{1,9}))?")
_RATE = re.compile(r"(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)")
_MOST_HEADER_BYTES = 64 * 1024

# ANSI/AAMI EC57: the heart beats of the MIT-BIH code, by class.
_AAMI = {
    **dict.fromkeys("NLReje", "N"),
    **dict.fromkeys("AaJS", "S"),
    **dict.fromkeys("VE", "V"),
    **dict.fromkeys("F", "F"),
    **dict.fromkeys("/fQ", "Q"),
}


@dataclass(frozen=True, slots=True)
class Header:
    """What a .hea says, checked.

    Attributes
    ----------
    rate : float
        Hz.
    length : int
        Samples a channel, 0 where it does not say.
    files : tuple of str
        The .dat names in order.
    lines : tuple of (str, str, str)
        One for each channel: file, format, and the rest as written.
    """

    rate: float
    length: int
    files: tuple[str, ...]
    lines: tuple[tuple[str, str, str], ...]


def read_header(data: bytes, name: str) -> Header:
    """Read and check a .hea.

    Raises
    ------
    SignalError
        Naming what is wrong with it.
    """
    if len(data) > _MOST_HEADER_BYTES:
        raise SignalError(f"{name} has {len(data):,} bytes, which no WFDB header has.", "Is this the .hea file?")
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    first = lines[0].split() if lines else []
    if len(first) < 2 or not re.fullmatch(r"[0-9]{1,4}", first[1]):
        raise SignalError(f"{name} is no WFDB header: its first line does not name a record and its channels.")
    if "/" in first[0]:
        raise SignalError(
            f"{name} is the header of a record in several segments, which is not read.", "Give one of its segments."
        )
    count = int(first[1])
    rate = _RATE.match(first[2]) if len(first) > 2 else None
    if rate is None and len(first) > 2:
        raise SignalError(f"{name} has {first[2]!r} where the sampling rate stands.")
    length = int(first[3]) if len(first) > 3 and re.fullmatch(r"[0-9]{1,12}", first[3]) else 0
    hertz = float(rate[1]) if rate else 250.0  # the standard's default
    check_size(name, count, max(1, length), hertz)
    if len(lines) < 1 + count:
        raise SignalError(f"{name} says it has {count} channels and describes {len(lines) - 1}.", "Copy it again.")
    found = tuple(_parse_channel(line, name) for line in lines[1 : 1 + count])
    return Header(hertz, length, tuple(dict.fromkeys(file for file, _, _ in found)), found)


def _parse_channel(line: str, name: str) -> tuple[str, str, str]:
    file, _, rest = line.partition(" ") if " " in line else line.partition("\t")
    form, _, rest = rest.strip().partition(" ")
    if not _FILE.fullmatch(file):
        raise SignalError(
            f"{name} refers to {file[:80]!r}; expected the name of a file beside it.", "Is this a WFDB header?"
        )
    match = _FORMAT.fullmatch(form)
    if match is None or match[1] not in _BITS:
        raise SignalError(
            f"{name}: the sample format {form[:20]!r} is not read.", f"Expected one of {', '.join(_BITS)}."
        )
    if int(match[2] or 1) > 64 or int(match[3] or 0) > 1_000_000:
        raise SignalError(f"{name}: the sample format {form!r} claims too much.", "Copy it again.")
    return file, form, rest.strip()


def read(files: Mapping[str, bytes], name: str, source: str = "WFDB") -> Signal:
    """Read the ECG of one record.

    Parameters
    ----------
    files : Mapping
        Bytes by name without folders.
    name : str
        Its .hea.
    source : str
        What to call the format.

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
    _check_bytes(told, files, name)
    wfdb = _import_wfdb()
    safe = {file: f"s{k}.dat" for k, file in enumerate(told.files)}
    rows = [f"record {len(told.lines)} {told.rate!r}" + (f" {told.length}" if told.length else "")]
    rows += [f"{safe[file]} {form} {rest}".rstrip() for file, form, rest in told.lines]
    with tempfile.TemporaryDirectory(prefix="medloupe-") as folder:
        (Path(folder) / "record.hea").write_text("\n".join(rows) + "\n", encoding="utf-8")
        for file, own in safe.items():
            (Path(folder) / own).write_bytes(files[file])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record = wfdb.rdrecord(str(Path(folder) / "record"), return_res=32)
    samples = record.p_signal if isinstance(record, wfdb.Record) else None
    if samples is None or not isinstance(record, wfdb.Record):
        raise SignalError(f"{name} holds no samples.", "Copy it again.")
    units, names = record.units or [], record.sig_name or []
    channels = [
        Channel(names[k] or "", units[k] or "", samples[:, k]) for k in range(samples.shape[1])
    ]  # wfdb has filled in mV where the header names no unit, as the standard says
    return assemble_signal(channels, told.rate, source, name)


def _import_wfdb():
    """Import the wfdb package. ExtraError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on its use of pandas
            import wfdb
    except ImportError:
        raise missing_package("wfdb") from None
    return wfdb


def _check_bytes(told: Header, files: Mapping[str, bytes], name: str) -> None:
    """Compare what is claimed with the bytes that are there."""
    for file in told.files:
        forms = [_FORMAT.fullmatch(form) for of, form, _ in told.lines if of == file]
        bits = sum(_BITS[m[1]] * int(m[2] or 1) for m in forms if m)
        offset = max(int(m[4] or 0) for m in forms if m)
        there = (len(files[file]) - offset) * 8
        if told.length * bits > there + 64 * bits:
            raise SignalError(
                f"{file} is shorter than {name} says: {len(files[file]):,} bytes for {told.length:,} samples of "
                f"{len(forms)} channels.",
                "Copy it again.",
            )
        if not told.length:
            check_size(name, len(told.lines), max(0, there) // bits, told.rate)


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
