"""Ray Serve answers as the server does: the same front, the same figures to the last bit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

import drills
from clinic import add_people
from live import running
from medloupe.accounts.person import LOCAL
from medloupe.errors import CornersError, ImageError, MedloupeError
from medloupe.inference.pictures import Predictor
from medloupe.store.models import Store
from objectstorage import free_port
from trained import Trained

PATIENCE = 600.0
"""Seconds until it answers: it starts four processes on a machine that may be busy."""


@pytest.fixture
def served(ray_here: None, trained: Trained, tmp_path: Path) -> Iterator[tuple[str, dict[str, str], Path]]:
    """`serve run` of the application: its address, the header of an admin, and its home folder."""
    import ray

    home = tmp_path / "ray" / "home"
    shutil.copytree(trained.home, home)
    drills.add_versions(home, tmp_path)
    token = add_people(home, {"ada": "admin"})["ada"]
    port = free_port()
    told = {
        "http_options": {"host": "127.0.0.1", "port": port},
        "applications": [
            {
                "name": "medloupe",
                "route_prefix": "/",
                "import_path": "medloupe.serving.ray:app",
                "runtime_env": {"env_vars": {"MEDLOUPE_HOME": str(home), "MEDLOUPE_THREADS": "1"}},
            }
        ],
    }
    config, log = tmp_path / "serve.yaml", tmp_path / "serve.log"
    config.write_text(json.dumps(told))  # JSON is YAML
    address = ray.get_runtime_context().gcs_address
    command = [sys.executable, "-m", "ray.serve.scripts", "run", "--address", address, str(config)]
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=os.environ | {"RAY_ADDRESS": ""})
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + PATIENCE
        while not _ready(url):
            assert process.poll() is None and time.monotonic() < end, log.read_text("utf-8")[-3000:]
            time.sleep(0.5)
        yield url, {"Authorization": f"Bearer {token}"}, home
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _end_actors()


def _end_actors() -> None:
    """End what `serve run` leaves behind: it holds the cores that other tests of this process would wait for."""
    import ray

    named = [one for one in ray.util.list_named_actors(all_namespaces=True) if one["namespace"] == "serve"]
    for one in sorted(named, key=lambda one: "CONTROLLER" not in one["name"]):  # which would begin the others anew
        with contextlib.suppress(ValueError):  # gone meanwhile
            ray.kill(ray.get_actor(one["name"], namespace="serve"), no_restart=True)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def _same(said: dict[str, Any]) -> dict[str, Any]:
    """An answer without what no two have in common."""
    return {name: value for name, value in said.items() if name not in ("id", "timings")}


@pytest.mark.slow
def test_it_answers_as_the_server_does(
    served: tuple[str, dict[str, str], Path], trained: Trained, tmp_path: Path
) -> None:
    url, admin, home = served
    image = drills.picture()
    path = f"/api/v1/models/{drills.NAME}/predict"
    asks = [(path, {}), (path, {"version": 2}), (path, {"version": 3, "heatmap": "true"}), (path, {"version": 1})]
    sent = {"files": {"image": ("x.png", image)}, "timeout": 120.0}
    there = [httpx.post(url + where, params=query, headers=admin, **sent) for where, query in asks]
    assert [r.status_code for r in there] == [200] * len(asks), [r.text[:300] for r in there]
    other = tmp_path / "plain" / "home"
    shutil.copytree(home, other)
    with running(other, "--no-worker", MEDLOUPE_THREADS="1") as live:
        here = [httpx.post(live.url + where, params=query, headers=admin, **sent) for where, query in asks]
    assert [_same(r.json()) for r in there] == [_same(r.json()) for r in here]
    assert len({json.dumps(r.json()["probabilities"]) for r in there}) == 3, "three versions answered"

    kept = httpx.get(f"{url}/api/v1/predictions/{there[0].json()['id']}", headers=admin, timeout=60)
    assert kept.json()["probabilities"] == there[0].json()["probabilities"], "the front remembers"
    assert httpx.post(url + path, files=sent["files"], timeout=60).status_code == 401, "nobody else is answered"
    broken = httpx.post(url + path, files={"image": ("x.png", image[:60])}, headers=admin, timeout=60)
    assert broken.status_code == 422 and broken.json()["error"]["code"] == "unreadable_image"


@pytest.fixture
def fronted(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, list[str]]]:
    """A front whose replica is in this process: what goes to and fro is pickled, as it is between machines."""
    pytest.importorskip("ray.serve", exc_type=ImportError)
    from medloupe.serving.engine.service import Service
    from medloupe.serving.ray import ClusterAnswerer, answer_or_failure

    home = tmp_path / "home"
    shutil.copytree(trained.home, home)
    monkeypatch.setenv("MEDLOUPE_HOME", str(home))
    replica = Service(Store(home), memory=1 << 28, workers=1)
    asked: list[str] = []

    def ask_elsewhere(version: str, question: Any) -> Any:
        asked.append(version)
        name, _, number = version.rpartition("@")
        checkup = replica.catalog.load(name, int(number))
        return pickle.loads(
            pickle.dumps(
                answer_or_failure(replica.answerer, replica.catalog, checkup, pickle.loads(pickle.dumps(question)))
            )
        )

    front = Service(Store(home), memory=1 << 28, workers=1, make_answerer=partial(ClusterAnswerer, ask_elsewhere))
    yield front, asked
    front.close()
    replica.close()


def test_the_front_has_named_check_ups_answer_elsewhere(fronted: tuple[Any, list[str]]) -> None:
    front, asked = fronted
    checkup = front.catalog.get(drills.NAME)
    assert front.sessions.count == 0, "it opens no network for them"
    image = drills.picture()

    async def ask(data: bytes) -> Any:
        return await front.ask(checkup, data, person=LOCAL, file="x.png", heatmap=True)

    answer = asyncio.run(ask(image))
    assert asked == [f"{drills.NAME}@1"] and answer.checkup is checkup
    plain = Predictor(Store(front.store.home).get(drills.NAME)).predict
    path = front.store.home / "x.png"
    path.write_bytes(image)
    for label, value in plain(path).probabilities.items():
        assert answer.prediction.probabilities[label] == pytest.approx(value, abs=2e-3)
    assert set(answer.places) == set(checkup.labels)
    assert front.journal.get(answer.id, LOCAL).answer["probabilities"], "it is remembered here"
    with pytest.raises(ImageError) as caught:
        asyncio.run(ask(image[:60]))
    assert len(asked) == 2 and caught.value.hint
    with pytest.raises(ImageError):
        asyncio.run(ask(b"no picture"))


def test_an_error_travels_with_its_kind_and_advice() -> None:
    pytest.importorskip("ray.serve", exc_type=ImportError)
    from medloupe.serving.ray import Failure

    made = Failure(CornersError, "These are no corners.", "Four are needed.").error()
    assert isinstance(made, CornersError) and isinstance(made, MedloupeError)
    assert str(made).startswith("These are no corners.") and made.hint == "Four are needed."
