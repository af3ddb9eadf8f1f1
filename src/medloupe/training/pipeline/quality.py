"""Learn from a check-up's own pictures what is too dark, blurred or glaring for it.

Each limit lies beyond the pictures at hand by a share of how far their extreme is from their middle. The share of
whichever limit stops most grows until, of pictures that the limits were not made from, at most one in a hundred is
stopped by any of them.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.data.contents import read_content
from medloupe.data.records import Record
from medloupe.errors import ImageError
from medloupe.imaging.decode import decode_picture
from medloupe.imaging.quality import BOUNDS, MEASURES, Limits, Measures, as_numbers, find_fault
from medloupe.metrics.weighted import wilson
from medloupe.settings import home
from medloupe.utils.batches import map_batches
from medloupe.utils.files import write_cache
from medloupe.utils.sourcecode import source_digest

MOST_STOPPED = 0.02
"""Share of good pictures that may be stopped at all."""

FEWEST = 50
"""Pictures below which no limits are learned."""

_AIMED = MOST_STOPPED / 2  # what is held on pictures at hand must hold on new ones
_MOST_PICTURES = 1500
_ROOMS = (
    0.25,
    0.35,
    0.5,
    0.7,
    1.0,
    1.4,
    2.0,
    3.0,
    4.0,
)  # by how much of the way from middle to extreme a limit lies beyond the extreme
_BEGIN = ((1000, 0), (300, 2), (0, 4))  # pictures from which on a limit may begin at which room: few show few extremes
_EXTREME = _AIMED / len(BOUNDS)
_BEYOND = 0.01  # share of photographs that may lie beyond each limit
_FOLDS = 5
_BATCH = 8
_MEASURABLE = 0.95  # share of the pictures of which a measure must be known
_FULL = {"white": 1.0, "glare": 1.0, "blur": 1.0, "blur_half": 1.0, "blur_small": 1.0, "frame": 1.0}  # no more exists

_AT_LEAST: Mapping[str, Callable[[float], float]] = {  # of the middle: no limit is stricter, however alike all are
    "shorter": lambda m: min(0.5 * m, 112.0),  # half of what networks see
    "highlights": lambda m: 0.45 * m,
    "shadows": lambda m: m + 70.0,
    "spread": lambda m: 0.25 * m,
    "white": lambda m: m + 0.15,
    "glare": lambda m: m + 0.06,
    "blur": lambda m: m + 0.22,
    "blur_half": lambda m: m + 0.22,
    "blur_small": lambda m: m + 0.22,
    "frame": lambda m: m + 0.2,
    "aspect": lambda m: 2.5 * m,
}


def describe_quality(
    records: Sequence[Record],
    groups: np.ndarray,
    size: int,
    seed: int,
    digests: Sequence[bytes] | None = None,
    photographed: np.ndarray | None = None,
) -> dict[str, Any]:
    """Build the card's entry `quality` from the pictures that a check-up was trained on.

    Parameters
    ----------
    records : sequence of Record
        Of pictures, all taken for good ones.
    groups : np.ndarray
        int (N,), of patients and copies.
    size : int
        Pixels a side that the network takes: pictures are decoded as they will be to be answered.
    seed : int
        Of folds, and of which pictures are taken where there are many.
    digests : sequence of bytes, optional
        sha256 of each picture's bytes; with them what was measured before is taken from the cache.
    photographed : np.ndarray, optional
        Measures (V, measures) of photographs of them that the check-up learned to answer: hardly any may be stopped.
    """
    if len(records) < FEWEST:  # nothing would be learned from them, so they are not decoded for it
        return fit_limits(np.empty((len(records), len(MEASURES))), groups, seed)
    some = np.sort(np.random.default_rng(seed).permutation(len(records))[:_MOST_PICTURES])
    chosen = [records[i] for i in some]
    values = measure_records(chosen, size) if digests is None else _recall(chosen, [digests[i] for i in some], size)
    known = ~np.isnan(values).all(1)
    entry = fit_limits(values[known], groups[some][known], seed)
    if photographed is not None and entry["limits"]:
        entry["limits"] = loosen_limits(entry["limits"], photographed)
    return entry


def _recall(records: Sequence[Record], digests: Sequence[bytes], size: int) -> np.ndarray:
    """Measure pictures as `measure_records` does, but those that were measured before."""
    path = home() / "cache" / "measures" / f"{source_digest('medloupe.imaging.decode')[:24]}-{size}.npz"
    known = _read_measures(path)
    new = [i for i, digest in enumerate(digests) if digest not in known]
    found = measure_records([records[i] for i in new], size)
    readable = np.asarray(~np.isnan(found).all(1))
    if readable.any():
        known |= {digests[i]: row for i, row, able in zip(new, found, readable, strict=True) if able}
        out = io.BytesIO()
        names = np.frombuffer(b"".join(known), np.uint8).reshape(-1, 32)
        np.savez(out, allow_pickle=False, digests=names, values=np.stack(list(known.values())))
        write_cache(path, out.getvalue())
    nothing = np.full(len(MEASURES), np.nan)
    return np.stack([known.get(digest, nothing) for digest in digests])


def _read_measures(path: Path) -> dict[bytes, np.ndarray]:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            return dict(zip(map(bytes, stored["digests"]), stored["values"], strict=True))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):  # absent, or spoilt: anew
        return {}


def measure_records(records: Sequence[Record], size: int) -> np.ndarray:
    """Measure pictures: (N, measures), NaN where one cannot be read."""

    def start() -> Callable[[list[tuple[int, Record]]], list[tuple[int, tuple[float, ...] | None]]]:
        return lambda taken: [(i, _measure(record, size)) for i, record in taken]

    values = np.full((len(records), len(MEASURES)), np.nan)
    for batch in map_batches(enumerate(records), _BATCH, start):
        for i, found in batch:
            if found is not None:
                values[i] = found
    return values


def _measure(record: Record, size: int) -> tuple[float, ...] | None:
    try:
        return as_numbers(decode_picture(read_content(record.picture), min_side=size).measure())
    except ImageError:
        return None


def fit_limits(values: np.ndarray, groups: np.ndarray, seed: int) -> dict[str, Any]:
    """Choose limits for measures (N, measures) of good pictures: the card's entry `quality`.

    Parameters
    ----------
    values : np.ndarray
        As `measure_records` gives them.
    groups : np.ndarray
        int (N,): pictures of one group are never on both sides.
    seed : int
        Of the folds.
    """
    n = len(values)
    if n < FEWEST or len(np.unique(groups)) < _FOLDS:
        words = f"Its {n:,} pictures are too few to learn how good ones look: only blank or tiny ones are stopped."
        return {"limits": {}, "stopped": None, "n": n, "words": words}
    _, group = np.unique(groups, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(group.max() + 1)[group] % _FOLDS
    room, beyond = _widen(values, fold)
    stopped = beyond.any(1)
    limits = _limits(values, room) if stopped.mean() <= MOST_STOPPED else {}
    low, high = wilson(float(stopped.sum()), float(n))
    told = sorted({bound.code.replace("_", " ") for bound in BOUNDS if bound.measure in limits})
    words = (
        f"Stopped if {', '.join(told)}: {stopped.mean():.1%} of its own, by limits made without them."
        if limits
        else "Its pictures differ too much for limits: only blank or tiny ones are stopped."
    )
    share = {"value": round(float(stopped.mean()), 4), "low": round(low, 4), "high": round(high, 4)}
    return {"limits": limits, "stopped": share, "n": n, "words": words}


def loosen_limits(limits: Mapping[str, float], photographed: np.ndarray) -> dict[str, float]:
    """Move limits to where all but a hundredth of photographs, by measures (V, measures), lie within each."""
    found = dict(limits)
    for bound in BOUNDS:
        own = photographed[:, MEASURES.index(bound.measure)]
        known = own[~np.isnan(own)]
        if bound.measure not in found or not len(known):
            continue
        extreme = float(np.quantile(known, 1 - _BEYOND if bound.above else _BEYOND))
        own_limit = found[bound.measure]
        limit = max(own_limit, extreme) if bound.above else min(own_limit, extreme)
        if limit < _FULL.get(bound.measure, np.inf) if bound.above else limit > 0:
            found[bound.measure] = round(limit, 4)
        else:
            del found[bound.measure]
    return found


def are_stopped(values: np.ndarray, limits: Limits) -> np.ndarray:
    """Tell which pictures with these measures (N, measures) are stopped, bool (N,)."""
    each = (Measures(**dict(zip(MEASURES, row, strict=True))) for row in values.tolist())
    return np.array([find_fault(measures, limits) is not None for measures in each], bool)


def _widen(values: np.ndarray, fold: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Find room for each measure; also which pictures lie beyond which limit of the other folds, bool (N, bounds)."""
    steps = dict.fromkeys(_AT_LEAST, next(step for least, step in _BEGIN if len(values) >= least))
    while True:
        room = {name: _ROOMS[step] for name, step in steps.items()}
        beyond = np.zeros((len(values), len(BOUNDS)), bool)
        for f in range(_FOLDS):
            own = fold == f
            beyond[own] = _beyond(values[own], _limits(values[~own], room))
        able = np.array([steps[bound.measure] + 1 < len(_ROOMS) for bound in BOUNDS])
        often = np.where(able, beyond.sum(0), 0)
        n, stopped = len(values), int(beyond.any(1).sum())
        safe = stopped <= _AIMED * n and stopped + 2 <= MOST_STOPPED * (n + 4)  # few pictures prove little (Agresti)
        if safe or not often.any():
            return room, beyond
        steps[BOUNDS[int(often.argmax())].measure] += 1


def _beyond(values: np.ndarray, limits: Mapping[str, float]) -> np.ndarray:
    columns = []
    for bound in BOUNDS:
        own, limit = values[:, MEASURES.index(bound.measure)], limits.get(bound.measure, np.nan)
        columns.append(own > limit if bound.above else own < limit)
    return np.stack(columns, axis=1)


def _limits(values: np.ndarray, room: Mapping[str, float]) -> dict[str, float]:
    found = {}
    for bound in BOUNDS:
        own = values[:, MEASURES.index(bound.measure)]
        known = own[~np.isnan(own)]
        if len(known) < max(1, _MEASURABLE * len(own)):
            continue
        middle = float(np.median(known))
        extreme = float(np.quantile(known, 1 - _EXTREME if bound.above else _EXTREME))
        further, mildest = room[bound.measure], _AT_LEAST[bound.measure](middle)
        if bound.above:
            limit = extreme + further * (extreme - middle)
        else:  # what falls short does so by a factor: half the light, half the contrast
            limit = extreme * (extreme / middle) ** further if middle > 0 else 0.0
        limit = max(limit, mildest) if bound.above else min(limit, mildest)
        if limit < _FULL.get(bound.measure, np.inf) if bound.above else limit > 0:
            found[bound.measure] = round(limit, 4)
    return found
