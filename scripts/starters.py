"""The check-ups that come with the package: from which data, how it is read, and what one must know of it.

Figures stand in no place but the cards; what is written here is what figures cannot say.
"""

from __future__ import annotations

from finders import FINDERS
from starter import Starter

_AGES = ["child", "adult"]
STARTERS = (
    Starter(
        name="pneumonia",
        data="chest_pneumonia",
        title="Pneumonia (children's chest X-ray)",
        about="a frontal chest X-ray of a child",
        kind="chest X-ray",
        finetune="none",
        original="chest_xray",
        normal=("NORMAL",),
        sought=("PNEUMONIA",),
        scope=(
            "Children of 1 to 5 years",
            "pneumonia only, no other disease",
            "photographs are read less surely than exports",
        ),
        applies=({"question": "age", "values": ["child"], "choices": _AGES},),
        weaknesses=(
            "Trained on children of one to five years from one hospital (Guangzhou); adults look different.",
            "All its pictures were squashed to squares, and training and test folders were collected differently:"
            " expect the lower of the two figures.",
            "It knows normal and pneumonia only: tuberculosis, an effusion or a tumour get one of the two.",
        ),
    ),
    Starter(
        name="covid",
        data="covid_cxr",
        title="COVID-19 or other pneumonia (chest X-ray)",
        about="a frontal chest X-ray of an adult in whom pneumonia is known or suspected",
        kind="chest X-ray",
        finetune="none",
        terms="research",
        original="covid_chestxray",
        sought=("COVID-19", "other_pneumonia"),
        scope=(
            "Adults in whom pneumonia is known or suspected",
            "cannot say normal",
            "photographed screens are read unreliably",
        ),
        applies=({"question": "age", "values": ["adult"], "choices": _AGES},),
        weaknesses=(
            "It tells COVID-19 from other pneumonias, badly, and cannot say that a chest is normal.",
            "Its pictures come from publications and hospitals all over the world: where a picture comes from may weigh"
            " more than what it shows.",
        ),
        relabel={"COVID-19": "COVID-19", "other_pneumonia": "other_pneumonia", "No Finding": ""},
        labels=("other_pneumonia", "COVID-19"),
    ),
    Starter(
        name="malaria",
        data="malaria",
        also=("malaria_colour",),
        parted_by=("device", {"malaria": "grey, 50 pixels", "malaria_colour": "colour, full size"}),
        title="Malaria (single blood cell)",
        about="one red blood cell cut out of a thin smear under the microscope",
        kind="blood cell",
        original="cell_images",
        finetune="none",
        normal=("Uninfected",),
        sought=("Parasitized",),
        scope=(
            "One blood cell at a time",
            "cut out, on black or grey",
            "no species and no count",
        ),
        weaknesses=(
            "It judges one cell at a time; a whole field of view must be cut into cells first.",
            "Learned from cells of one collection, in colour at full size and in grey of 50 pixels; other stains and"
            " microscopes look different.",
            "50 of its 200 slides are of healthy people: part of what it knows may be the stain of a slide.",
        ),
    ),
    Starter(
        name="brain-tumour",
        data="brain_mri",
        title="Brain tumour (MRI slice)",
        about="one slice of a brain MRI",
        kind="brain MRI",
        original="brain_tumor_mri",
        normal=("notumor",),
        sought=("glioma", "meningioma", "pituitary"),
        scope=(
            "One slice of a brain MRI",
            "three kinds of tumour, no bleeding or stroke",
            "a tumour on another slice is not seen",
        ),
        weaknesses=(
            "The data names no patients: slices of one patient may stand on both sides, which flatters all figures.",
            "Slices with and without tumours come from different collections, so it may know the collection.",
            "It sees one slice; a tumour elsewhere in the head is not seen.",
        ),
    ),
    Starter(
        name="retina",
        data="fundus",
        title="Diabetic retinopathy, grade (fundus)",
        about="a colour photograph of the back of the eye",
        kind="fundus",
        terms="research",
        original="odir5k",
        normal=("0_no_dr",),
        ordered=True,
        scope=(
            "Grades diabetic retinopathy only",
            "early signs are often missed",
            "no other disease of the eye",
        ),
        applies=({"question": "purpose", "values": ["grade"]},),
        weaknesses=(
            "Grades were derived from doctors' keywords, not graded by an official scale.",
            "Few severe and proliferative cases; mild ones are often taken for none.",
            "224 pixels do not show single microaneurysms.",
        ),
    ),
    Starter(
        name="retina-referable",
        data="fundus",
        title="Diabetic retinopathy, refer or not (fundus)",
        about="a colour photograph of the back of the eye",
        kind="fundus",
        terms="research",
        original="odir5k",
        normal=("not_referable",),
        sought=("referable",),
        scope=(
            "Diabetic retinopathy: refer or not",
            "moderate or worse is to be referred",
            "no other disease of the eye",
        ),
        applies=({"question": "purpose", "values": ["refer"]},),
        weaknesses=(
            "Grades were derived from doctors' keywords; referable means moderate or worse.",
            "Other diseases of the eye are not looked for.",
            "224 pixels do not show single microaneurysms.",
        ),
        relabel={
            "0_no_dr": "not_referable",
            "1_mild": "not_referable",
            "2_moderate": "referable",
            "3_severe": "referable",
            "4_proliferative": "referable",
        },
    ),
    Starter(
        name="breast",
        data="breast_ultrasound",
        title="Breast lesion (ultrasound)",
        about="a breast ultrasound picture",
        kind="breast ultrasound",
        original="busi",
        normal=("normal",),
        harmless=("benign",),
        sought=("malignant",),
        scope=(
            "One picture of a breast ultrasound",
            "learned in one hospital",
            "a lesion on another picture is not seen",
        ),
        weaknesses=(
            "No patient is named in the data: several pictures of one patient may stand on both sides.",
            "Callipers and text burnt into the pictures go with lesions; without them it may do worse.",
        ),
    ),
    Starter(
        name="skin",
        data="skin",
        title="Skin lesion (dermoscopy)",
        about="a dermoscopic picture of one skin lesion",
        kind="dermoscopy",
        terms="non-commercial",
        original="ham10000",
        harmless=("nv", "bkl", "df", "vasc"),
        sought=("mel", "bcc", "akiec"),
        scope=(
            "One lesion through a dermatoscope",
            "hardly any dark skin among its patients",
            "cannot say normal",
        ),
        weaknesses=(
            "Two in three lesions are harmless moles; of the rarest kinds it saw a few dozen.",
            "Hardly any dark skin among its patients (Austria, Australia).",
            "Made for dermoscopy; a phone photograph without a dermatoscope is another kind of picture.",
        ),
    ),
    Starter(
        name="monkeypox",
        data="monkeypox",
        title="Mpox or a look-alike (photograph of skin)",
        about="a close photograph of a rash",
        kind="photograph of skin",
        finetune="none",
        terms="non-commercial",
        original="msld",
        sought=("Monkey_Pox",),
        scope=(
            "A close photograph of a rash",
            "look-alikes: chickenpox and measles only",
            "a demonstration on few pictures",
        ),
        weaknesses=(
            "181 pictures collected from the web, many of the same patients: a demonstration, no more.",
            "Look-alikes are chickenpox and measles only; healthy skin and other rashes get one of the two answers.",
        ),
    ),
    Starter(
        name="oct",
        data="oct",
        title="New vessels under the macula, CNV (retinal OCT)",
        about="one slice of a retinal OCT (optical coherence tomography)",
        kind="retinal OCT",
        original="oct2017",
        finetune="none",
        normal=("NORMAL",),
        sought=("CNV",),
        scope=(
            "One slice of a retinal OCT",
            "new vessels (CNV) or normal, nothing else",
            "fluid of diabetes and drusen get one of the two",
        ),
        weaknesses=(
            "It knows new vessels (CNV) and normal only: macular oedema and drusen get one of the two answers, mostly"
            " new vessels.",
            "Pictures with and without new vessels differ in brightness, which alone tells them apart a little.",
            "It sees one slice; what lies beside it is not seen.",
        ),
    ),
    Starter(
        name="arrhythmia",
        data="ecg_beats",
        title="Heartbeats (ECG recording)",
        about="an ECG recording of ten seconds or longer, in which every beat is looked at",
        kind="ECG",
        source=(
            "MIT-BIH Arrhythmia Database",
            "ODC-BY 1.0",
            "Moody GB, Mark RG. The impact of the MIT-BIH Arrhythmia Database. IEEE Eng in Med and Biol 20(3):45-50,"
            " 2001; Goldberger AL et al., PhysioNet, Circulation 101(23):e215-e220, 2000",
        ),
        normal=("N",),
        sought=("V", "S", "F"),
        scope=(
            "Single beats, not rhythms",
            "learned on lead II (MLII)",
            "no fibrillation, blocks or pauses",
        ),
        weaknesses=(
            "Learned from a few dozen recordings of the 1970s, on one lead (MLII); other leads look different.",
            "It names single beats, not rhythms: atrial fibrillation, blocks and pauses are not reported.",
            "Fusion beats are rare and nearly all from two patients: most of them are taken for something else.",
            "Paced beats are none of its classes.",
            "Its network learned from the training records, too: the figure from cross-validation is too good, the one"
            " from the test records is not.",
        ),
    ),
    Starter(
        name="ecg12",
        data="ecg_12lead",
        title="Resting ECG (twelve leads)",
        about="a twelve-lead ECG of ten seconds at rest",
        kind="ECG",
        source=(
            "PTB-XL (the first 500 records)",
            "CC BY 4.0",
            "Wagner P et al. PTB-XL, a large publicly available electrocardiography dataset. Sci Data 7:154, 2020,"
            " doi 10.1038/s41597-020-0495-6",
        ),
        normal=("NORM",),
        sought=("MI", "STTC", "CD", "HYP"),
        scope=(
            "Adults at rest, twelve leads",
            "the typical beat only, no rhythm",
            "learned from 400 ECGs",
        ),
        weaknesses=(
            "Learned from about four hundred ECGs, mostly of one device and site.",
            "It looks at the typical beat alone: what concerns the rhythm is not seen.",
            "Of hypertrophy and old infarction it saw a few dozen cases.",
        ),
    ),
    *FINDERS,
)
