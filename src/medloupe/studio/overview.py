"""Look at a data set as a whole: pictures, what is wrong, versions, files on their way, and how far its training is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medloupe.store.dataset_nouns import DatasetChange, DatasetItem, DatasetVersion, StoredDataset
from medloupe.studio.findings import DatasetFinding, read_audit, sort_findings
from medloupe.studio.progress import Far
from medloupe.studio.rows import DatasetRows
from medloupe.studio.state import Studio
from medloupe.studio.training import DatasetTraining, list_trainings
from medloupe.studio.uploads import DatasetUpload


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A data set with all that is known of it.

    Attributes
    ----------
    items
        The pictures that take part.
    left_out
        How many pictures are left out.
    counts
        How many each class has, or boxes of it are on; "" for those without a class, or at which nobody looked.
    changes
        What was done, the newest first.
    audit
        What `medloupe check` said last; audited: whether of the pictures as they stand now; auditing: whether it looks
        now; looked: how far that is.
    uploads
        Files on their way or refused.
    training
        The last one; far: how far it is; waits: whether it waits and nobody is known to work.
    rows
        What the rows alone tell.
    production
        The version of its model that answers, or None.
    tried
        The newest version of the model that came of a training or answers, or None.
    """

    data: StoredDataset
    items: Sequence[DatasetItem]
    left_out: int
    counts: Mapping[str, int]
    changes: Sequence[DatasetChange]
    versions: Sequence[DatasetVersion]
    uploads: Sequence[DatasetUpload]
    audit: Mapping[str, Any]
    audited: bool
    auditing: bool
    looked: tuple[int, int]
    training: DatasetTraining | None
    far: Far | None
    waits: bool
    production: int | None
    tried: int | None
    rows: DatasetRows


def look_at(studio: Studio, id: str) -> Overview:
    """Look at a data set. Raises UnknownError where there is none."""
    data = studio.sets.get(id)
    revision = studio.sets.revision(data.id)
    rows = studio.rows.read(data, revision)
    items = rows.items
    looked = studio.auditor.look(data.id, revision)
    studio.expecting = studio.expecting or bool(items)
    trainings = list_trainings(studio.sets, studio.queue, data.id)
    training = max(trainings, key=lambda t: t.job.created) if trainings else None
    far = None
    waits = False
    if training is not None:
        far = studio.clock.observe(training.job, studio.count_pictures(training))
        if not training.open:
            studio.clock.finish(training.job)
        waits = training.job.state == "waiting" and not studio.somebody_works
    known = {v.version: v.production for v in studio.service.store.list() if v.name == data.name}
    production = next((number for number, answers in known.items() if answers), None)
    made = {t.made for t in trainings if t.made is not None and t.made in known}
    newest = max(made if production is None else made | {production}, default=None)
    return Overview(
        data=data,
        items=items,
        left_out=rows.left_out,
        counts=rows.counts,
        changes=studio.sets.changes(data.id, 30),
        versions=studio.sets.versions(data.id),
        uploads=[u for u in studio.uploads.list(data.id) if u.result is None],
        audit=looked.told,
        audited=looked.revision == revision,
        auditing=looked.waiting is not None,
        looked=(looked.done, looked.total) if studio.auditor.at_work == data.id else (0, 0),
        training=training,
        far=far,
        waits=waits,
        production=production,
        tried=newest,
        rows=rows,
    )


def find_all(seen: Overview) -> list[DatasetFinding]:
    """List all that is wrong with a data set, the most serious first."""
    return sort_findings([*seen.rows.findings, *read_audit(seen.audit, seen.rows.by_id)])
