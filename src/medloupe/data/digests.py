"""Which examples a model was trained on: its card remembers their digests, shortened."""

from __future__ import annotations

import base64
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

MOST, MOST_BEATS = 20_000, 2_000  # digests in a card; of beats, which are many for each patient
_PREFIX = 8  # bytes of a digest kept: enough to recognise an image, useless for anything else


def sample_digests(digests: Sequence[bytes], things: str) -> list[bytes]:
    """Of very many digests those with the least endings: enough to know a patient by, though not each beat. things: as
    Dataset.things."""
    count = most_digests(things)
    return sorted(digests, key=lambda d: d[-_PREFIX:])[:count] if len(digests) > count else [*digests]


def encode_digests(digests: Iterable[bytes]) -> str:
    """The digests of the training examples, shortened and sorted, as one base64 text."""
    return base64.b64encode(b"".join(sorted(d[:_PREFIX] for d in digests))).decode()


def decode_digests(text: str | None) -> set[bytes]:
    """The shortened digests that `remembered` wrote; none of None or ""."""
    known = base64.b64decode(text or "")
    return {known[i : i + _PREFIX] for i in range(0, len(known), _PREFIX)}


def find_known(known: Container[bytes], digests: Sequence[bytes]) -> np.ndarray:
    """bool (N,): which digests are among shortened ones."""
    return np.array([d[:_PREFIX] in known for d in digests], bool)


def seen_in_training(card: Mapping[str, Any], digests: Sequence[bytes]) -> np.ndarray:
    """bool (N,): which examples the model was trained on, by their content, as far as its card remembers them."""
    return find_known(decode_digests(card["data"].get("digests")), digests)


def remembers_part(card: Mapping[str, Any]) -> bool:
    """Whether the card names only a share of the training examples, as they were very many."""
    return (card["data"].get("labelled") or 0) > most_digests(card["data"].get("things"))


def most_digests(things: str | None) -> int:
    """How many digests a card holds."""
    return MOST_BEATS if things == "beats" else MOST
