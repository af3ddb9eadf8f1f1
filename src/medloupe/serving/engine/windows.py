"""Run a check-up's network over the windows of an example that is no picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from medloupe.inference.recordings import WindowOutputs
    from medloupe.serving.engine.checkup import CheckUp

Run = Callable[["CheckUp", Sequence[str], np.ndarray], list[np.ndarray]]
"""Runs a check-up's network: its outputs, by name, for windows (N, *checkup.shape)."""

BATCH = 256
"""Windows at once."""


def run_windows(run: Run, checkup: CheckUp, windows: np.ndarray, *, maps: bool) -> WindowOutputs:
    """Run a check-up's network and head over windows.

    Parameters
    ----------
    run
        Runs the network.
    checkup
        Of any kind but pictures.
    windows
        (N, *checkup.shape), as the check-up takes them.
    maps
        Whether to say what each place of a window adds to each logit, too.
    """
    from medloupe.inference.recordings import WindowOutputs

    names = ["embedding"]
    if checkup.whole:
        names.append("logits")
    if maps:
        names.append("heatmap" if checkup.whole else "map")
    embeddings, logits, parts = [], [], []
    for at in range(0, len(windows), BATCH):
        found = dict(zip(names, run(checkup, names, windows[at : at + BATCH]), strict=True))
        embeddings.append(found["embedding"])
        logits.append(found["logits"] if checkup.whole else checkup.logits(found["embedding"]))
        if maps:
            parts.append(found["heatmap"] if checkup.whole else np.stack([*map(checkup.contributions, found["map"])]))
    return WindowOutputs(np.concatenate(embeddings), np.concatenate(logits), np.concatenate(parts) if maps else None)
