"""Findings of an audit, and how they are worded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from medloupe.data.records import Dataset

Level = Literal["serious", "warning", "notice"]
SHOWN = 50  # examples listed for each finding
ORDER = ("serious", "warning", "notice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found.

    Attributes
    ----------
    kind : str
        Stable name for programs.
    level : str
        "serious", "warning" or "notice".
    title, detail, advice : str
        What it is, what it means, and what to do.
    count : int
        How many images, pairs or patients it concerns.
    files : tuple of tuple of str
        Up to 50 examples, each the files that belong together.
    """

    kind: str
    level: Level
    title: str
    detail: str
    advice: str
    count: int
    files: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSuspect:
    """A label that the other records contradict.

    Attributes
    ----------
    rank : int
        From 1, the most suspicious.
    file : str
        Id of the record.
    row : int
        Of the features.
    given, likely : str
        The label it has, and the one that it looks like; of several findings "NAME" and "not NAME", or the reverse.
    probability_given, probability_likely : float
        Of each, by the records of other patients or groups.
    """

    rank: int
    file: str
    row: int
    given: str
    likely: str
    probability_given: float
    probability_likely: float

    def as_json(self) -> dict[str, Any]:
        """Give all fields but the row, rounded."""
        told = asdict(self)
        del told["row"]
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in told.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All that was found in a data set.

    Attributes
    ----------
    checked : int
        How many files were looked at, unreadable ones with them.
    findings : tuple of Finding
        The most serious first.
    groups : np.ndarray
        int (N,): records of one patient, and copies, share a number.
    shortcut : dict or None
        The shortcut probe; None where it was not asked.
    columns : tuple of dict
        What each clinical column tells alone, where any were probed.
    suspects : tuple of LabelSuspect
        Labels that deserve a second look, the most suspicious first.
    """

    checked: int
    findings: tuple[Finding, ...]
    groups: np.ndarray
    shortcut: dict[str, Any] | None
    columns: tuple[dict[str, Any], ...] = ()
    suspects: tuple[LabelSuspect, ...] = ()

    def with_findings(self, findings: Sequence[Finding]) -> Audit:
        """Add findings, each in its place."""
        every = sorted((*self.findings, *findings), key=lambda f: ORDER.index(f.level))
        return replace(self, findings=tuple(every))

    def with_columns(self, findings: Sequence[Finding], columns: Sequence[dict[str, Any]]) -> Audit:
        """Add what the leak probe found."""
        return replace(self.with_findings(findings), columns=tuple(columns))

    def as_json(self) -> dict[str, Any]:
        """Give all fields but the groups and the suspects, which are in a finding."""
        return {
            "checked": self.checked,
            "findings": [asdict(f) for f in self.findings],
            "shortcut": self.shortcut,
            **({"columns": list(self.columns)} if self.columns else {}),
        }


def describe_sets(
    data: Dataset, sets: Sequence[Sequence[int]], *, kind: str, level: Level, title: str, detail: str, advice: str
) -> Finding:
    """Describe sets of rows that belong together, each counted once."""
    return Finding(
        kind=kind,
        level=level,
        title=title,
        detail=detail,
        advice=advice,
        count=len(sets),
        files=list_files(data, sets),
    )


def list_files(data: Dataset, rows: Sequence[Sequence[int]]) -> tuple[tuple[str, ...], ...]:
    """Name the files of sets of rows, of the first SHOWN."""
    return tuple(tuple(data.records[i].id for i in r) for r in rows[:SHOWN])


def count_noun(n: int, one: str, many: str = "") -> str:
    """Write a number with its noun: "1 image", "2 images"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def is_or_are(n: int) -> str:
    """Choose the verb for so many things."""
    return "is" if n == 1 else "are"
