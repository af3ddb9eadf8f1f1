"""Keep a run's results in a folder: its plan, shards of tables, and an entry for each shard that is whole.

    plan.json            model, options and inputs: what every shard was made by
    inputs.jsonl         the files to score, in their order
    answers/*.parquet    answers, one shard for so many inputs
    unreadable/*.parquet files without an answer, with reasons; of a shard that has such
    entries/*.json       what a shard holds, by its sha256; written last, so a shard counts when its entry is there
    manifest.json        all entries, when the run is complete

Every file is written whole or not at all, and none holds a time or a machine: whoever makes a shard makes the same
bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medloupe.errors import StoreError
from medloupe.scoring.rows import answer_schema, table_bytes, unreadable_schema
from medloupe.utils.files import write_atomically

PLAN, ITEMS, MANIFEST = "plan.json", "inputs.jsonl", "manifest.json"
ANSWERS, UNREADABLE, ENTRIES = "answers", "unreadable", "entries"


@dataclass(frozen=True, slots=True)
class ResultFolder:
    """The folder of a run's results. path: where it is."""

    path: Path

    def prepare(self) -> None:
        """Make the folder. Raises StoreError where it cannot be made."""
        try:
            for name in (ANSWERS, UNREADABLE, ENTRIES):
                (self.path / name).mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise StoreError(
                f"{self.path} cannot be written: {e.strerror or e}.", "Choose another place with --out."
            ) from e

    def read_plan(self) -> dict[str, Any] | None:
        """Read the plan; None where there is none. Raises StoreError where it cannot be read."""
        return self._read_json(PLAN)

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Write the plan."""
        self._write_json(PLAN, plan)

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
        self._write_json(f"{ENTRIES}/{number:08d}.json", entry)
        return entry

    def read_entry(self, number: int) -> dict[str, Any] | None:
        """Read the entry of a shard whose files are there as it says; None where it is to be made."""
        try:
            entry = self._read_json(f"{ENTRIES}/{number:08d}.json")
        except StoreError:
            return None
        if entry is None:
            return None
        for told in (entry["answers"], entry["unreadable"]):
            if told is not None and self._digest(told["file"]) != told["sha256"]:
                return None
        return entry

    def write_manifest(self, plan: Mapping[str, Any], shards: int) -> dict[str, Any]:
        """Write the manifest of a complete run, an entry a line; gives the sums."""
        files = rows = unreadable = 0
        states: Counter[str] = Counter()
        lines: list[str] = []
        for entry in self._entries(shards):
            files += entry["files"]
            rows += entry["answers"]["rows"]
            unreadable += entry["unreadable"]["rows"] if entry["unreadable"] else 0
            states.update(entry["states"])
            lines.append(json.dumps(entry, sort_keys=True))
        sums = {"files": files, "answers": rows, "unreadable": unreadable, "states": dict(sorted(states.items()))}
        head = json.dumps({"plan": dict(plan), **sums}, sort_keys=True)
        text = head[:-1] + ', "shards": [\n' + ",\n".join(lines) + "\n]}\n"
        for name in (ANSWERS, UNREADABLE, ENTRIES):
            for left in (self.path / name).glob(".*"):  # begun by a process that was killed, and never whole
                left.unlink(missing_ok=True)
        write_atomically(self.path / MANIFEST, text.encode())
        return sums

    def is_complete(self) -> bool:
        """Whether the manifest is there."""
        return (self.path / MANIFEST).is_file()

    def _entries(self, shards: int) -> Iterator[dict[str, Any]]:
        for number in range(shards):
            entry = self._read_json(f"{ENTRIES}/{number:08d}.json")
            if entry is None:
                raise StoreError(f"{self.path} has lost shard {number}.", "Run the same command again.")
            yield entry

    def _write_table(self, name: str, rows: Sequence[Mapping[str, Any]], schema: Any) -> dict[str, Any]:
        data = table_bytes(rows, schema)
        write_atomically(self.path / name, data)
        return {"file": name, "rows": len(rows), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def _digest(self, name: str) -> str:
        with contextlib.suppress(OSError), (self.path / name).open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
        return ""

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        write_atomically(self.path / name, json.dumps(value, sort_keys=True, indent=1).encode() + b"\n")

    def _read_json(self, name: str) -> dict[str, Any] | None:
        path = self.path / name
        try:
            return json.loads(path.read_bytes()) if path.is_file() else None
        except (OSError, ValueError) as e:
            raise StoreError(f"{path} cannot be read: {e}.", "Choose another --out to begin anew.") from e
