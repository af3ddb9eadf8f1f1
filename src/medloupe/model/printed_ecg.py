"""Recognise the picture of a printed ECG by its embedding, so that who sent it is told what to send instead.

Check-ups of pictures refuse it in any case (novelty.py); this finds the reason. The boundary is drawn between what the
kind bank knows of ECG reports, as they are and photographed, and of all other kinds (scripts/build_printed_ecg.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.model.prediction import Refusal
from medloupe.model.sketch import sketch

KIND = "ECG report"
"""As the kind bank calls it, and as an answer says what a picture looks like."""
CODE = "printed_ecg"
REASON = (
    "This looks like a printed ECG. Check-ups of pictures cannot read it, and a photograph or a scan of an ECG has lost"
    " what those of recordings need. Send the recording itself, as the device exports it: WFDB, EDF, CSV or DICOM."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrintedEcg:
    """A boundary in the sketch of an embedding: `sketch @ weight + bias` is above 0 of a printed ECG.

    Attributes
    ----------
    levels
        How the embedding divides.
    weight
        float32 (W,).
    bias
        Of the boundary, moved so that photographed ones lie beyond.
    """

    levels: tuple[int, ...]
    weight: np.ndarray
    bias: float

    def recognise(self, embedding: np.ndarray) -> bool:
        """Tell whether an embedding (D,) is of a printed ECG."""
        return bool(self.side(embedding[None])[0] > 0)

    def side(self, embeddings: np.ndarray) -> np.ndarray:
        """Tell on which side embeddings (N, D) lie, (N,): above 0 where a printed ECG is seen."""
        return sketch(embeddings, self.levels) @ self.weight + self.bias


def is_of_printed_ecgs(card: Mapping[str, Any]) -> bool:
    """Tell whether a check-up, by its card, is one of pictures of ECGs: of it they are no other kind."""
    own = (card.get("novelty") or {}).get("own_kinds") or ()
    return KIND in own or str(card.get("kind") or "").strip().casefold() == KIND.casefold()


def refuse_foreign(
    reason: str, looks_like: str, printed: PrintedEcg | None = None, embedding: np.ndarray | None = None
) -> Refusal:
    """Refuse a picture as foreign, or as a printed ECG with what to send instead.

    Parameters
    ----------
    reason
        Why it is foreign.
    looks_like
        What it looks like to all that is at hand, or "". Nothing goes before another check-up that knows it.
    printed
        Of the check-up that refuses; None where it tells no printed ECGs.
    embedding
        float32 (D,), as that reads it.
    """
    if embedding is None:
        seen = looks_like == KIND
    else:
        free = looks_like in ("", KIND) or looks_like.startswith("an everyday object")
        seen = free and printed is not None and printed.recognise(embedding)
    if seen:
        return Refusal(reason=REASON, looks_like=KIND, code=CODE)
    return Refusal(reason=reason, looks_like="" if looks_like == KIND else looks_like)
