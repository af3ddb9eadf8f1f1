"""A back-up from before a deletion, restored: whoever was forgotten since is forgotten again, and nobody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import belongings
from belongings import PATIENT, Kept
from generated import run
from medloupe.erasure.eraser import Eraser
from medloupe.erasure.tombstones import FILE, add_tombstone, list_patients, read_tombstones
from medloupe.errors import StoreError
from medloupe.store.models import Store

BACKUP = Path(__file__).parents[2] / "deploy" / "backup.py"


@pytest.fixture
def kept(home: Path) -> Kept:
    return belongings.fill(home)


def backup(action: str, folder: Path, home: Path) -> None:
    environment = {**os.environ, "MEDLOUPE_HOME": str(home), "MEDLOUPE_DATABASE": ""}
    command = [sys.executable, str(BACKUP), action, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_an_older_back_up_is_brought_in_line(
    kept: Kept, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backup("save", tmp_path / "copy", home)
    Eraser(kept.store).forget(PATIENT, by="ada")
    assert kept.search() == []
    said = run(capsys, "forget", "--receipts", "--json").out
    (tmp_path / "receipts.jsonl").write_text(said)
    backup("save", tmp_path / "newer", home)
    for number, source in enumerate((home, tmp_path / "newer", tmp_path / "receipts.jsonl")):
        restored = tmp_path / f"restored-{number}"
        backup("restore", tmp_path / "copy", restored)
        again = replace(kept, store=Store(restored))
        assert {name for _, name in again.search()} >= {"patient", "picture 0"}, "the copy brings her back"
        monkeypatch.setenv("MEDLOUPE_HOME", str(restored))
        (line,) = run(capsys, "forget", "--again", source, "--json").lines
        assert line["counts"]["pictures"] == 5 and line["counts"]["cases"] == 2
        assert again.search() == []
        assert len(list_patients(again.store)) == belongings.OTHERS, "of the others nobody is gone"
        assert "Nobody who was forgotten there is here" in run(capsys, "forget", "--again", source).err


def test_receipts_of_another_store_forget_nobody(kept: Kept, tmp_path: Path) -> None:
    other = belongings.fill(tmp_path / "other")
    Eraser(other.store).forget(PATIENT, by="ada")
    hashes = read_tombstones(tmp_path / "other")
    assert Eraser(kept.store).forget_again(hashes, by="ada") == [], "its key is another, so that its hashes are, too"
    assert kept.search()


def test_tombstones_hold_no_id_and_stand_once(kept: Kept, home: Path) -> None:
    receipt = Eraser(kept.store).forget(PATIENT, by="ada")
    add_tombstone(home, receipt)
    (line,) = [json.loads(text) for text in (home / FILE).read_text().splitlines()]
    assert line == {"id": receipt.id, "patient": receipt.patient, "at": receipt.at}
    assert PATIENT not in (home / FILE).read_text()
    with (home / FILE).open("ab") as f:
        f.write(b'{"id": "cut')  # by a kill
    add_tombstone(home, replace(receipt, id="later", patient="another"))
    assert read_tombstones(home) == {receipt.patient, "another"}
    if sys.platform != "win32":
        assert (home / FILE).stat().st_mode & 0o77 == 0


def test_a_place_without_receipts_is_refused(kept: Kept, home: Path, tmp_path: Path) -> None:
    for place in (home, tmp_path / "nothing", BACKUP):
        with pytest.raises(StoreError, match="receipt"):
            read_tombstones(place)
