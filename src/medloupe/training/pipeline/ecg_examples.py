"""Draw ECGs for the report: the window the network got, on ECG paper, shaded where it looked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medloupe.ecg.paper import draw_beat
from medloupe.ecg.signal import Signal
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features, fit_record
from medloupe.embed.network import Network
from medloupe.model import heatmaps
from medloupe.model.head import Head
from medloupe.utils.datauri import data_uri


def make_ecg_drawer(
    features: Features, task: str, head: Head, backbone: Backbone
) -> Callable[[int, int], tuple[str, None]]:
    """Make what draws a row of the features for a label.

    Parameters
    ----------
    features : Features
        Whose records are drawn.
    task : str
        "multiclass" or "multilabel".
    head : Head
        Whose evidence is shaded.
    backbone : Backbone
        What saw the windows.

    Returns
    -------
    callable
        Of row and label, to the drawing as a data URI, and None: nothing lies over it.
    """
    network, card = Network(backbone, threads=1), backbone.card

    def draw(row: int, k: int) -> tuple[str, None]:
        window = fit_record(features.data.records[row], backbone)
        feature_map = network.see(window[None], maps=True).map
        assert feature_map is not None
        values = heatmaps.label_evidence(heatmaps.map_contributions(head, feature_map)[0], k, task)[0]
        at = (np.arange(window.shape[1]) + 0.5) / window.shape[1] * len(values) - 0.5
        found = np.interp(at, np.arange(len(values)), np.maximum(values, 0))
        strongest = float(found.max())
        shown = np.where(np.abs(window).max(1, keepdims=True) > 0, window, np.nan)
        svg = draw_beat(
            Signal(samples=shown.astype(np.float32), rate=card.rate, leads=card.leads),
            attention=found / strongest if strongest > 0 else None,
            title=f"{features.data.records[row].id}: as the network got it",
        )
        return data_uri(svg.encode(), "image/svg+xml"), None

    return draw
