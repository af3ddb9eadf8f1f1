"""Put to a prediction what belongs to its answer: the picture, and heat maps to be laid over it on a page."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from medloupe.model.heatmaps import draw_overlay, label_evidence
from medloupe.serving.engine.answer import Answer

if TYPE_CHECKING:
    from medloupe.imaging.sandbox.pool import Preview
    from medloupe.model.prediction import Prediction
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.engine.inputs import GivenInputs
    from medloupe.serving.engine.question import Question


def draw_overlays(checkup: CheckUp, parts: np.ndarray, order: Sequence[int], shown: Preview) -> dict[str, bytes]:
    """Draw what each place (K, h, w) adds to each label: PNG by label.

    order: the numbers of the labels wanted; shown: what the page shows of the picture.
    """
    size = checkup.size
    longer = max(shown.width, shown.height)
    w, h = (max(1, round(side * size / longer)) for side in (shown.width, shown.height))
    left, top = (size - w) // 2, (size - h) // 2
    box = (left, top, left + w, top + h)
    return {checkup.labels[k]: draw_overlay(label_evidence(parts, k, checkup.task), size, box) for k in order}


def dress_answer(
    checkup: CheckUp,
    prediction: Prediction,
    parts: np.ndarray | None,
    question: Question,
    shown: Preview | None,
    known: GivenInputs,
) -> Answer:
    """Put to a prediction what belongs to its answer: the picture, and what each place (K, h, w) adds."""
    answer = Answer(
        id=secrets.token_hex(16),
        digest=question.digest,
        prediction=prediction,
        checkup=checkup,
        preview=shown,
        given=known.given,
        ignored=known.ignored,
    )
    if parts is not None:
        order = [checkup.labels.index(label) for label in prediction.probabilities]
        answer = replace(answer, places={checkup.labels[k]: parts[k] for k in order})
        if shown is not None:
            answer = replace(answer, evidence=draw_overlays(checkup, parts, order, shown))
    return answer
