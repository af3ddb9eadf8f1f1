"""Read LabelMe: one JSON for each picture, with shapes of points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
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

KIND = "LabelMe"
_FEWEST_POINTS = {"rectangle": 2, "circle": 2, "polygon": 3, "mask": 2}
_NO_AREA = frozenset({"point", "points", "line", "linestrip"})


def is_labelme(document: Any) -> bool:
    """Tell whether a parsed document is that of one picture."""
    return (
        isinstance(document, Mapping)
        and isinstance(document.get("shapes"), list)
        and ("imagePath" in document or "imageHeight" in document)
    )


def read_labelme(documents: Sequence[tuple[Path, Mapping[str, Any]]], root: Path) -> Annotations:
    """Read the documents of a set.

    Raises
    ------
    DataError
        For shapes without a label or with too few points.
    """
    left_out: Counter[str] = Counter()
    pictures = []
    for path, document in documents:
        boxes = []
        for at, shape in enumerate(document["shapes"]):
            box = _read_shape(shape, f"{path}, shapes[{at}]", left_out)
            if box is not None:
                boxes.append(box)
        flat = [s for s in document["shapes"] if isinstance(s, Mapping) and s.get("shape_type") in _NO_AREA]
        pictures.append(
            MarkedPicture(
                name=_name_picture(path, document),
                source=path,
                boxes=tuple(boxes),
                size=_read_size(document),
                split=split_of_path(parts_below(path, root)[:-1]),
                unplaced=frozenset(str(s.get("label") or OBJECT) for s in flat),
            )
        )
    notes = [f"{n} shapes of the type {kind} enclose nothing and are left out." for kind, n in sorted(left_out.items())]
    return Annotations(
        kind=KIND,
        pictures=pictures,
        labels=(),
        sources=tuple(path for path, _ in documents),
        notes=tuple(notes),
        negatives='write a JSON for it with "shapes": []',
    )


def _name_picture(path: Path, document: Mapping[str, Any]) -> str:
    name = document.get("imagePath")
    return name if isinstance(name, str) and name else path.stem


def _read_size(document: Mapping[str, Any]) -> tuple[int, int] | None:
    try:
        width, height = int(document["imageWidth"]), int(document["imageHeight"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return (width, height) if width > 0 and height > 0 else None


def _read_shape(shape: Any, where: str, left_out: Counter[str]) -> Box | None:
    kind = shape.get("shape_type") or "polygon" if isinstance(shape, Mapping) else None
    if not isinstance(shape, Mapping) or not isinstance(shape.get("label"), str):
        raise DataError(f"{where}: a shape with a `label` is expected.", "Correct or remove it.")
    label = shape["label"].strip() or OBJECT
    if kind in _NO_AREA:
        left_out[str(kind)] += 1
        return None
    held = shape.get("points")
    points = held if isinstance(held, list) else []
    fewest = _FEWEST_POINTS.get(str(kind), 3)
    if len(points) < fewest or not all(isinstance(p, list) and len(p) == 2 for p in points):
        raise DataError(
            f"{where}: a {kind} of at least {fewest} points [x, y] is expected, and there are"
            f" {len(points)} of that form at most.",
            "Correct or remove it.",
        )
    xs = [parse_number(p[0], "x of a point", where) for p in points]
    ys = [parse_number(p[1], "y of a point", where) for p in points]
    if kind == "circle":  # its centre, and a point on it
        radius = ((xs[1] - xs[0]) ** 2 + (ys[1] - ys[0]) ** 2) ** 0.5
        return Box(label, xs[0] - radius, ys[0] - radius, 2 * radius, 2 * radius)
    return box_around(label, xs, ys)
