"""Write suspicious labels as a table for people, and apply what they decide in it to a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medloupe.data.readers.sheet import Sheet, load_sheet
from medloupe.data.records import Dataset, Record
from medloupe.errors import ColumnError, DataError
from medloupe.training.audit.finding import LabelSuspect
from medloupe.utils.csvcells import escape_cell, unescape_cell
from medloupe.utils.files import write_atomically

COLUMNS = ("rank", "file", "given", "likely", "probability_given", "probability_likely", "decision")
KEEP = ("", "keep")
LEAVE_OUT = ("leave out", "leave-out", "drop")
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A data set with people's decisions, and how many of which kind were applied.

    Attributes
    ----------
    data : Dataset
        As decided.
    relabelled, left_out, made_unknown, kept : int
        Decisions by kind; kept are rows that say so or say nothing.
    """

    data: Dataset
    relabelled: int
    left_out: int
    made_unknown: int
    kept: int


def write_suspects(suspects: Sequence[LabelSuspect], path: Path) -> None:
    """Write suspects as CSV with an empty column `decision`.

    Raises
    ------
    OSError
        It cannot be written.
    """
    lines: list[Sequence[str]] = [COLUMNS]
    for suspect in suspects:
        told = suspect.as_json()
        lines.append([str(told.get(column, "")) for column in COLUMNS])
    text = "".join(",".join(map(escape_cell, line)) + "\r\n" for line in lines)
    write_atomically(path, text.encode("utf-8", "backslashreplace"))


def apply_decisions(data: Dataset, table: Path) -> Applied:
    """Apply the decisions of a table to a data set, which itself is left as it is.

    Parameters
    ----------
    data : Dataset
        What the table was made from, or a set with the same files and labels.
    table : Path
        With the columns `file` and `decision`: nothing or "keep", "leave out", "unknown", or the label that is right;
        of several findings "NAME" or "not NAME", a row for each that changes.

    Raises
    ------
    DataError
        For a file that the set does not hold, or a decision that is none.
    ColumnError
        Where a column is missing.
    """
    if data.task == "detection":
        raise DataError("Decisions are about labels of whole pictures; this set has boxes.", "Correct the boxes.")
    records = {record.id: record for record in data.records}
    counts = dict.fromkeys(("relabelled", "left_out", "made_unknown", "kept"), 0)
    for line, file, decision in _read_decisions(load_sheet(table)):
        where = f"{table.name}, line {line}"
        if file not in records and not any(record.id == file for record in data.records):
            raise DataError(f"{where}: the data set holds no {file}.", "Use the table with the data it was made from.")
        record = records.get(file)
        if record is None:
            continue  # left out by an earlier row
        folded = decision.strip().lower()
        if folded in KEEP:
            counts["kept"] += 1
        elif folded in LEAVE_OUT:
            del records[file]
            counts["left_out"] += 1
        elif folded == UNKNOWN:
            records[file] = replace(record, labels={})
            counts["made_unknown"] += 1
        else:
            records[file] = _relabel(data, record, decision.strip(), where)
            counts["relabelled"] += 1
    kept = tuple(records[record.id] for record in data.records if record.id in records)
    return Applied(data=replace(data, records=kept), **counts)


def _read_decisions(sheet: Sheet) -> Iterator[tuple[int, str, str]]:
    """Give line, file and decision of each row."""
    for name in ("file", "decision"):
        if not sheet.has_column(name):
            raise ColumnError(name, sheet.columns, sheet.path.name)
    files, decisions = (sheet.cells(sheet.find_column(name)) for name in ("file", "decision"))
    for k, (file, decision) in enumerate(zip(files, decisions, strict=True), start=2):
        yield k, unescape_cell(file), unescape_cell(decision)


def _relabel(data: Dataset, record: Record, decision: str, where: str) -> Record:
    """Give a record the label that was decided."""
    absent = data.task == "multilabel" and decision.lower().startswith("not ") and decision not in data.labels
    told = decision[4:].strip() if absent else decision
    same = [name for name in data.labels if name == told] or [n for n in data.labels if n.lower() == told.lower()]
    if len(same) != 1:
        raise DataError(
            f"{where}: {decision!r} is no decision.",
            f"Write nothing or keep, leave out, unknown, or a label: {', '.join(data.labels)}"
            + (" (or not with one before it)." if data.task == "multilabel" else "."),
        )
    if data.task == "multilabel":
        return replace(record, labels={**record.labels, same[0]: 0 if absent else 1})
    return replace(record, labels={same[0]: 1})
