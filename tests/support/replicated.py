"""Several servers of one store behind nginx, and what may happen to them.

The suite runs it small, benchmarks/replicas.py in full.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import math
import random
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import drills
from clinic import add_people
from drills import NAME, Line, Oracle, Reply
from live import Live, start
from missing import give_up
from objectstorage import S3Server, free_port, wait_for_port
from places import ROOT
from postgres import Server

KEY = "5e" * 32


@dataclass
class Replicas:
    """Servers of one store. url: of nginx in front of them."""

    servers: list[Live]
    url: str
    environment: dict[str, str]
    ports: list[int]
    root: Path
    token: str = ""
    starts: int = 0

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def start(self, i: int) -> Live:
        self.starts += 1
        home = self.root / f"replica-{i}" / "home"
        home.mkdir(parents=True, exist_ok=True)
        return start(home, "--port", str(self.ports[i]), "--queue", "64", *self.options, **self.environment)

    @property
    def options(self) -> list[str]:
        return ["--no-worker", *(["--trusted-proxy", "127.0.0.1"] if self.token else [])]


def environment_of(database: str, s3: S3Server, blobs: str) -> dict[str, str]:
    return {
        **s3.environment,
        "MEDLOUPE_DATABASE": database,
        "MEDLOUPE_BLOBS": blobs,
        "MEDLOUPE_STORE_KEY": KEY,
        "MEDLOUPE_STARTERS": "none",
    }


@contextmanager
def running_replicas(root: Path, environment: dict[str, str], count: int, token: str = "") -> Iterator[Replicas]:
    """Servers and nginx; token: of an admin, without whom nobody may ask through a proxy."""
    ports = [free_port() for _ in range(count)]
    made = Replicas([], "", environment, ports, root, token)
    try:
        for i in range(count):
            made.servers.append(made.start(i))
        with running_nginx(root / "nginx", ports) as url:
            made.url = url
            yield made
    finally:
        for live in made.servers:
            live.stop(signal.SIGKILL)


@contextmanager
def running_nginx(folder: Path, ports: Sequence[int]) -> Iterator[str]:
    """nginx with deploy/nginx-replicas.conf, but for its certificate."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).is_file():
        give_up("nginx is not installed (Debian: apt-get install nginx-light)")
    folder.mkdir(parents=True)
    port = free_port()
    site = (ROOT / "deploy" / "nginx-replicas.conf").read_text("utf-8")
    lines = iter(f"    server 127.0.0.1:{p} max_fails=1 fail_timeout=2s;" for p in ports)
    site = "\n".join(
        next(lines, "") if re.match(r"\s+server medloupe-", line) else line
        for line in site.splitlines()
        if "ssl_" not in line
    )
    site = site.replace("listen 443 ssl http2;", f"listen 127.0.0.1:{port};")
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;\n"
        f"uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n{site}\n}}\n",
        "utf-8",
    )
    user = ["-g", "user root;"] if Path("/proc/self").stat().st_uid == 0 else []
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "nginx.conf"), *user])
    try:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


# ------------------------------------------------------------------ the drill


@dataclass
class Seen:
    """What was seen.

    answers: of 200. busy: 503 with Retry-After. other: any other answer, or none. mixed: not what the version says.
    promoted: acknowledged promotions; delays: seconds until each of the replicas at hand had it, apart those while
    storage stood still. acknowledged: ids of answers by the key of their request. restarted, stood_still: from when
    until when, time.time().
    """

    answers: int = 0
    busy: int = 0
    other: list[str] = field(default_factory=list)
    mixed: int = 0
    promoted: int = 0
    refused: int = 0
    delays: list[float] = field(default_factory=list)
    delays_without_storage: list[float] = field(default_factory=list)
    killed: int = 0
    restarts: int = 0
    storage_stops: int = 0
    restarted: list[tuple[float, float]] = field(default_factory=list)
    stood_still: list[tuple[float, float]] = field(default_factory=list)
    acknowledged: dict[str, str] = field(default_factory=dict)


def admin_token(home: Path) -> str:
    """Make an admin, and return an API token."""
    return add_people(home, {"ada": "admin"})["ada"]


def with_header(request: bytes, name: str, value: str) -> bytes:
    return request.replace(b"\r\n", f"\r\n{name}: {value}\r\n".encode(), 1)


@dataclass
class Drill:
    """Ask from all sides while promotions are made, servers are killed and started, and the others stand still."""

    replicas: Replicas
    oracle: Oracle
    image: bytes
    postgres: Server
    s3: S3Server
    clients: int
    promotions: int
    kills: int
    restarts: int
    storage_seconds: float = 0.0
    most_seconds: float = 3600.0
    seed: int = 0
    seen: Seen = field(default_factory=Seen)

    async def run(self) -> Seen:
        self.draw = random.Random(self.seed)
        self.end = time.monotonic() + self.most_seconds
        self.over = asyncio.Event()
        self.stopped_from, self.stopped_until = math.inf, math.inf
        self.alive = set(range(len(self.replicas.servers)))
        working = [asyncio.create_task(self._client()) for _ in range(self.clients)]
        await asyncio.gather(self._promote(), self._stop_storage(), self._break())
        await asyncio.sleep(1.0)
        self.over.set()
        await asyncio.gather(*working)
        return self.seen

    def _stood_still(self, began: float) -> bool:
        return time.monotonic() > self.stopped_from and began < self.stopped_until

    async def _ask(self, port: int, request: bytes) -> Reply | None:
        try:
            async with Line(port) as line:
                return await line.ask(with_header(request, "Authorization", f"Bearer {self.replicas.token}"))
        except OSError:
            return None

    async def _client(self) -> None:
        request = drills.ask_for(self.image)
        while not self.over.is_set():
            key = uuid.uuid4().hex
            while not self.over.is_set() and not self._took(
                await self._ask(self.replicas.port, with_header(request, "Idempotency-Key", key)), key
            ):
                await asyncio.sleep(0.2)

    def _took(self, reply: Reply | None, key: str) -> bool:
        """Note an answer; whether it is one."""
        if reply is not None and reply.status == 200:
            said = reply.json()
            self.seen.answers += 1
            self.seen.mixed += not self.oracle.agrees(said)
            self.seen.acknowledged[key] = said["id"]
            return True
        self._note_failure("", reply)
        return False

    def _note_failure(self, what: str, reply: Reply | None) -> None:
        if reply is not None and reply.status == 503 and "retry-after" in reply.headers:
            self.seen.busy += 1
        else:
            self.seen.other.append(f"{what}{'no answer' if reply is None else (reply.status, reply.body[:200])}")

    async def _promote(self) -> None:
        version = 1
        while self.seen.promoted < self.promotions and time.monotonic() < self.end:
            version = self.draw.choice([v for v in (1, 2, 3) if v != version])
            said = {"version": version, "force": True, "reason": "a drill"}
            reply = await self._ask(self.replicas.port, drills.post_json(f"/api/v1/models/{NAME}/promote", said))
            if reply is not None and reply.status == 409 and b"in production already" in reply.body:
                self.seen.promoted += 1  # the one before was done, though nobody could say so
            elif reply is not None and reply.status == 200:
                self.seen.promoted += 1
                began = time.monotonic()
                waits = await asyncio.gather(*(self._shown(i, version, began) for i in sorted(self.alive)))
                among = self.seen.delays_without_storage if self._stood_still(began) else self.seen.delays
                among += [w for w in waits if w is not None]
            else:
                self._note_failure("promotion: ", reply)
                version = 0
                await asyncio.sleep(0.5)

    async def _shown(self, i: int, version: int, began: float) -> float | None:
        """Seconds until a replica answers with the version; None where it was killed meanwhile."""
        starts, stops = self.replicas.starts, self.seen.restarts
        while time.monotonic() - began < 60:
            if i not in self.alive or self.replicas.starts != starts or self.seen.restarts != stops:
                return None
            reply = await self._ask(self.replicas.ports[i], drills.get(f"/api/v1/models/{NAME}"))
            if reply is not None and reply.status == 200 and reply.json()["version"] == version:
                return time.monotonic() - began
            await asyncio.sleep(0.02)
        return 60.0

    async def _break(self) -> None:
        """Kill and restart, one after the other: a killed server starts only with a database."""
        servers = self.replicas.servers
        for step in range(max(self.kills, self.restarts)):
            if time.monotonic() > self.end:
                return
            if step < self.kills:
                await asyncio.sleep(self.draw.uniform(0.5, 2.0))
                i = self.draw.randrange(len(servers))
                self.alive.discard(i)
                servers[i].process.kill()
                await asyncio.to_thread(servers[i].process.wait)
                servers[i] = await asyncio.to_thread(self.replicas.start, i)
                self.alive.add(i)
                self.seen.killed += 1
            if step < self.restarts:
                await asyncio.sleep(self.draw.uniform(1.0, 3.0))
                began = time.time()
                await asyncio.to_thread(self.postgres.stop)
                await asyncio.to_thread(self.postgres.start)
                self.seen.restarts += 1
                self.seen.restarted.append((began, time.time() + 1.0))

    async def _stop_storage(self) -> None:
        if self.storage_seconds:
            await asyncio.sleep(2.0)
            self.stopped_from, began = time.monotonic(), time.time()
            with self.s3.stopped():
                await asyncio.sleep(self.storage_seconds)
            self.stopped_until = time.monotonic() + 2.0  # until the next look for what could not be loaded
            self.seen.storage_stops += 1
            self.seen.stood_still.append((began, time.time()))


def take_ups(root: Path, seen: Seen) -> dict[str, list[float]]:
    """By the logs of all servers, seconds from each promotion until they answered with it: usually, and where
    PostgreSQL was restarted or storage stood still meanwhile."""
    found: dict[str, list[float]] = {"usually": [], "PostgreSQL restarted": [], "storage stopped": []}
    for log in root.glob("replica-*/home-*.log"):
        for line in log.read_text("utf-8").splitlines():
            if '"version taken up"' not in line or not line.endswith("}"):
                continue
            said = json.loads(line)
            if said.get("model") != NAME or said.get("ms") is None:
                continue
            until = datetime.datetime.fromisoformat(said["time"]).timestamp()
            since = until - said["ms"] / 1000
            among = "usually"
            for name, times in (("storage stopped", seen.stood_still), ("PostgreSQL restarted", seen.restarted)):
                if any(since < end and until > begin for begin, end in times):
                    among = name
            found[among].append(said["ms"] / 1000)
    return found


def lost(database: str, seen: Seen) -> int:
    """How many acknowledged answers are not in the database, or more than once."""
    import psycopg

    with psycopg.connect(database) as connection:
        there = {row[0] for row in connection.execute("SELECT id FROM predictions").fetchall()}
        keys = connection.execute("SELECT count(*), count(DISTINCT prediction_id) FROM idempotency_keys").fetchone()
    assert keys is not None and keys[0] == keys[1]
    return sum(id not in there for id in seen.acknowledged.values())


def summary(seen: Seen, taken_up: Mapping[str, Sequence[float]] | None = None) -> dict[str, Any]:
    swaps = {
        f"taken up, {name}": {
            "count": len(times),
            **{f"{share:.0%}": round(drills.percentile(times, share), 3) for share in (0.5, 0.9, 0.99, 1.0)},
            "within 2 s": sum(t <= 2 for t in times),
        }
        for name, times in (taken_up or {}).items()
        if times
    }
    return swaps | json.loads(
        json.dumps(
            {
                "answers": seen.answers,
                "503": seen.busy + seen.refused,
                "other": len(seen.other),
                "mixed": seen.mixed,
                "promotions": seen.promoted,
                "delay median": round(drills.percentile(seen.delays, 0.5), 3),
                "delay 99 %": round(drills.percentile(seen.delays, 0.99), 3),
                "delay most": round(max(seen.delays, default=0), 3),
                "delay most, storage stopped": round(max(seen.delays_without_storage, default=0), 3),
                "kills": seen.killed,
                "restarts of PostgreSQL": seen.restarts,
                "storage stopped": seen.storage_stops,
            }
        )
    )
