"""What many tests share: a home of their own, and the real data sets where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from places import DATA

# The shipped check-ups have tests of their own (test_starters.py); elsewhere only what a test trains is asked.
os.environ["MEDLOUPE_STARTERS"] = "imagenet"

# fixtures: a trained model, servers, databases
pytest_plugins = ["trained", "live", "clinic", "postgres", "browsing", "severallive", "ecgmodels", "ecgsets"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not DATA.is_dir():
        absent = pytest.mark.skip(reason=f"the real data sets are not there: {DATA}")
        for item in items:
            if item.get_closest_marker("realdata"):
                item.add_marker(absent)


@pytest.fixture(scope="session")
def real_sets() -> Path:
    """The folder of the real data sets, for tests marked `realdata`."""
    return DATA


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty MEDLOUPE_HOME of this test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MEDLOUPE_HOME", str(folder))
    return folder
