"""Write the boxes that a detector found as CSV or COCO JSON, as data sets have them, so that they can be read again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from medloupe.model.boxes import FoundBox
from medloupe.model.prediction import Prediction
from medloupe.utils.csvcells import escape_cell

COLUMNS = ("file", "label", "x", "y", "w", "h", "score")
_DIGITS = 3  # of a pixel


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureBoxes:
    """The boxes of one picture.

    Attributes
    ----------
    file : str
        What it is called.
    width, height : int
        Of the picture as given, in pixels.
    boxes : sequence of FoundBox
        In its pixels.
    """

    file: str
    width: int
    height: int
    boxes: Sequence[FoundBox]


def marked_boxes(prediction: Prediction) -> PictureBoxes | None:
    """Take the boxes of an answer that are at or over the line of their label; None of a model that finds none."""
    if prediction.boxes is None:
        return None
    lines = prediction.lines or {}
    width, height = prediction.size or (0, 0)
    marked = [box for box in prediction.boxes if box.score >= lines.get(box.label, 2.0)]
    return PictureBoxes(file=prediction.file, width=width, height=height, boxes=marked)


def write_boxes_csv(pictures: Iterable[PictureBoxes]) -> str:
    """Write boxes as a table, one a line: file, label, x, y, w, h in pixels from the top left corner, score.

    The text of boxes.csv as medloupe.read takes it. Pictures without boxes have no line.
    """
    lines = [",".join(COLUMNS)]
    for picture in pictures:
        for box in picture.boxes:
            sides = (f"{side:.{_DIGITS}f}" for side in (box.x, box.y, box.width, box.height))
            lines.append(",".join((escape_cell(picture.file), escape_cell(box.label), *sides, f"{box.score:.4f}")))
    return "".join(line + "\r\n" for line in lines)


def write_coco(pictures: Iterable[PictureBoxes], labels: Sequence[str], about: str) -> str:
    """Write boxes as COCO JSON: images, also those without boxes, categories, and annotations with a score.

    Parameters
    ----------
    pictures
        With their boxes.
    labels
        All that the model knows, in its order.
    about
        What found them.
    """
    number = {name: k for k, name in enumerate(labels, 1)}
    images: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for i, picture in enumerate(pictures, 1):
        images.append({"id": i, "file_name": picture.file, "width": picture.width, "height": picture.height})
        for box in picture.boxes:
            sides = [round(float(side), _DIGITS) for side in (box.x, box.y, box.width, box.height)]
            found.append(
                {
                    "id": len(found) + 1,
                    "image_id": i,
                    "category_id": number.setdefault(box.label, len(number) + 1),
                    "bbox": sides,
                    "area": round(sides[2] * sides[3], _DIGITS),
                    "iscrowd": 0,
                    "score": round(float(box.score), 4),
                }
            )
    whole = {
        "info": {"description": about},
        "images": images,
        "annotations": found,
        "categories": [{"id": k, "name": name} for name, k in number.items()],
    }
    return json.dumps(whole, ensure_ascii=False)
