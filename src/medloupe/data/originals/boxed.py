"""List the originals of microscopy and endoscopy whose images have boxes: BCCD and Kvasir-SEG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from medloupe.data.originals.base import Original
from medloupe.data.originals.box_layout import BoxLayout, Marked
from medloupe.data.readers.annotations.base import MarkedPicture, box_from_corners, parse_number
from medloupe.data.readers.annotations.documents import read_json
from medloupe.errors import DataError

_KVASIR_BOXES = "kavsir_bboxes.json"  # as the download spells it
_CORNERS = ("xmin", "ymin", "xmax", "ymax")

BCCD = Original(
    name="bccd",
    title="BCCD (blood cell count and detection)",
    what="364 fields of stained blood smears with boxes of red cells, white cells and platelets.",
    url="https://github.com/Shenggan/BCCD_Dataset",
    licence="MIT",
    citation="shenggan, BCCD Dataset, https://github.com/Shenggan/BCCD_Dataset, 2017; pictures by cosmicad and "
    "akshaylamba",
    expected="""
BCCD_Dataset/
  BCCD/JPEGImages/BloodImage_00000.jpg
  BCCD/Annotations/BloodImage_00000.xml  (Pascal VOC)
  BCCD/ImageSets/Main/train.txt, val.txt, test.txt
""",
    patients="none are known; near copies are kept together instead.",
    known_leaks=(
        "fields of one smear cannot be told apart and may lie on both sides of a fold.",
        "some cells that can be seen have no box, mostly red ones; marks on them count as mistakes.",
        "one box has no size.",
    ),
    labels=("Platelets", "RBC", "WBC"),
    layout=BoxLayout(image=re.compile(r"(?:^|/)JPEGImages/BloodImage_\d{5}\.jpe?g$"), beside="Annotations"),
)


def _read_kvasir(root: Path, images: Sequence[str]) -> Marked:
    """Read the boxes of Kvasir-SEG: a JSON object by the images' stems. Raises DataError."""
    place = root / PurePosixPath(images[0]).parent.parent / _KVASIR_BOXES
    said: Any = read_json(place)
    by_stem = {PurePosixPath(image).stem: image for image in images}
    if not isinstance(said, dict):
        raise DataError(f"{place} is no object of images.", "Download it again.")
    marked = {}
    for stem, entry in said.items():
        if stem not in by_stem:
            continue
        listed = entry.get("bbox") if isinstance(entry, dict) else None
        if not isinstance(listed, list):
            raise DataError(f"{place}: {stem} has no list of boxes.", "Download it again.")
        boxes = []
        for at, box in enumerate(listed):
            where = f"{place}, {stem}, box {at + 1}"
            if not isinstance(box, dict):
                raise DataError(f"{where} is no object.", "Download it again.")
            numbers = [parse_number(box.get(name), f"{name} in pixels", where) for name in _CORNERS]
            boxes.append(box_from_corners(str(box.get("label") or "polyp"), numbers))
        size = None
        width, height = entry.get("width"), entry.get("height")
        if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
            size = (width, height)
        marked[by_stem[stem]] = MarkedPicture(
            name=by_stem[stem],
            source=place,
            boxes=tuple(boxes),
            size=size,
        )
    return marked, (place,)


KVASIR_SEG = Original(
    name="kvasir_seg",
    title="Kvasir-SEG",
    what="1,000 colonoscopy images with polyps, their outlines and boxes.",
    url="https://datasets.simula.no/kvasir-seg/",
    licence="research and education only, as its authors say",
    citation="Jha et al., Kvasir-SEG: A segmented polyp dataset, MultiMedia Modeling, 451-462, 2020, "
    "doi 10.1007/978-3-030-37734-2_37",
    expected="""
Kvasir-SEG/
  images/cju0qkwl35piu0993l0dewei2.jpg
  masks/cju0qkwl35piu0993l0dewei2.jpg    (an outline; left out)
  kavsir_bboxes.json
""",
    patients="none are known; near copies are kept together instead.",
    known_leaks=(
        "images of one patient and video cannot be told apart and may lie on both sides of a fold.",
        "every image has a polyp, so how often it marks none is not known.",
        "text and a picture of the endoscope's position are burnt into many.",
    ),
    labels=("polyp",),
    layout=BoxLayout(
        image=re.compile(r"(?:^|/)images/c[a-z0-9]{24}\.(?:jpe?g|png)$"),
        masks=re.compile(r"(?:^|/)masks/c[a-z0-9]{24}\.(?:jpe?g|png)$"),
        beside=_KVASIR_BOXES,
        read_marked=_read_kvasir,
    ),
)

BOXED = (BCCD, KVASIR_SEG)
