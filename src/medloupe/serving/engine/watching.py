"""Give what is kept of a picture so that it can be watched whether pictures change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medloupe.model.drift import observe
from medloupe.model.sketch import sketch

if TYPE_CHECKING:
    from medloupe.model.prediction import Prediction
    from medloupe.serving.engine.checkup import CheckUp

_NOT_ITS_KIND = ("refused", "unusable")


def note_features(checkup: CheckUp, prediction: Prediction, embedding: np.ndarray) -> bytes:
    """Give the numbers by which a picture's embedding (D,) is watched.

    None of a picture that was refused, as the share of those is watched by itself, and of a check-up that does not know
    what its pictures usually look like.
    """
    if checkup.novelty is None or prediction.state in _NOT_ITS_KIND:
        return b""
    return observe(checkup.novelty.gaussian, sketch(embedding[None], checkup.novelty.levels)[0])
