"""List the originals of skin and eyes, whose table names the images."""

from __future__ import annotations

import re

from medloupe.data.originals.base import Original
from medloupe.data.originals.table_layout import Material, TableLayout
from medloupe.data.readers.base import normalise_name
from medloupe.data.readers.sheet import Sheet
from medloupe.data.readers.stacked import find_column, set_column

_ISIC_FILE = re.compile(r"^ISIC_\d{7}")
_ONE_HOT = ("MEL", "NV", "BCC", "AK", "AKIEC", "BKL", "DF", "VASC", "SCC")
_LESIONS = frozenset({"image", "lesionid"})
_HAM = (
    "Tschandl, Rosendahl and Kittler, The HAM10000 dataset, a large collection of multi-source dermatoscopic images "
    "of common pigmented skin lesions, Scientific Data 5:180161, 2018, doi 10.1038/sdata.2018.161"
)


def _add_lesions(material: Material) -> Sheet:
    """Make one diagnosis of one-hot columns; take lesion, age, sex and site from the table beside."""
    sheet = material.sheet
    marks = [(name, sheet.columns.index(name)) for name in _ONE_HOT if name in sheet.columns]
    unsure = sum(all(_number_or_zero(row[k]) != 1 for _, k in marks) for row in sheet.rows)
    # UNK, and rows of a test whose answers are not published, state nothing.
    diagnoses = [next((name.lower() for name, k in marks if _number_or_zero(row[k]) == 1), "") for row in sheet.rows]
    notes = [f"{unsure} rows name none of the classes."] if unsure else []
    beside: dict[str, dict[str, str]] = {}
    for other in material.others.values():
        header = {normalise_name(name): k for k, name in enumerate(other.columns)}
        if "mel" in header or not header.keys() >= _LESIONS:
            continue
        for row in other.rows:
            beside[row[header["image"]]] = {name: row[k] for name, k in header.items()}
    if not beside:
        notes.append("No table of lesions lies there, so images of one lesion are not kept together.")
    sheet = set_column(sheet, "diagnosis", diagnoses, *notes)
    files = sheet.cells(find_column(sheet, "image"))
    for name in ("lesionid", "ageapprox", "sex", "anatomsitegeneral"):
        sheet = set_column(sheet, _SPOKEN.get(name, name), (beside.get(file, {}).get(name, "") for file in files))
    return sheet


_SPOKEN = {"lesionid": "lesion_id", "ageapprox": "age", "anatomsitegeneral": "localization"}


def _number_or_zero(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return 0.0


def _isic_layout(classes: frozenset[str], names: dict[str, str]) -> TableLayout:
    return TableLayout(
        columns=frozenset({"image", "mel", "nv", "bcc", "bkl", "df", "vasc"}) | classes,
        image=_ISIC_FILE,
        file="image",
        labels="diagnosis",
        patient="lesion_id",
        names=names,
        asked=(_LESIONS,),
        prepare=_add_lesions,
        unwanted=frozenset(map(str.lower, _ONE_HOT)) | {"unk", "scoreweight", "validationweight"},
    )


def _add_eye(material: Material) -> Sheet:
    """Add the eye's own diagnosis, which the table has as a list of one letter."""
    sheet = material.sheet
    name = find_column(sheet, "labels")
    cells = [re.sub(r"[\[\]'\"\s]", "", cell) for cell in sheet.cells(name)]
    sheet = set_column(sheet, "eye_label", cells)
    eyes = ["left" if "_left" in file else "right" for file in sheet.cells(find_column(sheet, "filename"))]
    return set_column(sheet, "eye", eyes)


def _clean_grades(material: Material) -> Sheet:
    """Write grades that passed through other tools, and come as 2.0, as whole numbers."""
    sheet = material.sheet
    name = find_column(sheet, "diagnosis")
    return set_column(sheet, name, [cell.removesuffix(".0") for cell in sheet.cells(name)])


_GRADES = {"0": "0_no_dr", "1": "1_mild", "2": "2_moderate", "3": "3_severe", "4": "4_proliferative"}
_EYE = {
    "N": "normal",
    "D": "diabetes",
    "G": "glaucoma",
    "C": "cataract",
    "A": "macular degeneration",
    "H": "hypertension",
    "M": "myopia",
    "O": "other",
}
_DX = {name: name for name in ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")}
_DX_2019 = {name: name for name in ("ak", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc")}

HAM10000 = Original(
    name="ham10000",
    title="HAM10000",
    what="10,015 dermatoscopies of pigmented skin lesions, seven diagnoses.",
    url="https://doi.org/10.7910/DVN/DBW86T, also Kaggle kmader/skin-cancer-mnist-ham10000",
    licence="CC BY-NC 4.0",
    citation=_HAM,
    expected="""
HAM10000/
  HAM10000_metadata.csv                  lesion_id, image_id, dx, dx_type, age, sex, localization
  HAM10000_images_part_1/ISIC_0024306.jpg
  HAM10000_images_part_2/ISIC_0029306.jpg
""",
    patients="the lesion (lesion_id), as patients are not given.",
    known_leaks=(
        "several images of one lesion; splits made by image have it on both sides.",
        "dx_type (how the diagnosis was made) tells benign from malignant and is left out.",
        "one patient's other lesions cannot be told apart.",
    ),
    labels=tuple(_DX.values()),
    layout=TableLayout(
        columns=frozenset({"lesionid", "imageid", "dx", "dxtype"}),
        image=_ISIC_FILE,
        file="image_id",
        labels="dx",
        patient="lesion_id",
        names=_DX,
        unwanted=frozenset({"dxtype"}),
    ),
)

ISIC_2018 = Original(
    name="isic2018",
    title="ISIC 2018, task 3",
    what="10,015 dermatoscopies for training, 193 for validation and 1,512 for testing, seven diagnoses.",
    url="https://challenge.isic-archive.com/data/#2018",
    licence="CC BY-NC 4.0",
    citation=f"{_HAM}; Codella et al., Skin Lesion Analysis Toward Melanoma Detection 2018, arXiv:1902.03368",
    expected="""
ISIC2018/
  ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv   image, MEL, NV, BCC, AKIEC, …
  ISIC2018_Task3_Training_LesionGroupings.csv                                   image, lesion_id
  ISIC2018_Task3_Training_Input/ISIC_0024306.jpg
  ISIC2018_Task3_Test_GroundTruth/… ISIC2018_Task3_Test_Input/…                 (if downloaded)
""",
    patients="the lesion (lesion_id of the LesionGroupings table), as patients are not given.",
    known_leaks=(
        "its training part is HAM10000: never test on one what was trained on the other.",
        "without the LesionGroupings table, images of one lesion lie on both sides of a fold.",
    ),
    labels=tuple(_DX.values()),
    layout=_isic_layout(frozenset({"akiec"}), _DX),
)

ISIC_2019 = Original(
    name="isic2019",
    title="ISIC 2019",
    what="25,331 dermatoscopies, eight diagnoses.",
    url="https://challenge.isic-archive.com/data/#2019",
    licence="CC BY-NC 4.0",
    citation=f"{_HAM}; Codella et al., arXiv:1710.05006; Combalia et al., BCN20000, arXiv:1908.02288",
    expected="""
ISIC2019/
  ISIC_2019_Training_GroundTruth.csv     image, MEL, NV, BCC, AK, BKL, DF, VASC, SCC, UNK
  ISIC_2019_Training_Metadata.csv        image, age_approx, anatom_site_general, lesion_id, sex
  ISIC_2019_Training_Input/ISIC_0000000.jpg
""",
    patients="the lesion (lesion_id of the Metadata table), as patients are not given; some images have none.",
    known_leaks=(
        "HAM10000 and ISIC 2018 are part of it: never test on these what was trained on it.",
        "about 2,000 images have no lesion_id and may have a sister on the other side of a fold.",
        "its three sources differ in image size and in their diagnoses, which is a shortcut.",
    ),
    labels=tuple(_DX_2019.values()),
    layout=_isic_layout(frozenset({"ak", "scc"}), _DX_2019),
)

APTOS = Original(
    name="aptos2019",
    title="APTOS 2019 Blindness Detection",
    what="3,662 fundus photographs with five grades of diabetic retinopathy.",
    url="https://www.kaggle.com/c/aptos2019-blindness-detection",
    licence="rules of the Kaggle competition",
    citation="Karthik, Maggie and Dane, APTOS 2019 Blindness Detection, Kaggle, 2019",
    expected="""
aptos2019-blindness-detection/
  train.csv                              id_code, diagnosis (0 to 4)
  train_images/000c1434d8d7.png
  test.csv, test_images/…                (without grades; left out)
""",
    patients="none are known, though both eyes of a patient may be there; copies are kept together instead.",
    known_leaks=(
        "both eyes of a patient may lie on both sides of a fold, and cannot be told.",
        "some images are there twice, a few of them under different grades.",
        "image size and black border differ between cameras and go with the grade.",
    ),
    labels=tuple(_GRADES.values()),
    layout=TableLayout(
        columns=frozenset({"idcode", "diagnosis"}),
        image=re.compile(r"^[0-9a-f]{12}\.(?:png|jpe?g)$"),
        file="id_code",
        labels="diagnosis",
        names=_GRADES,
        others=re.compile(r"sample_submission", re.I),  # a grade of 0 for every test image
        prepare=_clean_grades,
    ),
)

ODIR = Original(
    name="odir5k",
    title="ODIR-5K",
    what="6,392 fundus photographs of both eyes, eight kinds of finding.",
    url="https://odir2019.grand-challenge.org, also Kaggle andrewmvd/ocular-disease-recognition-odir5k",
    licence="not stated; for research only",
    citation="Peking University International Competition on Ocular Disease Intelligent Recognition, 2019, "
    "odir2019.grand-challenge.org",
    expected="""
ocular-disease-recognition-odir5k/
  full_df.csv                            ID, Patient Age, Patient Sex, …, labels, target, filename
  ODIR-5K/ODIR-5K/Training Images/0_left.jpg
  preprocessed_images/0_left.jpg         (the same, smaller; left out)
""",
    patients="the column ID: both eyes of a patient stay together.",
    known_leaks=(
        "the keywords of the doctors state the diagnosis and are left out.",
        "the label of an eye was derived from keywords, of which an eye may have several.",
    ),
    labels=tuple(_EYE.values()),
    layout=TableLayout(
        columns=frozenset({"id", "leftfundus", "rightfundus", "labels", "filename"}),
        image=re.compile(r"^\d+_(?:left|right)\.(?:jpe?g|png)$"),
        file="filename",
        labels="eye_label",
        patient="ID",
        names=_EYE,
        prepare=_add_eye,
        unwanted=frozenset(map(str.lower, _EYE))
        | {"leftfundus", "rightfundus", "leftdiagnostickeywords", "rightdiagnostickeywords"}
        | {"labels", "target", "filepath"},
        renamed={"patientage": "age", "patientsex": "sex"},
        preferred="Training Images",
    ),
)

LISTED = (HAM10000, ISIC_2018, ISIC_2019, APTOS, ODIR)
