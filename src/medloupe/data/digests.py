"""Which examples a model was trained on: its card remembers their digests, shortened."""

from __future__ import annotations

import base64
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

MOST, MOST_BEATS = 20_000, 2_000  # digests in a card; of beats, which are many for each patient
_PREFIX = 8  # bytes of a digest kept: enough to recognise an image, useless for anything else


def thinned(digests: Sequence[bytes], things: str) -> list[bytes]:
    """Of very many digests those with the least endings: enough to know a patient by, though not each beat. things: as
    Dataset.things."""
    count = most(things)
    return sorted(digests, key=lambda d: d[-_PREFIX:])[:count] if len(digests) > count else [*digests]


def remembered(digests: Iterable[bytes]) -> str:
    """The digests of the training examples, shortened and sorted, as one base64 text."""
    return base64.b64encode(b"".join(sorted(d[:_PREFIX] for d in digests))).decode()


def recalled(text: str | None) -> set[bytes]:
    """The shortened digests that `remembered` wrote; none of None or ""."""
    known = base64.b64decode(text or "")
    return {known[i : i + _PREFIX] for i in range(0, len(known), _PREFIX)}


def among(known: Container[bytes], digests: Sequence[bytes]) -> np.ndarray:
    """bool (N,): which digests are among shortened ones."""
    return np.array([d[:_PREFIX] in known for d in digests], bool)


def seen(card: Mapping[str, Any], digests: Sequence[bytes]) -> np.ndarray:
    """bool (N,): which examples the model was trained on, by their content, as far as its card remembers them."""
    return among(recalled(card["data"].get("digests")), digests)


def remembers_part(card: Mapping[str, Any]) -> bool:
    """Whether the card names only a share of the training examples, as they were very many."""
    return (card["data"].get("labelled") or 0) > most(card["data"].get("things"))


def most(things: str | None) -> int:
    """How many digests a card holds."""
    return MOST_BEATS if things == "beats" else MOST
