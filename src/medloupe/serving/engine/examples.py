"""Answer an example of a kind added from outside: its window, one pass of the network, the head, its drawing.

Everything here blocks and runs in the server's worker threads.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medloupe.data.modalities import MODALITIES
from medloupe.ecg.recording_files import Source
from medloupe.embed.modalities import EMBEDDINGS
from medloupe.errors import NotAnImageError
from medloupe.inference.examples import refusal
from medloupe.model.heatmaps import along, label_evidence
from medloupe.model.prediction import Prediction
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.chosen import choose_among, separate_told
from medloupe.serving.engine.inputs import read_inputs
from medloupe.serving.engine.question import Question
from medloupe.serving.engine.windows import Run, run_windows


def ask(run: Run, checkups: Sequence[CheckUp], question: Question) -> list[Answer]:
    """Answer one example by each of some check-ups of its kind, in their order. Raises ImageError, ClinicalError."""
    return [_answer(run, c, question) for c in checkups]


def choose(run: Run, checkups: Sequence[CheckUp], question: Question) -> Answer:
    """Answer an example by the check-ups of the kind that it is nearest to. checkups: at least one."""
    question, told, unknown = separate_told(checkups, question)
    return choose_among(ask(run, checkups, question), told, unknown)


def draw(checkup: CheckUp, window: np.ndarray, attention: np.ndarray | None, title: str) -> str:
    """Draw a window as its kind's entry in embed/modalities does: an <svg>."""
    assert checkup.windows is not None
    return EMBEDDINGS[checkup.modality].drawn(window, checkup.windows, attention, title)


def draw_again(data: bytes, checkup: CheckUp) -> str:
    """Draw an example that was kept. Raises ImageError."""
    return draw(checkup, read_window(checkup, data, ""), None, MODALITIES[checkup.modality].one)


def read_window(checkup: CheckUp, data: Source, file: str) -> np.ndarray:
    """Read the window of what was sent, of `checkup.shape`. Raises ImageError."""
    assert checkup.windows is not None
    kind = MODALITIES[checkup.modality]
    name = file or f"example{min(kind.suffixes)}"
    if isinstance(data, bytes) and not kind.recognises(data, name):
        raise NotAnImageError(f"{file or 'The file'} is not {kind.a_file}.", f"{checkup.name} reads {kind.called}.")
    example = kind.read({name: data} if isinstance(data, bytes) else data)
    return EMBEDDINGS[checkup.modality].window(example, checkup.windows)


def _answer(run: Run, checkup: CheckUp, question: Question) -> Answer:
    known = read_inputs(checkup, question.fields)  # what cannot be read is told at once
    started = time.perf_counter()
    window = read_window(checkup, question.data, question.file)
    at = time.perf_counter()
    looked = run_windows(run, checkup, window[None], maps=question.heatmap)
    p = checkup.probabilities(looked.logits[0] if known.logits is None else looked.logits[0] + known.logits)
    novelty = None if checkup.novelty is None else float(checkup.novelty.score(looked.embedding)[0])
    refused = refusal(MODALITIES[checkup.modality], checkup.name, novelty)
    decision = checkup.decision
    shown = list(decision.labels_shown(p))
    prediction = Prediction.of(
        decision,
        p,
        file=question.file,
        model=checkup.name,
        version=checkup.version,
        refused=refused,
        timings={"decode": 1000 * (at - started), "network": 1000 * (time.perf_counter() - at)},
        inputs=known.influences,
    )
    answer = Answer(
        id=secrets.token_hex(16),
        digest=question.digest,
        prediction=prediction,
        checkup=checkup,
        given=known.given,
        ignored=known.ignored,
        foreign=novelty or 0.0,
        kind=checkup.modality,
    )
    if looked.parts is None:
        return answer
    parts = looked.parts[0]
    attention = None if refused else along(label_evidence(parts, shown[0], checkup.task), window.shape[-1])
    return replace(
        answer,
        places={decision.labels[k]: parts[k] for k in shown},
        drawing=draw(checkup, window, attention, f"{MODALITIES[checkup.modality].one} {question.file}".strip()),
    )
