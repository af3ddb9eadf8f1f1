"""Ask about each thing that a composed check-up's detector found on a picture."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from medloupe.imaging.sandbox.pool import Decoded
from medloupe.model.crops import ask_cells
from medloupe.model.prediction import Prediction
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.networks import Networks


def answer_cells(networks: Networks, checkup: CheckUp, found: Prediction, decoded: Decoded) -> Prediction:
    """Say what follows from the things that were found, each of which is asked about.

    Parameters
    ----------
    networks
        Runs the check-up that is asked.
    checkup
        The composed one; of any other the answer stays as it is.
    found
        What its detector says.
    decoded
        The picture, also in full.
    """
    if checkup.asks is None or decoded.full is None or found.state in ("refused", "unusable"):
        return found
    began = time.perf_counter()
    asked, question = checkup.asks.checkup, checkup.asks.question

    def look(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        seen = networks.forward(asked, pixels, maps=False)
        return np.stack([networks.apply_head(asked, seen, i).logits for i in range(len(pixels))]), seen.shared

    told = ask_cells(decoded.full, found.boxes or (), decoded.width, decoded.height, question, look)
    timings = {**found.timings, "asking": 1000 * (time.perf_counter() - began)}
    return replace(found.with_cells(question.decision, told), timings=timings)
