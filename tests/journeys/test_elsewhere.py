"""Data, models and results by s3://, through the command line, against a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import generated
from generated import Ran, run
from medloupe.store.models import Store
from medloupe.utils.remote.address import parse_address
from medloupe.utils.remote.delivery import upload_folder
from medloupe.utils.remote.objects import Bucket
from places import ROOT
from trained import Trained

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def remote_set(s3_bucket: str, trained: Trained) -> str:
    """The data of the shared model, in object storage."""
    upload_folder(trained.data, Bucket(parse_address(f"{s3_bucket}/sets/{trained.data.name}")))
    Bucket(parse_address(f"{s3_bucket}/sets/{trained.data.name}")).delete(["SHA256SUMS"])
    return f"{s3_bucket}/sets/{trained.data.name}"


def _train(data: str, home: Path) -> Ran:
    command = [sys.executable, "-m", "medloupe", "train", data, "--name", "spots", "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "MEDLOUPE_HOME": str(home)}, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


def test_training_from_a_bucket_is_training_from_a_folder(remote_set: str, trained: Trained, tmp_path: Path) -> None:
    """Same figures, same head, bit for bit, and the card says the same."""
    home = tmp_path / "home"
    far = _train(remote_set, home)
    near = trained.ran.lines[-1]
    assert far.lines[-1]["metrics"] == near["metrics"] and far.lines[-1]["labels"] == near["labels"]
    stores = [Store(where) for where in (trained.home, home)]
    a, b = (store.get("spots", 1) for store in stores)
    assert a.head.weight.tobytes() == b.head.weight.tobytes() and a.head.bias.tobytes() == b.head.bias.tobytes()
    cards = [dict(m.card) for m in (a, b)]
    for card in cards:
        for measured in ("seconds", "created"):
            card.pop(measured)
    differing = {k: v for k, v in cards[0].items() if cards[1].get(k) != v}
    assert not differing and cards[0].keys() == cards[1].keys()
    noted = json.loads((home / "models" / "spots" / "1" / "data.json").read_text())
    assert noted["root"] == remote_set


def test_evaluating_predicting_and_adding(remote_set: str, trained: Trained, capsys: Capture, tmp_path: Path) -> None:
    bucket = remote_set.partition("/sets")[0]
    other = generated.folders(tmp_path / "others", 12, first=500)
    upload_folder(other, Bucket(parse_address(f"{bucket}/others")))
    there, here = (run(capsys, "evaluate", "spots", d, "--json") for d in (f"{bucket}/others", str(other)))
    assert there.code == here.code == 0, there.err
    assert there.lines[-1]["metrics"] == here.lines[-1]["metrics"]

    ran = run(capsys, "evaluate", "spots", remote_set)
    assert ran.code == 1 and f"Nothing in {remote_set} can judge spots" in ran.err

    picture = f"{remote_set}/sick/000.png"
    (line,) = run(capsys, "predict", "spots", picture, "--json").lines
    (local,) = run(capsys, "predict", "spots", str(trained.data / "sick" / "000.png"), "--json").lines
    assert line["file"] == picture and line["probabilities"] == local["probabilities"]
    lines = run(capsys, "predict", "spots", f"{remote_set}/normal", "--json").lines
    assert len(lines) == 16 and all(r["file"].startswith(f"{remote_set}/normal/") for r in lines)

    exported = run(capsys, "export", "spots", f"{bucket}/models/spots.onnx", "--json")
    assert exported.code == 0, exported.err
    added = run(capsys, "models", "add", f"{bucket}/models/spots.onnx", "--json", "--home", str(tmp_path / "other"))
    assert added.code == 0, added.err
    assert added.lines[-1]["added"] == "spots"
    (again,) = run(capsys, "predict", f"{bucket}/models/spots.onnx", picture, "--json").lines
    assert again["probabilities"] == pytest.approx(local["probabilities"], abs=1e-4)


def test_what_is_not_there_is_named(s3_bucket: str, trained: Trained, capsys: Capture) -> None:
    ran = run(capsys, "train", f"{s3_bucket}/nothing", "--name", "x")
    assert ran.code == 74 and f"There is nothing at {s3_bucket}/nothing." in ran.err
    ran = run(capsys, "train", "s3://no-such-bucket/set", "--name", "x")
    assert ran.code == 74 and "There is no bucket no-such-bucket." in ran.err
    ran = run(capsys, "train", "ftp://host/set", "--name", "x")
    assert ran.code == 74 and "ftp://" in ran.err and "s3://BUCKET/KEY" in ran.err
    ran = run(capsys, "predict", "spots", "http://host/x.png")
    assert ran.code == 74 and "https://" in ran.err
    ran = run(capsys, "train", "s3://user:secret@bucket/set", "--name", "x")
    assert ran.code == 74 and "secret" not in ran.err


def test_without_the_extra_it_is_named(trained: Trained, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    ran = run(capsys, "train", "s3://bucket/set", "--name", "x")
    assert ran.code == 1 and "pip install 'medloupe[s3]'" in ran.err


def test_a_mistake_in_typing_is_told_before_anything_is_fetched(capsys: Capture) -> None:
    ran = run(capsys, "train", "s3://bucket/set")
    assert ran.code == 2 and "--name" in ran.err


def test_data_sets_made_of_tables(s3_bucket: str, home: Path, tmp_path: Path, capsys: Capture) -> None:
    rows = [{"finding": "sick" if i % 2 else "normal", "patient": f"p{i}"} for i in range(12)]
    root = generated.table(tmp_path / "tabled", rows, [generated.tissue(i, bool(i % 2)) for i in range(12)])
    upload_folder(root, Bucket(parse_address(f"{s3_bucket}/tabled")))
    ran = run(capsys, "check", f"{s3_bucket}/tabled", "--json")
    near = run(capsys, "check", str(root), "--json")
    assert ran.code == near.code == 0, ran.err
    assert ran.lines[0]["labels"] == near.lines[0]["labels"] and ran.lines[0]["records"] == 12
    # The table alone, its pictures on this machine beside it.
    ran = run(capsys, "check", str(root), "--table", f"{s3_bucket}/tabled/labels.csv", "--json")
    assert ran.code == 0, ran.err
    assert ran.lines[0]["records"] == 12


def test_a_back_up_goes_there_and_back(s3_bucket: str, trained: Trained, tmp_path: Path, capsys: Capture) -> None:
    script = str(ROOT / "deploy" / "backup.py")
    address = f"{s3_bucket}/backups/today"

    def backup(action: str, home: Path, where: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "MEDLOUPE_HOME": str(home), "MEDLOUPE_DATABASE": ""}
        command = [sys.executable, script, action, where]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)

    saved = backup("save", trained.home, address)
    assert saved.returncode == 0, saved.stderr
    assert "is there already" in backup("save", trained.home, address).stderr
    new = tmp_path / "new" / "home"
    restored = backup("restore", new, address)
    assert restored.returncode == 0, restored.stderr
    assert Store(new).get("spots").head.weight.tobytes() == Store(trained.home).get("spots").head.weight.tobytes()
    key = next(i.key for i in Bucket(parse_address(address)).list() if i.key.startswith("models/"))
    Bucket(parse_address(address)).put(key, b"damaged")
    assert "is damaged" in backup("restore", tmp_path / "other" / "home", address).stderr
