"""Embeddings shared by machines in object storage: taken over bit for bit, never from what is damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from generated import folders
from medloupe.data.reading import read
from medloupe.data.scan import scan_dataset
from medloupe.embed import pictures
from medloupe.embed.cache import FACTS, FeatureCache
from medloupe.embed.pictures import embed_pictures
from medloupe.embed.registry import backbone
from medloupe.embed.sharedcache import open_shared_features
from medloupe.errors import RemoteError
from medloupe.utils.remote.address import parse_address
from medloupe.utils.remote.objects import Bucket
from objectstorage import S3Server


def _rows(cache: FeatureCache, count: int, seed: int) -> list[bytes]:
    rng = np.random.default_rng(seed)
    digests = [rng.bytes(32) for _ in range(count)]
    facts = np.zeros(count, FACTS)
    facts["width"] = rng.integers(1, 500, count)
    cache.append(digests, rng.normal(size=(count, 5)).astype(np.float32), facts)
    return digests


@pytest.fixture
def two(s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[FeatureCache, FeatureCache]:
    monkeypatch.setenv("MEDLOUPE_FEATURES", f"{s3_bucket}/features")
    return FeatureCache(tmp_path / "one" / "net", 5), FeatureCache(tmp_path / "two" / "net", 5)


def test_rows_of_one_machine_come_to_the_other(two: tuple[FeatureCache, FeatureCache]) -> None:
    one, other = two
    digests = _rows(one, 30, 0)
    _rows(other, 3, 1)
    shared = open_shared_features(one)
    assert shared is not None
    shared.push(digests[:10])
    shared.push(digests[10:])
    there = open_shared_features(other)
    assert there is not None and there.pull([*digests[5:20], b"x" * 32]) == 15
    for a, b in zip(one.read(digests[5:20])[:2], other.read(digests[5:20])[:2], strict=True):
        assert a.tobytes() == b.tobytes()
    assert digests[0] not in other and there.pull(digests[5:20]) == 15  # asked again it comes again, and hurts nothing


def test_what_is_damaged_is_left(two: tuple[FeatureCache, FeatureCache], s3_bucket: str) -> None:
    one, other = two
    digests = _rows(one, 4, 0)
    shared, there = open_shared_features(one), open_shared_features(other)
    assert shared is not None and there is not None
    shared.push(digests)
    bucket = Bucket(parse_address(f"{s3_bucket}/features/net"))
    (key,) = [info.key for info in bucket.list() if info.key.endswith(".npz")]
    data = bytearray(bucket.get(key))
    data[len(data) // 2] ^= 1
    bucket.put(key, bytes(data))
    assert there.pull(digests) == 0 and not other.rows
    bucket.delete([key])
    assert there.pull(digests) == 0


def test_storage_that_stands_still_is_done_without(
    two: tuple[FeatureCache, FeatureCache], moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medloupe.embed.sharedcache._PATIENCE", 1.0)
    one, _ = two
    digests = _rows(one, 4, 0)
    shared = open_shared_features(one)
    assert shared is not None
    with moto_server.stopped():
        shared.push(digests)
        assert shared.pull(digests) == 0


def test_a_wrong_setting_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_FEATURES", "https://host/x")
    with pytest.raises(RemoteError, match="Expected s3://"):
        open_shared_features(FeatureCache(tmp_path / "net", 5))


def test_pictures_are_embedded_by_the_first_machine_alone(
    s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOUPE_FEATURES", f"{s3_bucket}/features")
    scanned = scan_dataset(read(folders(tmp_path / "data", 4)))
    seen = []
    embed = pictures._embed_batch

    def count(taken: list, *given: object) -> object:
        seen.append(len(taken))
        return embed(taken, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(pictures, "_embed_batch", count)
    made = []
    for machine in ("a", "b"):
        monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / machine))
        made.append(embed_pictures(scanned, backbone(), None, None)[1].tobytes())
    assert sum(seen) == 8 and made[0] == made[1]
