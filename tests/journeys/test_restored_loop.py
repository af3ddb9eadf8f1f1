"""All of the loop in a back-up: restored into an empty home it is served, looked at, and learned from again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from live import Live, running
from loops import LABELS, NAME, Loop, make_loop, once, picture
from medloupe.store.candidates import Candidates
from medloupe.store.frozen_tests import find_frozen_test
from medloupe.store.review_queue import ReviewQueue

pytestmark = pytest.mark.slow
BACKUP = Path(__file__).parents[2] / "deploy" / "backup.py"
PATIENT = "P-4711"


def command(home: Path, *arguments: object, seconds: float = 900) -> str:
    environment = {**os.environ, "MEDLOUPE_HOME": str(home), "MEDLOUPE_DATABASE": ""}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def correct(live: Live, first: int, count: int) -> None:
    """Ask, send for review with a patient's id, and say what is right."""
    with live.client(headers={"Accept": "application/json"}) as client:
        for n in range(count):
            data = picture(first + n, n % 2 == 1)
            answer = live.ask(NAME, data).json()
            sent = client.post(
                f"/api/v1/predictions/{answer['id']}/review",
                params={"basis": "consent"},
                files={"image": ("p.png", data)},
            )
            said = {"verdict": "label", "labels": [LABELS[n % 2]]}
            settled = client.post(f"/api/v1/review/{sent.json()['id']}/opinion", json=said)
            assert settled.json()["item"], settled.text


def look(live: Live, dataset: str) -> dict[str, Any]:
    """Open every page; what they and the API tell of the store."""
    with live.client() as client:
        pages = ("", "history", "studio", f"studio/{dataset}", f"studio/{dataset}/loop", "review", "watch", "audit")
        pages += ("forget", f"models/{NAME}", "about", "jobs", f"checkups/{NAME}")
        for page in pages:
            assert client.get(f"/{page}").status_code == 200, page
        told = client.get(f"/api/v1/datasets/{dataset}/candidates").json()
        items = client.get(f"/api/v1/datasets/{dataset}/items").json()["items"]
        shown = [client.get(f"/api/v1/datasets/{dataset}/items/{i['id']}/picture").status_code for i in items]
        assert set(shown) == {200}
        history = client.get("/api/v1/predictions", params={"limit": 200}).json()["predictions"]
        watch = client.get("/api/v1/watch").json()
        receipts = client.get("/api/v1/forget").json()
        return {
            "items": sorted(i["id"] for i in items),
            "loop": told,
            "history": history,
            "watched": [(c["model"], [s["pictures"] for s in c["sites"]]) for c in watch["checkups"]],
            "receipts": receipts["receipts"],
        }


def test_a_restored_store_is_whole_and_learns_again(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    made = once(tmp_path_factory, "loop", make_loop)[0]
    home = Path(shutil.copytree(made / "home", tmp_path / "home"))
    loop = Loop(home)
    item = next(i for i in loop.sets.items(loop.dataset) if i.patient is None)
    loop.sets.change(loop.dataset, "assign", {item.id: {"patient": PATIENT}})
    with running(home, "--review", "single", "--keep-images", "--no-worker") as live:
        correct(live, 5000, 12)
        command(home, "-m", "medloupe", "forget", "--patient", PATIENT, "--yes")
        with live.client() as client:
            assert client.post(f"/api/v1/datasets/{loop.dataset}/candidates").status_code == 202
        before = look(live, loop.dataset)
        command(home, BACKUP, "save", tmp_path / "copy")  # while it runs
    restored = tmp_path / "elsewhere" / "home"
    command(restored, BACKUP, "restore", tmp_path / "copy")
    command(restored, "-m", "medloupe", "forget", "--again", home)
    again = Loop(restored)
    assert find_frozen_test(again.store.engine, loop.dataset) == find_frozen_test(loop.store.engine, loop.dataset)
    cases = ReviewQueue(again.store.engine, restored).list("settled", most=100)
    assert len(cases) == 12
    with running(restored, "--review", "single", "--keep-images", "--no-worker") as live:
        after = look(live, loop.dataset)
        assert after == before
        assert live.ask(NAME, picture(9000, sick=True)).json()["version"] == 1
    command(restored, "-m", "medloupe", "retrain", NAME, "--json")
    (one,) = Candidates(again.store.engine).list(loop.dataset)
    assert one.version == 2 and one.state in ("ready", "refused")
    assert Candidates(loop.store.engine).list(loop.dataset)[0].version is None, "the old home was left alone"
