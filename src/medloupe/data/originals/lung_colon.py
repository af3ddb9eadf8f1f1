"""Read LC25000, whose five classes lie in a folder for each organ."""

from __future__ import annotations

import re

from medloupe.data.originals.base import Original
from medloupe.data.originals.path_layout import PathLayout

_CLASSES = ("colon_aca", "colon_n", "lung_aca", "lung_n", "lung_scc")

LC25000 = Original(
    name="lc25000",
    title="LC25000",
    what="25,000 histologies of lung and colon: adenocarcinoma, squamous cell carcinoma, benign tissue.",
    url="https://github.com/tampapath/lung_colon_image_set, also Kaggle "
    "andrewmvd/lung-and-colon-cancer-histopathological-images",
    licence="free to download for research, as its authors say",
    citation="Borkowski et al., Lung and Colon Cancer Histopathological Image Dataset (LC25000), arXiv:1912.12142, "
    "2019",
    expected="""
lung_colon_image_set/
  colon_image_sets/colon_aca/colonca1.jpeg
  colon_image_sets/colon_n/colonn1.jpeg
  lung_image_sets/lung_aca/lungaca1.jpeg
  lung_image_sets/lung_n/… lung_image_sets/lung_scc/…
""",
    patients="none are known; copies and near copies are kept together instead.",
    known_leaks=(
        "25,000 images were made from 1,250 by turning and mirroring them: about 20 copies of each are there, and those"
        " that are not recognised stand on both sides of a fold. No figure on this set says much about other slides.",
    ),
    labels=_CLASSES,
    layout=PathLayout(
        pattern=re.compile(
            r"(?:^|/)(?P<label>colon_aca|colon_n|lung_aca|lung_n|lung_scc)/"
            r"(?:colonca|colonn|lungaca|lungn|lungscc)\d+\.(?:jpe?g|png)$"
        ),
        labels={name: name for name in _CLASSES},
    ),
)
