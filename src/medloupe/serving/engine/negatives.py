"""Find the check-up to which a picture is inverted, black for white."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from medloupe.imaging.picture import negative_of
from medloupe.model.polarity import looks_inverted

if TYPE_CHECKING:
    from medloupe.imaging.sandbox.pool import Decoded
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.engine.networks import NetworkOutput


class Forward(Protocol):
    """Runs a check-up's network over pixels uint8 (N, S, S, 3)."""

    def __call__(self, checkup: CheckUp, pixels: np.ndarray, *, maps: bool) -> NetworkOutput:
        """Return its outputs."""
        ...


def find_inverted(
    forward: Forward, checkups: Iterable[CheckUp], passes: Mapping[str, NetworkOutput], decoded: Decoded
) -> str:
    """Name the first of some check-ups to which a grey picture is inverted; "" where there is none.

    Its negative is looked at, once by each network, only where the picture does not lie well within.

    Parameters
    ----------
    forward
        Runs a network.
    checkups
        Which are asked.
    passes
        What their networks made of the picture, by sha256.
    decoded
        The picture.
    """

    @cache
    def negative() -> np.ndarray | None:
        return negative_of(decoded.pixels, decoded.width, decoded.height)

    seen: dict[str, np.ndarray] = {}

    def look(checkup: CheckUp) -> np.ndarray | None:
        pixels = negative()
        if pixels is not None and checkup.network_sha256 not in seen:
            seen[checkup.network_sha256] = forward(checkup, pixels[None], maps=False).shared[0]
        return seen.get(checkup.network_sha256)

    for checkup in checkups:
        novelty, own = checkup.novelty, passes.get(checkup.network_sha256)
        if novelty is None or own is None or checkup.size != len(decoded.pixels):
            continue
        if looks_inverted(novelty, own.shared[0], partial(look, checkup)):
            return checkup.name
    return ""
