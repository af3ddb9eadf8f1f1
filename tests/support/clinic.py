"""A server with accounts and two versions of one model, the second worse than the first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import generated
from live import Live, running
from medloupe.accounts.people import People
from medloupe.store.models import Store
from trained import Trained

PASSWORD = "seven grey herons"


def add_people(home: Path, roles: Mapping[str, str]) -> dict[str, str]:
    """Make accounts with PASSWORD in a home, each with an API token; the tokens by name."""
    people = People(Store(home).engine)
    return {name: people.logins.add_token(people.add(name, PASSWORD, role), "test") for name, role in roles.items()}


@pytest.fixture(scope="session")
def clinic(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Accounts ada (admin), bea (clinician) and vic (viewer). Tests leave version 1 in production."""
    root = tmp_path_factory.mktemp("clinic")
    home = root / "home"
    shutil.copytree(_trained.home, home)
    worse = generated.folders(root / "data", 16)
    for i in range(8):  # half of the pictures change places: the labels say little
        a, b = (worse / label / f"{i:03}.png" for label in ("normal", "sick"))
        swapped = a.read_bytes()
        a.write_bytes(b.read_bytes())
        b.write_bytes(swapped)
    train(worse, home)
    add_people(home, {"ada": "admin", "bea": "clinician", "vic": "viewer"})
    with running(home) as server:
        yield server


def train(data: Path, home: Path) -> None:
    """Add a version of `spots` to a home."""
    command = [sys.executable, "-m", "medloupe", "train", str(data), "--name", "spots", "--json"]
    environment = {**os.environ, "MEDLOUPE_HOME": str(home)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
