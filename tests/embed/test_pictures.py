"""Embedding: in order, once, resumable whatever happens, and never with a substitute."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny
from medloupe.data.contents import digest_image, read_content
from medloupe.data.records import Record
from medloupe.data.scan import scan_dataset
from medloupe.embed import pictures as embedding
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features, embed
from medloupe.embed.pictures import open_cache
from medloupe.errors import DataError, StoreError
from medloupe.graphs.session import open_session
from medloupe.imaging.decode import load
from places import TESTS
from synthetic import folder, of_files, of_records, scene

WORKER = TESTS / "support" / "feature_worker.py"


@pytest.fixture
def small(tmp_path: Path) -> Backbone:
    return tiny.backbone(tmp_path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return folder(tmp_path / "pictures", 23)


def clean(root: Path, small: Backbone, monkeypatch: pytest.MonkeyPatch, where: Path) -> Features:
    """What an undisturbed run in a home of its own gives."""
    with monkeypatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(where))
        found = embed(scan_dataset(of_files(root)), small)
        return Features(
            data=found.data,
            embeddings=np.array(found.embeddings),
            facts=found.facts,
            digests=found.digests,
            unreadable=found.unreadable,
            decoded=found.decoded,
        )


def assert_same(a: Features, b: Features) -> None:
    np.testing.assert_allclose(a.embeddings, b.embeddings, atol=1e-5)
    np.testing.assert_array_equal(a.facts, b.facts)
    assert a.digests == b.digests
    assert a.unreadable == b.unreadable


def test_rows_are_in_the_order_of_the_records(home: Path, pictures: Path, small: Backbone):
    data = of_files(pictures)
    found = embed(scan_dataset(data), small)
    assert [r.id for r in found.data.records] == [r.id for r in data.records]
    network = open_session(small.path, threads=1)
    for i, record in enumerate(data.records):
        assert isinstance(record.image, Path)
        pixels = load(record.image, small.card.input_size)
        np.testing.assert_allclose(
            found.embeddings[i], network.run(["embedding"], {"image": pixels[None]})[0][0], atol=1e-5
        )
        assert found.facts[i]["bytes"] == record.image.stat().st_size
        assert (found.facts[i]["width"], found.facts[i]["height"]) == (32, 32)
        assert np.abs(found.facts[i]["thumb"].astype(int) - pixels).max() <= 1  # 32 pixels are the thumbnail
    assert found.decoded == 23
    assert found.unreadable == ()


def test_the_order_does_not_depend_on_what_was_cached(home: Path, pictures: Path, small: Backbone):
    data = of_files(pictures)
    part = of_records([data.records[i] for i in (20, 3, 11)], "ab", pictures)
    embed(scan_dataset(part), small)
    whole = embed(scan_dataset(data), small)
    assert whole.decoded == 20
    backwards = embed(scan_dataset(of_records(data.records[::-1], "ab", pictures)), small)
    assert backwards.decoded == 0
    np.testing.assert_array_equal(backwards.embeddings, whole.embeddings[::-1])
    np.testing.assert_array_equal(backwards.facts, whole.facts[::-1])


def test_nothing_is_decoded_a_second_time(home: Path, pictures: Path, small: Backbone, monkeypatch: pytest.MonkeyPatch):
    first = embed(scan_dataset(of_files(pictures)), small)

    def never(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(embedding, "load_measured", never)
    second = embed(scan_dataset(of_files(pictures)), small)
    assert second.decoded == 0
    assert_same(first, second)


def test_renamed_and_copied_files_are_known_by_their_content(home: Path, pictures: Path, small: Backbone):
    embed(scan_dataset(of_files(pictures)), small)
    (pictures / "0003.png").rename(pictures / "renamed.png")
    (pictures / "copy.png").write_bytes((pictures / "0004.png").read_bytes())
    found = embed(scan_dataset(of_files(pictures)), small)
    assert found.decoded == 0
    assert len(found.data) == 24


def test_copies_are_decoded_once(home: Path, tmp_path: Path, small: Backbone):
    records = [Record(id=str(i), image=scene(i % 2, 32)) for i in range(10)]
    seen: list[tuple[int, int]] = []
    found = embed(scan_dataset(of_records(records, "a")), small, lambda done, total: seen.append((done, total)))
    assert found.decoded == 2
    assert seen[-1] == (2, 2)
    np.testing.assert_array_equal(found.embeddings[0], found.embeddings[8])
    assert not np.allclose(found.embeddings[0], found.embeddings[1])


def test_pixels_and_files_alike(home: Path, pictures: Path, small: Backbone):
    as_pixels = [Record(id=f"{i}", image=scene(i, 32)) for i in range(23)]
    one, other = embed(scan_dataset(of_files(pictures)), small), embed(scan_dataset(of_records(as_pixels, "a")), small)
    np.testing.assert_allclose(one.embeddings, other.embeddings, atol=1e-5)
    assert other.facts[0]["bytes"] == 32 * 32 * 3


def test_a_digest_tells_shape_and_type():
    flat = np.zeros((4, 6), np.uint8)
    assert digest_image(flat) != digest_image(flat.reshape(6, 4))
    assert digest_image(flat) != digest_image(flat.astype(np.int8))
    assert digest_image(flat[:, ::2]) == digest_image(flat[:, ::2].copy())
    assert digest_image(b"x") != digest_image(b"y")
    assert len(digest_image(flat)) == 32


def test_unreadable_files_are_listed_and_never_replaced(home: Path, pictures: Path, small: Backbone):
    (pictures / "0002.png").write_bytes((pictures / "0002.png").read_bytes()[:100])
    (pictures / "0005.png").write_bytes(b"no image")
    (pictures / "0007.png").write_bytes(b"")
    data = scan_dataset(of_files(pictures))
    (pictures / "0009.png").unlink()
    for _ in range(2):  # the second time most is cached
        found = embed(data, small)
        assert [name for name, _ in found.unreadable] == ["0002.png", "0005.png", "0007.png", "0009.png"]
        assert all(why for _, why in found.unreadable)
        names = [r.id for r in found.data.records]
        assert names == sorted(names)
        assert len(names) == len(found.embeddings) == len(found.facts) == len(found.digests) == 19
        np.testing.assert_allclose(
            found.embeddings[2], embed(scan_dataset(of_records([found.data.records[2]], "a")), small).embeddings[0]
        )


def test_a_file_that_changes_meanwhile_is_left_out(home: Path, pictures: Path, small: Backbone):
    data = scan_dataset(of_files(pictures))
    Image.fromarray(scene(99, 32)).save(pictures / "0004.png")
    found = embed(data, small)
    assert [name for name, _ in found.unreadable] == ["0004.png"]
    assert "changed" in found.unreadable[0][1]


def test_files_missing_from_the_start_are_listed(home: Path, pictures: Path, small: Backbone):
    records = [*of_files(pictures).records, Record(id="gone.png", image=pictures / "gone.png")]
    found = embed(scan_dataset(of_records(records, "ab", pictures)), small)
    assert found.unreadable[0][0] == "gone.png"
    assert "cannot be read" in found.unreadable[0][1]


def test_nothing_readable_at_all(home: Path, tmp_path: Path, small: Backbone):
    root = tmp_path / "junk"
    root.mkdir()
    (root / "a.png").write_bytes(b"junk")
    (root / "b.png").write_bytes(b"more junk")
    with pytest.raises(DataError, match="None of the 2 images") as error:
        embed(scan_dataset(of_files(root)), small)
    assert "a.png" in str(error.value)


def test_another_backbone_has_another_cache(home: Path, pictures: Path, small: Backbone):
    from dataclasses import replace

    embed(scan_dataset(of_files(pictures)), small)
    other = replace(small, sha256="0" * 64)
    assert open_cache(other).folder != open_cache(small).folder
    assert embed(scan_dataset(of_files(pictures)), other).decoded == 23


# What can go wrong


def damage(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(("file", "size"), [("embeddings.f32", tiny.D * 4), ("thumbs.bin", 16 + 3072)])
def test_damaged_rows_are_computed_again(file: str, size: int, home: Path, pictures: Path, small: Backbone):
    first = embed(scan_dataset(of_files(pictures)), small)
    kept = np.array(first.embeddings)
    path = open_cache(small).folder / file
    for row in (0, 7, 22):
        damage(path, row * size + 5)
    again = embed(scan_dataset(of_files(pictures)), small)
    assert again.decoded == 3
    np.testing.assert_allclose(again.embeddings, kept, atol=1e-5)
    np.testing.assert_array_equal(again.facts, first.facts)
    assert embed(scan_dataset(of_files(pictures)), small).decoded == 0


@pytest.mark.parametrize("file", ["embeddings.f32", "thumbs.bin", "index.bin"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_file_cut_short_costs_only_its_rows(
    file: str, keep: float, home: Path, pictures: Path, small: Backbone, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MEDLOUPE_THREADS", "1")  # rows in order, so that they would be mapped
    first = embed(scan_dataset(of_files(pictures)), small)
    kept = np.array(first.embeddings)
    del first
    path = open_cache(small).folder / file
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    again = embed(scan_dataset(of_files(pictures)), small)
    assert 0 < again.decoded <= 23
    if keep:
        assert again.decoded < 23
    np.testing.assert_allclose(again.embeddings, kept, atol=1e-5)
    assert embed(scan_dataset(of_files(pictures)), small).decoded == 0


@pytest.mark.parametrize("file", ["embeddings.f32", "thumbs.bin", "index.bin"])
def test_a_deleted_file_is_made_again(file: str, home: Path, pictures: Path, small: Backbone):
    kept = np.array(embed(scan_dataset(of_files(pictures)), small).embeddings)
    (open_cache(small).folder / file).unlink()
    np.testing.assert_allclose(embed(scan_dataset(of_files(pictures)), small).embeddings, kept, atol=1e-5)
    assert embed(scan_dataset(of_files(pictures)), small).decoded == 0


def test_a_disk_that_keeps_failing_is_no_silent_zero(
    home: Path, pictures: Path, small: Backbone, monkeypatch: pytest.MonkeyPatch
):
    from medloupe.embed.cache import FeatureCache

    monkeypatch.setattr(FeatureCache, "_row", lambda *_: None)
    with pytest.raises(StoreError, match="does not give back"):
        embed(scan_dataset(of_files(pictures)), small)


def test_a_home_that_cannot_be_written(home: Path, pictures: Path, small: Backbone):
    home.write_text("a file stands here")
    with pytest.raises(StoreError) as error:
        embed(scan_dataset(of_files(pictures)), small)
    assert str(home) in str(error.value)
    assert "--home" in error.value.hint


def test_an_error_of_a_worker_is_raised_and_ends_all(
    home: Path, pictures: Path, small: Backbone, monkeypatch: pytest.MonkeyPatch
):
    import threading

    before = threading.active_count()

    def broken(*_: object) -> None:
        raise MemoryError("too large")

    monkeypatch.setattr(embedding, "load_measured", broken)
    with pytest.raises(MemoryError):
        embed(scan_dataset(of_files(pictures)), small)
    assert threading.active_count() == before


def test_ctrl_c_keeps_what_was_done(home: Path, pictures: Path, small: Backbone, monkeypatch: pytest.MonkeyPatch):
    def stop(done: int, total: int) -> None:
        if done >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(scan_dataset(of_files(pictures)), small, stop)
    assert len(open_cache(small).rows) >= 12
    found = embed(scan_dataset(of_files(pictures)), small)
    assert 0 < found.decoded <= 11
    assert_same(found, clean(pictures, small, monkeypatch, home.parent / "elsewhere"))


# In processes of their own


def start(home: Path, root: Path, *options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "MEDLOUPE_HOME": str(home), "MEDLOUPE_THREADS": "2"}
    return subprocess.Popen(
        [sys.executable, str(WORKER), str(root), *options], stdout=subprocess.PIPE, text=True, env=environment
    )


def finish(worker: subprocess.Popen[str]) -> str:
    out, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0, out
    return out.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("many") / "pictures", 200)


def lines(worker: subprocess.Popen[str]) -> Iterator[str]:
    assert worker.stdout
    return iter(worker.stdout.readline, "")


def test_killed_at_any_time_nothing_is_corrupt(
    home: Path, many: Path, small: Backbone, monkeypatch: pytest.MonkeyPatch
):
    """SIGKILL after a random number of batches, three times; writes are made as frequent as they can be."""
    dice = random.Random(0)
    known = 0
    for _ in range(3):
        worker = start(home, many, "--rows", "1", "--slow", "0.002")
        for _ in range(dice.randint(4, 12)):
            next(lines(worker))
        worker.send_signal(signal.SIGKILL)
        worker.wait(timeout=30)
        if worker.stdout:
            worker.stdout.close()
        rows = len(open_cache(small).rows)
        assert rows >= known
        known = rows
    assert 0 < known < 200
    found = embed(scan_dataset(of_files(many)), small)
    assert 0 < found.decoded <= 200 - known
    assert_same(found, clean(many, small, monkeypatch, home.parent / "elsewhere"))


def test_two_processes_at_once(home: Path, many: Path, small: Backbone, monkeypatch: pytest.MonkeyPatch):
    workers = [start(home, many, "--rows", "1") for _ in range(2)]
    for worker in workers:
        assert finish(worker).startswith("peak")
    found = embed(scan_dataset(of_files(many)), small)
    assert found.decoded == 0
    assert_same(found, clean(many, small, monkeypatch, home.parent / "elsewhere"))


def test_a_full_disk_is_said_and_what_was_written_stays(
    home: Path, many: Path, small: Backbone, monkeypatch: pytest.MonkeyPatch
):
    said = finish(start(home, many, "--rows", "8", "--limit", str(80 * (16 + 3072))))
    assert said.startswith("StoreError")
    assert str(open_cache(small).folder) in said
    assert "Free some disk space" in said
    known = len(open_cache(small).rows)
    assert 40 <= known <= 80
    found = embed(scan_dataset(of_files(many)), small)
    assert found.decoded == 200 - known
    assert_same(found, clean(many, small, monkeypatch, home.parent / "elsewhere"))


def test_memory_does_not_grow_with_the_number_of_images(home: Path, tmp_path: Path):
    root = folder(tmp_path / "large", 20, size=400, kind="bmp")
    peaks = []
    for copies in (2, 30):  # 40 and 600 pictures of half a megabyte; a byte at the end makes each another
        for i in range(20):
            data = (root / f"{i:04d}.bmp").read_bytes()
            for c in range(copies):
                (root / f"{i:04d}_{c}.bmp").write_bytes(data + bytes([c]))
        words = finish(start(home / str(copies), root)).split()
        assert int(words[3]) == 20 * (copies + 1)
        peaks.append(int(words[1]))
    rows = 560 * (16 + 3072 + tiny.D * 4) / 1024
    assert peaks[1] - peaks[0] < rows + 30_000  # KiB; all pictures decoded would be 270 MB more


def test_content_of_what_is_no_file(tmp_path: Path):
    from medloupe.errors import UnreadableImageError

    with pytest.raises(UnreadableImageError, match="cannot be read"):
        read_content(tmp_path)
    pixels = np.zeros((2, 2), np.uint8)
    assert read_content(pixels) is pixels
