"""The feature cache gives back what was put in, and notices what was not."""

from __future__ import annotations

import gc
import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medloupe.embed import cache
from medloupe.embed.cache import FACTS, FeatureCache
from medloupe.errors import StoreError

D = 5


def rows(numbers: list[int]) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    """Digests, embeddings and facts that depend on the numbers alone."""
    digests = [hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in numbers]
    embeddings = np.array([np.random.default_rng(n).normal(size=D) for n in numbers], np.float32).reshape(-1, D)
    facts = np.zeros(len(numbers), FACTS)
    facts["width"], facts["bytes"] = numbers, [n * 7 for n in numbers]
    facts["thumb"] = (np.array(numbers) % 256)[:, None, None, None]
    return digests, embeddings, facts


def assert_holds(cache: FeatureCache, numbers: list[int]) -> None:
    digests, embeddings, facts = rows(numbers)
    e, f, damaged = cache.read(digests)
    assert damaged == []
    np.testing.assert_array_equal(e, embeddings)
    np.testing.assert_array_equal(f, facts)


def test_what_is_put_in_comes_back(tmp_path: Path):
    cache = FeatureCache(tmp_path / "new" / "folder", D)
    assert rows([1])[0][0] not in cache
    cache.append(*rows([1, 2, 3]))
    cache.append(*rows([9]))
    for opened in (cache, FeatureCache(cache.folder, D)):
        assert rows([2])[0][0] in opened
        assert_holds(opened, [1, 2, 3, 9])
        assert_holds(opened, [9, 1, 3])
        assert_holds(opened, [2, 2, 1, 2])
        assert_holds(opened, [3])


def test_rows_in_order_are_mapped_and_others_gathered(tmp_path: Path):
    cache = FeatureCache(tmp_path, D)
    cache.append(*rows([1, 2, 3]))
    ordered, shuffled = cache.read(rows([2, 3])[0])[0], cache.read(rows([3, 2])[0])[0]
    assert not ordered.flags.owndata
    assert not ordered.flags.writeable
    assert shuffled.flags.writeable


def test_rows_too_many_for_memory_are_gathered_in_a_file_that_goes_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    held = FeatureCache(tmp_path, D)
    held.append(*rows(list(range(50))))
    monkeypatch.setattr(cache, "memory", lambda: 100)
    left = tmp_path / f"gathered-{2**22 + 1}-x"  # no process has such a number
    left.write_bytes(b"of a process that was killed")
    assert_holds(held, [9, 1, *range(20, 40), 3])
    assert not left.exists()
    e, _, _ = held.read(rows([9, 1, *range(20, 40), 3])[0])
    assert isinstance(e.base, np.memmap)
    assert len(list(tmp_path.glob("gathered-*"))) == 1
    del e
    gc.collect()
    assert not list(tmp_path.glob("gathered-*"))


def test_a_digest_may_begin_and_end_in_zeros(tmp_path: Path):
    digests = [bytes(32), bytes(31) + b"x", b"x" + bytes(31)]
    FeatureCache(tmp_path, D).append(digests, *rows([1, 2, 3])[1:])
    e, _, damaged = FeatureCache(tmp_path, D).read(digests)
    assert damaged == []
    np.testing.assert_array_equal(e, rows([1, 2, 3])[1])


def test_unknown_rows_are_missing(tmp_path: Path):
    cache = FeatureCache(tmp_path, D)
    assert cache.read(rows([1, 2])[0])[2] == [0, 1]
    assert cache.read([])[2] == []
    cache.append(*rows([1]))
    assert cache.read(rows([2, 1])[0])[2] == [0]


def test_mapped_rows_survive_later_appends(tmp_path: Path):
    cache = FeatureCache(tmp_path, D)
    cache.append(*rows([1, 2]))
    mapped = cache.read(rows([1, 2])[0])[0]
    FeatureCache(tmp_path, D).append(*rows(list(range(3, 400))))
    np.testing.assert_array_equal(mapped, rows([1, 2])[1])


def test_two_writers_take_turns(tmp_path: Path):
    one, other = FeatureCache(tmp_path, D), FeatureCache(tmp_path, D)
    one.append(*rows([1, 2]))
    other.append(*rows([3]))
    one.append(*rows([4]))
    for opened in (one, other, FeatureCache(tmp_path, D)):
        assert_holds(opened, [1, 2, 3]) if opened is other else assert_holds(opened, [1, 2, 3, 4])


@pytest.mark.parametrize("torn", [1, 31, 35])
def test_a_torn_last_entry_is_written_over(tmp_path: Path, torn: int):
    cache = FeatureCache(tmp_path, D)
    cache.append(*rows([1, 2]))
    with (tmp_path / "index.bin").open("ab") as f:
        f.write(b"\xff" * torn)
    opened = FeatureCache(tmp_path, D)
    assert len(opened.rows) == 2
    opened.append(*rows([3]))
    assert_holds(FeatureCache(tmp_path, D), [1, 2, 3])


def test_rows_that_nobody_points_to_are_written_over(tmp_path: Path):
    cache = FeatureCache(tmp_path, D)
    cache.append(*rows([1, 2]))
    for name in ("embeddings.f32", "thumbs.bin"):  # killed before the index was written
        with (tmp_path / name).open("ab") as f:
            f.write(b"\xff" * 1000)
    opened = FeatureCache(tmp_path, D)
    opened.append(*rows([3]))
    assert (tmp_path / "embeddings.f32").stat().st_size == 3 * D * 4
    assert_holds(FeatureCache(tmp_path, D), [1, 2, 3])


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_flipped_byte_goes_unnoticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    folder = tmp_path_factory.mktemp("flip")
    cache = FeatureCache(folder, D)
    cache.append(*rows([1, 2, 3, 4]))
    name = data.draw(st.sampled_from(["embeddings.f32", "thumbs.bin", "index.bin"]))
    raw = bytearray((folder / name).read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(bytes(raw))
    opened = FeatureCache(folder, D)
    digests, embeddings, facts = rows([1, 2, 3, 4])
    e, f, damaged = opened.read(digests)
    assert len(damaged) == 1
    good = np.delete(np.arange(4), damaged)
    np.testing.assert_array_equal(e[good], embeddings[good])
    np.testing.assert_array_equal(f[good], facts[good])
    assert digests[damaged[0]] not in opened  # so that it is computed again
    opened.append(*rows([damaged[0] + 1]))
    assert_holds(FeatureCache(folder, D), [1, 2, 3, 4])


def test_a_folder_that_cannot_be(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used") as error:
        FeatureCache(tmp_path / "file" / "below", D)
    assert str(tmp_path / "file") in str(error.value)
    assert "MEDLOUPE_HOME" in error.value.hint


def test_errors_while_reading_and_writing_are_explained(tmp_path: Path):
    cache = FeatureCache(tmp_path, D)
    cache.append(*rows([1]))
    (tmp_path / "thumbs.bin").unlink()
    (tmp_path / "thumbs.bin").mkdir()
    with pytest.raises(StoreError, match="cannot be used"):
        cache.read(rows([1])[0])
    with pytest.raises(StoreError, match="cannot be used"):
        cache.append(*rows([2]))
