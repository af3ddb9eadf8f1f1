"""Draw what is no picture for the report: the window that the network got, shaded where it looked."""

from __future__ import annotations

from collections.abc import Callable

from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features, fit_record
from medloupe.embed.modalities import EMBEDDINGS
from medloupe.embed.network import Network
from medloupe.model import heatmaps
from medloupe.model.head import Head
from medloupe.utils.datauri import data_uri


def make_window_drawer(
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
    kind = EMBEDDINGS[card.modality]

    def draw(row: int, k: int) -> tuple[str, None]:
        window = fit_record(features.data.records[row], backbone)
        feature_map = network.see(window[None], maps=True).map
        assert feature_map is not None
        values = heatmaps.label_evidence(heatmaps.map_contributions(head, feature_map)[0], k, task)
        attention = heatmaps.along(values, window.shape[-1])
        svg = kind.drawn(window, card, attention, f"{features.data.records[row].id}: as the network got it")
        return data_uri(svg.encode(), "image/svg+xml"), None

    return draw
