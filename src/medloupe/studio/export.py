"""Take a version of a data set away as a zip archive: a table as training reads it, COCO, Label Studio, or CVAT."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from medloupe.errors import StorageError, StoreError
from medloupe.imaging.sizes import read_size
from medloupe.store.dataset_nouns import DatasetItem, StoredDataset
from medloupe.store.datasets import BOX_HEAD, BOXES, TABLE, Datasets, list_box_rows, list_cells, write_csv
from medloupe.utils.csvcells import escape_formula

FORMS = ("table", "coco", "label-studio", "cvat")
FINDINGS = "findings.json"
"""Beside the table: which of its columns are findings, of a data set of several a picture."""
NONE = "No finding"
"""What CVAT calls a picture that was told to have no finding, since one without tags was not looked at."""
_LOCAL = "/data/local-files/?d="  # how Label Studio names a file in its folder for local files


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
    StoreError
        ECGs are to be written as pictures.
    StorageError
        The disk is full.
    """
    data = sets.get(id)
    if data.ecgs and form != "table":
        raise StoreError(f"ECGs have no form {form!r}.", "Take them away as a folder with a table.")
    items = [item for item in sets.version_items(id, number) if not item.left_out]
    if data.boxed and form != "label-studio":  # the others would say of those that nothing is there
        items = [item for item in items if item.boxes is not None]
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
            for name, text in _describe(sets, data, items, places, labels, form).items():
                out.writestr(name, text)
    except OSError as e:
        raise StorageError(
            f"The archive cannot be written: {e.strerror or e}.", "Free some disk space on the server."
        ) from e
    return path


def _describe(
    sets: Datasets,
    data: StoredDataset,
    items: Sequence[DatasetItem],
    places: dict[str, str],
    labels: Sequence[str],
    form: str,
) -> dict[str, str]:
    """Give the files beside the pictures, by name."""
    boxed = data.boxed
    if form == "coco":
        return {"instances.json": json.dumps(_coco(sets, items, places, labels))}
    if form == "label-studio":
        findings = labels if data.several else ()
        tasks = [_task(sets, item, places[item.id], findings) for item in items]
        return {"tasks.json": json.dumps(tasks), "labelling.xml": _labelling(labels, several=data.several)}
    if form == "cvat":
        return {"annotations.xml": _cvat(sets, items, places, labels, several=data.several)}
    findings = labels if data.several else None
    head = [] if boxed else ["label"] if findings is None else findings
    rows = [["file", *head, "patient", "site", "split", "name"]]
    for item in items:
        told = [*([] if boxed else list_cells(item, findings)), item.patient, item.site, item.split, item.file]
        rows.append([places[item.id], *(escape_formula(text or "") for text in told)])
    drawn = [row for item in items for row in list_box_rows(item, places[item.id])]
    beside = {BOXES: write_csv([BOX_HEAD, *drawn])} if boxed else {}
    if findings is not None:
        beside = {FINDINGS: json.dumps({"task": data.task, "labels": list(findings)})}
    return {TABLE: write_csv(rows), **beside}


def _list_unknown(item: DatasetItem, labels: Sequence[str]) -> list[str]:
    """List the findings that nobody told of a picture at which somebody looked."""
    return [] if item.labels is None else [name for name in labels if name not in item.labels]


def _coco(
    sets: Datasets, items: Sequence[DatasetItem], places: dict[str, str], labels: Sequence[str]
) -> dict[str, Any]:
    """Describe boxes as COCO; what a picture shows stands beside its name, as COCO has no place for it."""
    categories = {name: k for k, name in enumerate(labels, 1)}
    images: list[dict[str, Any]] = []
    marks: list[dict[str, Any]] = []
    for k, item in enumerate(items, 1):
        width, height = _size(sets, item)
        said: dict[str, Any] = {"label": item.label, "patient": item.patient, "site": item.site, "name": item.file}
        if item.labels is not None:
            said |= {"labels": list(item.found), "unknown": _list_unknown(item, labels) or None}
        told = {name: value for name, value in said.items() if value is not None}
        images.append({"id": k, "file_name": places[item.id], "width": width, "height": height, **told})
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
    listed = [{"id": k, "name": name} for name, k in categories.items()]
    return {"images": images, "annotations": marks, "categories": listed}


def _task(sets: Datasets, item: DatasetItem, place: str, findings: Sequence[str]) -> dict[str, Any]:
    """Describe a picture as a task of Label Studio: its class as a choice, its boxes in percent of its sides.

    findings: of several those that may be chosen, which the task tells, too.
    """
    results: list[dict[str, Any]] = []
    chosen = [item.label] if item.label is not None else list(item.found)
    if chosen:
        value = {"choices": chosen}
        results.append({"from_name": "class", "to_name": "image", "type": "choices", "value": value})
    width, height = _size(sets, item) if item.boxes else (1, 1)
    for box in item.boxes or ():
        x, y, w, h = (float(box[name]) for name in ("x", "y", "width", "height"))
        sides = {"x": 100 * x / width, "y": 100 * y / height, "width": 100 * w / width, "height": 100 * h / height}
        value = {**sides, "rotation": 0, "rectanglelabels": [str(box["label"])]}
        kind = {"from_name": "boxes", "to_name": "image", "type": "rectanglelabels", "value": value}
        results.append({**kind, "original_width": width, "original_height": height})
    told: dict[str, Any] = {"file": item.file, "patient": item.patient, "site": item.site}
    if findings:
        told |= {"findings": list(findings), "unknown": _list_unknown(item, findings)}
    done = item.told is not None or item.boxes is not None
    return {"data": {"image": f"{_LOCAL}{place}", **told}, "annotations": [{"result": results}] if done else []}


def _labelling(labels: Sequence[str], *, several: bool) -> str:
    """Write the labelling interface of Label Studio for tasks of `_task`."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image")
    many = "multiple" if several else "single"
    choices = ElementTree.SubElement(view, "Choices", name="class", toName="image", choice=many)
    boxes = ElementTree.SubElement(view, "RectangleLabels", name="boxes", toName="image")
    for name in labels:
        ElementTree.SubElement(choices, "Choice", value=name)
        ElementTree.SubElement(boxes, "Label", value=name)
    return ElementTree.tostring(view, "unicode")


def _cvat(
    sets: Datasets, items: Sequence[DatasetItem], places: dict[str, str], labels: Sequence[str], *, several: bool
) -> str:
    """Describe pictures as CVAT's XML for images 1.1: classes as tags, with patient and site, and boxes."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    job = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    listed = ElementTree.SubElement(job, "labels")
    for name in (*labels, NONE) if several else labels:
        ElementTree.SubElement(ElementTree.SubElement(listed, "label"), "name").text = name
    for k, item in enumerate(items):
        width, height = _size(sets, item)
        sides = {"width": str(width), "height": str(height)}
        name = places[item.id].removeprefix("images/")
        image = ElementTree.SubElement(root, "image", {"id": str(k), "name": name, **sides})
        tags = [item.label] if item.label is not None else []
        if item.labels is not None:
            tags = list(item.found) or [NONE]
        more = {"patient": item.patient, "site": item.site, "file": item.file}
        more["unknown"] = ",".join(_list_unknown(item, labels))
        for label in tags:
            tag = ElementTree.SubElement(image, "tag", label=label, source="manual")
            for key, value in more.items():
                if value:
                    ElementTree.SubElement(tag, "attribute", name=key).text = value
        for box in item.boxes or ():
            x, y, w, h = (float(box[name]) for name in ("x", "y", "width", "height"))
            corners = {"xtl": f"{x:.2f}", "ytl": f"{y:.2f}", "xbr": f"{x + w:.2f}", "ybr": f"{y + h:.2f}"}
            ElementTree.SubElement(
                image, "box", {"label": str(box["label"]), "source": "manual", "occluded": "0", **corners}
            )
    return ElementTree.tostring(root, "unicode", xml_declaration=True)


def _size(sets: Datasets, item: DatasetItem) -> tuple[int, int]:
    found = read_size(sets.path(item))
    return found.upright if found else (0, 0)
