"""List the originals of chest radiographs, whose tables need code.

Official lists, boxes, uncertain labels, findings as text.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from medloupe.data.originals.base import Original
from medloupe.data.originals.table_layout import Material, TableLayout
from medloupe.data.readers import box_tables
from medloupe.data.readers.base import normalise_name, sort_reasons
from medloupe.data.readers.locate import Locator
from medloupe.data.readers.sheet import Sheet
from medloupe.data.readers.stacked import SPLIT, find_column, set_column
from medloupe.data.records import Box, Dataset, Split
from medloupe.errors import DataError

# ChestX-ray14

_LISTS: dict[str, Split] = {"train_val_list.txt": "train", "test_list.txt": "test"}
_OTHER = "not an image"
_BOX_COLUMNS = frozenset({"imageindex", "findinglabel", "bboxx", "y", "w", "h"})
_BOX_LABELS = {"Infiltrate": "Infiltration"}  # the boxes' name for the same finding
_NIH_FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis", "Hernia"),
    *("Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax"),
)


def _find_lists(material: Material) -> list[str]:
    """Find where the lists of the official split lie, the upper ones first."""
    found = [place for place in material.files.skipped.get(_OTHER, ()) if place.rpartition("/")[2] in _LISTS]
    return sorted(found, key=lambda place: (place.count("/"), place))


def _add_official_split(material: Material) -> Sheet:
    sheet = material.sheet
    lists = _find_lists(material)
    if not lists:
        note = "The official lists (train_val_list.txt, test_list.txt) are not there, so no split is kept."
        return replace(sheet, notes=(*sheet.notes, note))
    split: dict[str, str] = {}
    for place in lists:
        try:
            names = (material.files.root / place).read_text("utf-8-sig").split()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{place} cannot be read ({error}).", "Download it again.") from None
        for name in names:
            split.setdefault(name, _LISTS[place.rpartition("/")[2]])
    cells = [split.get(name, "") for name in sheet.cells(find_column(sheet, "imageindex"))]
    if not any(cells):
        return replace(sheet, notes=(*sheet.notes, "The official lists name none of these images."))
    return set_column(sheet, SPLIT, cells, f"The splits are the official ones of {' and '.join(lists)}.")


def _add_boxes(data: Dataset, material: Material) -> Dataset:
    """Add the boxes that radiologists drew on a few images; their table's header is cut up by its own commas."""
    lists = frozenset(_find_lists(material))
    skipped = {why: [name for name in names if name not in lists] for why, names in data.skipped.items()}
    data = replace(data, skipped=sort_reasons(skipped))
    sheet = next((s for s in material.others.values() if {normalise_name(c) for c in s.columns} >= _BOX_COLUMNS), None)
    if sheet is None:
        return data
    straight = {"bboxx": "x", "y": "y", "w": "w", "h": "h"}
    columns = tuple(straight.get(normalise_name(name), name) for name in sheet.columns)
    found = box_tables.read(replace(sheet, columns=columns), Locator(replace(material.files, tables=())))

    def rename(box: Box) -> Box:
        return replace(box, label=_BOX_LABELS.get(box.label, box.label))

    records = tuple(replace(r, boxes=tuple(map(rename, found.by_place.get(r.id, ())))) for r in data.records)
    return replace(data, records=records, notes=(*data.notes, *found.notes))


CHESTXRAY14 = Original(
    name="chestxray14",
    title="NIH ChestX-ray14",
    what="112,120 chest radiographs of 30,805 adults and children, 14 findings, 984 boxes on 880 images.",
    url="https://nihcc.app.box.com/v/ChestXray-NIHCC, also Kaggle nih-chest-xrays/data",
    licence="no restriction on use; cite the paper and name the NIH Clinical Center",
    citation="Wang et al., ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on Weakly-Supervised "
    "Classification and Localization of Common Thorax Diseases, CVPR 2017, arXiv:1705.02315",
    expected="""
ChestXray14/
  Data_Entry_2017.csv                    Image Index, Finding Labels, Follow-up #, Patient ID, …
  train_val_list.txt, test_list.txt      (the official split)
  BBox_List_2017.csv                     (boxes)
  images_001/images/00000001_000.png     (or all in images/)
  images_002/images/…
""",
    patients="the column Patient ID.",
    known_leaks=(
        "the labels were mined from reports: noisy, Pneumonia most of all.",
        "the view (AP, of patients in bed) goes with the finding, which is a shortcut.",
        "tubes and drains of treated patients show in the picture, most of all with Pneumothorax.",
    ),
    labels=_NIH_FINDINGS,
    layout=TableLayout(
        columns=frozenset({"imageindex", "findinglabels", "followup", "patientid"}),
        image=re.compile(r"^\d{8}_\d{3}\.(?:png|jpe?g)$"),
        file="Image Index",
        labels="Finding Labels",
        patient="Patient ID",
        asked=(_BOX_COLUMNS,),
        prepare=_add_official_split,
        unwanted=frozenset({"originalimagewidth", "originalimageheight", "height", "originalimagepixelspacingx", "y"})
        | {"originalimagepixelspacingy"},
        renamed={"patientage": "age", "patientgender": "sex", "patientsex": "sex", "viewposition": "view"},
        complete=_add_boxes,
    ),
)

# CheXpert

CHEXPERT_FINDINGS = (
    *("Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation"),
    *("Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices"),
)


def fill_unmentioned(sheet: Sheet) -> Sheet:
    """Set blank cells of CheXpert's findings to 0, as in the paper; -1 stays, and is read as missing."""
    at = {k for k, name in enumerate(sheet.columns) if name in CHEXPERT_FINDINGS}
    counts = Counter(row[k] for row in sheet.rows for k in at)
    uncertain = counts["-1.0"] + counts["-1"]
    rows = tuple(tuple(cell or "0" if k in at else cell for k, cell in enumerate(row)) for row in sheet.rows)
    notes = (
        f"{counts['']} blank cells: a finding that the report does not mention counts as absent, as in the paper.",
        f"{uncertain} uncertain cells (-1) are missing, neither present nor absent (U-Ignore).",
    )
    return replace(sheet, rows=rows, notes=(*sheet.notes, *notes))


CHEXPERT = Original(
    name="chexpert",
    title="CheXpert",
    what="224,316 chest radiographs of 65,240 patients, 13 findings with uncertain labels.",
    url="https://stanfordmlgroup.github.io/competitions/chexpert/",
    licence="Stanford University Dataset Research Use Agreement: research only, no sharing",
    citation="Irvin et al., CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and Expert Comparison, "
    "AAAI 2019, arXiv:1901.07031",
    expected="""
CheXpert-v1.0-small/
  train.csv                              Path, Sex, Age, Frontal/Lateral, AP/PA, No Finding, …
  valid.csv                              (read as val)
  train/patient00001/study1/view1_frontal.jpg
  valid/patient64541/study1/view1_frontal.jpg
""",
    patients="the folder of the patient (patient00001).",
    known_leaks=(
        "train was labelled by a program from reports, valid by three radiologists.",
        "the view (AP, of patients in bed) goes with the finding, which is a shortcut.",
        "Support Devices are seen in patients who are ill for other reasons.",
    ),
    labels=CHEXPERT_FINDINGS,
    layout=TableLayout(
        columns=frozenset({"path", "frontallateral", "appa", "nofinding", "cardiomegaly", "supportdevices"}),
        image=re.compile(r"^view\d+_(?:frontal|lateral)\.(?:jpe?g|png)$"),
        file="Path",
        labels=",".join(CHEXPERT_FINDINGS),
        patient=r"patient\d+",
        prepare=lambda material: fill_unmentioned(material.sheet),
        unwanted=frozenset(map(normalise_name, (*CHEXPERT_FINDINGS, "No Finding"))),
        renamed={"sex": "sex", "age": "age", "appa": "view", "frontallateral": "side"},
        once=False,
    ),
)

# The COVID-19 image data collection

_OTHER_PNEUMONIA = re.compile(
    r"pneumoni|pneumocystis|streptococcus|klebsiella|legionella|chlamydophila|mycoplasma|e\.\s?coli|varicella|"
    r"influenza|lipoid|\bsars\b|\bmers\b|h1n1|herpes|nocardia|staphylococcus|aspergillosis",
    re.I,
)


def _add_diagnosis(material: Material) -> Sheet:
    """Add one of three answers from the column `finding`; CT slices and all else state nothing."""
    sheet = material.sheet
    findings = sheet.cells(find_column(sheet, "finding"))
    tomographies = [normalise_name(cell) not in ("xray", "") for cell in sheet.cells(find_column(sheet, "modality"))]
    cells = ["" if ct else _diagnosis_of(finding) for finding, ct in zip(findings, tomographies, strict=True)]
    notes = [f"{sum(tomographies)} rows are CT slices and count as unlabelled."] if any(tomographies) else []
    return set_column(sheet, "diagnosis", cells, *notes)


def _diagnosis_of(finding: str) -> str:
    if "covid" in finding.lower():
        return "COVID-19"
    if normalise_name(finding) in ("nofinding", "normal"):
        return "No Finding"
    return "other_pneumonia" if _OTHER_PNEUMONIA.search(finding) else ""


COVID = Original(
    name="covid_chestxray",
    title="COVID-19 image data collection (ieee8023)",
    what="About 950 chest radiographs and CT slices from publications: COVID-19, other pneumonia, no finding.",
    url="https://github.com/ieee8023/covid-chestxray-dataset",
    licence="each image its own, in the column license (CC BY, CC BY-NC-SA, Apache 2.0 or not stated)",
    citation="Cohen et al., COVID-19 Image Data Collection: Prospective Predictions Are the Future, Journal of Machine "
    "Learning for Biomedical Imaging, 2020, arXiv:2006.11988",
    expected="""
covid-chestxray-dataset/
  metadata.csv                           patientid, offset, sex, age, finding, …, view, modality, …, filename
  images/01E392EE-69F9-4E33-BFCE-E5C968654078.jpeg
""",
    patients="the column patientid.",
    known_leaks=(
        "the notes often name the disease, and stay and outcome are known only afterwards; all are left out.",
        "the images are cut from publications of many sites; what is written on them tells the source.",
        "there are hardly any normal images, and those of other diseases come from other sources.",
    ),
    labels=("COVID-19", "other_pneumonia", "No Finding"),
    layout=TableLayout(
        columns=frozenset({"patientid", "finding", "view", "modality", "folder", "filename", "clinicalnotes"}),
        image=re.compile(r"\.(?:jpe?g|png)$", re.I),
        file="filename",
        labels="diagnosis",
        patient="patientid",
        names={name: name for name in ("COVID-19", "other_pneumonia", "No Finding")},
        prepare=_add_diagnosis,
        unwanted=frozenset(
            {"finding", "rtpcrpositive", "survival", "intubated", "intubationpresent", "wenticu", "inicu", "offset"}
            | {"neededsupplementalo2", "extubated", "clinicalnotes", "othernotes", "doi", "url", "license", "date"}
            | {"folder"}
        ),
    ),
)

CHEST = (CHESTXRAY14, CHEXPERT, COVID)
