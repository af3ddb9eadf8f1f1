"""Free-text notes as a few numbers by a language network: its sentence vectors, projected by an SVD.

The network itself is no part of the model, which keeps its sha256, the projection and the mean. It is opened when there
is text to read and not before; without text the numbers are 0, whether it is at hand or not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.errors import BackboneError, NotesError
from medloupe.inputs.notes import Masks, words
from medloupe.inputs.projection import DIMENSION, FEWEST, TextEncoder, checked, halves_from, projection

if TYPE_CHECKING:
    from medloupe.embed.hub.text import TextNetwork

MOST_WIDTH = 8_192  # numbers of a sentence vector
LONGEST_WORDS = 300
_KEYS = ("column", "mask", "axes", "mean", "scale", "network", "sha256")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences(TextEncoder):
    """How notes become numbers by a language network.

    network: in words, for people. sha256: of the network. source: the network itself where it was learned just now,
    else it is looked for.
    """

    network: str
    sha256: str
    source: TextNetwork | None = field(default=None, compare=False, repr=False)

    @property
    def method(self) -> str:
        """How they are read, in words."""
        return self.network

    @classmethod
    def fit(
        cls,
        texts: Sequence[str | None],
        network: TextNetwork,
        *,
        dimension: int = DIMENSION,
        mask: Sequence[str] = (),
        column: str = "notes",
        seed: int = 0,
    ) -> Sentences | None:
        """From the training notes; None where fewer than ten say anything. dimension: M, less with few notes.

        Raises BackboneError where the network cannot be used."""
        said = [s for s in _said(texts, mask) if s]
        if len(said) < FEWEST:
            return None
        x = network.embed(said, remembering=True)
        return cls(
            column=column,
            mask=tuple(mask),
            network=network.words[:LONGEST_WORDS],
            sha256=network.sha256,
            source=network,
            **projection(x, dimension, seed),
        )

    def vectors(self, texts: Sequence[str | None]) -> np.ndarray:
        """float32 (N, M) of several notes. Raises NotesError."""
        z = np.zeros((len(texts), self.width), np.float32)
        said = _said(texts, self.mask)
        at = [i for i, s in enumerate(said) if s]
        if at:
            x = self._embedded([said[i] for i in at])
            z[at] = (x @ self.axes.astype(np.float32) - self.mean) * self.scale
        return z

    def _embedded(self, said: list[str]) -> np.ndarray:
        from medloupe.embed.hub.text import find_by_sha256

        try:
            network = self.source or find_by_sha256(self.sha256, self.network)
            x = network.embed(said, remembering=self.source is not None)
            if x.shape[1] != len(self.axes):
                raise BackboneError("The network that reads them does not fit the model.", "Export the model again.")
        except BackboneError as e:
            raise NotesError(self.column, f"{self.column} cannot be read here. {e.message}", e.hint) from e
        return x

    def as_json(self) -> dict[str, Any]:
        """Complete but for the network, in types that JSON has."""
        # not super(), which a class with slots lacks
        return {**TextEncoder.as_json(self), "network": self.network, "sha256": self.sha256}

    @classmethod
    def from_json(cls, entry: object) -> Sentences:
        """Read back from as_json, trusting nothing and opening nothing. Raises ValueError, saying what is wrong."""
        if not isinstance(entry, Mapping) or set(entry) != set(_KEYS):
            raise ValueError(f"notes read by a network must be an object of {', '.join(_KEYS)}")
        network, sha256, text = entry["network"], entry["sha256"], entry["axes"]
        if not isinstance(network, str) or not 0 < len(network) <= LONGEST_WORDS or not network.isprintable():
            raise ValueError(f"the network of the notes must be named in at most {LONGEST_WORDS} printable characters")
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise ValueError("the network of the notes has no sha256")
        common = checked(entry)
        size = len(common["mean"])
        rows = len(text) // 4 * 3 // (2 * size) if isinstance(text, str) else 0
        if not 0 < rows <= MOST_WIDTH:
            raise ValueError("the arrays of the notes do not fit together")
        return cls(network=network, sha256=sha256, axes=halves_from(text, rows * size).reshape(rows, size), **common)


def _said(texts: Sequence[str | None], mask: Sequence[str]) -> list[str]:
    """What is left of each text after masking, "" where that is no word."""
    masks = Masks(mask if any(texts) else ())
    blanked = [masks.applied(text) if text else "" for text in texts]
    return [" ".join(text.split()) if words(text) else "" for text in blanked]
