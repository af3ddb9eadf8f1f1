"""What several rows, or several readers, say of one image: the majority, ties left out, how often they differ."""

from __future__ import annotations

from pathlib import Path

from medloupe.data.reading import read
from tabled import labels, rows, said, tabled


def test_most_rows_count(tmp_path: Path):
    text = "file,label\n" + "\n".join(
        f"{i}.png,{'ab'[(i + (k == 2 and i % 4 == 0)) % 2]}" for i in range(12) for k in range(3)
    )
    data = read(tabled(tmp_path, text))
    assert labels(data) == {f"{i}.png": {"ab"[i % 2]: 1} for i in range(12)}
    assert "12 images stand in several rows" in said(data)
    assert "3 of them (25%) have different labels there; what most of the rows say is taken" in said(data)


def test_even_votes_count_as_unlabelled(tmp_path: Path):
    text = "file,reader,label\n" + "\n".join(
        f"{i}.png,R{k},{'ab'[(i + (k == 1 and i % 4 == 0)) % 2]}" for i in range(12) for k in range(2)
    )
    data = read(tabled(tmp_path, text))
    assert labels(data)["0.png"] == {}
    assert labels(data)["1.png"] == {"b": 1}
    assert "3 of them have different labels there and count as unlabelled: 0.png, 4.png, 8.png" in said(data)
    assert "25% of the images in several rows" in said(data)
    assert not data.records[0].columns


def test_columns_of_readers(tmp_path: Path):
    text = rows(
        "file,age,reader_1,reader_2,Reader 3", lambda i: f"{i}.png,5{i},{'ab'[i % 2]},{'ab'[i % 2]},{'abb'[i % 3]}"
    )
    data = read(tabled(tmp_path, text))
    assert labels(data) == {f"{i}.png": {"ab"[i % 2]: 1} for i in range(12)}
    assert "each state the label" in said(data)
    assert "They differ in 6 of 12 rows (50%)" in said(data)
    assert set(data.records[0].columns) == {"age"}


def test_two_readers_who_differ_state_nothing(tmp_path: Path):
    text = rows("file,rater1,rater2", lambda i: f"{i}.png,{'ab'[i % 2]},{'abab'[(i + (i > 8)) % 4]}")
    data = read(tabled(tmp_path, text))
    assert sum(not r.labels for r in data.records) == 3
    assert "3 of them evenly: these count as unlabelled" in said(data)


def test_a_label_column_goes_before_those_of_readers(tmp_path: Path):
    text = rows("file,reader1,reader2,consensus_label", lambda i: f"{i}.png,a,b,{'xy'[i % 2]}")
    assert read(tabled(tmp_path, text)).labels == ("x", "y")


def test_findings_are_voted_on_one_by_one(tmp_path: Path):
    cells = ("Mass|Edema", "Mass", "Mass|Edema", "Edema", "No Finding", "No Finding")
    text = "file,labels\n" + "\n".join(f"{k // 3}.png,{cell}" for k, cell in enumerate(cells))
    data = read(tabled(tmp_path, text + "\n2.png,Mass\n2.png,Edema", images=["0.png", "1.png", "2.png"]))
    assert labels(data) == {"0.png": {"Edema": 1, "Mass": 1}, "1.png": {"Edema": 0, "Mass": 0}, "2.png": {}}
    assert "In 1 as many rows say" in said(data)


def test_boxes_of_several_readers(tmp_path: Path):
    text = (
        "image_id,class_name,rad_id,x_min,y_min,x_max,y_max\n0,Mass,R1,1,2,4,5\n0,Mass,R2,1,2,4,5\n0,Edema,R1,1,2,3,4\n"
        "0,No finding,R3,,,,\n1,No finding,R1,,,,\n1,Edema,R2,1,1,2,2\n1,No finding,R3,,,,\n2,Edema,R1,0,0,1,1\n"
        "2,Edema,R2,0,0,2,2\n2,Edema,R3,0,0,3,3"
    )
    data = read(tabled(tmp_path, text, images=["0.png", "1.png", "2.png"]))
    assert labels(data) == {
        "0.png": {"Edema": 0, "Mass": 1},
        "1.png": {"Edema": 0, "Mass": 0},
        "2.png": {"Edema": 1, "Mass": 0},
    }
    assert [len(r.boxes) for r in data.records] == [3, 1, 3]
