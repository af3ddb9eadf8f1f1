"""Read and check the header (.hea) of a WFDB record.

It is untrusted: it names no file but one beside it, and claims no more than is read.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from medloupe.ecg.channels import check_size
from medloupe.errors import SignalError

# Bits a sample takes at least; the compressed formats (FLAC) and multi-segment records are not read.
BITS = {"8": 8, "16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12, "310": 10, "311": 10}
"""Of the sample formats that are read."""

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_FORMAT = re.compile(r"(\d{1,3})(?:x(\d{1,3}))?(?::(\d{1,9}))?(?:\+(\d{1,9}))?")
_RATE = re.compile(r"\d{1,12}(?:\.\d{0,12})?(?:[eE][+-]?\d{1,3})?")
_GAIN = re.compile(r"(-?\d{0,20}\.?\d{0,20}(?:[eE][+-]?\d{1,3})?)(?:\((-?\d{1,12})\))?(?:/(\S{1,20}))?")
_WHOLE = re.compile(r"-?\d{1,12}")
_DEFAULT_RATE = 250.0  # the standard's
_DEFAULT_GAIN = 200.0  # the standard's, for a signal that was not calibrated
_MOST_PER_FRAME = 64
_MOST_SKEW = 1_000_000
_MOST_HEADER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class SignalLine:
    """What a header says of one channel.

    Attributes
    ----------
    file : str
        The .dat that holds it.
    form : str
        The sample format, one of BITS.
    per_frame : int
        Samples in each frame: the channel's rate is so many times the record's.
    skew : int
        Frames by which it lags behind the others.
    offset : int
        Bytes before the first sample in the file.
    gain, baseline : float
        Units a millivolt (or another unit), and the stored value of 0.
    calibrated : bool
        Whether the header tells the gain; where not, it is the standard's 200.
    unit : str
        mV where the header names none.
    initial : int
        The first sample, of format 8.
    name : str
        As written, "" where there is none.
    """

    file: str
    form: str
    per_frame: int
    skew: int
    offset: int
    gain: float
    baseline: float
    calibrated: bool
    unit: str
    initial: int
    name: str


@dataclass(frozen=True, slots=True)
class Header:
    """What a .hea says, checked.

    Attributes
    ----------
    rate : float
        Frames a second.
    length : int
        Frames, 0 where it does not say.
    files : tuple of str
        The .dat names in order.
    lines : tuple of SignalLine
        One for each channel.
    """

    rate: float
    length: int
    files: tuple[str, ...]
    lines: tuple[SignalLine, ...]


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
        raise SignalError(f"{name} has {first[2][:40]!r} where the sampling rate stands.")
    length = int(first[3]) if len(first) > 3 and re.fullmatch(r"[0-9]{1,12}", first[3]) else 0
    hertz = float(rate[0]) if rate else _DEFAULT_RATE
    found = tuple(_parse_line(line, name) for line in lines[1 : 1 + min(count, 256)])
    fastest = max((line.per_frame for line in found), default=1)
    check_size(name, count, max(1, length) * fastest, hertz * fastest)
    if len(found) < count:
        raise SignalError(f"{name} says it has {count} channels and describes {len(lines) - 1}.", "Copy it again.")
    return Header(hertz, length, tuple(dict.fromkeys(line.file for line in found)), found)


def _parse_line(line: str, name: str) -> SignalLine:
    cells = line.split(None, 2)
    file, form, rest = (*cells, "", "")[:3]
    if not _FILE.fullmatch(file):
        raise SignalError(
            f"{name} refers to {file[:80]!r}; expected the name of a file beside it.", "Is this a WFDB header?"
        )
    match = _FORMAT.fullmatch(form)
    if match is None or match[1] not in BITS:
        raise SignalError(
            f"{name}: the sample format {form[:20]!r} is not read.", f"Expected one of {', '.join(BITS)}."
        )
    per_frame, skew = int(match[2] or 1), int(match[3] or 0)
    if not 1 <= per_frame <= _MOST_PER_FRAME or skew > _MOST_SKEW:
        raise SignalError(f"{name}: the sample format {form!r} claims too much.", "Copy it again.")
    first, _, rest = rest.partition(" ") if rest[:1] not in ("", " ") else ("", "", rest)
    told = _GAIN.fullmatch(first)
    if first and told is None:
        raise SignalError(f"{name} has {first[:40]!r} where the gain stands.", "Expected such as 200(1024)/mV.")
    gain = _parse_gain(told[1], name) if told and told[1] not in ("", "-", ".", "-.") else 0.0
    # Resolution, zero, first sample, checksum and block size are numbers; what comes after them is the name.
    numbers: list[int] = []
    while len(numbers) < 5 and (found := rest.split(None, 1)) and _WHOLE.fullmatch(found[0]):
        numbers.append(int(found[0]))
        rest = found[1] if len(found) > 1 else ""
    zero = numbers[1] if len(numbers) > 1 else 0
    return SignalLine(
        file=file,
        form=match[1],
        per_frame=per_frame,
        skew=skew,
        offset=int(match[4] or 0),
        gain=gain or _DEFAULT_GAIN,
        baseline=float(told[2]) if told and told[2] else float(zero),
        calibrated=bool(gain),
        unit=(told[3] if told else "") or "mV",
        initial=numbers[2] if len(numbers) > 2 else 0,
        name=rest.strip(),
    )


def _parse_gain(text: str, name: str) -> float:
    """Read a gain; raise SignalError where it is no number, as "e5", or none that can be held, as "1e400"."""
    try:
        gain = float(text)
    except ValueError:
        gain = math.nan
    if not math.isfinite(gain):
        raise SignalError(f"{name} has {text[:40]!r} where the gain stands.", "Expected such as 200(1024)/mV.")
    return gain
