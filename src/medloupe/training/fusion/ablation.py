"""A verdict on the picture, weighed together with clinical columns and notes, and judged again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medloupe.data.split import Plan
from medloupe.embed.features import Features
from medloupe.inputs.clinical import Column
from medloupe.inputs.extras import Extras
from medloupe.inputs.projection import TextEncoder
from medloupe.metrics import tables
from medloupe.training.audit.probe import CS, probe_out_of_fold, probe_unseen
from medloupe.training.fusion.candidates import NOTES_PENALTIES
from medloupe.training.fusion.choose import Inputs
from medloupe.training.fusion.contributions import (
    ALL,
    IMAGE,
    NOTES,
    NOTHING,
    TABLE,
    WITH_NOTES,
    WITH_TABLE,
    contributions,
    words,
)
from medloupe.training.fusion.encoded import Encoded
from medloupe.training.fusion.late import Fused, added_to, extras_of, fuse
from medloupe.training.heads.fit import FittedHead
from medloupe.training.heads.verdict import Verdict, cross_fit, judge_on_test


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """verdict: with the extras in its figures, or as it was where none help. extras: what the model reads, or None.
    facts: for the card. shown: how the judged records were answered; None without inputs."""

    verdict: Verdict
    extras: Extras | None
    facts: dict[str, Any]
    shown: Shown | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Extras learned on some rows, on top of a head's out-of-fold probabilities fitted.out_of_fold (R, n, K)."""

    rows: np.ndarray
    targets: np.ndarray
    fitted: FittedHead
    columns: tuple[Column, ...]
    notes: TextEncoder | None
    encoded: Encoded
    fused: Fused

    @property
    def extras(self) -> Extras | None:
        """The runtime side; None where nothing helps."""
        return extras_of(self.fused, self.columns, self.notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Judged rows, by answers that saw nothing of them.

    systems: probabilities (R, N, K) by what was read. names: of the inputs, the notes last. effects: float32
    (N, inputs, K), what each input adds to the logits in the first repeat.
    """

    rows: np.ndarray
    systems: dict[str, np.ndarray]
    names: tuple[str, ...]
    effects: np.ndarray


def weigh(
    features: Features, plan: Plan, verdict: Verdict, inputs: Inputs, *, seed: int, sensitivity: float
) -> Weighed:
    """Fit weights for the inputs on top of the picture's head, and judge picture and inputs together.

    Columns and notes are encoded as the rows learned from say, never the test split; in cross-validation they are
    encoded once, without a look at the labels, for all folds. Where nothing helps the verdict stays as it is.
    """
    data, noun = features.data, "image" if features.data.modality == "image" else "ECG"
    task = data.task
    own = _learn(features, plan, inputs, verdict.judging, verdict.fitted, seed)
    if own is None:
        facts = {
            **_facts(inputs, None),
            "words": f"None of the inputs asked for can be used: the {noun} is read alone.",
        }
        return Weighed(verdict=verdict, extras=None, facts=facts, shown=None)
    extras = own.extras
    shown, tested = _crossed(own, task), None
    if plan.test is not None and verdict.on_fitting is not None:
        rows = plan.fitting if len(verdict.on_fitting.folds[0]) == len(plan.fitting) else verdict.judging
        tested = _learn(features, plan, inputs, rows, verdict.on_fitting, seed)
    if tested is not None and plan.test is not None:
        shown = _tested(tested, inputs, plan.test, verdict.judged.probabilities, task)
    weighed = verdict if extras is None else _judged(features, plan, verdict, own, tested, shown, sensitivity)
    used = extras.names if extras else ()
    table = contributions(
        _kept(shown.systems, used, inputs.notes), data.targets[shown.rows], plan.groups[shown.rows], task, seed
    )
    facts = {
        **_facts(inputs, extras),
        "fusion": table,
        "gain": {"log_loss": round(own.fused.gain[0], 5), "standard_error": round(own.fused.gain[1], 5)},
        "unused": [n for n in shown.names if n not in used],
        "words": words(table, used, [n for n in shown.names if n not in used], noun),
    }
    return Weighed(verdict=weighed, extras=extras, facts=facts, shown=shown)


def _learn(
    features: Features, plan: Plan, inputs: Inputs, rows: np.ndarray, fitted: FittedHead, seed: int
) -> Learned | None:
    columns, notes = inputs.encoders(rows, seed)
    if not columns and notes is None:
        return None
    encoded = Encoded.of(columns, notes, [inputs.rows[i] for i in rows])
    targets = features.data.targets[rows]
    fused = fuse(
        *(fitted.out_of_fold, fitted.folds, targets, plan.groups[rows], encoded), task=features.data.task, seed=seed
    )
    return Learned(
        rows=rows, targets=targets, fitted=fitted, columns=columns, notes=notes, encoded=encoded, fused=fused
    )


def _crossed(own: Learned, task: str) -> Shown:
    """The rows learned from, each answered by weights that did not see its fold."""
    encoded, folds, image = own.encoded, own.fitted.folds, own.fitted.out_of_fold
    alone = {
        name: probe_out_of_fold(encoded.x[:, part], own.targets, folds, task, tried)[0]
        for name, part, tried in _alone_parts(encoded)
    }
    with_extras = {name: added_to(image, own.fused.added(x, folds), task) for name, x in _taken_away(encoded).items()}
    weights = own.fused.weights[0, folds[0]]  # (n, D, K)
    return Shown(
        rows=own.rows,
        systems={IMAGE: image, **alone, **with_extras},
        names=_names(own),
        effects=_effects(encoded, weights),
    )


def _tested(own: Learned, inputs: Inputs, test: np.ndarray, image: np.ndarray, task: str) -> Shown:
    """The test split, by extras learned from the fitting part alone."""
    encoded = Encoded.of(own.columns, own.notes, [inputs.rows[i] for i in test])
    alone = {}
    for name, part, tried in _alone_parts(encoded):
        x = own.encoded.x[:, part]
        _, c = probe_out_of_fold(x, own.targets, own.fitted.folds[:1], task, tried)
        alone[name] = probe_unseen(x, own.targets, c, encoded.x[:, part], task)[None]
    weight = own.fused.weight
    with_extras = {name: added_to(image, (x @ weight)[None], task) for name, x in _taken_away(encoded).items()}
    return Shown(
        rows=test,
        systems={IMAGE: image, **alone, **with_extras},
        names=_names(own),
        effects=_effects(encoded, np.broadcast_to(weight, (len(test), *weight.shape))),
    )


def _judged(
    features: Features,
    plan: Plan,
    verdict: Verdict,
    own: Learned,
    tested: Learned | None,
    shown: Shown,
    sensitivity: float,
) -> Verdict:
    """The verdict with the extras in its figures, limits and rules."""
    data, task, y = features.data, features.data.task, own.targets
    p = _together(own, task)
    crossing = cross_fit(replace(own.fitted, out_of_fold=p), y, plan.groups[own.rows], data.labels, task, sensitivity)
    more = {"judged": crossing}
    if tested is not None:
        learned = _together(tested, task)[0]
        on_test = judge_on_test(features, plan, shown.systems[ALL][0], learned, tested.targets, sensitivity)
        more = {"judged": on_test, "secondary": crossing}
    return replace(
        verdict,
        limits=tables.thresholds(p[0], y, sensitivity),
        strength=tables.best_strength(p[0], y) if task == "multiclass" else None,
        leaky=None,  # that head had no extras: its figures would not compare
        **more,
    )


def _together(own: Learned, task: str) -> np.ndarray:
    return added_to(own.fitted.out_of_fold, own.fused.added(own.encoded.x, own.fitted.folds), task)


def _names(own: Learned) -> tuple[str, ...]:
    return (*(c.name for c in own.columns), *((own.notes.column,) if own.notes else ()))


def _alone_parts(encoded: Encoded) -> list[tuple[str, slice, tuple[float, ...]]]:
    f = encoded.clinical.shape[1]
    parts = [(TABLE, slice(0, f), CS), (NOTES, slice(f, f + encoded.notes.shape[1]), NOTES_PENALTIES)]
    return [(name, part, tried) for name, part, tried in parts if part.start < part.stop]


def _taken_away(encoded: Encoded) -> dict[str, np.ndarray]:
    """x as it is, and with inputs taken away."""
    return {
        WITH_TABLE: encoded.without(notes=True),
        WITH_NOTES: encoded.without(clinical=True),
        ALL: encoded.x,
        NOTHING: encoded.without(clinical=True, notes=True),
    }


def _effects(encoded: Encoded, weights: np.ndarray) -> np.ndarray:
    """float32 (N, inputs, K) by weights (N, D, K)."""
    x = encoded.x
    parts = [p for p in encoded.parts if p.start < p.stop]
    return np.stack([np.einsum("nd,ndk->nk", x[:, p], weights[:, p]) for p in parts], axis=1)


def _kept(systems: dict[str, np.ndarray], used: tuple[str, ...], notes: str | None) -> dict[str, np.ndarray]:
    """The systems that say something: none twice, none of a model that there is not."""
    text = notes in used
    table = len(used) > text
    shown = {IMAGE, TABLE, NOTES} | ({ALL, NOTHING} if used else set())
    shown |= {WITH_TABLE, WITH_NOTES} if text and table else set()
    return {name: p for name, p in systems.items() if name in shown}


def _facts(inputs: Inputs, extras: Extras | None) -> dict[str, Any]:
    return {"fields": extras.fields() if extras else [], **inputs.as_json(), "fusion": []}
