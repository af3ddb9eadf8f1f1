"""Answer an ECG: cut windows, run the network once, apply the head, refuse what is foreign.

Everything here blocks and runs in the server's worker threads.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from medloupe.model.prediction import Prediction, Refusal
from medloupe.serving.engine import ecg_intake
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.chosen import choose_among, separate_told
from medloupe.serving.engine.inputs import GivenInputs, read_inputs
from medloupe.serving.engine.question import Question
from medloupe.serving.engine.windows import Run, run_windows

if TYPE_CHECKING:
    from medloupe.ecg.parsers import EcgParsers
    from medloupe.ecg.signal import Signal
    from medloupe.inference.recordings import SignalAnswer
    from medloupe.serving.engine.checkup import CheckUp


def ask(run: Run, checkups: Sequence[CheckUp], question: Question, parsers: EcgParsers | None = None) -> list[Answer]:
    """Answer one ECG by each of some check-ups of ECGs, in their order.

    Raises
    ------
    SignalError
        The ECG cannot be read or used.
    ClinicalError
        A value given beside it cannot be read.
    ExtraError
        What reads such files is not installed.
    """
    _check_fields(question)
    known = [_read_inputs(c, question.fields) for c in checkups]  # what cannot be read is told at once
    received = _receive(question, checkups, parsers)
    return [_answer(run, c, received, more) for c, more in zip(checkups, known, strict=True)]


def choose(run: Run, checkups: Sequence[CheckUp], question: Question, parsers: EcgParsers | None = None) -> Answer:
    """Answer one ECG by the check-ups that fit it best, by its leads: of several, those of the kind it is nearest to.

    Raises as `ask` does. There is at least one check-up, and all are of ECGs.
    """
    question, told, unknown = separate_told(checkups, question)
    _check_fields(question)
    received = _receive(question, checkups, parsers)
    fitting = _select_fitting(received.signal, checkups)
    answers = [_answer(run, c, received, _read_inputs(c, question.fields)) for c in fitting]
    return choose_among(answers, told, unknown)


@dataclass(frozen=True, slots=True)
class _Received:
    """An ECG as it was read. milliseconds: that took."""

    question: Question
    signal: Signal
    milliseconds: float


def _check_fields(question: Question) -> None:
    """Check the fields that say how an ECG is to be read and drawn. Raises ClinicalError."""
    for parse in (ecg_intake.parse_rate, ecg_intake.parse_gain, ecg_intake.parse_start):
        parse(question.fields)


def _receive(question: Question, checkups: Iterable[CheckUp], parsers: EcgParsers | None) -> _Received:
    started = time.perf_counter()
    fields = question.fields
    signal = ecg_intake.read_recording(
        question.data,
        question.file,
        checkups,
        ecg_intake.parse_rate(fields),
        ecg_intake.parse_gain(fields),
        parsers=parsers,
        cancellation=question.cancellation,
    )
    return _Received(question, signal, 1000 * (time.perf_counter() - started))


def _answer(run: Run, checkup: CheckUp, received: _Received, known: GivenInputs) -> Answer:
    from medloupe.inference.recordings import answer_signal, list_influences

    assert checkup.windows is not None
    at = time.perf_counter()
    found = answer_signal(
        received.signal,
        checkup.windows,
        checkup.decision,
        lambda windows: run_windows(run, checkup, windows, maps=received.question.heatmap),
        extras=checkup.extras,
        novelty=checkup.novelty,
        leads=checkup.leads,
        given=known.given,
    )
    prediction = Prediction.of(
        checkup.decision,
        found.probabilities,
        said=found.said,
        file=received.question.file,
        model=checkup.name,
        version=checkup.version,
        refused=None if found.unusable else refusal(checkup, found.novelty),
        unusable=found.unusable,
        timings={"decode": received.milliseconds, "network": 1000 * (time.perf_counter() - at)},
        inputs=list_influences(checkup.extras, checkup.labels, known.given),
        ecg=found.reading,
    )
    answer = Answer(
        id=secrets.token_hex(16),
        digest=received.question.digest,
        prediction=prediction,
        checkup=checkup,
        given=known.given,
        ignored=known.ignored,
        foreign=found.novelty or 0.0,
        kind=checkup.modality,
    )
    return replace(answer, places=_places(checkup, found, prediction)) if found.parts is not None else answer


def _places(checkup: CheckUp, found: SignalAnswer, prediction: Prediction) -> dict[str, np.ndarray]:
    assert found.parts is not None
    return {label: found.parts[checkup.labels.index(label)] for label in prediction.probabilities}


def refusal(checkup: CheckUp, novelty: float | None) -> Refusal | None:
    """Say why an ECG of this novelty is not judged; None where it is."""
    if novelty is None or novelty <= 1:
        return None
    from medloupe.inference.ecgs import FOREIGN

    return Refusal(reason=FOREIGN.format(checkup.name, novelty), looks_like="")


def _select_fitting(signal: Signal, checkups: Sequence[CheckUp]) -> list[CheckUp]:
    from medloupe.inference.recordings import select_fitting_backbones

    cards = [c.windows for c in checkups if c.windows is not None]
    rules = [c.leads for c in checkups if c.leads is not None]
    return [checkups[k] for k in select_fitting_backbones(signal, cards, rules)]


def _read_inputs(checkup: CheckUp, fields: Mapping[str, str]) -> GivenInputs:
    """Read what is given beside an ECG; the rhythm is measured, and no field of anybody's."""
    from medloupe.inference.recordings import list_askable_ecg_inputs

    found = read_inputs(checkup, {name: value for name, value in fields.items() if name not in ecg_intake.FIELDS})
    names = list_askable_ecg_inputs(checkup.extras)
    given = {name: value for name, value in found.given.items() if name in names}
    measured = tuple(name for name in found.given if name not in names)
    return replace(found, given=given, ignored=(*found.ignored, *measured))
