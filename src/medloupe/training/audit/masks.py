"""Words of the notes that state the label, so that a model does not learn to read the answer.

Found by name (the label and its parts) and by data: words that hardly ever stand beside any other label.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medloupe.inputs.notes import Masks, fold_text, split_words

MOST = 60  # words proposed
_PRECISE = 0.95  # share of a word's patients that have the label
_BY_CHANCE = 1e-4  # how probable that may be for a word that has nothing to do with the label
_FEWEST = 5  # patients that use the word
_PART = 4  # letters of a part of a label's name that is masked wherever it occurs
_GENERAL = frozenset(  # parts of labels that are words of every note
    {"with", "without", "other", "others", "finding", "findings", "normal", "disease", "diseases", "lesion", "lesions"}
    | {"type", "class", "grade", "stage", "none", "mild", "moderate", "severe", "positive", "negative", "present"}
    | {"absent", "healthy", "left", "right", "acute", "chronic", "unspecified", "unknown", "syndrome", "disorder"}
    | {"cell", "cells", "image", "view"}
)
_SYNONYMS = {  # other names of what a label names: too rare in a small set to be found by data
    "covid": ("*coronavirus*", "*sars*", "*ncov*", "*cov-2*", "pcr", "rt-pcr"),
    "pneumonia": ("*pneumoni*", "*pneumoc*"),
    "tuberculosis": ("tb", "*tubercul*"),
    "melanoma": ("*melanom*",),
    "carcinoma": ("*carcinom*",),
    "malignant": ("*malignan*", "*cancer*"),
    "benign": ("*benign*",),
    "glioma": ("*glioma*", "*glioblastom*", "*astrocytom*"),
    "meningioma": ("*meningiom*",),
    "pneumothorax": ("*pneumothor*",),
    "effusion": ("*effusion*",),
    "retinopathy": ("*retinopath*",),
    "infarction": ("*infarct*", "stemi", "nstemi"),
    "malaria": ("*plasmodium*", "*falciparum*", "*vivax*"),
    "mpox": ("*monkeypox*",),
    "monkeypox": ("mpox",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stating:
    """A word that states a label.

    word: as it is masked (see notes.Masks). patients: groups whose notes use it. precision: share of them with the
    label. named: whether it is part of the label's name, or another name of it, rather than found
    by data.
    """

    word: str
    label: str
    patients: int
    precision: float
    named: bool


def propose_masks(
    texts: Sequence[str | None], targets: np.ndarray, labels: Sequence[str], groups: np.ndarray | None = None
) -> tuple[Stating, ...]:
    """Words to mask, those of the labels' names first, then by how many patients use them; at most MOST.

    texts: N notes. targets: (N, K) of 1/0/NaN. groups: int (N,), or None where every row is a patient.
    """
    group = np.arange(len(texts)) if groups is None else np.unique(groups, return_inverse=True)[1]
    named = []
    for k, label in enumerate(labels):
        for word in _of_name(label):
            using = np.array([bool(t) and Masks((word,)).apply(t) != fold_text(t) for t in texts], bool)
            if using.any():
                named.append(_counted(word, label, using, targets[:, k], group, named=True))
    mask = Masks([s.word for s in named])
    used: dict[str, list[int]] = {}
    for i, text in enumerate(texts):
        for word in set(split_words(mask.apply(text))) if text else ():
            used.setdefault(word, []).append(i)
    written = np.array([bool(t and t.strip()) for t in texts], bool)
    found = []
    for k, label in enumerate(labels):
        share = _of_groups(written, targets[:, k], group)
        usual = float(share.mean()) if len(share) else 1.0
        for word, rows in used.items():
            if len(rows) < _FEWEST or not any(c.isalnum() for c in word):
                continue
            using = np.zeros(len(texts), bool)
            using[rows] = True
            stated = _counted(word, label, using, targets[:, k], group, named=False)
            hits = round(stated.precision * stated.patients)
            telling = stated.patients >= _FEWEST and stated.precision >= _PRECISE
            if telling and _tail(hits, stated.patients, usual) < _BY_CHANCE:
                found.append(stated)
    found.sort(key=lambda s: (-s.patients, s.word))
    kept: dict[str, Stating] = {}
    for s in (*named, *found):
        kept.setdefault(s.word, s)
    return tuple(kept.values())[:MOST]


def _of_name(label: str) -> list[str]:
    """Masks for a label's name: the whole as a phrase, and its telling parts wherever they occur."""
    said = fold_text(label)
    parts = [p for p in re.findall(r"[^\W\d_]+", said) if len(p) >= _PART and p not in _GENERAL]
    whole = " ".join(split_words(said.replace("_", " ")))
    if not parts:
        return [whole] if len(whole) >= _PART else []
    every = list(dict.fromkeys(m for p in parts for m in (f"*{p}*", *_SYNONYMS.get(p, ()))))
    return [m for m in every if not any(m != wider and wider[1:-1] in m for wider in every if wider[0] == "*")]


def _counted(word: str, label: str, using: np.ndarray, truth: np.ndarray, group: np.ndarray, *, named: bool) -> Stating:
    share = _of_groups(using, truth, group)
    precision = float(share.mean()) if len(share) else 0.0
    return Stating(word=word, label=label, patients=len(share), precision=round(precision, 4), named=named)


def _of_groups(rows: np.ndarray, truth: np.ndarray, group: np.ndarray) -> np.ndarray:
    """For each group among the rows whose label is known, the share that have it."""
    rows = np.flatnonzero(rows & ~np.isnan(truth))
    if not len(rows):
        return np.empty(0)
    of, place = np.unique(group[rows], return_inverse=True)
    return np.bincount(place, truth[rows], len(of)) / np.bincount(place, minlength=len(of))


def _tail(hits: int, n: int, p: float) -> float:
    """How probable it is to see at least `hits` of n where each has the probability p."""
    if p <= 0 or p >= 1:
        return 1.0 if p >= 1 else 0.0
    return sum(
        math.exp(
            math.lgamma(n + 1)
            - math.lgamma(i + 1)
            - math.lgamma(n - i + 1)
            + i * math.log(p)
            + (n - i) * math.log1p(-p)
        )
        for i in range(hits, n + 1)
    )
