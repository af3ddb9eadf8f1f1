"""List the originals that are read by their folders and file names."""

from __future__ import annotations

import re

from medloupe.data.originals.base import Original
from medloupe.data.originals.path_layout import PathLayout

_KERMANY = (
    "Kermany et al., Identifying Medical Diagnoses and Treatable Diseases by Image-Based Deep Learning, "
    "Cell 172(5):1122-1131, 2018, doi 10.1016/j.cell.2018.02.010; data: doi 10.17632/rscbjbr9sj"
)

CHEST_XRAY = Original(
    name="chest_xray",
    title="Chest X-Ray Images (Pneumonia)",
    what="5,856 chest radiographs of children aged one to five: normal or pneumonia.",
    url="https://data.mendeley.com/datasets/rscbjbr9sj, also Kaggle paultimothymooney/chest-xray-pneumonia",
    licence="CC BY 4.0",
    citation=_KERMANY,
    expected="""
chest_xray/
  train/NORMAL/IM-0115-0001.jpeg
  train/PNEUMONIA/person1_bacteria_1.jpeg
  test/NORMAL/… test/PNEUMONIA/…
  val/NORMAL/… val/PNEUMONIA/…           (16 images, read as training)
  chest_xray/… __MACOSX/…                (the archive repeats itself; left out)
""",
    patients="the number in the file name (person12, IM-0115) within its split, as the numbering restarts in each.",
    known_leaks=(
        "train and test were collected differently, so the test figures are lower than cross-validation.",
        "All images are of children of one hospital.",
    ),
    labels=("NORMAL", "PNEUMONIA"),
    layout=PathLayout(
        # Mendeley's own archive names files NORMAL-28501-0001, BACTERIA-… and VIRUS-…
        pattern=re.compile(
            r"(?:^|/)(?:(?P<split>train|test|val)/)?(?P<label>NORMAL|PNEUMONIA)/"
            r"(?P<patient>person\d{1,9}(?=_(?:bacteria|virus)_)|(?:NORMAL2-)?IM-\d{1,9}|(?:NORMAL|BACTERIA|VIRUS)-\d{1,9})"
            r"[-\w]{0,100}\.(?:jpe?g|png)$"
        ),
        labels={"NORMAL": "NORMAL", "PNEUMONIA": "PNEUMONIA"},
        restarts=re.compile(r"person|IM-|NORMAL2-"),
        joined={"val": "train"},
    ),
)

OCT = Original(
    name="oct2017",
    title="Retinal OCT Images (OCT2017)",
    what="84,495 optical coherence tomographies: choroidal neovascularisation, macular oedema, drusen, normal.",
    url="https://data.mendeley.com/datasets/rscbjbr9sj, also Kaggle paultimothymooney/kermany2018",
    licence="CC BY 4.0",
    citation=_KERMANY,
    expected="""
OCT2017/
  train/CNV/CNV-1016042-1.jpeg
  train/DME/… train/DRUSEN/… train/NORMAL/…
  test/CNV/… and so on, val/CNV/… and so on
""",
    patients="the first number in the file name (CNV-1016042-1 is patient 1016042).",
    known_leaks=("patients of the test folder are also in train; these are left out of the fit that the test judges.",),
    labels=("CNV", "DME", "DRUSEN", "NORMAL"),
    layout=PathLayout(
        pattern=re.compile(
            r"(?:^|/)(?:(?P<split>train|test|val)/)?(?P<label>CNV|DME|DRUSEN|NORMAL)/"
            r"(?P=label)-(?P<patient>\d+)-\d+\.(?:jpe?g|png)$"
        ),
        labels={name: name for name in ("CNV", "DME", "DRUSEN", "NORMAL")},
    ),
)

CELL_IMAGES = Original(
    name="cell_images",
    title="Malaria Cell Images (NIH, LHNCBC)",
    what="27,558 red blood cells of stained thin smears: parasitized or uninfected.",
    url="https://lhncbc.nlm.nih.gov/LHC-research/LHC-projects/image-processing/malaria-datasheet.html, "
    "also Kaggle iarunava/cell-images-for-detecting-malaria",
    licence="not stated; published by the US National Library of Medicine for use with citation",
    citation="Rajaraman et al., Pre-trained convolutional neural networks as feature extractors toward improved "
    "malaria parasite detection in thin blood smear images, PeerJ 6:e4568, 2018, doi 10.7717/peerj.4568",
    expected="""
cell_images/
  Parasitized/C33P1thinF_IMG_20150619_114756a_cell_179.png
  Uninfected/C1_thinF_IMG_20150604_104722_cell_9.png
  cell_images/…                          (the archive repeats itself; left out)
""",
    patients="the start of the file name, before 'thin' (C33P1thinF_… is patient C33P1).",
    known_leaks=(
        "splits made by image, as most publications have them, put cells of one smear on both sides.",
        "50 of the 200 patients have uninfected cells only.",
    ),
    labels=("Parasitized", "Uninfected"),
    layout=PathLayout(
        pattern=re.compile(
            r"(?:^|/)(?P<label>Parasitized|Uninfected)/"
            r"(?P<patient>C\d+[A-Z]?(?:P\d+)?)[A-Za-z]*?_?[Tt]hin[^/]*_cell_\d+\.(?:png|jpe?g)$"
        ),
        labels={"Parasitized": "Parasitized", "Uninfected": "Uninfected"},
        tables=re.compile(r"patientid_cellmapping", re.I),
    ),
)

BRAIN_TUMOR = Original(
    name="brain_tumor_mri",
    title="Brain Tumor MRI Dataset (Nickparvar)",
    what="7,023 brain MRI slices: glioma, meningioma, no tumour, pituitary tumour.",
    url="Kaggle masoudnickparvar/brain-tumor-mri-dataset",
    licence="CC0 1.0",
    citation="Nickparvar, Brain Tumor MRI Dataset, Kaggle, 2021, doi 10.34740/kaggle/dsv/2645886",
    expected="""
brain-tumor-mri-dataset/
  Training/glioma/Tr-gl_0010.jpg
  Training/meningioma/… Training/notumor/… Training/pituitary/…
  Testing/glioma/Te-gl_0010.jpg and so on
""",
    patients="none are known; copies and near copies are kept together instead.",
    known_leaks=(
        "identical copies lie in Training and Testing; these are left out of the fit that Testing judges.",
        "neighbouring slices of one patient lie on both sides, so all figures are too good.",
        "the classes come from different sources, 'notumor' from another than the tumours.",
    ),
    labels=("glioma", "meningioma", "notumor", "pituitary"),
    layout=PathLayout(
        pattern=re.compile(
            r"(?:^|/)(?:(?P<split>Training|Testing)/)?(?P<label>glioma|meningioma|notumor|pituitary)/"
            r"T[re]-\w+\.(?:jpe?g|png)$"
        ),
        labels={name: name for name in ("glioma", "meningioma", "notumor", "pituitary")},
    ),
)

BUSI = Original(
    name="busi",
    title="Breast Ultrasound Images (BUSI)",
    what="780 breast ultrasounds: benign, malignant or normal, with outlines of the lesions.",
    url="https://scholar.cu.edu.eg/?q=afahmy/pages/dataset, also Kaggle aryashah2k/breast-ultrasound-images-dataset",
    licence="CC BY 4.0 (as the paper; Kaggle says CC0)",
    citation="Al-Dhabyani et al., Dataset of breast ultrasound images, Data in Brief 28:104863, 2020, "
    "doi 10.1016/j.dib.2019.104863",
    expected="""
Dataset_BUSI_with_GT/
  benign/benign (1).png
  benign/benign (1)_mask.png             (an outline; left out)
  benign/benign (100)_mask_1.png         (a second outline; left out)
  malignant/… normal/…
""",
    patients="none are known, though many have several images; near copies are kept together instead.",
    known_leaks=(
        "images of one patient cannot be told apart and may lie on both sides of a fold.",
        "callipers and text burnt into the picture point at lesions.",
        "some images are there twice, a few of them under two classes.",
    ),
    labels=("benign", "malignant", "normal"),
    layout=PathLayout(
        pattern=re.compile(r"(?:^|/)(?P<label>benign|malignant|normal)/(?P=label) \(\d+\)\.(?:png|jpe?g)$"),
        labels={name: name for name in ("benign", "malignant", "normal")},
    ),
)

IDC = Original(
    name="idc",
    title="Breast Histopathology Images (IDC patches)",
    what="277,524 patches of 50 pixels from 162 breast cancer slides: invasive ductal carcinoma or not.",
    url="https://andrewjanowczyk.com/use-case-6-invasive-ductal-carcinoma-idc-segmentation/, "
    "also Kaggle paultimothymooney/breast-histopathology-images",
    licence="CC0 1.0 (as Kaggle says)",
    citation="Cruz-Roa et al., Automatic detection of invasive ductal carcinoma in whole slide images with "
    "convolutional neural networks, SPIE Medical Imaging, 2014; Janowczyk and Madabhushi, Journal of Pathology "
    "Informatics 7:29, 2016",
    expected="""
IDC_regular_ps50_idx5/
  8863/0/8863_idx5_x51_y1251_class0.png
  8863/1/8863_idx5_x1001_y801_class1.png
  9345/…
  IDC_regular_ps50_idx5/…                (the archive repeats itself; left out)
""",
    patients="the number of the folder, with which the file name begins too (8863).",
    known_leaks=("patches of one slide lie side by side; splits made by patch test on what was trained on.",),
    labels=("no IDC", "IDC"),
    layout=PathLayout(
        pattern=re.compile(
            r"(?:^|/)(?P<patient>\d+)/(?P<label>[01])/(?P=patient)_idx\d+_x\d+_y\d+_class(?P=label)\.png$"
        ),
        labels={"0": "no IDC", "1": "IDC"},
    ),
)

BREAKHIS = Original(
    name="breakhis",
    title="BreaKHis",
    what="7,909 breast tumour histologies at 40 to 400 times: benign or malignant.",
    url="https://web.inf.ufpr.br/vri/databases/breast-cancer-histopathological-database-breakhis/",
    licence="CC BY 4.0",
    citation="Spanhol et al., A Dataset for Breast Cancer Histopathological Image Classification, "
    "IEEE Transactions on Biomedical Engineering 63(7):1455-1462, 2016, doi 10.1109/TBME.2015.2496264",
    expected="""
BreaKHis_v1/
  histology_slides/breast/benign/SOB/adenosis/SOB_B_A_14-22549AB/40X/SOB_B_A-14-22549AB-40-001.png
  histology_slides/breast/malignant/SOB/ductal_carcinoma/…
""",
    patients="year and slide number in the file name (SOB_B_A-14-22549AB-40-001 is 14-22549; the letters are parts).",
    known_leaks=(
        "every slide is there at four magnifications; splits made by image have it on both sides.",
        "slide 13412 stands under two kinds of carcinoma.",
    ),
    labels=("benign", "malignant"),
    layout=PathLayout(
        pattern=re.compile(
            r"(?:^|/)SOB_(?P<label>[BM])_[A-Z]+-(?P<patient>\d+-\d+)[A-Z]*-(?P<magnification>\d+)-\d+\.(?:png|jpe?g)$"
        ),
        labels={"B": "benign", "M": "malignant"},
    ),
)

MONKEYPOX = Original(
    name="msld",
    title="Monkeypox Skin Lesion Dataset (MSLD)",
    what="228 photographs of skin: monkeypox, or chickenpox and measles.",
    url="Kaggle nafin59/monkeypox-skin-lesion-dataset",
    licence="CC BY-NC-SA 4.0; the pictures were gathered from the web",
    citation="Ali et al., Monkeypox Skin Lesion Detection Using Deep Learning Models: A Preliminary Feasibility "
    "Study, arXiv:2207.03342, 2022",
    expected="""
monkeypox-skin-lesion-dataset/
  Original Images/Original Images/Monkey Pox/M01_01.jpg
  Original Images/Original Images/Others/NM01_01.jpg
  Augmented Images/… Fold1/… Fold2/… Fold3/…   (copies; left out)
""",
    patients="the start of the file name (M01_02 is patient M01, NM03_01 is patient NM03).",
    known_leaks=(
        "patients cross the folds of the download.",
        "the pictures are cut from web pages; image quality differs between the classes.",
    ),
    labels=("Monkey_Pox", "Others"),
    layout=PathLayout(
        pattern=re.compile(r"(?:^|/)(?P<label>Monkey Pox|Others)/(?P<patient>N?M\d+)_\d+\.(?:jpe?g|png)$"),
        labels={"Monkey Pox": "Monkey_Pox", "Others": "Others"},
        others={"an augmented or rearranged copy": re.compile(r"(?:^|/)(?:Fold\d|Augmented Images)/", re.I)},
        tables=re.compile(r"metadata", re.I),
    ),
)

NAMED = (CHEST_XRAY, OCT, CELL_IMAGES, BRAIN_TUMOR, BUSI, IDC, BREAKHIS, MONKEYPOX)
