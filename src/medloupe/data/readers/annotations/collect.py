"""Collect the annotations of a folder: which kinds lie there, by what the files hold and never by their names alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medloupe.data.readers.annotations import coco, cvat, label_studio, labelme, voc, yolo
from medloupe.data.readers.annotations.base import Annotations
from medloupe.data.readers.annotations.documents import MOST_BYTES, read_bytes, read_json
from medloupe.data.readers.base import NOT_AN_IMAGE, Files

_START = 1 << 16  # bytes in which an XML's first elements stand
_JSON_WORDS = (b'"annotations"', b'"shapes"', b'"completions"')


def collect_annotations(files: Files, told: Path | None = None) -> list[Annotations]:
    """Read the annotations in a folder, each kind whole.

    Parameters
    ----------
    files : Files
        What lies there.
    told : Path, optional
        A file or folder: only annotations there count.

    Raises
    ------
    DataError
        Where one is broken.
    """
    root = files.root
    paths = [root / name for name in files.skipped.get(NOT_AN_IMAGE, ())]
    if told is not None:
        inside = [path for path in paths if _lies_in(path, told)]
        paths = inside or ([told] if told.is_file() else [])
    by_suffix: dict[str, list[Path]] = {}
    for path in paths:
        by_suffix.setdefault(path.suffix.lower(), []).append(path)
    found = [*_read_jsons(by_suffix.get(".json", []), root), *_read_xmls(by_suffix.get(".xml", []), files)]
    texts = [path.relative_to(root).as_posix() for path in by_suffix.get(".txt", []) if path.is_relative_to(root)]
    pairs = yolo.pair_texts(files.images, texts) if texts else {}
    if pairs and yolo.is_yolo(root, pairs):
        every = files.skipped.get(NOT_AN_IMAGE, ())
        yamls = [name for name in every if name.lower().endswith((".yaml", ".yml"))]
        names = [name for name in every if name.lower().endswith((".txt", ".names"))]
        described = yolo.find_description(root, yamls)
        found.append(yolo.read_yolo(root, files.images, pairs, described, names))
    return found


def _lies_in(path: Path, told: Path) -> bool:
    return path.resolve() == told.resolve() or path.resolve().is_relative_to(told.resolve())


def _read_jsons(paths: Sequence[Path], root: Path) -> list[Annotations]:
    of_coco: list[tuple[Path, Any]] = []
    of_labelme: list[tuple[Path, Any]] = []
    of_label_studio: list[tuple[Path, Any]] = []
    for path in paths:
        data = _read_candidate(path)
        if data is None:
            continue
        document = read_json(path, coco.slim, data)
        del data
        if coco.is_coco(document):
            of_coco.append((path, document))
        elif labelme.is_labelme(document):
            of_labelme.append((path, document))
        elif label_studio.is_label_studio(document):
            of_label_studio.append((path, document))
    found = []
    if of_coco:
        found.append(coco.read_coco(of_coco, root))
    if of_labelme:
        found.append(labelme.read_labelme(of_labelme, root))
    if of_label_studio:
        found.append(label_studio.read_label_studio(of_label_studio, root))
    return found


def _read_candidate(path: Path) -> bytes | None:
    """Read a JSON that may hold annotations; None where no word of theirs is in it."""
    try:
        large = path.stat().st_size > MOST_BYTES
        if large:
            with path.open("rb") as file:
                start = file.read(1 << 22)
            if not any(word in start for word in (*_JSON_WORDS, b'"images"')):
                return None
        data = read_bytes(path)
    except OSError:
        return None
    plain = data.replace(b"\0", b"") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else data
    return data if any(word in plain for word in _JSON_WORDS) else None


def _read_xmls(paths: Sequence[Path], files: Files) -> list[Annotations]:
    of_voc, of_cvat = [], []
    for path in paths:
        try:
            with path.open("rb") as file:
                start = file.read(_START).replace(b"\0", b"")
        except OSError:
            continue
        if b"<annotations" in start:
            if b"<image" in start or b"<track" in start or b"<meta" in start:
                of_cvat.append(path)
        elif b"<annotation" in start and any(w in start for w in (b"<object", b"<filename", b"<size", b"<bndbox")):
            of_voc.append(path)
    found = []
    if of_voc:
        texts = [name for name in files.skipped.get(NOT_AN_IMAGE, ()) if name.lower().endswith(".txt")]
        found.append(voc.read_voc(of_voc, files.root, files.images, texts))
    if of_cvat:
        found.append(cvat.read_cvat(of_cvat, files.root))
    return found
