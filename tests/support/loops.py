"""A published check-up with its data set, and corrections that come to it as the review queue brings them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import generated
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.datasets import Datasets
from medloupe.store.models import Store
from medloupe.store.queue import JobQueue
from medloupe.store.review_nouns import ReviewCase
from medloupe.store.review_queue import ReviewQueue
from medloupe.store.worker import Worker
from medloupe.studio.training import start_training
from once import once

NAME, LABELS = "marks", ("clear", "spots")


@dataclass(frozen=True)
class Loop:
    """The store under a home with the data set `marks` and its version 1 in production."""

    home: Path

    @property
    def store(self) -> Store:
        return Store(self.home)

    @property
    def sets(self) -> Datasets:
        return Datasets(self.store.engine, self.home)

    @property
    def queue(self) -> JobQueue:
        return JobQueue(self.store.engine)

    @property
    def dataset(self) -> str:
        return self.sets.get(NAME).id

    def work(self) -> None:
        """Do all that waits, each in a process of its own."""
        worker = Worker(self.queue, self.home)
        while worker.run_one():
            pass

    def correct(
        self, first: int, count: int, reader: str = "rea", *, turned: bool = False, version: int = 1
    ) -> list[ReviewCase]:
        """So many new pictures of both classes in turn, answered "clear" with 0.6, and settled by a reader."""
        return [self.correct_one(first + n, n % 2 == 1, reader, turned=turned, version=version) for n in range(count)]

    def correct_one(
        self, number: int, sick: bool, reader: str, *, turned: bool = False, version: int = 1
    ) -> ReviewCase:
        answer = {"prediction": "clear", "probabilities": {"clear": 0.6, "spots": 0.4}}
        label = LABELS[int(sick != turned)]
        return self._settle(
            number, picture(number, sick), reader, answer, [label], size=(64, 64), version=version, label=label
        )

    def _settle(
        self,
        number: int,
        data: bytes,
        reader: str,
        answer: Mapping[str, Any],
        said: Sequence[str],
        *,
        size: tuple[int, int],
        version: int,
        **shown: Any,
    ) -> ReviewCase:
        """A new picture, answered by a version, settled as a reader said, and placed. shown: its label, or labels."""
        queue, sets, data_set = ReviewQueue(self.store.engine, self.home), self.sets, self.sets.get(self.dataset)
        case = queue.add(
            data,
            prediction_id=f"{number:032x}",
            model=data_set.name,
            version=version,
            task=data_set.task,
            labels=data_set.labels,
            answer=answer,
            said=None,
            size=size,
            basis="consent",
            by="local",
        )
        case = queue.give_opinion(case.id, reader, verdict="label", labels=said)
        origin = {"source": "review", "case": case.id}
        new = NewItem(
            key=f"review-{case.id}", data=data, file=f"review/{case.id}.png", split="train", origin=origin, **shown
        )
        item = sets.add(data_set.name, [new], by=reader, batch="review")[0]
        queue.place(case.id, dataset=data_set.id, item=item.id)
        return replace(case, dataset=data_set.id, item=item.id)


def picture(number: int, sick: bool) -> bytes:
    """A PNG, another one for every number."""
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(generated.tissue(number, sick)).save(out, "PNG")
    return out.getvalue()


def make_loop(root: Path, each: int = 24) -> None:
    """Train and publish version 1 of so many pictures a class, of two to a patient."""
    home = root / "home"
    os.environ["MEDLOUPE_HOME"], before = str(home), os.environ.get("MEDLOUPE_HOME")
    try:
        loop = Loop(home)
        roles: Sequence[DatasetClass] = (
            DatasetClass(name="clear", role="normal"),
            DatasetClass(name="spots", role="sought"),
        )
        id = loop.sets.create(NAME, title="Marks", classes=roles).id
        for sick in (False, True):
            items = [
                NewItem(
                    key=f"{sick}-{n}",
                    data=picture(n, sick),
                    file=f"{LABELS[sick]}/{n:03}.png",
                    label=LABELS[sick],
                    patient=f"{LABELS[sick]}-{n // 2}" if n < each // 2 else None,
                )
                for n in range(each)
            ]
            loop.sets.add(id, items, batch="base")
        start_training(loop.sets, loop.queue, id, by="local")
        loop.work()
        loop.store.promote(NAME, 1, actor="local")
    finally:
        if before is None:
            del os.environ["MEDLOUPE_HOME"]
        else:
            os.environ["MEDLOUPE_HOME"] = before


__all__ = ["LABELS", "NAME", "Loop", "make_loop", "once", "picture"]
