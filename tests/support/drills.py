"""Servers under load while something happens to them: swaps, signals, kills, overload. Each drill counts what it saw.

The suite runs them small; benchmarks/faults_serving.py runs them in full. Clients are raw streams with requests built
beforehand: on a small machine a comfortable client would be the load.
"""

from __future__ import annotations

import asyncio
import io
import json
import math
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import generated
from live import Live
from medloupe.embed.backbone import Backbone
from medloupe.inference.pictures import Predictor
from medloupe.metrics.evidence import FILE
from medloupe.model.bundle import Model
from medloupe.model.head import Head
from medloupe.store.models import Store

NAME = "spots"
_ALIKE = 2e-3  # of a probability: the server decodes as the command line does, only its graph is another copy
_BOUNDARY = "a-boundary-of-the-drills"


# ------------------------------------------------------------------ clients


@dataclass(frozen=True, slots=True)
class Reply:
    """started, ended: time.monotonic(). status: 0 where the connection ended without an answer; fresh: whether that
    connection had brought no answer before."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    started: float
    ended: float
    fresh: bool = False

    @property
    def ms(self) -> float:
        return 1000 * (self.ended - self.started)

    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """One client's connection, kept for as long as the server keeps it."""

    def __init__(self, port: int):
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._answers = 0

    async def ask(self, request: bytes) -> Reply | None:
        """The reply; None where no connection could be made. A connection that the server has closed is replaced
        before anything is sent, as clients do; nothing is sent twice."""
        started = time.monotonic()
        if self._streams is not None and (self._streams[0].at_eof() or self._streams[1].is_closing()):
            self.close()
        if self._streams is None:
            try:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
            except OSError:
                return None
            self._answers = 0
        reader, writer = self._streams
        fresh = self._answers == 0
        try:
            writer.write(request)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers["content-length"]))
        except (OSError, EOFError):
            self.close()
            return Reply(0, {}, b"", started, time.monotonic(), fresh)
        self._answers += 1
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Reply(int(head[0].split()[1]), headers, body, started, time.monotonic(), fresh)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()  # nothing is unsent, and a loop that ends soon need not wait
            self._streams = None

    async def __aenter__(self) -> Line:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        await asyncio.sleep(0)  # the loop closes the socket


def post(path: str, picture: bytes) -> bytes:
    """A whole request with a picture as the form's part `image`."""
    body = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="x.png"\r\n'
        "Content-Type: image/png\r\n\r\n"
    ).encode() + picture
    return _request(
        "POST", path, f"multipart/form-data; boundary={_BOUNDARY}", body + f"\r\n--{_BOUNDARY}--\r\n".encode()
    )


def post_json(path: str, said: Any) -> bytes:
    """A whole request with JSON."""
    return _request("POST", path, "application/json", json.dumps(said).encode())


def ask_for(image: bytes) -> bytes:
    """A whole request to the model."""
    return post(f"/api/v1/models/{NAME}/predict", image)


def get(path: str) -> bytes:
    """A whole request without a body."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def _request(method: str, path: str, kind: str, body: bytes) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def picture(number: int = 3, side: int = 64) -> bytes:
    """A PNG that the model knows."""
    out = io.BytesIO()
    Image.fromarray(generated.tissue(number, True)).resize((side, side)).save(out, "PNG")
    return out.getvalue()


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that so large a share is not above; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def until(true: Callable[[], bool], seconds: float = 15) -> None:
    """Wait for something to become true. Raises AssertionError when it does not."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


# ------------------------------------------------------------------ versions that can be told apart


def perturbed(backbone: Backbone, folder: Path, seed: int, name: str = "other") -> Backbone:
    """A backbone with the same shape and other weights, as a file of its own under folder."""
    import hashlib
    from dataclasses import replace

    import onnx
    from onnx import numpy_helper

    source = onnx.load(backbone.path)
    rng = np.random.default_rng(seed)
    for tensor in source.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim > 1 and values.dtype.kind == "f":
            noise = rng.normal(1, 0.02, values.shape).astype(values.dtype)
            tensor.CopyFrom(numpy_helper.from_array(values * noise, tensor.name))
    data = source.SerializeToString()
    path = folder / f"{name}-{seed}.onnx"
    path.write_bytes(data)
    return Backbone(card=replace(backbone.card, name=name), path=path, sha256=hashlib.sha256(data).hexdigest())


def add_versions(home: Path, scratch: Path) -> dict[int, Model]:
    """Versions 2 and 3 beside version 1 of `spots`, with clearly other answers; 3 is one self-contained file with a
    network of its own. The gate lets them pass: they bring version 1's evidence."""
    from dataclasses import replace

    from medloupe.graphs.optimised import ensure_optimised
    from medloupe.modelfile.reader import load
    from medloupe.modelfile.writer import write_onnx

    store = Store(home)
    first = store.get(NAME, 1)
    evidence = (store.folder(NAME, 1) / FILE).read_bytes()

    def write_files(folder: Path, made: Model) -> None:
        write_onnx(made, folder / "model.onnx")
        (folder / FILE).write_bytes(evidence)

    turned = Head(weight=-first.head.weight, bias=-first.head.bias, task=first.head.task)
    store.add(replace(first, head=turned), write_files=write_files)
    softer = Head(weight=first.head.weight / 8, bias=first.head.bias / 8, task=first.head.task)
    network = perturbed(first.backbone, scratch, 1)
    write_onnx(replace(first, backbone=network, head=softer), scratch / "whole.onnx")
    store.add(load(scratch / "whole.onnx"), write_files=write_files)
    models = {number: store.get(NAME, number) for number in (1, 2, 3)}
    network = models[3].backbone
    ensure_optimised(network.path, network.sha256, home / "cache" / "graphs")  # before it is needed
    return models


@dataclass(slots=True)
class Oracle:
    """What each version says of a picture. Refuses versions that answer too much alike to be told apart."""

    expected: dict[int, dict[str, float]]

    @classmethod
    def of(cls, models: Mapping[int, Model], image: bytes) -> Oracle:
        expected = {}
        for number, model in models.items():
            path = model.backbone.path.parent / "oracle.png"
            path.write_bytes(image)
            expected[number] = dict(Predictor(model).predict(path).probabilities)
            path.unlink()
        for a in expected:
            for b in expected:
                assert a == b or cls._apart(expected[a], expected[b]) > 0.05, (a, b, expected)
        return cls(expected)

    def agrees(self, said: Mapping[str, Any]) -> bool:
        """Whether the answer is that of the version which it names."""
        return self._apart(self.expected[said["version"]], said["probabilities"]) < _ALIKE

    @staticmethod
    def _apart(a: Mapping[str, float], b: Mapping[str, float]) -> float:
        return max(abs(a[label] - b[label]) for label in a)


# ------------------------------------------------------------------ swaps


@dataclass
class Swaps:
    """failed: answers other than 200. mixed: whose probabilities are not those of the version they name. stale: the
    old version after the new one had answered. delays: seconds from the acknowledged change to the new version's first
    answer. quiet, busy: latencies in ms without and with swaps."""

    swaps: int = 0
    answers: int = 0
    failed: int = 0
    mixed: int = 0
    stale: int = 0
    delays: list[float] = field(default_factory=list)
    quiet: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    by: dict[str, int] = field(default_factory=dict)


Change = Callable[[], Awaitable[None]]


def changes(live: Live, store: Store, count: int) -> list[tuple[str, int, Change]]:
    """Promotions of 2 and 3 by turns, each rolled back: over HTTP, by the store in this process, and now and then by
    the command line."""
    steps = []
    for i in range(count):
        how = "command" if i % 50 in (48, 49) else ("http", "store")[i // 2 % 2]
        target = None if i % 2 else 2 + i // 2 % 3 % 2
        steps.append((how, target or 1, _change(live, store, how, target)))
    return steps


def _change(live: Live, store: Store, how: str, version: int | None) -> Change:
    """One change of what is in production. version: None goes back to the one before."""

    async def by_http() -> None:
        verb = "rollback" if version is None else "promote"
        said = {} if version is None else {"version": version}
        async with Line(live.port) as line:
            reply = await line.ask(post_json(f"/api/v1/models/{NAME}/{verb}", said))
        assert reply is not None and reply.status == 200, reply

    async def by_store() -> None:
        if version is None:
            await asyncio.to_thread(store.rollback, NAME, actor="drill")
        else:
            await asyncio.to_thread(store.promote, NAME, version, actor="drill")

    async def by_command() -> None:
        what = ["rollback", NAME] if version is None else ["promote", f"{NAME}@{version}"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "medloupe", "models", *what),
            env={**os.environ, "MEDLOUPE_HOME": str(live.home)},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert await process.wait() == 0

    return {"http": by_http, "store": by_store, "command": by_command}[how]


async def swapping(
    port: int,
    oracle: Oracle,
    image: bytes,
    steps: Sequence[tuple[str, int, Change]],
    *,
    clients: int = 8,
    quiet: float = 2.0,
) -> Swaps:
    """Ask with so many clients while changes are made one after the other, each after the one before has shown.

    steps: by what means; which version answers after it; the change itself. quiet: seconds without any before.
    """
    seen = Swaps()
    replies: list[tuple[Reply, int]] = []
    changed: list[tuple[float, int]] = []  # when a version answered first, and which
    news = asyncio.Condition()
    over = False

    async def client() -> None:
        request = post(f"/api/v1/models/{NAME}/predict?heatmap=true", image)
        async with Line(port) as line:
            while not over:
                reply = await line.ask(request)
                seen.answers += 1
                if reply is None or reply.status != 200:
                    seen.failed += 1
                    continue
                said = reply.json()
                seen.mixed += not oracle.agrees(said)
                async with news:
                    replies.append((reply, said["version"]))
                    news.notify_all()

    async def shown(version: int, since: float) -> float:
        """When a request that was sent after `since` was answered by the version."""
        at = len(replies)
        async with news:
            while True:
                for reply, number in replies[max(0, at - 2 * clients) :]:
                    if number == version and reply.started >= since:
                        return reply.ended
                await news.wait()

    asking = [asyncio.create_task(client()) for _ in range(clients)]
    await asyncio.sleep(quiet)
    seen.quiet = [reply.ms for reply, _ in replies]
    changed.append((time.monotonic(), 0))
    first = len(replies)
    for how, version, change in steps:
        begun = time.monotonic()
        await change()
        acknowledged = time.monotonic()
        at = await asyncio.wait_for(shown(version, begun), 30)
        seen.stale += sum(
            number != version and reply.started > at and reply.ended < time.monotonic()
            for reply, number in replies[-4 * clients :]
        )
        seen.delays.append(max(0.0, at - acknowledged))
        seen.by[how] = seen.by.get(how, 0) + 1
        seen.swaps += 1
    over = True
    await asyncio.gather(*asking)
    seen.busy = [reply.ms for reply, _ in replies[first:]]
    return seen


# ------------------------------------------------------------------ signals


@dataclass
class Leaving:
    """What clients saw of a server that was told to end. lost_fresh, lost_kept: requests that were sent whole and got
    no answer, on a connection's first request or on a later one. refused: connections refused after the door was
    closed. other: statuses besides 200."""

    answered: int = 0
    lost_fresh: int = 0
    lost_kept: int = 0
    refused: int = 0
    other: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def lost(self) -> int:
        return self.lost_fresh + self.lost_kept


async def leaving(
    port: int, request: bytes, stop: Callable[[], Any], gone: Callable[[], bool], *, clients: int = 8, idle: float = 0.0
) -> Leaving:
    """Ask with so many clients, stop the server after a moment, and go on until nobody lets them in.

    idle: the longest pause of a client between two requests, in seconds: connections then are idle when it leaves.
    """
    seen = Leaving()
    rng = np.random.default_rng(clients)

    async def client() -> None:
        async with Line(port) as line:
            while (reply := await line.ask(request)) is not None:
                if reply.status == 200:
                    seen.answered += 1
                elif reply.status == 0 and reply.fresh:
                    seen.lost_fresh += 1
                elif reply.status == 0:
                    seen.lost_kept += 1
                else:
                    seen.other[reply.status] = seen.other.get(reply.status, 0) + 1
                if idle:
                    await asyncio.sleep(float(rng.uniform(0, idle)))
        seen.refused += 1

    asking = [asyncio.create_task(client()) for _ in range(clients)]
    await asyncio.sleep(float(rng.uniform(0.3, 0.6)) + idle)
    began = time.monotonic()
    stop()
    await asyncio.gather(*asking)
    while not gone():
        await asyncio.sleep(0.02)
    seen.seconds = time.monotonic() - began
    return seen


# ------------------------------------------------------------------ kills


@dataclass
class Told:
    """What a server acknowledged before it was killed. answers: by id, what it said. feedback: by id. versions: what
    may be in production: what the last acknowledged change put there, and one that was asked for and not answered."""

    answers: dict[str, Any] = field(default_factory=dict)
    feedback: dict[str, bool] = field(default_factory=dict)
    versions: set[int] = field(default_factory=set)


async def until_killed(port: int, image: bytes, seconds: float, kill: Callable[[], Any], told: Told) -> None:
    """Predictions, feedback and promotions by four clients, killed after so many seconds; told gets what was heard."""
    ask = post(f"/api/v1/models/{NAME}/predict", image)

    async def client(number: int) -> None:
        turn = 0
        async with Line(port) as line:
            while (reply := await line.ask(ask)) is not None and reply.status == 200:
                said = reply.json()
                told.answers[said["id"]] = said
                turn += 1
                right = (turn + number) % 2 == 0
                reply = await line.ask(post_json(f"/api/v1/predictions/{said['id']}/feedback", {"right": right}))
                if reply is None or reply.status != 200:
                    break
                told.feedback[said["id"]] = right
        assert reply is None or reply.status in (0, 200), reply

    async def promoter() -> None:
        async with Line(port) as line:
            while True:
                target = 1 if told.versions == {2} else 2
                told.versions |= {target}
                reply = await line.ask(post_json(f"/api/v1/models/{NAME}/promote", {"version": target}))
                if reply is None or reply.status == 0:
                    return
                assert reply.status == 200, reply
                told.versions = {target}

    asking = [asyncio.create_task(client(i)) for i in range(4)] + [asyncio.create_task(promoter())]
    await asyncio.sleep(seconds)
    kill()
    await asyncio.gather(*asking)


def in_production(live: Live) -> int:
    """The version that a server answers with."""
    return live.ask(NAME, picture()).json()["version"]


def lost(home: Path, told: Told, *, kept: bool = True) -> int:
    """How many acknowledged predictions and comments the database does not have, or not as they were told.

    kept: whether the images must be there, too.
    """
    from sqlalchemy import select

    from medloupe.store.tables import FeedbackRow, PredictionRow

    with Store(home).engine.connect() as c:
        rows = {row.id: row for row in c.execute(select(PredictionRow)).all()}
        said = {row.prediction_id: row.right for row in c.execute(select(FeedbackRow)).all()}
    count = sum(told.feedback[id] != said.get(id) for id in told.feedback)
    for id, answer in told.answers.items():
        row = rows.get(id)
        there = not kept or (row and row.kept and (home / "kept" / id[:2] / f"{id}.{row.kept}").is_file())
        same = row and there and (row.model, row.version) == (answer["model"], answer["version"])
        count += not same or row.answer["probabilities"] != answer["probabilities"]
    return count


def age(home: Path) -> None:
    """Make the kept images two hours older: younger ones might belong to a request that is being answered."""
    for path in (home / "kept").rglob("*"):
        os.utime(path, (time.time() - 7200,) * 2)


def orphans(home: Path) -> int:
    """How many kept images belong to no prediction."""
    from sqlalchemy import select

    from medloupe.store.tables import PredictionRow

    with Store(home).engine.connect() as c:
        known = set(c.scalars(select(PredictionRow.id)))
    return sum(path.is_file() and path.stem not in known for path in (home / "kept").rglob("*"))


# ------------------------------------------------------------------ overload


@dataclass
class Overload:
    """capacity: answers a second of eight clients. offered: requests a second sent. rejected, accepted, health:
    latencies in ms. wrong: 503 without Retry-After, 200 with other probabilities, other statuses, health not 200.
    late: ms by which the generator itself was behind."""

    capacity: float = 0.0
    offered: float = 0.0
    rejected: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


async def capacity(port: int, image: bytes, seconds: float, clients: int = 8) -> float:
    """Answers a second."""
    request, until, count = post(f"/api/v1/models/{NAME}/predict", image), time.monotonic() + seconds, 0

    async def client() -> None:
        nonlocal count
        async with Line(port) as line:
            while time.monotonic() < until:
                reply = await line.ask(request)
                count += reply is not None and reply.status == 200

    await asyncio.gather(*(client() for _ in range(clients)))
    return count / seconds


async def overload(
    port: int, oracle: Oracle, image: bytes, *, times: float = 10, seconds: float = 5, calm: float = 2
) -> Overload:
    """Requests at so many times the capacity, whether or not the ones before were answered; health is asked meanwhile.

    calm: seconds of measuring the capacity.
    """
    seen = Overload(capacity=await capacity(port, image, calm))
    seen.offered = times * seen.capacity
    request = post(f"/api/v1/models/{NAME}/predict", image)
    free: list[Line] = []
    over = False

    async def one(due: float) -> None:
        seen.late.append(1000 * (time.monotonic() - due))
        line = free.pop() if free else Line(port)
        reply = await line.ask(request)
        if reply is None or reply.status == 0:
            seen.wrong.append("no answer")
            return
        free.append(line)
        if reply.status == 503:
            seen.rejected.append(reply.ms)
            if not reply.headers.get("retry-after", "").isdigit() or reply.json()["error"]["code"] != "busy":
                seen.wrong.append(f"503 {reply.headers} {reply.body[:200]!r}")
        elif reply.status == 200 and oracle.agrees(reply.json()):
            seen.accepted.append(reply.ms)
        else:
            seen.wrong.append(f"{reply.status} {reply.body[:200]!r}")

    async def health() -> None:
        async with Line(port) as line:
            while not over:
                reply = await line.ask(get("/healthz"))
                if reply is None or reply.status != 200:
                    seen.wrong.append("health")
                else:
                    seen.health.append(reply.ms)
                await asyncio.sleep(0.05)

    watching = asyncio.create_task(health())
    began = time.monotonic()
    sent: list[asyncio.Task[None]] = []
    for i in range(int(seconds * seen.offered)):
        due = began + i / seen.offered
        if due > time.monotonic():
            await asyncio.sleep(due - time.monotonic())
        elif i % 8 == 0:
            await asyncio.sleep(0)
        sent.append(asyncio.create_task(one(due)))
    await asyncio.gather(*sent)
    over = True
    await watching
    for line in free:
        line.close()
    await asyncio.sleep(0)
    return seen
