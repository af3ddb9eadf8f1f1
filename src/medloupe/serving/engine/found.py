"""Name the boxes that a detector found on a picture, in tiles where it is large, and tell its size with them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from medloupe.model.boxes import FoundBox, name_boxes, score_logits
from medloupe.model.large import LargeLook
from medloupe.model.tiling import Tiling
from medloupe.serving.engine.negatives import find_inverted

if TYPE_CHECKING:
    from medloupe.imaging.sandbox.pool import Decoded
    from medloupe.model.prediction import Prediction
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.engine.networks import NetworkOutput, Networks


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFindings:
    """What a detector found on a picture.

    Attributes
    ----------
    boxes : tuple of FoundBox or None
        None of a check-up that finds no boxes.
    tiling : Tiling or None
        How the picture was looked at, if it is large.
    logits : np.ndarray or None
        float32 (K,), of the picture by what was found in its tiles; None where it was looked at as a whole.
    judged : Decoded or None
        What tells whether the picture is foreign or inverted: the picture, or one of its tiles.
    seen : NetworkOutput
        What the network made of that.
    size : (int, int)
        Width and height of the picture that was looked at.
    milliseconds : float
        Spent on tiles.
    """

    boxes: tuple[FoundBox, ...] | None
    tiling: Tiling | None
    logits: np.ndarray | None
    judged: Decoded | None
    seen: NetworkOutput
    size: tuple[int, int]
    milliseconds: float = 0.0

    def is_inverted(self, networks: Networks, checkup: CheckUp, decoded: Decoded) -> bool:
        """Tell whether what was judged, of a picture or the picture, is inverted to the check-up, black for white."""
        passes = {checkup.network_sha256: self.seen}
        return bool(find_inverted(networks.forward, [checkup], passes, self.judged or decoded))

    def add_to(self, prediction: Prediction, decoded: Decoded | None) -> Prediction:
        """Add to an answer how the picture was looked at, and its size where boxes were looked for in it.

        Its boxes lie in the picture as given from then on, which may be a photograph of what was looked at. decoded:
        None where no more is known of the picture than its fitted pixels.
        """
        if prediction.boxes is not None:
            timings = prediction.timings if self.tiling is None else {**prediction.timings, "tiles": self.milliseconds}
            prediction = replace(prediction, size=self.size, tiling=self.tiling, timings=timings)
        return prediction.in_photograph(None if decoded is None else decoded.photo)


def find_places(networks: Networks, checkup: CheckUp, seen: NetworkOutput, decoded: Decoded | None) -> PictureFindings:
    """Name what a detector found on the one picture that it saw; look at it in tiles where it is large.

    decoded: None where no more is known of the picture than its fitted pixels.
    """
    boxes, size = None, (checkup.size, checkup.size) if decoded is None else (decoded.width, decoded.height)
    if seen.boxes is not None:
        boxes = name_boxes(seen.boxes[0], checkup.labels, *size, checkup.size)
    alone = PictureFindings(boxes=boxes, tiling=None, logits=None, judged=decoded, seen=seen, size=size)
    large = checkup.large
    if seen.boxes is None or decoded is None or decoded.full is None or large is None or not large.is_large(*size):
        return alone
    began = time.perf_counter()

    def run_tiles(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        made = networks.forward(checkup, pixels, maps=False)
        assert made.boxes is not None
        return made.boxes, made.shared

    looked: LargeLook = large.look(decoded.full, *size, seen.boxes[0], seen.shared[0], run_tiles)
    spent = 1000 * (time.perf_counter() - began)
    if looked.boxes is None or looked.best is None or looked.pixels is None or looked.embedding is None:
        return replace(alone, tiling=looked.tiling, milliseconds=spent)
    side = len(looked.pixels)
    return PictureFindings(
        boxes=looked.boxes,
        tiling=looked.tiling,
        logits=score_logits(looked.best).astype(np.float32),
        judged=replace(decoded, pixels=looked.pixels, width=side, height=side),
        seen=replace(seen, shared=looked.embedding[None]),
        size=size,
        milliseconds=spent,
    )
