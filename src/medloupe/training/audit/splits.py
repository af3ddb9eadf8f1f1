"""Find labels that one part of an official split has and another has not: one class under two names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from medloupe.data.readers.base import list_some, natural_key
from medloupe.data.records import Dataset
from medloupe.training.audit.finding import Finding

SHARE = 0.05  # of the records of a part, below which labels of its own may be the chance of rare classes


def find_split_labels(data: Dataset) -> list[Finding]:
    """Compare the classes of the parts that judge, test and val, with those of train.

    Where each side has classes that the other has not, these are likely the same under two names: no figure on such a
    split means anything, so nothing is trained on it. Where only the test has one, it cannot be judged.
    """
    if data.task != "multiclass":
        return []
    parts: dict[str, dict[str, int]] = {}
    for record in data.records:
        if record.split and record.labels:
            counts = parts.setdefault(record.split, {})
            for name in record.labels:
                counts[name] = counts.get(name, 0) + 1
    found = []
    for part in ("test", "val"):
        if part in parts and "train" in parts:
            found += _compare(part, parts[part], parts["train"])
    return found


def _compare(part: str, judged: dict[str, int], train: dict[str, int]) -> list[Finding]:
    here = sorted(judged.keys() - train.keys(), key=natural_key)
    there = sorted(train.keys() - judged.keys(), key=natural_key)
    if not here:
        return [_note_lacking(part, next(iter(judged)), there)] if there and len(judged) == 1 else []
    count = sum(judged[name] for name in here)
    alike = _find_alike(here, there)
    several = count >= SHARE * sum(judged.values()) and sum(train[n] for n in there) >= SHARE * sum(train.values())
    crossed = bool(there) and (alike is not None or several)
    one = alike or (here[0], there[0] if there else "")
    detail = f"{part} has {list_some(here)}, which train has not"
    detail += f"; train has {list_some(there)}, which {part} has not" if there else ""
    return [
        Finding(
            kind="labels_by_split" if crossed else "labels_of_one_split",
            level="serious" if crossed else "warning",
            title=f"The classes of {part} and train differ",
            detail=f"{detail}: one class under two names, such as {one[0]} and {one[1]}?" if crossed else f"{detail}.",
            advice="Give the folders (or cells) of one class one name; or take out what is in one part only."
            + (" As it is, nothing is trained." if crossed else f" Until then {part} cannot judge."),
            count=count,
        )
    ]


def _note_lacking(part: str, only: str, there: Sequence[str]) -> Finding:
    return Finding(
        kind="labels_of_one_split",
        level="warning",
        title=f"There is only {only} in {part}",
        detail=f"Train also has {list_some(there)}, of which {part} has no case: there is nothing to tell apart.",
        advice=f"Bring cases of the other classes into {part}. Until then it cannot judge.",
        count=len(there),
    )


def _find_alike(here: Sequence[str], there: Sequence[str]) -> tuple[str, str] | None:
    """Find the pair of names that are most alike; None where none are."""
    for one in here:
        for other in there:
            a, b = (re.sub(r"[\W_]+", "", name.casefold()) for name in (one, other))
            if min(len(a), len(b)) > 2 and (a.startswith(b) or b.startswith(a)):
                return one, other
            if difflib.SequenceMatcher(None, a, b).ratio() >= 0.8:
                return one, other
    return None
