"""Rank corrections that everything else contradicts, and say of each reader how often that is so.

New corrections are judged by what production has learned alone: none of them speaks for another, so that whoever is
wrong again and again does not bear themselves out, nor tell against those who are right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.data.records import Dataset
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import embed
from medloupe.metrics.evidence import OUT_OF_FOLD, Evidence
from medloupe.metrics.weighted import Ranking
from medloupe.retrain.corrections import Correction
from medloupe.training.audit.label_errors import TELLING, score_labels

if TYPE_CHECKING:
    from medloupe.model.bundle import Model

FEWEST = 20  # records beside the corrections below which nothing is said


@dataclass(frozen=True, slots=True, kw_only=True)
class ContradictedCorrection:
    """A correction whose label others contradict, by the ids of item and case, and how probable both are.

    Of several findings the one that is contradicted most: given and likely are its name, and "not" with it.
    """

    item: str
    case: str
    given: str
    likely: str
    probability_given: float
    probability_likely: float
    readers: tuple[str, ...]
    finding: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderContradiction:
    """Of how many of a reader's corrections another label is the more probable."""

    reader: str
    corrections: int
    contradicted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedCorrections:
    """What all others say of the corrections.

    Attributes
    ----------
    cases
        Those whose label is contradicted, the least probable first.
    readers
        All, the one who is contradicted most first.
    usual
        The share of all other records that are contradicted likewise; None where there are too few to say anything.
    """

    cases: tuple[ContradictedCorrection, ...] = ()
    readers: tuple[ReaderContradiction, ...] = ()
    usual: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Give all fields, in types that JSON has."""
        return asdict(self)


def rank_corrections(
    dataset: Dataset, corrections: Sequence[Correction], model: Model, folder: Path, seed: int = 0
) -> RankedCorrections:
    """Rank the corrections that a version learned and that had been learned by none before.

    Parameters
    ----------
    dataset : Dataset
        What it learned from.
    corrections : sequence of Correction
        The new ones, among its records.
    model : Model
        The version: its network embeds, from the cache.
    folder : Path
        Of the version, with its out-of-fold predictions, whose groups say what belongs together.
    """
    across = Evidence.read(folder, OUT_OF_FOLD) or Evidence.read(folder)
    if across is None or not corrections:
        return RankedCorrections()
    features = embed(scan_dataset(dataset), model.backbone, tail=model.tail)
    at = {int(d): i for i, d in enumerate(Evidence.digest(list(features.digests)))}
    rows = np.array([at.get(int(d), -1) for d in across.digests], np.int64)
    across, rows = across.take(np.flatnonzero(rows >= 0)), rows[rows >= 0]
    ids = [Path(features.data.records[i].id).stem for i in rows]
    return rank_labels(features.embeddings[rows], across, ids, corrections, seed)


def rank_labels(
    embeddings: np.ndarray, across: Evidence, ids: Sequence[str], corrections: Sequence[Correction], seed: int = 0
) -> RankedCorrections:
    """Rank corrections by embeddings (N, D) of what was learned, with targets and groups of it, and the items' ids."""
    by_item = {c.item.id: c for c in corrections}
    own = [by_item.get(id) for id in ids]
    new = np.array([c is not None for c in own], bool)
    if (~new).sum() < FEWEST or not new.any():
        return RankedCorrections()
    told = {"task": across.task, "seed": seed, "unknown": new}
    p = np.exp(score_labels(embeddings, across.targets, across.groups, **told))  # (N, K)
    describe = _describe_finding if across.task == "multilabel" else _describe_class
    contradicted, words = describe(across, p, ~new)
    cases = [
        ContradictedCorrection(item=c.item.id, case=c.case.id, readers=c.readers, **words(i))
        for i, c in enumerate(own)
        if c is not None and contradicted[i]
    ]
    every = Counter(reader for c in own if c is not None for reader in c.readers)
    against = Counter(reader for c in cases for reader in c.readers)
    readers = [ReaderContradiction(reader=name, corrections=n, contradicted=against[name]) for name, n in every.items()]
    return RankedCorrections(
        cases=tuple(sorted(cases, key=lambda c: (c.probability_given, c.item))),
        readers=tuple(sorted(readers, key=lambda r: (-r.contradicted / r.corrections, r.reader))),
        usual=float(contradicted[~new].mean()),
    )


def _describe_class(
    across: Evidence, p: np.ndarray, _base: np.ndarray
) -> tuple[np.ndarray, Callable[[int], dict[str, Any]]]:
    """Tell which records (N,) another class is more probable of, and describe one, of probabilities (N, K)."""
    given, likely = across.targets.argmax(1), p.argmax(1)

    def describe(i: int) -> dict[str, Any]:
        return {
            "given": across.labels[given[i]],
            "likely": across.labels[likely[i]],
            "probability_given": float(p[i, given[i]]),
            "probability_likely": float(p[i, likely[i]]),
        }

    return given != likely, describe


def _describe_finding(
    across: Evidence, p: np.ndarray, base: np.ndarray
) -> tuple[np.ndarray, Callable[[int], dict[str, Any]]]:
    """Tell which records (N,) have a finding of which the opposite is more probable, and describe the most doubtful.

    p is of what is stated (N, K). Findings of which embeddings tell too little among base, bool (N,), contradict
    nothing.
    """
    telling = np.zeros(len(across.labels), bool)
    for k, column in enumerate(across.targets[base].T):
        support = np.where(column == 1, p[base, k], 1 - p[base, k])
        with np.errstate(invalid="ignore", divide="ignore"):
            auc = Ranking(support, column).auc(np.ones((1, len(column)), np.float32))[0]
        telling[k] = bool(auc >= TELLING)
    own = np.where(telling & ~np.isnan(across.targets), p, 1.0)
    worst = own.argmin(1)

    def describe(i: int) -> dict[str, Any]:
        name, there = across.labels[worst[i]], across.targets[i, worst[i]] == 1
        said = (name, f"not {name}")
        return {
            "given": said[0 if there else 1],
            "likely": said[1 if there else 0],
            "probability_given": float(own[i].min()),
            "probability_likely": float(1 - own[i].min()),
            "finding": name,
        }

    return own.min(1) < 0.5, describe
