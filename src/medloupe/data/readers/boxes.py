"""Define Boxes: what is drawn on the images of a folder, in pixels of the upright images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medloupe.data.readers.annotations.base import MarkedPicture
from medloupe.data.readers.annotations.frames import frame_boxes
from medloupe.data.readers.base import list_some, natural_key
from medloupe.data.records import Box, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """Boxes by image, and the files they stand in.

    Attributes
    ----------
    kind : str
        "table", or the kind of annotations: "COCO", "YOLO", …
    sources : tuple of Path
        The files.
    by_place : Mapping
        Boxes by the image's place, in pixels of the upright image.
    labels : tuple of str
        Names of what they show, in their order.
    notes : tuple of str
        What there is to say of them.
    empty : frozenset of str
        Images that are known to show none: annotated, without a box.
    unplaced : Mapping
        Labels that an image is said to show without a box, by its place: neither present nor absent for a detector.
    splits : Mapping
        The split by image, where the annotation says it.
    skipped : Mapping
        Images to be left out, by reason.
    negatives : str
        How an image that shows nothing is written there, for a note.
    """

    kind: str = "table"
    sources: tuple[Path, ...]
    by_place: Mapping[str, tuple[Box, ...]]
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()
    empty: frozenset[str] = frozenset()
    unplaced: Mapping[str, frozenset[str]] = field(default_factory=dict)
    splits: Mapping[str, Split] = field(default_factory=dict)
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    negatives: str = "write a row for it in which the numbers of the box are blank"

    @property
    def stated(self) -> frozenset[str]:
        """Images of which it is known what they show, boxes or none."""
        return self.empty | self.by_place.keys() | self.unplaced.keys()


def build_boxes(
    root: Path,
    marked: Mapping[str, MarkedPicture],
    *,
    kind: str,
    sources: tuple[Path, ...],
    labels: Sequence[str] = (),
    notes: Sequence[str] = (),
    negatives: str = "",
) -> Boxes:
    """Build Boxes of what is annotated, in pixels of the upright images.

    Parameters
    ----------
    root : Path
        The data folder.
    marked : Mapping
        What is annotated, by the image's place.
    kind, sources, notes, negatives
        As Boxes has them; what is decided here is added to the notes.
    labels : sequence of str, optional
        Names declared, in their order; those that no box has are left out.

    Raises
    ------
    DataError
        Where images are of another shape than annotated.
    """
    framed = frame_boxes(root, marked)
    by_place = {place: boxes for place, boxes in framed.boxes.items() if boxes}
    unplaced = {
        place: missing
        for place, one in marked.items()
        if place in framed.boxes and (missing := one.unplaced | framed.unplaced.get(place, frozenset()))
    }
    found = {box.label for boxes in by_place.values() for box in boxes}
    order = dict.fromkeys(labels) if labels else {}
    names = (*(name for name in order if name in found), *sorted(found - order.keys(), key=natural_key))
    total = sum(map(len, by_place.values()))
    where = sources[0].name if len(sources) == 1 else f"{len(sources)} files ({kind})" if sources else f"{kind}"
    said = [f"{total} boxes on {len(by_place)} images come from {where}.", *notes, *framed.notes]
    unused = [name for name in order if name not in found]
    splits: dict[str, Split] = {
        place: one.split for place, one in marked.items() if one.split and place in framed.boxes
    }
    if unused:
        said.append(f"No box is of {list_some(unused, 5)}: left out of the labels.")
    return Boxes(
        kind=kind,
        sources=sources,
        by_place=by_place,
        labels=names,
        notes=tuple(said),
        empty=frozenset(framed.boxes.keys() - by_place.keys() - unplaced.keys()),
        unplaced=unplaced,
        splits=splits if set(splits.values()) != {"train"} else {},  # where the test part is not here
        skipped=framed.skipped,
        **({"negatives": negatives} if negatives else {}),
    )
