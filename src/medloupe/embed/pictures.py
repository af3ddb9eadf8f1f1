"""Embed every image of a data set once, cached by content, resumable.

Worker threads each read, decode, fit and embed their own small batches, so that decoding one batch overlaps with the
network on another and no queue of pictures builds up: memory stays the same however large the set is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from PIL import Image

from medloupe.data.contents import digest_image, read_content
from medloupe.data.records import Dataset, Record
from medloupe.data.scan import Scan
from medloupe.embed.backbone import Backbone
from medloupe.embed.cache import FACTS, THUMB, FeatureCache
from medloupe.embed.network import Network
from medloupe.embed.sharedcache import open_shared_features
from medloupe.embed.tail import Tail
from medloupe.errors import DataError, ImageError, MedloupeError, StoreError, UnreadableImageError
from medloupe.imaging.decode import DECODING, FITTING, load_measured
from medloupe.jobs.engines import open_pool
from medloupe.jobs.pool import Lost
from medloupe.settings import home, setting
from medloupe.utils.batches import map_batches
from medloupe.utils.progress import Progress

BATCH = 4  # images a network call; more gains nothing on CPUs and costs memory
TASK = 256  # images given to a worker of another process or machine at a time
ROWS_A_WRITE = 64  # at most this many embedded images are lost to a kill


def embed_pictures(
    scanned: Scan, backbone: Backbone, tail: Tail | None, progress: Progress | None
) -> tuple[Dataset, np.ndarray, np.ndarray, tuple[bytes, ...], dict[str, str], int]:
    """Embed every image of the data set that the cache does not hold yet; with a tail, by the network as tuned.

    Returns
    -------
    tuple
        The readable part of the data, its embeddings float32 (N, D), facts, digests, why others are left out, and how
        many were embedded now. Unreadable images are never replaced.

    Raises
    ------
    DataError
        When none can be read.
    StoreError
        When the cache cannot be written.
    """
    cache = open_cache(backbone, tail)
    data, unreadable = scanned.data, dict(scanned.unreadable)
    digests = [scanned.digest[r.id] for r in data.records]
    missing: dict[bytes, Record] = {}
    for record, digest in zip(data.records, digests, strict=True):
        if digest and digest not in cache:
            missing.setdefault(digest, record)
    shared = open_shared_features(cache) if missing else None
    if shared is not None and shared.pull(missing.keys()):
        missing = {digest: record for digest, record in missing.items() if digest not in cache}
    network = Network(backbone, tail, threads=1)
    broken = _embed_into(cache, missing, network, backbone, tail, progress) if missing else {}
    if shared is not None:
        shared.push([digest for digest in missing if digest not in broken])

    def readable() -> list[int]:
        return [i for i, d in enumerate(digests) if d and d not in broken]

    embeddings, facts, damaged = cache.read([digests[i] for i in readable()])
    if damaged:  # rows that a failing disk or a foreign hand spoilt: once more
        rows = readable()
        again = {digests[rows[i]]: data.records[rows[i]] for i in damaged}
        broken |= _embed_into(cache, again, network, backbone, tail, progress)
        embeddings, facts, damaged = cache.read([digests[i] for i in readable()])
        if damaged:
            raise StoreError(
                f"The feature cache {cache.folder} does not give back what was written to it.",
                "The disk may be failing: choose another place with --home or MEDLOUPE_HOME.",
            )
        missing |= again
    for record, digest in zip(data.records, digests, strict=True):
        if digest in broken:
            unreadable[record.id] = broken[digest]
    kept = readable()
    if not kept:
        first = next(iter(unreadable.items()), None)
        raise DataError(
            f"None of the {len(data)} images of {data.root} can be read"
            + (f"; the first, {first[0]}: {first[1]}" if first else "."),
            "Check that the files are images (JPEG, PNG, TIFF, BMP, GIF, WEBP, DICOM).",
        )
    whole = data if len(kept) == len(data) else replace(data, records=tuple(data.records[i] for i in kept))
    return whole, embeddings, facts, tuple(digests[i] for i in kept), unreadable, len(missing) - len(broken)


def open_cache(backbone: Backbone, tail: Tail | None = None) -> FeatureCache:
    """Open the cache of this network under the way of fitting in force."""
    made_by = f"{FITTING}:{DECODING}:{backbone.card.input_size}:{backbone.sha256}" + (f":{tail.sha256}" if tail else "")
    key = hashlib.sha256(made_by.encode()).hexdigest()[:20]
    return FeatureCache(home() / "cache" / "features" / key, backbone.card.dimension)


def _embed_into(
    cache: FeatureCache,
    missing: dict[bytes, Record],
    network: Network,
    backbone: Backbone,
    tail: Tail | None,
    progress: Progress | None,
) -> dict[bytes, str]:
    """Embed the records and append them to the cache; returns why for those that cannot be read."""
    engine = setting("MEDLOUPE_ENGINE")
    if engine != "local":
        batches = _embed_by_pool(engine, missing, backbone, tail)
        return _take_in(cache, batches, len(missing), progress)
    size = backbone.card.input_size

    def start() -> Callable[[list[tuple[bytes, Record]]], _EmbeddedBatch]:
        pixels = np.empty((BATCH, size, size, 3), np.uint8)  # reused: fresh pages are dear
        return lambda taken: _embed_batch(taken, pixels, network)

    return _take_in(cache, map_batches(missing.items(), BATCH, start), len(missing), progress)


def _embed_by_pool(
    engine: str, missing: dict[bytes, Record], backbone: Backbone, tail: Tail | None
) -> Iterator[_EmbeddedBatch]:
    """Embed records by workers that live, hundreds at a time; batches come as they get done."""
    waiting = iter(missing.items())
    tasks = iter(lambda: list(islice(waiting, TASK)), [])
    with open_pool(engine, PictureEmbedder(backbone, tail)) as pool:
        for task, made in pool.run(tasks):
            if isinstance(made, Lost):
                raise MedloupeError(
                    f"{made.deaths} workers ended while they embedded {len(task)} pictures from {task[0][1].id} on.",
                    "Memory may be short there; or find the picture that ends them with `medloupe score`.",
                )
            yield from made


@dataclass(frozen=True, slots=True)
class PictureEmbedder:
    """Opens a network in a worker; what it gives embeds records.

    Attributes
    ----------
    backbone : Backbone
        Whose file is where the worker runs, too.
    tail : Tail or None
        As tuned.
    """

    backbone: Backbone
    tail: Tail | None

    def __call__(self) -> Callable[[list[tuple[bytes, Record]]], list[_EmbeddedBatch]]:
        """Open the network."""
        network = Network(self.backbone, self.tail, threads=1)
        size = self.backbone.card.input_size
        pixels = np.empty((BATCH, size, size, 3), np.uint8)
        return lambda taken: [_embed_batch(taken[i : i + BATCH], pixels, network) for i in range(0, len(taken), BATCH)]


def _take_in(
    cache: FeatureCache, batches: Iterable[_EmbeddedBatch], count: int, progress: Progress | None
) -> dict[bytes, str]:
    """Append batches to the cache as they come; returns why for those that cannot be read. count: of all records."""
    broken: dict[bytes, str] = {}
    waiting: list[_EmbeddedBatch] = []
    done = 0
    try:
        for batch in batches:
            waiting.append(batch)
            broken |= batch.broken
            done += len(batch.digests) + len(batch.broken)
            if progress:
                progress(done, count)
            if sum(len(b.digests) for b in waiting) >= ROWS_A_WRITE:
                _append(cache, waiting)
                waiting = []
    except KeyboardInterrupt:
        _append(cache, waiting)
        raise
    _append(cache, waiting)
    return broken


@dataclass(slots=True)
class _EmbeddedBatch:
    digests: list[bytes]
    embeddings: np.ndarray
    facts: np.ndarray
    broken: dict[bytes, str]


def _embed_batch(taken: list[tuple[bytes, Record]], pixels: np.ndarray, network: Network) -> _EmbeddedBatch:
    digests: list[bytes] = []
    facts = np.empty(len(taken), FACTS)
    broken: dict[bytes, str] = {}
    for digest, record in taken:
        try:
            raw = read_content(record.picture)
            if digest_image(raw) != digest:
                raise UnreadableImageError(f"{record.id} changed while it was being read.")
            i = len(digests)
            pixels[i], (width, height) = load_measured(raw, pixels.shape[1])
            facts[i] = (width, height, _length(raw), _thumb(pixels[i]))
            digests.append(digest)
        except ImageError as e:
            broken[digest] = e.message
    n = len(digests)
    embeddings = network.see(pixels[:n]).embedding if n else np.empty((0, 0), np.float32)
    return _EmbeddedBatch(digests, embeddings, facts[:n], broken)


def _append(cache: FeatureCache, batches: list[_EmbeddedBatch]) -> None:
    full = [b for b in batches if b.digests]
    if full:
        cache.append(
            [d for b in full for d in b.digests],
            np.concatenate([b.embeddings for b in full]),
            np.concatenate([b.facts for b in full]),
        )


def _length(raw: bytes | np.ndarray) -> int:
    return raw.nbytes if isinstance(raw, np.ndarray) else len(raw)


def _thumb(fitted: np.ndarray) -> np.ndarray:
    """Shrink a fitted image to uint8 (THUMB, THUMB, 3)."""
    return np.asarray(Image.fromarray(fitted).resize((THUMB, THUMB), Image.Resampling.BOX))
