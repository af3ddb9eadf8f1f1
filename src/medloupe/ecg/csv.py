"""Read ECGs as text: a column a lead, with or without a header, a time column and a sampling rate."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import numpy as np

from medloupe.ecg.channels import Channel, assemble_signal, check_size
from medloupe.ecg.signal import Signal, lead_name
from medloupe.ecg.textlayout import MISSING, TextLayout, find_layout, is_comment, split_cells, split_name
from medloupe.ecg.texttold import mentioned_rate, told_gain, told_lead, told_rate, told_unit
from medloupe.errors import SignalError

_ECG = re.compile(r"e[ck]g|lead|ableit|deriv|chan|kanal|\bch\b|\bch?\d", re.I)  # columns that may be leads of their own
_TIME = re.compile(
    r"(elapsed)?(time(stamp)?|zeit|temps|tiempo|tempo|tijd|t)?(in)?(seconds?|sec|milliseconds?|msec|s|ms|us|µs)?", re.I
)
_COUNT = re.compile(r"(sample|index|row|n|no|nr|number|sampleno|samplenumber|sampleindex|unnamed0|#|)", re.I)
_SECONDS = {"ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3, "milliseconds": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6}
_SLOW_BYTES = 8 * 2**20  # cells that are blank are parsed in Python
_TOLERANCE = 0.02  # by which a rate that is told and that of a time column may differ
_ASK_RATE = "Give it with the file, write it in the first line (# fs=360), or add a column 'time' in seconds."


def read(data: bytes, name: str, rate: float | None = None, gain: float | None = None) -> Signal:
    """Read the ECG in a CSV, TSV or text file.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        What to call it in errors.
    rate : float, optional
        Hz, when the person tells it; else it is taken from a line before the numbers ("# fs=360", "250 Hz") or from the
        time column.
    gain : float, optional
        Units a millivolt, when the person tells it.

    Raises
    ------
    SignalError
        Where there are no numbers, no rate or no lead, or more than one reading of them is plausible.
    """
    lines = _decode(data).splitlines()
    layout = find_layout(lines, name)
    table = _parse_numbers(lines[layout.start :], layout, name)  # (rows, columns)
    header = layout.header
    if table.shape[0] <= 32 and table.shape[1] >= 50:
        table, header = table.T, ()  # a row a lead
    if len(header) != table.shape[1]:
        header = ("",) * table.shape[1]
    notes: list[str] = []
    leads, timed = _split_off_time(table, header)
    told = told_rate(layout.told)
    hertz = rate or told or timed or mentioned_rate(layout.told)
    if not hertz:
        raise SignalError(f"{name} does not tell its sampling rate.", _ASK_RATE)
    if timed and abs(timed - hertz) > _TOLERANCE * hertz:
        if not rate:
            raise SignalError(
                f"{name} tells a rate of {hertz:g} Hz, but its time column runs at {timed:.4g} Hz.",
                "Tell which is right: --rate on the command line, the field `rate` over HTTP.",
            )
        notes.append(f"The rate is told as {hertz:g} Hz, but its time column runs at {timed:.4g} Hz; the first counts.")
    check_size(name, max(1, min(len(leads), 32)), table.shape[0], hertz)
    unit = told_unit(layout.told)
    names = [split_name(column) for column in header]
    kept = [k for k in leads if np.isfinite(table[:, k]).any()]
    kept, odd = _split_off_others(kept, names)
    notes += [f"Columns called after no lead are left out: {', '.join(odd)}."] if odd else []
    channels = [Channel(names[k][0], names[k][1] or unit, table[:, k]) for k in kept]
    if len(channels) == 1 and not lead_name(channels[0].name) and (lead := told_lead(layout.told)):
        channels = [Channel(lead, channels[0].unit, channels[0].samples)]
    return assemble_signal(channels, hertz, "CSV", name, notes, gain=gain or told_gain(layout.told))


def looks_like_ecg(start: bytes) -> bool:
    """Tell whether text begins as an ECG does: numbers under the names of leads, or with a rate told before them."""
    try:
        layout = find_layout(_decode(start).splitlines()[:-1], "")
    except SignalError:
        return False
    named = any(lead_name(split_name(cell)[0]) for cell in layout.header)
    return named or told_rate(layout.told) is not None or mentioned_rate(layout.told) is not None


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _parse_numbers(lines: Sequence[str], layout: TextLayout, name: str) -> np.ndarray:
    """Parse the numbers, (rows, columns); NaN where a cell is blank or says that there is none."""
    body = [line for line in lines if line.strip() and not is_comment(line)]
    delimiter = layout.delimiter
    if layout.decimal_comma and delimiter == ",":  # in quotes
        body = [";".join(cell.replace(",", ".") for cell in split_cells(line, ",")) for line in body]
        delimiter = ";"
    elif layout.decimal_comma:
        body = [line.replace(",", ".") for line in body]
    try:
        return np.loadtxt(body, delimiter=delimiter, ndmin=2, comments=None, quotechar='"')
    except ValueError as error:
        if sum(map(len, body)) > _SLOW_BYTES:
            raise SignalError(
                f"{name} has cells that are no numbers ({str(error)[:200]}).", "Leave out what is no lead."
            ) from None
    plain = [line.replace('"', "") for line in body]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = np.genfromtxt(plain, delimiter=delimiter, comments="#")
    except ValueError:
        raise SignalError(f"{name} has lines with different numbers of columns.", "Export it again.") from None
    table = table.reshape(len(body), -1)
    _check_cells(table, plain, delimiter, name)
    return table


def _check_cells(table: np.ndarray, body: Sequence[str], delimiter: str | None, name: str) -> None:
    """Refuse text in a column of numbers, which would be taken for a gap."""
    absent = ~np.isfinite(table)
    numbers = ~absent.all(axis=0)
    for row in np.flatnonzero((absent & numbers).any(axis=1)).tolist():
        cells = split_cells(body[row], delimiter)
        for k in np.flatnonzero(absent[row] & numbers).tolist():
            cell = cells[k].strip() if k < len(cells) else ""
            if cell.lower() not in MISSING and cell.lower().lstrip("+-") not in ("inf", "infinity", "nan"):
                raise SignalError(
                    f"{name} has {cell[:40]!r} in a column of numbers.", "Correct it, or leave the cell blank."
                )


def _split_off_time(table: np.ndarray, header: Sequence[str]) -> tuple[list[int], float | None]:
    """Find the columns that are leads, and the rate that a time column tells."""
    leads = list(range(table.shape[1]))
    timed = None
    for k in range(min(2, table.shape[1])):
        name = "".join(c for c in split_name(header[k])[0].lower() if c not in " \t_.:-'#")
        column = table[:, k]
        steps = np.diff(column)
        even = column.size > 2 and steps[0] > 0 and bool(np.all(steps > 0)) and np.ptp(steps) < 0.6 * np.median(steps)
        if (name and _TIME.fullmatch(name)) or (not any(header) and k == 0 and even and table.shape[1] > 1):
            leads.remove(k)
            if even:
                timed = _rate_of(column, header[k])
        elif (header[k] or any(header)) and _COUNT.fullmatch(name) and even:
            leads.remove(k)
    return leads or list(range(table.shape[1])), timed


def _split_off_others(kept: Sequence[int], names: Sequence[tuple[str, str]]) -> tuple[list[int], list[str]]:
    """Leave out, where columns are called after leads, those that are not and tell no voltage: HR, filtered, valid."""
    if not any(lead_name(names[k][0]) for k in kept):
        return list(kept), []
    odd = [k for k in kept if names[k][0] and not names[k][1] and not lead_name(names[k][0])]
    odd = [k for k in odd if not _ECG.search(names[k][0])]
    return [k for k in kept if k not in odd], [names[k][0][:40] for k in odd]


def _rate_of(times: np.ndarray, header: str) -> float | None:
    """Compute Hz from a column of times: in the unit it names; else in seconds, milli- or microseconds.

    Of these at most one puts the rate between 50 and 20,000 Hz. None for steps of 1 without a unit: milliseconds at
    1,000 Hz, or a count of samples.
    """
    step = float(times[-1] - times[0]) / (times.size - 1)
    words = "".join(c if c.isalpha() else " " for c in header[:200].lower()).split()
    named = next((_SECONDS[word] for word in words if word in _SECONDS), None)
    if named is None and any(word in ("s", "sec", "second", "seconds") for word in words):
        named = 1.0
    if named is None:
        if step == 1:
            return None
        named = next((size for size, low, high in _STEPS if low <= step <= high), None)
        if named is None:
            return None
    rate = 1 / (step * named)
    return round(rate) if abs(rate - round(rate)) < 0.05 else rate  # times are rounded


_STEPS = ((1.0, 5e-5, 0.0201), (1e-3, 0.05, 20.1), (1e-6, 50, 20_100))
"""For each unit of time its seconds, and the steps with which it makes a rate of ECGs."""
