"""A light HTTP load generator in a process of its own: jobs as JSON lines on stdin, one line of measurements for each.

Raw asyncio streams and requests built beforehand, because a comfortable client would take more of the processor than
some of the servers. Clients are closed loops: each sends its next picture when it has the answer to the last. After a
warm-up, measuring begins at an answer and ends at the first answer after the given time, so the rate is not rounded to
whole requests; processor time is that of the server's whole process tree between the same two moments.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_BOUNDARY = "medloupe-benchmark-boundary"
_APART = 0.02  # seconds between the clients' connecting: at once, one worker process may accept all of them
_ATTEMPTS = 3  # a server may close a kept connection just as it is used again


@dataclass(frozen=True, slots=True)
class Job:
    """What to do. pictures: files to post as `image`, in turn. seconds, warm: of measuring and before it. root: pid."""

    port: int
    path: str
    pictures: list[str]
    clients: int
    seconds: float
    warm: float
    root: int


@dataclass(frozen=True, slots=True)
class Reply:
    """picture: its place in the job's list. started, ended: seconds of time.perf_counter()."""

    picture: int
    status: int
    body: bytes
    started: float
    ended: float


class Connection:
    """One client's connection, kept open where the server keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """(status, body) of the answer. Raises OSError or EOFError when the server does not answer."""
        for attempt in range(_ATTEMPTS):
            kept = self._streams is not None
            try:
                return await self._ask(request)
            except (OSError, EOFError):
                self.close()
                if not kept or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError

    async def _ask(self, request: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        version, status = head[0].split()[:2]
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}
        if "content-length" in fields:
            body = await reader.readexactly(int(fields["content-length"]))
        elif fields.get("transfer-encoding", "").lower() == "chunked":
            body = await _chunks(reader)
        else:
            body = await reader.read()
        if version == "HTTP/1.0" or fields.get("connection", "").lower() == "close":
            self.close()
        return int(status), body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    while (await reader.readline()).strip():
        pass
    return b"".join(parts)


def request(path: str, picture: bytes) -> bytes:
    """A whole HTTP/1.1 request with the picture as the multipart field `image`."""
    body = (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="image"; filename="picture.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode() + picture
    body += f"\r\n--{_BOUNDARY}--\r\n".encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def processes(root: int) -> list[psutil.Process]:
    """The process and all that it started, directly or not."""
    parent = psutil.Process(root)
    return [parent, *parent.children(recursive=True)]


def cpu(running: Iterable[psutil.Process]) -> float:
    """Seconds of processor time, user and system, of these and of their children that have ended."""
    total = 0.0
    for process in running:
        try:
            t = process.cpu_times()
        except psutil.NoSuchProcess:  # its parent has its time in children_*
            continue
        total += t.user + t.system + t.children_user + t.children_system
    return total


def busy() -> float:
    """Seconds in which a core of the machine was busy or taken away by its host."""
    t = psutil.cpu_times()
    return sum(t) - t.guest - t.guest_nice - t.idle - t.iowait


class Run:
    """One job: clients, and the moments between which their answers count."""

    def __init__(self, job: Job, requests: Sequence[bytes]) -> None:
        self._job = job
        self._requests = requests
        self._turn = itertools.count()
        self._known: list[psutil.Process] = []
        self._warm_until = 0.0
        self._begin: float | None = None
        self._end: float | None = None
        self._cpu = 0.0
        self._elsewhere = 0.0
        self.replies: list[Reply] = []

    async def measure(self) -> dict[str, Any]:
        """requests: how many; seconds they took; cpu: seconds; elsewhere: cores that others kept busy meanwhile;
        latencies: ms; failed: statuses other than 200; answers: (place of the picture, body) of the others.

        Raises OSError or EOFError when the server goes away.
        """
        self._known = processes(self._job.root)
        self._warm_until = time.perf_counter() + self._job.warm
        async with asyncio.TaskGroup() as group:
            for i in range(self._job.clients):
                group.create_task(self._client(i * _APART))
        assert self._begin is not None
        assert self._end is not None
        return {
            "requests": len(self.replies),
            "seconds": self._end - self._begin,
            "cpu": self._cpu,
            "elsewhere": max(0.0, self._elsewhere - self._cpu) / (self._end - self._begin),
            "latencies": [round(1000 * (r.ended - r.started), 2) for r in self.replies],
            "failed": [r.status for r in self.replies if r.status != 200],
            "answers": [(r.picture, r.body.decode()) for r in self.replies if r.status == 200],
        }

    async def _client(self, after: float) -> None:
        await asyncio.sleep(after)
        connection = Connection(self._job.port)
        try:
            while self._end is None:
                picture = next(self._turn) % len(self._requests)
                started = time.perf_counter()
                status, body = await connection.ask(self._requests[picture])
                self._answered(Reply(picture, status, body, started, time.perf_counter()))
        finally:
            connection.close()

    def _answered(self, reply: Reply) -> None:
        if self._end is not None:
            return
        if self._begin is None:
            if reply.ended >= self._warm_until:
                # Only the known ones: looking for new ones takes milliseconds in which no client would be served.
                self._cpu = -cpu(self._known)
                self._elsewhere = cpu([psutil.Process()]) - busy()
                self._begin = time.perf_counter()
            return
        self.replies.append(reply)
        if reply.ended >= self._begin + self._job.seconds:
            self._end = reply.ended
            # What was started since then counts from its start.
            self._cpu += cpu({*self._known, *processes(self._job.root)})
            self._elsewhere += busy() - cpu([psutil.Process()])


def main() -> None:
    kept: dict[tuple[str, ...], list[bytes]] = {}
    for line in sys.stdin:
        job = Job(**json.loads(line))
        key = (job.path, *job.pictures)
        if key not in kept:
            kept[key] = [request(job.path, Path(p).read_bytes()) for p in job.pictures]
        try:
            result = asyncio.run(Run(job, kept[key]).measure())
        except* (OSError, EOFError) as e:
            result = {"error": "; ".join(repr(x) for x in e.exceptions)}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
