"""List the originals of skin that came after the HAM10000: PAD-UFES-20 and ISIC 2020."""

from __future__ import annotations

import re

from medloupe.data.originals.base import Original
from medloupe.data.originals.table_layout import TableLayout

_PAD = ("ACK", "BCC", "MEL", "NEV", "SCC", "SEK")
_ISIC_2020 = {"benign": "benign", "malignant": "malignant"}

PAD_UFES_20 = Original(
    name="pad_ufes_20",
    title="PAD-UFES-20",
    what="2,298 photographs of skin lesions by phone of 1,373 patients, six diagnoses.",
    url="https://data.mendeley.com/datasets/zr7vgbcyr2/1, also Kaggle mahdavi1202/skin-cancer",
    licence="CC BY 4.0",
    citation="Pacheco et al., PAD-UFES-20: A skin lesion dataset composed of patient data and clinical images "
    "collected from smartphones, Data in Brief 32:106221, 2020, doi 10.1016/j.dib.2020.106221",
    expected="""
PAD-UFES-20/
  metadata.csv                           patient_id, lesion_id, smoke, …, diagnostic, itch, …, img_id, biopsed
  images/imgs_part_1/PAT_1516_1765_530.png
  images/imgs_part_2/… imgs_part_3/…
""",
    patients="the column patient_id.",
    known_leaks=(
        "biopsed tells cancer from the rest, as every cancer in it was proven by biopsy, and is left out.",
        "what the patient says of the lesion (itch, grew, bleed) was asked by those who suspected the diagnosis.",
    ),
    labels=_PAD,
    layout=TableLayout(
        columns=frozenset({"imgid", "patientid", "diagnostic", "biopsed"}),
        image=re.compile(r"^PAT_\d+(?:_\d+)*\.(?:png|jpe?g)$"),
        file="img_id",
        labels="diagnostic",
        patient="patient_id",
        names={name: name for name in _PAD},
        unwanted=frozenset({"biopsed", "lesionid"}),
        renamed={"gender": "sex", "region": "localization"},
    ),
)

ISIC_2020 = Original(
    name="isic2020",
    title="ISIC 2020 (SIIM-ISIC Melanoma Classification)",
    what="33,126 dermatoscopies of 2,056 patients: malignant (melanoma, 1.8 %) or benign.",
    url="https://challenge2020.isic-archive.com, also Kaggle siim-isic-melanoma-classification",
    licence="CC BY-NC 4.0",
    citation="Rotemberg et al., A patient-centric dataset of images and metadata for identifying melanomas using "
    "clinical context, Scientific Data 8:34, 2021, doi 10.1038/s41597-021-00815-z",
    expected="""
siim-isic-melanoma-classification/
  train.csv                              image_name, patient_id, …, diagnosis, benign_malignant, target
  jpeg/train/ISIC_0015719.jpg
  jpeg/test/…                            (without diagnoses; left out)
""",
    patients="the column patient_id.",
    known_leaks=(
        "the diagnosis is unknown for four in five benign lesions, so benign against malignant is what is learned.",
        "425 images are there twice, as a list of ISIC says.",
        "HAM10000 and ISIC 2019 share sources with it: never test on one what was trained on the other.",
    ),
    labels=tuple(_ISIC_2020),
    layout=TableLayout(
        columns=frozenset({"imagename", "patientid", "diagnosis", "benignmalignant", "target"}),
        image=re.compile(r"^ISIC_\d{7}\.(?:jpe?g|png|dcm)$"),
        file="image_name",
        labels="benign_malignant",
        patient="patient_id",
        names=_ISIC_2020,
        others=re.compile(r"sample_submission", re.IGNORECASE),
        unwanted=frozenset({"diagnosis", "target", "width", "height", "lesionid"}),
        renamed={"ageapprox": "age", "anatomsitegeneralchallenge": "localization"},
    ),
)

SKIN = (PAD_UFES_20, ISIC_2020)
