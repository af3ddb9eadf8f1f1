"""A real server in a process of its own, asked over real sockets."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from trained import Trained

_START = 600  # seconds; a machine may be busy with much else


@dataclass
class Live:
    """A running server. log: the file with its stderr."""

    process: subprocess.Popen[bytes]
    url: str
    home: Path
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, **options)

    def ask(self, model: str, picture: bytes, **query: Any) -> httpx.Response:
        with self.client() as client:
            return client.post(
                f"/api/v1/models/{model}/predict", params=query, files={"image": ("picture.png", picture)}
            )

    def lines(self) -> list[dict[str, Any]]:
        """The log so far."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines() if line.startswith("{")]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(_START)


def start(home: Path, *options: str, **environment: str) -> Live:
    """A server on a free port of this machine, that answers already."""
    log = home.parent / f"{home.name}-{time.monotonic_ns()}.log"
    with log.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "medloupe", "serve", "--port", "0", *options],
            env={**os.environ, "MEDLOUPE_THREADS": "", "MEDLOUPE_HOME": str(home), **environment},
            stdout=subprocess.DEVNULL,
            stderr=err,
        )
    until = time.monotonic() + _START
    while time.monotonic() < until and process.poll() is None:
        told = re.search(r"http://\S+:(\d+)/", log.read_text("utf-8"))
        if told:
            live = Live(process, f"http://127.0.0.1:{told[1]}", home, log)
            try:
                if httpx.get(live.url + "/readyz", timeout=5).status_code == 200:
                    return live
            except httpx.HTTPError:
                pass
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"The server did not start:\n{log.read_text('utf-8')[-3000:]}")


@contextmanager
def running(home: Path, *options: str, **environment: str) -> Iterator[Live]:
    """A server for the length of a block."""
    live = start(home, *options, **environment)
    try:
        yield live
    finally:
        live.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def live(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One server that many tests ask; its home holds the model `spots`. Tests must leave its models as they are."""
    home = tmp_path_factory.mktemp("live") / "home"
    shutil.copytree(_trained.home, home)
    with running(home, "--keep-images") as server:
        yield server
