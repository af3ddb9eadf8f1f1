"""Load the boundary by which printed ECGs are recognised: scripts/build_printed_ecg.py writes it."""

from __future__ import annotations

from functools import cache

import numpy as np

from medloupe.embed.registry import STARTER
from medloupe.model.printed_ecg import PrintedEcg

FILE = STARTER / "printed-ecg.npz"


@cache
def load_printed_ecg(network: str) -> PrintedEcg | None:
    """Load it, if a network of that sha256 is the one that comes with the package, in 8 bits or not; else None."""
    from medloupe.embed.eightbit import hash_shipped_network
    from medloupe.embed.registry import backbone

    if network not in (backbone().sha256, hash_shipped_network()):
        return None
    with np.load(FILE, allow_pickle=False) as stored:
        return PrintedEcg(
            levels=tuple(int(n) for n in stored["levels"]), weight=stored["weight"], bias=float(stored["bias"])
        )
