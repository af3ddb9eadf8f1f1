"""Name the classes of class folders, and say what the folders below them are: subclasses, patients, views, splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from medloupe.data.readers import folder_names as names
from medloupe.data.readers.base import natural_key, parse_split
from medloupe.data.readers.folder_tree import Folder, group_by_name, list_children
from medloupe.data.readers.levels import COPY, DEEPEST, LOOSE, Levels, list_names
from medloupe.data.readers.upper_folders import enter_generic

_SEVERAL = 5  # folders a class from which they may be people
_FEW_EACH = 10  # images of a folder up to which it may be a person's


def name_classes(parents: list[Folder], found: Levels) -> None:
    """Name the class of each class folder; spellings of one name are one class."""
    for folder in parents:
        if folder.images and not any(folder.path[: len(path)] == path for path in found.splits):
            found.skipped.setdefault(LOOSE, []).extend(folder.images)
    classes = list_children(parents)
    if not classes:
        return
    # test/images beside train/benign holds pictures without a label.
    silent = [
        f for f in classes if f.path[:-1] in found.splits and (names.says_nothing(f.name) or f.name == f.path[-2])
    ]
    classes = [folder for folder in classes if folder not in silent] or classes
    found.roles[len(classes[0].path)] = "class"
    plain = {names.fold_name(folder.name) for folder in classes}
    copies = [folder for folder in classes if names.without_copy_words(folder.name) in plain]
    found.leave_out(COPY, copies)
    classes = _open_repeated([folder for folder in classes if folder not in copies], found)
    classes = _find_innermost(classes, found)
    spelt: dict[str, Counter[str]] = {}
    for folder in classes:
        spelt.setdefault(names.fold_name(folder.name), Counter())[folder.name] += 1
    chosen = {key: min(counts, key=lambda name: (-counts[name], name)) for key, counts in spelt.items()}
    for folder in classes:
        found.classes[folder.path] = chosen[names.fold_name(folder.name)]
    for key, counts in spelt.items():
        if len(counts) > 1:
            found.notes.append(
                f"{' and '.join(sorted(counts))} are read as one class, {chosen[key]}: they differ in spelling alone."
            )


def _open_repeated(classes: list[Folder], found: Levels) -> list[Folder]:
    """Enter a folder that holds the same folders as stand beside it, as archives have that were packed twice."""
    beside = {names.fold_name(folder.name) for folder in classes if folder.images}
    again = [
        folder
        for folder in classes
        if not folder.images
        and len(folder.children) > 1
        and all(names.fold_name(name) in beside for name in folder.children)
    ]
    if again:
        found.notes.append(
            f"{list_names(again)} holds the same folders as stand beside it ({list_names(list_children(again))}): they"
            " are read as the same classes, and copies are kept together."
        )
    return [folder for folder in classes if folder not in again] + list_children(again)


def _find_innermost(classes: list[Folder], found: Levels) -> list[Folder]:
    """Say what lies below the classes; return the class folders, the innermost ones where classes are nested."""
    here = [enter_generic(folder) for folder in classes]
    for _ in range(DEEPEST):
        below = list_children(here)
        heads = sorted({folder.name for folder in below}, key=natural_key)
        if not below:
            break
        if _are_splits(here, heads, found):
            _note_splits(below, found)
        elif all(names.kind_of(name) for name in heads) or names.are_views(heads):
            _note_kinds(here, found)
        elif names.are_ids(heads) or _are_people(here, below):
            _note_patients(below, found)
            break
        elif not found.patients and _are_nested(here, below):
            if _may_be_people(here, below):
                found.question = _ask_people(here, below, found)
                break
            _note_nested(classes, below, found)
            classes = here = [leaf for folder in here for leaf in (folder.folders or [folder])]
            continue
        elif any(folder.images or len(folder.children) > 1 for folder in here) or len(heads) > 1:
            break
        here = [child for folder in here for child in (folder.folders or [folder])]
    return classes


def _are_splits(classes: Sequence[Folder], heads: Sequence[str], found: Levels) -> bool:
    if "split" in found.roles.values() or any(folder.images for folder in classes):
        return False
    told = {names.find_split(name) for name in heads}
    return None not in told and (len(told) > 1 or all(parse_split(name) for name in heads))


def _note_splits(below: Sequence[Folder], found: Levels) -> None:
    found.splits.update({folder.path: split for folder in below if (split := names.find_split(folder.name))})
    found.roles[len(below[0].path)] = "split"
    told = {folder.name: found.splits[folder.path] for folder in below}
    renamed = [f"{name} is {split}" for name, split in sorted(told.items()) if split != name.lower()]
    found.notes += [f"Splits: {', '.join(renamed)}."] if renamed else []


def _note_kinds(classes: Sequence[Folder], found: Levels) -> None:
    """Keep what folders below a class say of how pictures were taken; leave copies beside their originals out."""
    copies: list[Folder] = []
    for folder in classes:
        kinds = {child.name: names.kind_of(child.name) for child in folder.folders}
        originals = folder.images or [name for name, kind in kinds.items() if kind != "copy"]
        for child in folder.folders:
            kind = kinds[child.name]
            if kind == "copy" and originals:
                copies.append(child)
            elif kind != "files":
                found.columns[child.path] = kind if kind in ("date", "site", "fold") else "folder"
    found.leave_out(COPY, copies)


def _are_people(classes: Sequence[Folder], below: Sequence[Folder]) -> bool:
    """Tell whether the folders below classes are many and of few pictures each: people, whatever they are called."""
    several = median([len(folder.children) for folder in classes]) >= _SEVERAL
    return several and names.are_people([folder.name for folder in below], [folder.count() for folder in below])


def _note_patients(below: Sequence[Folder], found: Levels) -> None:
    """Take the folders below the classes for patients, whose pictures stay together."""
    by_name = group_by_name(below)
    # Numbers that start anew in each class are other people; ids that say more are the same person.
    restart = len(by_name) < len(below) and all(len(name) <= 3 and name.isdigit() for name in by_name)
    for folder in below:
        found.patients[folder.path] = "/".join(folder.path[-2:]) if restart else folder.name
    count = len({found.patients[folder.path] for folder in below})
    depth = len(below[0].path)
    found.roles[depth] = "patient"
    found.notes.append(
        f"The {count} folders below the classes ({list_names(below, 3)}) are taken for patients, whose images are kept"
        f" together. If they are not: --folders {found.layout({depth: '-'})}."
    )


def _are_nested(classes: Sequence[Folder], below: Sequence[Folder]) -> bool:
    """Tell whether classes hold classes: sub-folders that hold all pictures, each name below one of them only."""
    if not any(len(folder.children) > 1 for folder in classes) or any(f.images and f.children for f in classes):
        return False
    owners = {name: {folder.path[-2] for folder in here} for name, here in group_by_name(below).items()}
    flat = {folder.name for folder in classes if not folder.children}
    return all(len(owner) == 1 for owner in owners.values()) and not flat & set(owners)


def _may_be_people(classes: Sequence[Folder], below: Sequence[Folder]) -> bool:
    """Tell whether the folders below findings may be people as well as kinds of these: words, of few pictures each."""
    if names.name_findings([folder.name for folder in below]) or len(below) < _SEVERAL:
        return False
    few = median([folder.count() for folder in below]) <= _FEW_EACH
    return few and names.name_findings([folder.name for folder in classes])


def _ask_people(classes: Sequence[Folder], below: Sequence[Folder], found: Levels) -> tuple[str, tuple[str, ...]]:
    upper, lower = len(classes[0].path), len(below[0].path)
    return (
        f"The folders {list_names(classes)} hold {len(below)} folders of few images each ({list_names(below)}), and it"
        " cannot be told whether these are patients or classes of their own.",
        (found.layout({upper: "class", lower: "patient"}), found.layout({upper: "-", lower: "class"})),
    )


def _note_nested(classes: Sequence[Folder], below: Sequence[Folder], found: Levels) -> None:
    depth = len(classes[0].path)
    upper = found.layout({depth: "class"})
    for level in range(depth, len(below[0].path)):
        found.roles[level] = "-"
    found.roles[len(below[0].path)] = "class"
    found.notes.append(
        f"The classes are the innermost folders ({list_names(below)}). For the upper ones ({list_names(classes)}) as"
        f" classes: --folders {upper}."
    )
