"""Encode free-text notes by a language network: its sentence vectors, projected by an SVD.

The network itself is no part of the model, which keeps its sha256, the projection and the mean. It is opened when there
is text to read and not before; without text the numbers are 0, whether it is at hand or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.errors import BackboneError, NotesError
from medloupe.inputs.limits import LONGEST_NETWORK, MOST_WIDTH
from medloupe.inputs.notes import Masks, split_words
from medloupe.inputs.projection import DIMENSION, FEWEST, TextEncoder, decode_halves, fit_projection
from medloupe.utils.validation import read_entry

if TYPE_CHECKING:
    from medloupe.embed.hub.text import TextNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences(TextEncoder):
    """How notes become numbers by a language network.

    Attributes
    ----------
    network
        In words, for people.
    sha256
        Of the network.
    source
        The network itself where it was learned just now, else it is looked for.
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
        """Fit to the training notes; None where fewer than ten say anything.

        Parameters
        ----------
        texts
            One a row; None where there is none.
        network
            That reads them.
        dimension
            M, less with few notes.
        mask
            Words to blank (see medloupe.inputs.notes.Masks).
        column
            Where they stand.
        seed
            Of the SVD.

        Raises
        ------
        BackboneError
            The network cannot be used.
        """
        said = [s for s in _mask_texts(texts, mask) if s]
        if len(said) < FEWEST:
            return None
        x = network.embed(said, remembering=True)
        return cls(
            column=column,
            mask=tuple(mask),
            network=network.words[:LONGEST_NETWORK],
            sha256=network.sha256,
            source=network,
            **fit_projection(x, dimension, seed),
        )

    def vectors(self, texts: Sequence[str | None]) -> np.ndarray:
        """Encode several notes, float32 (N, M).

        Raises
        ------
        NotesError
            The network is not at hand or does not fit.
        """
        z = np.zeros((len(texts), self.width), np.float32)
        said = _mask_texts(texts, self.mask)
        at = [i for i, s in enumerate(said) if s]
        if at:
            x = self._embed([said[i] for i in at])
            z[at] = (x @ self.axes.astype(np.float32) - self.mean) * self.scale
        return z

    def _embed(self, said: list[str]) -> np.ndarray:
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
        """Give all but the network, in types that JSON has."""
        # not super(), which a class with slots lacks
        return {**TextEncoder.as_json(self), "network": self.network, "sha256": self.sha256}

    @classmethod
    def from_json(cls, entry: object) -> Sentences:
        """Read back from as_json, trusting nothing and opening nothing.

        Raises
        ------
        ValueError
            Says what is wrong with it.
        """
        from medloupe.inputs.schema import NETWORK_SENTENCES, NetworkEntry

        checked = read_entry(NetworkEntry, entry, NETWORK_SENTENCES)
        size = len(checked.mean)
        rows = len(checked.axes) // 4 * 3 // (2 * size)
        if not 0 < rows <= MOST_WIDTH:
            raise ValueError("the arrays of the notes do not fit together")
        axes = decode_halves(checked.axes, rows * size).reshape(rows, size)
        return cls(network=checked.network, sha256=checked.sha256, axes=axes, **checked.common())


def _mask_texts(texts: Sequence[str | None], mask: Sequence[str]) -> list[str]:
    """Blank the masked words of each text; "" where no word is left."""
    masks = Masks(mask if any(texts) else ())
    blanked = [masks.apply(text) if text else "" for text in texts]
    return [" ".join(text.split()) if split_words(text) else "" for text in blanked]
