"""Write boxes as a table: file, label, x, y, w, h."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from medloupe.data.records import Dataset
from medloupe.data.writers.coco import ScoredBox, picture_size
from medloupe.utils.files import write_atomically

_COLUMNS = ("file", "label", "x", "y", "w", "h", "image_width", "image_height")


def write_box_table(data: Dataset, path: Path) -> None:
    """Write the boxes of a data set as CSV, which is read back the same.

    An image that shows nothing has one row with a blank label and box; a label that is not stated on an image has a
    row with a blank box, and with such rows the table is read as one to find when that is told (task "detection").
    Images of which nothing is stated are left out.

    Raises
    ------
    OSError
        Where it cannot be written.
    """
    rows: list[Sequence[object]] = [(*_COLUMNS, "split")]
    for record in data.records:
        if not record.labels:
            continue
        size, split = picture_size(record), record.split or ""
        drawn = [(b.label, b.x, b.y, b.width, b.height) for b in record.boxes]
        missing = [(name, "", "", "", "") for name in data.labels if name not in record.labels]
        none = [("", "", "", "", "")] if not drawn and not missing else []
        rows += [(record.id, *cells, *size, split) for cells in (*drawn, *missing, *none)]
    _write(rows, path)


def write_found_table(data: Dataset, found: Mapping[str, Sequence[ScoredBox]], path: Path) -> None:
    """Write what a model found as CSV: the columns of `write_box_table` and the score.

    Parameters
    ----------
    data : Dataset
        The set whose images were looked at.
    found : Mapping
        Boxes in pixels of the upright image with their scores, by the record's id.
    path : Path
        Where to.

    Raises
    ------
    OSError
        Where it cannot be written.
    """
    rows: list[Sequence[object]] = [(*_COLUMNS, "score")]
    for record in data.records:
        size = picture_size(record)
        held = found.get(record.id, ())
        rows += [(record.id, b.label, b.x, b.y, b.width, b.height, *size, score) for b, score in held]
        rows += [] if held else [(record.id, "", "", "", "", "", *size, "")]
    _write(rows, path)


def _write(rows: Sequence[Sequence[object]], path: Path) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_atomically(path, text.getvalue().encode())
