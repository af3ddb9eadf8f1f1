"""Train a data set: a version of it, and the job that trains it, each made once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from medloupe.errors import StoreError, UnknownError
from medloupe.retrain.roles import choose_roles, find_taught
from medloupe.store.database import transaction
from medloupe.store.dataset_nouns import DatasetClass, DatasetItem, DatasetVersion, StoredDataset
from medloupe.store.datasets import Datasets
from medloupe.store.jobrows import RUNNING, WAITING, QueuedJob
from medloupe.store.queue import JobQueue, add_within
from medloupe.studio.auditor import name_data

LEAST = 2  # independent cases of a class


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetTraining:
    """A training of a version of a data set. made: the version of the model that came of it, or None."""

    version: DatasetVersion
    job: QueuedJob

    @property
    def made(self) -> int | None:
        """The version of the model, once there is one."""
        number = (self.job.result or {}).get("version")
        return int(number) if isinstance(number, int) else None

    @property
    def open(self) -> bool:
        """Whether it waits or runs."""
        return self.job.state in (WAITING, RUNNING)


def start_training(sets: Datasets, queue: JobQueue, id: str, *, by: str) -> DatasetTraining:
    """Freeze a data set and put its training at the end of the queue; one that is under way is given as it is.

    Raises
    ------
    UnknownError
        There is no such data set.
    StoreError
        It cannot be learned from: fewer than two classes (or no finding), or a class with fewer than LEAST cases.
    """
    found = find_training(sets, queue, id)
    if found is not None and found.open:
        return found
    data, items = sets.get(id), sets.items(id)
    if why := find_obstacle(data, items):
        raise StoreError(f"{why}, so there is nothing to learn from.", f"At least {LEAST} cases a class.")
    version = sets.freeze(id, by=by)
    table = sets.version_folder(id, version.number)
    learned = find_taught(version.classes, items) if data.several else list(count_cases(data, items))
    arguments = [*name_data(table, data, learned), "--name", data.name, "--held"]
    if data.kind:
        arguments += ["--kind", data.kind]
    arguments += tell_roles([c for c in version.classes if c.name in learned], ordered=version.ordered)
    with transaction(sets.engine, write=True) as session:
        again = sets.freeze_within(session, id, by=by)  # locks the data set: of two who ask, one adds the job
        if again.number != version.number:
            raise StoreError("The data set was changed at this moment.", "Look at it, then train again.")
        if again.job != version.job and again.job is not None:
            return DatasetTraining(version=again, job=queue.get(again.job))
        job = add_within(session, "train", arguments, folder=str(sets.home), by=by)
        return DatasetTraining(version=sets.freeze_within(session, id, by=by, job=job.id), job=job)


def find_obstacle(data: StoredDataset, items: Sequence[DatasetItem]) -> str:
    """Say why a data set cannot be learned from; "" where it can be."""
    cases = count_cases(data, items)
    small = sorted(name for name, seen in cases.items() if len(seen) < LEAST)
    if small:
        return f"The class {small[0]!r} has one case"
    if data.several:
        if usual := sorted(name for name in cases if _count_absent(name, items) < LEAST):
            return f"Fewer than {LEAST} cases are told to be without {usual[0]!r}"
        return "" if cases else "No finding is told"
    if len(cases) < (1 if data.boxed else 2):
        return "No box is drawn" if data.boxed else f"There are fewer than two classes with {data.things}"
    return ""


def _count_absent(name: str, items: Iterable[DatasetItem]) -> int:
    """Count the independent cases that were told to be without a finding."""
    return len({item.patient or item.digest for item in items if (item.labels or {}).get(name) == 0})


def count_cases(data: StoredDataset, items: Iterable[DatasetItem]) -> dict[str, set[str]]:
    """List the independent cases of each class that has any: patients, or pictures that nobody is told of."""
    cases: dict[str, set[str]] = {}
    for item in items:
        own = item.shown_labels if data.boxed else item.found if data.several else (item.label,)
        for name in own:
            if name is not None:
                cases.setdefault(name, set()).add(item.patient or item.digest)
    return cases


def tell_roles(classes: Sequence[DatasetClass], *, ordered: bool) -> list[str]:
    """Write the roles of classes as options of `medloupe train`."""
    told = choose_roles(classes, ordered=ordered)
    options = ["--ordered"] if told.ordered else []
    for role in ("sought", "normal", "harmless"):
        names = getattr(told, role)
        options += [f"--{role}", ",".join(names)] if names else []
    return options


def find_training(sets: Datasets, queue: JobQueue, id: str) -> DatasetTraining | None:
    """Find the training that was asked for last; None where none was, or its job was forgotten. Raises UnknownError."""
    trainings = list_trainings(sets, queue, id)
    return max(trainings, key=lambda t: t.job.created) if trainings else None


def list_trainings(sets: Datasets, queue: JobQueue, id: str) -> list[DatasetTraining]:
    """List the trainings of a data set, the newest version first. Raises UnknownError."""
    found: list[DatasetTraining] = []
    for version in sets.versions(id):
        if version.job is not None:
            jobs: Any = _find_job(queue, version.job)
            found += [DatasetTraining(version=version, job=jobs)] if jobs is not None else []
    return found


def _find_job(queue: JobQueue, id: str) -> QueuedJob | None:
    try:
        return queue.get(id)
    except UnknownError:
        return None
