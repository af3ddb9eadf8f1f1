"""Judge heads on sources that they have not seen: chosen by leaving out sources, and by ordinary folds.

The source that judges takes no part in anything: its patients teach nothing and choose nothing. So each head is fitted
anew on the other sources, and chooses among these. Where only one other is left to choose by, both heads are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medloupe.data.split import Plan
from medloupe.embed.features import Features
from medloupe.embed.field import FieldFeatures
from medloupe.errors import DataError
from medloupe.metrics import weighted
from medloupe.metrics.calibration import expected_calibration_error
from medloupe.metrics.weighted import Metric, Ranking, Weighted
from medloupe.training.heads.field import FieldFit
from medloupe.training.heads.fit import FittedHead
from medloupe.training.heads.sources import SourceParts, on_rows, part_by_source
from medloupe.training.heads.taught import fit_taught


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """How heads fared on one source that they had not seen.

    Attributes
    ----------
    name : str
        Of the source.
    n, groups : int
        Rows of it, and patients or groups of copies, that judged.
    auc, ordinary, gain : Metric
        Macro AUC of the head chosen by sources left out, of the one chosen by ordinary folds, and by how much the
        first is better, on the same rows.
    ece : Metric
        Calibration error of the first.
    c : tuple of float
        Inverse regularisation of the heads, of which there are several where patients stand in several sources.
    weights : tuple of float
        Of their field views.
    """

    name: str
    n: int
    groups: int
    auc: Metric
    ordinary: Metric
    gain: Metric
    ece: Metric
    c: tuple[float, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceVerdict:
    """How heads fared on sources that they had not seen.

    Attributes
    ----------
    rows : tuple of LeftOut
        By source.
    auc, ordinary, gain : Metric
        The mean over the sources.
    nested : bool
        Whether the heads were chosen by leaving out sources: with two sources they are not.
    untold : int
        Rows whose source is not told, or cannot judge: they taught every head.
    """

    rows: tuple[LeftOut, ...]
    auc: Metric
    ordinary: Metric
    gain: Metric
    nested: bool
    untold: int


def judge_sources(
    features: Features,
    plan: Plan,
    sources: Sequence[str],
    *,
    levels: tuple[int, ...],
    seed: int,
    views: FieldFeatures | None = None,
) -> SourceVerdict:
    """Judge heads on each source that they had not seen.

    Parameters
    ----------
    features : Features
        Embeddings (N, D) and targets (N, K).
    plan : Plan
        The rows plan.fitting are judged: an official test split takes no part.
    sources : sequence of str
        Of each of the N rows, "" where it is not told.
    levels : tuple of int
        How D divides.
    seed : int
        Of folds and bootstrap.
    views : FieldFeatures, optional
        Of rows of the features.

    Raises
    ------
    DataError
        When fewer than two sources can judge.
    """
    rows = plan.fitting
    y, groups = features.data.targets[rows], plan.groups[rows]
    parts = part_by_source([sources[int(i)] for i in rows], y, groups, seed)
    require_two(parts)
    robust, ordinary = (np.full(y.shape, np.nan, np.float32) for _ in range(2))
    made: list[tuple[FittedHead, FieldFit | None]] = []
    nested = True
    for p, taught in enumerate(parts.taught):
        rest = rows[taught]
        x = features.embeddings[rows[parts.part == p]]
        able = part_by_source([sources[int(i)] for i in rest], y[taught], groups[taught], seed).can_choose
        nested &= able
        usual = fit_taught(features, plan, rest, levels, seed, views)
        found = fit_taught(features, plan, rest, levels, seed, views, sources) if able else usual
        made.append(found)
        robust[parts.part == p] = found[0].head.probabilities(x)
        ordinary[parts.part == p] = usual[0].head.probabilities(x)
    return _measure(robust, ordinary, y, groups, parts, made, features.data.task, nested, seed)


def check_sources(sources: Sequence[str], plan: Plan, targets: np.ndarray, seed: int) -> None:
    """Raise DataError where fewer than two sources can judge, before anything costs time."""
    rows = plan.fitting
    require_two(part_by_source([sources[int(i)] for i in rows], targets[rows], plan.groups[rows], seed))


def require_two(parts: SourceParts) -> None:
    """Raise DataError unless at least two sources can judge what was learned from the others."""
    if parts.can_choose:
        return
    named = f"only {parts.names[0]!r} can" if parts.names else "none can"
    raise DataError(
        f"Of the sources that are told, {named} judge a head that learned from the others: that takes five patients"
        " with and five without a label in each.",
        "Leave --robust out, or bring data of another hospital with the same labels.",
    )


def _measure(
    robust: np.ndarray,
    ordinary: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    parts: SourceParts,
    made: Sequence[tuple[FittedHead, FieldFit | None]],
    task: str,
    nested: bool,
    seed: int,
) -> SourceVerdict:
    rows: list[LeftOut] = []
    each: list[tuple[Weighted, Weighted]] = []
    for s, name in enumerate(parts.names):
        at = np.flatnonzero(parts.source == s)
        own, usual = (_auc(p[at], y[at]) for p in (robust, ordinary))
        asked = {"ece": expected_calibration_error(robust[at], y[at], task), **_compare(own, usual)}
        found = weighted.bootstrap_intervals(asked, groups[at], seed)
        heads = [made[p] for p, of in enumerate(parts.of) if of == s]
        rows.append(
            LeftOut(
                name=name,
                n=len(at),
                groups=len(np.unique(groups[at])),
                c=tuple(head.choice.c for head, _ in heads),
                weights=tuple(0.0 if field is None else field.weight for _, field in heads),
                **found,
            )
        )
        each.append((on_rows(own, at), on_rows(usual, at)))
    means = [weighted.average(list(side)) for side in zip(*each, strict=True)]
    found = weighted.bootstrap_intervals(_compare(*means), groups, seed)
    return SourceVerdict(rows=tuple(rows), nested=nested, untold=int((parts.part < 0).sum()), **found)


def _auc(p: np.ndarray, y: np.ndarray) -> Weighted:
    return weighted.average([Ranking(s, t).auc for s, t in zip(p.T, y.T, strict=True)])


def _compare(own: Weighted, usual: Weighted) -> dict[str, Weighted]:
    return {"auc": own, "ordinary": usual, "gain": lambda w: own(w) - usual(w)}
