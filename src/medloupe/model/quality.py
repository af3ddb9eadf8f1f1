"""Say of a picture's quality what an answer says: why it cannot be used, by a check-up's limits and its embedding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from medloupe.imaging.quality import Limits, Measures, find_fault
from medloupe.model.decision import Why
from medloupe.model.legibility import CODE, SENTENCE
from medloupe.model.novelty import Novelty
from medloupe.model.prediction import Refusal
from medloupe.model.printed_ecg import CODE as CODE_PRINTED

if TYPE_CHECKING:
    from medloupe.imaging.photo import Photo


_PHOTO_UNTRAINED = (
    "This is a photograph of a picture, and on photographs the answers of this check-up cannot be relied on. Send the"
    " original file; if this is the original file, say that it is no photograph."
)
_PHOTO_CORNERS = (
    "The picture was not found in the photograph. Mark its four corners, or photograph it with all four sides in view"
    " and something else around them."
)


def judge_quality(measures: Measures | None, limits: Limits | None) -> Why | None:
    """Say why a picture cannot be used; None where it can, or was not measured.

    Parameters
    ----------
    measures : Measures or None
        Of the picture.
    limits : Limits or None
        Of the check-up; None stops only what is blank or tiny.
    """
    fault = None if measures is None else find_fault(measures, limits)
    return None if fault is None else Why(code=fault.code, text=fault.text)


def judge_photo(photo: Photo | None, learned: bool = True) -> Why | None:
    """Say why a photograph of a picture cannot be used; None where it can, or is none.

    Where the corners are not known answers to whole photographs, with the room around the picture, are no better than
    guesses. Those of a check-up that photographs taught too little are no better, and counts of a detector far off.

    Parameters
    ----------
    photo : Photo or None
        As it was found or told; None of a picture that is no photograph.
    learned : bool
        Whether the check-up answers photographs (Decision.photographs).
    """
    if photo is not None and not learned:
        return Why(code="photo_untrained", text=_PHOTO_UNTRAINED)
    return Why(code="photo_corners", text=_PHOTO_CORNERS) if photo is not None and not photo.found else None


def judge_legibility(novelty: Novelty | None, embedding: np.ndarray) -> Why | None:
    """Say why a picture that is not refused shows too little to be answered; None where it shows enough.

    Parameters
    ----------
    novelty : Novelty or None
        Of the check-up.
    embedding : np.ndarray
        float32 (D,), as novelty reads it.
    """
    if novelty is None or not novelty.too_poor(embedding[None])[0]:
        return None
    return Why(code=CODE, text=SENTENCE)


def judge_picture(
    refused: Refusal | None,
    measures: Measures | None,
    limits: Limits | None,
    novelty: Novelty | None,
    embedding: np.ndarray,
    photo: Photo | None = None,
    learned: bool = True,
) -> tuple[Refusal | None, Why | None]:
    """Say what keeps a picture from being answered: that it is refused, or else why it cannot be used.

    What is wrong with how it was taken comes first, then whether it is foreign, then whether it shows too little. Of a
    printed ECG that is said before all else: the same, taken better, would be refused as well.
    learned: as for `judge_photo`.
    """
    if refused is not None and refused.code == CODE_PRINTED:
        return refused, None
    unusable = judge_photo(photo, learned) or judge_quality(measures, limits)
    if unusable is not None or refused is not None:
        return (None, unusable) if unusable is not None else (refused, None)
    return None, judge_legibility(novelty, embedding)


def judge_for_all(measures: Measures, every: Iterable[Limits | None]) -> Why | None:
    """Say why no check-up at hand can use a picture, where all that have limits say the same; else None."""
    if (why := judge_quality(measures, None)) is not None:
        return why
    whys = [judge_quality(measures, limits) for limits in every if limits is not None]
    return whys[0] if whys and whys[0] is not None and all(w == whys[0] for w in whys) else None
