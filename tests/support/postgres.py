"""Fixtures: a real PostgreSQL server for the length of the test run, and a database of its own for each test."""

from __future__ import annotations

import getpass
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

PASSWORD = "no secret"
MISSING = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, reached through a socket in folder."""

    folder: Path
    bin: Path

    def url(self, database: str, password: str = PASSWORD) -> str:
        return f"postgresql://tester:{password.replace(' ', '%20')}@/{database}?host={self.folder}"

    def start(self) -> None:
        options = (
            f"-F -k {self.folder} -c listen_addresses= -c full_page_writes=off -c max_connections=60"
            " -c authentication_timeout=3"  # else dropping a database waits a minute for who broke off logging in
        )
        self._control("-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """All its processes stopped for the length of a block, as on a machine that hangs."""
        main = psutil.Process(int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0]))
        family = [main, *main.children()]
        _signal(family, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal([*main.children(), *family], signal.SIGCONT)

    def execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _control(self, *arguments: str) -> None:
        _run(self.folder, [str(self.bin / "pg_ctl"), "-D", str(self.folder / "data"), *arguments])


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # a worker of the server's may have ended of itself
            process.send_signal(number)


def _run(folder: Path, command: list[str]) -> None:
    """As the user postgres where this is root, as whom the server will not run."""
    if os.name == "posix" and os.geteuid() == 0:
        command = ["runuser", "-u", "postgres", "--", *command]
    with (folder / "said").open("w") as said:  # no pipe: the server would keep it open
        done = subprocess.run(command, stdout=said, stderr=subprocess.STDOUT, cwd=folder, timeout=120)
    assert done.returncode == 0, (folder / "said").read_text()


def find_programs() -> Path | None:
    """Where initdb and pg_ctl are: Debian keeps them off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@contextmanager
def running_server(programs: Path) -> Iterator[Server]:
    """A new server for the length of a block. programs: the folder of initdb and pg_ctl."""
    with tempfile.TemporaryDirectory(prefix="medloupe-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)  # short: the path of a socket may have 107 bytes
        server = Server(folder, programs)
        (folder / "password").write_text(PASSWORD)
        (folder / "said").touch()
        if os.geteuid() == 0:
            for path in (folder, folder / "password"):
                shutil.chown(path, "postgres")
        _run(
            folder,
            f"{programs}/initdb -D {folder}/data -U tester --no-sync -E UTF8 --locale=C.UTF-8"
            f" --auth=scram-sha-256 --pwfile={folder}/password".split(),
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """The server; without one installed the test is skipped, but fails where continuous integration promises one."""
    programs = find_programs()
    if programs is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with running_server(programs) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Server) -> Iterator[str]:
    """The URL of an empty database of this test's own."""
    name = f"test_{getpass.getuser()}_{os.getpid()}_{next(_numbers)}"
    postgres_server.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    yield postgres_server.url(name)
    postgres_server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the test on both databases; MEDLOUPE_DATABASE is set for it. Its value: which one."""
    monkeypatch.delenv("MEDLOUPE_DATABASE", raising=False)
    if request.param == "postgresql":
        monkeypatch.setenv("MEDLOUPE_DATABASE", request.getfixturevalue("postgres_url"))
    return request.param
