"""`medloupe shadow`: begun, looked at and ended from the command line."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import pytest
from sqlalchemy import insert

import drills
from generated import run
from medloupe.store.database import transaction
from medloupe.store.models import Store
from medloupe.store.shadows import Shadows
from medloupe.store.tables import PredictionRow, now
from trained import Trained

NAME = drills.NAME


def test_begun_looked_at_and_ended(
    _trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Path(shutil.copytree(_trained.home, tmp_path / "home"))
    drills.add_versions(home, tmp_path)
    monkeypatch.setenv("MEDLOUPE_HOME", str(home))
    assert "Nothing was compared" in run(capsys, "shadow", NAME).err
    run(capsys, "shadow", "nothing", "--version", 2).failed("No version of nothing is in production")
    run(capsys, "shadow", NAME, "--version", 9).failed(f"There is no {NAME}@9")
    assert run(capsys, "shadow", NAME, "--version", 2, "--stop").code == 2
    assert "0 of 3 requests compared" in run(capsys, "shadow", NAME, "--version", 2, "--requests", 3).out
    store = Store(home)
    shadows = Shadows(store.engine)
    (one,) = shadows.running()
    said = {"state": "clear", "prediction": "normal", "flagged": [], "probabilities": {"normal": 0.9}}
    for state in ("clear", "flagged"):
        id = secrets.token_hex(16)
        row = {"id": id, "at": now(), "model": NAME, "version": 1, "answer": said, "digest": "0" * 64, "site": "Ward A"}
        with transaction(store.engine, write=True) as session:
            session.execute(insert(PredictionRow), [row])
        assert shadows.keep(one.id, id, 2, {**said, "state": state, "probabilities": {"normal": 0.7}}, 5)
    out = run(capsys, "shadow", NAME).out
    assert "2 of 3 requests compared" in out and "alike: 1 of 2 (50.0%" in out
    assert "clear → flagged: 1" in out and "normal: probability -0.200 on average" in out and "Ward A: 1 of 2" in out
    (line,) = run(capsys, "shadow", NAME, "--stop", "--json").lines
    assert (line["compared"], line["figures"]["agreed"], line["ended"] is not None) == (2, 1, True)
    run(capsys, "shadow", NAME, "--stop").failed("No versions of")
