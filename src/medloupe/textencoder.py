"""The two ways in which notes become numbers: by their letters (notes.py), or by a language network (sentences.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from medloupe.notes import Notes

if TYPE_CHECKING:
    from medloupe.textnet import TextNet


class TextEncoder(Protocol):
    """column: where the notes stand. mask: words blanked before all else, `*` standing for any letters."""

    @property
    def column(self) -> str: ...
    @property
    def mask(self) -> tuple[str, ...]: ...
    @property
    def width(self) -> int:
        """M, how many numbers encode a note."""
        ...

    @property
    def method(self) -> str:
        """How notes are read, in words."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays in memory."""
        ...

    def vector(self, text: str | None) -> np.ndarray:
        """float32 (M,); all 0 of a note that says nothing. NotesError where what reads it is not at hand."""
        ...

    def vectors(self, texts: Sequence[str | None]) -> np.ndarray:
        """float32 (N, M) of several notes. NotesError."""
        ...

    def field(self) -> dict[str, Any]:
        """What a form asks for."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Complete, in types that JSON has."""
        ...


def fit(
    texts: Sequence[str | None], network: TextNet | None, *, mask: Sequence[str], column: str, seed: int
) -> TextEncoder | None:
    """From the training notes, by a network or by their letters; None where fewer than ten say anything.

    Raises BackboneError where the network cannot be used.
    """
    if network is None:
        return Notes.fit(texts, mask=mask, column=column, seed=seed)
    from medloupe.sentences import Sentences

    return Sentences.fit(texts, network, mask=mask, column=column, seed=seed)


def from_json(entry: object) -> TextEncoder:
    """Read back from as_json, trusting nothing. Raises ValueError, saying what is wrong with it."""
    if isinstance(entry, Mapping) and "network" in entry:
        from medloupe.sentences import Sentences

        return Sentences.from_json(entry)
    return Notes.from_json(entry)
