"""Choose how notes become numbers: by their letters (notes.py), or by a language network (sentences.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from medloupe.inputs.notes import Notes
from medloupe.inputs.projection import TextEncoder

if TYPE_CHECKING:
    from medloupe.embed.hub.text import TextNetwork


def fit_text_encoder(
    texts: Sequence[str | None], network: TextNetwork | None, *, mask: Sequence[str], column: str, seed: int
) -> TextEncoder | None:
    """Fit to the training notes, by a network or by their letters; None where fewer than ten say anything.

    Raises
    ------
    BackboneError
        The network cannot be used.
    """
    if network is None:
        return Notes.fit(texts, mask=mask, column=column, seed=seed)
    from medloupe.inputs.sentences import Sentences

    return Sentences.fit(texts, network, mask=mask, column=column, seed=seed)


def read_text_encoder(entry: object) -> TextEncoder:
    """Read back from as_json, trusting nothing.

    Raises
    ------
    ValueError
        Says what is wrong with it.
    """
    if isinstance(entry, Mapping) and "network" in entry:
        from medloupe.inputs.sentences import Sentences

        return Sentences.from_json(entry)
    return Notes.from_json(entry)
