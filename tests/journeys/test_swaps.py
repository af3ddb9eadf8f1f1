"""Versions exchanged under load: every answer is one version's, and nobody waits for the exchange."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import drills
from drills import NAME, Oracle
from live import running
from medloupe.model.bundle import Model
from medloupe.store.models import Store
from trained import Trained

COUNT = 60
Home = tuple[Path, dict[int, Model]]


@pytest.fixture(scope="module")
def three(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with three versions whose answers differ; 1 is in production."""
    folder = tmp_path_factory.mktemp("swaps")
    shutil.copytree(_trained.home, folder / "home")
    return folder / "home", drills.add_versions(folder / "home", folder)


@pytest.mark.slow
def test_swaps_under_load_fail_no_request_and_mix_no_answer(three: Home) -> None:
    """Over HTTP, by the store in another process, and by the command line."""
    home, models = three
    image = drills.picture()
    oracle = Oracle.of(models, image)
    with running(home) as live:
        steps = drills.changes(live, Store(home), COUNT)
        seen = asyncio.run(drills.swapping(live.port, oracle, image, steps))
        log = live.lines()
    assert seen.swaps == COUNT
    assert set(seen.by) == {"http", "store", "command"}
    assert (seen.failed, seen.mixed, seen.stale) == (0, 0, 0)
    assert seen.answers > COUNT
    # Never a second on a machine of its own, says benchmarks/faults_serving.py; here, in terms of what an answer takes.
    answer = drills.percentile(seen.busy, 0.5) / 1000
    assert len(seen.delays) == COUNT and drills.percentile(seen.delays, 0.9) < 1 + 10 * answer, seen.delays
    assert not [line for line in log if line["level"] == "error"]


def test_a_damaged_new_version_leaves_the_old_one_answering(three: Home, tmp_path: Path) -> None:
    """Its head, its network: what answered goes on, /readyz says what is wrong, the next sound version is taken up."""
    home = tmp_path / "home"
    shutil.copytree(three[0], home)
    store = Store(home)
    image = drills.picture()
    with running(home) as live, live.client() as client:
        for number, part in ((2, "head"), (3, "network")):
            blob = _blob(store, number, part)
            sound = blob.read_bytes()
            _set_production(store, number, lambda: blob.write_bytes(sound[:-64] + bytes(64)))  # noqa: B023
            drills.until(lambda: client.get("/readyz").json()["broken"] == [NAME])
            ready = client.get("/readyz")
            assert (ready.status_code, ready.json()["status"]) == (200, "ready")
            assert live.ask(NAME, image).json()["version"] == 1
            assert "damaged" in client.get("/api/v1/models").json()["broken"][NAME]
            blob.write_bytes(sound)
            store.rollback(NAME, actor="test")
            drills.until(lambda: client.get("/readyz").json()["broken"] == [])
            assert live.ask(NAME, image).json()["version"] == 1
        assert any(line["event"] == "version not loaded" for line in live.lines())


@pytest.mark.parametrize("damage", ["cut", "weights"])
def test_a_damaged_optimised_copy_is_made_again(three: Home, tmp_path: Path, damage: str) -> None:
    home = tmp_path / "home"
    shutil.copytree(three[0], home)
    copies = list((home / "cache" / "graphs").glob("*.ort"))
    for copy in copies:
        data = bytearray(copy.read_bytes())
        half = len(data) // 2
        copy.write_bytes(data[:half] if damage == "cut" else data[:half] + bytes(200_000) + data[half + 200_000 :])
    assert copies
    with running(home) as live, live.client() as client:
        drills.until(lambda: {m["name"] for m in client.get("/api/v1/models").json()["models"]} >= {NAME, "imagenet"})
        assert client.get("/readyz").json()["broken"] == []
        assert Oracle.of({1: three[1][1]}, drills.picture()).agrees(live.ask(NAME, drills.picture()).json())


def _blob(store: Store, number: int, part: str) -> Path:
    from sqlalchemy import select

    from medloupe.store.tables import VersionRow

    with store.engine.connect() as c:
        row = c.execute(select(VersionRow).where(VersionRow.number == number)).one()
    sha256 = row.head_blob if part == "head" else row.backbone_blob
    return store.home / "blobs" / sha256[:2] / sha256[2:]


def _set_production(store: Store, number: int, damage: Callable[[], object]) -> None:
    """The promotion itself would refuse a damaged version: the damage comes in the moment after its check."""
    checked = store._check_parts

    def check(row: object) -> None:
        checked(row)  # type: ignore[arg-type]
        damage()

    store._check_parts = check  # type: ignore[method-assign]
    store.promote(NAME, number, actor="test")
    store._check_parts = checked  # type: ignore[method-assign]
