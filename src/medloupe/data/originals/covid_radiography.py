"""Read the COVID-19 Radiography Database, whose outlines of lungs lie in folders beside the radiographs."""

from __future__ import annotations

import re

from medloupe.data.originals.base import Original
from medloupe.data.originals.path_layout import PathLayout
from medloupe.data.readers.derived import MASK

_CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")

COVID_RADIOGRAPHY = Original(
    name="covid19_radiography",
    title="COVID-19 Radiography Database",
    what="21,165 chest radiographs: COVID-19, other lung opacity, normal, viral pneumonia, with outlines of the lungs.",
    url="Kaggle tawsifurrahman/covid19-radiography-database",
    licence="as each source states; for research, with citation",
    citation="Chowdhury et al., Can AI Help in Screening Viral and COVID-19 Pneumonia?, IEEE Access 8:132665-132676, "
    "2020, doi 10.1109/ACCESS.2020.3010287; Rahman et al., Computers in Biology and Medicine 132:104319, 2021, "
    "doi 10.1016/j.compbiomed.2021.104319",
    expected="""
COVID-19_Radiography_Dataset/
  COVID/images/COVID-1.png
  COVID/masks/COVID-1.png                (an outline of the lungs; left out)
  Lung_Opacity/… Normal/… Viral Pneumonia/…
""",
    patients="none are known; copies and near copies are kept together instead.",
    known_leaks=(
        "the classes come from different sources: viral pneumonia and part of normal are of small children.",
        "images of one patient cannot be told apart and may lie on both sides of a fold.",
    ),
    labels=_CLASSES,
    layout=PathLayout(
        pattern=re.compile(
            r"(?:^|/)(?P<label>COVID|Lung_Opacity|Normal|Viral Pneumonia)/(?:images/)?(?P=label)-\d+\.png$"
        ),
        labels={name: name for name in _CLASSES},
        others={MASK: re.compile(r"(?:^|/)masks/", re.I)},
    ),
)
