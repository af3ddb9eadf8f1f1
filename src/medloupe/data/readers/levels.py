"""Hold what was decided of each level of folders: splits, groups, classes, patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from medloupe.data.readers.base import list_some, natural_key
from medloupe.data.readers.folder_tree import Folder
from medloupe.data.records import Split

COPY = "an augmented or processed copy"
OUTSIDE = "outside the split folders"
LOOSE = "in no class folder"
CLASSES = "{classes}"  # stands in a note for the classes, which are known at the end
DEEPEST = 12  # levels of folders that are looked at


@dataclass(slots=True)
class Levels:
    """What has been decided of a tree; folders go by their path from the top.

    Attributes
    ----------
    classes : dict
        The class by the path of its folder.
    splits, patients : dict
        Split and patient by the path of a folder.
    columns : dict
        By the path of a folder, the name of the column that keeps its own name.
    roles : dict
        By depth, 1 at the top, what the folders there are, as --folders takes it.
    skipped : dict
        Images left out, by reason.
    notes : list of str
        What was decided, one sentence each.
    question : tuple of (str, tuple of str) or None
        What is asked, and the layouts that answer it.
    """

    classes: dict[tuple[str, ...], str] = field(default_factory=dict)
    splits: dict[tuple[str, ...], Split] = field(default_factory=dict)
    patients: dict[tuple[str, ...], str] = field(default_factory=dict)
    columns: dict[tuple[str, ...], str] = field(default_factory=dict)
    roles: dict[int, str] = field(default_factory=dict)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    question: tuple[str, tuple[str, ...]] | None = None

    def layout(self, told: dict[int, str]) -> str:
        """Write the layout, as --folders takes it, down to the last level told, which goes before what was decided."""
        return "/".join(told.get(depth) or self.roles.get(depth, "-") for depth in range(1, max(told) + 1))

    def leave_out(self, reason: str, folders: Sequence[Folder]) -> None:
        """Leave out all images in these folders; of copies it is said why."""
        left = [image for folder in folders for image in folder.all_images()]
        if not left:
            return
        self.skipped.setdefault(reason, []).extend(left)
        if reason == COPY:
            self.notes.append(
                f"{len(left)} images in {list_names(folders)} are taken for copies made of the others and left out, as"
                " a copy in another fold than its original makes figures too good. To read them, move them elsewhere"
                " and give that folder."
            )


def list_names(folders: Sequence[Folder], most: int = 4) -> str:
    """Write the first few names of folders, each once."""
    return list_some(sorted({folder.name for folder in folders}, key=natural_key), most)
