"""The check-ups that come with the package and mark places in pictures."""

from __future__ import annotations

from starter import Starter

BLOOD_CELLS = Starter(
    name="blood_cells",
    data="blood_cells",
    title="Blood cells, counted (smear)",
    about="a field of a stained blood smear under the microscope",
    kind="blood smear",
    false_marks=3.0,
    finds=True,
    original="bccd",
    scope=(
        "Counts red cells, white cells and platelets of one field",
        "no kinds of white cells, no parasites",
        "no blood count: cells a field, not a litre",
    ),
    weaknesses=(
        "It counts what lies in one picture. A blood count is cells in a known volume, which no picture tells.",
        "It does not tell the kinds of white cells apart, and looks for no disease of cells and no parasite.",
        "Learned from pictures of one microscope and stain; other magnifications make cells of another size, which"
        " it may miss.",
        "The data names no patients, and in it some cells that can be seen are not marked, mostly red ones cut off"
        " by the edge or lying on each other: of these it may mark more or fewer than a person.",
    ),
)

HEART_SIZE = Starter(
    name="heart_size",
    data="chest_heart_size",
    title="Heart size (chest X-ray)",
    about="a frontal (PA) chest X-ray of an adult, standing",
    kind="chest X-ray",
    finds=True,
    measure=("ctr = width(heart) / width(left_lung + right_lung)",),
    source=(
        "Extended Wingspan CTR estimation dataset",
        "MIT",
        "Dong et al., Unsupervised domain adaptation for automatic estimation of cardiothoracic ratio, MICCAI 2018,"
        " 544-552, doi 10.1007/978-3-030-00934-2_61",
    ),
    scope=(
        "Adults, standing, frontal (PA)",
        "measures heart and lungs, names no disease",
        "the picture must not be squeezed or cropped",
    ),
    applies=({"question": "age", "values": ["adult"], "choices": ["child", "adult"]},),
    weaknesses=(
        "The cardiothoracic ratio holds for PA pictures in deep inspiration, standing. Lying, from the front (AP)"
        " or breathing out, hearts look larger; it cannot tell how a picture was taken.",
        "Its interval is wide: for most pictures it holds .5, and then it does not tell an enlarged heart from"
        " another.",
        "Learned from 206 pictures of one group of hospitals, seven in ten with an enlarged heart.",
        "It measures; whether a heart is ill, the ratio alone does not say. One above .5 is common in old people,"
        " and usual in small children, for whom it was not made.",
    ),
)

BRAIN_LESIONS = Starter(
    name="brain_lesions",
    data="brain_boxes",
    title="Tumour, where it lies (brain MRI slice)",
    about="one slice of a brain MRI, cut free of the skull, on which a tumour is seen or suspected",
    kind="brain MRI",
    terms="research",
    finds=True,
    source=(
        "brain-tumor (Ultralytics)",
        "not stated",
        "Ultralytics, Brain Tumor Dataset, https://docs.ultralytics.com/datasets/detect/brain-tumor/",
    ),
    sought=("tumor",),
    scope=(
        "One slice of a brain MRI, without the skull",
        "marks a tumour's place; no mark is no all-clear",
        "does not name the kind of tumour",
    ),
    weaknesses=(
        "It cannot say that a brain is free of tumours: a tumour lies on every slice that it learned from, so how often"
        " it marks a healthy slice is not known.",
        "Learned from slices from which the skull had been removed by a program; slices with the skull look different.",
        "Ventricles are at times marked, and of a small bright spot in a darkened region the whole region.",
        "The patient's number is known of half of its pictures; slices of one patient may stand on both sides, which"
        " flatters its figures.",
        "It sees one slice; a tumour elsewhere in the head is not seen.",
    ),
)

POLYPS = Starter(
    name="polyps",
    data="polyp_boxes",
    title="Polyps (colonoscopy)",
    about="a picture from a colonoscopy, of the lining of the bowel",
    kind="colonoscopy",
    terms="research",
    finds=True,
    original="kvasir_seg",
    sought=("polyp",),
    scope=(
        "One picture from a colonoscopy",
        "marks polyps; no mark is no all-clear",
        "does not say what kind of polyp it is",
    ),
    weaknesses=(
        "It cannot say that there is no polyp: there is one on every picture that it learned from, so how often it"
        " marks a healthy bowel is not known.",
        "It was made for single pictures that somebody chose because of a polyp, not for watching during the"
        " examination.",
        "Nine in ten of its pictures had been squashed to squares, and most polyps on them are large: small and flat"
        " ones are missed more often.",
        "No patient is named in the data: several pictures of one polyp may stand on both sides, which flatters its"
        " figures.",
    ),
)

FINDERS = (BLOOD_CELLS, HEART_SIZE, BRAIN_LESIONS, POLYPS)
