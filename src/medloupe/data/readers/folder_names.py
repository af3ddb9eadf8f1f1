"""Tell what the names of folders say: a split, a fold, a date, a place, a copy, a view, an id, a finding.

Names alone decide little: hierarchy.py reads them together with what lies below which folder.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from functools import lru_cache
from statistics import median
from typing import Literal

from medloupe.data.labels import recognise_roles
from medloupe.data.readers.base import parse_split
from medloupe.data.records import Split

Kind = Literal["split", "fold", "date", "site", "original", "copy", "view", "files"]
"""What a folder is that holds classes or pictures and is no class: `original` and `copy` belong together."""

# Folders named after what files are, not after what they show.
GENERIC = frozenset(
    {"image", "images", "img", "imgs", "pictures", "photos", "data", "files", "jpg", "jpeg", "png", "dicom", "dcm"}
    | {"mask", "masks", "annotations", "labels", "scans", "heic", "tif", "tiff", "bmp"}
)
_THINGS = r"(s?(set|data|daten|satz|menge|images?|imgs?|pics|pictures|cases|folder|split|dir))?"
_SPLIT_WORDS: tuple[tuple[Split, re.Pattern[str]], ...] = (
    ("train", re.compile(rf"(train|training|trn|trainval|trainvalid|learn|learning|development){_THINGS}")),
    ("train", re.compile(r"entrenamiento|entrainement|apprentissage|treino|treinamento|addestramento|训练.*")),
    ("val", re.compile(rf"(val|valid|validation|dev|tuning){_THINGS}")),
    ("val", re.compile(r"validierung|validacion|validacao|validazione|验证.*")),
    ("test", re.compile(rf"(test|testing|tst|eval|evaluation|holdout|heldout){_THINGS}")),
    ("test", re.compile(r"prueba|pruebas|teste|testes|prova|auswertung|测试.*")),
)
_NUMBERED = frozenset(
    {"fold", "folds", "cv", "kfold", "split", "part", "partition", "chunk", "batch", "shard", "subset", "set", "round"}
    | {"session", "visit", "week", "day", "run", "group", "exp", "experiment", "series", "block", "bag"}
)
_MONTHS = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)"
_MONTH_NAMES = frozenset(
    {"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november"}
    | {"december", "janvier", "fevrier", "mars", "avril", "mai", "juin", "juillet", "aout", "septembre", "octobre"}
    | {"novembre", "decembre"}
)
_DATE = re.compile(
    r"(19|20)\d\d([-_. ]?(0?[1-9]|1[0-2])([-_. ]?\d{1,2})?)?|(0?[1-9]|[12]\d|3[01])[-_. ]\d{1,2}[-_. ](19|20)?\d\d"
    rf"|(0?[1-9]|1[0-2])[-_. ](19|20)\d\d|(19|20)\d\d[-_. ]?[qw]\d{{1,2}}|[qw]\d[-_. ]?(19|20)\d\d"
    rf"|{_MONTHS}[-_. ]?(19|20)?\d\d|(19|20)\d\d[-_. ]?{_MONTHS}"
)
_SITES = frozenset(
    {"site", "hospital", "clinic", "center", "centre", "institution", "institute", "scanner", "device", "vendor"}
    | {"camera", "machine", "lab", "laboratory", "country", "region", "ward", "department", "observer", "rater"}
    | {"reader", "station", "phone", "smartphone", "microscope", "cohort", "dataset", "source", "database", "hopital"}
)
_ORIGINALS = frozenset({"raw", "original", "originals", "orig", "unprocessed", "unaugmented", "unmodified"})
_COPIES = re.compile(
    r"aug|augment\w*|(pre)?process(ed|ing)?|enhanced|enhancement|resized|rescaled|cropped|crops|flipped|rotated|rotation"
    r"|normali[sz]ed|clahe|denoised|filtered|sharpened|equali[sz]ed|oversampled|upsampled|synthetic|generated"
)
_VIEWS = frozenset(
    {"left", "right", "l", "r", "od", "os", "ap", "pa", "lateral", "frontal", "axial", "coronal", "sagittal", "flair"}
    | {"front", "back", "anterior", "posterior", "dorsal", "ventral", "male", "female", "men", "women", "indoor"}
    | {"outdoor", "rgb", "grey", "gray", "grayscale", "colour", "color", "mlo", "cc", "adc", "dwi"}
)
_MAGNIFICATION = re.compile(r"x?\d{1,4}x?|\d{2,4}\s?x\s?\d{2,4}|\d+(px|mm|um|kv)", re.I)
_GRADED = re.compile(
    r"(grade|stage|type|class|level|score|category|cat|bi[-_ ]?rads|ti[-_ ]?rads|pi[-_ ]?rads|kl|figo|isup|gleason|dr"
    r"|grado|degree|phase|label|diagnosis|dx)[-_ ]?\d{1,2}[a-d]?",
    re.I,
)
_FINDING = re.compile(
    r"(oma|omas|itis|osis|emia|aemia|pathy|plasia|plasm|trophy|rrhage|rrhoid|sclerosis|ectasis|ulcer|cyst|cysts|polyp"
    r"|polyps|lesion|lesions|fracture|adenosis|drusen|nevus|naevus|cataract|atelectasis|effusion|nodule|mass)$"
)
_SERIES_FEWEST = 3


@lru_cache(maxsize=1 << 16)
def fold_name(name: str) -> str:
    """Write a name so that spellings of one class are equal: "Viral_Pneumonia" and "viral pneumonia"."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[\s_-]+", " ", plain).strip(" .")


@lru_cache(maxsize=1 << 16)
def split_words(name: str) -> tuple[str, ...]:
    """List the words and numbers of a name, without case and accents: "a. TrainingSet_2" is a, training, set, 2."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    bare = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare)
    return tuple(re.findall(r"\d+|[^\W\d_]+", bare.lower()))


@lru_cache(maxsize=1 << 16)
def find_split(name: str) -> Split | None:
    """Find the split that a folder's name holds among its words: "seg_train", "b. Testing Set", "Train_data"."""
    if whole := parse_split(name):
        return whole
    words = [word for word in split_words(name) if not word.isdigit()]
    told: set[Split] = {split for word in words for split, pattern in _SPLIT_WORDS if pattern.fullmatch(word)}
    if {"hold", "out"} <= set(words) or {"held", "out"} <= set(words):
        told.add("test")
    if told == {"train", "val"}:
        return "train"  # "Train and Validation Set", beside a test
    return next(iter(told)) if len(told) == 1 else None


@lru_cache(maxsize=1 << 16)
def kind_of(name: str) -> Kind | None:
    """Tell what a folder is, going by its name alone; None where it may be a class (or a patient)."""
    words = split_words(name)
    plain = [word for word in words if not word.isdigit()]
    if any(_COPIES.fullmatch(word) for word in plain):
        return "copy"
    if find_split(name):
        return "split"
    if any(word in _ORIGINALS for word in plain):
        return "original"
    if _DATE.fullmatch(name.strip().lower()) or (plain and all(word in _MONTH_NAMES for word in plain)):
        return "date"
    numbered = len(plain) < len(words) or any(len(word) == 1 for word in plain)
    if plain and (plain[0] in _NUMBERED or plain[-1] in _NUMBERED) and (numbered or plain == ["fold"]):
        return "fold"
    if any(word in _SITES for word in plain) and len(words) > 1:
        return "site"
    if name.lower() in GENERIC:
        return "files"
    return "view" if plain and all(word in _VIEWS for word in plain) else None


def without_copy_words(name: str) -> str:
    """Write a folded name without the words that say copy: "benign_augmented" is "benign"; "" where it has none."""
    words = fold_name(name).split()
    rest = [word for word in words if not _COPIES.fullmatch(word)]
    return " ".join(rest) if len(rest) < len(words) else ""


def says_nothing(name: str) -> bool:
    """Tell whether a folder's name cannot be that of a class: images, 2021-05, augmented, fold_3."""
    return name.lower() in GENERIC or kind_of(name) in ("date", "copy") or split_words(name)[:1] == ("fold",)


def are_views(names: Collection[str]) -> bool:
    """Tell whether folders are named after how pictures were taken: left and right, 40X and 100X."""
    if len(names) < 2:
        return False
    return all(kind_of(name) == "view" or ("x" in name.lower() and _MAGNIFICATION.fullmatch(name)) for name in names)


def are_ids(names: Collection[str]) -> bool:
    """Tell whether folders are named as patients are: most with a number, and no grades."""
    found = list(names)
    if len(found) < _SERIES_FEWEST or are_grades(found):
        return False
    with_number = sum(any(c.isdigit() for c in name) and not _GRADED.fullmatch(name) for name in found)
    return with_number >= 0.8 * len(found)


def are_grades(names: Iterable[str]) -> bool:
    """Tell whether folders are named as grades are: 0 to 4, or "stage 1" and "stage 2"."""
    found = list(names)
    if all(_GRADED.fullmatch(name) for name in found):
        return True
    numbers = sorted(int(name) for name in found if name.isascii() and name.isdigit() and len(name) < 3)
    return len(numbers) == len(found) <= 7 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def name_findings(names: Collection[str]) -> bool:
    """Tell whether a name among these is that of a finding, or says that there is none."""
    if are_ids(names):
        return False
    together = recognise_roles(tuple(names))  # X beside no_X
    if any(together.of(name) != "none" or recognise_roles((name,)).of(name) != "none" for name in names):
        return True
    return any(_FINDING.search(word) for name in names for word in split_words(name) if len(word) > 3)


def are_people(names: Collection[str], counts: Collection[int]) -> bool:
    """Tell whether many folders of few pictures each, whose names say nothing known, are likely people."""
    return len(names) >= _MANY_PEOPLE and median(counts) <= _FEW_EACH and not name_findings(names)


_MANY_PEOPLE, _FEW_EACH = 10, 10
