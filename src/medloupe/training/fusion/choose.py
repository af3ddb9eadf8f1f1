"""Which columns a training reads beside the picture: asked for, readable, known beforehand, and no leak."""

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
class Inputs:
    """What is read beside each picture.

    columns: names of the clinical columns, in order. notes: the notes' column, or None. mask: words blanked in them.
    rows: for each record what it states of them. left_out: columns asked for, or proposed, that take no part, and why.
    stating: the words behind a mask that was proposed. probes: what each column tells alone. findings: for the audit.
    said: sentences for the person, on what was prepared. network: what reads the notes; None: by their letters.
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

    def encoders(self, rows: np.ndarray, seed: int) -> tuple[tuple[Column, ...], TextEncoder | None]:
        """Columns and notes as learned from some of the rows."""
        here = [self.rows[i] for i in rows]
        fitted = (Column.fit(name, [r.get(name) for r in here]) for name in self.columns)
        notes = None
        if self.notes is not None:
            texts = [r.get(self.notes) for r in here]
            notes = encoder.fit_text_encoder(texts, self.network, mask=self.mask, column=self.notes, seed=seed)
        return tuple(c for c in fitted if c is not None), notes

    def as_json(self) -> dict[str, Any]:
        """What the card keeps of the choice."""
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


def asked(data: Dataset, options: Options) -> bool:
    """Whether a training is to read anything beside the picture."""
    return bool(options.clinical if options.clinical is not None else data.clinical) or options.notes is not None


def check(data: Dataset, options: Options) -> None:
    """Raises ColumnError for a column asked for that the table lacks, before anything costs time."""
    data = add_ages(data)
    names = list(dict.fromkeys(c for r in data.records for c in r.columns))
    if options.notes is not None:
        _told(options.notes, names, data.root.name)
    _wanted(data, options, names)


def choose(data: Dataset, rows: np.ndarray, groups: np.ndarray, options: Options) -> Inputs:
    """What to read, judged by the records `rows` alone (those a head may learn from).

    groups: int (N,) of all records. Raises ColumnError for a column asked for that the table lacks, DataError where
    more are asked for than a model can have.
    """
    before = len(data.notes)
    data = add_ages(data)
    said = list(data.notes[before:])
    names = list(dict.fromkeys(c for r in data.records for c in r.columns))
    notes = _told(options.notes, names, data.root.name) if options.notes is not None else None
    prober = _Prober(data, rows, groups[rows], options)
    columns = [name for name in _wanted(data, options, names) if name != notes and prober.takes(name)]
    if len(columns) > MOST_COLUMNS:
        raise DataError(
            f"{len(columns)} clinical columns are too many; a model can have {MOST_COLUMNS}.",
            "Name those that matter with --clinical age,sex,…",
        )
    mask, stating = (), ()
    if notes is not None:
        mask, stating = prober.masks(notes)
        if not prober.takes_notes(notes, mask):
            notes = None
    return Inputs(
        columns=tuple(columns),
        notes=notes,
        mask=mask,
        rows=_readable(data, columns, notes, said),
        left_out=tuple(prober.left.items()),
        stating=stating,
        probes=tuple(prober.probes),
        findings=tuple(prober.findings),
        said=tuple(said),
        network=options.notes_model,
    )


def with_columns(audited: Audit, data: Dataset, seed: int = 0) -> Audit:
    """What was found, with the leak probe of every column of the table; for data of which no model is asked yet."""
    rows = np.flatnonzero(~np.isnan(data.targets).all(1)) if data.labels else np.empty(0, np.int64)
    if len(rows) < 2 or len(data.labels) < 2 or data.task == "detection":
        return audited
    data = add_ages(data)
    prober = _Prober(data, rows, audited.groups[rows], Options(seed=seed, clinical=(ALL,)))
    for name in dict.fromkeys(c for r in data.records for c in r.columns):
        prober.takes(name)
    found = [leak_finding(p, len(rows), kept=None) for p in prober.probes if p.leaks and p.strong]
    return audited.with_columns(found, [p.as_json() for p in prober.probes])


class _Prober:
    """Judges columns one by one, and keeps why some are left out."""

    def __init__(self, data: Dataset, rows: np.ndarray, groups: np.ndarray, options: Options):
        self.data, self.rows, self.groups, self.options = data, rows, groups, options
        self.targets = data.targets[rows]
        self.dates = set(date_columns(data.records))
        names = {c for r in data.records for c in r.columns}
        self.named = not _all(options.clinical or (), list(names))
        self.left: dict[str, str] = {}
        self.probes: list[ColumnProbe] = []
        self.findings: list[Finding] = []

    def values(self, name: str) -> list[str | None]:
        return [self.data.records[i].columns.get(name) for i in self.rows]

    def takes(self, name: str) -> bool:
        """Whether a clinical column can and may be read."""
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
            self.left[name] = _why_nothing(values)
            return False
        if name in RHYTHM and self.data.things == "beats":
            return True  # measured on the signal itself: it may tell much, but it cannot have been written afterwards
        encoded, _ = column.encode(column.drop_unreadable(values))
        return self._passes(name, encoded, afterwards=names_outcome(name))

    def takes_notes(self, name: str, mask: Sequence[str]) -> bool:
        """Whether notes, masked, can and may be read."""
        values = self.values(name)
        options = self.options
        notes = encoder.fit_text_encoder(values, options.notes_model, mask=mask, column=name, seed=options.seed)
        if notes is None:
            self.left[name] = "fewer than ten records have any notes"
            return False
        return self._passes(name, notes.vectors(values), afterwards=False, notes=True)

    def masks(self, name: str) -> tuple[tuple[str, ...], tuple[StatingWord, ...]]:
        """The words to mask in notes, and where they were found rather than told, why."""
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


def _all(given: Sequence[str], names: Sequence[str]) -> bool:
    return tuple(given) == (ALL,) and ALL not in names


def _wanted(data: Dataset, options: Options, names: Sequence[str]) -> list[str]:
    """The columns asked for, or proposed by the reader."""
    given = options.clinical if options.clinical is not None else data.clinical
    if _all(given, names):
        return list(names)
    told = list(dict.fromkeys(_told(name, names, data.root.name) for name in given))
    dates = set(date_columns(data.records))
    if AGE in names and AGE not in told and sum(name in dates for name in told) >= 2:
        told.append(AGE)  # the birth date and that of the examination were named instead of what follows from them
    return told


def _told(name: str, names: Sequence[str], table: str) -> str:
    same = [n for n in names if n == name] or [n for n in names if n.lower() == name.strip().lower()]
    if len(same) != 1:
        raise ColumnError(name, names, table)
    return same[0]


def _readable(
    data: Dataset, columns: Sequence[str], notes: str | None, said: list[str]
) -> tuple[Mapping[str, str], ...]:
    """For each record what it states of the inputs; numbers that cannot be read count as missing, and are counted."""
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


def _why_nothing(values: Sequence[str | None]) -> str:
    said = {v for v in values if v and is_stated(v)}
    if not said:
        return "it is empty"
    if len(said) == 1:
        return "it is the same everywhere"
    return "it is stated too rarely, or differs in nearly every record"
