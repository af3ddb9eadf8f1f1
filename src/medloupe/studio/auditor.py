"""Audit data sets while pictures arrive: by the package's own `medloupe check`, one at a time, in a process of its own.

Embeddings are cached by content, so that each look costs what is new; the training finds them in the cache, too.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medloupe.errors import MedloupeError
from medloupe.jobs.local import LocalProcess
from medloupe.retrain.roles import find_taught
from medloupe.store.dataset_nouns import StoredDataset
from medloupe.store.datasets import TABLE, Datasets
from medloupe.utils.files import write_cache

QUIET_SECONDS = 1.2
"""Without a change after which it looks; while more arrives, it looks after LOUD_SECONDS."""
LOUD_SECONDS = 12.0
MOST_SECONDS = 3600.0
MEMORY = 6 * 2**30
LEAST_ITEMS = 4
log = logging.getLogger("medloupe.studio")


@dataclass(slots=True)
class Looked:
    """What is known of one data set.

    Attributes
    ----------
    revision
        The state of the data set of which the audit told holds; "" before the first.
    told
        What it said, as `medloupe check --json` prints it; or {"error"}.
    seen, since
        The last state that was noticed, and when; waiting: since when there has been something new.
    done, total
        How far the one at work is.
    """

    revision: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)
    seen: str = ""
    since: float = 0.0
    waiting: float | None = None
    done: int = 0
    total: int = 0


class Auditor:
    """Looks at the data sets that somebody works on.

    Parameters
    ----------
    sets
        The data sets.
    """

    def __init__(self, sets: Datasets):
        self._sets = sets
        self._looked: dict[str, Looked] = {}
        self._lock = threading.Lock()
        self._process: LocalProcess | None = None
        self._ending = False
        self.at_work = ""
        """The data set that is being looked at, or ""."""

    def look(self, dataset: str, revision: str) -> Looked:
        """Tell what is known, and notice that somebody works on the data set, which is in this state."""
        with self._lock:
            looked = self._looked.get(dataset)
            if looked is None:
                looked = self._looked[dataset] = self._read(dataset)
            if revision != looked.seen:
                looked.seen, looked.since = revision, time.monotonic()
                if looked.revision != revision and looked.waiting is None:
                    looked.waiting = looked.since
            return looked

    def run_due(self) -> bool:
        """Look at one data set that is due; whether there was one. Blocks as long as it takes."""
        dataset = self._choose()
        if dataset is None or self._ending:
            return False
        looked = self._looked[dataset]
        revision = looked.seen
        self.at_work = dataset
        looked.done = looked.total = 0
        try:
            told = self._check(dataset, looked)
        except MedloupeError as e:
            told = {"error": str(e)}
        except OSError as e:
            told = {"error": e.strerror or str(e)}
        finally:
            self.at_work = ""
        if self._ending:
            return False
        with self._lock:
            looked.revision, looked.told, looked.waiting = revision, told, None
            if looked.seen != revision:
                looked.waiting = time.monotonic()
        with suppress(MedloupeError):  # it is made again
            write_cache(self._path(dataset), json.dumps({"revision": revision, "told": told}).encode())
        return True

    def end(self) -> None:
        """Give up what is at work."""
        self._ending = True
        process = self._process
        if process is not None:
            with suppress(OSError):
                process.kill()

    def forget(self, dataset: str) -> None:
        """Forget a data set that was removed."""
        with self._lock:
            self._looked.pop(dataset, None)
        self._path(dataset).unlink(missing_ok=True)

    def _choose(self) -> str | None:
        now = time.monotonic()
        with self._lock:
            for dataset, looked in self._looked.items():
                if looked.waiting is None:
                    continue
                if now - looked.since >= QUIET_SECONDS or now - looked.waiting >= LOUD_SECONDS:
                    return dataset
        return None

    def _check(self, dataset: str, looked: Looked) -> dict[str, Any]:
        data, items = self._sets.get(dataset), self._sets.items(dataset)
        if data.boxed:
            items = [item for item in items if item.boxes is not None]
            labels = [name for item in items for name in item.shown_labels]
        elif data.several:
            labels = find_taught(data.classes, items)
        else:
            labels = [item.label for item in items if item.label is not None]
        if len(items) < LEAST_ITEMS or len(set(labels)) < (1 if data.boxed or data.several else 2):
            return {}
        folder = self._folder(dataset)
        try:
            findings = data.labels if data.several else None
            self._sets.write_folder(folder, items, boxes=data.boxed, findings=findings)
            command = [sys.executable, "-m", "medloupe", "check", *name_data(folder / TABLE, data, labels)]
            environment = {"MEDLOUPE_HOME": str(self._sets.home)}
            with LocalProcess([*command, "--json"], "audit:0", environment=environment, memory=MEMORY) as process:
                self._process = process
                return self._attend(process, looked)
        finally:
            self._process = None
            shutil.rmtree(folder, ignore_errors=True)

    def _attend(self, process: LocalProcess, looked: Looked) -> dict[str, Any]:
        until = time.monotonic() + MOST_SECONDS
        while process.wait(0.2) is None:
            if (far := process.read_progress()) is not None:
                looked.done, looked.total = int(far["done"]), int(far["total"])
            if time.monotonic() > until or self._ending:
                process.kill()
                return {"error": "It took too long."}
        for line in reversed(process.read_whole_output().splitlines()):
            with suppress(ValueError):
                told = json.loads(line)
                if isinstance(told, dict) and "findings" in told:
                    return told
        said = [line for line in process.read_errors().splitlines() if line.startswith("medloupe: ")]
        log.warning("a data set was not audited", extra={"reason": "; ".join(said)[:500]})
        return {"error": said[-1].removeprefix("medloupe: ") if said else "The look at the pictures failed."}

    def _read(self, dataset: str) -> Looked:
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(self._path(dataset).read_text("utf-8"))
            return Looked(revision=str(kept["revision"]), told=dict(kept["told"]))
        return Looked()

    def _folder(self, dataset: str) -> Path:
        return self._sets.home / "datasets" / "audits" / dataset

    def _path(self, dataset: str) -> Path:
        return self._sets.home / "datasets" / "audits" / f"{dataset}.json"


def name_data(table: Path, data: StoredDataset, learned: Sequence[str] = ()) -> list[str]:
    """Name what `Datasets.write_folder` wrote, by its table, to `medloupe`: where it lies, and which column is what.

    learned: of several findings a picture those that are learned, each a column.
    """
    with table.open(encoding="utf-8") as f:
        names = f.readline().strip().split(",")
    told = {"--image": "file", "--labels": "label", "--patient": "patient", "--split": "split"}
    given = [part for option, name in told.items() if name in names for part in (option, name)]
    if data.several:
        given += ["--labels", ",".join(learned)]
    task = "detection" if data.boxed else "multilabel" if data.several else "classification"
    return [str(table.parent if data.boxed else table), *given, "--task", task]
