"""Observe the activations of a float network on sample pictures: the range of each, and its mean per place.

Both are what writing the network in 8 bits needs (quantise.py). They come from pictures alone; no label is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto

OUTSIDE = 1e-5  # share of an activation's values that may lie outside its range, on either side
_SAMPLED = 4000  # values of one activation of one picture


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedRange:
    """One activation as seen on sample pictures.

    Attributes
    ----------
    low, high : float
        Its range but for the rarest values (OUTSIDE).
    largest : float
        The largest of all values.
    mean : np.ndarray
        Its mean over the pictures, float64 (C, H, W).
    """

    low: float
    high: float
    largest: float
    mean: np.ndarray


def observe_activations(
    model: ModelProto, names: Iterable[str], feeds: Iterable[Mapping[str, np.ndarray]]
) -> dict[str, ObservedRange]:
    """Observe activations of a float network by running it on sample pictures.

    A range comes from a fixed sample of every picture's values: one extreme value would make the steps of all others
    coarse.

    Parameters
    ----------
    model : ModelProto
        The network.
    names : iterable of str
        The activations to observe, each (N, C, H, W).
    feeds : iterable of mapping
        The inputs of one picture each by name, N = 1.

    Returns
    -------
    dict
        What was seen of each activation, by its name.

    Raises
    ------
    ValueError
        Without any feed.
    ModelFileError
        When the network cannot run.
    """
    from onnx import ModelProto, TensorProto, helper

    from medloupe.graphs.session import open_session

    names = list(dict.fromkeys(names))
    inputs = {v.name for v in model.graph.input}
    inner = [n for n in names if n not in inputs]
    probe = ModelProto()
    probe.CopyFrom(model)
    declared = {v.name for v in probe.graph.output}
    probe.graph.output.extend(
        helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in inner if n not in declared
    )
    opened = open_session(probe.SerializeToString())
    rng = np.random.default_rng(0)
    samples: dict[str, list[np.ndarray]] = {n: [] for n in names}
    sums: dict[str, np.ndarray] = {}
    largest = dict.fromkeys(names, -np.inf)
    count = 0
    for feed in feeds:
        values = dict(zip(inner, opened.run(inner, dict(feed)), strict=True)) if inner else {}
        for name in names:
            value = np.asarray(values[name] if name in values else feed[name])[0]
            flat = value.ravel()
            samples[name].append(flat if flat.size <= _SAMPLED else flat[rng.integers(0, flat.size, _SAMPLED)])
            largest[name] = max(largest[name], float(flat.max()))
            if count:
                sums[name] += value
            else:
                sums[name] = value.astype(np.float64)
        count += 1
    if not count:
        raise ValueError("There are no pictures to observe the network on.")
    ends = {n: np.quantile(np.concatenate(s), [OUTSIDE, 1 - OUTSIDE]) for n, s in samples.items()}
    return {
        n: ObservedRange(low=float(ends[n][0]), high=float(ends[n][1]), largest=largest[n], mean=sums[n] / count)
        for n in names
    }
