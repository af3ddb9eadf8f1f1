"""Name what is kept of a patient, and what a receipt tells of its deletion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

COUNTED = (
    "pictures",
    "version_places",
    "answers",
    "kept_pictures",
    "cases",
    "uploads",
    "changes",
    "files",
    "features",
    "caches",
    "exports",
    "reports",
)
"""What a receipt counts, in its order."""
LONGEST_PATIENT = 100  # letters, as data sets keep them


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """What the store keeps of a patient.

    Attributes
    ----------
    digests
        sha256 of each picture and recording, in hexadecimal.
    items
        Of data sets, by the id of the set.
    answers
        Ids of the history's answers, with the suffix of the kept file ("" without).
    cases
        Ids of review cases.
    uploads
        Ids of files on their way.
    joined
        How many of the items are there because they were said to be of the same patient under another id.
    unread
        Archives that are still arriving, of which nobody knows yet what is in them.
    """

    digests: frozenset[str] = frozenset()
    items: Mapping[str, Sequence[str]] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    cases: Sequence[str] = ()
    uploads: Sequence[str] = ()
    joined: int = 0
    unread: int = 0

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.digests or self.items or self.answers or self.cases or self.uploads)

    @property
    def prefixes(self) -> set[bytes]:
        """The digests as cards and evidence shorten them: 8 bytes each."""
        return {bytes.fromhex(d)[:8] for d in self.digests}

    def with_more(self, other: Belongings) -> Belongings:
        """Put two looks together: what a deletion that was interrupted had found, and what is there now."""
        items = {id: sorted({*self.items.get(id, ()), *other.items.get(id, ())}) for id in {*self.items, *other.items}}
        return Belongings(
            digests=self.digests | other.digests,
            items=items,
            answers={**self.answers, **other.answers},
            cases=_merge(self.cases, other.cases),
            uploads=_merge(self.uploads, other.uploads),
            joined=max(self.joined, other.joined),
            unread=other.unread,
        )

    def as_json(self) -> dict[str, Any]:
        """Give all fields, in types that JSON has."""
        return {**asdict(self), "digests": sorted(self.digests)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Belongings:
        """Read what `as_json` gave."""
        return cls(**{**told, "digests": frozenset(told["digests"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaughtVersion:
    """A version of a model that learned from pictures, or was judged by them, that were deleted since.

    Attributes
    ----------
    learned
        How many of them its card knows.
    judged
        How many of the predictions behind its figures were of them, now taken out.
    left
        How many predictions are left.
    """

    name: str
    version: int
    learned: int
    judged: int
    left: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was deleted where. It never holds the patient's id: `patient` is a hash under the store's key.

    Attributes
    ----------
    id
        Of the deletion.
    at
        UTC, ISO 8601, when it was complete; of a preview "".
    counts
        By COUNTED.
    versions
        Versions of data sets in which places are left empty, as "NAME@NUMBER".
    models
        That learned from what is gone. Their weights stay as they are: train them anew.
    stopped
        Jobs that would have trained on it.
    joined, unread
        As Belongings has them.
    resumed
        Whether a deletion was interrupted and went on later.
    """

    id: str
    patient: str
    at: str
    by: str
    counts: Mapping[str, int]
    versions: Sequence[str] = ()
    models: Sequence[TaughtVersion] = ()
    stopped: Sequence[str] = ()
    joined: int = 0
    unread: int = 0
    resumed: bool = False

    def as_json(self) -> dict[str, Any]:
        """Give all fields, in types that JSON has."""
        told = asdict(self)
        return {**told, "versions": list(self.versions), "models": list(told["models"]), "stopped": list(self.stopped)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Receipt:
        """Read what `as_json` gave."""
        models = tuple(TaughtVersion(**entry) for entry in told.get("models", ()))
        lists = {name: tuple(told.get(name, ())) for name in ("versions", "stopped")}
        return cls(**{**told, **lists, "models": models})


def add_counts(*told: Mapping[str, int]) -> dict[str, int]:
    """Add counts up, all of COUNTED."""
    return {name: sum(one.get(name, 0) for one in told) for name in COUNTED}


def _merge(one: Iterable[str], other: Iterable[str]) -> list[str]:
    return sorted({*one, *other})
