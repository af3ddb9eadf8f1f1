"""The contract of every kind of data: recognised, read, checked, digested; a new entry is enrolled by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import kinds
import medloupe
from medloupe.data.modalities import ECGS, MODALITIES, PICTURES, recognise_file, recognise_upload, sure_suffixes
from medloupe.data.records import Record
from medloupe.data.scan import scan_dataset
from medloupe.errors import DataError, ImageError


@pytest.fixture(autouse=True)
def _added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_KINDS", kinds.ADDED)


@pytest.fixture(params=sorted(kinds.CASES))
def case(request: pytest.FixtureRequest) -> kinds.Case:
    return kinds.CASES[request.param]


def test_every_kind_has_a_case() -> None:
    assert set(MODALITIES.names) == set(kinds.CASES)


def test_without_the_setting_there_are_pictures_and_ecgs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDLOUPE_KINDS")
    assert tuple(MODALITIES) == (PICTURES, ECGS)


def test_words_and_suffixes_are_said(case: kinds.Case) -> None:
    kind = MODALITIES[case.name]
    assert all((kind.one, kind.many, kind.called, kind.a_file))
    assert kind.suffixes and all(s.startswith(".") and s == s.lower() for s in kind.suffixes)
    assert kind.suffixes <= sure_suffixes()
    assert kind.of_images("An image of 3 images.").endswith(f"{kind.one} of 3 {kind.many}.")


def test_a_file_is_recognised_by_its_own_kind_alone(case: kinds.Case, tmp_path: Path) -> None:
    path = case.file(tmp_path, 1, 0)
    assert recognise_file(path).name == case.name
    assert recognise_upload(path.read_bytes(), path.name).name == case.name
    assert not MODALITIES["sound"].recognises(path.read_bytes(), path.name) or case.name == "sound"


def test_a_file_is_read_and_sound(case: kinds.Case, tmp_path: Path) -> None:
    kind, path = MODALITIES[case.name], case.file(tmp_path, 1, 1)
    example = kind.read(path)
    assert kind.fault(example) == ""
    assert kind.accepts(example) and kind.accepts(path)
    kind.read({path.name: path.read_bytes()})


def test_a_broken_file_is_told(case: kinds.Case, tmp_path: Path) -> None:
    path = tmp_path / f"broken{case.suffix}"
    path.write_bytes(case.broken)
    with pytest.raises(ImageError):
        MODALITIES[case.name].read(path)


def test_a_fault_is_named(case: kinds.Case, tmp_path: Path) -> None:
    kind = MODALITIES[case.name]
    if case.faulty is None:
        assert case.name == "image", "what of a picture can be decoded is taken as it is"
        return
    assert case.says in kind.fault(kind.read(case.faulty(tmp_path)))


def test_a_digest_is_of_the_content(case: kinds.Case, tmp_path: Path) -> None:
    kind = MODALITIES[case.name]
    first, second = case.file(tmp_path, 1, 0), case.file(tmp_path, 2, 0)
    copy = tmp_path / f"copy{case.suffix}"
    copy.write_bytes(first.read_bytes())
    one, same, other = (kind.digest(Record(id=str(p), **{kind.field: p})) for p in (first, copy, second))
    assert one == same != other and len(one) == 32
    with pytest.raises((DataError, ImageError)):
        kind.digest(Record(id="nothing", **{kind.field: tmp_path / "missing"}))


def test_a_set_in_class_folders_is_read(case: kinds.Case, tmp_path: Path) -> None:
    data = medloupe.read(case.folder(tmp_path / "set", each=3))
    kind = MODALITIES[case.name]
    assert (data.modality, data.things, len(data), data.labels) == (case.name, kind.many, 6, ("first", "second"))
    assert all(kind.held(r) == r.content == tmp_path / "set" / r.id for r in data.records)
    found = scan_dataset(data)
    assert len(set(found.digest.values())) == 6 and not found.unreadable
    lost = replace(data, records=(replace(data.records[0], **{kind.field: tmp_path / "gone.xyz"}),))
    assert [*scan_dataset(lost).unreadable] == [data.records[0].id]


def test_a_table_names_files_of_an_added_kind_and_others_are_left_out(tmp_path: Path) -> None:
    case = kinds.CASES["sound"]
    for number in range(4):
        case.file(tmp_path, number, number % 2)
    rows = [f"p{n:03d},{'ill' if n % 2 else 'well'},{50 + n}" for n in range(4)]
    (tmp_path / "table.csv").write_text("\n".join(["file,finding,age", *rows]) + "\n")
    (tmp_path / "film.mp4").write_bytes(b"x")
    data = medloupe.read(tmp_path)
    assert (data.modality, data.reader, data.labels) == ("sound", "sound_files", ("ill", "well"))
    assert data.records[3].columns["age"] == "53"
    assert data.skipped["not a sound"] == ("film.mp4",)


def test_a_folder_of_files_without_labels_says_so(tmp_path: Path) -> None:
    kinds.CASES["sound"].file(tmp_path, 1, 0)
    with pytest.raises(DataError, match=r"1 sound files \(p001.wav\), but nothing says what they show"):
        medloupe.read(tmp_path)
