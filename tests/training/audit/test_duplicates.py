"""Copies are found, near copies mostly, and different people are not joined."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medloupe.data.records import Record
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import Features, embed
from medloupe.embed.registry import backbone
from medloupe.training.audit import duplicates
from medloupe.training.audit.duplicates import Duplicates, find, find_exact
from synthetic import features, of_records, of_targets, one_hot, radiograph


def embedded(pictures: dict[str, np.ndarray | Path]) -> Features:
    records = [Record(id=name, image=picture) for name, picture in pictures.items()]
    return embed(scan_dataset(of_records(records, "a")), backbone())


def named(found: Features, pairs: np.ndarray) -> set[tuple[str, str]]:
    ids = [r.id for r in found.data.records]
    return {(ids[a], ids[b]) for a, b in pairs}


def jpeg(picture: np.ndarray, quality: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=quality)
    return out.getvalue()


def again(picture: np.ndarray, quality: int) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg(picture, quality))).convert("RGB"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Features:
    """Twenty people; of the first ones also copies of different kinds."""
    root = tmp_path_factory.mktemp("mixed")
    pictures: dict[str, np.ndarray | Path] = {f"person{i}": radiograph(i) for i in range(20)}
    file = root / "a.jpg"
    file.write_bytes(jpeg(radiograph(0), 90))
    copy = root / "copy of a.jpg"
    copy.write_bytes(file.read_bytes())
    Image.open(file).save(root / "pixels.png")
    Image.open(file).save(root / "pixels.bmp")
    pictures |= {"file": file, "same bytes": copy, "as png": root / "pixels.png", "as bmp": root / "pixels.bmp"}
    pictures |= {
        "saved again": again(radiograph(1), 95),
        "brighter": np.clip(radiograph(2) * 1.1 + 8, 0, 255).astype(np.uint8),
        "mirrored": radiograph(3)[:, ::-1].copy(),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(root / "home"))
        return embedded(pictures)


def test_the_same_content_in_any_file_is_an_exact_copy(mixed: Features):
    pairs = named(mixed, find(mixed).exact)
    assert ("file", "same bytes") in pairs
    assert ("file", "as png") in pairs
    assert ("as png", "as bmp") in pairs
    files = {"file", "same bytes", "as png", "as bmp"}
    assert all(a in files and b in files for a, b in pairs)


def test_near_copies_are_found_and_are_not_called_exact(mixed: Features):
    pairs = named(mixed, find(mixed).near)
    assert ("person1", "saved again") in pairs
    assert ("person2", "brighter") in pairs


def test_different_people_are_not_joined(mixed: Features):
    found = find(mixed)
    pairs = named(mixed, found.exact) | named(mixed, found.near)
    assert not any(a.startswith("person") and b.startswith("person") for a, b in pairs)
    assert not any("mirrored" in pair for pair in pairs)


def test_pairs_are_ordered_and_occur_once(mixed: Features):
    found = find(mixed)
    for pairs in (found.exact, found.near):
        assert (pairs[:, 0] < pairs[:, 1]).all()
        assert len(np.unique(pairs, axis=0)) == len(pairs)
    both = np.concatenate([found.exact, found.near])
    assert len(np.unique(both, axis=0)) == len(both)


def test_the_result_does_not_depend_on_the_size_of_a_chunk(mixed: Features, monkeypatch: pytest.MonkeyPatch):
    whole = find(mixed)
    monkeypatch.setattr(duplicates, "_CHUNK", 7)
    parts = find(mixed)
    np.testing.assert_array_equal(whole.near, parts.near)
    assert named(mixed, whole.exact) == named(mixed, parts.exact)


# Without a network


def random_features(n: int, seed: int = 0) -> Features:
    x = np.random.default_rng(seed).normal(size=(n, 40)).astype(np.float32)
    return features(of_targets(one_hot(np.zeros(n, int), 2)), x)


def with_copies(n: int, pairs: list[tuple[int, int]], bytes_too: bool) -> Features:
    """Random features; of each pair the second row repeats the first."""
    found = random_features(n)
    digests = list(found.digests)
    for a, b in pairs:
        found.embeddings[b] = found.embeddings[a]
        found.facts[b] = found.facts[a]
        if bytes_too:
            digests[b] = digests[a]
    return replace(found, digests=tuple(digests))


@pytest.mark.parametrize("bytes_too", [True, False])
def test_copies_far_apart_and_beside_each_other(bytes_too: bool):
    pairs = [(0, 1), (3, 1100), (511, 512), (700, 1199)]
    found = find(with_copies(1200, pairs, bytes_too))
    assert found.exact.tolist() == [list(p) for p in pairs]
    assert len(found.near) == 0


@pytest.mark.parametrize("n", [1, 2, 3])
def test_hardly_any_images(n: int):
    assert_nothing(find(random_features(n)))


def test_the_same_bytes_are_found_even_if_there_is_nothing_else():
    assert find(with_copies(2, [(0, 1)], bytes_too=True)).exact.tolist() == [[0, 1]]
    found = find(with_copies(4, [(0, 1), (0, 2), (0, 3)], bytes_too=True))
    assert {i for pair in found.exact.tolist() for i in pair} == {0, 1, 2, 3}


def test_alike_by_embedding_but_not_place_by_place():
    found = random_features(50)
    found.embeddings[7] = found.embeddings[5] + 0.01
    assert_nothing(find(found))


def test_alike_place_by_place_but_not_by_embedding():
    """As two X-rays of different people, taken alike, are."""
    found = random_features(50)
    found.facts["thumb"][7] = found.facts["thumb"][5]
    assert_nothing(find(found))


def test_blank_pictures_do_no_harm():
    found = random_features(10)
    found.facts["thumb"][:5] = 0
    found.embeddings[:5] = 0
    assert np.isfinite(find(found).near).all()


def assert_nothing(found: Duplicates) -> None:
    assert found.exact.shape == (0, 2)
    assert found.near.shape == (0, 2)


# Real pictures


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "kinds", "least"),
    [
        ("brain_mri", ["saved again", "brighter", "turned by 2 degrees"], 0.9),
        ("skin", ["saved again", "brighter", "moved by 3 pixels"], 0.7),
        ("chest_pneumonia", ["saved again", "brighter", "moved by 3 pixels"], 0.9),
    ],
)
def test_near_copies_of_real_pictures(name: str, kinds: list[str], least: float, real_sets: Path, home: Path):
    files = sorted((real_sets / name).rglob("*.jpg"))
    picked = np.random.default_rng(0).choice(len(files), 60, replace=False)
    base = [np.asarray(Image.open(files[i]).convert("RGB")) for i in picked]
    pictures: dict[str, np.ndarray | Path] = {f"{i}": picture for i, picture in enumerate(base)}
    make = {
        "saved again": lambda p: again(p, 75),
        "brighter": lambda p: np.clip(p * 1.1 + 8, 0, 255).astype(np.uint8),
        "turned by 2 degrees": lambda p: np.asarray(Image.fromarray(p).rotate(2, Image.Resampling.BICUBIC)),
        "moved by 3 pixels": lambda p: np.roll(p, 3, axis=1),
    }
    expected = {(str(i), f"{i} {kind}") for i in range(4) for kind in kinds}
    pictures |= {f"{i} {kind}": make[kind](base[i]) for i in range(4) for kind in kinds}
    found = embedded(pictures)
    pairs = find(found)
    hits = expected & (named(found, pairs.near) | named(found, pairs.exact))
    assert len(hits) >= least * len(expected), expected - hits
    people = {p for p in named(found, pairs.near) if not any(" " in one for one in p)}
    assert len(people) <= 1  # of 1,770 pairs of different pictures


def test_by_content_alone_only_the_same_bytes_are_copies():
    """As of heartbeats, which are all alike in one person."""
    found = with_copies(30, [(2, 7), (7, 9), (4, 5)], bytes_too=True)
    assert find_exact(found).exact.tolist() == [[2, 7], [2, 9], [4, 5]]
    assert find_exact(found).near.shape == (0, 2)
    assert_nothing(find_exact(with_copies(30, [(2, 7)], bytes_too=False)))
