"""Load what is known of kinds of pictures: the statistics that scripts/build_kind_bank.py writes.

One .npz: `about` (UTF-8 JSON in bytes: the network's sha256, the levels of each variant, the sets) and, by variant, the
arrays `mean`, `axes`, `spread` and `numbers` (noise, limit). Sets with fewer axes have zeros at the end.
"""

from __future__ import annotations

import json
from functools import cache

import numpy as np

from medloupe.embed.registry import STARTER
from medloupe.model.gaussian import Gaussian
from medloupe.model.kind_bank import KindBank, KnownSet

FILE = STARTER / "kind-bank.npz"


def load_kind_bank(network: str, levels: tuple[int, ...]) -> KindBank | None:
    """Load what is known of other kinds, as a network sees them.

    Parameters
    ----------
    network : str
        The sha256 of its file.
    levels : tuple of int
        How its embedding, or the last part of it, divides.

    Returns
    -------
    KindBank or None
        None for other networks than the one that comes with the package, and for other levels.
    """
    of, banks = _read()
    return banks.get(tuple(levels)) if network == of else None


@cache
def _read() -> tuple[str, dict[tuple[int, ...], KindBank]]:
    with np.load(FILE, allow_pickle=False) as stored:
        about = json.loads(bytes(stored["about"]))
        banks = {tuple(n): _read_variant(stored, v, about["sets"]) for v, n in enumerate(about["levels"])}
    return about["network"], banks


def _read_variant(stored: dict[str, np.ndarray], variant: int, sets: list[dict[str, object]]) -> KindBank:
    mean, axes, spread, numbers = (stored[f"{key}_{variant}"] for key in ("mean", "axes", "spread", "numbers"))
    known = []
    for i, said in enumerate(sets):
        count = int((spread[i] > 0).sum())
        gaussian = Gaussian(
            mean[i].astype(np.float32),
            axes[i, :count].astype(np.float32),
            spread[i, :count].astype(np.float32),
            float(numbers[i, 0]),
        )
        known.append(
            KnownSet(
                name=str(said["name"]),
                kind=str(said["kind"]),
                anything=bool(said["anything"]),
                pictures=int(str(said["pictures"])),
                gaussian=gaussian,
                limit=float(numbers[i, 1]),
            )
        )
    return KindBank(sets=tuple(known))
