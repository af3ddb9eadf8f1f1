"""Embed a data set of signals: every one brought into the backbone's window, cached as a whole.

Beats of ECGs are many and small, so that one file holds a data set's embeddings under the contents of all its records.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medloupe.data.records import Dataset, Record
from medloupe.embed.backbone import Backbone, BackboneCard
from medloupe.errors import DataError, ImageError
from medloupe.settings import home
from medloupe.utils.files import write_cache
from medloupe.utils.progress import Progress

NO_FACTS = np.dtype([("seconds", "<f4")])
_BATCH = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How records become windows.

    made_by: names the way, for the cache. many, hint: for the error where none can be read.
    """

    window: Callable[[Record, BackboneCard], np.ndarray]
    made_by: str
    dtype: str
    many: str
    hint: str


def embed_signals(
    data: Dataset,
    digest: dict[str, bytes],
    unreadable: dict[str, str],
    backbone: Backbone,
    how: Windows,
    progress: Progress | None,
) -> tuple[Dataset, np.ndarray, np.ndarray, tuple[bytes, ...], dict[str, str], int]:
    """Embed the readable part of a data set of ECGs.

    Parameters
    ----------
    data : Dataset
        The records.
    digest : dict
        sha256 of each record's content by its id; empty where it cannot be read.
    unreadable : dict
        Why, by id, of those that could not be read before.
    backbone : Backbone
        The network.
    progress : callable or None
        Called with how many are embedded, and of how many.

    Returns
    -------
    data : Dataset
        The readable part.
    embeddings : np.ndarray
        float32 (N, D).
    facts : np.ndarray
        (N,) of NO_FACTS.
    digests : tuple of bytes
        sha256 of the content of each.
    unreadable : dict
        Why, by id, others are left out.
    new : int
        How many were embedded now; the others were cached.

    Raises
    ------
    DataError
        When none can be read.
    StoreError
        When the cache cannot be written.
    """
    kept = [i for i, r in enumerate(data.records) if digest[r.id]]
    digests = [digest[data.records[i].id] for i in kept]
    path = _cache(digests, backbone, how.made_by)
    found = _read(path, len(kept), backbone.card.dimension)
    new = 0
    if found is None and kept:
        found = _embed_records([data.records[i] for i in kept], backbone, how, progress)
        new = len(kept) - len(found[1])
        _write(path, *found)
    embeddings, broken = found or (np.empty((0, backbone.card.dimension), np.float32), {})
    if broken:
        why = {data.records[kept[i]].id: text for i, text in broken.items()}
        unreadable = {**unreadable, **why}
        good = np.array([i for i in range(len(kept)) if i not in broken], np.int64)
        embeddings, kept, digests = embeddings[good], [kept[i] for i in good], [digests[i] for i in good]
    if not kept:
        first = next(iter(unreadable.items()), None)
        raise DataError(
            f"None of the {len(data):,} {how.many} of {data.root} can be read"
            + (f"; the first, {first[0]}: {first[1]}" if first else "."),
            how.hint,
        )
    whole = data if len(kept) == len(data) else replace(data, records=tuple(data.records[i] for i in kept))
    facts = np.zeros(len(kept), NO_FACTS)
    return whole, embeddings, facts, tuple(digests), unreadable, new


def _cache(digests: list[bytes], backbone: Backbone, made_by: str) -> Path:
    key = hashlib.sha256(f"{made_by}:{backbone.sha256}:".encode() + b"".join(digests)).hexdigest()
    return home() / "cache" / "signals" / f"{key[:32]}.npz"


def _embed_records(
    records: list[Record], backbone: Backbone, how: Windows, progress: Progress | None
) -> tuple[np.ndarray, dict[int, str]]:
    """Embed records: embeddings (N, D), and by row why those of zeros could not be read."""
    from medloupe.embed.network import Network

    network = Network(backbone, threads=1)
    embeddings = np.zeros((len(records), backbone.card.dimension), np.float32)
    windows = np.empty((_BATCH, *backbone.card.input_shape), how.dtype)
    broken: dict[int, str] = {}
    for start in range(0, len(records), _BATCH):
        rows: list[int] = []
        for i in range(start, min(start + _BATCH, len(records))):
            try:
                windows[len(rows)] = how.window(records[i], backbone.card)
                rows.append(i)
            except ImageError as e:
                broken[i] = e.message
        if rows:
            embeddings[rows] = network.see(windows[: len(rows)]).embedding
        if progress:
            progress(min(start + _BATCH, len(records)), len(records))
    return embeddings, broken


def _read(path: Path, rows: int, dimension: int) -> tuple[np.ndarray, dict[int, str]] | None:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            embeddings, at, why = stored["embeddings"], stored["at"], stored["why"]
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None  # not there, or damaged: it is made anew
    if embeddings.shape != (rows, dimension) or embeddings.dtype != np.float32 or len(at) != len(why):
        return None
    return embeddings, dict(zip(at.tolist(), why.tolist(), strict=True))


def _write(path: Path, embeddings: np.ndarray, broken: dict[int, str]) -> None:
    out = io.BytesIO()
    np.savez(
        out, embeddings=embeddings, at=np.array([*broken], np.int64), why=np.array([*broken.values()], dtype=np.str_)
    )
    write_cache(path, out.getvalue())
