"""List the originals of chest radiographs whose labels were read out of reports: MIMIC-CXR-JPG and PadChest."""

from __future__ import annotations

import re
from dataclasses import replace

from medloupe.data.originals.base import Original
from medloupe.data.originals.chest import CHEXPERT_FINDINGS, fill_unmentioned
from medloupe.data.originals.table_layout import Material, TableLayout
from medloupe.data.readers.base import normalise_name
from medloupe.data.readers.joined import LIST, split_labels
from medloupe.data.readers.sheet import Sheet
from medloupe.data.readers.stacked import SPLIT, find_column, set_column
from medloupe.data.records import Dataset
from medloupe.errors import DataError

# MIMIC-CXR-JPG

_PLACE = re.compile(r"(?:^|/)p(?P<patient>\d{8})/s(?P<study>\d{8})/(?P<image>[0-9a-f-]{44})\.[a-z]+$", re.IGNORECASE)
_MIMIC_META = frozenset({"dicomid", "studyid", "viewposition"})
_MIMIC_SPLIT = frozenset({"dicomid", "studyid", "split"})


def _spread_studies(material: Material) -> Sheet:
    """Give each image the labels of its study, whose number its folder bears; split and view by the image's name."""
    table = material.sheet
    study, patient = find_column(table, "studyid"), find_column(table, "subjectid")
    by_study = dict(zip(table.cells(study), table.rows, strict=True))
    placed = [(place, match) for place in material.files.images if (match := _PLACE.search(place))]
    rows = [(place, m["image"], *by_study[m["study"]]) for place, m in placed if m["study"] in by_study]
    if not rows:
        raise DataError(
            f"No folder of the images bears a study of {table.path.name}.",
            "Keep the folders as they unpack: p10/p…/s….",
        )
    note = f"Labels come from {table.path.name}, by the study whose number the image's folder bears."
    sheet = Sheet(table.path, ("image", "dicom", *table.columns), tuple(rows), (*table.notes, note))
    images = sheet.cells("dicom")
    for columns, name, added in ((_MIMIC_SPLIT, "split", SPLIT), (_MIMIC_META, "viewposition", "view")):
        other = next((s for s in material.others.values() if {normalise_name(c) for c in s.columns} >= columns), None)
        if other is None:
            note = "No split is kept, as mimic-cxr-2.0.0-split.csv is not there."
            sheet = replace(sheet, notes=(*sheet.notes, note)) if added == SPLIT else sheet
            continue
        named = other.cells(find_column(other, "dicomid"))
        said = dict(zip(named, other.cells(find_column(other, name)), strict=True))
        cells = (said.get(image, "").replace("validate", "val") for image in images)
        sheet = set_column(
            sheet, added, cells, *([f"The split is that of {other.path.name}."] if added == SPLIT else [])
        )
    sheet = set_column(sheet, "patient", (cell.removesuffix(".0") for cell in sheet.cells(patient)))
    return fill_unmentioned(sheet)


def _drop_unseen(data: Dataset, material: Material) -> Dataset:
    """Leave out findings that no image carries, as a part of the set may have none."""
    counts = data.counts()
    absent = [name for name in data.labels if not counts[name]]
    if not absent or data.task != "multilabel" or len(absent) == len(data.labels):
        return data
    records = tuple(
        replace(r, labels={name: value for name, value in r.labels.items() if name not in absent}) for r in data.records
    )
    labels = tuple(name for name in data.labels if name not in absent)
    note = f"No image carries {', '.join(absent)}; left out."
    return replace(data, records=records, labels=labels, notes=(*data.notes, note))


MIMIC = Original(
    name="mimic_cxr_jpg",
    title="MIMIC-CXR-JPG",
    what="377,110 chest radiographs of 65,379 patients, 13 findings with uncertain labels, by study.",
    url="https://physionet.org/content/mimic-cxr-jpg/",
    licence="PhysioNet Credentialed Health Data License 1.5.0: research only, no sharing",
    citation="Johnson et al., MIMIC-CXR-JPG, a large publicly available database of labeled chest radiographs, 2019, "
    "arXiv:1901.07042; Goldberger et al., PhysioNet, Circulation 101(23), 2000",
    expected="""
mimic-cxr-jpg/
  mimic-cxr-2.0.0-chexpert.csv           subject_id, study_id, Atelectasis, … (unpack the .csv.gz)
  mimic-cxr-2.0.0-split.csv              dicom_id, study_id, subject_id, split
  mimic-cxr-2.0.0-metadata.csv           dicom_id, …, ViewPosition
  files/p10/p10000032/s50414267/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg
""",
    patients="the column subject_id.",
    known_leaks=(
        "the labels were mined from reports and are those of a study: a lateral view has what only the frontal shows.",
        "the view (AP, of patients in bed) goes with the finding, which is a shortcut.",
        "Support Devices are seen in patients who are ill for other reasons.",
    ),
    labels=CHEXPERT_FINDINGS,
    layout=TableLayout(
        columns=frozenset({"subjectid", "studyid", "nofinding", "cardiomegaly", "atelectasis"}),
        image=re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{8}){4}\.(?:jpe?g|png)$"),
        file="image",
        labels=",".join(CHEXPERT_FINDINGS),
        patient="patient",
        others=re.compile(r"negbio|test-set", re.IGNORECASE),
        asked=(_MIMIC_META, _MIMIC_SPLIT),
        prepare=_spread_studies,
        unwanted=frozenset(map(normalise_name, (*CHEXPERT_FINDINGS, "No Finding"))) | {"dicom", "studyid", "subjectid"},
        once=False,
        complete=_drop_unseen,
    ),
)

# PadChest

_PADCHEST_FINDINGS = (
    *("air trapping", "alveolar pattern", "aortic elongation", "apical pleural thickening", "atelectasis"),
    *("bronchiectasis", "bullas", "calcified granuloma", "callus rib fracture", "cardiomegaly", "consolidation"),
    *("COPD signs", "costophrenic angle blunting", "emphysema", "fibrotic band", "heart insufficiency"),
    *("hemidiaphragm elevation", "hiatal hernia", "hilar congestion", "hilar enlargement", "infiltrates"),
    *("interstitial pattern", "kyphosis", "laminar atelectasis", "mass", "nodule", "pacemaker", "pleural effusion"),
    *("pleural thickening", "pneumonia", "pneumothorax", "pulmonary edema", "pulmonary fibrosis"),
    *("pulmonary mass", "scoliosis", "tuberculosis", "tuberculosis sequelae", "vascular hilar enlargement"),
    *("vertebral degenerative changes", "volume loss"),
)
_NO_STATEMENT = frozenset({"unchanged", "exclude", "suboptimal study"})


def _add_findings(material: Material) -> Sheet:
    """Write the listed findings into one cell; a study that only says "unchanged" or is unusable states nothing."""
    sheet = material.sheet
    column = find_column(sheet, "labels")
    known = {name.casefold(): name for name in _PADCHEST_FINDINGS}
    cells = []
    others = 0
    for cell in sheet.cells(column):
        said = [label.casefold() for label in split_labels(cell, LIST, column)] if cell.startswith("[") else []
        stated = [label for label in said if label not in _NO_STATEMENT]
        found = dict.fromkeys(known[label] for label in stated if label in known)
        others += bool(stated) and not found and "normal" not in stated
        cells.append("|".join(found) if found else "No Finding" if stated else "")
    notes = [f"{others} images have only findings beyond the {len(known)} that are read; these are absent there."]
    return set_column(sheet, "finding", cells, *(notes if others else []))


PADCHEST = Original(
    name="padchest",
    title="PadChest",
    what="160,868 chest radiographs of 67,625 patients; the commoner of its 174 findings.",
    url="https://bimcv.cipf.es/bimcv-projects/padchest/",
    licence="PadChest Dataset Research Use Agreement: research only, no sharing",
    citation="Bustos et al., PadChest: A large chest x-ray image dataset with multi-label annotated reports, Medical "
    "Image Analysis 66:101797, 2020, doi 10.1016/j.media.2020.101797",
    expected="""
PadChest/
  PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv   ImageID, ImageDir, PatientID, PatientBirth, …, Labels
  0/216840111366964012283393834152009033102258826_00-059-087.png
  1/… 54/…
""",
    patients="the column PatientID.",
    known_leaks=(
        "three in four reports were labelled by a program, not by a physician.",
        "the projection (AP, of patients in bed) goes with the finding, which is a shortcut.",
    ),
    labels=_PADCHEST_FINDINGS,
    layout=TableLayout(
        columns=frozenset({"imageid", "imagedir", "patientid", "patientbirth", "projection", "labels"}),
        image=re.compile(r"^\d+(?:_[\w-]+)?\.png$"),
        file="ImageID",
        labels="finding",
        patient="PatientID",
        prepare=_add_findings,
        unwanted=frozenset({"imagedir", "studydatedicom", "studyid", "reportid", "report", "methodlabel", "labels"})
        | {"localizations", "labelslocalizationsbysentence", "labelcuis", "localizationscuis", "methodprojection"}
        | {"patientbirth"},
        renamed={"patientsexdicom": "sex", "projection": "view"},
        once=False,
    ),
)

CHEST_REPORTS = (MIMIC, PADCHEST)
