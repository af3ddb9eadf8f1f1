"""Answer ECGs by a model: every beat of a recording, or a whole twelve-lead ECG. Nothing here trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medloupe.ecg.beats import BEAT, RHYTHM, rhythm_features
from medloupe.ecg.quality import drop_bad_leads
from medloupe.ecg.reading import Beat, Reading, describe_regularity
from medloupe.ecg.signal import Signal, arrange_leads, keep_recorded_leads
from medloupe.embed.windows import compute_typical_window, cut_beat_windows
from medloupe.inference.inputs import weigh_inputs
from medloupe.model import heatmaps
from medloupe.model.decision import Decision, Said
from medloupe.model.head import probabilities
from medloupe.model.leads import LeadRule, list_missing_leads

if TYPE_CHECKING:
    from medloupe.embed.backbone import BackboneCard
    from medloupe.inputs.extras import Extras
    from medloupe.model.decision import Why
    from medloupe.model.novelty import Novelty
    from medloupe.model.prediction import Influence


@dataclass(frozen=True, slots=True)
class WindowOutputs:
    """What a network and its head make of N windows.

    Attributes
    ----------
    embedding : np.ndarray
        float32 (N, D).
    logits : np.ndarray
        float32 (N, K).
    parts : np.ndarray or None
        float32 (N, K, h, w), the heat maps, if asked for.
    """

    embedding: np.ndarray
    logits: np.ndarray
    parts: np.ndarray | None


See = Callable[[np.ndarray], WindowOutputs]  # of windows float32 (N, L, T)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalAnswer:
    """A model's answer to an ECG, before it is put in words.

    Attributes
    ----------
    probabilities : np.ndarray
        (K,); of a recording the mean of its beats, which is the share of beats to be expected of each class.
    said : Said
        What is decided, unless it is refused.
    novelty : float or None
        Score, above 1 the ECG is foreign; None where the model refuses nothing.
    reading : Reading
        What was measured, and the beats found.
    parts : np.ndarray or None
        (K, 1, w) of a whole ECG, if asked for.
    unusable : Why or None
        Which leads are missing, where too many are for an answer.
    """

    probabilities: np.ndarray
    said: Said
    novelty: float | None
    reading: Reading
    parts: np.ndarray | None = None
    unusable: Why | None = None


def answer_signal(
    signal: Signal,
    card: BackboneCard,
    decision: Decision,
    see: See,
    *,
    extras: Extras | None,
    novelty: Novelty | None,
    leads: LeadRule | None = None,
    given: Mapping[str, str] | None = None,
) -> SignalAnswer:
    """Answer a signal.

    Parameters
    ----------
    signal : Signal
        The ECG.
    card : BackboneCard
        Of the model's backbone.
    decision : Decision
        By which the model says what it says.
    see : callable
        The network and its head, of windows float32 (N, L, T) in mV.
    extras : Extras or None
        Of what the model reads beside the signal; of a model of beats they are fed with the rhythm found, too.
    novelty : Novelty or None
        Of what is foreign to the model.
    leads : LeadRule, optional
        Which leads it needs; all that its backbone reads where left out.
    given : mapping, optional
        What people tell, by the names of its inputs.

    Raises
    ------
    SignalError
        When it is no usable ECG.
    ClinicalError
        Where what people tell cannot be read.
    """
    rule = LeadRule.from_card({}, card.leads) if leads is None else leads
    model = _SignalModel(card, decision, see, extras, novelty, rule)
    return (_answer_beats if card.leads == BEAT else _answer_whole)(signal, model, given or {})


@dataclass(frozen=True, slots=True)
class _SignalModel:
    """What answers a signal."""

    card: BackboneCard
    decision: Decision
    see: See
    extras: Extras | None
    novelty: Novelty | None
    leads: LeadRule


def _answer_beats(signal: Signal, model: _SignalModel, given: Mapping[str, str]) -> SignalAnswer:
    card, decision, extras, novelty = model.card, model.decision, model.extras, model.novelty
    taken = cut_beat_windows(signal, card)
    looked = model.see(taken.windows)
    logits = looked.logits.astype(np.float64)
    if extras is not None:
        logits = logits + extras.logits(
            *extras.encode([{**given, **format_rhythm_columns(row)} for row in taken.rhythm])
        )
    p = probabilities(logits, decision.task)
    chosen = p.argmax(1)
    seconds = taken.peaks / taken.signal.rate
    found = tuple(
        Beat(second=float(t), label=decision.labels[k], probability=float(p[i, k]))
        for i, (t, k) in enumerate(zip(seconds, chosen.tolist(), strict=True))
    )
    attention = None
    if looked.parts is not None:
        each = [
            heatmaps.label_evidence(parts, k, decision.task)[0]
            for parts, k in zip(looked.parts, chosen.tolist(), strict=True)
        ]
        attention = _spread_evidence(np.array(each), taken.peaks, taken.signal, card)
    score = None if novelty is None else float(np.median(novelty.score(looked.embedding)))
    unlike = () if signal.leads == BEAT else model.leads.differences(taken.lead, signal.rate)
    return SignalAnswer(
        probabilities=p.mean(0),
        said=decision.decide_beats(p),
        novelty=score,
        reading=_reading(taken.signal, taken.peaks, taken.rhythm, taken.notes, unlike, found, attention),
    )


def _answer_whole(signal: Signal, model: _SignalModel, given: Mapping[str, str]) -> SignalAnswer:
    card, decision, extras, novelty = model.card, model.decision, model.extras, model.novelty
    window, peaks, there, notes = compute_typical_window(signal, card)
    unusable = model.leads.fault(list_missing_leads(there))
    looked = model.see(window[None])
    logits = looked.logits[0].astype(np.float64)
    if extras is not None:
        logits = logits + extras.logits(*extras.encode([given]))[0]
    p = probabilities(logits, decision.task)
    said = decision.decide(p)
    parts = None if looked.parts is None or unusable is not None else looked.parts[0]
    attention = None
    if parts is not None:
        label = decision.labels.index((*said.flagged, said.prediction)[0])
        attention = _spread_evidence(heatmaps.label_evidence(parts, label, decision.task), peaks, there, card)
    return SignalAnswer(
        probabilities=p,
        said=said,
        novelty=None if novelty is None else float(novelty.score(looked.embedding)[0]),
        reading=_reading(
            keep_recorded_leads(there),
            peaks,
            rhythm_features(peaks, there.rate),
            notes,
            model.leads.differences("", signal.rate),
            (),
            attention,
        ),
        parts=parts,
        unusable=unusable,
    )


def format_rhythm_columns(row: np.ndarray) -> dict[str, str]:
    """Format the rhythm of one beat (6,) as clinical columns; what is not known is left out."""
    return {name: f"{value:.4f}" for name, value in zip(RHYTHM, row.tolist(), strict=True) if value == value}


def list_askable_ecg_inputs(extras: Extras | None) -> tuple[str, ...]:
    """List the inputs that people are asked for: all but the rhythm, which is measured."""
    return () if extras is None else tuple(name for name in extras.names if name not in RHYTHM)


def list_influences(
    extras: Extras | None, labels: Sequence[str], given: Mapping[str, str]
) -> tuple[Influence, ...] | None:
    """List what each input that people gave adds to the labels' logits; None where there is none to give.

    Raises
    ------
    ClinicalError
        For an unreadable value.
    """
    names = list_askable_ecg_inputs(extras)
    if extras is None or not names:
        return None
    return tuple(i for i in weigh_inputs(extras, labels, given).influences if i.name in names)


def select_fitting_backbones(
    signal: Signal, cards: Sequence[BackboneCard], rules: Sequence[LeadRule] | None = None
) -> list[int]:
    """Select which of several backbones an ECG's leads suit, by their positions.

    They are those of whole ECGs that answer with the leads that are there, of these the ones that find most of theirs;
    else those of beats, else those that find most.

    Parameters
    ----------
    signal : Signal
        The ECG.
    cards : sequence of BackboneCard
        Of the models at hand.
    rules : sequence of LeadRule, optional
        Of each model; where left out each needs all its leads.
    """
    beat = [k for k, card in enumerate(cards) if card.leads == BEAT]
    rules = [LeadRule.from_card({}, card.leads) for card in cards] if rules is None else rules
    missing = {k: _missing(signal, card) for k, card in enumerate(cards) if k not in beat}
    share = {k: 1 - len(gone) / len(cards[k].leads) for k, gone in missing.items()}
    able = [k for k, gone in missing.items() if rules[k].allows(gone)]
    if not able and beat:
        return beat
    most = max((share[k] for k in able or share), default=0.0)
    return [k for k in able or share if share[k] == most]


def measure_lead_share(signal: Signal, card: BackboneCard) -> float:
    """Measure which share of a backbone's leads an ECG has, or gives by way of others: 0 to 1."""
    return 1 - len(_missing(signal, card)) / len(card.leads)


def _missing(signal: Signal, card: BackboneCard) -> tuple[str, ...]:
    return list_missing_leads(arrange_leads(drop_bad_leads(signal)[0], card.leads))


def _reading(
    signal: Signal,
    peaks: np.ndarray,
    timing: np.ndarray,
    notes: tuple[str, ...],
    unlike: tuple[str, ...],
    found: tuple[Beat, ...],
    attention: np.ndarray | None,
) -> Reading:
    rate = float(timing[0, 5]) if len(timing) > 2 and np.isfinite(timing[0, 5]) else None
    return Reading(
        signal=signal,
        heart_rate=rate,
        regularity=describe_regularity(peaks / signal.rate) if rate is not None else "",
        peaks=tuple((peaks / signal.rate).tolist()),
        beats=found,
        attention=attention,
        notes=(*notes, *unlike),
        as_learned=not unlike,
    )


def _spread_evidence(each: np.ndarray, peaks: np.ndarray, signal: Signal, card: BackboneCard) -> np.ndarray:
    """Spread evidence (1, w) for all beats, or (n, w) for each, to the signal's samples: float32 (T,), 0 to 1."""
    n = signal.samples.shape[1]
    out = np.zeros(n, np.float32)
    rows = np.broadcast_to(each, (len(peaks), each.shape[-1]))
    places = (np.arange(rows.shape[1]) + 0.5) / rows.shape[1] * card.input_size / card.rate - card.before
    strongest = max(float(np.quantile(rows, 0.995)), 1e-9)
    for row, peak in zip(rows, peaks, strict=True):
        first, last = peak + round(places[0] * signal.rate), peak + round(places[-1] * signal.rate)
        at = np.arange(max(0, first), min(n, last + 1))
        values = np.interp((at - peak) / signal.rate, places, np.maximum(row, 0) / strongest)
        out[at] = np.maximum(out[at], values)
    return np.minimum(out, 1)
