"""What goes out to Label Studio, CVAT and COCO comes back the same; and what these tools export themselves is read."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import marks
from medloupe.errors import DataError
from medloupe.store.database import open_engine
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.datasets import Datasets
from medloupe.studio.exchange import read_classes_of_export
from medloupe.studio.export import write_export
from medloupe.studio.importer import import_archive

CLASSES = (DatasetClass(name="clear", role="normal"), DatasetClass(name="dots", role="sought"))
BOXES = {"label": "dots", "x": 10.0, "y": 20.0, "width": 32.0, "height": 16.0}


@pytest.fixture
def sets(home: Path) -> Datasets:
    home.mkdir()
    return Datasets(open_engine(home), home)


def filled(sets: Datasets, name: str, boxed: bool) -> str:
    data = sets.create(name, classes=CLASSES, task="detection" if boxed else "multiclass")
    told: dict[str, Any] = {"site": "north"}
    new = [
        NewItem(
            key=f"{kind}{n}",
            data=marks.mark(kind, n),
            file=f"{kind}/{n}.png",
            label=None if boxed else kind,
            patient=f"P{n}",
            boxes=([BOXES] if kind == "dots" else []) if boxed else None,
            **told,
        )
        for kind in ("clear", "dots")
        for n in range(3)
    ]
    sets.add(data.id, new)
    sets.freeze(data.id)
    return data.id


@pytest.mark.parametrize("form", ["table", "coco", "label-studio", "cvat"])
def test_classes_come_back(sets: Datasets, tmp_path: Path, form: str) -> None:
    id = filled(sets, "marks", boxed=False)
    told = import_archive(write_export(sets, id, 1, form), tmp_path / "in")
    assert told["task"] == "multiclass" and sorted(told["labels"]) == ["clear", "dots"]
    seen = {(r["label"], r["patient"], r["site"]) for r in told["records"]}
    assert seen == {(kind, f"P{n}", "north") for kind in ("clear", "dots") for n in range(3)}
    before = {i.label: set() for i in sets.items(id)}
    for item in sets.items(id):
        before[item.label].add(sets.path(item).read_bytes())
    for record in told["records"]:
        assert (tmp_path / "in" / record["path"]).read_bytes() in before[record["label"]]


@pytest.mark.parametrize("form", ["coco", "label-studio", "cvat"])
def test_boxes_come_back(sets: Datasets, tmp_path: Path, form: str) -> None:
    id = filled(sets, "boxed", boxed=True)
    told = import_archive(write_export(sets, id, 1, form), tmp_path / "in")
    assert told["task"] == "detection" and "dots" in told["labels"]
    assert [len(r["boxes"]) for r in sorted(told["records"], key=lambda r: len(r["boxes"]))] == [0, 0, 0, 1, 1, 1]
    for record in told["records"]:
        for box in record["boxes"]:
            assert box["label"] == "dots"
            assert all(abs(box[k] - BOXES[k]) < 0.02 for k in ("x", "y", "width", "height"))


def archive(path: Path, **files: bytes | str) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        for name, data in files.items():
            out.writestr(name, data)
    return path


def test_what_label_studio_exports_is_read(tmp_path: Path) -> None:
    def task(number: int, choice: str | None) -> dict[str, Any]:
        result = (
            [{"type": "choices", "from_name": "c", "to_name": "i", "value": {"choices": [choice]}}] if choice else []
        )
        return {
            "id": number,
            "data": {"image": f"/data/upload/3/0123abcd-scan{number}.png"},
            "annotations": [{"was_cancelled": False, "result": result}] if choice else [],
        }

    pictures = {f"scan{n}.png": marks.mark("dots", n) for n in range(3)}
    tasks = json.dumps([task(0, "sick"), task(1, "well"), task(2, None), task(9, "sick")])
    told = import_archive(archive(tmp_path / "a.zip", **{"project-1.json": tasks}, **pictures), tmp_path / "in")
    assert [(r["path"], r["label"]) for r in told["records"]] == [
        ("scan0.png", "sick"),
        ("scan1.png", "well"),
        ("scan2.png", None),
    ]
    assert any("1 pictures that the export names are not" in note for note in told["notes"])


def test_what_cvat_exports_is_read(tmp_path: Path) -> None:
    xml = """<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>
    <image id="0" name="a/scan.png" width="128" height="128"><tag label="sick" source="manual"></tag></image>
    <image id="1" name="b/scan.png" width="128" height="128"><tag label="well" source="manual"></tag></image>
    </annotations>"""
    pictures = {"images/a/scan.png": marks.mark("dots", 1), "images/b/scan.png": marks.mark("clear", 1)}
    told = import_archive(archive(tmp_path / "a.zip", **{"annotations.xml": xml}, **pictures), tmp_path / "in")
    assert [(r["path"], r["label"]) for r in told["records"]] == [
        ("images/a/scan.png", "sick"),
        ("images/b/scan.png", "well"),
    ]


def test_two_classes_of_a_picture_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(marks.mark("dots", 1))
    images = [{"id": 1, "file_name": "a.png", "label": "sick"}]
    marked = [{"image_id": 1, "category_id": 1}]
    document = {"images": images, "annotations": marked, "categories": [{"id": 1, "name": "well"}]}
    (tmp_path / "x.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="several classes: sick, well"):
        read_classes_of_export(tmp_path)
