"""Read the classes that people gave pictures in Label Studio, CVAT or COCO files; `medloupe.data` reads the boxes.

What these tools export is read as they write it: Label Studio's JSON (choices of a task), CVAT's XML for images 1.1
(tags of an image), COCO (annotations without a place, or `label` beside a picture's name, as the studio writes it).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medloupe.data.modalities import IMAGE_SUFFIXES
from medloupe.data.readers.annotations.documents import iterate_xml, read_json
from medloupe.errors import DataError

Told = tuple[str, str | None, Mapping[str, Any]]
"""Of a picture: its name, its class, and what else is told of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassedPicture:
    """A picture of an export. name: as the export has it; file: where it lies, relative to the folder."""

    name: str
    file: str
    label: str | None
    patient: str | None = None
    site: str | None = None


def read_classes_of_export(folder: Path) -> tuple[str, list[ClassedPicture], list[str]] | None:
    """Read the classes of the pictures in a folder from an export that lies in it.

    Returns
    -------
    tuple or None
        Which tool, the pictures, and what people should know; None where there is no such export, or one of boxes.

    Raises
    ------
    DataError
        A picture has two classes, or the export names pictures that are not there.
    """
    for tool, found in _find_exports(folder):
        told = list(found)
        if told:
            return tool, *_match(folder, told)
    return None


def _find_exports(folder: Path) -> Iterator[tuple[str, Iterator[Told]]]:
    """Find exports with classes: which tool, and of each picture name, class, and what else is told."""
    for path in sorted(folder.rglob("*.json")):
        try:
            document = read_json(path)
        except DataError:
            continue
        if _is_label_studio(document):
            yield "Label Studio", _read_label_studio(document)
        elif isinstance(document, Mapping) and isinstance(document.get("images"), list):
            yield "COCO", _read_coco(document)
    for path in sorted(folder.rglob("*.xml")):
        yield "CVAT", _read_cvat(path)


def _is_label_studio(document: Any) -> bool:
    tasks = document if isinstance(document, list) else []
    return bool(tasks) and all(isinstance(t, Mapping) and isinstance(t.get("data"), Mapping) for t in tasks)


def _read_label_studio(tasks: list[Any]) -> Iterator[Told]:
    """Read the choices of tasks; nothing where results are places."""
    told: list[Told] = []
    for task in tasks:
        data = task["data"]
        held = [a for a in task.get("annotations") or [] if isinstance(a, Mapping) and not a.get("was_cancelled")]
        results = held[-1].get("result") or [] if held else []
        kinds = {str(r.get("type")) for r in results if isinstance(r, Mapping)}
        if kinds - {"choices"}:
            return
        chosen = [c for r in results for c in (r.get("value") or {}).get("choices") or []]
        name = next((v for k in ("image", "img", "file") if isinstance(v := data.get(k), str)), "")
        told.append((_plain_name(name), _one(chosen, name), data))
    if any(label for _, label, _ in told):
        yield from told


def _plain_name(address: str) -> str:
    """Take the file's name out of an address of Label Studio, without the digits that an upload puts before it."""
    path = address.split("?d=", 1)[-1].split("?")[0].replace("%20", " ").removeprefix("file://")
    front, _, name = path.rpartition("/")
    head, dash, rest = name.partition("-")
    uploaded = "/upload/" in f"{front}/" and dash and len(head) == 8 and set(head) <= set("0123456789abcdef")
    return rest if uploaded else path.lstrip("/")


def _read_coco(document: Mapping[str, Any]) -> Iterator[Told]:
    """Read classes of pictures; nothing where an annotation has a place."""
    names = {c.get("id"): c.get("name") for c in document.get("categories") or [] if isinstance(c, Mapping)}
    marks: dict[Any, list[str]] = defaultdict(list)
    for mark in document.get("annotations") or []:
        if not isinstance(mark, Mapping) or mark.get("bbox") or mark.get("segmentation"):
            return
        marks[mark.get("image_id")].append(str(names.get(mark.get("category_id"), "")))
    told: list[Told] = []
    for image in document["images"]:
        if isinstance(image, Mapping) and isinstance(image.get("file_name"), str):
            said = [image["label"]] if isinstance(image.get("label"), str) else []
            name = image["file_name"]
            told.append((name, _one([*said, *marks[image.get("id")]], name), image))
    if any(label for _, label, _ in told):
        yield from told


def _read_cvat(path: Path) -> Iterator[Told]:
    """Read the tags of images; nothing where there are shapes."""
    told: list[Told] = []
    try:
        for element in iterate_xml(path):
            if element.tag == "track":
                return
            if element.tag != "image":
                continue
            if any(child.tag != "tag" for child in element):
                return
            name = element.get("name") or ""
            tags = [tag.get("label") or "" for tag in element]
            more = {a.get("name"): (a.text or "").strip() for tag in element for a in tag.iter("attribute")}
            told.append((name, _one(tags, name), {str(k): v for k, v in more.items()}))
    except DataError:
        return
    if any(label for _, label, _ in told):
        yield from told


def _one(labels: list[Any], name: str) -> str | None:
    """Take the one class of a picture. Raises DataError where there are several."""
    found = sorted({str(label) for label in labels if label})
    if len(found) > 1:
        raise DataError(
            f"{name[-80:]} has several classes: {', '.join(found[:5])}.", "A picture of the studio has one class."
        )
    return found[0] if found else None


def _match(folder: Path, told: list[Told]) -> tuple[list[ClassedPicture], list[str]]:
    """Find the files that are named: by path, by name where only one is called so, or by the end of the path."""
    files = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    by_name: dict[str, list[str]] = defaultdict(list)
    for file in files:
        by_name[file.rpartition("/")[2]].append(file)
    known = set(files)
    found: list[ClassedPicture] = []
    missing: list[str] = []
    for name, label, more in told:
        same = [name] if name in known else by_name.get(name.rpartition("/")[2], [])
        if len(same) > 1:
            same = [file for file in same if file.endswith(f"/{name}")]
        if len(same) != 1:
            missing.append(name)
            continue
        patient, site = (str(more[k]).strip() or None if more.get(k) else None for k in ("patient", "site"))
        shown = str(more.get("file") or more.get("name") or name)
        found.append(ClassedPicture(name=shown, file=same[0], label=label, patient=patient, site=site))
    if not found:
        raise DataError(
            f"The export names {len(missing):,} pictures, none of which is in the archive, such as {missing[0][:80]}.",
            "Put the pictures beside it, under the names that it has.",
        )
    notes = [f"{len(missing):,} pictures that the export names are not in the archive."] if missing else []
    loose = {f for f in files if f.lower().endswith(tuple(IMAGE_SUFFIXES))} - {p.file for p in found}
    if loose:
        notes.append(f"{len(loose):,} pictures of the archive are not in the export, and are left out.")
    return found, notes
