"""BCCD and Kvasir-SEG: their boxes, and what is wrong with a download, by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medloupe.data.originals.known import recognise_original
from medloupe.data.reading import read
from medloupe.data.records import Box
from medloupe.errors import DataError
from originals_trees import TREES


def test_boxes_stand_where_the_annotations_say(tmp_path: Path) -> None:
    TREES["bccd"].make(tmp_path)
    first = read(tmp_path).records[0]
    assert first.boxes == (Box("RBC", 1, 2, 4, 5), Box("WBC", 6, 6, 5, 5))
    assert read(tmp_path, task="detection").reader == "original:bccd"


def test_a_polyp_may_have_two_boxes(tmp_path: Path) -> None:
    TREES["kvasir_seg"].make(tmp_path)
    data = read(tmp_path)
    assert [len(r.boxes) for r in data.records] == [1, 1, 2]
    assert data.records[0].boxes[0] == Box("polyp", 1, 2, 6, 7)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda said, stem: said[stem].pop("bbox"), "no list of boxes"),
        (lambda said, stem: said[stem]["bbox"].append(7), "box 2 is no object"),
        (lambda said, stem: said[stem]["bbox"][0].update(xmin="left"), "xmin in pixels"),
    ],
)
def test_broken_boxes_are_named(tmp_path: Path, damage: object, told: str) -> None:
    TREES["kvasir_seg"].make(tmp_path)
    place = tmp_path / "Kvasir-SEG" / "kavsir_bboxes.json"
    said = json.loads(place.read_text("utf-8"))
    damage(said, next(iter(said)))  # type: ignore[operator]
    place.write_text(json.dumps(said), "utf-8")
    with pytest.raises(DataError, match=told):
        read(tmp_path)


def test_without_its_annotations_it_is_another_folder(tmp_path: Path) -> None:
    TREES["kvasir_seg"].make(tmp_path)
    (tmp_path / "Kvasir-SEG" / "kavsir_bboxes.json").unlink()
    assert recognise_original(tmp_path) is None
