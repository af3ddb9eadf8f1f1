"""Run a check-up's network, its tail and its head.

Everything here blocks and runs in the server's worker threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medloupe.embed.tail import join_outputs
from medloupe.graphs.session import run, run_tail
from medloupe.modelfile.layout import BOXES
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.sessions import Sessions
from medloupe.utils.spans import span


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOutput:
    """What one pass of a network gave for N pictures.

    Attributes
    ----------
    shared : ndarray
        Embeddings float32 (N, D).
    map : ndarray, optional
        Feature maps float32 (N, D, h, w), if asked for; of a whole model its heat maps (N, K, h, w).
    cut : ndarray, optional
        Activations float32 (N, C, H, W), for tails.
    logits : ndarray, optional
        Float32 (N, K), which a whole model gives instead of `cut`.
    boxes : ndarray, optional
        Of a detector float32 (N, M, 6), in pixels of the fitted pictures.
    """

    shared: np.ndarray
    map: np.ndarray | None
    cut: np.ndarray | None = None
    logits: np.ndarray | None = None
    boxes: np.ndarray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadOutput:
    """What a check-up makes of one picture.

    Attributes
    ----------
    embedding : ndarray
        Float32 (D,), which its head reads.
    logits : ndarray
        Calibrated, float32 (K,), before what is given beside the picture.
    parts : ndarray, optional
        Float32 (K, h, w): what each place adds to each logit.
    """

    embedding: np.ndarray
    logits: np.ndarray
    parts: np.ndarray | None


class Networks:
    """Runs the networks of check-ups; safe to use from several threads.

    Parameters
    ----------
    sessions
        The networks that are held in memory.
    idle
        Says whether nobody else is being answered, so that a pass of the network may use all cores.
    """

    def __init__(self, sessions: Sessions, idle: Callable[[], bool]):
        self._sessions = sessions
        self._idle = idle

    def prepare(self, checkup: CheckUp) -> bool:
        """Make what opening a check-up's network and tail needs; tell whether there is room to open them now."""
        room = self._sessions.prepare(checkup.network_sha256, checkup.network)
        if checkup.tail is not None:
            room &= self._sessions.prepare(checkup.tail.sha256, checkup.tail.path)
        if checkup.asks is not None:
            room &= self.prepare(checkup.asks.checkup)
        return room

    def run(self, checkup: CheckUp, names: Sequence[str], given: np.ndarray) -> list[np.ndarray]:
        """Run a check-up's network, without its tail: its outputs, by name, for examples as it takes them."""
        lease = self._sessions.lease(checkup.network_sha256, checkup.network, alone=self._idle())
        with span("network", examples=len(given)), lease as opened:
            return run(opened, names, given)

    def forward(self, checkup: CheckUp, pixels: np.ndarray, *, maps: bool) -> NetworkOutput:
        """Run a check-up's network, without its tail, once over pixels uint8 (N, S, S, 3)."""
        wanted = ["embedding", "logits" if checkup.whole else "cut"]
        if maps:
            wanted.append("heatmap" if checkup.whole else "map")
        if checkup.finds_boxes:
            wanted.append(BOXES)
        shared, second, *places = self.run(checkup, wanted, pixels)
        which = {"logits" if checkup.whole else "cut": second}
        boxes = places.pop() if checkup.finds_boxes else None
        return NetworkOutput(shared=shared, map=places[0] if places else None, boxes=boxes, **which)

    def apply_head(self, checkup: CheckUp, seen: NetworkOutput, row: int) -> HeadOutput:
        """Apply the check-up's tail, if it has one, and its head to one row of what `forward` gave."""
        one = slice(row, row + 1)
        if seen.logits is not None:
            parts = seen.map[row] if seen.map is not None else None
            return HeadOutput(embedding=seen.shared[row], logits=seen.logits[row], parts=parts)
        embedding = seen.shared[one]
        feature_map = seen.map[one] if seen.map is not None else None
        if checkup.tail is not None and seen.cut is not None:
            names = ["embedding"] if feature_map is None else ["embedding", "map"]
            lease = self._sessions.lease(checkup.tail.sha256, checkup.tail.path, alone=self._idle())
            with span("tail"), lease as opened:
                upper = run_tail(opened, names, seen.cut[one])
            embedding = join_outputs(upper[0], embedding)
            feature_map = join_outputs(upper[1], feature_map) if feature_map is not None else None
        return HeadOutput(
            embedding=embedding[0],
            logits=checkup.logits(embedding)[0],
            parts=checkup.contributions(feature_map[0]) if feature_map is not None else None,
        )
