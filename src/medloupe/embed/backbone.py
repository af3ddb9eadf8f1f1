"""Describe a backbone: its card and its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NO_CUT = (0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneCard:
    """Where a backbone comes from and what it gives.

    Attributes
    ----------
    name, source, licence : str
        What it is called, where it comes from, and under which terms.
    input_size : int
        Side in pixels; of ECGs T, the samples of one window.
    dimension : int
        D, of an embedding.
    levels : tuple of int
        How D divides, the last map first, then the outputs of earlier stages, then their textures; one number where
        there are no levels.
    places : (int, int)
        (h, w) of the map.
    cut : (int, int, int)
        (C, H, W); a backbone of ECGs has no cut: (0, 0, 0).
    file : str or None
        Name of the ONNX file shipped in the package, or None when it is made on first use from `weights`.
    weights, extra : str or None
        The module of a package that holds the weights, and the extra that installs it.
    modality : str
        What it looks at: the name of a kind of data, as in `data.modalities`.
    leads : tuple of str
        Of ECGs: the names of the leads, in order.
    rate : float
        Of ECGs: samples a second.
    before : float
        Of ECGs: seconds of the window before the R peak.
    shape : tuple of int
        Of other kinds of data: the shape of one example; () of pictures and ECGs.
    """

    name: str
    source: str
    licence: str
    input_size: int
    dimension: int
    levels: tuple[int, ...]
    places: tuple[int, int]
    cut: tuple[int, int, int]
    file: str | None = None
    weights: str | None = None
    extra: str | None = None
    modality: str = "image"
    leads: tuple[str, ...] = ()
    rate: float = 0.0
    before: float = 0.0
    shape: tuple[int, ...] = ()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example: (S, S, 3) of a picture, (L, T) of an ECG, and of other kinds as the card says."""
        if self.shape:
            return self.shape
        if self.leads:
            return (len(self.leads), self.input_size)
        return (self.input_size, self.input_size, 3)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> BackboneCard:
        """Read back what a model's card says of its backbone (Backbone.as_json)."""
        return cls(
            name=entry["name"],
            source=entry["source"],
            licence=entry["licence"],
            input_size=entry["input_size"],
            dimension=entry["dimension"],
            levels=tuple(entry["levels"]),
            places=tuple(entry["places"]),
            cut=tuple(entry["cut"]) if entry.get("cut") else NO_CUT,
            modality=entry.get("modality", "image"),
            leads=tuple(entry.get("leads") or ()),
            rate=float(entry.get("rate") or 0),
            before=float(entry.get("before") or 0),
            shape=tuple(entry.get("shape") or ()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A backbone at hand: its card, its ONNX file and the file's sha256 in hex."""

    card: BackboneCard
    path: Path
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """Describe the backbone for the card of a model."""
        c = self.card
        signal = {"modality": c.modality, "leads": list(c.leads), "rate": c.rate, "before": c.before}
        shape = {"shape": list(c.shape)} if c.shape else {}
        return {
            "name": c.name,
            "source": c.source,
            "licence": c.licence,
            "input_size": c.input_size,
            "dimension": c.dimension,
            "levels": list(c.levels),
            "places": list(c.places),
            "cut": list(c.cut),
            **({**signal, **shape} if c.leads or c.shape else {}),  # cards of pictures stay as they always were
            "sha256": self.sha256,
        }
