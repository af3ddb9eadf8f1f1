"""Tables of boxes: their columns, shares, corners, and what is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from box_trees import pictures
from medloupe.data.reading import read
from medloupe.data.records import Box
from medloupe.errors import DataError
from readers_cases import write

ROWS = {
    "file,label,x,y,w,h": "a.png,t,6,4,30,20",
    "filename,width,height,class,xmin,ymin,xmax,ymax": "a.png,60,40,t,6,4,36,24",
    "image_id,name,x1,y1,x2,y2": "a,t,36,24,6,4",
    "Image Index,Finding Label,Bbox [x,y,w,h],,,": "a.png,t,6,4,30,20,,,",
    "file,label,x_center,y_center,width,height": "a.png,t,21,14,30,20",
    "file,category,left,top,right,bottom": "a.png,t,6,4,36,24",
    "file;label;x;y;w;h;image_width;image_height": "a.png;t;12;8;60;40;120;80",
    "file,class,cx,cy,w,h": "a.png,t,0.35,0.35,0.5,0.5",
}


def build(root: Path, *rows: str) -> Path:
    pictures(root, "", {"a.png": (60, 40), "b.png": (50, 50), "c.png": (30, 30)})
    write(root / "boxes.csv", "\n".join(rows))
    return root


@pytest.mark.parametrize("header", ROWS)
def test_forms(tmp_path: Path, header: str):
    data = read(build(tmp_path, header, ROWS[header]))
    assert (data.task, data.labels) == ("detection", ("t",))
    box = data.records[0].boxes[0]
    assert (box.x, box.y, box.width, box.height) == pytest.approx((6, 4, 30, 20))


def test_shares_are_proven_or_pixels(tmp_path: Path):
    shares = read(build(tmp_path, "file,label,x,y,w,h", "a.png,t,0.1,0.1,0.5,0.5"))
    assert shares.records[0].boxes == (Box("t", 6, 4, 30, 20),)
    assert "are shares of width and height" in " ".join(shares.notes)
    pixels = read(build(tmp_path, "file,label,x,y,w,h", "a.png,t,0.1,0.1,0.5,0.5", "b.png,t,0,0,1.5,1"))
    assert pixels.records[0].boxes == (Box("t", 0.1, 0.1, 0.5, 0.5),)


def test_a_blank_row_is_a_negative_unless_it_names_a_finding(tmp_path: Path):
    data = read(build(tmp_path, "file,note,x,y,w,h,label", "a.png,,1,2,3,4,t", "b.png,,,,,,", "c.png,,1,1,2,2,u"))
    assert {r.id: dict(r.labels) for r in data.records} == {
        "a.png": {"t": 1, "u": 0},
        "b.png": {"t": 0, "u": 0},
        "c.png": {"t": 0, "u": 1},
    }
    rows = ("a.png,1,2,3,4,t", "b.png,,,,,u", "c.png,1,1,2,2,u")
    found = read(build(tmp_path, "file,x,y,w,h,label", *rows), task="detection")
    assert {r.id: dict(r.labels) for r in found.records}["b.png"] == {"t": 0}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("file,label,x,y,w,h", "a.png,t,1,2,nan,4"), r"boxes\.csv, row 1 \(a\.png\): 'nan' where a number of a box"),
        (("file,label,x,y,w,h", "a.png,t,1,2,,4"), r"row 1 \(a\.png\): nothing where a number of a box"),
        (("file,label,x,y,w,h", "a.png,t,1,2,-3,4"), r"row 1 \(a\.png\): a box is -3 × 4"),
        (("file,label,x,y,w,h", "a.png,t,1,2,3,4,5,6"), r"boxes\.csv, line 2: 8 cells, but the header has 6"),
        (
            ("file,label,xmin,ymin,xmax,ymax", *["a.png,t,30,20,9,9"] * 3),
            r"of 3 of 3 boxes the second corner lies left of or above the first",
        ),
        (
            ("file,label,x,y,w,h,image_width,image_height", *[f"a.png,t,30,20,5{k},39,60,40" for k in range(6)]),
            r"as widths and heights, boxes leave their images, and as corners all lie inside",
        ),
    ],
)
def test_broken_tables(tmp_path: Path, rows: tuple[str, ...], said: str):
    with pytest.raises(DataError, match=said):
        read(build(tmp_path, *rows))
