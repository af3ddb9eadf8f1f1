"""Which files sent at once are one recording."""

from __future__ import annotations

import ecgmaker
import ecgsaved
from medloupe.ecg.recording_files import bare_name, group_files, join_bytes

MADE = ecgmaker.ecg(ecgmaker.even(3), 3, 250, ("I", "II"))
FIRST, SECOND = ecgsaved.wfdb(MADE, "a"), ecgsaved.wfdb(MADE, "b")


def test_each_recording_gets_its_own_files_in_the_order_of_the_headers() -> None:
    sent = [
        ("b.dat", SECOND["b.dat"]),
        ("x.csv", b"1,2"),
        ("folder/a.hea", FIRST["a.hea"]),
        ("folder/a.dat", FIRST["a.dat"]),
        ("b.hea", SECOND["b.hea"]),
        ("a.atr", b"notes"),
    ]
    found = group_files(sent)
    assert [name for name, _ in found] == ["x.csv", "folder/a.hea", "b.hea"]
    assert found[0][1] == b"1,2"
    assert found[1][1] == {**FIRST, "a.atr": b"notes"}
    assert found[2][1] == SECOND


def test_a_header_names_files_of_other_names() -> None:
    header = FIRST["a.hea"].replace(b"a.dat", b"other.dat")
    found = group_files([("a.hea", header), ("other.dat", FIRST["a.dat"]), ("a.csv", b"1"), ("picture.png", b"p")])
    assert [name for name, _ in found] == ["a.hea", "a.csv", "picture.png"]
    assert found[0][1] == {"a.hea": header, "other.dat": FIRST["a.dat"]}


def test_files_of_one_name_are_parted_and_broken_headers_stay() -> None:
    twice = [("a.hea", FIRST["a.hea"]), ("a.dat", b"1"), ("a.hea", FIRST["a.hea"]), ("a.dat", b"2")]
    assert [content["a.dat"] for _, content in group_files(twice) if not isinstance(content, bytes)] == [b"1", b"2"]
    assert group_files([("x.hea", b"\xff nonsense")]) == [("x.hea", {"x.hea": b"\xff nonsense"})]
    png = b"\x89PNG\r\n\x1a\n" + bytes(64)
    assert group_files([("picture.hea", png)]) == [("picture.hea", png)]
    assert group_files([("a.dat", b"1"), ("scan.png", b"2")]) == [("a.dat", b"1"), ("scan.png", b"2")]


def test_names_and_bytes() -> None:
    assert (bare_name("C:\\ecg\\a.hea"), bare_name("x/y.dat"), bare_name("z")) == ("a.hea", "y.dat", "z")
    assert join_bytes(b"abc") == b"abc"
    assert join_bytes({"b": b"2", "a": b"1"}) == b"12"
