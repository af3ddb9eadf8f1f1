"""Real servers of object storage and of files by https, each in a process or thread of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER", "AWS_REGION": "us-east-1"}


@dataclass
class S3Server:
    """A server that speaks S3; honours: whether it knows conditional requests."""

    port: int
    process: subprocess.Popen[bytes]
    honours: bool

    @property
    def environment(self) -> dict[str, str]:
        """What its clients need to know."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}", "AWS_ALLOW_HTTP": "true"}

    def bucket(self, name: str) -> str:
        """Make a bucket and return its address."""
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}/{name}", method="PUT")
        urllib.request.urlopen(asked, timeout=60).close()
        return f"s3://{name}"

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stand still while the block runs: connections are taken and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nothing listened on {port} within {seconds:g} s")


@contextmanager
def run_moto(port: int | None = None) -> Iterator[S3Server]:
    """Run moto's server, which honours conditional creation."""
    pytest.importorskip("moto")
    port = port or free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port, honours=True) as server:
        yield server


@contextmanager
def run_s3rver(folder: Path) -> Iterator[S3Server]:
    """Run npm's s3rver, which overwrites whatever the condition; S3RVER names the folder where npm installed it."""
    place = Path(os.environ.get("S3RVER", "node_modules")) / "s3rver" / "bin" / "s3rver.js"
    node = shutil.which("node")
    if node is None or not place.is_file():
        pytest.skip("s3rver is not there: npm install s3rver; S3RVER=…/node_modules")
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [node, str(place), "-d", str(folder), "-a", "127.0.0.1", "-p", str(port), "--silent"]
    with _running(command, port, honours=False) as server:
        yield server


@contextmanager
def _running(command: list[str], port: int, *, honours: bool) -> Iterator[S3Server]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield S3Server(port, process, honours=honours)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """One for all tests, each of which makes buckets of its own."""
    with run_moto() as server:
        yield server


_made = iter(range(1, 10_000))


def use_server(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point the environment at a server, and return a new bucket."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server.bucket(f"bucket-{next(_made)}")


@pytest.fixture
def s3_bucket(moto_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a new bucket, for which the environment is set."""
    return use_server(moto_server, monkeypatch)
