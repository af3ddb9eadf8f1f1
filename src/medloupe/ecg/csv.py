"""Read ECGs as text: a column a lead, with or without a header, a time column and a sampling rate."""

from __future__ import annotations

import csv
import re
import warnings
from dataclasses import dataclass

import numpy as np

from medloupe.ecg.channels import Channel, assemble_signal, check_size, unit_in_millivolts
from medloupe.ecg.signal import Signal, lead_name
from medloupe.errors import SignalError

_NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*|\s*(nan|na|null|none|-)?\s*", re.IGNORECASE)
_COMMENT = re.compile(r"\s*(#|%|//|\*)")
_RATE = re.compile(
    r"(?<!heart)(?<!heart )(?<!heart_)\b"
    r"(?:fs|f_s|(?:sampl(?:e|es|ing|ed)[ _-]?)?(?:rate|frequency|freq)|sampling|srate)"
    r"(?:[ _]?[(\[]?\s*(?:in )?hz[)\]]?)?\s*[=:,;\t ]\s*[\"']?(\d+(?:[.,]\d+)?)",
    re.I,
)
_HERTZ = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?:hz|hertz|samples?\s*(?:/|per)\s*s)", re.I)
_FILTER = re.compile(r"filter|notch|band|pass|mains|cut", re.I)
_UNIT = re.compile(r"\b(mv|uv|µv|μv|nv|millivolts?|microvolts?|volts?)\b", re.I)
_TIME = re.compile(r"(elapsed)?(time(stamp)?|t)?(in)?(seconds?|sec|milliseconds?|msec|s|ms|us)?", re.I)
_CLOCK = re.compile(r"[hdms:. ]*|sec|seconds?|us|msec|samples?", re.I)
_COUNT = re.compile(r"(sample|index|row|n|no|nr|number|sampleno|samplenumber|sampleindex|unnamed0|#|)", re.I)
_SECONDS = {"ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3, "us": 1e-6, "µs": 1e-6}
_MOST_PREAMBLE = 200  # lines before the numbers
_SLOW_BYTES = 8 * 2**20  # cells that are blank are parsed in Python


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the text is written: the line at which numbers begin, what separates and what marks decimals."""

    start: int
    delimiter: str | None
    decimal_comma: bool
    header: tuple[str, ...]
    told: str  # the lines before, where rate and unit may stand


def read(data: bytes, name: str, rate: float | None = None) -> Signal:
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

    Raises
    ------
    SignalError
        Where there are no numbers, no rate or no lead.
    """
    lines = _text(data).splitlines()
    layout = _layout(lines, name)
    table = _numbers(lines[layout.start :], layout, name)  # (rows, columns)
    header = layout.header
    if table.shape[0] <= 32 and table.shape[1] >= 50:
        table, header = table.T, ()  # a row a lead
    if len(header) != table.shape[1]:
        header = ("",) * table.shape[1]
    notes: list[str] = []
    leads, timed = _split_off_time(table, header)
    hertz = rate or _told_rate(layout.told) or timed or _mentioned_rate(layout.told)
    if not hertz:
        raise SignalError(
            f"{name} does not tell its sampling rate.",
            "Give it with the file, write it in the first line (# fs=360), or add a column 'time' in seconds.",
        )
    if timed and abs(timed - hertz) > 0.02 * hertz:
        notes.append(f"The rate is told as {hertz:g} Hz, but its time column runs at {timed:.4g} Hz; the first counts.")
    check_size(name, max(1, min(len(leads), 32)), table.shape[0], hertz)
    said = _UNIT.search(layout.told)
    unit = said[1] if said else ""
    channels = [
        Channel(_bare(header[k]), _unit(header[k]) or unit, table[:, k])
        for k in leads
        if np.isfinite(table[:, k]).any()
    ]
    return assemble_signal(channels, hertz, "CSV", name, notes)


def looks_like_ecg(start: bytes) -> bool:
    """Tell whether text begins as an ECG does: numbers under the names of leads, or with a rate told before them."""
    try:
        layout = _layout(_text(start).splitlines()[:-1], "")
    except SignalError:
        return False
    named = any(lead_name(_bare(cell)) for cell in layout.header)
    return named or _told_rate(layout.told) is not None or _mentioned_rate(layout.told) is not None


def _text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _layout(lines: list[str], name: str) -> _Layout:
    """Find where the numbers begin, and how they are written, from the first lines."""
    before: list[str] = []
    for k, line in enumerate(lines[:_MOST_PREAMBLE]):
        if not line.strip() or _COMMENT.match(line):
            before.append(line)
            continue
        # Two lines of numbers: a lone one may be a rate.
        following = next((other for other in lines[k + 1 : k + 4] if other.strip()), "")
        for delimiter in ("\t", ";", ",", None):
            cells, below = _cells(line, delimiter), _cells(following, delimiter)
            if delimiter and (len(cells) < 2 or (delimiter == "," and _one_name(before))):
                continue
            alike = len(below) == len(cells) and _numeric(cells) and _numeric(below)
            if alike or (not following and len(cells) > 50 and _numeric(cells)):
                comma = delimiter != "," and any("," in cell for cell in (*cells, *below))
                return _Layout(k, delimiter, comma, _header(before, delimiter, len(cells)), "\n".join(before))
        before.append(line)
    raise SignalError(
        f"{name} holds no columns of numbers.",
        "Expected a column for each lead, separated by commas, semicolons, tabs or blanks.",
    )


def _one_name(before: list[str]) -> bool:
    """Tell whether the line above is one column's name: then commas below it mark decimals."""
    return bool(before) and re.fullmatch(r"\s*[A-Za-z][\w ()\[\]µμ]*", before[-1]) is not None


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    return next(csv.reader([line], delimiter=delimiter), [])


def _numeric(cells: list[str]) -> bool:
    """Tell whether cells are numbers (time stamps of the first column aside), and not all blank."""
    rest = cells[1:] if len(cells) > 1 and re.fullmatch(r"\W*[\d:.\s-]+\W*", cells[0]) else cells
    return all(_NUMBER.fullmatch(cell) for cell in rest) and any(re.search(r"\d", cell) for cell in rest)


def _header(before: list[str], delimiter: str | None, width: int) -> tuple[str, ...]:
    """Read column names from the last lines before the numbers (names, and below them units, as PhysioNet writes)."""
    rows: list[list[str]] = []
    for line in before[-3:]:
        cells = [cell.strip(" '\"#%") for cell in _cells(line.lstrip("#% "), delimiter)]
        if len(cells) == width and any(cells) and not _numeric(cells):
            rows.append(cells)
    if not rows:
        return ()
    units = [cell.strip("()[]") for cell in rows[-1]]
    if len(rows) > 1 and all(unit_in_millivolts(unit) is not None or _CLOCK.fullmatch(unit) for unit in units):
        return tuple(f"{one} ({unit})" for one, unit in zip(rows[-2], units, strict=True))
    return tuple(rows[-1])


def _numbers(lines: list[str], layout: _Layout, name: str) -> np.ndarray:
    """Parse the numbers, (rows, columns); NaN where a cell is blank or no number."""
    body = [line for line in lines if line.strip() and not _COMMENT.match(line)]
    if layout.decimal_comma:
        body = [line.replace(",", ".") for line in body]
    try:
        return np.loadtxt(body, delimiter=layout.delimiter, ndmin=2, comments=None, quotechar='"')
    except ValueError as error:
        if sum(map(len, body)) > _SLOW_BYTES:
            raise SignalError(
                f"{name} has cells that are no numbers ({error}).", "Leave out what is no lead."
            ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = np.genfromtxt(body, delimiter=layout.delimiter, comments="#")
    except ValueError:
        raise SignalError(f"{name} has lines with different numbers of columns.", "Export it again.") from None
    return table.reshape(len(body), -1)


def _split_off_time(table: np.ndarray, header: tuple[str, ...]) -> tuple[list[int], float | None]:
    """Find the columns that are leads, and the rate that a time column tells."""
    leads = list(range(table.shape[1]))
    timed = None
    for k in range(min(2, table.shape[1])):
        name = re.sub(r"[\s_.\-'#]", "", _bare(header[k]).lower())
        column = table[:, k]
        steps = np.diff(column)
        even = column.size > 2 and steps[0] > 0 and bool(np.all(steps > 0)) and np.ptp(steps) < 0.6 * np.median(steps)
        if (name and _TIME.fullmatch(name)) or (not any(header) and k == 0 and even and table.shape[1] > 1):
            leads.remove(k)
            if even:
                timed = _rate_of(column, header[k], named=bool(name))
        elif (header[k] or any(header)) and _COUNT.fullmatch(name) and even:
            leads.remove(k)
    return leads or list(range(table.shape[1])), timed


def _rate_of(times: np.ndarray, header: str, named: bool) -> float | None:
    """Compute Hz from a column of times: in the unit it names; else whatever puts the rate between 50 and 20,000 Hz."""
    step = float(times[-1] - times[0]) / (times.size - 1)
    unit = re.search(r"\b(ms|msec|milliseconds?|us|µs)\b", header.lower().replace("_", " "))
    if unit:
        rate = 1 / (step * _SECONDS[unit[1].rstrip("s") if unit[1].startswith("milli") else unit[1]])
    elif step >= 0.0201 and (not 0.05 <= step <= 20 or (step == 1 and not named)):
        return None  # counts samples, or something else
    else:
        rate = 1 / step if step < 0.0201 else 1000 / step
    return round(rate) if abs(rate - round(rate)) < 0.05 else rate  # times are rounded


def _told_rate(told: str) -> float | None:
    found = next((match for line in told.splitlines() if (match := _RATE.search(line[:500]))), None)
    return float(found[1].replace(",", ".")) or None if found else None


def _mentioned_rate(told: str) -> float | None:
    """Find the one number of hertz in the lines before, those on filters aside."""
    clauses = [part for line in told.splitlines() for part in re.split(r"[,;]\s", line[:500])]
    found = {match[1] for part in clauses if not _FILTER.search(part) for match in _HERTZ.finditer(part)}
    return float(found.pop().replace(",", ".")) or None if len(found) == 1 else None


def _unit(column: str) -> str:
    """Find the voltage a column's name tells in brackets or at its end."""
    match = re.search(r"[(\[]\s*([^)\]]+)\s*[)\]]|[\s_]((?:m|u|µ|μ)v)$", column.strip(), re.I)
    unit = (match[1] or match[2]).strip() if match else ""
    return unit if unit_in_millivolts(unit) is not None else ""


def _bare(column: str) -> str:
    return re.sub(r"[(\[].*?[)\]]|[\s_](?:m|u|µ|μ)v$", "", column.strip(), flags=re.I).strip(" '\"")
