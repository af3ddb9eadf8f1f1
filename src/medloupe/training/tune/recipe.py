"""Recipes of fine-tuning: plain numbers, with measured defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["tail", "full", "scratch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A recipe of fine-tuning.

    Attributes
    ----------
    kind : str
        "tail" trains the stages above the cut on cached activations, "full" the whole network, "scratch" the same
        network from random weights.
    epochs : int
        Passes over the training part.
    rate : float
        Highest learning rate of the network's last stage.
    decay : float
        Each stage below gets this share of the rate of the one above (discriminative rates).
    head_rate : float
        Highest learning rate of the linear head on top.
    warm : float
        Share of the steps in which the rates rise (one cycle, cosine down).
    depth : float
        Share of the trainable layers, from the top, that move.
    mixup : float
        Parameter of the beta distribution, 0 for none.
    smoothing : float
        Of the labels, 0 to 1.
    balance : float
        Exponent of the class weights (0 none, 1 full).
    weight_decay : float
        Of AdamW.
    average : float
        Decay, per step, of the running mean of the weights that is kept; 0 keeps the last, which did better in trials,
        and is what all defaults do.
    views : int
        Augmented views, the plain one counted.
    batch : int
        Images a step.
    patience : int
        Epochs without a better validation loss after which it ends.
    field : float
        Share of the pictures of an epoch that are shown as a photograph or worn copy of themselves, where there are
        field views.
    """

    kind: Kind = "tail"
    epochs: int = 5
    rate: float = 3e-4
    decay: float = 1.0
    head_rate: float = 3e-3
    warm: float = 0.2
    depth: float = 1.0
    mixup: float = 0.2
    smoothing: float = 0.1
    balance: float = 0.5
    weight_decay: float = 0.01
    average: float = 0.0
    views: int = 6
    batch: int = 32
    patience: int = 3
    field: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Give all fields."""
        return asdict(self)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Recipe:
        """Read what as_json gave."""
        return cls(**entry)


DEFAULTS: Mapping[str, Recipe] = {
    "tail": Recipe(),
    "full": Recipe(kind="full", epochs=4, rate=2e-4, decay=0.9),
    "scratch": Recipe(kind="scratch", epochs=8, rate=2e-3, head_rate=2e-3, weight_decay=0.05, mixup=0.0),
}
