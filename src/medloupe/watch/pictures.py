"""Watch whether the pictures that a site sends are still like those that a check-up learned from.

A patient counts once where it was told whose pictures are, and the check-up knows what patients look like: by one of
the patient's pictures, and 25 patients are a batch. Of the others each picture counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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
By = Literal["training", "patients", "first"]


@dataclass(frozen=True, slots=True)
class ObservedPicture:
    """What is kept of a picture that was answered: when, its numbers, and a hash of whose it is, or None."""

    at: str
    numbers: bytes
    patient: str | None = None


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
        What they are held against: "training"; "patients", patient by patient of the training; or "first", the site's
        own first answers.
    pictures
        How many are watched.
    patients
        Of how many patients they are, where they are counted so; else None.
    told
        Of how many of the pictures it was told whose they are.
    since
        When the pictures began to differ, ISO 8601; None without a drift.
    evidence
        After each batch, as a logarithm to base 10 in units of the limit's: 1 is an alarm; at least 0.
    at
        Of each batch, when it was full.
    """

    site: str
    state: Drift
    by: By
    pictures: int
    patients: int | None = None
    told: int = 0
    since: str | None = None
    evidence: tuple[float, ...] = ()
    at: tuple[str, ...] = ()


def count_streams(novelty: Novelty | None, seen: Sequence[ObservedPicture]) -> int:
    """Count what is watched by itself of a site: pictures, and patients."""
    return sum(bool(part) for part in _part(novelty, seen))


def watch_site(site: str, novelty: Novelty, seen: Sequence[ObservedPicture], streams: int) -> list[SiteWatch]:
    """Watch the pictures of a site: those of known patients patient by patient, the others by themselves.

    Parameters
    ----------
    site
        Its name.
    novelty
        Of the check-up's version that answered.
    seen
        The pictures, in the order in which they came.
    streams
        How many are watched together, of all sites and check-ups (`count_streams`), by which the limit grows.
    """
    length = 2 * count_numbers(len(novelty.spread))
    alone, known = _part(novelty, [one for one in seen if len(one.numbers) == length])
    found = []
    if alone or not known:
        found.append(_watch_pictures(site, novelty, alone, streams))
    if known:
        found.append(_watch_patients(site, novelty, known, streams))
    return found


def _part(
    novelty: Novelty | None, seen: Sequence[ObservedPicture]
) -> tuple[list[ObservedPicture], list[ObservedPicture]]:
    """Part pictures into those that count by themselves, and those that count by patient."""
    if novelty is None or novelty.patients is None:
        return list(seen), []
    return [one for one in seen if one.patient is None], [one for one in seen if one.patient is not None]


def _watch_pictures(site: str, novelty: Novelty, kept: list[ObservedPicture], streams: int) -> SiteWatch:
    reference = novelty.reference
    by: By = "training" if reference is not None else "first"
    if reference is None:
        if len(kept) < FIRST:
            return SiteWatch(site=site, state="learning", by=by, pictures=len(kept), told=_count_told(kept))
        reference = DriftReference.of_first(np.stack([read_observed(one.numbers) for one in kept[:FIRST]]))
        kept = kept[FIRST:]
    batches = [kept[i : i + BATCH] for i in range(0, len(kept) - BATCH + 1, BATCH)]
    watch = SiteWatch(site=site, state="few", by=by, pictures=len(kept), told=_count_told(kept))
    if reference is None or not batches:
        return watch
    p = [_p_value(reference, b"".join(one.numbers for one in batch)) for batch in batches]
    return _judge(watch, p, [(batch[0].at, batch[-1].at) for batch in batches], streams)


def _count_told(kept: Sequence[ObservedPicture]) -> int:
    return sum(one.patient is not None for one in kept)


def _watch_patients(site: str, novelty: Novelty, known: list[ObservedPicture], streams: int) -> SiteWatch:
    """Watch batches of BATCH patients, each of which is full when another patient comes.

    A patient who comes again in a later batch counts again there.
    """
    assert novelty.patients is not None
    batches: list[dict[str, list[ObservedPicture]]] = [{}]
    for one in known:
        assert one.patient is not None
        if one.patient not in batches[-1] and len(batches[-1]) == BATCH:
            batches.append({})
        batches[-1].setdefault(one.patient, []).append(one)
    full = batches[:-1]
    patients = len({one.patient for one in known})
    watch = SiteWatch(site=site, state="few", by="patients", pictures=len(known), patients=patients, told=len(known))
    if not full:
        return watch
    p = [_p_value(novelty.patients, _pick(batch.values())) for batch in full]
    times = [[one.at for own in batch.values() for one in own] for batch in full]
    return _judge(watch, p, [(min(at), max(at)) for at in times], streams)


def _pick(patients: Iterable[Sequence[ObservedPicture]]) -> bytes:
    """Give the numbers of one picture of each patient, as the hash of it has it: the first may be of another kind."""
    return b"".join(min((one.numbers for one in own), key=lambda n: hashlib.sha256(n).digest()) for own in patients)


def _judge(watch: SiteWatch, p: Sequence[float], times: Sequence[tuple[str, str]], streams: int) -> SiteWatch:
    """Judge by the p-values of batches, and the first and last time of each."""
    limit = LIMIT * max(1, streams)
    states = list(watch_batches(p, limit))
    last = states[-1]
    return replace(
        watch,
        state="drift" if last.alarm else "steady",
        since=times[last.since][0] if last.since is not None else None,
        evidence=tuple(float(np.log10(max(1.0, s.evidence)) / np.log10(limit)) for s in states),
        at=tuple(end for _, end in times),
    )


def _p_value(reference: DriftReference, batch: bytes) -> float:
    """Compute the p-value of a batch of rows, once."""
    key = hashlib.sha256(reference.precision.tobytes() + reference.means.tobytes() + batch).digest()[:16]
    found = _p_values.get(key)
    if found is None:
        if len(_p_values) > _REMEMBERED:
            _p_values.clear()
        rows = np.frombuffer(batch, "<f2").astype(np.float32).reshape(-1, reference.means.shape[1])
        found = _p_values[key] = reference.p_value(rows)
    return found
