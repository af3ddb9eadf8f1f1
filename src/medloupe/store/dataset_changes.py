"""Change what is said of the pictures of a data set: leave out, relabel, join, assign; all logged, all undoable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from medloupe.errors import StoreError, UnknownError
from medloupe.store.database import transaction
from medloupe.store.dataset_items import DatasetItems, add_change, find_dataset
from medloupe.store.dataset_nouns import (
    SEVERAL_TASKS,
    DatasetChange,
    DatasetClass,
    StoredDataset,
    check_boxes,
    check_classes,
    check_labels,
    read_change_row,
    read_classes,
    read_dataset_row,
)
from medloupe.store.tables import DatasetChangeRow, DatasetItemRow, DatasetRow

ACTIONS = ("add", "leave_out", "bring_back", "relabel", "join", "assign", "annotate", "classes", "erase", "undo")
FIELDS = ("label", "labels", "patient", "site", "split", "left_out", "boxes")
"""What can be changed of a picture."""
MOST_CHANGED = 20_000
_LONGEST = 100  # letters of a patient or site


class DatasetChanges(DatasetItems):
    """Data sets whose pictures can be corrected."""

    def change(
        self,
        id: str,
        action: str,
        values: Mapping[str, Mapping[str, Any]],
        *,
        by: str = "local",
        why: Mapping[str, Any] | None = None,
    ) -> DatasetChange:
        """Change fields of pictures, as one change that can be undone.

        Parameters
        ----------
        id
            Of the data set.
        action
            One of ACTIONS that changes pictures.
        values
            New values of FIELDS, by the id of the picture; of findings that `labels` leaves out stays what was told.
        by
            Who does so.
        why
            What else the log is to say, as JSON.

        Raises
        ------
        UnknownError
            There is no such data set or picture.
        StoreError
            A value cannot be one, or nothing would change.
        """
        if action not in ACTIONS[1:-2]:
            raise StoreError(f"Pictures cannot be changed by {action!r}.", f"There are {', '.join(ACTIONS[1:-2])}.")
        if len(values) > MOST_CHANGED:
            raise StoreError(f"{len(values):,} pictures at once are too many.", f"Change {MOST_CHANGED:,} at most.")
        with transaction(self.engine, write=True) as session:
            data = find_dataset(session, id, lock=True)
            rows = _find_items(session, data, list(values))
            changed: dict[str, Any] = {}
            for row in rows:
                told = {name: _check(data, row, name, value) for name, value in values[row.id].items()}
                before = {name: getattr(row, name) for name in told}
                if told != before:
                    changed[row.id] = {"before": before, "after": told}
                    for name, value in told.items():
                        setattr(row, name, value)
            if not changed:
                raise StoreError("Nothing would change.", "It stands so already: load the page again.")
            return read_change_row(add_change(session, data, action, {"items": changed, **(why or {})}, by=by))

    def leave_out(self, id: str, items: Sequence[str], *, by: str = "local", why: str = "") -> DatasetChange:
        """Leave pictures out of all that follows; raises as `change`."""
        return self.change(id, "leave_out", {item: {"left_out": True} for item in items}, by=by, why=_why(why))

    def bring_back(self, id: str, items: Sequence[str], *, by: str = "local") -> DatasetChange:
        """Bring pictures back that were left out; raises as `change`."""
        return self.change(id, "bring_back", {item: {"left_out": False} for item in items}, by=by)

    def relabel(
        self, id: str, items: Sequence[str], label: str | None, *, by: str = "local", why: str = ""
    ) -> DatasetChange:
        """Give pictures another class, or none; raises as `change`."""
        return self.change(id, "relabel", {item: {"label": label} for item in items}, by=by, why=_why(why))

    def tell_findings(
        self,
        id: str,
        items: Sequence[str],
        found: Sequence[str] | None,
        *,
        among: Sequence[str] | None = None,
        by: str = "local",
        why: str = "",
    ) -> DatasetChange:
        """Say which findings pictures have.

        Parameters
        ----------
        id, items
            The data set, and its pictures.
        found
            Those that are there, maybe none; None where nobody is to have looked.
        among
            Those that were looked for: of the others stays what was told. All of the data set where left out.
        by, why
            Who says so, and what else the log is to say.

        Raises
        ------
        UnknownError, StoreError
            As `change`.
        """
        data = self.get(id)
        if not data.several:
            raise StoreError(f"A picture of {data.name} has one class.", "Relabel it.")
        asked = data.labels if among is None else among
        if unknown := [name for name in found or () if name not in asked]:
            raise StoreError(
                f"There is no class {unknown[0][:60]!r}; there are {', '.join(data.labels)}.", "Add the class first."
            )
        said = None if found is None else {name: int(name in found) for name in asked}
        return self.change(id, "relabel", {item: {"labels": said} for item in items}, by=by, why=_why(why))

    def join(self, id: str, groups: Sequence[Sequence[str]], *, by: str = "local", why: str = "") -> DatasetChange:
        """Say of each group of pictures that they are of one patient, so that nothing ever parts them.

        A group takes the patient that its pictures have; of several the others are renamed everywhere, so that what
        was together stays so.

        Raises
        ------
        UnknownError, StoreError
            As `change`.
        """
        every = self.items(id, left_out=True)
        patient_of = {item.id: item.patient for item in every}
        for group in groups:
            if missing := [item for item in group if item not in patient_of]:
                raise UnknownError(f"The data set has no picture {missing[0][:40]!r}.")
            known = sorted({p for item in group if (p := patient_of[item]) is not None})
            name = known[0] if known else f"joined-{min(group)[:12]}"
            for item, patient in patient_of.items():
                if item in group or patient in known:
                    patient_of[item] = name
        values = {item.id: {"patient": p} for item in every if (p := patient_of[item.id]) != item.patient}
        return self.change(id, "join", values, by=by, why=_why(why))

    def set_classes(
        self, id: str, classes: Sequence[DatasetClass], *, ordered: bool | None = None, by: str = "local"
    ) -> StoredDataset:
        """Change the classes and their roles; a class that pictures have cannot go.

        Raises
        ------
        UnknownError
            There is no such data set.
        StoreError
            The classes make no sense, or one that is used is missing.
        """
        return self.edit_classes(id, lambda _: classes, ordered=ordered, by=by)

    def edit_classes(
        self,
        id: str,
        edit: Callable[[Sequence[DatasetClass]], Sequence[DatasetClass]],
        *,
        ordered: bool | None = None,
        by: str = "local",
    ) -> StoredDataset:
        """Change the classes as they stand at that moment, so that of two who do so neither is lost.

        Parameters
        ----------
        id
            Of the data set.
        edit
            Makes the new classes of the present ones.
        ordered, by
            As `set_classes` has them; raises as it does.
        """
        with transaction(self.engine, write=True) as session:
            data = find_dataset(session, id, lock=True)
            grades = data.ordered if ordered is None else ordered
            told = check_classes(edit(read_classes(data.classes)), several=data.task in SEVERAL_TASKS, ordered=grades)
            names = {c["name"] for c in told}
            if lost := sorted(_used_labels(session, data) - names):
                raise StoreError(f"Pictures have the class {lost[0]!r}.", "Relabel them first, or keep it.")
            before = {"classes": data.classes, "ordered": data.ordered}
            after = {"classes": told, "ordered": grades}
            if before != after:
                data.classes, data.ordered = after["classes"], after["ordered"]
                add_change(session, data, "classes", {"before": before, "after": after}, by=by)
            return read_dataset_row(data)

    def changes(self, id: str, most: int = 200) -> list[DatasetChange]:
        """List what was done to a data set, the newest first. Raises UnknownError."""
        with transaction(self.engine) as session:
            data = find_dataset(session, id)
            wanted = select(DatasetChangeRow).where(DatasetChangeRow.dataset_id == data.id)
            rows = session.scalars(wanted.order_by(DatasetChangeRow.number.desc()).limit(most))
            return [read_change_row(row) for row in rows]

    def revision(self, id: str) -> str:
        """Tell which state a data set is in: another text after whatever is done to its pictures or classes.

        Pictures that come in one go are one change, so that its count belongs to it. Raises UnknownError.
        """
        with transaction(self.engine) as session:
            data = find_dataset(session, id)
            own = (DatasetChangeRow.dataset_id == data.id, DatasetChangeRow.number == data.changes)
            detail = session.scalars(select(DatasetChangeRow.detail).where(*own)).first() or {}
            return f"{data.changes}.{detail.get('count', 0)}"

    def undo(self, id: str, number: int, *, by: str = "local") -> DatasetChange:
        """Take a change back; of pictures that were brought: leave them out again.

        Returns
        -------
        DatasetChange
            The change that this is.

        Raises
        ------
        UnknownError
            There is no such change.
        StoreError
            It was undone already, cannot be, or what it changed was changed again since.
        """
        with transaction(self.engine, write=True) as session:
            data = find_dataset(session, id, lock=True)
            wanted = select(DatasetChangeRow).where(
                DatasetChangeRow.dataset_id == data.id, DatasetChangeRow.number == number
            )
            row = session.scalars(wanted).first()
            if row is None:
                raise UnknownError(f"The data set {data.name} has no change {number}.")
            if row.undone or row.action in ("erase", "undo"):
                raise StoreError(f"Change {number} cannot be undone (again).", "Make it anew instead.")
            undone = {"undoes": number, "action": row.action}
            if row.action == "classes":
                _put_classes_back(session, data, row)
            elif row.action == "add":
                items = session.scalars(
                    select(DatasetItemRow).where(
                        DatasetItemRow.dataset_id == data.id,
                        DatasetItemRow.added == number,
                        DatasetItemRow.left_out.is_(False),
                    )
                )
                for item in items:
                    item.left_out = True
            else:
                _put_back(_find_items(session, data, list(row.detail["items"])), row)
            row.undone = True
            return read_change_row(add_change(session, data, "undo", undone, by=by))


def _put_back(items: Sequence[DatasetItemRow], row: DatasetChangeRow) -> None:
    for item in items:
        told = row.detail["items"][item.id]
        if any(getattr(item, name) != value for name, value in told["after"].items()):
            raise StoreError(
                f"{item.file} was changed again since change {row.number}.", "Undo the later change first."
            )
        for name, value in told["before"].items():
            setattr(item, name, value)


def _put_classes_back(session: Any, data: DatasetRow, row: DatasetChangeRow) -> None:
    before, after = row.detail["before"], row.detail["after"]
    if {"classes": data.classes, "ordered": data.ordered} != after:
        raise StoreError(f"The classes were changed again since change {row.number}.", "Undo the later change first.")
    if lost := sorted(_used_labels(session, data) - {c["name"] for c in before["classes"]}):
        raise StoreError(f"Pictures have the class {lost[0]!r} by now.", "Relabel them first.")
    data.classes, data.ordered = before["classes"], before["ordered"]


def _used_labels(session: Any, data: DatasetRow) -> set[str]:
    """List the classes that pictures have, or boxes on them."""
    own = DatasetItemRow.dataset_id == data.id
    if data.task in SEVERAL_TASKS:
        told = session.scalars(select(DatasetItemRow.labels).where(own))
        return {name for labels in told for name, value in (labels or {}).items() if value}
    if data.task != "detection":
        return set(session.scalars(select(DatasetItemRow.label).where(own).distinct())) - {None}
    drawn = session.scalars(select(DatasetItemRow.boxes).where(own))
    return {str(box["label"]) for boxes in drawn for box in boxes or ()}


def _find_items(session: Any, data: DatasetRow, ids: Sequence[str]) -> list[DatasetItemRow]:
    found: list[DatasetItemRow] = []
    for at in range(0, len(ids), 500):  # SQLite takes so many values at once
        part = ids[at : at + 500]
        wanted = select(DatasetItemRow).where(DatasetItemRow.dataset_id == data.id, DatasetItemRow.id.in_(part))
        found += session.scalars(wanted)
    if len(found) != len(set(ids)):
        missing = sorted(set(ids) - {row.id for row in found})
        raise UnknownError(f"The data set {data.name} has no picture {missing[0][:40]!r}.")
    return found


def _check(data: DatasetRow, row: DatasetItemRow, name: str, value: Any) -> Any:
    """Check a new value of a field. Raises StoreError."""
    if name not in FIELDS:
        raise StoreError(f"{name!r} of a picture cannot be changed.", f"There are {', '.join(FIELDS)}.")
    fine = True
    labels = [c["name"] for c in data.classes]
    if name in ("label", "labels") and value is not None and (name == "labels") != (data.task in SEVERAL_TASKS):
        raise StoreError(
            f"A picture of {data.name} has {'several findings' if name == 'label' else 'one class'}.",
            "Tell `labels`." if name == "label" else "Tell `label`.",
        )
    if name == "labels":
        return None if value is None else {**(row.labels or {}), **check_labels(value, labels)}
    if name == "label":
        if value is not None and value not in labels:
            raise StoreError(f"There is no class {value!r}; there are {', '.join(labels)}.", "Add the class first.")
    elif name in ("patient", "site"):
        fine = value is None or (isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable())
    elif name == "split":
        fine = value in (None, "train", "val", "test")
    elif name == "left_out":
        fine = isinstance(value, bool)
    elif name == "boxes":
        return None if value is None else check_boxes(value, labels)
    if not fine:
        raise StoreError(f"{value!r} cannot be the {name} of a picture.")
    return value


def _why(text: str) -> dict[str, str]:
    return {"why": text} if text else {}
