"""LabelMe, CVAT and Label Studio: their shapes, and what is broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from box_trees import SIZES, cvat, label_studio, pictures
from medloupe.data.reading import read
from medloupe.data.records import Box
from medloupe.errors import DataError
from readers_cases import write


def labelme(root: Path, *shapes: Any, **more: Any) -> Path:
    pictures(root)
    held = {"shapes": list(shapes), "imagePath": "a.png", "imageWidth": 60, "imageHeight": 40} | more
    write(root / "images" / "a.json", json.dumps(held))
    return root


def boxes_of(root: Path) -> tuple[Box, ...]:
    return next(r.boxes for r in read(root).records if r.id == "images/a.png")


def test_shapes_of_labelme(tmp_path: Path):
    root = labelme(
        tmp_path,
        {"label": "p", "points": [[1, 2], [5, 3], [4, 9]], "shape_type": "polygon"},
        {"label": "c", "points": [[20, 20], [23, 24]], "shape_type": "circle"},
        {"label": "d", "points": [[3, 3]], "shape_type": "point"},
    )
    assert boxes_of(root) == (Box("p", 1, 2, 4, 7), Box("c", 15, 15, 10, 10))
    data = read(root)
    assert "1 shapes of the type point enclose nothing" in " ".join(data.notes)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"points": [[1, 2], [3, 4]], "shape_type": "rectangle"}, r"a\.json, shapes\[0\]: a shape with a `label`"),
        (
            {"label": "x", "points": [[1, 2]], "shape_type": "rectangle"},
            r"shapes\[0\]: a rectangle of at least 2 points",
        ),
        ({"label": "x", "points": [[1, 2], [3, None]], "shape_type": "rectangle"}, r"nothing where y of a point"),
    ],
)
def test_broken_shapes_of_labelme(tmp_path: Path, shape: Any, said: str):
    with pytest.raises(DataError, match=said):
        read(labelme(tmp_path, shape))


def cvat_image(shapes: str) -> str:
    return f'<annotations><image id="0" name="a.png" width="60" height="40">{shapes}</image></annotations>'


def test_shapes_of_cvat(tmp_path: Path):
    pictures(tmp_path)
    shapes = (
        '<polygon label="p" points="1,2;5,3;4,9"/><ellipse label="e" cx="20" cy="20" rx="5" ry="3"/>'
        '<mask label="m" rle="1,2" left="3" top="4" width="5" height="6"/><points label="x" points="1,1"/>'
        '<box label="t" xtl="10" ytl="10" xbr="20" ybr="14" rotation="90"/><tag label="blurred"/>'
    )
    write(tmp_path / "annotations.xml", cvat_image(shapes))
    found = boxes_of(tmp_path)
    assert found[:3] == (Box("p", 1, 2, 4, 7), Box("e", 15, 17, 10, 6), Box("m", 3, 4, 5, 6))
    turned = found[3]
    assert (turned.x, turned.y, turned.width, turned.height) == pytest.approx((13, 7, 4, 10))


def test_parts_of_cvat_are_splits(tmp_path: Path):
    cvat(tmp_path)
    path = tmp_path / "annotations.xml"
    text = (
        path.read_text()
        .replace('name="a.png"', 'name="a.png" subset="Train"')
        .replace('name="b.png"', 'name="b.png" subset="Validation"')
    )
    path.write_text(text)
    assert {r.id: r.split for r in read(tmp_path).records} == {
        "images/a.png": "train",
        "images/b.png": "val",
        "images/c.png": None,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<annotations><meta/><track id='0' label='x'/></annotations>", r"tracks of a video.*CVAT for images 1\.1"),
        (cvat_image('<box label="x" xtl="1" ytl="1" xbr="nan" ybr="3"/>'), r"image a\.png: 'nan' where xbr of a box"),
        (cvat_image('<polygon label="x" points="1,2;3"/>'), r"at least three such as"),
        (cvat_image("")[:-10], "this is no complete XML"),
        ("<!DOCTYPE x>" + cvat_image(""), "declares a document type"),
        ("<annotations><image id='0'/></annotations>", "an <image> has no name"),
    ],
)
def test_broken_cvat(tmp_path: Path, text: str, said: str):
    pictures(tmp_path)
    write(tmp_path / "annotations.xml", text)
    with pytest.raises(DataError, match=said):
        read(tmp_path)


def task(*results: Any, **more: Any) -> Any:
    return {"id": 4, "data": {"image": "a.png"}, "annotations": [{"result": list(results)}]} | more


def result(value: Any, kind: str = "rectanglelabels", **more: Any) -> Any:
    return {"type": kind, "original_width": 60, "original_height": 40, "value": value} | more


def test_shapes_of_label_studio(tmp_path: Path):
    pictures(tmp_path)
    held = task(
        result({"x": 50, "y": 25, "width": 20, "height": 10, "rotation": 90, "rectanglelabels": ["t"]}),
        result({"points": [[10, 10], [50, 10], [50, 60]], "polygonlabels": ["p"]}, "polygonlabels"),
        result({"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "ellipselabels": ["e"]}, "ellipselabels"),
        result({"choices": ["blurred"]}, "choices"),
    )
    write(tmp_path / "x.json", json.dumps([held]))
    turned, polygon, ellipse = boxes_of(tmp_path)
    # Turned by a quarter about its top left corner at (30, 10): 12 wide and 4 high, it hangs down to the left.
    assert (turned.x, turned.y, turned.width, turned.height) == pytest.approx((26, 10, 4, 12))
    assert (polygon.x, polygon.y, polygon.width, polygon.height) == pytest.approx((6, 4, 24, 20))
    assert (ellipse.x, ellipse.y, ellipse.width, ellipse.height) == pytest.approx((24, 12, 12, 16))
    assert "1 results of the type choices" in " ".join(read(tmp_path).notes)


def test_the_last_annotation_counts_and_skipped_tasks_do_not(tmp_path: Path):
    pictures(tmp_path)
    one = {"x": 0, "y": 0, "width": 10, "height": 10, "rectanglelabels": ["x"]}
    several = task(annotations=[{"result": []}, {"result": [result(one)]}, {"result": [], "was_cancelled": True}])
    skipped = task(data={"image": "b.png"}, annotations=[{"result": [], "was_cancelled": True}])
    local = task(data={"image": "/data/local-files/?d=images/c.png"})
    write(tmp_path / "x.json", json.dumps([several, skipped, local]))
    data = read(tmp_path)
    assert {r.id: len(r.boxes) for r in data.records} == {"images/a.png": 1, "images/c.png": 0}
    assert data.skipped["not annotated"] == ("images/b.png", "images/d.png")


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (result({"format": "rle", "rle": [1, 2, 3], "brushlabels": ["x"]}, "brushlabels"), "strokes of a brush.*COCO"),
        (result({"x": 1, "y": None, "width": 1, "height": 1}), r"x\.json, task 4: nothing where y in percent"),
        (result({"points": [[1, 2]]}, "polygonlabels"), "polygon of at least three points"),
    ],
)
def test_broken_results_of_label_studio(tmp_path: Path, held: Any, said: str):
    pictures(tmp_path)
    write(tmp_path / "x.json", json.dumps([task(held)]))
    with pytest.raises(DataError, match=said):
        read(tmp_path)


def test_sizes_of_the_tree(tmp_path: Path):
    """A picture made smaller after it was annotated: percent stay percent."""
    label_studio(tmp_path)
    pictures(tmp_path, names={"a.png": (30, 20)})
    assert boxes_of(tmp_path)[0].x == pytest.approx(5)
    assert SIZES["a.png"] == (60, 40)
