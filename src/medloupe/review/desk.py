"""Take pictures into review, and what readers agree on into data sets; the part of a running server that does it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi import Request
from sqlalchemy import select

from medloupe.data.modalities import ECGS, PICTURES
from medloupe.ecg.recording_files import Source, join_bytes
from medloupe.erasure.eraser import Eraser
from medloupe.errors import MedloupeError, StoreError, UnknownError
from medloupe.model.decision import WITHHELD
from medloupe.review.agreement import ReaderAgreement, measure_agreement
from medloupe.review.recordings import keep_ecg, tells_beats
from medloupe.review.tasks import is_placed, name_task
from medloupe.serving.engine import ecg_storage
from medloupe.serving.engine.service import Service
from medloupe.serving.http.errors import HttpError
from medloupe.store.database import transaction
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.datasets import Datasets
from medloupe.store.review_nouns import SETTLED, ReviewCase
from medloupe.store.review_queue import ReviewQueue
from medloupe.store.tables import (
    DatasetItemRow,
    DatasetVersionItemRow,
    DatasetVersionRow,
    FrozenTestItemRow,
)

if TYPE_CHECKING:
    from medloupe.accounts.person import Person
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.engine.entries import Entry

_KEPT = ("state", "prediction", "flagged", "probabilities", "boxes", "lines")
_SIDE = 32  # pixels of the decoding that only asks for the picture's size


class ReviewDesk:
    """The review queue of a running server.

    Parameters
    ----------
    service
        The running server.
    double
        Whether each case needs two readers from the beginning.
    """

    def __init__(self, service: Service, *, double: bool = False):
        self.service, self.double = service, double
        self.queue = ReviewQueue(service.engine, service.store.home)
        self.sets = Datasets(service.engine, service.store.home)

    def take(
        self, entry: Entry, data: Source | None, basis: str, person: Person, *, patient: str | None = None
    ) -> ReviewCase:
        """Take an answer with its picture or ECG into review.

        Parameters
        ----------
        entry
            The answer.
        data
            The picture's file, or the files of the ECG; None where the server keeps it.
        basis
            Why it may be kept, as the person confirms.
        patient
            Whose it is, where the person says so.

        Raises
        ------
        HttpError
            409 for an answer that cannot be reviewed, 422 for another picture than was answered, or none.
        ImageError
            The picture cannot be read.
        StoreError, StorageError
            As `ReviewQueue.add`.
        """
        if entry.state == WITHHELD:
            raise HttpError(409, "pilot", "The answer is not shown yet: a pilot runs.", "Give its reference first.")
        digest = self.service.journal.digest(entry.id, person)
        if data is None and entry.kept and (found := self.service.journal.image(entry.id, person)) is not None:
            data = ecg_storage.unpack(found[0].name, found[0].read_bytes())
        if not entry.model:
            raise HttpError(409, "not_reviewed", "Only answers of a check-up are reviewed.", "")
        if tells_beats(entry.answer):
            raise HttpError(
                409,
                "not_reviewed",
                f"{entry.model} tells single beats, and of a recording it is reviewed what it shows as a whole.",
                "",
            )
        if data is None:
            raise HttpError(422, "no_image", "The picture is not here.", "Send it along once more.")
        if hashlib.sha256(join_bytes(data)).hexdigest() != digest:
            raise HttpError(422, "other_image", "This is not the picture that was answered.", "Choose the same file.")
        checkup = self.checkup(entry.model, entry.version)
        if checkup is None:
            raise HttpError(409, "not_reviewed", f"{entry.model} is not here any more.", "")
        ecg = ECGS.name == checkup.modality
        if not ecg and (checkup.modality != PICTURES.name or not isinstance(data, bytes)):
            raise HttpError(409, "not_reviewed", "Only answers to pictures and ECGs are reviewed.", "")
        answer = {name: entry.answer[name] for name in _KEPT if name in entry.answer}
        if isinstance(data, bytes) and not ecg:
            size = self.service.decoders.decode(data, _SIDE).given_size
        else:
            data, size = keep_ecg(data, entry.answer["ecg"], self.service.parsers)
            answer["ecg"] = {name: value for name, value in entry.answer["ecg"].items() if name != "told"}
        said = {"right": entry.right, "labels": list(entry.labels)} if entry.commented else None
        return self.queue.add(
            data,
            prediction_id=entry.id,
            model=entry.model,
            version=entry.version,
            task=name_task(checkup),
            labels=checkup.answered_labels,
            answer=answer,
            said=said,
            size=size,
            basis=basis,
            patient=patient,
            wanted=2 if self.double else 1,
            by=person.name,
        )

    def checkup(self, name: str, version: int | None) -> CheckUp | None:
        """Find the check-up that answered, or the one that answers under its name now; None where there is none."""
        for wanted in (version, None):
            try:
                return self.service.catalog.get(name, wanted)
            except MedloupeError:
                continue
        return None

    def read(
        self,
        id: str,
        person: Person,
        *,
        verdict: str,
        labels: Sequence[str] = (),
        boxes: Sequence[Mapping[str, Any]] | None = None,
    ) -> ReviewCase:
        """Keep what a reader says; what is settled by it goes into its data set. Raises as `give_opinion`."""
        case = self.queue.give_opinion(id, person.name, verdict=verdict, labels=labels, boxes=boxes)
        return self.place(case, by=person.name) if case.state == SETTLED else case

    def place(self, case: ReviewCase, *, by: str) -> ReviewCase:
        """Bring a settled case into the data set of its model's name, to train on; say why where that cannot be.

        A picture that lies in the test part of the set, or of a version of it, stays what it is there. One that the set
        has already gets the label that was agreed on.
        """
        if case.state != SETTLED or case.item is not None or case.outcome is None:
            return case
        dataset, item, why = None, None, ""
        try:
            data = self.sets.get(case.model)
        except UnknownError:
            why = "no_dataset"
        else:
            dataset = data.id
            labels = tuple(case.outcome["labels"])
            if data.task != case.task:
                why = "other_task"
            elif not set(labels) <= set(data.labels):
                why = "no_class"
            elif self._is_tested(dataset, case.digest):
                why = "in_test"
            else:
                item = self._bring(dataset, case, labels, by)
        self.queue.place(case.id, dataset=dataset if item else None, item=item, why=why)
        return self.queue.get(case.id)

    def place_all(self, *, by: str) -> int:
        """Bring all settled cases that wait into their data sets, where there are such now; how many came in."""
        waiting = [case for case in self.queue.list(SETTLED, most=10_000) if case.item is None]
        return sum(self.place(case, by=by).item is not None for case in waiting)

    def begin(self, model: str, *, by: str) -> None:
        """Bring what is settled of a check-up into the data set of its name, begun with its classes if need be.

        Raises
        ------
        UnknownError
            There is no such check-up.
        StoreError
            Its classes cannot be those of a data set.
        """
        if any(data.name == model for data in self.sets.list()):
            self.place_all(by=by)
            return
        checkup = self.checkup(model, None)
        if checkup is None:
            raise UnknownError(f"There is no check-up {model!r}.")
        if not is_placed(checkup):
            raise StoreError(
                "Data sets hold classes or findings of pictures or ECGs, or boxes.", "Export the cases by the API."
            )
        roles = checkup.decision.roles
        classes = [DatasetClass(name=name, role=roles.of(name)) for name in checkup.answered_labels]
        self.sets.create(model, task=name_task(checkup), classes=classes, ordered=roles.ordered, by=by)
        self.place_all(by=by)

    def withdraw(self, id: str, *, by: str) -> None:
        """Withdraw a picture by the id of its case or answer; from its data set, too. Raises UnknownError."""
        before = self.queue.withdraw(id, by=by)
        if before.dataset and before.item:
            try:
                if self.sets.item(before.dataset, before.item).origin.get("case") == before.id:
                    Eraser(self.service.store).erase_items(before.dataset, [before.item], by=by)
            except UnknownError:  # gone before
                pass

    def measure_agreement(self, model: str | None = None) -> ReaderAgreement:
        """Measure how far first and second readers agree, of all cases (of one check-up), as agreement.py does."""
        return measure_agreement([c for c in self.queue.list(most=100_000) if model in (None, c.model)])

    def _is_tested(self, dataset: str, digest: str) -> bool:
        """Whether a picture lies in the test part of a data set or of a version of it, or in its frozen test."""
        own = select(DatasetItemRow.id).where(
            DatasetItemRow.dataset_id == dataset, DatasetItemRow.digest == digest, DatasetItemRow.split == "test"
        )
        frozen = (
            select(DatasetVersionItemRow.id)
            .join(DatasetVersionRow, DatasetVersionItemRow.version_id == DatasetVersionRow.id)
            .where(
                DatasetVersionRow.dataset_id == dataset,
                DatasetVersionItemRow.digest == digest,
                DatasetVersionItemRow.split == "test",
            )
        )
        kept = select(FrozenTestItemRow.id).where(
            FrozenTestItemRow.dataset_id == dataset, FrozenTestItemRow.digest == digest
        )
        with transaction(self.service.engine) as session:
            return any(session.scalars(wanted.limit(1)).first() is not None for wanted in (own, frozen, kept))

    def _bring(self, dataset: str, case: ReviewCase, labels: tuple[str, ...], by: str) -> str:
        """Bring a case in, or correct the picture that is there; give the item's id."""
        label = labels[0] if labels and case.task in ("multiclass", "ecg") else None
        there = next((item for item in self.sets.items(dataset) if item.digest == case.digest), None)
        assert case.outcome is not None
        if there is not None and case.task == "detection":
            drawn = [dict(box) for box in case.outcome["boxes"]]
            if [dict(box) for box in there.boxes or ()] != drawn or there.boxes is None:
                why = {"why": f"review {case.id}"}
                self.sets.change(dataset, "annotate", {there.id: {"boxes": drawn}}, by=by, why=why)
            return there.id
        several: dict[str, int] | None = None
        if case.several:
            known = self.sets.get(dataset).labels
            several = {name: int(name in labels) for name in case.labels if name in known}
        if there is not None and several is not None:
            if several.items() - (there.labels or {}).items():
                why = f"review {case.id}"
                self.sets.tell_findings(dataset, [there.id], labels, among=list(several), by=by, why=why)
            return there.id
        if there is not None:
            if there.label != label:
                self.sets.relabel(dataset, [there.id], label, by=by, why=f"review {case.id}")
            return there.id
        data = self.queue.picture(case)
        origin = {
            "source": "review",
            "case": case.id,
            "model": case.model,
            "version": case.version,
            "readers": [opinion.reader for opinion in case.opinions],
            "basis": case.basis,
            "basis_by": case.basis_by,
            "basis_at": case.basis_at,
        }
        new = NewItem(
            key=f"review-{case.id}",
            data=data,
            file=f"review/{case.id}{f'.{ecg_storage.guess_suffix(data)}' if case.ecg else _suffix(data)}",
            label=label,
            labels=several,
            patient=case.patient,
            split="train",
            boxes=case.outcome["boxes"] if case.task == "detection" else None,
            origin=origin,
        )
        return self.sets.add(dataset, [new], by=by, batch="review")[0].id


def desk_of(request: Request) -> ReviewDesk:
    """Return the review queue of the running server.

    Raises
    ------
    HttpError
        404 where the operator has not turned review on.
    """
    desk = getattr(request.app.state, "review", None)
    if desk is None:
        raise HttpError(404, "not_found", "Review is not turned on.", "medloupe serve --review single")
    return desk


def hide_opinions(case: ReviewCase, reader: str) -> ReviewCase:
    """Leave out what others said of an open case that the reader has not read, so that nobody is led."""
    if case.state != "open" or case.read_by(reader):
        return case
    return replace(case, opinions=())


def _suffix(data: bytes) -> str:
    for start, suffix in ((b"\x89PNG", ".png"), (b"\xff\xd8", ".jpg"), (b"II*", ".tif"), (b"MM\0*", ".tif")):
        if data.startswith(start):
            return suffix
    return ".dcm" if data[128:132] == b"DICM" else ".img"
