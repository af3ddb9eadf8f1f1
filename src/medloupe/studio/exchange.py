"""Read the classes that people gave pictures in Label Studio, CVAT or COCO files; `medloupe.data` reads the boxes.

What these tools export is read as they write it: Label Studio's JSON (choices of a task), CVAT's XML for images 1.1
(tags of an image), COCO (annotations without a place, or `label` and `labels` beside a picture's name, as the studio
writes it). Where a picture may have several findings, all that stand in the export were looked for, but for those that
`unknown` lists; a picture that nobody annotated tells nothing. "No finding" says that none of them is there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medloupe.data.modalities import IMAGE_SUFFIXES
from medloupe.data.readers.annotations.documents import iterate_xml, read_json
from medloupe.data.readers.base import says_no_finding
from medloupe.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedPicture:
    """What an export tells of a picture. chosen: its labels, None where nobody annotated it; more: all else."""

    name: str
    chosen: tuple[str, ...] | None
    more: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationExport:
    """What a file of a tool tells. listed: the labels that could be chosen, as far as it says so."""

    tool: str
    pictures: tuple[AnnotatedPicture, ...]
    listed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassedPicture:
    """A picture of an export. name: as the export has it; file: where it lies, relative to the folder."""

    name: str
    file: str
    label: str | None = None
    labels: Mapping[str, int] | None = None
    patient: str | None = None
    site: str | None = None


def read_classes_of_export(
    folder: Path, *, several: bool = False
) -> tuple[str, list[ClassedPicture], list[str]] | None:
    """Read the classes of the pictures in a folder from an export that lies in it.

    Parameters
    ----------
    folder
        Where it was unpacked.
    several
        Whether a picture may have any number of labels, or none; else it has one class.

    Returns
    -------
    tuple or None
        Which tool, the pictures, and what people should know; None where there is no such export, or one of boxes.

    Raises
    ------
    DataError
        A picture has two classes, or none of the findings and one of them, or the export names pictures that are not
        there.
    """
    for export in _find_exports(folder):
        if any(p.chosen is not None if several else p.chosen for p in export.pictures):
            settle = _FindingSettler(export) if several else _settle_class
            return export.tool, *_match(folder, export.pictures, settle)
    return None


def _settle_class(picture: AnnotatedPicture) -> dict[str, Any]:
    return {"label": _one(picture.chosen or (), picture.name)}


class _FindingSettler:
    """Tells of each picture which findings of an export are there, and which are not."""

    def __init__(self, export: AnnotationExport):
        chosen = [name for p in export.pictures for name in p.chosen or ()]
        self.names = [name for name in dict.fromkeys([*export.listed, *chosen]) if not says_no_finding(name)]

    def __call__(self, picture: AnnotatedPicture) -> dict[str, Any]:
        if picture.chosen is None:
            return {"labels": None}
        none = [name for name in picture.chosen if says_no_finding(name)]
        if none and len(none) < len(picture.chosen):
            raise DataError(
                f"{picture.name[-80:]} has {', '.join(picture.chosen[:5])} at once.",
                "Only one of the two can be right.",
            )
        told = picture.more.get("unknown")
        unknown = told.split(",") if isinstance(told, str) else told if isinstance(told, list) else []
        asked = [name for name in self.names if name in picture.chosen or name not in unknown]
        return {"labels": {name: int(name in picture.chosen) for name in asked}}


def _find_exports(folder: Path) -> Iterator[AnnotationExport]:
    """Find exports with classes."""
    for path in sorted(folder.rglob("*.json")):
        try:
            document = read_json(path)
        except DataError:
            continue
        if _is_label_studio(document):
            yield _read_label_studio(document)
        elif isinstance(document, Mapping) and isinstance(document.get("images"), list):
            yield _read_coco(document)
    for path in sorted(folder.rglob("*.xml")):
        yield _read_cvat(path)


def _is_label_studio(document: Any) -> bool:
    tasks = document if isinstance(document, list) else []
    return bool(tasks) and all(isinstance(t, Mapping) and isinstance(t.get("data"), Mapping) for t in tasks)


def _read_label_studio(tasks: list[Any]) -> AnnotationExport:
    """Read the choices of tasks; nothing where results are places."""
    told: list[AnnotatedPicture] = []
    listed: dict[str, None] = {}
    for task in tasks:
        data = task["data"]
        held = [a for a in task.get("annotations") or [] if isinstance(a, Mapping) and not a.get("was_cancelled")]
        results = held[-1].get("result") or [] if held else []
        kinds = {str(r.get("type")) for r in results if isinstance(r, Mapping)}
        if kinds - {"choices"}:
            return AnnotationExport(tool="Label Studio", pictures=())
        chosen = [c for r in results for c in (r.get("value") or {}).get("choices") or []]
        name = next((v for k in ("image", "img", "file") if isinstance(v := data.get(k), str)), "")
        found = tuple(str(c) for c in chosen if c) if held else None
        told.append(AnnotatedPicture(name=_plain_name(name), chosen=found, more=data))
        findings = data.get("findings")
        listed |= dict.fromkeys(map(str, findings if isinstance(findings, list) else ()))
    return AnnotationExport(tool="Label Studio", pictures=tuple(told), listed=tuple(listed))


def _plain_name(address: str) -> str:
    """Take the file's name out of an address of Label Studio, without the digits that an upload puts before it."""
    path = address.split("?d=", 1)[-1].split("?")[0].replace("%20", " ").removeprefix("file://")
    front, _, name = path.rpartition("/")
    head, dash, rest = name.partition("-")
    uploaded = "/upload/" in f"{front}/" and dash and len(head) == 8 and set(head) <= set("0123456789abcdef")
    return rest if uploaded else path.lstrip("/")


def _read_coco(document: Mapping[str, Any]) -> AnnotationExport:
    """Read classes of pictures; nothing where an annotation has a place."""
    names = {c.get("id"): c.get("name") for c in document.get("categories") or [] if isinstance(c, Mapping)}
    marks: dict[Any, list[str]] = defaultdict(list)
    for mark in document.get("annotations") or []:
        if not isinstance(mark, Mapping) or mark.get("bbox") or mark.get("segmentation"):
            return AnnotationExport(tool="COCO", pictures=())
        marks[mark.get("image_id")].append(str(names.get(mark.get("category_id"), "")))
    told: list[AnnotatedPicture] = []
    for image in document["images"]:
        if isinstance(image, Mapping) and isinstance(image.get("file_name"), str):
            said = [image["label"]] if isinstance(image.get("label"), str) else []
            several = image.get("labels")
            said += map(str, several if isinstance(several, list) else ())
            found = tuple(filter(None, [*said, *marks.get(image.get("id"), ())]))
            known = found or isinstance(several, list)
            told.append(AnnotatedPicture(name=image["file_name"], chosen=found if known else None, more=image))
    return AnnotationExport(tool="COCO", pictures=tuple(told), listed=tuple(str(n) for n in names.values() if n))


def _read_cvat(path: Path) -> AnnotationExport:
    """Read the tags of images; nothing where there are shapes."""
    told: list[AnnotatedPicture] = []
    listed: list[str] = []
    nothing = AnnotationExport(tool="CVAT", pictures=())
    try:
        for element in iterate_xml(path):
            if element.tag == "track":
                return nothing
            if element.tag == "meta":
                listed += [name.text.strip() for name in element.iterfind(".//label/name") if name.text]
            if element.tag != "image":
                continue
            if any(child.tag != "tag" for child in element):
                return nothing
            name = element.get("name") or ""
            tags = tuple(filter(None, (tag.get("label") for tag in element)))
            more = {a.get("name"): (a.text or "").strip() for tag in element for a in tag.iter("attribute")}
            told.append(AnnotatedPicture(name=name, chosen=tags or None, more={str(k): v for k, v in more.items()}))
    except DataError:
        return nothing
    return AnnotationExport(tool="CVAT", pictures=tuple(told), listed=tuple(listed))


def _one(labels: Sequence[str], name: str) -> str | None:
    """Take the one class of a picture. Raises DataError where there are several."""
    found = sorted(set(labels))
    if len(found) > 1:
        raise DataError(
            f"{name[-80:]} has several classes: {', '.join(found[:5])}.",
            "In this data set a picture has one class: begin one of several findings.",
        )
    return found[0] if found else None


def _match(
    folder: Path, told: Sequence[AnnotatedPicture], settle: Callable[[AnnotatedPicture], dict[str, Any]]
) -> tuple[list[ClassedPicture], list[str]]:
    """Find the files that are named: by path, by name where only one is called so, or by the end of the path."""
    files = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    by_name: dict[str, list[str]] = defaultdict(list)
    for file in files:
        by_name[file.rpartition("/")[2]].append(file)
    known = set(files)
    found: list[ClassedPicture] = []
    missing: list[str] = []
    for picture in told:
        name, more, said = picture.name, picture.more, settle(picture)
        same = [name] if name in known else by_name.get(name.rpartition("/")[2], [])
        if len(same) > 1:
            same = [file for file in same if file.endswith(f"/{name}")]
        if len(same) != 1:
            missing.append(name)
            continue
        patient, site = (str(more[k]).strip() or None if more.get(k) else None for k in ("patient", "site"))
        shown = str(more.get("file") or more.get("name") or name)
        found.append(ClassedPicture(name=shown, file=same[0], patient=patient, site=site, **said))
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
