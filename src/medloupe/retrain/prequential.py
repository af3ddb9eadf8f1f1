"""Measure how wrong the check-up was on corrections when they came, and how wrong a candidate is on the same ones.

Production answered each before anybody said what is right (prequential, or test-then-train; Dawid, J. R. Stat. Soc. A
147 (1984) 278-292): its figure is of the answers as they were given, by whichever version was in production then. The
candidate has learned the corrections, so that its figure is of heads that had not learned the correction, nor
any other picture of the same patient (out of fold). Corrections are no sample of all answers, as people send what looks
wrong to them: the figure shows what the candidate learns of them, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from medloupe.metrics import weighted
from medloupe.metrics.evidence import Evidence
from medloupe.metrics.paired import PairedDifference, compare_metrics
from medloupe.metrics.weighted import Ranking, Weighted


@dataclass(frozen=True, slots=True, kw_only=True)
class Prequential:
    """How production fared on corrections when they came, and a candidate out of fold.

    Attributes
    ----------
    corrections, groups
        On which both were measured; groups are patients and copies.
    skipped
        Corrections that do not count: a label of a picture that had been there, an answer that is not known, or a case
        that the version that answered had learned.
    wrong
        The share answered wrongly: a of production, b of the candidate; None without any. Of several findings the share
        of those that were looked for; None where none was.
    auc
        Macro average over labels; None where one lacks cases.
    """

    corrections: int
    groups: int
    skipped: int
    wrong: PairedDifference | None
    auc: PairedDifference | None

    def as_json(self) -> dict[str, Any]:
        """Give all fields, in types that JSON has."""
        return asdict(self)


def measure_prequential(
    told: Sequence[Mapping[str, Any]],
    across: Evidence,
    learned: Mapping[int, np.ndarray],
    *,
    sought: Collection[str] = (),
    seed: int = 0,
) -> Prequential:
    """Measure production and candidate on corrections.

    Parameters
    ----------
    told : sequence of mapping
        The corrections, as `run.FILE` keeps them.
    across : Evidence
        The candidate's predictions out of fold.
    learned : mapping
        By version, uint64 (M,): what it had learned; versions that are not known may be left out.
    sought
        Of several findings those that are flagged where they are found; others are never said, so never wrongly.
    seed
        Of the bootstrap.
    """
    at = {int(d): i for i, d in enumerate(across.digests)}
    rows: list[int] = []
    said: list[list[float]] = []
    answers: list[Mapping[str, Any]] = []
    for correction in told:
        row = at.get(int(Evidence.digest([bytes.fromhex(correction["digest"])])[0]))
        probabilities = correction["probabilities"]
        if row is None or not correction["brought"] or set(probabilities) != set(across.labels):
            continue
        own = across.digests[across.groups == across.groups[row]]
        if np.isin(own, learned.get(correction["version"] or -1, np.empty(0, np.uint64))).any():
            continue
        rows.append(row)
        said.append([float(probabilities[label]) for label in across.labels])
        answers.append(correction)
    if not rows:
        return Prequential(corrections=0, groups=0, skipped=len(told), wrong=None, auc=None)
    candidate, before = across.take(np.array(rows)), np.array(said)
    count = _count_wrong_findings if across.task == "multilabel" else _count_wrong_classes
    n, targets = len(rows), candidate.targets
    mistakes, told_any = count(candidate, answers, sought)
    asked: dict[str, tuple[Weighted, Weighted]] = {}
    if told_any.any():
        asked["wrong"] = (weighted.share(mistakes[0], told_any), weighted.share(mistakes[1], told_any))
    present = [k for k in range(len(across.labels)) if (targets[:, k] == 1).any() and (targets[:, k] == 0).any()]
    if present:
        asked["auc"] = (
            weighted.average([Ranking(before[:, k], targets[:, k]).auc for k in present]),
            weighted.average([Ranking(p[:, k], targets[:, k]).auc for p in candidate.probabilities for k in present]),
        )
    found = compare_metrics(asked, candidate.groups, seed=seed)
    groups = len(np.unique(candidate.groups))
    wrong, auc = found.get("wrong"), found.get("auc")
    return Prequential(corrections=n, groups=groups, skipped=len(told) - n, wrong=wrong, auc=auc)


def _count_wrong_classes(
    candidate: Evidence, answers: Sequence[Mapping[str, Any]], _sought: Collection[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Tell of each record how wrong both were, float32 (2, n), 0 or 1 of production; and that all count."""
    truth, n = candidate.targets.argmax(1), len(answers)
    said = [a["said"] != candidate.labels[k] for a, k in zip(answers, truth, strict=True)]
    return np.stack([np.array(said, np.float32), 1 - candidate.announced[np.arange(n), truth]]), np.ones(n, bool)


def _count_wrong_findings(
    candidate: Evidence, answers: Sequence[Mapping[str, Any]], sought: Collection[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Tell of each record which share of its findings both said wrongly, float32 (2, n), and whether any is told."""
    own = [k for k, name in enumerate(candidate.labels) if name in sought]
    truth = candidate.targets[:, own]
    flagged = np.array([[candidate.labels[k] in a["flagged"] for k in own] for a in answers], np.float32)
    stated = ~np.isnan(truth)
    count = stated.sum(1)
    both = (flagged.reshape(truth.shape), candidate.announced[:, own])
    wrong = [np.where(stated, np.abs(said - truth), 0).sum(1) / np.maximum(count, 1) for said in both]
    return np.stack(wrong).astype(np.float32), count > 0
