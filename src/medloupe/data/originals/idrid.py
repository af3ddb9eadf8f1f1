"""Read IDRiD, whose training and testing images go by the same names, each with a table of its own."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from medloupe.data.originals.base import Original
from medloupe.data.originals.table_layout import Material, TableLayout
from medloupe.data.readers.folder_names import find_split
from medloupe.data.readers.sheet import Sheet
from medloupe.data.readers.stacked import SPLIT, find_column, set_column

_FILE = re.compile(r"^IDRiD_\d{3}\.(?:jpe?g|png)$", re.I)
_GRADES = {"0": "0_no_dr", "1": "1_mild", "2": "2_moderate", "3": "3_severe", "4": "4_proliferative"}


def _name_files(material: Material) -> Sheet:
    """Write the whole path of each image into the table: names alone stand for two images, one of each part."""
    places: dict[tuple[str, str | None], str] = {}
    # Of the parts of the whole download, that of grading lies deepest in the alphabet of its folders' names.
    for image in sorted(material.files.images, key=lambda image: ("grading" in image.lower(), image)):
        split = next((s for part in image.split("/")[:-1] if (s := find_split(part))), None)
        places[PurePosixPath(image).stem, split] = image
    sheet = material.sheet
    column = find_column(sheet, "imagename")
    splits = sheet.cells(SPLIT) if SPLIT in sheet.columns else [find_split(sheet.path.stem)] * len(sheet.rows)
    files = [
        places.get((name, split)) or places.get((name, None)) or f"{split}/{name}"
        for name, split in zip(sheet.cells(column), splits, strict=True)
    ]
    return set_column(sheet, column, files)


IDRID = Original(
    name="idrid",
    title="IDRiD, disease grading",
    what="516 fundus photographs with five grades of diabetic retinopathy, and the risk of macular oedema.",
    url="https://ieee-dataport.org/open-access/indian-diabetic-retinopathy-image-dataset-idrid",
    licence="CC BY 4.0",
    citation="Porwal et al., Indian Diabetic Retinopathy Image Dataset (IDRiD), Data 3(3):25, 2018, "
    "doi 10.3390/data3030025",
    expected="""
B. Disease Grading/
  1. Original Images/a. Training Set/IDRiD_001.jpg
  1. Original Images/b. Testing Set/IDRiD_001.jpg       (another eye of the same name)
  2. Groundtruths/a. IDRiD_Disease Grading_Training Labels.csv
  2. Groundtruths/b. IDRiD_Disease Grading_Testing Labels.csv
""",
    patients="none are known, though both eyes of a patient may be there; copies are kept together instead.",
    known_leaks=("both eyes of a patient cannot be told apart and may lie on both sides.",),
    labels=tuple(_GRADES.values()),
    layout=TableLayout(
        columns=frozenset({"imagename", "retinopathygrade", "riskofmacularedema"}),
        image=_FILE,
        file="Image name",
        labels="Retinopathy grade",
        names=_GRADES,
        prepare=_name_files,
        unwanted=frozenset({"riskofmacularedema"}),
        once=False,
    ),
)
