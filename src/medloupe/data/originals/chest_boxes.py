"""List the originals of chest radiographs on which radiologists drew boxes: VinDr-CXR and RSNA's pneumonia."""

from __future__ import annotations

import re

from medloupe.data.originals.base import Original
from medloupe.data.originals.table_layout import TableLayout

_VINDR_FINDINGS = (
    *("Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture", "Consolidation"),
    *("Edema", "Emphysema", "Enlarged PA", "ILD", "Infiltration", "Lung cavity", "Lung cyst", "Lung Opacity"),
    *("Mediastinal shift", "Nodule/Mass", "Other lesion", "Pleural effusion", "Pleural thickening", "Pneumothorax"),
    *("Pulmonary fibrosis", "Rib fracture"),
)
_RSNA = {"0": "no_pneumonia", "1": "pneumonia"}

VINDR = Original(
    name="vindr_cxr",
    title="VinDr-CXR",
    what="18,000 chest radiographs; 22 findings with boxes, by three radiologists an image, by consensus in testing.",
    url="https://physionet.org/content/vindr-cxr/, also Kaggle vinbigdata-chest-xray-abnormalities-detection",
    licence="PhysioNet Credentialed Health Data License 1.5.0: research only, no sharing",
    citation="Nguyen et al., VinDr-CXR: An open dataset of chest X-rays with radiologist's annotations, Scientific "
    "Data 9:429, 2022, doi 10.1038/s41597-022-01498-w",
    expected="""
vindr-cxr/
  annotations/annotations_train.csv      image_id, rad_id, class_name, x_min, y_min, x_max, y_max
  annotations/annotations_test.csv       image_id, class_name, x_min, …
  train/000434271f63a053c4128a0ba6352c7f.dicom
  test/…
""",
    patients="none are known; copies are kept together instead.",
    known_leaks=(
        "an image of training counts as having what two of its three radiologists saw; single opinions are left out.",
        "which radiologists read an image goes with how often they call a finding.",
    ),
    labels=_VINDR_FINDINGS,
    layout=TableLayout(
        columns=frozenset({"imageid", "classname", "xmin", "ymin", "xmax", "ymax"}),
        image=re.compile(r"^[0-9a-f]{32}\.(?:dicom|dcm|png|jpe?g)$"),
        file="image_id",
        labels="class_name",
        unwanted=frozenset({"classid", "xmin", "ymin", "xmax", "ymax"}),
    ),
)

RSNA_PNEUMONIA = Original(
    name="rsna_pneumonia",
    title="RSNA Pneumonia Detection Challenge",
    what="26,684 chest radiographs: pneumonia (a lung opacity, with boxes) or not.",
    url="https://www.kaggle.com/c/rsna-pneumonia-detection-challenge",
    licence="rules of the Kaggle competition",
    citation="Shih et al., Augmenting the National Institutes of Health Chest Radiograph Dataset with Expert "
    "Annotations of Possible Pneumonia, Radiology: AI 1(1), 2019, doi 10.1148/ryai.2019180041",
    expected="""
rsna-pneumonia-detection-challenge/
  stage_2_train_labels.csv               patientId, x, y, width, height, Target
  stage_2_train_images/0004cfab-14fd-4e49-80ba-63a80b6bddd6.dcm
  stage_2_test_images/…                  (without labels; left out)
""",
    patients="the column patientId, which is an image's name: several images of one patient cannot be told.",
    known_leaks=(
        "it is taken from ChestX-ray14: never test on one what was trained on the other.",
        "several images of a patient have ids of their own and may lie on both sides of a fold.",
        "the view (AP, of patients in bed) goes with the finding, which is a shortcut.",
    ),
    labels=tuple(_RSNA.values()),
    layout=TableLayout(
        columns=frozenset({"patientid", "x", "y", "width", "height", "target"}),
        image=re.compile(r"^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\.(?:dcm|png|jpe?g)$"),
        file="patientId",
        labels="Target",
        patient="patientId",
        names=_RSNA,
        box_label="pneumonia",
        unwanted=frozenset({"x", "y", "width", "height", "class"}),
    ),
)

CHEST_BOXES = (VINDR, RSNA_PNEUMONIA)
