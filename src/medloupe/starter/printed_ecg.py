"""Load the boundary by which printed ECGs are recognised: scripts/build_printed_ecg.py writes it."""

from __future__ import annotations

from functools import cache

import numpy as np

from medloupe.embed.registry import STARTER, backbone
from medloupe.model.bundle import Model
from medloupe.model.printed_ecg import PrintedEcg, is_of_printed_ecgs

FILE = STARTER / "printed-ecg.npz"


@cache
def load_printed_ecg(network: str) -> PrintedEcg | None:
    """Load it, if a network of that sha256 is the one that comes with the package, in 8 bits or not; else None."""
    from medloupe.embed.eightbit import hash_shipped_network

    if network not in (backbone().sha256, hash_shipped_network()):
        return None
    with np.load(FILE, allow_pickle=False) as stored:
        return PrintedEcg(
            levels=tuple(int(n) for n in stored["levels"]), weight=stored["weight"], bias=float(stored["bias"])
        )


def find_printed_ecg(model: Model) -> PrintedEcg | None:
    """Load it for what a model's novelty reads; None where that is of another network, or printed ECGs are its kind.

    A detector's embeddings are those of the network that it was made of, at its size; of one file with tuned stages
    they are of these.
    """
    described = model.card.get("backbone") or {}
    if is_of_printed_ecgs(model.card) or (model.onnx is not None and model.card.get("tail")):
        return None
    if model.backbone.card.input_size != backbone().card.input_size:
        return None
    return load_printed_ecg(str(described.get("sha256") or model.backbone.sha256))
