"""Teach a check-up the field: choose pictures, make their views, and describe on the card how answers on them fare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from medloupe.data.modalities import PICTURES
from medloupe.data.split import sample_rows
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.field import FieldFeatures, embed_field
from medloupe.embed.field_cuts import FieldCuts, embed_field_cuts
from medloupe.imaging.field.faults import SEVERITIES
from medloupe.imaging.field.views import VIEW_KINDS
from medloupe.imaging.quality import Limits
from medloupe.metrics import weighted
from medloupe.metrics.weighted import Metric, Ranking
from medloupe.model.drift import fit_patients, fit_reference
from medloupe.model.kind_bank import KindBank
from medloupe.model.novelty import Novelty
from medloupe.model.sketch import sketch_many
from medloupe.training.heads.field import FieldFit
from medloupe.training.heads.legibility import FittedLegibility, fit_legibility
from medloupe.training.heads.own_views import add_soft_views
from medloupe.training.heads.verdict import Verdict, labelled_rows
from medloupe.training.options import Options
from medloupe.training.pipeline.apart import Apart, set_apart
from medloupe.training.pipeline.quality import are_stopped
from medloupe.utils.progress import StageProgress

FEWEST = 150
"""Labelled pictures below which no views are made."""

MOST = 2000
"""Pictures of which views are made at most: the cost stays bounded however large a set is."""

FEW = 1000
"""Pictures up to which each has two views of a kind."""

METHOD = (
    "Photographs of its own pictures were simulated (monitor, light box, print, eyepiece; mild, medium and hard), each"
    " whole and with its corners undone, beside worn direct copies. All were judged by heads that had seen no picture"
    " of the patient, and found too poor by a boundary drawn without it; what is refused as foreign or stopped by its"
    " quality is told by the limits that ship. Simulated photographs are not real ones."
)


def see_field(
    features: Features,
    groups: np.ndarray,
    network: Backbone,
    options: Options,
    say: StageProgress,
    *,
    keep_cuts: bool = False,
) -> tuple[FieldFeatures, FieldCuts | None] | None:
    """Embed field views of the pictures that are learned from.

    Parameters
    ----------
    features : Features
        Of all readable records.
    groups : np.ndarray
        int (N,), of patients and copies.
    network : Backbone
        What embeds them.
    options : Options
        What was asked for.
    say : callable
        Told the stage, how much of it is done, and of how much.

    keep_cuts : bool
        Whether what reaches the cut is kept too, for upper stages to learn from.

    Returns
    -------
    tuple of (FieldFeatures, FieldCuts or None) or None
        None where none are asked for, there are too few pictures, or these are no pictures.
    """
    if options.field == "none" or options.start is not None or features.data.modality != PICTURES.name:
        return None
    rows = labelled_rows(features.data.targets)
    if len(rows) < FEWEST:
        return None
    chosen = sample_rows(rows, features.data.targets, groups, MOST, options.seed)
    rounds = 2 if len(chosen) <= FEW else 1

    def tell(done: int, total: int) -> None:
        say("field views", done, total)

    cuts = None
    if keep_cuts:
        found, cuts = embed_field_cuts(features, chosen, network, rounds=rounds, seed=options.seed, progress=tell)
    else:
        found = embed_field(features, chosen, network, rounds=rounds, seed=options.seed, progress=tell)
    return (found, cuts) if len(found.rows) else None


def fit_novelty(
    embeddings: np.ndarray,
    groups: np.ndarray,
    levels: tuple[int, ...],
    verdict: Verdict,
    seed: int,
    bank: KindBank | None = None,
    kind: str = "",
) -> tuple[Apart, FittedLegibility | None]:
    """Fit what is refused, and what is withheld, on direct pictures and on field views of them that are not hard.

    Parameters
    ----------
    embeddings : np.ndarray
        float32 (n, D), of the rows verdict.everything.
    groups : np.ndarray
        int (n,).
    levels : tuple of int
        How D divides.
    verdict : Verdict
        With what views taught the head, if anything did.
    seed : int
        Of the folds.
    bank : KindBank or None
        What is known of other kinds, by these levels.
    kind : str
        Of picture, as the person says.
    """
    field = verdict.field
    taught = field is not None and field.weight > 0
    # views are numbered by the rows that judge, which with a tuned network and a test split are not all
    judging = np.flatnonzero(np.isin(verdict.everything, verdict.judging))
    views = None if field is None or not taught else replace(field.views, rows=judging[field.views.rows])
    seen = add_soft_views(embeddings, groups, views)
    apart = set_apart(*seen, levels, bank, kind=kind, direct=len(groups), seed=seed)
    if apart.novelty is not None:
        z = sketch_many(embeddings[judging], levels)
        watched = fit_reference(z, groups[judging], verdict.targets, apart.novelty.gaussian, seed)
        patients = fit_patients(z, groups[judging], verdict.targets, apart.novelty.gaussian, seed)
        apart = replace(apart, novelty=replace(apart.novelty, reference=watched, patients=patients))
    if field is None or not taught or apart.novelty is None:
        return apart, None
    embeddings, groups = embeddings[judging], groups[judging]
    y, task = verdict.targets, verdict.judged.task
    wrong = find_wrong(verdict.fitted.out_of_fold[0], y, task)
    wrong_views = find_wrong(field.out_of_fold, y[field.views.rows], task)
    found = fit_legibility(embeddings, wrong, field, wrong_views, groups, levels, seed)
    return replace(apart, novelty=replace(apart.novelty, legibility=found.legibility)), found


def soft_measures(verdict: Verdict) -> np.ndarray | None:
    """Give how field views that are not hard were taken, (V, measures); None where views taught nothing."""
    field = verdict.field
    return None if field is None or field.weight == 0 else field.views.measures[field.views.severities != "hard"]


def find_wrong(p: np.ndarray, y: np.ndarray, task: str) -> np.ndarray:
    """Tell which answers (N, K) are wrong, bool (N,): another class; of several labels any on the wrong side of ½."""
    if task == "multiclass":
        return np.asarray(p.argmax(1) != np.nan_to_num(y).argmax(1))
    return np.asarray((((p >= 0.5) != (y == 1)) & ~np.isnan(y)).any(1))


def describe_field(
    verdict: Verdict,
    groups: np.ndarray,
    withheld: FittedLegibility | None,
    novelty: Novelty | None,
    limits: Limits | None,
    seed: int,
) -> dict[str, Any] | None:
    """Build the card's entry `field`; None where no views were made.

    Parameters
    ----------
    verdict : Verdict
        Of the head.
    groups : np.ndarray
        int (n,), of the rows verdict.judging.
    withheld : FittedLegibility or None
        What is withheld.
    novelty : Novelty or None
        What is refused.
    limits : Limits or None
        Of quality.
    seed : int
        Of the bootstrap.
    """
    field = verdict.field
    if field is None:
        return None
    views, y, task = field.views, verdict.targets, verdict.judged.task
    refused = np.zeros(len(views.rows), bool) if novelty is None else novelty.score(views.shared) > 1
    stopped = refused if withheld is None else refused | withheld.views
    if limits is not None:
        stopped = stopped | are_stopped(views.measures, limits)
    rows = []
    for kind in VIEW_KINDS:
        for severity in SEVERITIES:
            at = np.flatnonzero((views.kinds == kind) & (views.severities == severity))
            if len(at):
                own = _measure(field, at, y[views.rows[at]], groups[views.rows[at]], stopped[at], task, seed)
                rows.append({"kind": kind, "severity": severity, "n": len(at), **own})
    entry: dict[str, Any] = {
        "method": METHOD,
        "pictures": len(np.unique(views.rows)),
        "views": len(views.rows),
        "rounds": 1 + int((np.bincount(views.rows[views.kinds == "whole"]) > 1).any()),
        "weight": field.weight,
        "freer": field.freer,
        "seed": seed,
        "tried": [{"weight": c.weight, "freer": c.freer, **c.describe_losses()} for c in field.candidates],
        "rows": rows,
        "withholds": withheld is not None and withheld.legibility is not None,
    }
    if withheld is not None:
        entry["direct_withheld"] = round(float(withheld.direct.mean()), 4)
    entry["words"] = _word(entry)
    return entry


def _measure(
    field: FieldFit, at: np.ndarray, y: np.ndarray, groups: np.ndarray, stopped: np.ndarray, task: str, seed: int
) -> dict[str, Metric]:
    """Measure answers on some views (at): all, those that are not withheld, and those of a head without views."""
    p, before = field.out_of_fold[at], field.untaught[at]
    wrong = find_wrong(p, y, task)
    figures = {
        "auc": _auc(p, y),
        "auc_before": _auc(before, y),
        "wrong": weighted.share(wrong, np.ones(len(at), bool)),
        "withheld": weighted.share(stopped, np.ones(len(at), bool)),
        "wrong_withheld": weighted.share(stopped, wrong),
        "right_withheld": weighted.share(stopped, ~wrong),
    }
    found = weighted.bootstrap_intervals(figures, groups, seed)
    known = ~stopped
    if known.any():
        answered = weighted.bootstrap_intervals({"auc_answered": _auc(p[known], y[known])}, groups[known], seed)
        found |= answered
    return {name: _round(metric) for name, metric in found.items()}


def _auc(p: np.ndarray, y: np.ndarray) -> weighted.Weighted:
    return weighted.average([Ranking(s, t).auc for s, t in zip(p.T, y.T, strict=True)])


def _round(metric: Metric) -> Metric:
    low, high, v = (None if x is None else round(x, 4) for x in (metric["low"], metric["high"], metric["value"]))
    return Metric(value=v, low=low, high=high)


def _word(entry: Mapping[str, Any]) -> list[str]:
    """Say in sentences how answers on photographs fare."""
    found = {(row["kind"], row["severity"]): row for row in entry["rows"]}
    if entry["weight"] == 0:
        return ["Photographs taught it nothing without costing direct pictures: it is made for direct exports."]
    words = []
    for severity in SEVERITIES:
        row = found.get(("straight", severity))
        if row is not None and row["auc"]["value"] is not None and row["auc_before"]["value"] is not None:
            words.append(
                f"On {severity} simulated photographs with the corners undone the AUC is {row['auc']['value']:.3f}"
                f" ({row['auc_before']['value']:.3f} by a head that learned from direct pictures alone),"
                f" {row['withheld']['value']:.0%} withheld."
            )
    return words
