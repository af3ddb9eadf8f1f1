"""Fixtures: one model trained on generated pictures, shared by all tests that only ask it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import generated
from once import once


@dataclass(frozen=True, slots=True)
class Trained:
    """A home with one model in it, `spots` version 1, trained by the command line. ran: what it said."""

    home: Path
    data: Path
    ran: generated.Ran

    @property
    def onnx(self) -> Path:
        return self.home / "models" / "spots" / "1" / "model.onnx"


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Trained once a run; every worker has a copy."""
    folder, ran = once(tmp_path_factory, "trained", _train)
    own = tmp_path_factory.mktemp("trained") / "copy"
    shutil.copytree(folder, own)
    said = (text.replace(str(folder), str(own)) for text in (ran.out, ran.err))
    return Trained(own / "home", own / "data", generated.Ran(ran.code, *said))


def _train(root: Path) -> generated.Ran:
    data = generated.folders(root / "data", 16)
    command = [sys.executable, "-m", "medloupe", "train", str(data), "--name", "spots", "--json"]
    environment = {**os.environ, "MEDLOUPE_HOME": str(root / "home")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    return generated.Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def trained(_trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """The shared model; its home is in force. For reading only."""
    monkeypatch.setenv("MEDLOUPE_HOME", str(_trained.home))
    return _trained
