"""Weigh the picture together with clinical columns and notes, and judge them again, alone and together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medloupe.data.modalities import MODALITIES
from medloupe.data.split import Plan
from medloupe.embed.features import Features
from medloupe.inputs.clinical import Column
from medloupe.inputs.extras import Extras
from medloupe.inputs.projection import TextEncoder
from medloupe.metrics.lines import fit_rule
from medloupe.training.audit.probe import CS, probe_out_of_fold, probe_unseen
from medloupe.training.fusion.candidates import NOTES_CS
from medloupe.training.fusion.choose import ChosenInputs
from medloupe.training.fusion.contributions import (
    ALL,
    IMAGE,
    NOTES,
    NOTHING,
    TABLE,
    WITH_NOTES,
    WITH_TABLE,
    compare_contributions,
    word_contributions,
)
from medloupe.training.fusion.encoding import EncodedInputs
from medloupe.training.fusion.late import FusedWeights, add_to_logits, build_extras, fuse
from medloupe.training.heads.fit import FittedHead
from medloupe.training.heads.verdict import Verdict, cross_fit, judge_on_test


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedVerdict:
    """A verdict on picture and inputs.

    Attributes
    ----------
    verdict : Verdict
        With the extras in its figures, or as it was where none help.
    extras : Extras or None
        What the model reads beside the picture.
    facts : dict
        The card's entry `inputs`.
    shown : JudgedInputs or None
        How the judged records were answered; None without inputs.
    """

    verdict: Verdict
    extras: Extras | None
    facts: dict[str, Any]
    shown: JudgedInputs | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedExtras:
    """Extras learned on some rows, on top of a head's out-of-fold probabilities.

    Attributes
    ----------
    rows : np.ndarray
        int (n,), of the features.
    targets : np.ndarray
        (n, K) of 1, 0 and NaN.
    fitted : FittedHead
        With the probabilities `out_of_fold`, (R, n, K).
    columns : tuple of Column
        Clinical columns, as encoded.
    notes : TextEncoder or None
        What reads the notes.
    encoded : EncodedInputs
        Of these rows.
    fused : FusedWeights
        What was fitted.
    """

    rows: np.ndarray
    targets: np.ndarray
    fitted: FittedHead
    columns: tuple[Column, ...]
    notes: TextEncoder | None
    encoded: EncodedInputs
    fused: FusedWeights

    @property
    def extras(self) -> Extras | None:
        """What the model reads beside the picture; None where nothing helps."""
        return build_extras(self.fused, self.columns, self.notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedInputs:
    """Judged rows, by answers that saw nothing of them.

    Attributes
    ----------
    rows : np.ndarray
        int (N,), of the features.
    systems : dict of str to np.ndarray
        Probabilities (R, N, K) by what was read.
    names : tuple of str
        Of the inputs, the notes last.
    effects : np.ndarray
        float32 (N, inputs, K), what each input adds to the logits in the first repeat.
    """

    rows: np.ndarray
    systems: dict[str, np.ndarray]
    names: tuple[str, ...]
    effects: np.ndarray


def weigh_inputs(
    features: Features, plan: Plan, verdict: Verdict, inputs: ChosenInputs, *, seed: int, sensitivity: float
) -> WeighedVerdict:
    """Fit weights for the inputs on top of the picture's head, and judge picture and inputs together.

    Columns and notes are encoded as the rows learned from say, never the test split; in cross-validation they are
    encoded once, without a look at the labels, for all folds. Where nothing helps the verdict stays as it is.

    Parameters
    ----------
    features : Features
        Of all readable records.
    plan : Plan
        Which of them may be learned from, and which judge.
    verdict : Verdict
        On the picture alone.
    inputs : ChosenInputs
        What is read beside it.
    seed : int
        Of folds, dropped inputs and bootstrap.
    sensitivity : float
        That operating points aim at.
    """
    data, noun = features.data, MODALITIES[features.data.modality].one
    task = data.task
    own = _learn_extras(features, plan, inputs, verdict.judging, verdict.fitted, seed)
    if own is None:
        facts = {
            **_card_entry(inputs, None),
            "words": f"None of the inputs asked for can be used: the {noun} is read alone.",
        }
        return WeighedVerdict(verdict=verdict, extras=None, facts=facts, shown=None)
    tested = _learn_for_test(features, plan, verdict, inputs, seed)
    if tested is not None and plan.test is not None:
        shown = _answer_test_split(tested, inputs, plan.test, verdict.judged.probabilities, task)
    else:
        shown = _answer_out_of_fold(own, task)
    extras, weighed = own.extras, verdict
    if extras is not None:
        weighed = _rejudge(features, plan, verdict, own, tested, shown, sensitivity)
    used = extras.names if extras else ()
    unused = [name for name in shown.names if name not in used]
    systems = _select_systems(shown.systems, used, inputs.notes)
    table = compare_contributions(systems, data.targets[shown.rows], plan.groups[shown.rows], task, seed)
    facts = {
        **_card_entry(inputs, extras),
        "fusion": table,
        "gain": {"log_loss": round(own.fused.gain[0], 5), "standard_error": round(own.fused.gain[1], 5)},
        "unused": unused,
        "words": word_contributions(table, used, unused, noun),
    }
    return WeighedVerdict(verdict=weighed, extras=extras, facts=facts, shown=shown)


def _learn_for_test(
    features: Features, plan: Plan, verdict: Verdict, inputs: ChosenInputs, seed: int
) -> LearnedExtras | None:
    """Learn extras without an official test split; None without one."""
    if plan.test is None or verdict.on_fitting is None:
        return None
    rows = plan.fitting if len(verdict.on_fitting.folds[0]) == len(plan.fitting) else verdict.judging
    return _learn_extras(features, plan, inputs, rows, verdict.on_fitting, seed)


def _learn_extras(
    features: Features, plan: Plan, inputs: ChosenInputs, rows: np.ndarray, fitted: FittedHead, seed: int
) -> LearnedExtras | None:
    columns, notes = inputs.fit_encoders(rows, seed)
    if not columns and notes is None:
        return None
    encoded = EncodedInputs.encode(columns, notes, [inputs.rows[i] for i in rows])
    targets = features.data.targets[rows]
    fused = fuse(
        *(fitted.out_of_fold, fitted.folds, targets, plan.groups[rows], encoded), task=features.data.task, seed=seed
    )
    return LearnedExtras(
        rows=rows, targets=targets, fitted=fitted, columns=columns, notes=notes, encoded=encoded, fused=fused
    )


def _answer_out_of_fold(own: LearnedExtras, task: str) -> JudgedInputs:
    """Answer the rows learned from, each by weights that did not see its fold."""
    encoded, folds, image = own.encoded, own.fitted.folds, own.fitted.out_of_fold
    alone = {
        name: probe_out_of_fold(encoded.x[:, part], own.targets, folds, task, tried)[0]
        for name, part, tried in _alone_parts(encoded)
    }
    with_extras = {
        name: add_to_logits(image, own.fused.added_logits(x, folds), task)
        for name, x in _remove_inputs(encoded).items()
    }
    weights = own.fused.weights[0, folds[0]]  # (n, D, K)
    return JudgedInputs(
        rows=own.rows,
        systems={IMAGE: image, **alone, **with_extras},
        names=_input_names(own),
        effects=_measure_effects(encoded, weights),
    )


def _answer_test_split(
    own: LearnedExtras, inputs: ChosenInputs, test: np.ndarray, image: np.ndarray, task: str
) -> JudgedInputs:
    """Answer the test split by extras learned from the fitting part alone."""
    encoded = EncodedInputs.encode(own.columns, own.notes, [inputs.rows[i] for i in test])
    alone = {}
    for name, part, tried in _alone_parts(encoded):
        x = own.encoded.x[:, part]
        _, c = probe_out_of_fold(x, own.targets, own.fitted.folds[:1], task, tried)
        alone[name] = probe_unseen(x, own.targets, c, encoded.x[:, part], task)[None]
    weight = own.fused.weight
    with_extras = {name: add_to_logits(image, (x @ weight)[None], task) for name, x in _remove_inputs(encoded).items()}
    return JudgedInputs(
        rows=test,
        systems={IMAGE: image, **alone, **with_extras},
        names=_input_names(own),
        effects=_measure_effects(encoded, np.broadcast_to(weight, (len(test), *weight.shape))),
    )


def _rejudge(
    features: Features,
    plan: Plan,
    verdict: Verdict,
    own: LearnedExtras,
    tested: LearnedExtras | None,
    shown: JudgedInputs,
    sensitivity: float,
) -> Verdict:
    """Judge again, with the extras in figures, limits and rules."""
    data, task, y = features.data, features.data.task, own.targets
    p = _answer_together(own, task)
    crossing = cross_fit(replace(own.fitted, out_of_fold=p), y, plan.groups[own.rows], data.roles, task, sensitivity)
    more = {"judged": crossing}
    if tested is not None:
        learned = _answer_together(tested, task)[0]
        on_test = judge_on_test(
            features, plan, shown.systems[ALL][0], learned, tested.targets, plan.groups[tested.rows], sensitivity
        )
        more = {"judged": on_test, "secondary": crossing}
    return replace(
        verdict,
        rule=fit_rule(p[0], y, plan.groups[own.rows], data.roles, task, sensitivity=sensitivity),
        leaky=None,  # that head had no extras: its figures would not compare
        **more,
    )


def _answer_together(own: LearnedExtras, task: str) -> np.ndarray:
    return add_to_logits(own.fitted.out_of_fold, own.fused.added_logits(own.encoded.x, own.fitted.folds), task)


def _input_names(own: LearnedExtras) -> tuple[str, ...]:
    return (*(c.name for c in own.columns), *((own.notes.column,) if own.notes else ()))


def _alone_parts(encoded: EncodedInputs) -> list[tuple[str, slice, tuple[float, ...]]]:
    f = encoded.clinical.shape[1]
    parts = [(TABLE, slice(0, f), CS), (NOTES, slice(f, f + encoded.notes.shape[1]), NOTES_CS)]
    return [(name, part, tried) for name, part, tried in parts if part.start < part.stop]


def _remove_inputs(encoded: EncodedInputs) -> dict[str, np.ndarray]:
    """Give x as it is, and with inputs taken away."""
    return {
        WITH_TABLE: encoded.without(notes=True),
        WITH_NOTES: encoded.without(clinical=True),
        ALL: encoded.x,
        NOTHING: encoded.without(clinical=True, notes=True),
    }


def _measure_effects(encoded: EncodedInputs, weights: np.ndarray) -> np.ndarray:
    """Measure what each input adds, float32 (N, inputs, K), by weights (N, D, K)."""
    x = encoded.x
    parts = [p for p in encoded.parts if p.start < p.stop]
    return np.stack([np.einsum("nd,ndk->nk", x[:, p], weights[:, p]) for p in parts], axis=1)


def _select_systems(systems: dict[str, np.ndarray], used: tuple[str, ...], notes: str | None) -> dict[str, np.ndarray]:
    """Select the systems that say something: none twice, none of a model that there is not."""
    text = notes in used
    table = len(used) > text
    shown = {IMAGE, TABLE, NOTES} | ({ALL, NOTHING} if used else set())
    shown |= {WITH_TABLE, WITH_NOTES} if text and table else set()
    return {name: p for name, p in systems.items() if name in shown}


def _card_entry(inputs: ChosenInputs, extras: Extras | None) -> dict[str, Any]:
    return {"fields": extras.fields() if extras else [], **inputs.as_json(), "fusion": []}
