"""List the originals of ECGs: PTB-XL, whose table holds statements as dictionaries."""

from __future__ import annotations

import ast
import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from medloupe.data.modalities import ECGS
from medloupe.data.originals.base import Original
from medloupe.data.originals.outline import Outline
from medloupe.data.readers import table
from medloupe.data.readers.base import Files, ReadOptions, merge_reasons, walk
from medloupe.data.readers.ecg.folder import find_ecgs
from medloupe.data.readers.files import call_by_kind
from medloupe.data.readers.folders import UNUSED
from medloupe.data.readers.locate import Locator
from medloupe.data.readers.sheet import Sheet, load_sheet
from medloupe.data.readers.stacked import SPLIT, find_column, set_column
from medloupe.data.records import Dataset, Record
from medloupe.errors import DataError

_COLUMNS = frozenset({"ecgid", "patientid", "scpcodes", "stratfold", "filenamelr", "filenamehr"})
_STATEMENTS = frozenset({"diagnostic", "diagnosticclass"})
_SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
_KEPT = frozenset({"age", "sex", "height", "weight"})
_SPLITS = {"9": "val", "10": "test"}
_SEX = {"0": "M", "1": "F"}
_OLD = "300"  # stands for every age above 89
_OTHER_RATE = "the same ECG at another sampling rate"


@dataclass(frozen=True, slots=True)
class PtbXlLayout:
    """PTB-XL's tree: ptbxl_database.csv, scp_statements.csv, records100/ and records500/."""

    def accepts(self, options: ReadOptions) -> bool:
        """Tell whether neither file column nor table is told: who tells these has another set."""
        return not (options.image or options.table)

    def recognises(self, seen: Outline) -> bool:
        """Tell whether a table has the columns, and a record that its first rows name is there."""
        return any(self._names_records(seen.root / place) for place in seen.with_columns(_COLUMNS))

    def _names_records(self, path: Path) -> bool:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = list(islice(csv.DictReader(file), 5))
        except (OSError, UnicodeDecodeError, csv.Error):
            return False
        names = [row.get(column) or "" for row in rows for column in ("filename_lr", "filename_hr")]
        return any(name and (path.parent / f"{name}.hea").is_file() for name in names)

    def read(self, root: Path, options: ReadOptions) -> Dataset:
        """Read the data set.

        Raises
        ------
        DataError
            Where scp_statements.csv or the records are missing.
        """
        files = find_ecgs(walk(root))
        sheets = {place: load_sheet(root / place) for place in files.tables}
        database = next((s for s in sheets.values() if _plain(s) >= _COLUMNS), None)
        statements = next((s for s in sheets.values() if _plain(s) >= _STATEMENTS), None)
        if database is None or (statements is None and not options.labels):
            raise DataError(
                f"{root} holds PTB-XL's ptbxl_database.csv, but not its scp_statements.csv, which says which statement "
                "belongs to which diagnosis.",
                "Put it beside the other, or name a label column with --labels.",
            )
        sheet = _prepare(database, statements)
        file, locator, others = self._choose_rate(sheet, files)
        told = ReadOptions(
            labels=options.labels or "superclasses",
            patient=options.patient or "patient_id",
            split=options.split or SPLIT,
            image=file,
        )
        data = call_by_kind(table.build(sheet, locator, told, "tables"), ECGS)
        used = {place for place, read in sheets.items() if read is database or read is statements}
        rate = f"The records are those of {file}; {len(others)} of the other sampling rate are left out."
        return replace(
            data,
            records=tuple(map(_keep_columns, data.records)),
            skipped=merge_reasons(
                data.skipped, {_OTHER_RATE: others, UNUSED: [place for place in files.tables if place not in used]}
            ),
            notes=(*data.notes, *([rate] if others else [])),
            clinical=("age", "sex"),
        )

    def _choose_rate(self, sheet: Sheet, files: Files) -> tuple[str, Locator, list[str]]:
        """Choose the records of 100 Hz, which say enough of diagnoses, or those of 500 Hz where these are not there."""
        files = replace(files, tables=())
        located = {
            column: set(Locator(files).locate(sheet.cells(column), sheet.path.parent)[0].values())
            for column in (find_column(sheet, "filenamelr"), find_column(sheet, "filenamehr"))
        }
        low, high = located
        chosen, other = (low, high) if len(located[low]) >= len(located[high]) else (high, low)
        others = located[other] - located[chosen]
        kept = replace(files, images=tuple(image for image in files.images if image not in others))
        return chosen, Locator(kept), sorted(others)


def _plain(sheet: Sheet) -> frozenset[str]:
    return frozenset(name.lower().replace("_", "") for name in sheet.columns)


def _prepare(database: Sheet, statements: Sheet | None) -> Sheet:
    """Add superclass and split, and write patients, ages and sexes plainly."""
    sheet = database
    if statements is not None:
        classes = _read_superclasses(statements)
        cells = [_superclasses_of(cell, classes) for cell in sheet.cells(find_column(sheet, "scpcodes"))]
        none = cells.count("No Finding")
        note = f"Labels are the superclasses of the diagnostic statements in scp_codes, by {statements.path.name}."
        rest = f"{none} ECGs have statements of rhythm and form alone: all superclasses are absent there."
        sheet = set_column(sheet, "superclasses", cells, note, *([rest] if none else []))
    folds = [cell.removesuffix(".0") for cell in sheet.cells(find_column(sheet, "stratfold"))]
    note = "strat_fold 10 is the test and 9 the validation, as PTB-XL recommends; the others are for training."
    sheet = set_column(sheet, SPLIT, (_SPLITS.get(fold, "train" if fold else "") for fold in folds), note)
    patient = find_column(sheet, "patientid")
    sheet = set_column(sheet, patient, [cell.removesuffix(".0") for cell in sheet.cells(patient)])
    for name, spoken in (("sex", _SEX), ("age", {_OLD: "90"})):
        for column in sheet.usual_columns((name,)):
            plain = [cell.removesuffix(".0") for cell in sheet.cells(column)]
            sheet = set_column(sheet, column, [spoken.get(cell, cell) for cell in plain])
    return sheet


def _read_superclasses(statements: Sheet) -> dict[str, str]:
    """Read which statement belongs to which superclass; only those that are diagnostic do."""
    code = statements.columns[0]
    diagnostic = statements.cells(find_column(statements, "diagnostic"))
    classes = statements.cells(find_column(statements, "diagnosticclass"))
    return {
        name: group
        for name, sure, group in zip(statements.cells(code), diagnostic, classes, strict=True)
        if sure in ("1", "1.0") and group
    }


def _superclasses_of(cell: str, classes: Mapping[str, str]) -> str:
    try:
        said = ast.literal_eval(cell[:10_000]) if cell else {}
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise DataError(f"scp_codes holds {cell[:60]!r}, which is no dictionary of statements.", "Download it again.")
    found = {classes[code] for code in said if code in classes}
    order = [*_SUPERCLASSES, *sorted(found - set(_SUPERCLASSES))]
    return "|".join(name for name in order if name in found) or ("No Finding" if said else "")


def _keep_columns(record: Record) -> Record:
    return replace(record, columns={name: cell for name, cell in record.columns.items() if name.lower() in _KEPT})


PTB_XL = Original(
    name="ptb_xl",
    title="PTB-XL",
    what="21,799 twelve-lead ECGs of ten seconds of 18,869 patients, five diagnostic superclasses.",
    url="https://physionet.org/content/ptb-xl/",
    licence="CC BY 4.0",
    citation="Wagner et al., PTB-XL, a large publicly available electrocardiography dataset, Scientific Data 7:154, "
    "2020, doi 10.1038/s41597-020-0495-6",
    expected="""
ptb-xl/
  ptbxl_database.csv                     ecg_id, patient_id, age, sex, …, scp_codes, strat_fold, filename_lr, …
  scp_statements.csv                     (which statement belongs to which superclass)
  records100/00000/00001_lr.hea, .dat
  records500/00000/00001_hr.hea, .dat    (the same at 500 Hz; left out where both are there)
""",
    patients="the column patient_id.",
    known_leaks=(
        "only folds 9 and 10 were seen by a cardiologist throughout; the labels of the others are less sure.",
        "many reports were first written by the program of the ECG device, and then checked.",
    ),
    labels=_SUPERCLASSES,
    layout=PtbXlLayout(),
)

ECG = (PTB_XL,)
