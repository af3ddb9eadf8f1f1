"""Read CVAT's XML for images (version 1.1)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from medloupe.data.readers.annotations.base import (
    OBJECT,
    Annotations,
    MarkedPicture,
    box_around,
    box_from_corners,
    parse_number,
    parts_below,
    split_of_path,
)
from medloupe.data.readers.annotations.documents import iterate_xml
from medloupe.data.readers.base import parse_split
from medloupe.data.records import Box
from medloupe.errors import DataError

KIND = "CVAT"
_NO_AREA = frozenset({"points", "polyline", "skeleton", "cuboid"})
_CORNERS = ("xtl", "ytl", "xbr", "ybr")


def read_cvat(paths: Sequence[Path], root: Path) -> Annotations:
    """Read the XML files of a set.

    Raises
    ------
    DataError
        For tracks of videos, shapes without their numbers, and broken XML.
    """
    pictures: list[MarkedPicture] = []
    labels: dict[str, None] = {}
    left_out: Counter[str] = Counter()
    for path in paths:
        split = split_of_path(parts_below(path, root))
        for element in iterate_xml(path):
            if element.tag == "track":
                raise DataError(
                    f"{path} holds tracks of a video, whose frames are no files.",
                    "Export the task from CVAT as “CVAT for images 1.1” with the images saved.",
                )
            if element.tag == "meta":
                names = ((entry.findtext("name") or "").strip() for entry in element.iter("label"))
                labels |= dict.fromkeys(filter(None, names))
            if element.tag != "image":
                continue
            name = element.get("name")
            if not name:
                raise DataError(f"{path}: an <image> has no name.", "Export it again.")
            part = parse_split(element.get("subset") or "") or split
            pictures.append(
                MarkedPicture(
                    name=name,
                    source=path,
                    boxes=tuple(_read_shapes(element, f"{path}, image {name}", left_out)),
                    size=_read_size(element),
                    split=part,
                )
            )
    notes = [f"{n} shapes of the type {kind} enclose nothing and are left out." for kind, n in sorted(left_out.items())]
    return Annotations(
        kind=KIND,
        pictures=pictures,
        labels=tuple(labels),
        sources=tuple(paths),
        notes=tuple(notes),
        negatives="keep its <image> without shapes",
    )


def _read_size(element: Element) -> tuple[int, int] | None:
    try:
        width, height = int(element.get("width", "")), int(element.get("height", ""))
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


def _read_shapes(image: Element, where: str, left_out: Counter[str]) -> list[Box]:
    boxes = []
    for shape in image:
        label = (shape.get("label") or "").strip() or OBJECT
        if shape.tag == "box":
            corners = [parse_number(shape.get(name), f"{name} of a box", where) for name in _CORNERS]
            box = box_from_corners(label, corners)
            turned = shape.get("rotation")
            boxes.append(_turn(box, parse_number(turned, "rotation of a box", where)) if turned else box)
        elif shape.tag == "polygon":
            boxes.append(box_around(label, *_read_points(shape.get("points"), where)))
        elif shape.tag == "ellipse":
            cx, cy, rx, ry = (parse_number(shape.get(n), f"{n} of an ellipse", where) for n in ("cx", "cy", "rx", "ry"))
            boxes.append(Box(label, cx - rx, cy - ry, 2 * rx, 2 * ry))
        elif shape.tag == "mask":  # the box that its runs fill
            sides = ("left", "top", "width", "height")
            numbers = [parse_number(shape.get(name), f"{name} of a mask", where) for name in sides]
            boxes.append(Box(label, *numbers))
        elif shape.tag in _NO_AREA:
            left_out[shape.tag] += 1
    return boxes


def _read_points(text: str | None, where: str) -> tuple[list[float], list[float]]:
    points = [point.split(",") for point in (text or "").split(";") if point.strip()]
    if len(points) < 3 or any(len(point) != 2 for point in points):
        raise DataError(
            f"{where}: a polygon has points {str(text)[:40]!r}, but at least three such as 1.5,2;3,4;5,6 are expected.",
            "Correct or remove it.",
        )
    return [parse_number(x, "x of a point", where) for x, _ in points], [
        parse_number(y, "y of a point", where) for _, y in points
    ]


def _turn(box: Box, degrees: float) -> Box:
    """Return the upright box around a box turned about its centre."""
    across, along = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    width = box.width * across + box.height * along
    height = box.width * along + box.height * across
    cx, cy = box.x + box.width / 2, box.y + box.height / 2
    return Box(box.label, cx - width / 2, cy - height / 2, width, height)
