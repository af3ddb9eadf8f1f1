"""Pascal VOC: which picture, which split, where pixels begin, and what is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from box_trees import BOXES, pictures, voc, voc_text
from medloupe.data.reading import read
from medloupe.data.records import Box
from medloupe.errors import DataError
from readers_cases import write


def test_image_sets(tmp_path: Path):
    voc(tmp_path)
    write(tmp_path / "ImageSets" / "Main" / "train.txt", "a\n")
    write(tmp_path / "ImageSets" / "Main" / "val.txt", "b  1\n")
    write(tmp_path / "ImageSets" / "Main" / "trainval.txt", "a\nb\n")
    write(tmp_path / "ImageSets" / "Main" / "test.txt", "c\n")
    write(tmp_path / "ImageSets" / "Main" / "RBC_train.txt", "a -1\n")
    data = read(tmp_path)
    assert [r.split for r in data.records] == ["train", "val", "test"]
    assert data.skipped["not an image"] == ("ImageSets/Main/RBC_train.txt",)


def test_copied_files_that_kept_the_old_name(tmp_path: Path):
    pictures(tmp_path)
    for name in BOXES:
        write(tmp_path / "xml" / f"{name[0]}.xml", voc_text(name, filename="a.png"))
    data = read(tmp_path)
    assert [len(r.boxes) for r in data.records] == [2, 1, 0]
    assert "2 XML files name another picture" in " ".join(data.notes)


def test_pixels_of_the_challenge_are_counted_from_one(tmp_path: Path):
    pictures(tmp_path)
    write(tmp_path / "a.xml", voc_text("a.png", database="The VOC2007 Database"))
    boxes = read(tmp_path).records[0].boxes
    assert boxes[0] == Box("WBC", 9, 4, 21, 11)  # pixels 10 to 30, the last inside


def test_other_xml_is_none(tmp_path: Path):
    voc(tmp_path)
    write(tmp_path / "slides.xml", "<Annotations><Annotation Id='1'/></Annotations>")
    assert read(tmp_path).skipped["not an image"] == ("slides.xml",)


ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]>'
    "<annotation><filename>a.png</filename><object><name>&lol2;</name></object></annotation>"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (voc_text("a.png")[:-20], r"a\.xml, line 2, column \d+: this is no complete XML"),
        (ENTITIES, r"a\.xml, line 1: the XML declares a document type or entities"),
        (voc_text("a.png").replace("<xmin>10</xmin>", ""), r"a\.xml, object 1: nothing where <xmin> in pixels"),
        (voc_text("a.png").replace("<xmin>10</xmin>", "<xmin>NaN</xmin>"), r"object 1: 'NaN' where <xmin>"),
        (voc_text("a.png").replace("<name>WBC</name>", ""), r"object 1: a <name> is expected"),
        ("<annotation><filename>a.png</filename>" + "<x>" * 200, r"lie in each other too deeply"),
    ],
)
def test_broken_documents(tmp_path: Path, text: str, said: str):
    pictures(tmp_path)
    write(tmp_path / "a.xml", text)
    with pytest.raises(DataError, match=said):
        read(tmp_path)
