"""Read Label Studio's JSON: tasks with results in percent of the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medloupe.data.readers.annotations.base import (
    OBJECT,
    Annotations,
    MarkedPicture,
    box_around,
    parse_number,
    parts_below,
    split_of_path,
)
from medloupe.data.records import Box
from medloupe.errors import DataError

KIND = "Label Studio"
_LABELS = ("rectanglelabels", "polygonlabels", "ellipselabels", "labels")
_SHAPES = frozenset({"rectanglelabels", "rectangle", "polygonlabels", "polygon", "ellipselabels", "ellipse"})
_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".dcm", ".dicom", ".heic", ".avif")


@dataclass(slots=True)
class _Counts:
    """What was passed over: tasks that nobody annotated, tasks of several annotators, results that are no places."""

    undone: int = 0
    several: int = 0
    others: dict[str, int] = field(default_factory=dict)


def is_label_studio(document: Any) -> bool:
    """Tell whether a parsed document is an export: tasks (or one) of data and annotations."""
    tasks = document if isinstance(document, list) else [document]
    return bool(tasks) and all(
        isinstance(task, Mapping)
        and isinstance(task.get("data"), Mapping)
        and isinstance(task.get("annotations", task.get("completions")), list)
        for task in tasks[:20]
    )


def read_label_studio(documents: Sequence[tuple[Path, Any]], root: Path) -> Annotations:
    """Read the documents of a set.

    Raises
    ------
    DataError
        For brush strokes, and results without their numbers.
    """
    counts = _Counts()
    pictures = []
    for path, document in documents:
        tasks = document if isinstance(document, list) else [document]
        split = split_of_path(parts_below(path, root))
        for at, task in enumerate(tasks):
            where = f"{path}, task {task.get('id', at)}" if isinstance(task, Mapping) else f"{path}, task {at}"
            if not isinstance(task, Mapping) or not isinstance(task.get("data"), Mapping):
                raise DataError(f"{where}: a task with `data` is expected.", "Export it again as JSON.")
            name = _name_picture(task, where)
            results = _choose_results(task, counts)
            if results is None:
                continue
            size, boxes = None, []
            for result in results:
                box, declared = _read_result(result, where, counts)
                size = size or declared
                boxes += [box] if box is not None else []
            pictures.append(
                MarkedPicture(name=name, source=path, boxes=tuple(boxes), size=size, relative=True, split=split)
            )
    notes = [f"{counts.undone} tasks were not annotated."] if counts.undone else []
    if counts.several:
        notes.append(f"{counts.several} pictures have several annotations; the last one of each counts.")
    notes += [f"{n} results of the type {kind} are no places and are left out." for kind, n in counts.others.items()]
    return Annotations(
        kind=KIND,
        pictures=pictures,
        labels=(),
        sources=tuple(path for path, _ in documents),
        notes=tuple(notes),
        negatives="submit its task without regions",
    )


def _name_picture(task: Mapping[str, Any], where: str) -> str:
    """Find the picture's file among a task's data, without the number that an upload puts before it."""
    data = task["data"]
    texts = [value for value in data.values() if isinstance(value, str) and value.strip()]
    preferred = [data[key] for key in ("image", "img", "file", "path") if isinstance(data.get(key), str)]
    named = [t for t in (*preferred, *texts) if t.split("?d=")[-1].split("?")[0].lower().endswith(_SUFFIXES)]
    local = [text for text in texts if "?d=" in text]
    found = next(iter((*named, *preferred, *local)), "")
    if not found:
        raise DataError(f"{where}: its data names no picture: {str(dict(data))[:80]}.", "Export it again as JSON.")
    if "?d=" in found:  # /data/local-files/?d=folder/x.png
        found = found.split("?d=", 1)[1]
    found = found.split("?")[0].replace("%20", " ")
    folder, _, name = found.rpartition("/")
    front, dash, rest = name.partition("-")
    hexadecimal = len(front) == 8 and all(c in "0123456789abcdef" for c in front)
    return rest if "/upload/" in f"{folder}/" and dash and hexadecimal else found.removeprefix("file://")


def _choose_results(task: Mapping[str, Any], counts: _Counts) -> Sequence[Any] | None:
    """Choose the annotation that counts: the last that was not cancelled; None where nobody annotated the task."""
    held = task.get("annotations", task.get("completions")) or []
    done = [a for a in held if isinstance(a, Mapping) and not (a.get("was_cancelled") or a.get("skipped"))]
    if not done:
        counts.undone += 1
        return None
    counts.several += len(done) > 1
    results = done[-1].get("result")
    return results if isinstance(results, list) else []


def _read_result(result: Any, where: str, counts: _Counts) -> tuple[Box | None, tuple[int, int] | None]:
    """Read a result: its box in shares of the picture, and the size that it declares."""
    value = result.get("value") if isinstance(result, Mapping) else None
    if not isinstance(value, Mapping):
        return None, None
    kind = str(result.get("type", "")).lower()
    if kind in ("brushlabels", "brush") or "rle" in value:
        raise DataError(
            f"{where}: strokes of a brush are not read, as their form is Label Studio's own.",
            "Export the project as COCO, or as PNG masks into masks/ beside the pictures.",
        )
    if kind not in _SHAPES:
        counts.others[kind] = counts.others.get(kind, 0) + 1
        return None, None
    try:
        size = int(result["original_width"]), int(result["original_height"])
    except (KeyError, TypeError, ValueError, OverflowError):
        size = None
    size = size if size and min(size) > 0 else None
    names = next((value[key] for key in _LABELS if isinstance(value.get(key), list) and value[key]), [OBJECT])
    return _read_place(str(names[0]), value, size, where), size


def _read_place(label: str, value: Mapping[str, Any], size: tuple[int, int] | None, where: str) -> Box:
    if "points" in value:
        points = value["points"]
        if (
            not isinstance(points, list)
            or len(points) < 3
            or not all(isinstance(p, list) and len(p) == 2 for p in points)
        ):
            raise DataError(f"{where}: a polygon of at least three points [x, y] is expected.", "Correct or remove it.")
        shares = [[parse_number(v, "a percentage", where) / 100 for v in p] for p in points]
        return box_around(label, [x for x, _ in shares], [y for _, y in shares])
    if "radiusX" in value:
        names = ("x", "y", "radiusX", "radiusY")
        x, y, rx, ry = (parse_number(value.get(n), f"{n} in percent", where) / 100 for n in names)
        return Box(label, x - rx, y - ry, 2 * rx, 2 * ry)
    names = ("x", "y", "width", "height")
    x, y, width, height = (parse_number(value.get(n), f"{n} in percent", where) / 100 for n in names)
    turned = parse_number(value.get("rotation", 0), "rotation in degrees", where)
    if not turned:
        return Box(label, x, y, width, height)
    if size is None:
        raise DataError(f"{where}: a turned box needs original_width and original_height.", "Export it again.")
    # About its top left corner, in pixels: shares of the two sides are not alike.
    cos, sin = math.cos(math.radians(turned)), math.sin(math.radians(turned))
    w, h = width * size[0], height * size[1]
    corners = [(0.0, 0.0), (w * cos, w * sin), (-h * sin, h * cos), (w * cos - h * sin, w * sin + h * cos)]
    return box_around(label, [x + u / size[0] for u, _ in corners], [y + v / size[1] for _, v in corners])
