"""What is wrong with a data set, and what can be done about it in one step.

Copies, contradictions and classes that are too small are seen in the rows at once; the audit of the package (near
copies, blank pictures, shortcuts) looks at the pictures and comes a little later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from medloupe.store.dataset_nouns import DatasetItem, StoredDataset
from medloupe.studio.training import count_cases

FEW = 10  # independent cases of a class below which its figures say little
MOST_SETS = 50
MOST_AT_ONCE = 1000
"""Pictures of one remedy, so that it fits into a request; what is left is found again."""
_ORDER = ("serious", "warning", "notice")
_BY_ROWS = frozenset({"duplicates", "duplicates_across_labels", "small_class", "unlabelled", "one_class"})
"""Kinds that are told from the rows, so that those of the audit need not be waited for."""
_SPARE_ONE = ("duplicates", "near_duplicates")
_ALIKE = ("near_duplicates", "near_duplicates_across_labels")
_OUT = ("duplicates_across_labels", "near_duplicates_across_labels", "unreadable", "blank", "blank_class")
_RELABELLED = ("duplicates_across_labels", "near_duplicates_across_labels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One step against a finding, as `DatasetChanges` knows it.

    Attributes
    ----------
    action
        "leave_out", "join" or "relabel".
    items
        The pictures that are left out or relabelled.
    groups
        The pictures that are joined.
    label
        The class that they get; of several findings a picture, labels.
    """

    action: str
    items: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    label: str | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFinding:
    """One thing that is wrong.

    Attributes
    ----------
    kind, level
        As training.audit names them.
    count
        How many pictures, pairs or cases.
    label
        The class that it is about, or "".
    sets
        The pictures that belong together, of the first.
    detail
        What the audit says, in English.
    remedies
        What can be done.
    """

    kind: str
    level: str
    count: int
    label: str = ""
    sets: tuple[tuple[str, ...], ...] = ()
    detail: str = ""
    remedies: tuple[Remedy, ...] = field(default=())


def find_in_rows(data: StoredDataset, items: Sequence[DatasetItem]) -> list[DatasetFinding]:
    """Find what the rows alone tell: copies, contradictions, classes too small, pictures without a class."""
    by_digest: dict[str, list[DatasetItem]] = defaultdict(list)
    for item in items:
        by_digest[item.digest].append(item)
    same = [group for group in by_digest.values() if len(group) > 1]
    clashing = [g for g in same if len({item.told for item in g if item.told is not None}) > 1]
    copies = [g for g in same if g not in clashing]
    found: list[DatasetFinding] = []
    if clashing:
        found.append(_of_sets("duplicates_across_labels", "serious", len(clashing), clashing))
    if copies:
        found.append(_of_sets("duplicates", "notice", sum(len(g) - 1 for g in copies), copies))
    cases = {**{name: set[str]() for name in data.labels}, **count_cases(data, items)}
    if items and sum(bool(seen) for seen in cases.values()) < (1 if data.boxed or data.several else 2):
        kind = "no_boxes" if data.boxed else "no_findings" if data.several else "one_class"
        found.append(DatasetFinding(kind=kind, level="serious", count=len(items)))
    elif items:
        for name, seen in cases.items():
            if len(seen) < FEW:
                level = "serious" if len(seen) < 2 else "warning"
                found.append(DatasetFinding(kind="small_class", level=level, count=len(seen), label=name))
    if unlabelled := [item for item in items if (item.boxes if data.boxed else item.told) is None]:
        sets = tuple((item.id,) for item in unlabelled[:MOST_SETS])
        found.append(
            DatasetFinding(
                kind="unlooked" if data.boxed else "untold" if data.several else "unlabelled",
                level="notice",
                count=len(unlabelled),
                sets=sets,
                remedies=(Remedy(action="leave_out", items=tuple(item.id for item in unlabelled[:MOST_AT_ONCE])),),
            )
        )
    return found


def read_audit(told: Mapping[str, Any], here: Mapping[str, DatasetItem]) -> list[DatasetFinding]:
    """Read what the audit found, as far as it still holds: pictures left out or joined since are not told again.

    Parameters
    ----------
    told
        As `medloupe check --json` prints it, of a folder that `Datasets.write_folder` wrote.
    here
        The pictures as they stand now, by their ids.
    """
    found: list[DatasetFinding] = []
    for finding in told.get("findings", ()):
        if finding["kind"] in _BY_ROWS:
            continue
        sets = [[id for file in files if (id := _item_of(file)) in here] for files in finding["files"]]
        members = [[here[id] for id in ids] for ids in sets]
        if finding["kind"] in _ALIKE:
            members = [m for m in members if len(m) > 1 and not _settled(finding["kind"], m)]
        members = [m for m in members if m]
        if finding["files"] and not members:
            continue
        count = finding["count"] if len(members) == len(finding["files"]) else len(members)
        made = _of_sets(finding["kind"], finding["level"], count, members)
        found.append(replace(made, detail=finding["detail"]))
    return found


def sort_findings(findings: Iterable[DatasetFinding]) -> list[DatasetFinding]:
    """Sort findings, the most serious first."""
    return sorted(findings, key=lambda f: _ORDER.index(f.level))


def _settled(kind: str, members: Sequence[DatasetItem]) -> bool:
    """Whether what was to be decided of near copies is: that they are of one patient, or of one class."""
    if kind == "near_duplicates":
        return len({item.patient for item in members}) == 1 and members[0].patient is not None
    return len({item.told for item in members}) == 1


def _of_sets(kind: str, level: str, count: int, sets: Sequence[Sequence[DatasetItem]]) -> DatasetFinding:
    remedies: list[Remedy] = []
    if kind == "near_duplicates":
        remedies.append(Remedy(action="join", groups=tuple(tuple(i.id for i in s) for s in sets)))
    if kind in _SPARE_ONE:
        spare = {item.id: None for s in sets for item in _order(s)[1:]}
        remedies.append(Remedy(action="leave_out", items=tuple(spare)[:MOST_AT_ONCE]))
    if kind in _OUT:
        remedies.append(Remedy(action="leave_out", items=tuple({i.id: None for s in sets for i in s})[:MOST_AT_ONCE]))
    if kind in _RELABELLED:
        told = [item for s in sets for item in s if item.told is not None]
        labels = sorted({item.label for item in told if item.label is not None})
        several = sorted({item.found for item in told if item.labels is not None})
        every = tuple({i.id: None for s in sets for i in s})
        if len(labels) + len(several) <= 3 and len(sets) <= 5:
            remedies += [Remedy(action="relabel", items=every, label=name) for name in labels]
            remedies += [Remedy(action="relabel", items=every, labels=names) for names in several]
    return DatasetFinding(
        kind=kind,
        level=level,
        count=count,
        sets=tuple(tuple(item.id for item in s) for s in sets[:MOST_SETS]),
        remedies=tuple(r for r in remedies if r.items or r.groups),
    )


def _order(members: Sequence[DatasetItem]) -> list[DatasetItem]:
    """Order copies so that the one that is kept comes first: of whom most is known, then that which came first."""
    return sorted(members, key=lambda i: (not i.boxes, i.patient is None, i.site is None, i.added, i.file))


def _item_of(file: str) -> str:
    return file.rpartition("/")[2].partition(".")[0]
