"""Take a version of a data set away as a zip archive: a table as training reads it, COCO, or tasks of Label Studio."""

from __future__ import annotations

import csv
import io
import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medloupe.errors import StorageError
from medloupe.imaging.sizes import read_size
from medloupe.store.dataset_nouns import DatasetItem
from medloupe.store.datasets import TABLE, Datasets
from medloupe.utils.csvcells import escape_formula

FORMS = ("table", "coco", "label-studio")


def write_export(sets: Datasets, id: str, number: int, form: str) -> Path:
    """Write an archive of a version, which the caller removes.

    Parameters
    ----------
    sets, id, number
        The version.
    form
        One of FORMS.

    Raises
    ------
    UnknownError
        There is no such version.
    StorageError
        The disk is full.
    """
    items = [item for item in sets.version_items(id, number) if not item.left_out]
    labels = [c.name for v in sets.versions(id) if v.number == number for c in v.classes]
    places = {item.id: f"images/{item.id}{Path(item.file).suffix.lower()[:8]}" for item in items}
    try:
        folder = sets.home / "datasets" / "exports"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".zip", delete=False) as made:
            path = Path(made.name)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:  # pictures hardly pack
            for item in items:
                out.write(sets.path(item), places[item.id])
            for name, text in _describe(sets, items, places, labels, form).items():
                out.writestr(name, text)
    except OSError as e:
        raise StorageError(
            f"The archive cannot be written: {e.strerror or e}.", "Free some disk space on the server."
        ) from e
    return path


def _describe(
    sets: Datasets, items: Sequence[DatasetItem], places: dict[str, str], labels: Sequence[str], form: str
) -> dict[str, str]:
    """Give the files beside the pictures, by name."""
    if form == "coco":
        return {"instances.json": json.dumps(_coco(sets, items, places, labels))}
    if form == "label-studio":
        return {"tasks.json": json.dumps([_task(item, places[item.id]) for item in items])}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", "label", "patient", "site", "split", "name"])
    for item in items:
        told = (item.label, item.patient, item.site, item.split, item.file)
        writer.writerow([places[item.id], *(escape_formula(text or "") for text in told)])
    return {TABLE: out.getvalue()}


def _coco(
    sets: Datasets, items: Sequence[DatasetItem], places: dict[str, str], labels: Sequence[str]
) -> dict[str, Any]:
    """Describe boxes as COCO; the class of a picture stands beside its name, as COCO has no place for it."""
    categories = {name: k for k, name in enumerate(labels, 1)}
    images: list[dict[str, Any]] = []
    marks: list[dict[str, Any]] = []
    for k, item in enumerate(items, 1):
        size = read_size(sets.path(item))
        width, height = size.upright if size else (0, 0)
        images.append({"id": k, "file_name": places[item.id], "width": width, "height": height, "label": item.label})
        for box in item.boxes or ():
            numbers = [float(box[name]) for name in ("x", "y", "width", "height")]
            marks.append(
                {
                    "id": len(marks) + 1,
                    "image_id": k,
                    "category_id": categories.get(str(box["label"]), 0),
                    "bbox": numbers,
                    "area": numbers[2] * numbers[3],
                    "iscrowd": 0,
                }
            )
    told = [{"id": k, "name": name} for name, k in categories.items()]
    return {"images": images, "annotations": marks, "categories": told}


def _task(item: DatasetItem, place: str) -> dict[str, Any]:
    """Describe a picture as a task of Label Studio, its class as a choice."""
    chosen = {"from_name": "class", "to_name": "image", "type": "choices", "value": {"choices": [item.label]}}
    data = {"image": place, "file": item.file, "patient": item.patient, "site": item.site}
    return {"data": data, "annotations": [{"result": [chosen] if item.label is not None else []}]}
