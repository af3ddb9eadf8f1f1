"""Share embeddings between machines in object storage (MEDLOUPE_FEATURES): each picture is embedded once by all.

    PREFIX/KEY OF THE NETWORK/SHA256.digests    sha256 of the pictures of a shard, 32 bytes each
    PREFIX/KEY OF THE NETWORK/SHA256.npz        the rows: digests, embeddings, facts; named by its own sha256

A shard is written once, its digests after it. It is a cache: where storage does not answer, pictures are embedded here.
"""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from medloupe.embed.cache import FACTS, FeatureCache
from medloupe.errors import BusyError, RemoteMissingError
from medloupe.utils.remote.objects import Bucket, open_told_bucket

ROWS = 1024
"""Pictures of a shard at most."""
_READERS = 8
_PATIENCE = 20.0
log = logging.getLogger("medloupe.embed")


def open_shared_features(cache: FeatureCache) -> SharedFeatures | None:
    """Open what MEDLOUPE_FEATURES names, for the network of a cache; None where nothing is told.

    Raises
    ------
    RemoteRefusedError
        It is no object storage.
    ExtraError
        obstore is not installed.
    """
    bucket = open_told_bucket("MEDLOUPE_FEATURES", below=cache.folder.name, patience=_PATIENCE)
    return None if bucket is None else SharedFeatures(bucket, cache)


class SharedFeatures:
    """The rows of one network that other machines know, and those that they do not know yet."""

    def __init__(self, bucket: Bucket, cache: FeatureCache):
        self._bucket, self._cache = bucket, cache

    def pull(self, missing: Collection[bytes]) -> int:
        """Take over rows of pictures that are missing here.

        Returns
        -------
        int
            How many came.

        Raises
        ------
        RemoteError
            The storage may not be read.
        StoreError
            The cache cannot be written.
        """
        wanted, count = set(missing), 0
        try:
            for key in self._shards_with(wanted):
                rows = self._read(key)
                if rows is None:
                    continue
                digests, embeddings, facts = rows
                take = [i for i, digest in enumerate(digests) if digest in wanted]
                if take:
                    self._cache.append([digests[i] for i in take], embeddings[take], facts[take])
                    wanted -= {digests[i] for i in take}
                    count += len(take)
        except BusyError as e:
            log.warning("features of others not reached", extra={"reason": str(e)})
        return count

    def push(self, digests: Sequence[bytes]) -> None:
        """Give rows of this machine's cache to the others. Raises RemoteError where the storage may not be written."""
        try:
            for start in range(0, len(digests), ROWS):
                some = list(digests[start : start + ROWS])
                embeddings, facts, damaged = self._cache.read(some)
                good = [i for i in range(len(some)) if i not in set(damaged)]
                if not good:
                    continue
                names = np.frombuffer(b"".join(some[i] for i in good), np.uint8).reshape(-1, 32)
                out = io.BytesIO()
                np.savez(out, digests=names, embeddings=embeddings[good], facts=facts[good].view(np.uint8))
                key = hashlib.sha256(out.getvalue()).hexdigest()
                self._bucket.put(f"{key}.npz", out.getvalue(), anew=True)
                self._bucket.put(f"{key}.digests", names.tobytes(), anew=True)
        except BusyError as e:
            log.warning("features not shared", extra={"reason": str(e)})

    def _shards_with(self, wanted: Collection[bytes]) -> Iterator[str]:
        """Find the shards that hold something that is wanted, without reading their rows."""
        keys = (info.key for info in self._bucket.list() if info.key.endswith(".digests"))
        with ThreadPoolExecutor(_READERS, "features") as pool:
            for key, data in pool.map(self._digests, keys):
                if any(data[i : i + 32] in wanted for i in range(0, len(data), 32)):
                    yield key.removesuffix(".digests")

    def _digests(self, key: str) -> tuple[str, bytes]:
        try:
            return key, self._bucket.get(key)
        except RemoteMissingError:  # removed meanwhile
            return key, b""

    def _read(self, key: str) -> tuple[list[bytes], np.ndarray, np.ndarray] | None:
        """Read a shard; None where it is not what its name says, or not of this network."""
        try:
            data = self._bucket.get(f"{key}.npz")
        except RemoteMissingError:
            return None
        if hashlib.sha256(data).hexdigest() != key:
            return None
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                names, embeddings, facts = stored["digests"], stored["embeddings"], stored["facts"]
            facts = np.ascontiguousarray(facts).reshape(-1).view(FACTS)
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        shape = (len(names), self._cache.dimension)
        if embeddings.shape != shape or embeddings.dtype != np.float32 or len(facts) != len(names):
            return None
        return [name.tobytes() for name in names], embeddings, facts
