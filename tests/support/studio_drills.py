"""The server killed with signal 9 in the middle of uploads, trainings and publications: what was lost, what came twice.

The suite runs them small, benchmarks/studio.py in full.
"""

from __future__ import annotations

import io
import random
import signal
import threading
import time
import zipfile
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx

import marks
import studio_client
from live import Live, start

ROLES = {"clear": "normal", "dots": "sought"}


@dataclass
class Killed:
    """kills: how often. lost, twice: pictures, trainings or publications. slowest: seconds until all was there."""

    kills: int = 0
    lost: int = 0
    twice: int = 0
    slowest: float = 0.0


def again(live: Live) -> Live:
    """Kill the server as the machine's end would, and start it anew on the same home."""
    live.process.send_signal(signal.SIGKILL)
    live.process.wait()
    return start(live.home)


def kill_uploads(home: Path, times: int, each: int = 12, seed: int = 0) -> Killed:
    """Pictures one by one and an archive in chunks, sent again after each kill by who does not know what came."""
    random.seed(seed)
    said = Killed()
    live = start(home, "--no-worker")
    try:
        for _ in range(times):
            with live.client() as client:
                id = studio_client.new(client, f"Killed {said.kills}", ROLES)
            pictures = {(kind, n): marks.mark(kind, n) for kind in ROLES for n in range(each)}
            archive = pack([(kind, 100 + n) for kind in ROLES for n in range(each)])
            killer = threading.Timer(random.uniform(0.05, 1.5), live.process.send_signal, [signal.SIGKILL])
            killer.start()
            _send_all(live, id, pictures, archive)
            killer.join()
            said.kills += 1
            live = again(live)
            assert _send_all(live, id, pictures, archive)
            with live.client() as client:
                found = Counter(i["digest"] for i in client.get(f"/api/v1/datasets/{id}/items").json()["items"])
            said.lost += max(0, 4 * each - len(found))
            said.twice += sum(found.values()) - len(found)
    finally:
        live.stop(signal.SIGKILL)
    return said


def kill_trainings(home: Path, times: int, seed: int = 0) -> Killed:
    """A training each, killed somewhere in it, which the next server goes on with."""
    random.seed(seed)
    said = Killed()
    live = start(home)
    try:
        with live.client() as client:
            id = studio_client.new(client, "Killed while it trains", ROLES)
            for kind in ROLES:
                for n in range(12):
                    studio_client.send(client, id, f"{kind}/{n}.png", marks.mark(kind, n), kind)
        for number in range(times):
            with live.client() as client:
                studio_client.send(client, id, f"new/{number}.png", marks.mark("dots", 200 + number), "dots")
                job = client.post(f"/api/v1/datasets/{id}/train").json()["job"]
                _wait_until_running(client, id)
            time.sleep(random.uniform(0, 6))
            began = time.monotonic()
            live = again(live)
            said.kills += 1
            with live.client() as client:
                over = studio_client.trained(client, id)
                said.slowest = max(said.slowest, time.monotonic() - began)
                said.lost += over["state"] != "done" or over["job"] != job
        with live.client() as client:
            name = client.get(f"/api/v1/datasets/{id}").json()["name"]
            versions = studio_client.list_versions(live, name)
            said.lost += max(0, times - len(versions))
            said.twice += max(0, len(versions) - times)
    finally:
        live.stop(signal.SIGKILL)
    return said


def kill_publications(home: Path, times: int, seed: int = 0) -> Killed:
    """The home that `kill_trainings` left: its versions published by turns, killed in the middle of each."""
    random.seed(seed)
    said = Killed()
    live = start(home, "--no-worker")
    name = "killed-while-it-trains"
    try:
        versions = studio_client.list_versions(live, name)
        for number in range(times):
            wish = {"version": versions[number % len(versions)], "force": True, "reason": "a drill"}
            killer = threading.Timer(random.uniform(0, 0.15), live.process.send_signal, [signal.SIGKILL])
            killer.start()
            try:
                with live.client() as client:
                    client.post(f"/api/v1/models/{name}/promote", json=wish)
            except httpx.HTTPError:
                pass
            killer.join()
            said.kills += 1
            live = again(live)
            with live.client() as client:
                answer = client.post(f"/api/v1/models/{name}/promote", json=wish)
                assert answer.status_code in (200, 409), answer.text
                told = client.get(f"/api/v1/models/{name}").json()
                said.lost += told["version"] != wish["version"]
        with live.client() as client:
            changes = [c["version"] for c in client.get(f"/api/v1/models/{name}").json()["history"]]
        said.twice += sum(a == b for a, b in pairwise(changes))
        said.lost += max(0, len({*versions[:times]}) - len(set(changes)))
    finally:
        live.stop(signal.SIGKILL)
    return said


def pack(pictures: list[tuple[str, int]]) -> bytes:
    """A zip archive with a folder for each class."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        for kind, number in pictures:
            packed.writestr(f"{kind}/{number}.png", marks.mark(kind, number))
    return made.getvalue()


def _send_all(live: Live, id: str, pictures: dict[tuple[str, int], bytes], archive: bytes) -> bool:
    """Whether all came."""
    try:
        with live.client() as client:
            for (kind, number), data in pictures.items():
                assert studio_client.send(client, id, f"{kind}/{number}.png", data, kind).status_code == 201
            upload = studio_client.send_in_chunks(client, id, "more.zip", archive, 20_000)
            return studio_client.settled(client, id, upload)["state"] == "taken"
    except httpx.HTTPError:
        return False


def _wait_until_running(client: httpx.Client, id: str) -> None:
    until = time.monotonic() + 120
    while client.get(f"/api/v1/datasets/{id}").json()["training"]["state"] == "waiting":
        assert time.monotonic() < until
        time.sleep(0.1)
