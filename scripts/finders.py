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

FINDERS = (BLOOD_CELLS, HEART_SIZE)
