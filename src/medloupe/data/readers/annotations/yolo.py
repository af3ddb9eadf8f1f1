"""Read YOLO: a text for each picture, a line for each box, in shares of the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from medloupe.data.readers.annotations.base import Annotations, MarkedPicture, box_around, parse_number
from medloupe.data.readers.annotations.documents import decode_text, read_bytes
from medloupe.data.readers.annotations.yaml_subset import read_yaml
from medloupe.data.readers.base import list_some, parse_split
from medloupe.data.records import Box, Split
from medloupe.errors import DataError

KIND = "YOLO"
_LONGEST = 1 << 26  # bytes of one text
_LOOKED_AT = 20  # texts that tell whether this is YOLO
_MOST = 0.5  # of them, that hold rows of numbers
_SLACK = 0.01  # beyond 0 to 1, which rounding and boxes at the border bring
_NAMES = ("classes.txt", "obj.names", "names.txt", "labels.txt", "predefined_classes.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What data.yaml says: names by number, folders or lists of each split, and how many points a pose has."""

    path: Path
    names: Mapping[str, str]
    parts: Mapping[Split, tuple[str, ...]] = field(default_factory=dict)
    posed: bool = False


def pair_texts(images: Sequence[str], texts: Sequence[str]) -> dict[str, str]:
    """Pair texts with the pictures of their name: text by picture, both as places.

    A text belongs to the picture beside it, else to that in the folder of the same path but for one part (labels/ for
    images/), else to the only one of its name.
    """
    by_stem: dict[str, list[str]] = {}
    for image in images:
        by_stem.setdefault(PurePosixPath(image).stem, []).append(image)
    found: dict[str, tuple[int, str]] = {}
    for text in texts:
        place = PurePosixPath(text)
        candidates = by_stem.get(place.stem, [])
        if not candidates:
            continue
        ranked = sorted((_distance(place.parts[:-1], PurePosixPath(c).parts[:-1]), c) for c in candidates)
        rank, image = ranked[0]
        if len(ranked) > 1 and (rank > 1 or ranked[1][0] == rank):
            continue
        if image not in found or rank < found[image][0]:
            found[image] = (rank, text)
    return {image: text for image, (_, text) in found.items()}


def _distance(text: Sequence[str], image: Sequence[str]) -> int:
    """Rank how near a text's folder is to a picture's: 0 the same, 1 but for one part or one level, else 2."""
    if text == image:
        return 0
    if len(text) == len(image) and sum(a != b for a, b in zip(text, image, strict=True)) == 1:
        return 1
    longer, shorter = (text, image) if len(text) > len(image) else (image, text)
    dropped = len(longer) - len(shorter) == 1 and any(
        (*longer[:k], *longer[k + 1 :]) == tuple(shorter) for k in range(len(longer))
    )
    return 1 if dropped else 2


def is_yolo(root: Path, pairs: Mapping[str, str]) -> bool:
    """Tell whether most of some texts beside pictures hold rows of a number and shares."""
    judged = hits = 0
    for text in pairs.values():
        try:
            start = decode_text(read_bytes(root / text, _LONGEST)[:4096], root / text)
        except DataError:
            continue
        lines = [line.split() for line in start.splitlines() if line.strip()]
        if not lines:
            continue
        judged += 1
        hits += _is_row(lines[0])
        if judged >= _LOOKED_AT:
            break
    return judged > 0 and hits >= _MOST * judged


def _is_row(cells: Sequence[str]) -> bool:
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        return False
    return len(numbers) >= 4 and numbers[0] == int(numbers[0]) and all(-1 <= v <= 2 for v in numbers[1:5])


def find_description(root: Path, places: Sequence[str]) -> Described | None:
    """Find the data.yaml: a YAML with names, and train or val.

    Raises
    ------
    DataError
        Where it is broken, or two say different names.
    """
    found: list[Described] = []
    for place in sorted(places, key=lambda p: (p.count("/"), p))[:20]:
        try:
            held = read_yaml(root / place)
        except DataError:
            if PurePosixPath(place).stem == "data":
                raise
            continue
        names = held.get("names")
        if not names or isinstance(names, str) or not held.keys() & {"train", "val", "test", "nc", "path"}:
            continue
        by_number = names if isinstance(names, dict) else {str(k): name for k, name in enumerate(names)}
        parts: dict[Split, tuple[str, ...]] = {}
        for key, value in held.items():
            split = parse_split(key)
            if split and value and not isinstance(value, dict):
                parts[split] = tuple(value) if isinstance(value, list) else (value,)
        found.append(Described(path=root / place, names=by_number, parts=parts, posed="kpt_shape" in held))
    for other in found[1:]:
        if dict(other.names) != dict(found[0].names):
            raise DataError(
                f"{found[0].path} and {other.path} give the classes different names.", "Keep the one that is right."
            )
    return found[0] if found else None


def read_yolo(
    root: Path, images: Sequence[str], pairs: Mapping[str, str], described: Described | None, texts: Sequence[str]
) -> Annotations:
    """Read the texts of a set.

    Parameters
    ----------
    root : Path
        The data folder.
    images : sequence of str
        All pictures there, by place.
    pairs : Mapping
        As `pair_texts` returns it.
    described : Described or None
        What data.yaml says.
    texts : sequence of str
        All texts there, among which the classes' names are looked for.

    Raises
    ------
    DataError
        For rows of too few numbers, numbers that are no shares, and classes without a name.
    """
    names, source = _find_names(root, described, texts)
    splits, split_notes = _read_parts(root, images, described)
    pictures = []
    outlined = 0
    for image, text in sorted(pairs.items()):
        boxes, polygons = _read_text(root / text, names, source, posed=described is not None and described.posed)
        outlined += polygons
        pictures.append(
            MarkedPicture(
                name=image,
                source=root / text,
                boxes=tuple(boxes),
                relative=True,
                split=splits.get(image),
                home=root,
            )
        )
    notes = list(split_notes)
    if not names:
        notes.append("No data.yaml and no classes.txt gives the classes names: they are called by their numbers.")
    if outlined:
        notes.append(f"{outlined} outlines (segments) are read as the boxes around them.")
    sources = [root / text for text in pairs.values()]
    return Annotations(
        kind=KIND,
        pictures=pictures,
        labels=tuple(names.values()),
        sources=(*sources, *([source] if source else []), *([described.path] if described else [])),
        notes=tuple(notes),
        negatives="put an empty text of its name where those of the others are",
    )


def _find_names(root: Path, described: Described | None, texts: Sequence[str]) -> tuple[Mapping[str, str], Path | None]:
    if described is not None:
        return described.names, described.path
    places = sorted(texts, key=lambda text: (text.count("/"), text))
    for name in _NAMES:
        for place in places:
            if PurePosixPath(place).name.lower() == name:
                path = root / place
                lines = decode_text(read_bytes(path, _LONGEST), path).splitlines()
                held = [line.strip() for line in lines]
                while held and not held[-1]:
                    held.pop()
                return {str(k): line for k, line in enumerate(held) if line}, path
    return {}, None


def _read_text(path: Path, names: Mapping[str, str], source: Path | None, *, posed: bool) -> tuple[list[Box], int]:
    """Read the boxes of one text, and how many of them are outlines."""
    boxes = []
    outlined = 0
    for at, line in enumerate(decode_text(read_bytes(path, _LONGEST), path).splitlines()):
        cells = line.split()
        if not cells:
            continue
        where = f"{path}, line {at + 1}"
        label = _name_class(cells[0], names, source, where)
        numbers = [parse_number(cell, "a share of the picture, 0 to 1,", where) for cell in cells[1:]]
        polygon = len(numbers) >= 6 and len(numbers) % 2 == 0 and not posed
        if len(numbers) != 4 and not polygon and not (posed and len(numbers) > 4):
            scored = " A sixth number is a score, as predictions have it." if len(numbers) == 5 else ""
            raise DataError(
                f"{where}: {len(cells)} numbers, but class, x centre, y centre, width and height are expected, or class"
                f" and the points of an outline.{scored}",
                "Correct or remove the line.",
            )
        used = numbers if polygon else numbers[:4]
        if any(not -_SLACK <= value <= 1 + _SLACK for value in used):
            raise DataError(
                f"{where}: {next(v for v in used if not -_SLACK <= v <= 1 + _SLACK):g} is no share of the picture; 0 to"
                " 1 is expected.",
                "Divide pixels by width and height of the picture, or bring a table of boxes in pixels.",
            )
        if polygon:
            boxes.append(box_around(label, used[0::2], used[1::2]))
            outlined += 1
        else:
            x, y, width, height = used
            if width < 0 or height < 0:
                raise DataError(f"{where}: width and height cannot be negative.", "Correct or remove the line.")
            boxes.append(Box(label, x - width / 2, y - height / 2, width, height))
    return boxes, outlined


def _name_class(cell: str, names: Mapping[str, str], source: Path | None, where: str) -> str:
    number = parse_number(cell, "the number of a class", where)
    if number != int(number) or number < 0:
        raise DataError(f"{where}: {cell!r} where the number of a class is expected.", "Correct or remove the line.")
    key = str(int(number))
    if names and key not in names:
        raise DataError(
            f"{where}: class {key} is not declared; {source.name if source else 'the names'} has"
            f" {list_some((f'{k} ({name})' for k, name in names.items()), 10)}.",
            "Declare it, or correct the line.",
        )
    return names.get(key, key)


def _read_parts(root: Path, images: Sequence[str], described: Described | None) -> tuple[dict[str, Split], list[str]]:
    """Find the split of each picture by the folders and lists that data.yaml names."""
    splits: dict[str, Split] = {}
    if described is None:
        return {}, []
    notes = []
    twice = 0
    for split in ("train", "val", "test"):
        for entry in described.parts.get(split, ()):
            found = set(_pictures_of(root, images, described.path, entry))
            if not found:
                notes.append(f"{described.path.name} names {entry!r} for {split}, which holds no picture here.")
            twice += sum(splits.get(image) not in (None, split) for image in found)
            splits |= dict.fromkeys(found, split)
    if twice:
        if twice >= _MOST * len(splits):  # train and val are the same folder, as in a first try-out
            return {}, [f"{described.path.name} names the same pictures for several splits: none counts."]
        notes.append(f"{described.path.name} names {twice} pictures for two splits; the later one counts.")
    return splits, notes


def _pictures_of(root: Path, images: Sequence[str], yaml: Path, entry: str) -> Iterator[str]:
    """List the pictures that an entry of data.yaml means: a folder, or a text of paths, wherever it once lay."""
    parts = [part for part in entry.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    home = PurePosixPath(yaml.parent.relative_to(root).as_posix()).parts
    if parts and parts[-1].lower().endswith(".txt"):
        held = next((p for k in range(len(parts)) if (p := root.joinpath(*home, *parts[k:])).is_file()), None)
        lines = decode_text(read_bytes(held, _LONGEST), held).splitlines() if held else []
        ends = {
            tuple(p for p in line.strip().replace("\\", "/").split("/") if p not in ("", ".", "..")) for line in lines
        }
        longest = {end[-1]: end for end in sorted(filter(None, ends), key=len)}
        for image in images:
            end = longest.get(image.rpartition("/")[2])
            if end and _shares_end(image.split("/"), end):
                yield image
        return
    for k in range(len(parts)):
        folder = "/".join((*home, *parts[k:])) + "/"
        inside = [image for image in images if image.startswith(folder)]
        if inside:
            yield from inside
            return
    if not parts:
        yield from images


def _shares_end(place: Sequence[str], end: Sequence[str]) -> bool:
    """Tell whether two paths agree in their names and in the folder above, where both have one."""
    return place[-1] == end[-1] and (len(place) < 2 or len(end) < 2 or place[-2] == end[-2])
