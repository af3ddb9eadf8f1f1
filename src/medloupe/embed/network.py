"""Run a backbone and, where a model has one, its tail: pixels in; embedding, map and what all models share out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medloupe.embed.backbone import Backbone
from medloupe.embed.tail import Tail, join_outputs
from medloupe.graphs.session import open_session, run, run_tail

Ask = Callable[[Sequence[str]], list[np.ndarray]]  # outputs by name


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneOutput:
    """What a network made of N pictures.

    Attributes
    ----------
    embedding : np.ndarray
        float32 (N, D), which the model's head reads.
    map : np.ndarray or None
        float32 (N, D, h, w), whose mean over places the embedding is, if asked for.
    shared : np.ndarray
        float32 (N, D), the untuned backbone's embedding, which is the same for all models on it.
    """

    embedding: np.ndarray
    map: np.ndarray | None
    shared: np.ndarray


class Network:
    """A backbone and its tail, opened for as many pictures as one likes; safe to use from several threads.

    threads: of one run.
    """

    def __init__(self, backbone: Backbone, tail: Tail | None = None, *, threads: int | None = None):
        self._backbone = open_session(backbone.path, threads=threads)
        self._tail = open_session(tail.path, threads=threads) if tail is not None else None

    def see(self, pixels: np.ndarray, *, maps: bool = False) -> BackboneOutput:
        """Run the network once over pixels.

        Parameters
        ----------
        pixels : np.ndarray
            uint8 (N, S, S, 3); of ECGs windows float32 (N, L, T).
        maps : bool
            Whether the map is wanted, too.
        """
        tail = self._tail
        return combine_outputs(
            lambda names: run(self._backbone, names, pixels),
            (lambda names, cut: run_tail(tail, names, cut)) if tail is not None else None,
            maps=maps,
        )


def combine_outputs(
    backbone: Ask, tail: Callable[[Sequence[str], np.ndarray], list[np.ndarray]] | None, *, maps: bool
) -> BackboneOutput:
    """Combine what backbone and tail give, from functions that run them.

    Parameters
    ----------
    backbone : callable
        Gives the outputs of those names.
    tail : callable or None
        The same of the tail; takes also what the backbone gave as `cut`.
    maps : bool
        Whether the map is wanted, too.
    """
    own = ["embedding", "map"] if maps else ["embedding"]
    wanted = own if tail is None else [*own, "cut"]
    found = dict(zip(wanted, backbone(wanted), strict=True))
    shared, feature_map = found["embedding"], found.get("map")
    if tail is None:
        return BackboneOutput(embedding=shared, map=feature_map, shared=shared)
    upper = tail(own, found["cut"])
    return BackboneOutput(
        embedding=join_outputs(upper[0], shared),
        map=join_outputs(upper[1], feature_map) if feature_map is not None else None,
        shared=shared,
    )
