"""Watch whether the pictures that a site sends are still like those that a check-up learned from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medloupe.metrics.drift import BATCH, LIMIT, DriftReference, watch_batches
from medloupe.model.drift import count_numbers, read_observed
from medloupe.model.novelty import Novelty

FIRST = 200
"""Answers that a site is held against where a check-up does not keep what its training looked like."""

_REMEMBERED = 20_000  # p-values
_p_values: dict[bytes, float] = {}
Drift = Literal["few", "learning", "steady", "drift"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteWatch:
    """How the pictures of a site are.

    Attributes
    ----------
    site
        Its name, or "".
    state
        "few" where there are too few pictures yet, "learning" while the first are gathered that others are held
        against, "steady" or "drift".
    by
        What they are held against: "training", or "first", the site's own first answers.
    pictures
        How many are watched.
    since
        When the pictures began to differ, ISO 8601; None without a drift.
    evidence
        After each batch, as a logarithm to base 10 in units of the limit's: 1 is an alarm; at least 0.
    at
        Of each batch, when it was full.
    """

    site: str
    state: Drift
    by: Literal["training", "first"]
    pictures: int
    since: str | None = None
    evidence: tuple[float, ...] = ()
    at: tuple[str, ...] = ()


def watch_site(site: str, novelty: Novelty, seen: Sequence[tuple[str, bytes]], streams: int) -> SiteWatch:
    """Watch the pictures of a site.

    Parameters
    ----------
    site
        Its name.
    novelty
        Of the check-up's version that answered.
    seen
        When each came, and what was kept of it, in the order in which they came.
    streams
        How many sites and check-ups are watched together, by which the limit grows.
    """
    length = 2 * count_numbers(len(novelty.spread))
    kept = [(at, stored) for at, stored in seen if len(stored) == length]
    reference = novelty.reference
    by: Literal["training", "first"] = "training" if reference is not None else "first"
    if reference is None:
        if len(kept) < FIRST:
            return SiteWatch(site=site, state="learning", by=by, pictures=len(kept))
        reference = DriftReference.of_first(_stack([stored for _, stored in kept[:FIRST]]))
        kept = kept[FIRST:]
    batches = [kept[i : i + BATCH] for i in range(0, len(kept) - BATCH + 1, BATCH)]
    if reference is None or not batches:
        return SiteWatch(site=site, state="few", by=by, pictures=len(kept))
    limit = LIMIT * max(1, streams)
    p = [_p_value(reference, b"".join(stored for _, stored in batch)) for batch in batches]
    states = list(watch_batches(p, limit))
    last = states[-1]
    return SiteWatch(
        site=site,
        state="drift" if last.alarm else "steady",
        by=by,
        pictures=len(kept),
        since=batches[last.since][0][0] if last.since is not None else None,
        evidence=tuple(float(np.log10(max(1.0, s.evidence)) / np.log10(limit)) for s in states),
        at=tuple(batch[-1][0] for batch in batches),
    )


def _p_value(reference: DriftReference, batch: bytes) -> float:
    """Compute the p-value of a batch once."""
    key = hashlib.sha256(reference.precision.tobytes() + reference.means.tobytes() + batch).digest()[:16]
    found = _p_values.get(key)
    if found is None:
        if len(_p_values) > _REMEMBERED:
            _p_values.clear()
        width = reference.means.shape[1]
        found = _p_values[key] = reference.p_value(read_observed(batch).reshape(-1, width))
    return found


def _stack(stored: Sequence[bytes]) -> np.ndarray:
    return np.stack([read_observed(one) for one in stored])
