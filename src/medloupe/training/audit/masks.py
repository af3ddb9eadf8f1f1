"""Propose words of the notes to mask because they state the label, so that a model does not learn to read the answer.

They are found by name (the label and its parts) and by data: words that hardly ever stand beside any other label.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
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
class StatingWord:
    """A word that states a label.

    Attributes
    ----------
    word : str
        As it is masked (see notes.Masks).
    label : str
        That it states.
    patients : int
        Groups whose notes use it.
    precision : float
        Share of them with the label, 0 to 1.
    named : bool
        Whether it is part of the label's name, or another name of it, rather than found by data.
    """

    word: str
    label: str
    patients: int
    precision: float
    named: bool


def propose_masks(
    texts: Sequence[str | None], targets: np.ndarray, labels: Sequence[str], groups: np.ndarray | None = None
) -> tuple[StatingWord, ...]:
    """Propose words to mask, those of the labels' names first, then by how many patients use them.

    Parameters
    ----------
    texts : sequence of str or None
        N notes.
    targets : np.ndarray
        (N, K) of 1, 0 and NaN.
    labels : sequence of str
        K names.
    groups : np.ndarray or None
        int (N,); None where every row is a patient.

    Returns
    -------
    tuple of StatingWord
        At most MOST, each word once.
    """
    group = np.arange(len(texts)) if groups is None else np.unique(groups, return_inverse=True)[1]
    named = _find_named(texts, targets, labels, group)
    rows_of = _rows_of_words(texts, Masks([s.word for s in named]))
    written = np.array([bool(t and t.strip()) for t in texts], bool)
    found = []
    for k, label in enumerate(labels):
        share = _group_shares(written, targets[:, k], group)
        usual = float(share.mean()) if len(share) else 1.0
        found += _find_telling(label, targets[:, k], group, rows_of, usual)
    found.sort(key=lambda s: (-s.patients, s.word))
    kept: dict[str, StatingWord] = {}
    for s in (*named, *found):
        kept.setdefault(s.word, s)
    return tuple(kept.values())[:MOST]


def _find_named(
    texts: Sequence[str | None], targets: np.ndarray, labels: Sequence[str], group: np.ndarray
) -> list[StatingWord]:
    """Find the words of the labels' names that any note uses."""
    named = []
    for k, label in enumerate(labels):
        for word in _name_masks(label):
            using = np.array([bool(t) and Masks((word,)).apply(t) != fold_text(t) for t in texts], bool)
            if using.any():
                named.append(_count_word(word, label, using, targets[:, k], group, named=True))
    return named


def _rows_of_words(texts: Sequence[str | None], mask: Masks) -> dict[str, list[int]]:
    """List for each word that is left under a mask the rows whose notes use it."""
    rows_of: dict[str, list[int]] = {}
    for i, text in enumerate(texts):
        for word in set(split_words(mask.apply(text))) if text else ():
            rows_of.setdefault(word, []).append(i)
    return rows_of


def _find_telling(
    label: str, truth: np.ndarray, group: np.ndarray, rows_of: Mapping[str, list[int]], usual: float
) -> Iterator[StatingWord]:
    """Find words that stand beside a label hardly ever by chance. usual: share of the written notes that have it."""
    for word, rows in rows_of.items():
        if len(rows) < _FEWEST or not any(c.isalnum() for c in word):
            continue
        using = np.zeros(len(group), bool)
        using[rows] = True
        stated = _count_word(word, label, using, truth, group, named=False)
        hits = round(stated.precision * stated.patients)
        telling = stated.patients >= _FEWEST and stated.precision >= _PRECISE
        if telling and _binomial_tail(hits, stated.patients, usual) < _BY_CHANCE:
            yield stated


def _name_masks(label: str) -> list[str]:
    """Make masks of a label's name: the whole as a phrase, or its telling parts wherever they occur."""
    said = fold_text(label)
    parts = [p for p in re.findall(r"[^\W\d_]+", said) if len(p) >= _PART and p not in _GENERAL]
    whole = " ".join(split_words(said.replace("_", " ")))
    if not parts:
        return [whole] if len(whole) >= _PART else []
    every = list(dict.fromkeys(m for p in parts for m in (f"*{p}*", *_SYNONYMS.get(p, ()))))
    return [m for m in every if not any(m != wider and wider[1:-1] in m for wider in every if wider[0] == "*")]


def _count_word(
    word: str, label: str, using: np.ndarray, truth: np.ndarray, group: np.ndarray, *, named: bool
) -> StatingWord:
    share = _group_shares(using, truth, group)
    precision = float(share.mean()) if len(share) else 0.0
    return StatingWord(word=word, label=label, patients=len(share), precision=round(precision, 4), named=named)


def _group_shares(rows: np.ndarray, truth: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Compute for each group among the rows whose label is known the share that have it."""
    rows = np.flatnonzero(rows & ~np.isnan(truth))
    if not len(rows):
        return np.empty(0)
    of, place = np.unique(group[rows], return_inverse=True)
    return np.bincount(place, truth[rows], len(of)) / np.bincount(place, minlength=len(of))


def _binomial_tail(hits: int, n: int, p: float) -> float:
    """Compute how probable it is to see at least `hits` of n where each has the probability p."""
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
