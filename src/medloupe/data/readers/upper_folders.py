"""Go down to the folders in which the classes lie: through splits, folds, months, sites, patients and wrappers.

Upper folders are told by what lies below them: each holds the same folders again, where classes hold each their own.
Names decide where that leaves it open, and where they do not either, it is a question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from medloupe.data.readers import folder_names as names
from medloupe.data.readers.base import list_some, natural_key, parse_split
from medloupe.data.readers.folder_tree import Folder, group_by_name, list_children
from medloupe.data.readers.levels import CLASSES, COPY, DEEPEST, OUTSIDE, Levels, list_names
from medloupe.data.records import Split

_SAME = 0.6  # share of the sub-folders' names that each upper folder has, on average, for them to hold the same
_SHARED = 0.9  # share of the images that lie below names which several upper folders have
_GROUPS = {"fold": "folds", "date": "dates", "site": "sites"}
_UPPER = frozenset({"fold", "date", "site", "original", "copy", "split", "files"})


def enter_wrappers(folders: list[Folder]) -> list[Folder]:
    """Enter folders that hold everything and say nothing, as unpacked archives have them."""
    for _ in range(DEEPEST):
        if any(folder.images or len(folder.children) != 1 for folder in folders):
            entered = [enter_generic(folder) for folder in folders]
            if entered == folders:
                break
            folders = entered
            continue
        below = list_children(folders)
        deeper = list_children(below)
        class_above_splits = all(parse_split(f.name) for f in deeper) and any(f.images for f in deeper)
        alone = len(folders) == 1 and parse_split(below[0].name) is not None
        if not all(child.children for child in below) or alone or class_above_splits:
            break
        folders = below
    return folders


def enter_generic(folder: Folder) -> Folder:
    """Enter the one sub-folder of a folder where it has the same name again, or one that says what files are."""
    if not folder.images and len(folder.children) == 1:
        child = folder.folders[0]
        if child.children and (child.name == folder.name or names.kind_of(child.name) == "files"):
            return child
    return folder


def find_parents(folders: list[Folder], found: Levels) -> list[Folder]:
    """Go down to the folders in which the class folders lie, and note what the upper ones are."""
    for _ in range(DEEPEST):
        children = list_children(folders)
        below = _enter_splits(children, found) if children else None
        if children and below is None:
            below = _enter_named(folders, found)
        if children and below is None and not any(folder.images for folder in folders):
            below = _enter_same(children, found)
        if below is None:
            return folders
        folders = enter_wrappers(below)
    return folders


def _enter_splits(children: list[Folder], found: Levels) -> list[Folder] | None:
    """Enter train, val and test; None where these folders are no splits."""
    known = _known_splits(children) if "split" not in found.roles.values() else {}
    if not known:
        return None
    rest = [child for child in children if child.name not in known]
    copies = [child for child in rest if names.kind_of(child.name) == "copy"]
    folds = [child for child in rest if names.kind_of(child.name) == "fold" and child.children]
    found.leave_out(COPY, copies)
    found.leave_out(OUTSIDE, [child for child in rest if child not in copies and child not in folds])
    found.roles[len(children[0].path)] = "split"
    if "fold" in found.roles.values():
        found.roles[len(children[0].path)] = "-"
        found.notes.append(
            "Each fold has a train and a test of its own, so that a picture is in both: these are not used as splits,"
            " and copies of one picture are kept together."
        )
        return [child for child in children if child.name in known]
    for child in children:
        if child.name in known or child in folds:
            found.splits[child.path] = known.get(child.name, "train")
    renamed = [f"{name} is {split}" for name, split in sorted(known.items()) if split != name.lower()]
    renamed += [f"{child.name} is train" for child in folds]
    found.notes += [f"Splits: {', '.join(renamed)}."] if renamed else []
    return [child for child in children if child.path in found.splits]


def _known_splits(children: Sequence[Folder]) -> Mapping[str, Split]:
    """Find the split of each of the folders that is one; none where they may be classes."""
    heads = {child.name for child in children}
    exact: dict[str, Split] = {head: split for head in heads if (split := parse_split(head))}
    loose: dict[str, Split] = {
        head: split for head in heads if names.kind_of(head) == "split" and (split := names.find_split(head))
    }
    # A class may be called "test", hardly ever one "train".
    if exact and (len(exact) == len(heads) or "train" in exact.values() or len(set(exact.values())) > 1):
        return {**loose, **exact}
    rest = heads - set(loose)
    if len(set(loose.values())) > 1 and (not rest or _share_folders(children, loose, rest)):
        return loose
    folds = bool(rest) and all(names.kind_of(head) == "fold" for head in rest)
    return loose if folds and "test" in loose.values() and all(child.children for child in children) else {}


def _share_folders(children: Sequence[Folder], splits: Mapping[str, str], rest: set[str]) -> bool:
    """Tell whether the splits hold the same folders, and the others none of these."""
    within = [(child.name, {sub.name for sub in enter_generic(child).folders}) for child in children]
    subs = [below for name, below in within if name in splits]
    others = {sub for name, below in within if name in rest for sub in below}
    shared = set.intersection(*subs)
    return len(shared) > 1 and not shared & others


def _enter_named(folders: list[Folder], found: Levels) -> list[Folder] | None:
    """Enter folds, months, sites, and originals beside their copies, told by their names; None where there are none.

    In each folder by itself: the training part may be cut into folds where the test part is not.
    """
    below: list[Folder] = []
    entered: dict[str, list[Folder]] = {}
    for folder in folders:
        kinds = {child.name: names.kind_of(child.name) for child in folder.folders}
        known = bool(kinds) and not folder.images and all(kind in _UPPER for kind in kinds.values())
        lower = {sub.name for child in folder.folders for sub in child.folders}
        hold_classes = all(child.children for child in folder.folders) and not names.are_ids(lower)
        if not known or not hold_classes or set(kinds.values()) == {"split"}:
            below.append(folder)
            continue
        originals = [child for child in folder.folders if kinds[child.name] != "copy"]
        kept = originals or folder.folders
        found.leave_out(COPY, [child for child in folder.folders if child not in kept])
        for child in kept:
            kind = str(kinds[child.name])
            entered.setdefault(kind, []).append(child)
            if kind != "files":
                found.columns[child.path] = kind if kind in _GROUPS else "folder"
        below += kept
    for kind, here in entered.items():
        found.roles[len(here[0].path)] = kind if kind in _GROUPS else "-"
        if kind in _GROUPS or len({folder.name for folder in here}) > 1:
            found.notes.append(
                f"The upper folders ({list_names(here)}) are {_GROUPS.get(kind, 'parts of the data')}; the classes are"
                f" the folders below ({CLASSES})."
            )
    return below if entered else None


def _enter_same(children: list[Folder], found: Levels) -> list[Folder] | None:
    """Enter upper folders that are told by structure: each holds the same sub-folders. None where these are classes."""
    by_name = group_by_name(children)
    subs = {name: {s.name for folder in here for s in folder.folders} for name, here in by_name.items()}
    if len(subs) < 2 or any(folder.images for folder in children) or not _hold_same(by_name, subs):
        return None
    upper, lower = sorted(subs, key=natural_key), sorted(set().union(*subs.values()), key=natural_key)
    if all(names.kind_of(name) for name in lower) or names.are_views(lower):
        return None  # splits, views and the like below classes
    depth = len(children[0].path)
    other_way = found.layout({depth: "class", depth + 1: "-"})
    verdict = _compare(upper, lower)
    if verdict == "ask":
        found.question = (
            f"Each of the folders {list_some(upper, 4)} holds the folders {list_some(lower, 4)}, and it cannot be told"
            " which of these are the classes.",
            (other_way, found.layout({depth: "-", depth + 1: "class"})),
        )
    if verdict != "lower":
        return None
    people = names.are_ids(upper) or names.are_people(upper, [sum(f.count() for f in h) for h in by_name.values()])
    for folder in children:
        if people:
            found.patients[folder.path] = folder.name
        else:
            found.columns[folder.path] = "folder"
    found.roles[depth] = "patient" if people else "-"
    what = "patients, whose images are kept together" if people else "parts of the data, such as sites"
    found.notes.append(
        f"Each of the {len(upper)} upper folders ({list_some(upper)}) holds the same folders, so they are taken for"
        f" {what}, and the classes are the folders below ({CLASSES}). If it is the other way round: --folders"
        f" {other_way}."
    )
    return children


def _hold_same(by_name: Mapping[str, list[Folder]], subs: Mapping[str, set[str]]) -> bool:
    """Tell whether upper folders hold the same sub-folders, or nearly."""
    every = set().union(*subs.values())
    shared = {name for name in every if sum(name in s for s in subs.values()) > 1}
    counts = [(child.name, child.count()) for here in by_name.values() for f in here for child in f.folders]
    within = sum(n for name, n in counts if name in shared)
    if len(every) < 2 or within < _SHARED * sum(n for _, n in counts):
        return False
    covered = sum(len(s) for s in subs.values()) / (len(subs) * len(every))
    # Of many patients each may have a picture of one class only.
    return covered >= _SAME or (len(subs) >= 3 * len(every) and names.are_ids(list(subs)))


def _compare(upper: Sequence[str], lower: Sequence[str]) -> Literal["upper", "lower", "ask"]:
    """Tell which of two levels are the classes, where each of the upper folders holds all of the lower."""
    if names.are_ids(upper) and names.are_ids(lower):
        fewer, more = sorted((len(upper), len(lower)))
        return "ask" if 2 * fewer > more else "lower" if len(lower) == fewer else "upper"
    if names.are_ids(upper) or names.are_ids(lower):
        return "lower" if names.are_ids(upper) else "upper"
    for says in (names.name_findings, names.are_grades):
        if says(upper) != says(lower):
            return "upper" if says(upper) else "lower"
    return "ask"
