"""Archives of strangers: what tries to leave its folder, to fill the disk or to hide is refused before it is there."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from medloupe.errors import DataError
from medloupe.studio import unpack as unpacking
from medloupe.studio.unpack import unpack


def archive(path: Path, *files: tuple[str, bytes], packed: bool = False) -> Path:
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as made:
        for name, data in files:
            made.writestr(name, data)
    return path


def refused(path: Path, into: Path, *said: str) -> None:
    into.mkdir(exist_ok=True)
    with pytest.raises(DataError, match="|".join(said)):
        unpack(path, into)
    outside = [p for p in into.parent.rglob("*") if p.is_file() and into not in p.parents and p != path]
    assert outside == []


def test_a_plain_one_is_unpacked(tmp_path: Path) -> None:
    made = archive(tmp_path / "a.zip", ("a/b.txt", b"1"), ("a/.hidden", b"2"), ("__MACOSX/a", b"3"), packed=True)
    into = tmp_path / "into"
    into.mkdir()
    assert unpack(made, into) == 1
    assert [p.relative_to(into).as_posix() for p in into.rglob("*") if p.is_file()] == ["a/b.txt"]


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/x", "C:/x", "C:\\x", "..\\x", "a//b", "./x", "a\nb", "x" * 500, "/".join("a" * 30)],
)
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    refused(archive(tmp_path / "a.zip", (name, b"1")), tmp_path / "into", "outside", "no usual path")


def test_links_and_devices(tmp_path: Path) -> None:
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as made:
            entry = zipfile.ZipInfo("link")
            entry.create_system = 3
            entry.external_attr = (kind | 0o777) << 16
            made.writestr(entry, "/etc/passwd")
        refused(path, tmp_path / "into", "link or device")


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(archive(tmp_path / "a.zip", ("zeros", bytes(30 * 2**20)), packed=True), tmp_path / "one", "times its size")
    monkeypatch.setattr(unpacking, "MOST_FILES", 10)
    many = [(f"{i}.txt", b"") for i in range(11)]
    refused(archive(tmp_path / "a.zip", *many), tmp_path / "two", "11 files")
    monkeypatch.setattr(unpacking, "MOST_BYTES", 1000)
    refused(archive(tmp_path / "a.zip", ("x", bytes(600)), ("y", bytes(600))), tmp_path / "three", "so much room")


def test_more_than_it_claims(tmp_path: Path) -> None:
    """The size in the directory is a lie: no more than that is written."""
    path = archive(tmp_path / "a.zip", ("x.bin", bytes(range(256)) * 4000), packed=True)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 1000)
    path.write_bytes(bytes(data))
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(DataError):
        unpack(path, into)
    assert sum(p.stat().st_size for p in into.rglob("*") if p.is_file()) <= 1000


def test_two_of_one_name(tmp_path: Path) -> None:
    refused(archive(tmp_path / "a.zip", ("a.png", b"1"), ("A.PNG", b"2")), tmp_path / "into", "two files")


def test_what_is_no_archive(tmp_path: Path) -> None:
    whole = archive(tmp_path / "b.zip", ("x", b"1" * 999)).read_bytes()
    (tmp_path / "b.zip").unlink()
    path = tmp_path / "a.zip"
    for data in (b"", b"PK\x03\x04" + bytes(100), whole[:500]):
        path.write_bytes(data)
        refused(path, tmp_path / "into", "cannot be read")
