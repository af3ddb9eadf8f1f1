"""Write boxes as COCO: a data set's as instances, a model's as results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medloupe.data.records import Box, Dataset, Record
from medloupe.imaging.picture import image_from_array
from medloupe.imaging.sizes import read_size
from medloupe.utils.files import write_atomically

ScoredBox = tuple[Box, float]


def describe_coco(data: Dataset, records: Sequence[Record] | None = None) -> dict[str, Any]:
    """Describe the boxes of a data set as a COCO document of instances.

    Images of which nothing is stated are left out, since an image without annotations is a negative to every reader.
    A label that is not stated on an image with boxes becomes a region of the whole image with iscrowd, which judges
    ignore.

    Parameters
    ----------
    data : Dataset
        A set to find. Ids of images are their places among all its records, counted from 1, so that results fit.
    records : sequence of Record, optional
        Some of its records, such as those of one split; all unless told.
    """
    categories = {name: k for k, name in enumerate(data.labels, 1)}
    wanted = {record.id for record in (data.records if records is None else records)}
    images, marks = [], []
    for k, record in enumerate(data.records, 1):
        if record.id not in wanted or not record.labels:
            continue
        width, height = picture_size(record)
        images.append({"id": k, "file_name": record.id, "width": width, "height": height})
        for box in record.boxes:
            marks.append(_mark(len(marks) + 1, k, categories[box.label], (box.x, box.y, box.width, box.height)))
        for name in data.labels:
            if name not in record.labels:
                marks.append(_mark(len(marks) + 1, k, categories[name], (0, 0, width, height), crowd=1))
    return {
        "images": images,
        "annotations": marks,
        "categories": [{"id": k, "name": name} for name, k in categories.items()],
    }


def write_coco(data: Dataset, folder: Path) -> list[Path]:
    """Write the boxes of a data set: instances.json, or instances_train.json, … where it has splits.

    Parameters
    ----------
    data : Dataset
        A set to find.
    folder : Path
        Where to; beside the images, or with them told by --table, it is read back the same.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    OSError
        Where they cannot be written.
    """
    splits = list(dict.fromkeys(record.split for record in data.records if record.labels))
    paths = []
    for split in splits:
        path = folder / (f"instances_{split}.json" if split else "instances.json")
        some = [record for record in data.records if record.split == split]
        write_atomically(path, json.dumps(describe_coco(data, some), ensure_ascii=False).encode())
        paths.append(path)
    return paths


def describe_coco_results(data: Dataset, found: Mapping[str, Sequence[ScoredBox]]) -> list[dict[str, Any]]:
    """Describe what a model found as COCO results, with the ids of `describe_coco`.

    Parameters
    ----------
    data : Dataset
        The set whose images were looked at.
    found : Mapping
        Boxes in pixels of the upright image with their scores, by the record's id.
    """
    categories = {name: k for k, name in enumerate(data.labels, 1)}
    return [
        {
            "image_id": k,
            "category_id": categories[box.label],
            "bbox": [box.x, box.y, box.width, box.height],
            "score": score,
        }
        for k, record in enumerate(data.records, 1)
        for box, score in found.get(record.id, ())
    ]


def write_coco_results(data: Dataset, found: Mapping[str, Sequence[ScoredBox]], path: Path) -> None:
    """Write what a model found as COCO results. As `describe_coco_results`."""
    write_atomically(path, json.dumps(describe_coco_results(data, found)).encode())


def picture_size(record: Record) -> tuple[int, int]:
    """Return width and height of a record's upright picture; 0, 0 where it cannot be read."""
    held = record.picture
    if isinstance(held, Path):
        size = read_size(held)
        return size.upright if size else (0, 0)
    return image_from_array(held).size


def _mark(
    number: int, image: int, category: int, numbers: tuple[float, float, float, float], crowd: int = 0
) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": list(numbers),
        "area": numbers[2] * numbers[3],
        "iscrowd": crowd,
    }
