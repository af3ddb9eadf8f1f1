"""The table of what networks read: for each kind of data the window, the input tensor, the samples, the embedding.

What a kind is called and how its files are read stands in data/modalities.py. docs/modalities.md tells how a kind is
added.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.embed.backbone import NO_CUT, BackboneCard
from medloupe.errors import BackboneError, UnreadableImageError
from medloupe.utils.progress import Progress
from medloupe.utils.tables import Table

if TYPE_CHECKING:
    from medloupe.data.records import Dataset
    from medloupe.data.scan import Scan
    from medloupe.embed.backbone import Backbone
    from medloupe.embed.tail import Tail

SIGNAL_KEY = "medloupe.ecg"
"""The metadata of a backbone of ECGs that says what its windows are."""

CONTRACT = "The contract stands at the top of medloupe/embed/registry.py."

Embedded = tuple["Dataset", np.ndarray, np.ndarray, tuple[bytes, ...], dict[str, str], int]
"""The readable part of the data, embeddings float32 (N, D), facts (N,), digests, why others are left out by id, and how
many were embedded now."""


class Embedding(ABC):
    """What networks make of one kind of data.

    Attributes
    ----------
    name : str
        The kind's, as in data/modalities.
    input : str
        The name of the tensor that backbones and model files take.
    dtype : str
        The tensor's type, as NumPy has it.
    rank : int
        The tensor's dimensions, that of the examples included.
    tunable, staged, compressible : bool
        Whether networks of this kind can be trained further (they have an output `cut`), shown stage by stage, and
        compressed.
    overlaid : bool
        Whether an example is shown as it is, with a heat map over it, in place of a drawing of its window.
    """

    name: str
    input: str
    dtype: str = "float32"
    rank: int = 3
    tunable: bool = False
    staged: bool = False
    compressible: bool = False
    overlaid: bool = False

    @property
    @abstractmethod
    def fitting(self) -> int | str:
        """The version of `window`, for caches and cards: raise it when the windows of the same example change."""

    @abstractmethod
    def default_backbone(self, data: Dataset, shipped: Sequence[BackboneCard]) -> str:
        """Name the backbone for a data set where nobody asks for another.

        It is one of those shipped for this kind, or the path of an .onnx file.
        """

    @abstractmethod
    def window(self, example: Any, card: BackboneCard) -> np.ndarray:
        """Bring an example (a path, or what was read) into the form that a network reads, of `card.input_shape`.

        Raises ImageError where it cannot be read or is of no use.
        """

    @abstractmethod
    def drawn(self, window: np.ndarray, card: BackboneCard, attention: np.ndarray | None, title: str) -> str:
        """Draw a window as an <svg> that needs no script and no style sheet.

        attention: float (T,) along the window's last axis, 0 to 1, where the network looked.
        """

    def generated(self, card: BackboneCard) -> np.ndarray:
        """Make three examples that are the same everywhere, as the network takes them: (3, *card.input_shape)."""
        noise = np.random.default_rng(0).normal(0, 0.3, card.input_shape)
        slope = np.broadcast_to(np.linspace(-1, 1, card.input_shape[-1]), noise.shape)
        return np.stack([noise, slope, np.zeros_like(noise)]).astype(self.dtype)

    def embed(self, scanned: Scan, backbone: Backbone, tail: Tail | None, progress: Progress | None) -> Embedded:
        """Embed every example of a data set. Raises DataError when none can be read."""
        from medloupe.data.modalities import MODALITIES
        from medloupe.embed.signals import Windows, embed_signals

        modality = MODALITIES[self.name]
        many = modality.many
        how = Windows(
            window=lambda record, card: self.window(modality.held(record), card),
            made_by=f"{self.name}-{self.fitting}",
            dtype=self.dtype,
            many=many,
            hint=f"Check that the files are {many}.",
        )
        return embed_signals(scanned.data, scanned.digest, scanned.unreadable, backbone, how, progress)

    def card_fault(self, entry: Mapping[str, Any]) -> str:
        """Say what of a card's backbone cannot be relied on, as the end of a sentence; "" when it is sound.

        Asked of kinds added from outside; `modelfile.schema` describes the backbones of the package's own.
        entry: from elsewhere; its names and sizes are checked already.
        """
        shape = entry.get("shape")
        if (
            not isinstance(shape, list)
            or len(shape) != self.rank - 1
            or not all(type(n) is int and 0 < n < 2**31 for n in shape)
        ):
            return f"lacks a proper 'shape' of its backbone: {self.rank - 1} numbers"
        return ""

    def check_input(self, path: Path, shapes: Mapping[str, list[Any]], types: Mapping[str, str]) -> None:
        """Check the input of a backbone's file. Raises BackboneError. shapes, types: of its tensors, by name."""
        wanted = {"float32": "tensor(float)", "uint8": "tensor(uint8)"}[self.dtype]
        if types[self.input] != wanted:
            raise BackboneError(
                f"{path} cannot serve as a backbone: its `{self.input}` must be {self.dtype}, it is"
                f" {types[self.input]}.",
                CONTRACT,
            )

    def described(self, path: Path, shapes: Mapping[str, list[Any]], metadata: Mapping[str, str]) -> dict[str, Any]:
        """Read what a backbone's file says of its windows, as fields of its card. Raises BackboneError."""
        shape = tuple(shapes[self.input][1:])
        return {"modality": self.name, "input_size": shape[-1], "shape": shape, "cut": NO_CUT}


class _PictureEmbedding(Embedding):
    name, input, dtype, rank = "image", "image", "uint8", 4
    tunable = staged = compressible = overlaid = True

    @property
    def fitting(self) -> str:
        from medloupe.imaging.decode import FITTING

        return FITTING

    def default_backbone(self, data: Dataset, shipped: Sequence[BackboneCard]) -> str:
        return shipped[0].name

    def window(self, example: Any, card: BackboneCard) -> np.ndarray:
        from medloupe.imaging.decode import load

        return load(Path(example) if isinstance(example, str) else example, card.input_size)

    def drawn(self, window: np.ndarray, card: BackboneCard, attention: np.ndarray | None, title: str) -> str:
        raise NotImplementedError("A picture is shown as it is, with an overlay of its heat map.")

    def generated(self, card: BackboneCard) -> np.ndarray:
        from medloupe.embed.samples import generate_images

        return generate_images(card.input_size)

    def embed(self, scanned: Scan, backbone: Backbone, tail: Tail | None, progress: Progress | None) -> Embedded:
        from medloupe.embed.pictures import embed_pictures

        return embed_pictures(scanned, backbone, tail, progress)

    def check_input(self, path: Path, shapes: Mapping[str, list[Any]], types: Mapping[str, str]) -> None:
        shape = shapes["image"]
        if types["image"] != "tensor(uint8)" or shape[1] != shape[2] or shape[3] != 3:
            raise BackboneError(
                f"{path} cannot serve as a backbone: its `image` must be uint8 (N, S, S, 3), it is {types['image']}"
                f" {shape}.",
                "Put the normalisation and the change of axes into the graph.",
            )

    def described(self, path: Path, shapes: Mapping[str, list[Any]], metadata: Mapping[str, str]) -> dict[str, Any]:
        return {"input_size": shapes["image"][1], "cut": tuple(shapes["cut"][1:])}


class _EcgEmbedding(Embedding):
    name, input = "ecg", "signal"

    @property
    def fitting(self) -> int:
        from medloupe.embed.windows import FITTING

        return FITTING

    def default_backbone(self, data: Dataset, shipped: Sequence[BackboneCard]) -> str:
        leads = getattr(data.records[0].signal if data.records else None, "leads", ())
        *_, usual = shipped  # which takes whole ECGs
        return next((card.name for card in shipped if card.leads == leads and card != usual), usual.name)

    def window(self, example: Any, card: BackboneCard) -> np.ndarray:
        from medloupe.embed.windows import fit_window

        return fit_window(example, card)

    def drawn(self, window: np.ndarray, card: BackboneCard, attention: np.ndarray | None, title: str) -> str:
        from medloupe.ecg.paper import draw_beat
        from medloupe.ecg.signal import Signal

        shown = np.where(np.abs(window).max(1, keepdims=True) > 0, window, np.nan)
        signal = Signal(samples=shown.astype(np.float32), rate=card.rate, leads=card.leads)
        return draw_beat(signal, attention=attention, title=title)

    def generated(self, card: BackboneCard) -> np.ndarray:
        from medloupe.embed.samples import generate_signals

        return generate_signals(card)

    def embed(self, scanned: Scan, backbone: Backbone, tail: Tail | None, progress: Progress | None) -> Embedded:
        from medloupe.embed.signals import Windows, embed_signals
        from medloupe.embed.windows import fit_window

        how = Windows(
            window=lambda record, card: fit_window(record.signal, card),
            made_by=str(self.fitting),
            dtype=self.dtype,
            many="ECGs",
            hint="Check that the files are ECGs (WFDB, CSV, npz, EDF, DICOM waveform).",
        )
        return embed_signals(scanned.data, scanned.digest, scanned.unreadable, backbone, how, progress)

    def check_input(self, path: Path, shapes: Mapping[str, list[Any]], types: Mapping[str, str]) -> None:
        if types["signal"] != "tensor(float)" or shapes["map"][2] != 1:
            raise BackboneError(
                f"{path} cannot serve as a backbone of ECGs: its `signal` must be float32 (N, L, T) and its `map`"
                f" (N, D, 1, w); they are {types['signal']} {shapes['signal']} and {shapes['map']}.",
                CONTRACT,
            )

    def described(self, path: Path, shapes: Mapping[str, list[Any]], metadata: Mapping[str, str]) -> dict[str, Any]:
        leads = shapes["signal"][1]
        try:
            said = json.loads(metadata.get(SIGNAL_KEY, ""))
            names, rate, before = tuple(said["leads"]), float(said["rate"]), float(said["before"])
            if len(names) != leads or not all(isinstance(n, str) and n for n in names) or len(set(names)) != leads:
                raise ValueError(f"it must name {leads} leads")
            if not (0 < rate < math.inf and 0 <= before < math.inf):
                raise ValueError("rate and before must be above 0")
        except (ValueError, TypeError, KeyError) as e:
            raise BackboneError(
                f"{path} cannot serve as a backbone of ECGs: its metadata {SIGNAL_KEY} cannot be used ({e}).",
                CONTRACT,
            ) from e
        windows = {"modality": self.name, "leads": names, "rate": rate, "before": before}
        return {"input_size": shapes["signal"][2], "cut": NO_CUT, **windows}


EMBEDDINGS: Table[Embedding] = Table("embed", _PictureEmbedding(), _EcgEmbedding())


def generate_examples(card: BackboneCard) -> np.ndarray:
    """Make three examples that are the same everywhere, as the backbone takes them."""
    return EMBEDDINGS[card.modality].generated(card)


def read_and_checked(example: Any, kind: str) -> Any:
    """Read an example of a kind where it is a path, and check it. Raises ImageError.

    For the `window` of kinds added from outside.
    """
    from medloupe.data.modalities import MODALITIES

    entry = MODALITIES[kind]
    name = str(example) if isinstance(example, str | Path) else "It"
    found = entry.read(Path(example)) if isinstance(example, str | Path) else example
    if fault := entry.fault(found):
        raise UnreadableImageError(f"{name}: {fault}" if name != "It" else fault, "")
    return found
