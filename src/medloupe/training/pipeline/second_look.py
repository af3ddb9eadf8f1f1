"""Render the pictures whose labels deserve a second look, for the report and the page of `medloupe check`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features, fit_record
from medloupe.embed.modalities import EMBEDDINGS
from medloupe.imaging.decode import load
from medloupe.training.audit.finding import LabelSuspect
from medloupe.training.pipeline.examples import find_content_box
from medloupe.utils.datauri import data_uri, jpeg_uri

SHOWN = 24  # pictures in a report: enough to see whether looking further is worth it


def render_suspects(
    features: Features, suspects: Sequence[LabelSuspect], backbone: Backbone, most: int = SHOWN
) -> dict[str, Any] | None:
    """Render the most suspicious, each as the network got it.

    Parameters
    ----------
    features : Features
        Whose rows the suspects name.
    suspects : sequence of LabelSuspect
        The most suspicious first.
    backbone : Backbone
        By whose size pictures are fitted, and windows of signals drawn.
    most : int
        How many.

    Returns
    -------
    dict or None
        "count" of all, "checked", and "entries": the fields of each suspect and `image`, a data URI. None without any.
    """
    if not suspects:
        return None
    entries = [{**s.as_json(), "image": _draw(features, s.row, backbone)} for s in suspects[:most]]
    return {"count": len(suspects), "things": features.data.things, "entries": entries}


def _draw(features: Features, row: int, backbone: Backbone) -> str:
    """Draw a row of the features as a data URI."""
    kind, record = EMBEDDINGS[features.data.modality], features.data.records[row]
    if not kind.overlaid:
        window = fit_record(record, backbone)
        title = f"{record.id}: as the network got it"
        return data_uri(kind.drawn(window, backbone.card, None, title).encode(), "image/svg+xml")
    facts, size = features.facts[row], backbone.card.input_size
    left, top, right, bottom = find_content_box(int(facts["width"]), int(facts["height"]), size)
    return jpeg_uri(load(record.picture, size)[top:bottom, left:right], quality=78)
