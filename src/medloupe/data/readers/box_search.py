"""Find the boxes that are drawn on the images of a folder, in whatever form: tables, annotations of tools, masks."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medloupe.data.readers import box_tables
from medloupe.data.readers.annotations.base import Annotations, MarkedPicture, split_of_path
from medloupe.data.readers.annotations.collect import collect_annotations
from medloupe.data.readers.annotations.masks import pair_masks, read_masks
from medloupe.data.readers.base import NOT_AN_IMAGE, Files, ReadOptions, list_some, sort_reasons
from medloupe.data.readers.boxes import Boxes, build_boxes
from medloupe.data.readers.derived import MASK, find_derived
from medloupe.data.readers.locate import UNCLEAR, Locator
from medloupe.data.readers.sheet import Sheet
from medloupe.data.records import Box
from medloupe.errors import DataError, QuestionError

NOT_ANNOTATED = "not annotated"
_SAME = 0.99  # of the images that two annotations share, on which they must agree
_PIXELS = 2.0  # by which boxes may differ that are the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What the search goes by.

    Attributes
    ----------
    options : ReadOptions
        `annotations` and `table` say which of several annotations counts.
    classes : Mapping
        The class of images by their folders.
    wanted : bool
        Whether boxes are what is learned: masks are read, and what is broken stops the reading. Otherwise boxes are
        kept beside the classes, and what is broken is told of.
    derived : Mapping or None
        Pictures made from others, by reason, as `find_derived` finds them; None where that was not asked yet.
    """

    options: ReadOptions
    classes: Mapping[str, str]
    wanted: bool
    derived: Mapping[str, Sequence[str]] | None = None


def find_boxes(locator: Locator, search: Search, but: Sequence[Sheet] = (), given: Boxes | None = None) -> Boxes | None:
    """Find what is annotated in a folder.

    Parameters
    ----------
    locator : Locator
        Knows the folder's files.
    search : Search
        What is asked.
    but : sequence of Sheet, optional
        Tables that are not meant.
    given : Boxes, optional
        Those of the table that is being read.

    Raises
    ------
    QuestionError
        Where two annotations of the same images differ.
    DataError
        Where boxes are wanted, and an annotation is broken.
    """
    try:
        return _find(locator, search, but, given)
    except DataError as error:
        if search.wanted:
            raise
        note = f"Boxes are there, but are not read: {error.message} {error.hint}".strip()
        return Boxes(sources=(), by_place={}, labels=(), notes=(note,))


def _find(locator: Locator, search: Search, but: Sequence[Sheet], given: Boxes | None) -> Boxes | None:
    told = search.options.annotations
    files = locator.files
    found = [given] if given else box_tables.find_all(locator, but)
    annotations = collect_annotations(files, told)
    if annotations or (search.wanted and not found):
        derived = search.derived if search.derived is not None else find_derived(files.root, files.images)
        out = {image for names in derived.values() for image in names}
        inner = Locator(replace(files, images=tuple(i for i in files.images if i not in out))) if out else locator
        found += [_locate(inner, one) for one in annotations]
        found = [one for one in found if one.by_place]
        if not found and search.wanted:
            found = _find_masks(inner, search, derived.get(MASK, ()))
    found = [one for one in found if one.by_place]
    preferred = told or search.options.table
    if preferred is not None and len(found) > 1:
        found = [one for one in found if any(_lies_in(source, preferred) for source in one.sources)] or found
    return _choose(files, found) if found else None


def _find_masks(locator: Locator, search: Search, masks: Sequence[str]) -> list[Boxes]:
    files = locator.files
    pairs = pair_masks(files.images, masks)
    if not pairs:
        return []
    read = read_masks(files.root, pairs, search.classes, _texts(files), files.tables)
    return [_locate(locator, read)]


def _texts(files: Files) -> list[str]:
    return [name for name in files.skipped.get(NOT_AN_IMAGE, ()) if name.lower().endswith(".txt")]


def _locate(locator: Locator, annotations: Annotations) -> Boxes:
    """Find the images that annotations name."""
    root = locator.files.root
    places: dict[tuple[Path, str], str] = {}
    lost: list[str] = []
    by_home: dict[tuple[Path, str | None], list[MarkedPicture]] = {}
    for one in annotations.pictures:
        by_home.setdefault((one.home or one.source.parent, one.split), []).append(one)
    for (home, split), group in by_home.items():
        names = [one.name for one in group]
        found, missing = locator.locate(names, home, group[0].split)
        for name, reason in missing.items():
            among = [p for p in locator.find_all(name) if _is_of(p, split)] if reason == UNCLEAR and split else []
            if len(among) == 1:
                found[name] = among[0]
            else:
                lost.append(name)
        places |= {(home, name): place for name, place in found.items()}
    marked: dict[str, MarkedPicture] = {}
    moved: list[str] = []
    for one in annotations.pictures:
        place = places.get((one.home or one.source.parent, one.name))
        if place is None:
            continue
        before = marked.get(place)
        if before is not None and before.boxes and one.boxes:
            _require_same(root, place, before, one)
        if before is not None and before.split and one.split and before.split != one.split:
            moved.append(place)
        if before is None or len(one.boxes) >= len(before.boxes):
            split = one.split or (before.split if before else None)
            marked[place] = replace(one, split=split)
        elif one.split and not before.split:
            marked[place] = replace(before, split=one.split)
    notes = list(annotations.notes)
    if lost:
        notes.append(f"{len(lost)} images that are annotated are not here, such as {lost[0]}.")
    if moved:
        notes.append(f"{len(moved)} images stand in two splits, such as {moved[0]}; the later one counts.")
    return build_boxes(
        root,
        marked,
        kind=annotations.kind,
        sources=annotations.sources,
        labels=annotations.labels,
        notes=notes,
        negatives=annotations.negatives,
    )


def _is_of(place: str, split: str | None) -> bool:
    return split_of_path(place.split("/")[:-1]) == split


def _require_same(root: Path, place: str, one: MarkedPicture, other: MarkedPicture) -> None:
    """Raise QuestionError where two files of one kind draw other boxes on an image."""
    if one.source == other.source:
        raise DataError(
            f"{one.source} annotates {place} twice (as {one.name} and {other.name}).", "Keep the one that is right."
        )
    if one.relative != other.relative or _agree(one.boxes, other.boxes, 1e-3 if one.relative else _PIXELS):
        return
    paths = [shlex.quote(_short(root, source)) for source in (one.source, other.source)]
    raise QuestionError(
        f"{_short(root, one.source)} and {_short(root, other.source)} draw other boxes on {place}"
        f" ({len(one.boxes)} and {len(other.boxes)}).",
        [f"--table {path}" for path in dict.fromkeys(paths)],
    )


def _choose(files: Files, found: Sequence[Boxes]) -> Boxes:
    """Choose among several kinds of annotation: the first where they agree, all where they are of other images.

    Raises
    ------
    QuestionError
        Where they differ.
    """
    first, *others = sorted(found, key=lambda one: -len(one.by_place))
    notes = list(first.notes)
    for other in others:
        both = first.by_place.keys() & other.by_place.keys()
        if not both:
            first = _merge(first, other)
            notes += other.notes
            continue
        same = sum(_agree(first.by_place[p], other.by_place[p], _PIXELS) for p in both)
        names = [_name_source(files.root, one) for one in (first, other)]
        if same < _SAME * len(both):
            differ = next(p for p in sorted(both) if not _agree(first.by_place[p], other.by_place[p], _PIXELS))
            raise QuestionError(
                f"{names[0][1]} ({first.kind}) and {names[1][1]} ({other.kind}) draw other boxes on"
                f" {len(both) - same} of {len(both)} images, such as {differ}.",
                [f"--table {shlex.quote(name)}" for name, _ in names],
            )
        notes.append(f"{names[1][1]} ({other.kind}) holds the same boxes as {names[0][1]} ({first.kind}): read once.")
        first = replace(
            first,
            empty=first.empty | (other.empty - first.stated),
            splits={**other.splits, **first.splits},
            sources=(*first.sources, *other.sources),
        )
    return replace(first, notes=tuple(notes))


def _merge(one: Boxes, other: Boxes) -> Boxes:
    return replace(
        one,
        sources=(*one.sources, *other.sources),
        by_place={**one.by_place, **other.by_place},
        labels=tuple(dict.fromkeys((*one.labels, *other.labels))),
        empty=(one.empty | other.empty) - one.by_place.keys() - other.by_place.keys(),
        unplaced={**other.unplaced, **one.unplaced},
        splits={**other.splits, **one.splits},
        skipped=sort_reasons({**other.skipped, **one.skipped}),
    )


def _agree(one: Sequence[Box], other: Sequence[Box], within: float) -> bool:
    """Tell whether two lists hold the same rectangles in any order, whatever their labels are called."""
    if len(one) != len(other):
        return False
    if not one:
        return True
    a, b = (np.array(sorted((box.x, box.y, box.width, box.height) for box in boxes)) for boxes in (one, other))
    if (np.abs(a - b) <= within).all():
        return True
    if len(a) > 500:
        return False
    near = np.abs(a[:, None] - b[None]).max(axis=2) <= within
    return bool(near.max(axis=0).all() and near.max(axis=1).all())


def _name_source(root: Path, boxes: Boxes) -> tuple[str, str]:
    """Name the file, or the folder of the files, of boxes: for --table, and in words."""
    if len(boxes.sources) == 1:
        name = _short(root, boxes.sources[0])
        return name, name
    folders = {_short(root, source.parent) for source in boxes.sources[:-1] or boxes.sources}
    first = min(folders) or "."
    return first, f"{len(boxes.sources)} files in {list_some(sorted(folders))}"


def _short(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _lies_in(source: Path, told: Path) -> bool:
    return source.resolve() == told.resolve() or source.resolve().is_relative_to(told.resolve())


def drop_sources(skipped: Mapping[str, Iterable[str]], root: Path, boxes: Boxes | None) -> dict[str, tuple[str, ...]]:
    """Return the files left out, less those that boxes were read from."""
    used = {_short(root, source) for source in boxes.sources} if boxes else set()
    return sort_reasons({reason: [name for name in names if name not in used] for reason, names in skipped.items()})
