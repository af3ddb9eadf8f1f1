"""Remember in a card which examples a model was trained on, by their digests, shortened."""

from __future__ import annotations

import base64
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

MOST, MOST_BEATS = 20_000, 2_000  # digests in a card; of beats, which are many for each patient
_PREFIX = 8  # bytes of a digest kept: enough to recognise an image, useless for anything else


def sample_digests(digests: Sequence[bytes], things: str) -> list[bytes]:
    """Choose those of very many digests that a card keeps: enough to know a patient by, though not each beat.

    Parameters
    ----------
    digests : Sequence of bytes
        SHA-256 of each example.
    things : str
        What the examples are, as Dataset.things.

    Returns
    -------
    list of bytes
        All of them, or those with the least endings, `most_digests` many.
    """
    count = most_digests(things)
    return sorted(digests, key=lambda d: d[-_PREFIX:])[:count] if len(digests) > count else [*digests]


def encode_digests(digests: Iterable[bytes]) -> str:
    """Write the digests of the training examples, shortened and sorted, as one base64 text."""
    return base64.b64encode(b"".join(sorted(d[:_PREFIX] for d in digests))).decode()


def decode_digests(text: str | None) -> set[bytes]:
    """Read the shortened digests that `encode_digests` wrote; none of None or ""."""
    known = base64.b64decode(text or "")
    return {known[i : i + _PREFIX] for i in range(0, len(known), _PREFIX)}


def find_known(known: Container[bytes], digests: Sequence[bytes]) -> np.ndarray:
    """Tell which digests are among shortened ones: bool (N,)."""
    return np.array([d[:_PREFIX] in known for d in digests], bool)


def seen_in_training(card: Mapping[str, Any], digests: Sequence[bytes]) -> np.ndarray:
    """Tell which examples the model was trained on, as far as its card remembers them.

    Parameters
    ----------
    card : Mapping
        The model's card.
    digests : Sequence of bytes
        SHA-256 of each example's content.

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    return find_known(decode_digests(card["data"].get("digests")), digests)


def remembers_part(card: Mapping[str, Any]) -> bool:
    """Tell whether the card names only a share of the training examples, as they were very many."""
    return (card["data"].get("labelled") or 0) > most_digests(card["data"].get("things"))


def most_digests(things: str | None) -> int:
    """Return how many digests a card holds of such things."""
    return MOST_BEATS if things == "beats" else MOST
