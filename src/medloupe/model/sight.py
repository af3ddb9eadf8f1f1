"""Keep what a model's pictures look like to the shared network, where the model has a network of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medloupe.model.novelty import Novelty

_SHARED = "shared_"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SharedSight:
    """What a model's pictures look like to the network that others share, where it has a network of its own.

    By it the app finds the model among others with one pass of the shared network; whether a picture is judged is then
    decided by the model's own Novelty.

    Attributes
    ----------
    novelty : Novelty
        Fitted on embeddings of the shared network.
    network : str
        Sha256 of that network's file.
    """

    novelty: Novelty
    network: str

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Give arrays by name, for an npz file beside others."""
        arrays = {_SHARED + key: value for key, value in self.novelty.as_arrays().items()}
        return {**arrays, f"{_SHARED}network": np.array(self.network)}

    @classmethod
    def from_arrays(cls, stored: Mapping[str, np.ndarray]) -> SharedSight | None:
        """Read back from as_arrays; None where there is none. Raises ValueError as Novelty.from_arrays does."""
        own = {key.removeprefix(_SHARED): stored[key] for key in stored if key.startswith(_SHARED)}
        novelty = Novelty.from_arrays(own)
        return None if novelty is None else cls(novelty=novelty, network=str(own["network"]))
