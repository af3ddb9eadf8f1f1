"""Cards with one entry that is not what it should be, the same ones for the same seed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

ODD: tuple[Any, ...] = ("x", "", 0, -1, 7.5, 1e308, True, None, [], ["x"], [1, 2], {}, {"x": 1}, {"value": "x"}, [{}])
"""What stands in the place of an entry: something of each kind that JSON has."""
_TRIED = 4  # entries of a list that are tried


def odd_cards(card: dict[str, Any], count: int | None = None, seed: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where the entry lies and what it is, and a copy of the card with that in its place.

    count: so many, drawn without replacement; without it each odd thing in each place.
    """
    places = list(_places(card, ()))
    every = len(places) * len(ODD)
    chosen = range(every) if count is None else np.random.default_rng(seed).choice(every, count, replace=False).tolist()
    for number in chosen:
        path, odd = places[number // len(ODD)], ODD[number % len(ODD)]
        changed = copy.deepcopy(card)
        within: Any = changed
        for part in path[:-1]:
            within = within[part]
        within[path[-1]] = copy.deepcopy(odd)
        yield f"{'.'.join(map(str, path))} = {json.dumps(odd)}", changed


def _places(entry: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(entry, dict):
        items: list[tuple[Any, Any]] = list(entry.items())
    elif isinstance(entry, list):
        items = list(enumerate(entry))[:_TRIED]
    else:
        return
    for key, inner in items:
        yield (*path, key)
        yield from _places(inner, (*path, key))
