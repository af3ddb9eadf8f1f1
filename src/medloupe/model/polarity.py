"""Tell a grey picture that was inverted on its way, black for white, from one as the check-up learned them.

A negative lies farther from a check-up's own kind than the picture does, yet seldom so far that it is refused. So where
a picture does not lie well within, its negative is held against it. Which of the two is right says the boundary that
the check-up learned between its pictures and their negatives (model/polarity_boundary.py); without one, the distance:
what is markedly nearer as a negative is inverted. Measured by benchmarks/polarity.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from medloupe.model.decision import Why
from medloupe.model.novelty import Novelty
from medloupe.model.polarity_boundary import MARGIN
from medloupe.model.prediction import Prediction, Refusal, refuse_by_all, stop_by_all
from medloupe.model.printed_ecg import CODE, refuse_foreign
from medloupe.model.router import UNKNOWN_TO_ALL
from medloupe.model.sketch import sketch

Negative = Callable[[], np.ndarray | None]
"""Computes the embedding (D,) of a picture's negative; None of a picture that is not grey."""

DOUBTED = 0.55
"""Distance, of the limit, from which on a negative is asked for; two of three of a check-up's own lie below."""

NEARER = 0.85
"""Share of its distance below which the negative must lie where no boundary was learned; of 2,700 pictures of 14 sets
the lowest had 0.88."""


def is_doubtful(novelty: Novelty, embedding: np.ndarray) -> bool:
    """Tell whether a picture with this embedding (D,) might be inverted, so that its negative is worth a look."""
    return _distance(novelty, embedding) > DOUBTED


def is_inverted(novelty: Novelty, embedding: np.ndarray, negative: np.ndarray) -> bool:
    """Tell from the embeddings (D,) of a picture and of its negative whether the picture is the negative."""
    if float(novelty.score(negative[None])[0]) > 1:
        return False  # what is foreign too proves nothing
    if novelty.polarity is None:
        return _distance(novelty, negative) < NEARER * _distance(novelty, embedding)
    z, other = sketch(np.stack([embedding, negative]), novelty.levels)
    return float(novelty.polarity.margin(z[None], other[None])[0]) < -MARGIN


def looks_inverted(novelty: Novelty, embedding: np.ndarray, negative: Negative) -> bool:
    """Tell whether a picture with this embedding (D,) is a negative, which is computed only where it might be."""
    if not is_doubtful(novelty, embedding):
        return False
    other = negative()
    return other is not None and is_inverted(novelty, embedding, other)


def refuse_inverted(name: str) -> Refusal:
    """Say that a model does not judge a picture because it looks inverted."""
    reason = (
        f"This picture looks inverted, with black and white swapped: its negative is much more like what {name!r} was"
        " trained on. Export it with black and white as usual."
    )
    return Refusal(reason=reason, looks_like="", code="inverted")


def refuse_everywhere(
    file: str, alike: str, inverted: str, timings: Mapping[str, float], unusable: Why | None
) -> Prediction:
    """Say that a picture is of no kind that any check-up here knows.

    Parameters
    ----------
    file
        Its name.
    alike
        What it looks like, or "".
    inverted
        The check-up that knows its negative, or "".
    timings
        Milliseconds by stage.
    unusable
        Why it cannot be used, where that is the reason; a printed ECG could not be answered however it was taken.
    """
    foreign = refuse_foreign(UNKNOWN_TO_ALL, alike)
    if unusable is not None and foreign.code != CODE:
        return stop_by_all(file, unusable, timings)
    refused = refuse_inverted(inverted) if inverted else foreign
    return refuse_by_all(file, refused, timings, refused.code)


def _distance(novelty: Novelty, embedding: np.ndarray) -> float:
    found = float(novelty.distance(sketch(embedding[None], novelty.levels))[0])
    return found if np.isfinite(found) else 0.0
