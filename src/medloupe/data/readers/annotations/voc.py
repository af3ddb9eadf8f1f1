"""Read Pascal VOC: one XML for each picture, and ImageSets that say which are for training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from medloupe.data.readers.annotations.base import (
    OBJECT,
    Annotations,
    MarkedPicture,
    box_from_corners,
    parse_number,
    parts_below,
    split_of_path,
)
from medloupe.data.readers.annotations.documents import decode_text, read_bytes, read_xml
from medloupe.data.readers.base import parse_split
from medloupe.data.records import Split
from medloupe.errors import DataError

KIND = "Pascal VOC"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_LONGEST = 1 << 26  # bytes of a list of pictures


def read_voc(paths: Sequence[Path], root: Path, images: Sequence[str], texts: Sequence[str]) -> Annotations:
    """Read the XML files of a set.

    Parameters
    ----------
    paths : sequence of Path
        XML files whose root element is `annotation`.
    root : Path
        The data folder.
    images, texts : sequence of str
        Pictures and .txt files there: their places.

    Raises
    ------
    DataError
        For broken XML, boxes without four numbers, and objects without a name.
    """
    pictures = [_read_picture(path) for path in paths]
    # Copied files keep the old name inside: where it is another's, or nobody's, the XML's own name tells the picture.
    stems = {PurePosixPath(image).stem for image in images}
    names = {PurePosixPath(image).name for image in images}
    named = Counter(picture.name for picture in pictures)
    other = 0
    for at, picture in enumerate(pictures):
        stem = picture.source.stem
        bare = PurePosixPath(picture.name.replace("\\", "/"))
        if bare.stem != stem and stem in stems and (named[picture.name] > 1 or bare.name not in names):
            pictures[at] = replace(picture, name=stem)
            other += 1
    notes = []
    if other:
        notes.append(f"{other} XML files name another picture than their own name does; their own name counts.")
    splits, told = _read_image_sets(root, texts)
    if splits:
        pictures = [replace(picture, split=splits.get(picture.source.stem)) for picture in pictures]
    else:
        pictures = [replace(p, split=split_of_path(parts_below(p.source, root)[:-1])) for p in pictures]
    return Annotations(
        kind=KIND,
        pictures=pictures,
        labels=(),
        sources=(*paths, *told),
        notes=tuple(notes),
        negatives="write an XML without <object> for it",
    )


def is_voc(element: Element) -> bool:
    """Tell whether an XML's first elements are those of Pascal VOC."""
    return element.tag == "annotation"


def _read_picture(path: Path) -> MarkedPicture:
    tree = read_xml(path)
    # The challenge counts pixels from 1, and the last is inside; tools that write its form since count from 0.
    official = (tree.findtext("source/database") or "").replace(" ", "").upper().find("VOC20") >= 0
    boxes = []
    unplaced = set()
    for at, entry in enumerate(tree.findall("object")):
        where = f"{path}, object {at + 1}"
        label = (entry.findtext("name") or "").strip()
        if not label and entry.find("name") is None:
            raise DataError(f"{where}: a <name> is expected, which says what the box shows.", "Add it.")
        corners = entry.find("bndbox")
        if corners is None:
            unplaced.add(label or OBJECT)
            continue
        numbers = [parse_number(corners.findtext(name), f"<{name}> in pixels", where) for name in _CORNERS]
        if official:
            numbers[0] -= 1
            numbers[1] -= 1
        boxes.append(box_from_corners(label or OBJECT, numbers))
    return MarkedPicture(
        name=(tree.findtext("filename") or "").strip() or path.stem,
        source=path,
        boxes=tuple(boxes),
        size=_read_size(tree),
        unplaced=frozenset(unplaced),
    )


def _read_size(tree: Element) -> tuple[int, int] | None:
    try:
        width, height = (round(float(tree.findtext(f"size/{side}") or 0)) for side in ("width", "height"))
    except (ValueError, OverflowError):
        return None
    return (width, height) if width > 0 and height > 0 else None


def _read_image_sets(root: Path, texts: Sequence[str]) -> tuple[Mapping[str, Split], list[Path]]:
    """Read the lists of pictures in ImageSets/: split by stem, and the files. `trainval` counts where train is not."""
    found: dict[str, list[str]] = {}
    used = []
    for text in texts:
        place = PurePosixPath(text)
        if "ImageSets" not in place.parts[:-1] or parse_split(place.stem) is None:
            continue
        path = root / text
        lines = decode_text(read_bytes(path, _LONGEST), path).splitlines()
        found.setdefault(place.stem.lower(), []).extend(line.split()[0] for line in lines if line.strip())
        used.append(path)
    splits: dict[str, Split] = {}
    for name in sorted(found, key=lambda name: name != "trainval"):
        split = parse_split(name)
        if split:
            splits |= dict.fromkeys(found[name], split)
    return splits, used
