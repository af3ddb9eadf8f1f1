"""Read COCO's instances: images, annotations and categories in one JSON, or one for each part of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from medloupe.data.readers.annotations.base import (
    FEWEST,
    Annotations,
    MarkedPicture,
    are_corners,
    box_from_size,
    parse_number,
    parts_below,
    split_of_path,
)
from medloupe.data.readers.annotations.rle import box_of_runs
from medloupe.data.records import Box
from medloupe.errors import DataError

KIND = "COCO"
_MOST = 0.9  # of them, that are corners by their outlines
_CLOSE = 2.0  # pixels


class CocoMark(NamedTuple):
    """One annotation, without its outline, which may be most of a document.

    drawn: the box around the outline, where there is one and no `bbox`. corners: whether the outline shows that `bbox`
    holds corners (True), or width and height (False); None where it shows nothing.
    """

    id: Any
    image: Any
    category: Any
    bbox: Any
    crowd: bool
    drawn: Any
    corners: bool | None
    score: Any


class ListedImage(NamedTuple):
    """One entry of `images`."""

    id: Any
    name: Any
    width: Any
    height: Any


class Runs(NamedTuple):
    """A run-length encoded outline."""

    counts: Any
    size: Any


def slim(found: dict[str, Any]) -> Any:
    """Reduce an object of the JSON to what is needed of it, as soon as it is parsed."""
    if "counts" in found and "size" in found:
        return Runs(found["counts"], found["size"])
    if "image_id" in found and found.keys() & {"bbox", "segmentation", "category_id"}:
        bbox = found.get("bbox")
        bbox = tuple(bbox) if isinstance(bbox, list) and bbox else None if bbox == [] else bbox
        drawn = _outline(found.get("segmentation"))
        corners = _compare(bbox, drawn) if isinstance(drawn, tuple) and not isinstance(drawn, Runs) else None
        return CocoMark(
            _key(found.get("id")),
            _key(found["image_id"]),
            _key(found.get("category_id")),
            bbox,
            found.get("iscrowd") in (1, True, "1"),
            drawn if bbox is None else None,
            corners,
            found.get("score"),
        )
    if "file_name" in found and "id" in found and "segments_info" not in found:
        return ListedImage(_key(found["id"]), found["file_name"], found.get("width"), found.get("height"))
    if isinstance(found.get("imageData"), str):  # LabelMe's copy of the picture
        del found["imageData"]
    if isinstance(found.get("rle"), list):  # Label Studio's brush
        found["rle"] = None
    return found


def _key(value: Any) -> Any:
    return value if isinstance(value, int | str) else str(value)


def _outline(held: Any) -> Any:
    """Find x, y, width and height around polygons; Runs are left for later, None where there is nothing."""
    if isinstance(held, Runs):
        return held
    polygons = [p for p in held if isinstance(p, list) and len(p) >= 4] if isinstance(held, list) else []
    try:
        xs = [f(p[0::2]) for p in polygons for f in (min, max)]
        ys = [f(p[1::2]) for p in polygons for f in (min, max)]
        return (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)) if xs else None
    except TypeError:
        return None


def _compare(bbox: Any, drawn: tuple[float, float, float, float]) -> bool | None:
    """Tell by the outline whether a `bbox` holds corners; None where both or neither fit."""
    try:
        x, y, w, h = bbox
        start = abs(x - drawn[0]) <= _CLOSE and abs(y - drawn[1]) <= _CLOSE
        as_size = abs(w - drawn[2]) <= _CLOSE and abs(h - drawn[3]) <= _CLOSE
        as_corner = abs(w - drawn[0] - drawn[2]) <= _CLOSE and abs(h - drawn[1] - drawn[3]) <= _CLOSE
    except (TypeError, ValueError):
        return None
    return as_corner if start and as_size != as_corner else None


def is_coco(document: Any) -> bool:
    """Tell whether a parsed document is a set of instances."""
    return (
        isinstance(document, Mapping)
        and isinstance(document.get("images"), list)
        and isinstance(document.get("annotations"), list)
        and ("categories" in document or any(isinstance(mark, CocoMark) for mark in document["annotations"][:5]))
        and not any(isinstance(m, Mapping) and "segments_info" in m for m in document["annotations"][:5])
    )


def read_coco(documents: Sequence[tuple[Path, Mapping[str, Any]]], root: Path) -> Annotations:
    """Read documents that are sets of instances, reduced by `slim`.

    Raises
    ------
    DataError
        For a category or image that is not declared, and for boxes that are none.
    """
    pictures: list[MarkedPicture] = []
    labels: dict[str, None] = {}
    crowds = orphans = 0
    for path, document in documents:
        names = _read_categories(path, document)
        labels |= dict.fromkeys(names.values())
        split = split_of_path(parts_below(path, root))
        listed = _read_images(path, document["images"])
        boxes: dict[Any, list[Box]] = {key: [] for key in listed}
        unplaced: dict[Any, set[str]] = {}
        marks = [mark for mark in document["annotations"] if isinstance(mark, CocoMark)]
        _refuse_corners(path, marks, listed)
        for mark in marks:
            where = f"{path}, annotation {mark.id}"
            if mark.category not in names:
                raise DataError(
                    f"{where}: category_id {mark.category!r} is not declared; categories are"
                    f" {', '.join(f'{key} ({name})' for key, name in list(names.items())[:10])}.",
                    "Declare it under categories, or correct the annotation.",
                )
            if mark.image not in listed:
                orphans += 1
                continue
            label = names[mark.category]
            box = None if mark.crowd else _read_box(mark, label, where)
            crowds += mark.crowd
            if box is None:
                unplaced.setdefault(mark.image, set()).add(label)
            else:
                boxes[mark.image].append(box)
        if orphans and orphans == len(marks):
            raise DataError(
                f"{path}: none of the {orphans} annotations names an image that is listed under images.",
                "Export it again, as `image_id` must be the `id` of an image.",
            )
        pictures += [
            MarkedPicture(
                name=str(picture.name),
                source=path,
                boxes=tuple(boxes[key]),
                size=_read_size(picture),
                split=split,
                unplaced=frozenset(unplaced.get(key, ())),
            )
            for key, picture in listed.items()
        ]
    notes = []
    if crowds:
        notes.append(
            f"{crowds} regions of many objects together (iscrowd) are no boxes of single ones: left out."
            " A label that a picture shows in such a region alone is not stated there."
        )
    if orphans:
        notes.append(f"{orphans} annotations are of images that are not listed under images: left out.")
    return Annotations(
        kind=KIND,
        pictures=pictures,
        labels=tuple(labels),
        sources=tuple(path for path, _ in documents),
        notes=tuple(notes),
        negatives="list it under images, without annotations",
    )


def _read_categories(path: Path, document: Mapping[str, Any]) -> dict[Any, str]:
    held = document.get("categories")
    names: dict[Any, str] = {}
    for entry in held if isinstance(held, list) else ():
        if isinstance(entry, Mapping) and "id" in entry and str(entry.get("name", "")).strip():
            names[_key(entry["id"])] = str(entry["name"]).strip()
    if not names and document["annotations"]:
        raise DataError(
            f"{path} declares no categories, so nothing says what its boxes show.",
            'Expected "categories": [{"id": 1, "name": "polyp"}, …].',
        )
    return names


def _read_images(path: Path, images: Sequence[Any]) -> dict[Any, ListedImage]:
    listed: dict[Any, ListedImage] = {}
    for at, picture in enumerate(images):
        if not isinstance(picture, ListedImage) or not isinstance(picture.name, str) or not picture.name:
            raise DataError(f"{path}, images[{at}]: `id` and `file_name` are expected.", "Export it again.")
        if picture.id in listed and listed[picture.id] != picture:
            raise DataError(
                f"{path}: the images {listed[picture.id].name} and {picture.name} have the same id {picture.id}.",
                "Every image needs an id of its own; where files were merged, number the images anew.",
            )
        listed[picture.id] = picture
    return listed


def _read_size(picture: ListedImage) -> tuple[int, int] | None:
    try:
        width, height = int(picture.width), int(picture.height)
    except (TypeError, ValueError, OverflowError):
        return None
    return (width, height) if width > 0 and height > 0 else None


def _read_box(mark: CocoMark, label: str, where: str) -> Box | None:
    """Read the box of one annotation, by its outline where it has no `bbox`; None where it has neither."""
    numbers = mark.bbox
    if numbers is None and isinstance(mark.drawn, Runs):
        numbers = box_of_runs(mark.drawn.counts, mark.drawn.size, where)
    elif numbers is None:
        numbers = mark.drawn
    if numbers is None:
        return None
    if not isinstance(numbers, tuple) or len(numbers) != 4:
        raise DataError(
            f"{where}: bbox is {str(mark.bbox)[:60]}, but four numbers x, y, width, height are expected.",
            "Correct or remove it.",
        )
    parsed = [parse_number(value, "a number of bbox (pixels)", where) for value in numbers]
    return box_from_size(label, parsed, where)


def _refuse_corners(path: Path, marks: Sequence[CocoMark], listed: Mapping[Any, ListedImage]) -> None:
    """Raise DataError where `bbox` is proven to hold corners: by outlines, or as boxes leave their pictures."""
    told = [mark.corners for mark in marks if mark.corners is not None]
    proven = len(told) >= FEWEST and sum(told) >= _MOST * len(told)
    if not told:
        fitting = []
        for mark in marks:
            size = _read_size(listed[mark.image]) if mark.image in listed else None
            if size is not None and isinstance(mark.bbox, tuple) and len(mark.bbox) == 4:
                fitting.append((mark.bbox, size))
        proven = are_corners(fitting)
    if proven:
        raise DataError(
            f"{path}: the numbers of bbox are corners (x0, y0, x1, y1), but COCO's are x, y, width, height.",
            "Write x1 - x0 and y1 - y0 as the third and fourth number.",
        )
