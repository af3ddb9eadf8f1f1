"""Keep a run's results in a folder: its plan, shards of tables, and an entry for each shard that is whole.

    plan.json            model, options and inputs: what every shard was made by
    inputs-….jsonl       the files to score, in their order; named by its content
    answers/*.parquet    answers, one shard for so many inputs
    unreadable/*.parquet files without an answer, with reasons; of a shard that has such
    entries/*.json       what a shard holds, by its sha256; written last, so a shard counts when its entry is there
    manifest.json        all entries, when the run is complete

Every file is written whole or not at all, and none holds a time or a machine: whoever makes a shard makes the same
bytes. Where the folder is, on this machine or in object storage, is told by places.py.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from medloupe.errors import StoreError
from medloupe.scoring.inputs import Item, write_items
from medloupe.scoring.places import ResultPlace
from medloupe.scoring.rows import answer_schema, table_bytes, unreadable_schema
from medloupe.utils.files import sha256_of

PLAN, MANIFEST = "plan.json", "manifest.json"
ANSWERS, UNREADABLE, ENTRIES = "answers", "unreadable", "entries"
_FOLDERS = (ANSWERS, UNREADABLE, ENTRIES)


class ResultFolder:
    """The folder of a run's results.

    Parameters
    ----------
    place : ResultPlace
        Where it is.
    """

    def __init__(self, place: ResultPlace):
        self.place = place

    def prepare(self) -> None:
        """Make the folder. Raises StoreError or RemoteError where it cannot be made."""
        self.place.prepare(_FOLDERS)

    def hold(self) -> AbstractContextManager[Path]:
        """Work on it; gives the folder of this machine in which the list of files lies. Raises BusyError."""
        return self.place.hold()

    def read_plan(self) -> dict[str, Any] | None:
        """Read the plan; None where there is none. Raises StoreError where it cannot be read."""
        return self._read_json(PLAN)

    def make_plan(self, told: Mapping[str, Any], items: Iterable[Item], here: Path) -> dict[str, Any] | None:
        """Write the list of files, then the plan with it; of several who do so at once, one does.

        Parameters
        ----------
        told
            What the plan says beside its list.
        items
            The list.
        here
            The folder that `hold` gave.

        Returns
        -------
        dict or None
            The plan; None where there is nothing in the list, or another program made one.
        """
        begun = here / ".inputs.jsonl"
        count, digest = write_items(begun, items)
        if not count:
            begun.unlink()
            return None
        name = f"inputs-{digest[:16]}.jsonl"
        begun.replace(here / name)
        self.place.send(name, here / name)
        plan = {**told, "inputs": {"file": name, "count": count, "sha256": digest}}
        return plan if self.place.create(PLAN, _json_bytes(plan)) else None

    def bring_items(self, plan: Mapping[str, Any], here: Path) -> Path:
        """Bring the list of files here. Raises StoreError where it is not there, or not the one of the plan."""
        told = plan["inputs"]
        path = here / told["file"]
        if path.is_file() and sha256_of(path) == told["sha256"]:
            return path
        if not self.place.bring(told["file"], path) or sha256_of(path) != told["sha256"]:
            raise StoreError(
                f"{self.place.name}/{told['file']} is not the list that {PLAN} was made by.",
                "Begin anew with another --out.",
            )
        return path

    def write_shard(
        self, number: int, answers: Sequence[Mapping[str, Any]], unreadable: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Write a shard, then its entry, which is given back."""
        entry: dict[str, Any] = {
            "shard": number,
            "files": len(answers) + len(unreadable),
            "states": dict(sorted(Counter(row["state"] for row in answers).items())),
            "answers": self._write_table(f"{ANSWERS}/{number:08d}.parquet", answers, answer_schema()),
            "unreadable": None,
        }
        if unreadable:
            name = f"{UNREADABLE}/{number:08d}.parquet"
            entry["unreadable"] = self._write_table(name, unreadable, unreadable_schema())
        self.place.write(f"{ENTRIES}/{number:08d}.json", _json_bytes(entry))
        return entry

    def read_entries(self, shards: int) -> Iterator[dict[str, Any] | None]:
        """Read the entry of each shard whose files are there as it says; None in place of one that is to be made."""
        return self.place.many(self._read_entry, range(shards))

    def _read_entry(self, number: int) -> dict[str, Any] | None:
        try:
            entry = self._read_json(f"{ENTRIES}/{number:08d}.json")
        except StoreError:
            return None
        if entry is None:
            return None
        tables = (entry["answers"], entry["unreadable"])
        return entry if all(told is None or self.place.holds(told) for told in tables) else None

    def write_manifest(self, plan: Mapping[str, Any], shards: int) -> dict[str, Any]:
        """Write the manifest of a complete run, an entry a line; gives the sums."""
        files = rows = unreadable = 0
        states: Counter[str] = Counter()
        lines: list[str] = []
        for entry in self.place.many(self._require_entry, range(shards)):
            files += entry["files"]
            rows += entry["answers"]["rows"]
            unreadable += entry["unreadable"]["rows"] if entry["unreadable"] else 0
            states.update(entry["states"])
            lines.append(json.dumps(entry, sort_keys=True))
        sums = {"files": files, "answers": rows, "unreadable": unreadable, "states": dict(sorted(states.items()))}
        head = json.dumps({"plan": dict(plan), **sums}, sort_keys=True)
        text = head[:-1] + ', "shards": [\n' + ",\n".join(lines) + "\n]}\n"
        self.place.clean(_FOLDERS)
        self.place.write(MANIFEST, text.encode())
        return sums

    def _require_entry(self, number: int) -> dict[str, Any]:
        entry = self._read_json(f"{ENTRIES}/{number:08d}.json")
        if entry is None:
            raise StoreError(f"{self.place.name} has lost shard {number}.", "Run the same command again.")
        return entry

    def _write_table(self, name: str, rows: Sequence[Mapping[str, Any]], schema: Any) -> dict[str, Any]:
        data = table_bytes(rows, schema)
        self.place.write(name, data)
        return {"file": name, "rows": len(rows), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def _read_json(self, name: str) -> dict[str, Any] | None:
        try:
            data = self.place.read(name)
            return None if data is None else json.loads(data)
        except (OSError, ValueError) as e:
            raise StoreError(
                f"{self.place.name}/{name} cannot be read: {e}.", "Choose another --out to begin anew."
            ) from e


def _json_bytes(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1).encode() + b"\n"
