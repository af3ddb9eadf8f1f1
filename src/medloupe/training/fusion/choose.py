"""Choose which columns a training reads beside the picture: asked for, readable, known beforehand, and no leak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from medloupe.data.dates import AGE, add_ages, date_columns
from medloupe.data.records import Dataset
from medloupe.data.values import is_stated
from medloupe.ecg.beats import RHYTHM
from medloupe.embed.hub.text import TextNetwork
from medloupe.errors import ColumnError, DataError
from medloupe.inputs import encoder
from medloupe.inputs.clinical import Column
from medloupe.inputs.limits import MOST_COLUMNS
from medloupe.inputs.notes import METHOD
from medloupe.inputs.projection import TextEncoder
from medloupe.training.audit.finding import Audit, Finding
from medloupe.training.audit.leaks import (
    ColumnProbe,
    explain_exclusion,
    leak_finding,
    names_identity,
    names_outcome,
    names_place,
    probe_column,
)
from medloupe.training.audit.masks import StatingWord, propose_masks
from medloupe.training.options import Options

ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenInputs:
    """What is read beside each picture.

    Attributes
    ----------
    columns : tuple of str
        Names of the clinical columns, in order.
    notes : str or None
        The notes' column.
    mask : tuple of str
        Words blanked in the notes.
    rows : tuple of mapping
        For each record what it states of the inputs.
    left_out : tuple of (str, str)
        Columns asked for, or proposed, that take no part, and why.
    stating : tuple of StatingWord
        The words behind a mask that was proposed.
    probes : tuple of ColumnProbe
        What each column tells alone.
    findings : tuple of Finding
        For the audit.
    said : tuple of str
        Sentences for the person, on what was prepared.
    network : TextNet or None
        What reads the notes; None: by their letters.
    """

    columns: tuple[str, ...]
    notes: str | None
    mask: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    left_out: tuple[tuple[str, str], ...]
    stating: tuple[StatingWord, ...]
    probes: tuple[ColumnProbe, ...]
    findings: tuple[Finding, ...]
    said: tuple[str, ...]
    network: TextNetwork | None = None

    def fit_encoders(self, rows: np.ndarray, seed: int) -> tuple[tuple[Column, ...], TextEncoder | None]:
        """Fit the encoders of columns and notes to some rows, int (n,), of the records."""
        here = [self.rows[i] for i in rows]
        fitted = (Column.fit(name, [r.get(name) for r in here]) for name in self.columns)
        notes = None
        if self.notes is not None:
            texts = [r.get(self.notes) for r in here]
            notes = encoder.fit_text_encoder(texts, self.network, mask=self.mask, column=self.notes, seed=seed)
        return tuple(c for c in fitted if c is not None), notes

    def as_json(self) -> dict[str, Any]:
        """Give what the card keeps of the choice."""
        masked = {s.word: asdict(s) for s in self.stating}
        return {
            "columns_left_out": [{"name": name, "why": why} for name, why in self.left_out],
            "notes": self.notes
            and {
                "column": self.notes,
                "method": self.network.words if self.network else METHOD,
                "masked": [masked.get(word, {"word": word}) for word in self.mask],
            },
            "said": list(self.said),
        }


def reads_inputs(data: Dataset, options: Options) -> bool:
    """Tell whether a training is to read anything beside the picture."""
    return bool(options.clinical if options.clinical is not None else data.clinical) or options.notes is not None


def check_columns(data: Dataset, options: Options) -> None:
    """Check the columns asked for before anything costs time.

    Raises
    ------
    ColumnError
        For one that the table lacks.
    """
    data = add_ages(data)
    names = list(dict.fromkeys(c for r in data.records for c in r.columns))
    if options.notes is not None:
        _match_column(options.notes, names, data.root.name)
    _requested_columns(data, options, names)


def choose_inputs(data: Dataset, rows: np.ndarray, groups: np.ndarray, options: Options) -> ChosenInputs:
    """Choose what to read, judged by some of the records alone.

    Parameters
    ----------
    data : Dataset
        With the table's columns.
    rows : np.ndarray
        int (n,), the records that a head may learn from.
    groups : np.ndarray
        int (N,), of all records.
    options : Options
        What was asked for.

    Raises
    ------
    ColumnError
        For a column asked for that the table lacks.
    DataError
        Where more are asked for than a model can have.
    """
    before = len(data.notes)
    data = add_ages(data)
    said = list(data.notes[before:])
    names = list(dict.fromkeys(c for r in data.records for c in r.columns))
    notes = _match_column(options.notes, names, data.root.name) if options.notes is not None else None
    prober = _Prober(data, rows, groups[rows], options)
    columns = [name for name in _requested_columns(data, options, names) if name != notes and prober.accepts(name)]
    if len(columns) > MOST_COLUMNS:
        raise DataError(
            f"{len(columns)} clinical columns are too many; a model can have {MOST_COLUMNS}.",
            "Name those that matter with --clinical age,sex,…",
        )
    mask, stating = (), ()
    if notes is not None:
        mask, stating = prober.choose_masks(notes)
        if not prober.accepts_notes(notes, mask):
            notes = None
    return ChosenInputs(
        columns=tuple(columns),
        notes=notes,
        mask=mask,
        rows=_readable_rows(data, columns, notes, said),
        left_out=tuple(prober.left.items()),
        stating=stating,
        probes=tuple(prober.probes),
        findings=tuple(prober.findings),
        said=tuple(said),
        network=options.notes_model,
    )


def probe_table(audited: Audit, data: Dataset, seed: int = 0) -> Audit:
    """Add the leak probe of every column of the table to an audit of data of which no model is asked yet."""
    rows = np.flatnonzero(~np.isnan(data.targets).all(1)) if data.labels else np.empty(0, np.int64)
    if len(rows) < 2 or len(data.labels) < 2 or data.task == "detection":
        return audited
    data = add_ages(data)
    prober = _Prober(data, rows, audited.groups[rows], Options(seed=seed, clinical=(ALL,)))
    for name in dict.fromkeys(c for r in data.records for c in r.columns):
        prober.accepts(name)
    found = [leak_finding(p, len(rows), kept=None) for p in prober.probes if p.leaks and p.strong]
    return audited.with_columns(found, [p.as_json() for p in prober.probes])


class _Prober:
    """Judge columns one by one, and keeps why some are left out."""

    def __init__(self, data: Dataset, rows: np.ndarray, groups: np.ndarray, options: Options):
        self.data, self.rows, self.groups, self.options = data, rows, groups, options
        self.targets = data.targets[rows]
        self.dates = set(date_columns(data.records))
        names = {c for r in data.records for c in r.columns}
        self.named = not _asks_for_all(options.clinical or (), list(names))
        self.left: dict[str, str] = {}
        self.probes: list[ColumnProbe] = []
        self.findings: list[Finding] = []

    def values(self, name: str) -> list[str | None]:
        """Read a column of the rows judged by."""
        return [self.data.records[i].columns.get(name) for i in self.rows]

    def accepts(self, name: str) -> bool:
        """Tell whether a clinical column can and may be read."""
        if names_identity(name):
            self.left[name] = "it identifies a file, a person or a source"
            return False
        if names_place(name) and not self.named:
            self.left[name] = "it says where or with what the picture was taken; name it with --clinical to read it"
            return False
        if name in self.dates:
            self.left[name] = "a date names the period in which a picture was taken, not the patient"
            return False
        values = self.values(name)
        column = Column.fit(name, values)
        if column is None:
            self.left[name] = _explain_unusable(values)
            return False
        if name in RHYTHM and self.data.things == "beats":
            return True  # measured on the signal itself: it may tell much, but it cannot have been written afterwards
        encoded, _ = column.encode(column.drop_unreadable(values))
        return self._passes(name, encoded, afterwards=names_outcome(name))

    def accepts_notes(self, name: str, mask: Sequence[str]) -> bool:
        """Tell whether notes, masked, can and may be read."""
        values = self.values(name)
        options = self.options
        notes = encoder.fit_text_encoder(values, options.notes_model, mask=mask, column=name, seed=options.seed)
        if notes is None:
            self.left[name] = "fewer than ten records have any notes"
            return False
        return self._passes(name, notes.vectors(values), afterwards=False, notes=True)

    def choose_masks(self, name: str) -> tuple[tuple[str, ...], tuple[StatingWord, ...]]:
        """Choose the words to mask in notes, and where they were found rather than told, say why."""
        if self.options.mask is not None:
            return self.options.mask, ()
        stating = propose_masks(self.values(name), self.targets, self.data.labels, self.groups)
        return tuple(s.word for s in stating), stating

    def _passes(self, name: str, encoded: np.ndarray, *, afterwards: bool, notes: bool = False) -> bool:
        data, kept = self.data, self.options.keep_leaks
        probed = probe_column(
            *(name, encoded, self.targets, data.labels, self.groups, data.task),
            afterwards=afterwards,
            seed=self.options.seed,
        )
        self.probes.append(probed)
        if not probed.leaks:
            return True
        if self.named or probed.strong:
            self.findings.append(leak_finding(probed, len(self.rows), kept=kept, notes=notes))
        if not kept:
            self.left[name] = explain_exclusion(probed)
        return kept


def _asks_for_all(given: Sequence[str], names: Sequence[str]) -> bool:
    return tuple(given) == (ALL,) and ALL not in names


def _requested_columns(data: Dataset, options: Options, names: Sequence[str]) -> list[str]:
    """List the columns asked for, or proposed by the reader."""
    given = options.clinical if options.clinical is not None else data.clinical
    if _asks_for_all(given, names):
        return list(names)
    told = list(dict.fromkeys(_match_column(name, names, data.root.name) for name in given))
    dates = set(date_columns(data.records))
    if AGE in names and AGE not in told and sum(name in dates for name in told) >= 2:
        told.append(AGE)  # the birth date and that of the examination were named instead of what follows from them
    return told


def _match_column(name: str, names: Sequence[str], table: str) -> str:
    same = [n for n in names if n == name] or [n for n in names if n.lower() == name.strip().lower()]
    if len(same) != 1:
        raise ColumnError(name, names, table)
    return same[0]


def _readable_rows(
    data: Dataset, columns: Sequence[str], notes: str | None, said: list[str]
) -> tuple[Mapping[str, str], ...]:
    """Read what each record states of the inputs; numbers that cannot be read count as missing, and are counted."""
    chosen = (*columns, *((notes,) if notes else ()))
    rows = [{n: r.columns[n] for n in chosen if is_stated(r.columns.get(n, ""))} for r in data.records]
    for name in columns:
        values = [r.get(name) for r in rows]
        column = Column.fit(name, values)
        if column is None:
            continue
        read = column.drop_unreadable(values)
        lost = [i for i, v in enumerate(values) if v is not None and read[i] is None]
        if lost:
            said.append(
                f"{len(lost):,} of {len(values):,} values of {name!r} are no numbers, such as {values[lost[0]]!r}; they"
                " count as missing."
            )
        for i in lost:
            del rows[i][name]
    return tuple(rows)


def _explain_unusable(values: Sequence[str | None]) -> str:
    said = {v for v in values if v and is_stated(v)}
    if not said:
        return "it is empty"
    if len(said) == 1:
        return "it is the same everywhere"
    return "it is stated too rarely, or differs in nearly every record"
