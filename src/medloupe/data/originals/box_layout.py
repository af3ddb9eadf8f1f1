"""Read originals whose images lie in one folder, with boxes in annotations beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from medloupe.data.originals.outline import Outline
from medloupe.data.originals.path_layout import ELSEWHERE
from medloupe.data.readers import folders
from medloupe.data.readers.annotations.base import MarkedPicture
from medloupe.data.readers.base import Files, ReadOptions, merge_reasons, walk
from medloupe.data.readers.boxes import Boxes, build_boxes
from medloupe.data.readers.folders import UNUSED
from medloupe.data.readers.locate import Locator
from medloupe.data.records import Dataset
from medloupe.errors import DataError

MASK = "mask of another image"
_SHARE = 0.4  # of the images seen that must be named as in the original; masks may lie beside them
Marked = tuple[Mapping[str, MarkedPicture], tuple[Path, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxLayout:
    """One expression for the images' paths, and what must lie beside them.

    Attributes
    ----------
    image : Pattern
        Of the lower end of an image's path.
    beside : str
        A file or folder whose path, below the folder that holds the images' one, must exist.
    masks : Pattern or None
        Of images that are masks of others.
    read_marked : Callable or None
        Reads what is annotated, by the image's place, and from which files; None where the ordinary readers of
        annotations know the form.
    """

    image: re.Pattern[str]
    beside: str
    masks: re.Pattern[str] | None = None
    read_marked: Callable[[Path, Sequence[str]], Marked] | None = None

    def accepts(self, options: ReadOptions) -> bool:
        """Tell whether no option was told but the task: with any other the ordinary readers read the set."""
        told = (options.labels, options.patient, options.split, options.image, options.table, options.folders)
        return not any((*told, options.annotations)) and options.task in (None, "detection")

    def recognises(self, seen: Outline) -> bool:
        """Tell whether enough images are named as in the original, and what belongs beside them lies there."""
        named = [image for image in seen.images if self.image.search(image)]
        if not named or len(named) < _SHARE * len(seen.images):
            return False
        return (seen.root / PurePosixPath(named[0]).parent.parent / self.beside).exists()

    def read(self, root: Path, options: ReadOptions) -> Dataset:
        """Read the data set.

        Raises
        ------
        DataError
            Where no image is named as in the original, or the annotations are broken.
        """
        found = walk(root)
        images = tuple(image for image in found.images if self.image.search(image))
        if not images:
            raise DataError(f"{root} holds no image that is named as in the original.", "Check the folder.")
        own = frozenset(images)
        rest = [image for image in found.images if image not in own]
        masks = [image for image in rest if self.masks and self.masks.search(image)]
        files = replace(found, images=images, tables=())
        boxes = self._read_boxes(files)
        data = folders.build(Locator(files), ReadOptions(task=options.task, unboxed=options.unboxed), "boxes", boxes)
        others = [image for image in rest if image not in masks]
        return replace(
            data, skipped=merge_reasons(data.skipped, {MASK: masks, ELSEWHERE: others, UNUSED: list(found.tables)})
        )

    def _read_boxes(self, files: Files) -> Boxes | None:
        """Read what is annotated; None where the ordinary readers look for it."""
        if self.read_marked is None:
            return None
        marked, sources = self.read_marked(files.root, files.images)
        return build_boxes(files.root, marked, kind="JSON", sources=sources)
