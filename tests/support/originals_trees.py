"""Miniature trees of the public originals: their folders, names and columns, with small pictures that all differ."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from readers_cases import write

SIDE = 12  # pixels


def picture(path: Path) -> Path:
    """A small picture, another for every name, so that none are copies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(zlib.crc32(str(path.name).encode())).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    Image.fromarray(pixels).save(path, format="PNG" if path.suffix.lower() == ".png" else "JPEG")
    return path


def pictures(root: Path, names: Iterable[str]) -> None:
    for name in names:
        picture(root / name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """make: builds the tree. The rest is what reading it must give.

    labels: in order. records: by id the labels that are 1 (for one class a word), the patient and the split.
    skipped: reasons that must be there, with how many files. said: words that the notes must hold.
    """

    make: Callable[[Path], None]
    labels: tuple[str, ...]
    records: Mapping[str, tuple[str, str | None, str | None]]
    skipped: Mapping[str, int] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    task: str = "multiclass"


def _chest_xray(root: Path) -> None:
    inner = (
        "train/NORMAL/IM-0115-0001.jpeg",
        "train/NORMAL/NORMAL2-IM-0115-0001.jpeg",
        "train/PNEUMONIA/person12_bacteria_46.jpeg",
        "train/PNEUMONIA/person12_virus_6.jpeg",
        "test/NORMAL/IM-0115-0001.jpeg",
        "test/PNEUMONIA/person12_bacteria_34.jpeg",
        "val/NORMAL/NORMAL2-IM-1427-0001.jpeg",
        "val/PNEUMONIA/person1946_bacteria_4874.jpeg",
    )
    pictures(root, inner)
    pictures(root / "chest_xray", inner)
    write(root / "chest_xray" / "train" / ".DS_Store", "x")
    picture(root / "__MACOSX" / "chest_xray" / "train" / "NORMAL" / "._IM-0115-0001.jpeg")


def _oct(root: Path) -> None:
    for split in ("train", "test", "val"):
        for label in ("CNV", "DME", "DRUSEN", "NORMAL"):
            number = 2 if split == "test" else 1
            picture(root / "OCT2017 " / split / label / f"{label}-1016042-{number}.jpeg")


def _cells(root: Path) -> None:
    inner = (
        "Parasitized/C33P1thinF_IMG_20150619_114756a_cell_179.png",
        "Parasitized/C37BP2_thinF_IMG_20150620_131423a_cell_94.png",
        "Parasitized/C68P29N_ThinF_IMG_20150819_134112_cell_152.png",
        "Parasitized/C167P128ReThinF_IMG_20151201_105559_cell_10.png",
        "Uninfected/C33P1thinF_IMG_20150619_114756a_cell_1.png",
        "Uninfected/C1_thinF_IMG_20150604_104722_cell_9.png",
        "Uninfected/C236ThinF_IMG_20151127_102635_cell_177.png",
    )
    pictures(root, inner)
    pictures(root / "cell_images", inner)
    write(root / "Parasitized" / "Thumbs.db", "x")


def _brain(root: Path) -> None:
    for split, short in (("Training", "Tr"), ("Testing", "Te")):
        for label in ("glioma", "meningioma", "notumor", "pituitary"):
            picture(root / split / label / f"{short}-{label[:2]}_0010.jpg")
            picture(root / split / label / f"{short}-{label[:2]}Tr_0000.jpg")


def _busi(root: Path) -> None:
    for label in ("benign", "malignant", "normal"):
        for number in (1, 100):
            picture(root / "Dataset_BUSI_with_GT" / label / f"{label} ({number}).png")
            picture(root / "Dataset_BUSI_with_GT" / label / f"{label} ({number})_mask.png")
    picture(root / "Dataset_BUSI_with_GT" / "benign" / "benign (100)_mask_1.png")


def _bccd(root: Path) -> None:
    inner = root / "BCCD_Dataset" / "BCCD"
    for k, boxes in enumerate(
        ((("RBC", 1, 2, 5, 7), ("WBC", 6, 6, 11, 11)), (("RBC", 0, 0, 4, 4),), (("Platelets", 3, 3, 6, 6),))
    ):
        picture(inner / "JPEGImages" / f"BloodImage_0000{k}.jpg")
        objects = "".join(
            f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax>"
            "</bndbox></object>"
            for name, a, b, c, d in boxes
        )
        size = f"<size><width>{SIDE}</width><height>{SIDE}</height><depth>3</depth></size>"
        text = f"<annotation><filename>BloodImage_0000{k}.jpg</filename>{size}{objects}</annotation>"
        write(inner / "Annotations" / f"BloodImage_0000{k}.xml", text)
    for split, listed in (("train", "0"), ("val", "1"), ("test", "2"), ("trainval", "01")):
        names = "".join(f"BloodImage_0000{k}\n" for k in listed)
        write(inner / "ImageSets" / "Main" / f"{split}.txt", names)
    picture(root / "BCCD_Dataset" / "example.jpg")
    write(
        root / "BCCD_Dataset" / "test.csv", "filename,cell_type,xmin,xmax,ymin,ymax\nBloodImage_00000.jpg,RBC,1,5,2,7\n"
    )


def _kvasir_seg(root: Path) -> None:
    inner, said = root / "Kvasir-SEG", {}
    for k in range(3):
        stem = f"cju0qkwl35piu0993l0dewe{k}{k}"
        picture(inner / "images" / f"{stem}.jpg")
        picture(inner / "masks" / f"{stem}.jpg")
        box = {"label": "polyp", "xmin": 1 + k, "ymin": 2, "xmax": 7, "ymax": 9}
        said[stem] = {"height": SIDE, "width": SIDE, "bbox": [box] * (1 + (k == 2))}
    write(inner / "kavsir_bboxes.json", json.dumps(said))


def _idc(root: Path) -> None:
    inner = [
        f"{patient}/{label}/{patient}_idx5_x{x}_y1251_class{label}.png"
        for patient in ("8863", "10253")
        for label in "01"
        for x in (51, 101)
    ]
    pictures(root, inner)
    pictures(root / "IDC_regular_ps50_idx5", inner)


def _breakhis(root: Path) -> None:
    slides = root / "BreaKHis_v1" / "histology_slides" / "breast"
    for number in ("14-22549AB", "14-22549G"):
        for power in ("40", "400"):
            name = f"SOB_B_A-{number}-{power}-001.png"
            picture(slides / "benign" / "SOB" / "adenosis" / f"SOB_B_A_{number}" / f"{power}X" / name)
    picture(
        slides / "malignant/SOB/ductal_carcinoma/SOB_M_DC_14-11031/100X" / "SOB_M_DC-14-11031-100-001.png",
    )
    write(root / "BreaKHis_v1" / "histology_slides" / "breast" / "README.txt", "x")


def _covid_radiography(root: Path) -> None:
    for label in ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"):
        for part in ("images", "masks"):
            pictures(root / "COVID-19_Radiography_Dataset" / label / part, (f"{label}-{i}.png" for i in (1, 2)))
        write(root / "COVID-19_Radiography_Dataset" / f"{label}.metadata.txt", "x")


def _lc25000(root: Path) -> None:
    for organ, label, short in (
        ("colon", "colon_aca", "colonca"),
        ("colon", "colon_n", "colonn"),
        ("lung", "lung_aca", "lungaca"),
        ("lung", "lung_n", "lungn"),
        ("lung", "lung_scc", "lungscc"),
    ):
        pictures(root / "lung_colon_image_set" / f"{organ}_image_sets" / label, (f"{short}{i}.jpeg" for i in (1, 2500)))


def _idrid(root: Path) -> None:
    root = root / "B. Disease Grading"
    for letter, part, count in (("a", "Training", 5), ("b", "Testing", 2)):
        names = [f"IDRiD_{i:03}" for i in range(1, count + 1)]
        for name in names:  # the same names in both parts, of other eyes
            path = picture(root / "1. Original Images" / f"{letter}. {part} Set" / f"{part}{name}.jpg")
            path.rename(path.with_name(f"{name}.jpg"))
        shift = len(part) % 5
        rows = [f"{name},{(i + shift) % 5},{i % 3},,,,,,,,," for i, name in enumerate(names)]
        write(
            root / "2. Groundtruths" / f"{letter}. IDRiD_Disease Grading_{part} Labels.csv",
            "\n".join(["Image name,Retinopathy grade,Risk of macular edema ,,,,,,,,,", *rows]),
        )


def _msld(root: Path) -> None:
    pictures(
        root,
        (
            "Original Images/Original Images/Monkey Pox/M01_01.jpg",
            "Original Images/Original Images/Monkey Pox/M01_02.jpg",
            "Original Images/Original Images/Others/NM01_01.jpg",
            "Augmented Images/Augmented Images/Monkeypox_augmented/M01_01_00.jpg",
            "Augmented Images/Augmented Images/Others_augmented/NM01_01_00.jpg",
            "Fold1/Fold1/Fold1/Train/Monkeypox/M01_01.jpg",
            "Fold1/Fold1/Fold1/Test/Others/NM01_01.jpg",
        ),
    )
    write(root / "Monkeypox_Dataset_metadata.csv", "ImageID,Label\nM01_01.jpg,Monkeypox\n")


def _chestxray14(root: Path) -> None:
    for folder, names in (
        ("images_001/images", ("00000001_000.png", "00000001_001.png", "00000002_000.png")),
        ("images_002/images", ("00001336_000.png",)),
    ):
        pictures(root / folder, names)
    write(
        root / "Data_Entry_2017.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
        "00000001_000.png,Cardiomegaly,0,1,58,M,PA,2682,2749,0.143,0.143,\n"
        "00000001_001.png,Cardiomegaly|Infiltration,1,1,58,M,AP,2894,2729,0.143,0.143,\n"
        "00000002_000.png,No Finding,0,2,81,M,PA,2500,2048,0.171,0.171,\n"
        "00001336_000.png,Hernia,0,1336,70,F,PA,2500,2048,0.171,0.171,\n",
    )
    write(
        root / "BBox_List_2017.csv",
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n00000001_001.png,Infiltrate,225.1,547.0,86.8,79.2,,,\n"
        "99999999_000.png,Mass,1,2,3,4,,,\n",
    )
    write(root / "train_val_list.txt", "00000001_000.png\n00000001_001.png\n00000002_000.png")
    write(root / "test_list.txt", "00001336_000.png\n")
    write(root / "README_CHESTXRAY.pdf", "x")


def _chexpert(root: Path) -> None:
    findings = (
        "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,"
        "Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
    )
    head = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{findings}\n"
    start = "CheXpert-v1.0-small"
    write(
        root / "train.csv",
        head
        + f"{start}/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0\n"
        + f"{start}/train/patient00002/study1/view1_frontal.jpg,Female,87,Frontal,AP,"
        + ",,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,\n"
        + f"{start}/train/patient00002/study1/view2_lateral.jpg,Female,87,Lateral,,,,,1.0,,,,,,,,,,\n",
    )
    write(
        root / "valid.csv",
        head
        + f"{start}/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,"
        + "0.0,1.0,1.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n",
    )
    pictures(
        root,
        (
            "train/patient00001/study1/view1_frontal.jpg",
            "train/patient00002/study1/view1_frontal.jpg",
            "train/patient00002/study1/view2_lateral.jpg",
            "valid/patient64541/study1/view1_frontal.jpg",
        ),
    )


def _covid(root: Path) -> None:
    pictures(root / "images", ("a-01.jpeg", "b_1.png", "c.jpg", "d.jpg", "e.jpg"))
    write(
        root / "metadata.csv",
        "patientid,offset,sex,age,finding,RT_PCR_positive,survival,intubated,intubation_present,went_icu,in_icu,"
        "needed_supplemental_O2,extubated,temperature,pO2_saturation,leukocyte_count,neutrophil_count,"
        "lymphocyte_count,view,modality,date,location,folder,filename,doi,url,license,clinical_notes,other_notes,\n"
        "2,0,M,65,Pneumonia/Viral/COVID-19,Y,Y,N,N,N,N,Y,,,,,,,PA,X-ray,2020,Hue,images,a-01.jpeg,d,u,,Has covid,,\n"
        "2,3,M,65,Pneumonia/Viral/COVID-19,Y,Y,N,N,N,N,Y,,,,,,,PA,X-ray,2020,Vietnam,images,b_1.png,d,u,,Better,,\n"
        "3,0,F,40,Pneumonia/Bacterial/Streptococcus,,,,,,,,,,,,,,AP,X-ray,2019,Italy,images,c.jpg,d,u,,Cough,,\n"
        "4,0,F,,todo,,,,,,,,,,,,,,AP,X-ray,2019,Italy,images,d.jpg,d,u,,,,\n"
        "5,0,F,,Pneumonia/Viral/COVID-19,,,,,,,,,,,,,,Axial,CT,2019,Italy,images,e.jpg,d,u,,,,\n",
    )


def _ham10000(root: Path) -> None:
    pictures(root / "HAM10000_images_part_1", ("ISIC_0027419.jpg", "ISIC_0025030.jpg"))
    pictures(root / "ham10000_images_part_1", ("ISIC_0027419.jpg", "ISIC_0025030.jpg"))
    pictures(root / "HAM10000_images_part_2", ("ISIC_0031633.jpg",))
    write(
        root / "HAM10000_metadata.csv",
        "lesion_id,image_id,dx,dx_type,age,sex,localization\n"
        "HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp\n"
        "HAM_0000118,ISIC_0025030,bkl,histo,80.0,male,scalp\n"
        "HAM_0002730,ISIC_0031633,mel,histo,75.0,female,ear\n",
    )
    write(root / "hmnist_28_28_L.csv", "pixel0000,pixel0001,label\n169,171,2\n")


def _isic2018(root: Path) -> None:
    head = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n"
    write(
        root / "ISIC2018_Task3_Training_GroundTruth" / "ISIC2018_Task3_Training_GroundTruth.csv",
        head
        + "ISIC_0024306,0.0,1.0,0.0,0.0,0.0,0.0,0.0\nISIC_0024307,0.0,1.0,0.0,0.0,0.0,0.0,0.0\n"
        + "ISIC_0024310,1.0,0.0,0.0,0.0,0.0,0.0,0.0\n",
    )
    write(
        root / "ISIC2018_Task3_Test_GroundTruth" / "ISIC2018_Task3_Test_GroundTruth.csv",
        head + "ISIC_0034524,0.0,0.0,0.0,1.0,0.0,0.0,0.0\n",
    )
    write(
        root / "ISIC2018_Task3_Training_LesionGroupings.csv",
        "image,lesion_id,diagnosis_confirm_type\nISIC_0024306,HAM_0000550,follow-up\n"
        "ISIC_0024307,HAM_0000550,follow-up\nISIC_0024310,HAM_0003577,histopathology\n",
    )
    pictures(
        root,
        (
            *(f"ISIC2018_Task3_Training_Input/ISIC_00243{n}.jpg" for n in ("06", "07", "10")),
            "ISIC2018_Task3_Test_Input/ISIC_0034524.jpg",
        ),
    )
    write(root / "ISIC2018_Task3_Training_Input" / "LICENSE.txt", "x")


def _isic2019(root: Path) -> None:
    write(
        root / "ISIC_2019_Training_GroundTruth.csv",
        "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\n"
        "ISIC_0000000,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n"
        "ISIC_0000002_downsampled,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n"
        "ISIC_0055555,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0\n",
    )
    write(
        root / "ISIC_2019_Training_Metadata.csv",
        "image,age_approx,anatom_site_general,lesion_id,sex\n"
        "ISIC_0000000,55.0,anterior torso,,female\n"
        "ISIC_0000002_downsampled,30.0,anterior torso,MSK4_0000002,male\n"
        "ISIC_0055555,85.0,head/neck,BCN_0002083,male\n",
    )
    names = ("ISIC_0000000.jpg", "ISIC_0000002_downsampled.jpg", "ISIC_0055555.jpg")
    pictures(root / "ISIC_2019_Training_Input" / "ISIC_2019_Training_Input", names)


def _aptos(root: Path) -> None:
    names = ("000c1434d8d7", "001639a390f0", "0024cdab0c1e", "002c21358ce6", "005b95c28852", "0104b032c141")
    pictures(root / "train_images", (f"{name}.png" for name in names))
    pictures(root / "test_images", ("0005cfc8afb6.png", "003f0afdcd15.png"))
    rows = [f"{name},{grade}" for name, grade in zip(names, (2, 4, 1, 0, 3, 0), strict=True)]
    write(root / "train.csv", "\n".join(["id_code,diagnosis", *rows]))
    write(root / "test.csv", "id_code\n0005cfc8afb6\n003f0afdcd15\n")
    write(root / "sample_submission.csv", "id_code,diagnosis\n0005cfc8afb6,0\n003f0afdcd15,0\n")


def _odir(root: Path) -> None:
    head = (
        "ID,Patient Age,Patient Sex,Left-Fundus,Right-Fundus,Left-Diagnostic Keywords,Right-Diagnostic Keywords,"
        "N,D,G,C,A,H,M,O,filepath,labels,target,filename\n"
    )
    first = "69,Female,0_left.jpg,0_right.jpg,cataract,normal fundus,0,0,0,1,0,0,0,0"
    other = "57,Male,1_left.jpg,1_right.jpg,normal fundus,moderate non proliferative retinopathy,0,1,0,0,0,0,0,0"
    write(
        root / "full_df.csv",
        head
        + f"0,{first},../input/0_right.jpg,['N'],\"[1, 0, 0, 0, 0, 0, 0, 0]\",0_right.jpg\n"
        + f"0,{first},../input/0_left.jpg,['C'],\"[0, 0, 0, 1, 0, 0, 0, 0]\",0_left.jpg\n"
        + f"1,{other},../input/1_right.jpg,['D'],\"[0, 1, 0, 0, 0, 0, 0, 0]\",1_right.jpg\n",
    )
    names = ("0_left.jpg", "0_right.jpg", "1_right.jpg")
    pictures(root / "preprocessed_images", names)
    pictures(root / "ODIR-5K" / "ODIR-5K" / "Training Images", names)
    write(root / "ODIR-5K" / "ODIR-5K" / "data.xlsx", "x")


def _mimic(root: Path) -> None:
    def place(patient: int, study: int, image: str) -> str:
        return f"files/p{str(patient)[:2]}/p{patient}/s{study}/{image}.jpg"

    pictures(root, (place(10000032, 50414267, _DICOMS[0]), place(10000032, 50414267, _DICOMS[1])))
    pictures(root, (place(10000764, 57375967, _DICOMS[2]), place(11000001, 58000001, _DICOMS[3])))
    pictures(root, (place(11000001, 58000002, _DICOMS[4]),))
    write(
        root / "mimic-cxr-2.0.0-chexpert.csv",
        "subject_id,study_id,Atelectasis,Cardiomegaly,Edema,No Finding\n10000032,50414267,,,,1.0\n"
        "10000764,57375967,1.0,-1.0,,\n11000001,58000001,0.0,1.0,0.0,\n",
    )
    write(
        root / "mimic-cxr-2.0.0-negbio.csv",
        "subject_id,study_id,Atelectasis,Cardiomegaly,No Finding\n10000032,50414267,1.0,1.0,\n",
    )
    rows = [f"{image},{'AP' if k else 'PA'}" for k, image in enumerate(_DICOMS)]
    studies = ("50414267", "50414267", "57375967", "58000001", "58000002")
    write(
        root / "mimic-cxr-2.0.0-metadata.csv",
        "\n".join(["dicom_id,ViewPosition,study_id", *(f"{r},{s}" for r, s in zip(rows, studies, strict=True))]),
    )
    words = ("train", "train", "validate", "test", "test")
    named = [f"{image},{s},{word}" for image, s, word in zip(_DICOMS, studies, words, strict=True)]
    write(root / "mimic-cxr-2.0.0-split.csv", "\n".join(["dicom_id,study_id,split", *named]))


def _padchest(root: Path) -> None:
    names = [f"{k}16840111366964012283393834152009033102258826_00-059-08{k}.png" for k in range(7)]
    cells = (
        *("['normal']", "['pleural effusion', 'cardiomegaly']", "['unchanged', 'nodule ']", "['unchanged']"),
        *("['', 'goiter']", "[]", ""),
    )
    pictures(root / "0", names[:4])
    pictures(root / "1", names[4:])
    rows = [
        f'{k},{name},{k // 4},2014,P{k // 2},1950,{"MF"[k % 2]},PA,sin hallazgos,"{cell}"'
        for k, (name, cell) in enumerate(zip(names, cells, strict=True))
    ]
    head = ",ImageID,ImageDir,StudyDate_DICOM,PatientID,PatientBirth,PatientSex_DICOM,Projection,Report,Labels"
    write(root / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", "\n".join([head, *rows]))


def _vindr(root: Path) -> None:
    pictures(root / "train", (f"{k * 32}.png" for k in "abc"))
    pictures(root / "test", ("d" * 32 + ".png",))
    head = "image_id,rad_id,class_name,x_min,y_min,x_max,y_max"
    a, b, c, d = (k * 32 for k in "abcd")
    write(
        root / "annotations" / "annotations_train.csv",
        "\n".join(
            [
                head,
                *(f"{a},R{k},Cardiomegaly,1,2,5,6" for k in (1, 2)),
                f"{a},R1,Nodule/Mass,3,3,4,4",
                f"{a},R1,Nodule/Mass,5,5,6,6",
                f"{a},R3,No finding,,,,",
                *(f"{b},R{k},No finding,,,," for k in (1, 2, 3)),
                *(f"{c},R{k},Pleural effusion,2,2,8,9" for k in (4, 5, 6)),
            ]
        ),
    )
    write(
        root / "annotations" / "annotations_test.csv",
        f"image_id,class_name,x_min,y_min,x_max,y_max\n{d},Cardiomegaly,1,2,3,4\n{d},Pleural effusion,1,1,9,9\n",
    )
    write(root / "annotations" / "image_labels_train.csv", f"image_id,rad_id,Cardiomegaly,Tuberculosis\n{a},R1,1,0\n")


def _rsna_pneumonia(root: Path) -> None:
    names = [f"000{k}cfab-14fd-4e49-80ba-63a80b6bddd6" for k in range(4)]
    pictures(root / "stage_2_train_images", (f"{name}.png" for name in names[:3]))
    pictures(root / "stage_2_test_images", (f"{names[3]}.png",))
    write(
        root / "stage_2_train_labels.csv",
        f"patientId,x,y,width,height,Target\n{names[0]},,,,,0\n{names[1]},1,2,3,4,1\n{names[1]},5,5,2,2,1\n"
        f"{names[2]},,,,,0\n",
    )
    write(
        root / "stage_2_detailed_class_info.csv",
        f"patientId,class\n{names[0]},Normal\n{names[1]},Lung Opacity\n{names[2]},No Lung Opacity / Not Normal\n",
    )
    write(root / "stage_2_sample_submission.csv", f"patientId,PredictionString\n{names[3]},0.5 0 0 100 100\n")


def _pad_ufes_20(root: Path) -> None:
    rows = (
        "PAT_1516,1765,False,52,MALE,ARM,NEV,True,UNK,False,PAT_1516_1765_530.png,False",
        "PAT_1516,1766,False,52,MALE,FACE,BCC,True,True,True,PAT_1516_1766_531.png,True",
        "PAT_46,881,,77,,NECK,ACK,True,False,False,PAT_46_881_939.png,False",
    )
    head = "patient_id,lesion_id,smoke,age,gender,region,diagnostic,itch,grew,bleed,img_id,biopsed"
    write(root / "metadata.csv", "\n".join([head, *rows]))
    for k, row in enumerate(rows):
        picture(root / "images" / f"imgs_part_{k + 1}" / row.split(",")[10])


def _isic2020(root: Path) -> None:
    head = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"
    rows = (
        "ISIC_2637011,IP_7279968,male,45.0,head/neck,unknown,benign,0",
        "ISIC_0015719,IP_3075186,female,45.0,upper extremity,unknown,benign,0",
        "ISIC_0149568,IP_0962375,female,55.0,upper extremity,melanoma,malignant,1",
    )
    write(root / "train.csv", "\n".join([head, *rows]))
    write(root / "test.csv", "image_name,patient_id,sex\nISIC_0052060,IP_3579794,male\n")
    write(root / "sample_submission.csv", "image_name,target\nISIC_0052060,0\n")
    pictures(root / "jpeg" / "train", (f"{row.split(',')[0]}.jpg" for row in rows))
    picture(root / "jpeg" / "test" / "ISIC_0052060.jpg")


def _ptb_xl(root: Path) -> None:
    head = (
        "ecg_id,patient_id,age,sex,height,weight,device,report,scp_codes,validated_by,second_opinion,strat_fold,"
        "filename_lr,filename_hr"
    )
    codes = (
        "{'NORM': 100.0, 'SR': 0.0}",
        "{'IMI': 35.0, 'ASMI': 15.0, 'LVH': 100.0}",
        "{'AFIB': 0.0}",
        "{'NDT': 100.0}",
    )
    rows = []
    for k, code in enumerate(codes, 1):
        low, high = f"records100/00000/0000{k}_lr", f"records500/00000/0000{k}_hr"
        rows.append(f'{k},1570{k // 2}.0,{300 if k == 1 else 56}.0,{k % 2},,63.0,CS-12,sinus,"{code}",1.0,')
        rows[-1] += f"{k == 1},{(1, 9, 10, 2)[k - 1]},{low},{high}"
        for name in (low, high):
            write(root / f"{name}.hea", "a header")
            write(root / f"{name}.dat", "samples")
    write(root / "ptbxl_database.csv", "\n".join([head, *rows]))
    write(
        root / "scp_statements.csv",
        ",description,diagnostic,form,rhythm,diagnostic_class\nNDT,non-diagnostic T,1.0,,,STTC\n"
        "NORM,normal,1.0,,,NORM\n"
        "IMI,inferior MI,1.0,,,MI\nASMI,anteroseptal MI,1.0,,,MI\nLVH,hypertrophy,1.0,,,HYP\nSR,sinus,,,1.0,\n"
        "AFIB,atrial fibrillation,,,1.0,\n",
    )


def _medmnist(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 2), ("val", 1), ("test", 2)):
        arrays[f"{split}_images"] = rng.integers(0, 255, (n, 28, 28), np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n) % 2).reshape(n, 1)
    np.savez(root / "pneumoniamnist.npz", allow_pickle=True, **arrays)


_DICOMS = [f"0{k}aa804e-bde0afdd-112c0b34-7bc16630-4e384014" for k in range(5)]
_TRAINING = "Training Images"
_ONE = "ISIC2018_Task3_Training_Input"
_TWO = "ISIC_2019_Training_Input/ISIC_2019_Training_Input"
_SLIDES = "BreaKHis_v1/histology_slides/breast"

TREES: Mapping[str, Tree] = {
    "chest_xray": Tree(
        make=_chest_xray,
        labels=("NORMAL", "PNEUMONIA"),
        records={
            "train/NORMAL/IM-0115-0001.jpeg": ("NORMAL", "train/IM-0115", "train"),
            "train/NORMAL/NORMAL2-IM-0115-0001.jpeg": ("NORMAL", "train/NORMAL2-IM-0115", "train"),
            "train/PNEUMONIA/person12_bacteria_46.jpeg": ("PNEUMONIA", "train/person12", "train"),
            "train/PNEUMONIA/person12_virus_6.jpeg": ("PNEUMONIA", "train/person12", "train"),
            "test/NORMAL/IM-0115-0001.jpeg": ("NORMAL", "test/IM-0115", "test"),
            "test/PNEUMONIA/person12_bacteria_34.jpeg": ("PNEUMONIA", "test/person12", "test"),
            "val/NORMAL/NORMAL2-IM-1427-0001.jpeg": ("NORMAL", "train/NORMAL2-IM-1427", "train"),
            "val/PNEUMONIA/person1946_bacteria_4874.jpeg": ("PNEUMONIA", "train/person1946", "train"),
        },
        skipped={"a second copy within the download": 8, "hidden": 2},
        said=("numbering restarts", "8 images twice", "The 2 images of the val folder", "7 patients"),
    ),
    "oct2017": Tree(
        make=_oct,
        labels=("CNV", "DME", "DRUSEN", "NORMAL"),
        records={
            f"OCT2017 /{split}/{label}/{label}-1016042-{2 if split == 'test' else 1}.jpeg": (label, "1016042", split)
            for split in ("train", "test", "val")
            for label in ("CNV", "DME", "DRUSEN", "NORMAL")
        },
        said=("patients of the test folder are also in train",),
    ),
    "cell_images": Tree(
        make=_cells,
        labels=("Parasitized", "Uninfected"),
        records={
            "Parasitized/C33P1thinF_IMG_20150619_114756a_cell_179.png": ("Parasitized", "C33P1", None),
            "Parasitized/C37BP2_thinF_IMG_20150620_131423a_cell_94.png": ("Parasitized", "C37BP2", None),
            "Parasitized/C68P29N_ThinF_IMG_20150819_134112_cell_152.png": ("Parasitized", "C68P29", None),
            "Parasitized/C167P128ReThinF_IMG_20151201_105559_cell_10.png": ("Parasitized", "C167P128", None),
            "Uninfected/C33P1thinF_IMG_20150619_114756a_cell_1.png": ("Uninfected", "C33P1", None),
            "Uninfected/C1_thinF_IMG_20150604_104722_cell_9.png": ("Uninfected", "C1", None),
            "Uninfected/C236ThinF_IMG_20151127_102635_cell_177.png": ("Uninfected", "C236", None),
        },
        skipped={"a second copy within the download": 7, "hidden": 1},
        said=("7 images twice",),
    ),
    "brain_tumor_mri": Tree(
        make=_brain,
        labels=("glioma", "meningioma", "notumor", "pituitary"),
        records={
            f"{folder}/{label}/{folder[:2]}-{label[:2]}{rest}.jpg": (label, None, split)
            for folder, split in (("Training", "train"), ("Testing", "test"))
            for label in ("glioma", "meningioma", "notumor", "pituitary")
            for rest in ("_0010", "Tr_0000")
        },
        said=("identical copies",),
    ),
    "busi": Tree(
        make=_busi,
        labels=("benign", "malignant", "normal"),
        records={
            f"Dataset_BUSI_with_GT/{label}/{label} ({number}).png": (label, None, None)
            for label in ("benign", "malignant", "normal")
            for number in (1, 100)
        },
        skipped={"mask of another image": 7},
        said=("callipers",),
    ),
    "bccd": Tree(
        make=_bccd,
        task="detection",
        labels=("Platelets", "RBC", "WBC"),
        records={
            f"BCCD_Dataset/BCCD/JPEGImages/BloodImage_0000{k}.jpg": (said, None, split)
            for k, (said, split) in enumerate((("RBC|WBC", "train"), ("RBC", "val"), ("Platelets", "test")))
        },
        skipped={"not where the original has its images": 1, "a table that is not used": 1},
        said=("4 boxes on 3 images", "some cells that can be seen have no box"),
    ),
    "kvasir_seg": Tree(
        make=_kvasir_seg,
        task="detection",
        labels=("polyp",),
        records={f"Kvasir-SEG/images/cju0qkwl35piu0993l0dewe{k}{k}.jpg": ("polyp", None, None) for k in range(3)},
        skipped={"mask of another image": 3},
        said=("4 boxes on 3 images", "every image has a polyp"),
    ),
    "idc": Tree(
        make=_idc,
        labels=("no IDC", "IDC"),
        records={
            f"{patient}/{k}/{patient}_idx5_x{x}_y1251_class{k}.png": (label, patient, None)
            for patient in ("8863", "10253")
            for k, label in enumerate(("no IDC", "IDC"))
            for x in (51, 101)
        },
        skipped={"a second copy within the download": 8},
        said=("2 patients",),
    ),
    "breakhis": Tree(
        make=_breakhis,
        labels=("benign", "malignant"),
        records={
            **{
                f"{_SLIDES}/benign/SOB/adenosis/SOB_B_A_{number}/{power}X/SOB_B_A-{number}-{power}-001.png": (
                    *("benign", "14-22549"),
                    None,
                )
                for number in ("14-22549AB", "14-22549G")
                for power in ("40", "400")
            },
            f"{_SLIDES}/malignant/SOB/ductal_carcinoma/SOB_M_DC_14-11031/100X/SOB_M_DC-14-11031-100-001.png": (
                *("malignant", "14-11031"),
                None,
            ),
        },
        said=("four magnifications",),
    ),
    "covid19_radiography": Tree(
        make=_covid_radiography,
        labels=("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"),
        records={
            f"COVID-19_Radiography_Dataset/{label}/images/{label}-{i}.png": (label, None, None)
            for label in ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
            for i in (1, 2)
        },
        skipped={"mask of another image": 8},
        said=("different sources",),
    ),
    "lc25000": Tree(
        make=_lc25000,
        labels=("colon_aca", "colon_n", "lung_aca", "lung_n", "lung_scc"),
        records={
            f"lung_colon_image_set/{label.partition('_')[0]}_image_sets/{label}/{short}{i}.jpeg": (label, None, None)
            for label, short in (
                *(("colon_aca", "colonca"), ("colon_n", "colonn"), ("lung_aca", "lungaca")),
                *(("lung_n", "lungn"), ("lung_scc", "lungscc")),
            )
            for i in (1, 2500)
        },
        said=("made from 1,250",),
    ),
    "idrid": Tree(
        make=_idrid,
        labels=("0_no_dr", "1_mild", "2_moderate", "3_severe", "4_proliferative"),
        records={
            f"B. Disease Grading/1. Original Images/{letter}. {part} Set/IDRiD_{i + 1:03}.jpg": (label, None, split)
            for letter, part, split, labels in (
                ("a", "Training", "train", ("3_severe", "4_proliferative", "0_no_dr", "1_mild", "2_moderate")),
                ("b", "Testing", "test", ("2_moderate", "3_severe")),
            )
            for i, label in enumerate(labels)
        },
        said=("read as one table",),
    ),
    "msld": Tree(
        make=_msld,
        labels=("Monkey_Pox", "Others"),
        records={
            "Original Images/Original Images/Monkey Pox/M01_01.jpg": ("Monkey_Pox", "M01", None),
            "Original Images/Original Images/Monkey Pox/M01_02.jpg": ("Monkey_Pox", "M01", None),
            "Original Images/Original Images/Others/NM01_01.jpg": ("Others", "NM01", None),
        },
        skipped={"an augmented or rearranged copy": 4, "a table that is not used": 1},
    ),
    "chestxray14": Tree(
        make=_chestxray14,
        labels=("Cardiomegaly", "Hernia", "Infiltration"),
        records={
            "images_001/images/00000001_000.png": ("Cardiomegaly", "1", "train"),
            "images_001/images/00000001_001.png": ("Cardiomegaly|Infiltration", "1", "train"),
            "images_001/images/00000002_000.png": ("", "2", "train"),
            "images_002/images/00001336_000.png": ("Hernia", "1336", "test"),
        },
        skipped={"not an image": 1},
        said=("official ones of test_list.txt and train_val_list.txt", "1 boxes on 1 images", "mined from reports"),
        task="multilabel",
    ),
    "chexpert": Tree(
        make=_chexpert,
        labels=(
            *("Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation"),
            *("Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture"),
            "Support Devices",
        ),
        records={
            "train/patient00001/study1/view1_frontal.jpg": ("Support Devices", "patient00001", "train"),
            "train/patient00002/study1/view1_frontal.jpg": ("Fracture|Lung Opacity", "patient00002", "train"),
            "train/patient00002/study1/view2_lateral.jpg": ("Lung Opacity", "patient00002", "train"),
            "valid/patient64541/study1/view1_frontal.jpg": (
                "Cardiomegaly|Enlarged Cardiomediastinum|Lung Opacity",
                *("patient64541", "val"),
            ),
        },
        said=("5 uncertain cells (-1) are missing", "U-Ignore", "counts as absent", "train.csv and valid.csv"),
        task="multilabel",
    ),
    "covid_chestxray": Tree(
        make=_covid,
        labels=("COVID-19", "other_pneumonia"),
        records={
            "images/a-01.jpeg": ("COVID-19", "2", None),
            "images/b_1.png": ("COVID-19", "2", None),
            "images/c.jpg": ("other_pneumonia", "3", None),
            "images/d.jpg": ("", "4", None),
            "images/e.jpg": ("", "5", None),
        },
        said=("1 rows are CT slices", "give the answer away", "survival", "clinical_notes"),
    ),
    "ham10000": Tree(
        make=_ham10000,
        labels=("bkl", "mel"),
        records={
            "HAM10000_images_part_1/ISIC_0027419.jpg": ("bkl", "HAM_0000118", None),
            "HAM10000_images_part_1/ISIC_0025030.jpg": ("bkl", "HAM_0000118", None),
            "HAM10000_images_part_2/ISIC_0031633.jpg": ("mel", "HAM_0002730", None),
        },
        skipped={"a second copy within the download": 2, "a table that is not used": 1},
        said=("say nothing of the patient: dx_type",),
    ),
    "isic2018": Tree(
        make=_isic2018,
        labels=("akiec", "mel", "nv"),
        records={
            f"{_ONE}/ISIC_0024306.jpg": ("nv", "HAM_0000550", "train"),
            f"{_ONE}/ISIC_0024307.jpg": ("nv", "HAM_0000550", "train"),
            f"{_ONE}/ISIC_0024310.jpg": ("mel", "HAM_0003577", "train"),
            "ISIC2018_Task3_Test_Input/ISIC_0034524.jpg": ("akiec", None, "test"),
        },
        said=("HAM10000: never test",),
    ),
    "isic2019": Tree(
        make=_isic2019,
        labels=("mel", "nv", "scc"),
        records={
            f"{_TWO}/ISIC_0000000.jpg": ("nv", None, None),
            f"{_TWO}/ISIC_0000002_downsampled.jpg": ("mel", "MSK4_0000002", None),
            f"{_TWO}/ISIC_0055555.jpg": ("scc", "BCN_0002083", None),
        },
        said=("no lesion_id",),
    ),
    "aptos2019": Tree(
        make=_aptos,
        labels=("0_no_dr", "1_mild", "2_moderate", "3_severe", "4_proliferative"),
        records={
            f"train_images/{name}.png": (grade, None, None)
            for name, grade in (
                ("000c1434d8d7", "2_moderate"),
                ("001639a390f0", "4_proliferative"),
                ("0024cdab0c1e", "1_mild"),
                ("002c21358ce6", "0_no_dr"),
                ("005b95c28852", "3_severe"),
                ("0104b032c141", "0_no_dr"),
            )
        },
        skipped={"not in the table": 2, "a table that is not used": 2},
        said=("2 is 2_moderate",),
    ),
    "odir5k": Tree(
        make=_odir,
        labels=("normal", "diabetes", "cataract"),
        records={
            f"ODIR-5K/ODIR-5K/{_TRAINING}/0_left.jpg": ("cataract", "0", None),
            f"ODIR-5K/ODIR-5K/{_TRAINING}/0_right.jpg": ("normal", "0", None),
            f"ODIR-5K/ODIR-5K/{_TRAINING}/1_right.jpg": ("diabetes", "1", None),
        },
        skipped={"a second copy within the download": 3},
        said=("Left-Diagnostic Keywords",),
    ),
    "mimic_cxr_jpg": Tree(
        make=_mimic,
        task="multilabel",
        labels=("Cardiomegaly", "Atelectasis"),
        records={
            f"files/p10/p10000032/s50414267/{_DICOMS[0]}.jpg": ("", "10000032", "train"),
            f"files/p10/p10000032/s50414267/{_DICOMS[1]}.jpg": ("", "10000032", "train"),
            f"files/p10/p10000764/s57375967/{_DICOMS[2]}.jpg": ("Atelectasis", "10000764", "val"),
            f"files/p11/p11000001/s58000001/{_DICOMS[3]}.jpg": ("Cardiomegaly", "11000001", "test"),
        },
        skipped={"not in the table": 1, "a table that is not used": 1},
        said=("by the study whose number", "U-Ignore", "No image carries Edema"),
    ),
    "padchest": Tree(
        make=_padchest,
        task="multilabel",
        labels=("cardiomegaly", "nodule", "pleural effusion"),
        records={
            f"{k // 4}/{k}16840111366964012283393834152009033102258826_00-059-08{k}.png": (said, f"P{k // 2}", None)
            for k, said in enumerate(("", "cardiomegaly|pleural effusion", "nodule", "", "", "", ""))
        },
        said=("1 images have only findings beyond", "3 images are unlabelled"),
    ),
    "vindr_cxr": Tree(
        make=_vindr,
        task="multilabel",
        labels=("Cardiomegaly", "Nodule/Mass", "Pleural effusion"),
        records={
            f"train/{'a' * 32}.png": ("Cardiomegaly", None, "train"),
            f"train/{'b' * 32}.png": ("", None, "train"),
            f"train/{'c' * 32}.png": ("Pleural effusion", None, "train"),
            f"test/{'d' * 32}.png": ("Cardiomegaly|Pleural effusion", None, "test"),
        },
        skipped={"a table that is not used": 1},
        said=("what most of", "9 boxes on 3 images"),
    ),
    "rsna_pneumonia": Tree(
        make=_rsna_pneumonia,
        labels=("no_pneumonia", "pneumonia"),
        records={
            f"stage_2_train_images/000{k}cfab-14fd-4e49-80ba-63a80b6bddd6.png": (
                "pneumonia" if k == 1 else "no_pneumonia",
                f"000{k}cfab-14fd-4e49-80ba-63a80b6bddd6",
                None,
            )
            for k in range(3)
        },
        skipped={"not in the table": 1, "a table that is not used": 2},
        said=("2 boxes on 1 images", "1 is pneumonia"),
    ),
    "pad_ufes_20": Tree(
        make=_pad_ufes_20,
        labels=("ACK", "BCC", "NEV"),
        records={
            "images/imgs_part_1/PAT_1516_1765_530.png": ("NEV", "PAT_1516", None),
            "images/imgs_part_2/PAT_1516_1766_531.png": ("BCC", "PAT_1516", None),
            "images/imgs_part_3/PAT_46_881_939.png": ("ACK", "PAT_46", None),
        },
        said=("biopsed",),
    ),
    "isic2020": Tree(
        make=_isic2020,
        labels=("benign", "malignant"),
        records={
            "jpeg/train/ISIC_2637011.jpg": ("benign", "IP_7279968", None),
            "jpeg/train/ISIC_0015719.jpg": ("benign", "IP_3075186", None),
            "jpeg/train/ISIC_0149568.jpg": ("malignant", "IP_0962375", None),
        },
        skipped={"not in the table": 1, "a table that is not used": 2},
        said=("diagnosis, target",),
    ),
    "ptb_xl": Tree(
        make=_ptb_xl,
        task="multilabel",
        labels=("HYP", "MI", "NORM", "STTC"),
        records={
            "records100/00000/00001_lr.hea": ("NORM", "15700", "train"),
            "records100/00000/00002_lr.hea": ("HYP|MI", "15701", "val"),
            "records100/00000/00003_lr.hea": ("", "15701", "test"),
            "records100/00000/00004_lr.hea": ("STTC", "15702", "train"),
        },
        skipped={"the same ECG at another sampling rate": 4},
        said=("strat_fold 10 is the test", "rhythm and form alone"),
    ),
    "medmnist": Tree(
        make=_medmnist,
        labels=("normal", "pneumonia"),
        records={
            "test/00000": ("normal", None, "test"),
            "test/00001": ("pneumonia", None, "test"),
            "train/00000": ("normal", None, "train"),
            "train/00001": ("pneumonia", None, "train"),
            "val/00000": ("normal", None, "val"),
        },
        said=("official split",),
    ),
}
