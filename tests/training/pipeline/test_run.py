"""The whole path from data to a version: same in, same out; nothing done twice; nothing replaced in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import generated
import medloupe
from medloupe.errors import DataError, StoreError
from medloupe.imaging import decode
from medloupe.modelfile.card import read_card
from medloupe.store.models import Store
from medloupe.training.pipeline.preconditions import check_trainable
from medloupe.training.pipeline.run import summarise
from trained import Trained

Count = Callable[[], int]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Count:
    """How many images were decoded since the last question."""
    seen: list[Any] = []
    real = decode._decode

    def counting(source: Any, min_side: int | None) -> Any:
        seen.append(source)
        return real(source, min_side)

    monkeypatch.setattr(decode, "_decode", counting)

    def count() -> int:
        n = len(seen)
        seen.clear()
        return n

    return count


def plain(card: Any) -> Any:
    """A card without what tells runs apart."""
    return {k: v for k, v in card.items() if k not in ("created", "seconds", "reused", "version", "name")}


def test_same_data_and_seed_give_the_same_model_anywhere(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for place in ("here", "there"):
        data = generated.folders(tmp_path / place / "cells", 10)
        monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / f"home-{place}"))
        monkeypatch.setenv("MEDLOUPE_THREADS", "1" if place == "here" else "2")
        made.append(medloupe.train(medloupe.read(data), name="cells", seed=3))
    one, two = made
    assert one.card["reused"] is two.card["reused"] is False
    assert np.array_equal(one.head.weight, two.head.weight)
    assert np.array_equal(one.head.bias, two.head.bias)
    assert plain(one.card) == plain(two.card)


def test_a_second_training_decodes_next_to_nothing_and_still_gives_a_version(
    home: Path, tmp_path: Path, decoded: Count
) -> None:
    data = medloupe.read(generated.folders(tmp_path / "cells", 12))
    first = medloupe.train(data, name="cells")
    # Each once, those shown in the report or checked, and 20 that tell pictures from outlines of the same names.
    assert 24 <= decoded() <= 24 + 15 + 4 + 20
    second = medloupe.train(data, name="cells")
    assert decoded() <= 4
    assert (first.version, second.version) == (1, 2)
    assert (first.card["reused"], second.card["reused"]) == (False, True)
    assert np.array_equal(first.head.weight, second.head.weight)
    for model in (first, second):
        folder = Store(home).folder("cells", model.version)
        assert sorted(p.name for p in folder.iterdir()) == ["data.json", "judged.npz", "model.onnx", "report.html"]
        assert read_card(folder / "model.onnx")["version"] == model.version
        assert model.report == (folder / "report.html").read_text("utf-8")
        assert model.onnx == folder / "model.onnx"
    listed = [(v.name, v.version) for v in Store(home).list()]
    assert listed == [("cells", 1), ("cells", 2)]


def test_more_images_cost_only_themselves(home: Path, tmp_path: Path, decoded: Count) -> None:
    root = generated.folders(tmp_path / "cells", 10)
    medloupe.train(medloupe.read(root), name="cells")
    decoded()
    for k in range(3):
        generated.save(root / "sick" / f"new{k}.png", generated.tissue(700 + k, True))
    grown = medloupe.train(medloupe.read(root), name="cells")
    assert grown.card["data"]["labelled"] == 23
    assert decoded() <= 3 + 15 + 4 + 10  # ten tell that a folder with the other's file names holds no outlines


def test_nothing_stale_is_reused(home: Path, tmp_path: Path) -> None:
    root = generated.folders(tmp_path / "cells", 5)

    def reused(**options: Any) -> bool:
        return medloupe.train(medloupe.read(root), name="cells", **options).card["reused"]

    assert not reused()
    assert not reused(seed=1)
    assert not reused(sensitivity=0.8)
    (root / "sick" / "000.png").rename(root / "normal" / "was-sick.png")
    assert not reused()
    generated.save(root / "sick" / "001.png", generated.tissue(999, True))
    assert not reused()
    assert reused()


def test_a_spoilt_cache_is_computed_anew(home: Path, tmp_path: Path) -> None:
    data = medloupe.read(generated.folders(tmp_path / "cells", 8))
    first = medloupe.train(data, name="cells")
    for kept in (home / "cache" / "outcomes").iterdir():
        kept.write_bytes(kept.read_bytes()[:-50])
    for part in (home / "cache" / "features").rglob("embeddings.f32"):
        content = bytearray(part.read_bytes())
        content[1000] ^= 255
        part.write_bytes(content)
    again = medloupe.train(data, name="cells")
    assert again.card["reused"] is False
    assert np.array_equal(first.head.weight, again.head.weight)


@pytest.mark.parametrize("number", [0, 15])
def test_unreadable_images_are_listed_and_counted_and_never_replaced(
    number: int, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = generated.folders(tmp_path / "cells", 16)
    cut, empty = root / "normal" / f"{number:03}.png", root / "sick" / f"{number:03}.png"
    cut.write_bytes(cut.read_bytes()[:900])
    empty.write_bytes(b"")
    model = medloupe.train(medloupe.read(root), name="cells")
    facts = model.card["data"]
    assert (facts["records"], facts["labelled"]) == (32, 30)
    assert {e["file"] for e in facts["unreadable"]} == {f"normal/{number:03}.png", f"sick/{number:03}.png"}
    assert all(e["error"] for e in facts["unreadable"])
    assert model.card["split"]["train"] == 30
    assert any("2 files could not be read" in text for text in model.card["limits"])
    assert any(f["kind"] == "unreadable" and f["count"] == 2 for f in model.card["audit"]["findings"])
    # and once more, from the cache
    assert generated.run(capsys, "train", root, "--name", "cells", "--json").code == 0


def test_what_is_said_on_the_way_and_in_the_end(home: Path, tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    data = medloupe.read(generated.folders(tmp_path / "cells", 8))
    model = medloupe.train(data, name="cells", progress=lambda *step: said.append(step))
    assert [stage for stage, done, total in said if done == total] == [
        *("embedding", "audit", "fitting", "judging", "writing"),
    ]
    embedding = [done for stage, done, _ in said if stage == "embedding"]
    assert embedding == sorted(embedding)
    assert embedding[-1] == 16
    line = json.loads(json.dumps(summarise(model, home / "x")))
    assert line["metrics"] == model.card["metrics"]
    assert line["onnx"] == str(home / "x" / "model.onnx")


def test_options_are_checked_before_any_work(home: Path, trained: Trained) -> None:
    data = medloupe.read(trained.data)
    with pytest.raises(StoreError, match=r"cannot name a model.*'my-model'"):
        medloupe.train(data, name="My Model")
    for sensitivity in (0.2, 1, 7, float("nan")):
        with pytest.raises(DataError, match="sensitivity"):
            medloupe.train(data, name="a", sensitivity=sensitivity)
    with pytest.raises(DataError, match="seed"):
        medloupe.train(data, name="a", seed=-1)


def test_what_cannot_be_told_apart() -> None:
    def data(**labels: int) -> medloupe.Dataset:
        records = [
            medloupe.Record(id=f"{name}{i}", image=np.zeros((4, 4), np.uint8), labels={name: 1})
            for name, n in labels.items()
            for i in range(n)
        ]
        task = "multiclass"
        return medloupe.Dataset(
            name="d", root=Path("d"), records=tuple(records), labels=tuple(labels), task=task, reader="test"
        )

    check_trainable(data(a=2, b=2))
    check_trainable(data(a=2, b=2, c=1))
    for counts, said in (
        ({"a": 1}, "only 1 image"),
        ({"a": 9, "b": 0}, r"only one class, a \(9 images\)"),
        ({"a": 9, "b": 1}, "only one image of b"),
        ({}, "no images"),
    ):
        with pytest.raises(DataError, match=said):
            check_trainable(data(**counts))


@pytest.mark.realdata
@pytest.mark.slow
def test_thirty_photos_make_a_classifier_that_knows_how_little_it_was_judged_on(
    home: Path, tmp_path: Path, real_sets: Path
) -> None:
    """The promise of the README: few images, a useful head, and an interval as wide as it must be."""
    source = real_sets / "cats_dogs"
    few, rest = tmp_path / "few", tmp_path / "rest"
    for label in ("cats", "dogs"):
        photos = sorted((source / "train" / label).iterdir())
        held = sorted((source / "test" / label).iterdir())[:60]
        for folder, chosen in ((few, photos[:15]), (rest, held)):
            (folder / label).mkdir(parents=True)
            for photo in chosen:
                (folder / label / photo.name).symlink_to(photo)
    model = medloupe.train(medloupe.read(few), name="pets")
    claimed = model.card["metrics"]["auc"]
    found = medloupe.validate(model, medloupe.read(rest)).report["card"]["metrics"]["auc"]
    assert found["value"] > 0.8
    assert claimed["high"] - claimed["low"] > 0.05
    assert claimed["low"] - 0.02 <= found["value"] <= claimed["high"] + 0.02
