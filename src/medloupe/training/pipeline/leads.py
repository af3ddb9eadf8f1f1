"""Learn which leads of an ECG may be missing: those without which heads that have not seen an ECG judge it as well.

Each set of leads is taken out of the windows of examples not seen, which the network then sees as it would see an ECG
without them. An answer is given without a set where the macro AUC and the share flagged, of examples with and without
a finding, stay within a margin of what they are with all leads, and do so without each part of the set that was tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.data.records import Dataset, Record
from medloupe.data.scan import scan_dataset
from medloupe.data.split import plan_split
from medloupe.ecg.beats import BEAT
from medloupe.ecg.files import read_ecg
from medloupe.ecg.signal import LIMB, Signal, lead_name
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features, embed, fit_record
from medloupe.embed.network import Network
from medloupe.errors import ImageError
from medloupe.metrics import weighted
from medloupe.metrics.lines import FlagRule
from medloupe.metrics.weighted import Ranking, Weighted
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision
from medloupe.model.head import Head
from medloupe.model.leads import LEARNED_ON
from medloupe.training.heads.fit import HeadChoice, build_head, fit
from medloupe.training.heads.refit import refit
from medloupe.training.heads.row_weights import balanced_sample_weights
from medloupe.training.heads.verdict import Verdict, labelled_rows

WITHIN = 0.02
"""How far each figure may move, for an answer to be given without some leads."""

MOST_EXAMPLES = 1000
_BATCH = 256
_READ = 100  # files, of whose rates the range is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """Heads that have not seen the examples they answer.

    heads, turns: each head with the rows it answers. windows: (n, L, T) of all rows. truth: (n, K) of 1, 0 and NaN.
    """

    network: Network
    heads: tuple[Head, ...]
    turns: tuple[np.ndarray, ...]
    windows: np.ndarray
    truth: np.ndarray
    rule: FlagRule

    def answer(self, gone: Sequence[int]) -> np.ndarray:
        """Answer all rows without the leads at these places: probabilities (n, K)."""
        p = np.zeros(self.truth.shape, np.float32)
        for head, rows in zip(self.heads, self.turns, strict=True):
            for start in range(0, len(rows), _BATCH):
                some = rows[start : start + _BATCH]
                given = self.windows[some]
                given[:, list(gone)] = 0
                p[some] = head.probabilities(self.network.see(given).embedding)
        return p

    def figures(self, p: np.ndarray) -> dict[str, Weighted]:
        """Define what must not move: macro AUC, share flagged without and with a finding."""
        ranks = [Ranking(s, t).auc for s, t in zip(p.T, self.truth.T, strict=True)]
        sought = self.rule.sought
        up = np.any(self.rule.flags(p), axis=1)
        free, ill = (self.truth[:, sought] == 0).all(1), (self.truth[:, sought] == 1).any(1)
        found = {"auc": weighted.average(ranks)}
        if sought.any():
            found |= {"flagged_without": weighted.share(up, free), "flagged_with": weighted.share(up, ill)}
        return found


def describe_leads(features: Features, backbone: Backbone, groups: np.ndarray, verdict: Verdict, seed: int) -> Any:
    """Build the card's entry `leads` in a training; None of what is no ECG.

    Parameters
    ----------
    features : Features
        Of all readable records, by the network.
    backbone : Backbone
        The network.
    groups : np.ndarray
        int (N,), of patients and copies.
    verdict : Verdict
        The head that ships, and how it was chosen.
    seed : int
        Of the bootstrap, and of which examples are taken where there are many.
    """
    if features.data.modality != "ecg":
        return None
    recorded = describe_recordings(features.data.records, backbone)
    if backbone.card.leads == BEAT:
        return recorded
    fitted, rows = verdict.fitted, verdict.judging
    trial = _hold_trial(
        features, rows, fitted.folds[0], fitted.choice, fitted.temperature, groups, verdict.rule, backbone, seed
    )
    return {**learn_missing(trial[0], backbone.card.leads, trial[1], seed), **recorded}


def learn_leads(model: Model, data: Dataset, seed: int = 0) -> dict[str, Any]:
    """Build the card's entry `leads` for a model that was trained without it, from the data it was trained on.

    Parameters
    ----------
    model : Model
        Of ECGs.
    data : Dataset
        As `medloupe.read` gave it.
    seed : int
        Of folds and bootstrap.

    Raises
    ------
    DataError
        When the data cannot be cross-validated.
    """
    backbone = model.backbone
    recorded = describe_recordings(data.records, backbone)
    if backbone.card.leads == BEAT:
        return recorded
    from medloupe.training.audit.findings import audit

    features = embed(scan_dataset(data), backbone)
    groups = plan_split(features.data, audit(features, seed).groups).groups
    rows, levels = labelled_rows(features.data.targets), backbone.card.levels
    y = features.data.targets[rows]
    fitted = fit(features.embeddings[rows], y, groups[rows], task=data.task, levels=levels, seed=seed, repeats=1)
    rule = Decision.from_card(model.card).rule
    trial = _hold_trial(
        features, rows, fitted.folds[0], fitted.choice, fitted.temperature, groups, rule, backbone, seed
    )
    return {**learn_missing(trial[0], backbone.card.leads, trial[1], seed), **recorded}


def describe_recordings(records: Sequence[Record], backbone: Backbone) -> dict[str, Any]:
    """Describe what leads and rates the records have, as parts of the entry `leads`."""
    rates = _list_rates(records)
    said: dict[str, Any] = {"rates": [min(rates), max(rates)] if rates else None}
    if backbone.card.leads != BEAT:
        return said
    told = {r.columns.get("lead", "") for r in records} - {""}
    named = sorted({lead_name(lead) or lead for lead in told}) or list(LEARNED_ON)
    usual = f" sampled at {_word_rates(rates)}" if rates else ""
    words = f"Learned on beats of {', '.join(named)}{usual}. Of other leads or rates its percentages were not shown."
    return {**said, "needed": [], "may_miss": [], "tried": [], "learned_on": named, "words": words}


def _list_rates(records: Sequence[Record]) -> list[float]:
    """List the sampling rates that occur; of records that are files of their own, some are read."""
    held = {float(r.signal.rate) for r in records if isinstance(r.signal, Signal)}
    files = [r.signal for r in records if isinstance(r.signal, Path)]
    for path in files[:: max(1, len(files) // _READ)]:
        with suppress(ImageError):
            held.add(float(read_ecg(path).rate))
    return sorted(held)


def learn_missing(trial: _Trial, leads: tuple[str, ...], groups: np.ndarray, seed: int) -> dict[str, Any]:
    """Try out which leads may be missing: the entry `leads` but for how the ECGs were recorded.

    Parameters
    ----------
    trial : _Trial
        What answers.
    leads : tuple of str
        Of the backbone.
    groups : np.ndarray
        int (n,), of the trial's rows.
    seed : int
        Of the bootstrap.
    """
    whole = trial.figures(trial.answer(()))
    tried, held = [], {}
    for gone, always in list_sets(leads):
        if not always and any(part < set(gone) and not holds for part, holds in held.items()):
            continue  # without a part of them it does not answer anyhow
        without = trial.figures(trial.answer([leads.index(name) for name in gone]))
        moved = {name: _difference(without[name], whole[name]) for name in whole}
        found = weighted.bootstrap_intervals({"value": without["auc"], **moved}, groups, seed)
        holds = all(_within(name, found[name]["value"]) for name in whole)
        held[frozenset(gone)] = holds
        row = {"missing": list(gone), "auc": found["value"], "difference": found["auc"], "holds": holds}
        tried.append({**row, **{name: found[name] for name in whole if name != "auc"}})
    able = [gone for gone, holds in held.items() if holds and all(held[part] for part in held if part < gone)]
    largest = [gone for gone in able if not any(gone < other for other in able)]
    needed = [name for name in leads if not any(name in gone for gone in able)]
    may_miss = [[name for name in leads if name in gone] for gone in largest]
    return {"needed": needed, "may_miss": may_miss, "tried": tried, "words": _word(leads, may_miss)}


def list_sets(leads: Sequence[str]) -> Iterator[tuple[tuple[str, ...], bool]]:
    """List the sets of leads that are tried, smaller ones first, each once, and whether its figures are always told.

    Limb leads follow from any two of them, so that either all are there, or all but one are missing, or all are. Always
    told are those with which ECGs come: without a lead, the chest leads or the limb leads, and recorders of two leads.
    """
    limb = tuple(name for name in leads if name in LIMB)
    chest = tuple(name for name in leads if name not in LIMB)
    alone = [(tuple(n for n in limb if n != kept), True) for kept in ("I", "II") if kept in limb and len(limb) > 1]
    always = [*(((name,), True) for name in chest), (chest, True), (limb, True), *alone]
    always += [(tuple(n for n in leads if n not in kept), True) for kept in (("II", "V1"), ("II", "V5"))]
    others = [*combinations(chest, 2), *combinations(chest, 3)]
    seen: set[frozenset[str]] = {frozenset(), frozenset(leads)}
    for gone, told in sorted((*always, *((some, False) for some in others)), key=lambda one: len(one[0])):
        if frozenset(gone) not in seen:
            seen.add(frozenset(gone))
            yield tuple(name for name in leads if name in gone), told


def _hold_trial(
    features: Features,
    rows: np.ndarray,
    fold: np.ndarray,
    choice: HeadChoice,
    temperature: np.ndarray,
    groups: np.ndarray,
    rule: FlagRule,
    backbone: Backbone,
    seed: int,
) -> tuple[_Trial, np.ndarray]:
    """Fit a head without each fold; also the groups of the rows that are answered. fold: (n,) of `rows`."""
    x, y, task = features.embeddings, features.data.targets, features.data.task
    evenly, weights = balanced_sample_weights(y[rows], groups[rows], task), None
    if evenly is not None:
        weights = np.zeros(len(y), np.float32)
        weights[rows] = evenly
    folds = np.unique(fold)
    parts = [rows[fold != f] for f in folds]
    solutions = refit(x, y, parts, choice, task=task, levels=backbone.card.levels, weights=weights)
    asked = _take_some(len(rows), groups[rows], seed)
    windows = np.stack([fit_record(features.data.records[i], backbone) for i in rows[asked]])
    trial = _Trial(
        network=Network(backbone, None),
        heads=tuple(build_head(solution, temperature, task) for solution in solutions),
        turns=tuple(np.flatnonzero(fold[asked] == f) for f in folds),
        windows=windows,
        truth=y[rows[asked]],
        rule=rule,
    )
    return trial, groups[rows[asked]]


def _take_some(n: int, groups: np.ndarray, seed: int) -> np.ndarray:
    """Take at most MOST_EXAMPLES of n rows, groups drawn whole."""
    if n <= MOST_EXAMPLES:
        return np.arange(n)
    numbers, group = np.unique(groups, return_inverse=True)
    turn = np.random.default_rng(seed).permutation(len(numbers))[group]
    return np.sort(np.argsort(turn, kind="stable")[:MOST_EXAMPLES])


def _difference(of: Weighted, to: Weighted) -> Weighted:
    return lambda weights: of(weights) - to(weights)


def _within(name: str, moved: float | None) -> bool:
    """Tell whether a figure stays: more flags without a finding are as bad as fewer with one."""
    if moved is None:
        return True
    return abs(moved) <= WITHIN if name == "flagged_without" else moved >= -WITHIN


def _word(leads: Sequence[str], may_miss: Sequence[Sequence[str]]) -> str:
    begun = f"Needs its {len(leads)} leads ({', '.join(leads)}); limb leads are computed from any two of them."
    if not may_miss:
        return f"{begun} None may be missing: without any of them its figures move by more than {WITHIN:g}."
    sets = "; ".join(" and ".join(gone) for gone in may_miss)
    return f"{begun} It answers without these, as its figures then stay within {WITHIN:g}: {sets}."


def _word_rates(rates: Sequence[float]) -> str:
    low, high = min(rates), max(rates)
    return f"{low:g} Hz" if low == high else f"{low:g} to {high:g} Hz"
