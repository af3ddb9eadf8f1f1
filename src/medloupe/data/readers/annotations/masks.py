"""Read masks beside pictures: each connected part is a box."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from medloupe.data.readers.annotations.base import OBJECT, Annotations, MarkedPicture
from medloupe.data.readers.annotations.colours import find_colours, write_colour
from medloupe.data.readers.annotations.parts import Part, find_parts
from medloupe.data.readers.base import list_some, natural_key
from medloupe.data.readers.derived import bare_name
from medloupe.data.records import Box
from medloupe.errors import DataError, ImageError

KIND = "masks"
_BACKGROUND = frozenset({"background", "bg", "unlabeled", "unlabelled", "void", "ignore", "_background_"})
_MOST_COLOURS = 64  # of one mask
_SOFT = 8  # values of a lossless grey mask, above which its borders are blurred
_NEAR, _NEARLY_ALL = 24, 0.97  # of black or white lie nearly all pixels of a blurred mask
_BRIGHT = 0.6  # of what is not black in a blurred mask, that is as good as white
_SPECK, _LOSSY_SPECK, _LOSSY_SHARE = 4, 16, 2e-4  # pixels, and share of the picture, below which a part is a speck
_INVERTED = 0.8  # of the masks, whose corners all are foreground
_FEW = 3


@dataclass(frozen=True, slots=True)
class _Mask:
    """What one mask holds. corners: whether all four are foreground."""

    place: str
    size: tuple[int, int]
    parts: tuple[Part, ...]
    specks: int
    corners: bool


def pair_masks(images: Sequence[str], masks: Sequence[str]) -> dict[str, list[str]]:
    """Pair masks with the pictures of their name, of several the one whose folder is nearest: masks by picture."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for image in images:
        by_name[bare_name(PurePosixPath(image).name)].append(image)
    found: dict[str, list[str]] = defaultdict(list)
    for mask in sorted(masks, key=natural_key):
        candidates = by_name.get(bare_name(PurePosixPath(mask).name), [])
        ranked = sorted((-_shared(mask, image), image) for image in candidates)
        if ranked and (len(ranked) == 1 or ranked[0][0] < ranked[1][0]):
            found[ranked[0][1]].append(mask)
    return dict(found)


def _shared(one: str, other: str) -> int:
    """Count the folders, from the top or from the bottom, that two paths share."""
    a, b = one.split("/")[:-1], other.split("/")[:-1]
    top = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    rest = zip(reversed(a[top:]), reversed(b[top:]), strict=False)
    return top + sum(x == y for x, y in rest)


def read_masks(
    root: Path,
    pairs: Mapping[str, Sequence[str]],
    classes: Mapping[str, str],
    texts: Sequence[str],
    tables: Sequence[str],
) -> Annotations:
    """Read the masks of a set.

    Parameters
    ----------
    root : Path
        The data folder.
    pairs : Mapping
        Masks by picture.
    classes : Mapping
        The class of each picture by its folder, which names what a mask of one value shows; may be empty.
    texts, tables : sequence of str
        Texts and tables there, among which names of colours are looked for.

    Raises
    ------
    DataError
        Where masks are blurred colours, noise, or the wrong way round.
    """
    read: dict[str, list[_Mask]] = {}
    unread = []
    for image, masks in sorted(pairs.items()):
        try:
            read[image] = [_read_mask(root, mask) for mask in masks]
        except ImageError:
            unread.append(image)
    every = [mask for masks in read.values() for mask in masks]
    if len(every) >= _FEW and sum(mask.corners for mask in every) >= _INVERTED * len(every):
        raise DataError(
            f"Nearly all masks (such as {root / every[0].place}) are white at all four corners: they seem to be the"
            " wrong way round.",
            "Invert them, so that 0 (black) is the background.",
        )
    colours, source = find_colours(root, texts, tables)
    named = {code: name for code, name in colours.items() if name.lower() not in _BACKGROUND}
    dropped = set(colours) - set(named)
    folders = _name_folders(read)
    names, notes = _name_values(every, named, colours, folders)
    pictures = []
    specks = 0
    for image, masks in read.items():
        boxes: list[Box] = []
        unplaced: set[str] = set()
        for mask in masks:
            only = folders.get(mask.place) or classes.get(image) or OBJECT
            parts = [p for p in mask.parts if p.value not in dropped]
            boxes += [Box(names.get(p.value, only), p.x, p.y, p.width, p.height) for p in parts]
            specks += mask.specks
            if mask.specks and not parts:
                unplaced.add(only)
        sizes = {mask.size for mask in masks}
        if len(sizes) > 1:
            raise DataError(f"The masks of {root / image} are of different sizes: {sorted(sizes)}.", "Check them.")
        pictures.append(
            MarkedPicture(
                name=image,
                source=root / masks[0].place,
                boxes=tuple(boxes),
                size=masks[0].size,
                unplaced=frozenset(unplaced - {box.label for box in boxes}),
                home=root,
            )
        )
    notes.insert(0, "Each part of a mask that hangs together, over corners too, is one box.")
    if specks:
        notes.append(f"{specks} specks of a few pixels in masks are left out.")
    if unread:
        notes.append(f"{len(unread)} pictures have a mask that cannot be read, such as {unread[0]}.")
    return Annotations(
        kind=KIND,
        pictures=pictures,
        labels=tuple(dict.fromkeys(name for code, name in sorted(named.items()) if name in names.values())),
        sources=(source,) if source else (),
        notes=tuple(notes),
        negatives="put a black mask of its name where those of the others are",
    )


def _name_folders(read: Mapping[str, Sequence[_Mask]]) -> dict[str, str]:
    """Name masks by their folders, where pictures have one in each of several: leftMask/x.png, rightMask/x.png."""
    several = [{m.place.rpartition("/")[0] for m in masks} for masks in read.values()]
    if not any(len(folders) > 1 for folders in several):
        return {}
    return {m.place: m.place.split("/")[-2] for masks in read.values() for m in masks if "/" in m.place}


def _name_values(
    masks: Sequence[_Mask], named: Mapping[int, str], colours: Mapping[int, str], folders: Mapping[str, str]
) -> tuple[dict[int, str], list[str]]:
    """Name the values of masks; none where all are the same, or each object has its own."""
    values = {part.value for mask in masks for part in mask.parts}
    if colours:
        unknown = sorted(values - set(colours))
        if unknown:
            raise DataError(
                f"Masks hold {list_some(map(write_colour, unknown), 5)}, which the table of colours does not name.",
                f"It names {list_some(map(write_colour, colours), 10)}: add them there.",
            )
        return dict(named), [
            f"The colours of the masks are named by a table: {', '.join(dict.fromkeys(named.values()))}."
        ]
    if len(values) < 2 or folders:
        return {}, []
    if _are_objects(masks):
        return {}, ["In the masks every object has a number of its own: all are of one kind."]
    if len(values) > _MOST_COLOURS:
        raise DataError(
            f"The masks hold {len(values)} different values, which are neither classes nor one number an object.",
            "Bring a table of name and value (or r, g, b), or masks of 0 and 255.",
        )
    names = {value: write_colour(value) for value in values}
    listed = list_some(sorted(names.values(), key=natural_key), 10)
    return names, [
        f"The masks hold several values, each of which is read as a label: {listed}. A table of name and value (or r,"
        " g, b) beside them gives them names."
    ]


def _are_objects(masks: Sequence[_Mask]) -> bool:
    """Tell whether values number the objects of each mask from 1 on, each of one part, and masks differ in how many."""
    most = set()
    for mask in masks:
        values = [part.value for part in mask.parts]
        if sorted(values) != list(range(1, len(values) + 1)):
            return False
        most.add(len(values))
    return len(most - {0}) > 1 or max(most, default=0) > _SOFT


def _read_mask(root: Path, place: str) -> _Mask:
    values, lossy = _read_values(root / place)
    height, width = values.shape
    found = find_parts(values, str(root / place))
    fewest = max(_LOSSY_SPECK, _LOSSY_SHARE * width * height) if lossy else _SPECK
    parts = tuple(part for part in found if part.area >= fewest)
    corners = bool((values[[0, 0, -1, -1], [0, -1, 0, -1]] != 0).all()) and len(found) > 0
    whole = len(parts) == 1 and parts[0].area == width * height  # a picture that is all of one class is no such case
    return _Mask(place, (width, height), parts, len(found) - len(parts), corners and not whole)


def _read_values(path: Path) -> tuple[np.ndarray, bool]:
    """Read the values of a mask, int (h, w), colours packed; and whether its borders were blurred."""
    from medloupe.imaging.decode import decode

    with path.open("rb") as file:
        head = file.read(32)
    lossy = head[:3] == b"\xff\xd8\xff"
    if head[1:4] == b"PNG" and head[24:26] == b"\x10\x00":  # 16 bits of grey, which decoding would stretch
        return _read_deep(path), False
    pixels = decode(path).astype(np.int64)
    grey = int(np.ptp(pixels, axis=2).max()) <= (_NEAR if lossy else 0)
    if not grey:
        values = np.where(
            np.ptp(pixels, axis=2) == 0,
            pixels[..., 0],
            1 << 24 | pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2],
        )
        if lossy or len(np.unique(values)) > _MOST_COLOURS:
            raise DataError(
                f"{path} is a mask in colours that are blurred (JPEG, or made smaller), so that they cannot be told"
                " apart.",
                "Save masks as PNG, and make them smaller without smoothing (nearest neighbour).",
            )
        return values, False
    values = pixels[..., 0]
    top = int(values.max())
    if top == 0 or (not lossy and len(np.unique(values)) <= _SOFT):
        return values, lossy
    near = (values <= _NEAR) | (values >= top - _NEAR)
    bright = (values >= top - _NEAR).sum() >= _BRIGHT * (values > _NEAR).sum()
    if top >= 128 and near.mean() >= _NEARLY_ALL and bright:
        return (values > top // 2).astype(np.int64) * 255, True
    if lossy:
        raise DataError(f"{path} is a mask of several grey values as JPEG, which blurs them.", "Save masks as PNG.")
    return values, False


def _read_deep(path: Path) -> np.ndarray:
    from PIL import PngImagePlugin

    from medloupe.imaging import limits

    try:
        image = PngImagePlugin.PngImageFile(io.BytesIO(path.read_bytes()))
        limits.check_size(str(path), *image.size, bytes_per_pixel=12)
        return np.asarray(image).astype(np.int64)
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{path} is damaged ({error}).", "Copy it again.") from None
