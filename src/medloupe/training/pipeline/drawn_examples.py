"""Drawings for the report of what is no picture: the window that the network got, shaded where it looked."""

from __future__ import annotations

import base64
from collections.abc import Callable

from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features, fitted
from medloupe.embed.modalities import EMBEDDINGS
from medloupe.embed.network import Network
from medloupe.model import heatmaps
from medloupe.model.head import Head


def drawing(features: Features, task: str, head: Head, backbone: Backbone) -> Callable[[int, int], tuple[str, None]]:
    """Of a row of the features and a label, the drawing as a data URI; nothing lies over it."""
    network, card = Network(backbone, threads=1), backbone.card
    kind = EMBEDDINGS[card.modality]

    def draw(row: int, k: int) -> tuple[str, None]:
        window = fitted(features.data.records[row], backbone)
        feature_map = network.see(window[None], maps=True).map
        assert feature_map is not None
        values = heatmaps.evidence(heatmaps.contributions(head, feature_map)[0], k, task)
        attention = heatmaps.along(values, window.shape[-1])
        svg = kind.drawn(window, card, attention, f"{features.data.records[row].id}: as the network got it")
        return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}", None

    return draw
