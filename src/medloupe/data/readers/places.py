"""Say for each image what the folders above it tell: class, split, patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medloupe.data.readers import folder_names as names
from medloupe.data.readers.base import list_some, natural_key, sort_reasons
from medloupe.data.readers.cells import states_label
from medloupe.data.readers.class_folders import name_classes
from medloupe.data.readers.folder_tree import build_tree
from medloupe.data.readers.levels import CLASSES, LOOSE, Levels
from medloupe.data.readers.upper_folders import enter_wrappers, find_parents
from medloupe.data.records import Split
from medloupe.errors import DataError, QuestionError

_ROLES = ("class", "split", "patient", "-")


@dataclass(frozen=True, slots=True)
class Places:
    """What the folders say of each image.

    Attributes
    ----------
    labels : Mapping
        The class by image.
    splits : Mapping
        The split by image.
    skipped : Mapping
        Images that lie in no class folder, by reason.
    notes : tuple of str
        What was decided.
    patients : Mapping
        The patient by image, where folders are patients.
    columns : Mapping
        What other folders say (date, site, fold, folder) by image.
    question : tuple of (str, tuple of str) or None
        What cannot be told, and the layouts (as --folders takes them) that answer it.
    """

    labels: Mapping[str, str]
    splits: Mapping[str, Split]
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    patients: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    question: tuple[str, tuple[str, ...]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Class names; none when the folders are named after what files are, or after parts of the data."""
        found = set(self.labels.values())
        if all(map(names.says_nothing, found)):
            return ()
        return tuple(sorted((name for name in found if states_label(name)), key=natural_key))

    def require_sure(self) -> None:
        """Raise QuestionError, with the options that answer it, where it cannot be told which folders are classes."""
        if self.question:
            asked, layouts = self.question
            raise QuestionError(asked, [f"--folders {layout}" for layout in layouts])


def read_places(images: Sequence[str], layout: str | None = None) -> Places:
    """Read classes, splits and patients off the folders of images.

    Parameters
    ----------
    images : sequence of str
        Relative paths with forward slashes.
    layout : str, optional
        What the folders are, from the top, as --folders takes it; else that is found out.

    Raises
    ------
    DataError
        For a layout that makes no sense, or that no image has.
    """
    if layout is not None:
        return _read_told(images, layout)
    found = Levels()
    top = build_tree(images)
    entered = enter_wrappers([top])
    if entered != [top]:
        found.notes.append(f"The data lies in {'/'.join(entered[0].path)}.")
    name_classes(find_parents(entered, found), found)
    return _collect(images, found)


def _collect(images: Sequence[str], found: Levels) -> Places:
    """Give each image what was decided of the folders above it."""
    labels: dict[str, str] = {}
    splits: dict[str, Split] = {}
    patients: dict[str, str] = {}
    columns: dict[str, dict[str, str]] = {}
    out = {image for left in found.skipped.values() for image in left}
    for image in images:
        if image in out:
            continue
        parts = tuple(image.split("/")[:-1])
        for path in (parts[:k] for k in range(1, len(parts) + 1)):
            if path in found.classes:
                labels[image] = found.classes[path]
            if path in found.splits:
                splits[image] = found.splits[path]
            if path in found.patients:
                patients[image] = found.patients[path]
            if path in found.columns:
                columns.setdefault(image, {}).setdefault(found.columns[path], path[-1])
    said = list_some(sorted(set(labels.values()), key=natural_key), 4)
    notes = tuple(note.replace(CLASSES, said) for note in found.notes)
    return Places(labels, splits, sort_reasons(found.skipped), notes, patients, columns, found.question)


def _read_told(images: Sequence[str], layout: str) -> Places:
    """Read folders as a person says that they are."""
    roles = [role.strip() for role in layout.strip("/").split("/")]
    told = [role for role in roles if role in ("class", "split", "patient")]
    if roles.count("class") != 1 or len(told) > len(set(told)) or not all(roles):
        raise DataError(
            f"--folders {layout!r} is no layout.",
            "Give what the folders are from the top, joined by '/': one is class, the others split, patient, - or a"
            " word of your own, such as split/class, class/patient or site/class.",
        )
    labels: dict[str, str] = {}
    splits: dict[str, Split] = {}
    patients: dict[str, str] = {}
    columns: dict[str, dict[str, str]] = {}
    loose: list[str] = []
    for image in images:
        said = dict(zip(roles, image.split("/")[:-1], strict=False))
        if "class" not in said:
            loose.append(image)
            continue
        labels[image] = said["class"]
        if "split" in said and (split := names.find_split(said["split"])):
            splits[image] = split
        if "patient" in said:
            patients[image] = said["patient"]
        columns[image] = {role: name for role, name in said.items() if role not in _ROLES}
    if not labels:
        raise DataError(
            f"--folders {layout!r}: no image lies {roles.index('class') + 1} folders deep, such as {images[:1]}.",
            "Count from the folder that is given; '-' passes one over.",
        )
    notes = (f"The folders are read as told: {layout}.",)
    return Places(labels, splits, sort_reasons({LOOSE: loose}), notes, patients, columns)
