"""Note a deletion in a file before it begins, so that one that is interrupted can be gone on with.

The files are home/erasures/ID.json, for the owner's eyes only, and gone with the deletion's end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medloupe.erasure.nouns import Belongings, TaughtVersion
from medloupe.errors import StorageError
from medloupe.utils.files import exclusive_lock, sync_folder, write_atomically

LOCK_SECONDS = 60.0
"""How long to wait for whoever deletes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A deletion under way.

    Attributes
    ----------
    patient
        Whose id, until it is complete; None of single pictures of a data set, and where nobody knows more than a hash.
    hashed
        The patient's keyed hash, where nothing else is known of the id.
    """

    id: str
    by: str
    patient: str | None
    found: Belongings
    models: tuple[TaughtVersion, ...] = ()
    versions: tuple[tuple[str, str, int], ...] = ()
    stopped: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    resumed: bool = False
    hashed: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Give all fields, in types that JSON has."""
        return {**asdict(self), "found": self.found.as_json()}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Order:
        """Read what `as_json` gave."""
        models = tuple(TaughtVersion(**entry) for entry in told["models"])
        versions = tuple((str(a), str(b), int(c)) for a, b, c in told["versions"])
        found = Belongings.from_json(told["found"])
        return cls(
            **{**told, "found": found, "models": models, "versions": versions, "stopped": tuple(told["stopped"])}
        )


class OrderFiles:
    """The deletions under way of one store; home: its folder."""

    def __init__(self, home: Path):
        self._folder = home / "erasures"

    def alone(self, seconds: float = LOCK_SECONDS) -> AbstractContextManager[None]:
        """Be the only one who deletes. Raises BusyError where another is at work for longer."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return exclusive_lock(self._folder / "lock", seconds)

    def list(self) -> list[Path]:
        """List the files, the oldest first."""
        return sorted(self._folder.glob("*.json"), key=lambda p: (p.stat().st_mtime_ns, p.name))

    def read(self, path: Path) -> Order:
        """Read a deletion. Raises OSError, ValueError."""
        return Order.from_json(json.loads(path.read_text("utf-8")))

    def write(self, order: Order) -> None:
        """Note how far a deletion is. Raises StorageError."""
        path = self._path(order)
        try:
            write_atomically(path, json.dumps(order.as_json()).encode())
            path.chmod(0o600)
        except OSError as e:
            raise StorageError(
                f"The deletion cannot be noted: {e.strerror or e}.", "Free some disk space, and try again."
            ) from e

    def remove(self, order: Order) -> None:
        """Note that a deletion is complete. Raises OSError."""
        self._path(order).unlink(missing_ok=True)
        sync_folder(self._folder)

    def remove_halves(self) -> None:
        """Remove notes that a process was killed while writing: nothing of these deletions was done. Raises OSError."""
        for half in self.list_halves():
            half.unlink(missing_ok=True)

    def list_halves(self) -> list[Path]:
        """List notes that are half written."""
        return list(self._folder.glob(".*.json.*"))

    def _path(self, order: Order) -> Path:
        return self._folder / f"{order.id}.json"
