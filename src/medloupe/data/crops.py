"""Crop the pictures of a data set to their boxes: each box an example, or each picture cut to its boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from medloupe.data.contents import digest_image, read_content
from medloupe.data.cropped import CroppedPicture, Cropping
from medloupe.data.modalities import PICTURES
from medloupe.data.records import Box, Dataset, Record
from medloupe.errors import DataError, ImageError, did_you_mean
from medloupe.imaging.crops import MARGIN, MOST_MARGIN

NO_BOX = "no box to crop to"
_USUAL = 0.9  # of the pictures, that have a box of a label that is cropped to without being told
_UNLIKE = 0.2  # difference between two classes in the share that can be cropped, from which on it is told


def crop_dataset(data: Dataset, margin: float = MARGIN, to: str | None = None) -> Dataset:
    """Crop the pictures of a data set to their boxes.

    Where boxes are what is learned (the task detection), each box becomes an example, named by its label; those of one
    picture stay together in splits and folds. Where whole pictures have classes, each is cut to all of its boxes
    together, and keeps its class, its patient and its columns.

    Parameters
    ----------
    data : Dataset
        With boxes.
    margin : float
        Of a box's own side, that is added on each side; 0 to MOST_MARGIN.
    to : str, optional
        Labels of the boxes that are cropped to, joined by commas; where left out all of them, or of pictures with
        classes those that nearly all pictures have.

    Raises
    ------
    DataError
        Where there is nothing to crop to, or whether a picture has a box would give the answer away.
    """
    if not 0 <= margin <= MOST_MARGIN:
        raise DataError(f"A margin of {margin:g} is not between 0 and {MOST_MARGIN:g}.", f"Give for example {MARGIN}.")
    counts = Counter(box.label for record in data.records for box in record.boxes)
    if data.modality != PICTURES.name or not counts:
        raise DataError(
            f"{data.root} holds {len(data):,} {data.things} without boxes: there is nothing to crop to.",
            "Put the annotation of the boxes beside them (docs/boxes.md). Pictures that are crops already are learned"
            " from without --crop, and a model that learned from crops takes them with --cropped.",
        )
    told = _read_labels(to, sorted(counts))
    return _crop_each(data, margin, told) if data.task == "detection" else _crop_pictures(data, margin, told)


def _read_labels(told: str | None, there: Sequence[str]) -> tuple[str, ...]:
    """Read which labels are told; () where none is. Raises DataError for those that no box has."""
    written = (told or "").strip()
    names = [written] if written in there else [name.strip() for name in written.split(",") if name.strip()]
    for name in names:
        if name not in there:
            raise DataError(
                f"No box is called {name!r}; there are boxes of {', '.join(there)}.", did_you_mean(name, there)
            )
    return tuple(dict.fromkeys(names))


def _crop_each(data: Dataset, margin: float, told: tuple[str, ...]) -> Dataset:
    """Make each box an example of its own."""
    labels = tuple(name for name in data.labels if name in told) if told else data.labels
    if len(labels) < 2:
        raise DataError(
            f"The boxes of {data.root} are all of {', '.join(labels)}: cropped to them there is nothing to tell apart.",
            "Tell classes of the pictures in a table or in folders (--task classification --crop), or find the boxes"
            " without --crop.",
        )
    records, flat = [], 0
    same = _find_same_files(data.records)
    for record in data.records:
        boxes = [box for box in record.boxes if box.label in labels]
        for k, box in enumerate(boxes, 1):
            if box.width <= 0 or box.height <= 0:
                flat += 1
                continue
            image = _cut(record, (box,), margin, same)
            called = f"{record.id} box {k}"
            records.append(replace(record, id=called, image=image, labels={box.label: 1}, boxes=()))
    pictures = len({record.source for record in records})
    without = tuple(r.id for r in data.records if not any(box.label in labels for box in r.boxes))
    notes = [
        f"Each of {len(records):,} boxes on {pictures:,} pictures is an example, cropped with a margin of {margin:g} of"
        " its side; those of one picture stay together."
    ]
    if flat:
        notes.append(f"{flat:,} boxes have no width or no height and were left out.")
    return replace(
        data,
        records=tuple(records),
        labels=labels,
        task="multiclass",
        notes=(*data.notes, *notes),
        skipped=_skip(data, without),
        cropped=Cropping(each=True, labels=labels, margin=margin, pictures=pictures),
    )


def _crop_pictures(data: Dataset, margin: float, told: tuple[str, ...]) -> Dataset:
    """Cut each picture to its boxes, and keep what it is said to show."""
    labels = told or _find_usual(data)
    kept = {r.id for r in data.records if set(labels) <= {box.label for box in r.boxes if _has_area(box)}}
    notes = _compare_classes(data, labels, kept)
    same = _find_same_files([r for r in data.records if r.id in kept])
    records = [
        replace(r, image=_cut(r, [box for box in r.boxes if box.label in labels], margin, same), boxes=())
        for r in data.records
        if r.id in kept
    ]
    listed = " and ".join(labels)
    notes.insert(
        0, f"{len(records):,} pictures are cropped to their boxes of {listed}, with a margin of {margin:g} of the side."
    )
    return replace(
        data,
        records=tuple(records),
        notes=(*data.notes, *notes),
        skipped=_skip(data, tuple(r.id for r in data.records if r.id not in kept)),
        cropped=Cropping(each=False, labels=tuple(labels), margin=margin, pictures=len(records)),
    )


def _find_usual(data: Dataset) -> tuple[str, ...]:
    """Find the labels of boxes that nearly all pictures have, and that are no class themselves."""
    classes = {name.casefold() for name in data.labels}
    shares = _shares(data, [r.id for r in data.records])
    found = tuple(n for n, share in shares.items() if share >= _USUAL and n.casefold() not in classes)
    if not found:
        some = ", ".join(f"{name} on {share:.0%}" for name, share in shares.items())
        raise DataError(
            f"No box of {data.root} is on nearly all pictures ({some}), so it is not known what to crop to.",
            "Say which: --crop-to LABEL,…; or let each box be an example of its own: --task detection --crop.",
        )
    return found


def _shares(data: Dataset, ids: Sequence[str]) -> dict[str, float]:
    """Give by label the share of some pictures that have a box of it."""
    some = set(ids)
    chosen = [{box.label for box in r.boxes} for r in data.records if r.id in some]
    names = sorted({name for there in chosen for name in there})
    return {name: sum(name in there for there in chosen) / max(1, len(chosen)) for name in names}


def _compare_classes(data: Dataset, labels: Sequence[str], kept: set[str]) -> list[str]:
    """Compare how many pictures of each class can be cropped. Raises DataError where only some classes have boxes."""
    shares: dict[str, float] = {}
    for name in data.labels:
        own = [r.id for r in data.records if r.labels.get(name) == 1]
        if own:
            shares[name] = sum(i in kept for i in own) / len(own)
    listed = " and ".join(labels)
    lost = [name for name, share in shares.items() if not share]
    if lost:
        raise DataError(
            f"No picture of {', '.join(lost)} has boxes of {listed}: a picture's class would follow from its having"
            " one.",
            "Crop to what all pictures show, such as an organ: --crop-to LABEL,…",
        )
    if max(shares.values(), default=1) - min(shares.values(), default=1) < _UNLIKE:
        return []
    told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return [f"How many pictures have boxes of {listed} differs with what they show ({told}): who drew them knew it?"]


def _cut(record: Record, boxes: Sequence[Box], margin: float, same: Mapping[str, str]) -> CroppedPicture:
    x0, y0 = min(box.x for box in boxes), min(box.y for box in boxes)
    x1, y1 = max(box.x + box.width for box in boxes), max(box.y + box.height for box in boxes)
    picture = record.picture
    return CroppedPicture(
        picture=picture, corners=(x0, y0, x1, y1), margin=margin, source=same.get(record.id, record.id)
    )


def _find_same_files(records: Sequence[Record]) -> dict[str, str]:
    """Find pictures whose files are the same, byte for byte: the id of the first of them, by the ids of the others."""
    first: dict[bytes, str] = {}
    found: dict[str, str] = {}
    for record in records:
        if not record.boxes:
            continue
        try:
            digest = digest_image(read_content(record.picture))
        except ImageError:  # told when it is read to learn from
            continue
        if (known := first.setdefault(digest, record.id)) != record.id:
            found[record.id] = known
    return found


def _has_area(box: Box) -> bool:
    return box.width > 0 and box.height > 0


def _skip(data: Dataset, without: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    return {**data.skipped, NO_BOX: without} if without else data.skipped
