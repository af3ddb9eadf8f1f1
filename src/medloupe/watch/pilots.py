"""Compare the answers of a pilot with their references, and read and write the tables of both."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medloupe.errors import DataError, MedloupeError, StoreError
from medloupe.metrics.pilot import ReaderTable, compare_with_reference
from medloupe.model.decision import Decision
from medloupe.starter import shipped
from medloupe.utils.csvcells import escape_formula, unescape_cell

if TYPE_CHECKING:
    from medloupe.store.models import Store
    from medloupe.store.pilots import Pilot, Pilots

_ID = re.compile("[0-9a-f]{32}")
_MOST = 100_000  # lines of a table of references
_FIGURES = ("sensitivity", "specificity", "ppv", "npv", "sensitivity_all", "specificity_all")


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotReport:
    """What came of a pilot for one check-up.

    Attributes
    ----------
    versions
        Those that answered.
    answers, referred
        How many there are, and how many with a reference.
    tables
        For each label that is looked for, after one of any of them.
    """

    model: str
    versions: tuple[int | None, ...]
    answers: int
    referred: int
    tables: tuple[ReaderTable, ...]

    def as_json(self) -> dict[str, Any]:
        """Give it in types that JSON has."""
        return {
            "model": self.model,
            "versions": list(self.versions),
            "answers": self.answers,
            "referred": self.referred,
            "tables": [table.as_json() for table in self.tables],
        }


def report_on(pilots: Pilots, pilot: Pilot, store: Store) -> list[PilotReport]:
    """Compare what a pilot has so far, by check-up; answers without a reference are counted and not looked into."""
    reports = []
    for model, (answers, referred) in pilots.count(pilot.id).items():
        cases = [case for case in pilots.cases(pilot.id, model=model) if case.labels is not None]
        labels, sought = _read_labels(store, model, [c.answer for c in cases], [c.labels or () for c in cases])
        pairs = [(case.answer, case.labels or ()) for case in cases]
        reports.append(
            PilotReport(
                model=model,
                versions=tuple(sorted({c.version for c in cases}, key=lambda v: v or 0)),
                answers=answers,
                referred=referred,
                tables=tuple(compare_with_reference(pairs, labels, sought)) if pairs else (),
            )
        )
    return reports


def _read_labels(
    store: Store, model: str, answers: Sequence[Mapping[str, Any]], references: Sequence[Sequence[str]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read a check-up's labels, and those that it looks for; of one that is gone, what was said."""
    try:
        card = store.get(model, None, report=False).card if store.has(model) else shipped.load_shipped(model).card
        decision = Decision.from_card(card)
    except MedloupeError:
        said = {label for answer in answers for label in answer.get("probabilities") or ()}
        return tuple(sorted(said | {label for labels in references for label in labels})), ()
    return decision.labels, tuple(n for n in decision.labels if decision.roles.of(n) == "sought")


def read_references(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Read a table of references: columns `id` and `labels`, several of which stand with "|"; none is "".

    Raises
    ------
    DataError
        It is no such table; which line is said.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    if not {"id", "labels"} <= set(rows.fieldnames or ()):
        raise DataError(
            "The table has no columns `id` and `labels`.", "medloupe pilot status --csv writes one to fill in."
        )
    found: dict[str, tuple[str, ...]] = {}
    for number, row in enumerate(rows, 2):
        if number > _MOST:
            raise DataError(f"The table has over {_MOST:,} lines.", "Split it.")
        id, told = (row["id"] or "").strip(), row["labels"]
        if told is None or not _ID.fullmatch(id):
            raise DataError(f"Line {number} has no id of an answer: {id[:40]!r}.", "Ids have 32 letters and digits.")
        if told.strip() == "?":  # not known yet
            continue
        if id in found:
            raise DataError(f"Line {number} names the answer {id} again.", "Each has one reference.")
        found[id] = tuple(dict.fromkeys(p.strip() for p in unescape_cell(told.strip()).split("|") if p.strip()))
    return list(found.items())


def check_labels(labels: Iterable[str], known: Sequence[str], id: str) -> None:
    """Raise DataError where a reference has a label that its check-up does not have."""
    if wrong := [label for label in labels if label not in known]:
        raise DataError(f"{wrong[0][:60]!r} is no label of the answer {id}.", f"There are {', '.join(known[:20])}.")


def give_references(
    pilots: Pilots, pilot: Pilot, told: Sequence[tuple[str, tuple[str, ...]]], *, by: str
) -> tuple[int, list[str]]:
    """Give many references; return how many were taken, and why the others were not.

    Raises
    ------
    DataError
        A label is none of the answer's; then none is taken.
    """
    cases = {case.id: case for case in pilots.cases(pilot.id)}
    for id, labels in told:
        if id in cases:
            check_labels(labels, tuple(cases[id].answer.get("probabilities") or labels), id)
    taken, failed = 0, []
    for id, labels in told:
        try:
            pilots.refer(id, labels, by=by)
            taken += 1
        except StoreError as e:
            failed.append(e.message)
    return taken, failed


def write_waiting(pilots: Pilots, pilot: Pilot) -> str:
    """Write the answers that wait for a reference as CSV, to be filled in; nothing that was said is in it."""
    rows = [(case.id, case.at, case.model, case.site, "?") for case in pilots.cases(pilot.id) if case.labels is None]
    return _write_csv(("id", "at", "check_up", "site", "labels"), rows)


def write_report(reports: Sequence[PilotReport]) -> str:
    """Write reader tables as CSV."""
    columns = ["check_up", "label", "n", "tp", "fp", "fn", "tn"]
    columns += [f"{state}_{side}" for state in ("unclear", "refused", "unusable") for side in ("with", "without")]
    columns += [f"{name}{end}" for name in _FIGURES for end in ("", "_low", "_high")]
    rows = []
    for report in reports:
        for table in report.tables:
            figures = table.figures()
            undecided = [
                side[state]
                for state in ("unclear", "refused", "unusable")
                for side in (table.undecided_with, table.undecided_without)
            ]
            shares = [
                "" if value is None else f"{value:.4f}"
                for name in _FIGURES
                for value in (figures[name].value, figures[name].low, figures[name].high)
            ]
            counts = (table.n, table.tp, table.fp, table.fn, table.tn, *undecided)
            rows.append((report.model, table.label or "any finding", *map(str, counts), *shares))
    return _write_csv(columns, rows)


def write_cases(pilots: Pilots, pilot: Pilot) -> str:
    """Write answers beside their references as CSV; those without a reference are left out while the pilot runs."""
    rows = []
    for case in pilots.cases(pilot.id):
        if case.labels is None and pilot.ended is None:
            continue
        said = case.answer
        p = (said.get("probabilities") or {}).get(said.get("prediction"))
        reference = "?" if case.labels is None else "|".join(case.labels)
        cells = (said.get("state") or "answered", said.get("prediction") or "", "|".join(said.get("flagged") or ()))
        share = "" if p is None else f"{p:.4f}"
        rows.append((case.id, case.at, case.model, str(case.version or ""), case.site, *cells, share, reference))
    columns = ("id", "at", "check_up", "version", "site", "state", "most_probable", "flagged", "share", "reference")
    return _write_csv(columns, rows)


def _write_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\r\n")
    table.writerow(columns)
    table.writerows([escape_formula(cell) for cell in row] for row in rows)
    return written.getvalue()
