"""Files made to bring a server down, sent to a real one: each is answered with a sentence that helps, within bounds."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import onnx
import pytest

import badmodels as files
import drills
import hostile
import tiny
from burden import burden, settled
from live import Live, running
from medloupe.modelfile.writer import write_onnx
from medloupe.serving.http.intake import MAX_BODY
from mutations import mutations
from trained import Trained
from unharmed import unharmed

MOST_MIB = 150
MOST_SECONDS = 2.0  # of processors; other programs do not count
PREDICT = f"/api/v1/models/{drills.NAME}/predict"


def helps(answer: httpx.Response) -> bool:
    """Whether an error is told in sentences: what happened, and what to do."""
    error = answer.json()["error"]
    whole = set(error) == {"code", "message", "hint"} and error["code"].replace("_", "").isalpha()
    return whole and error["message"].endswith(".") and len(error["message"].split()) > 3


# ------------------------------------------------------------------ images


def test_hostile_images(server: Live) -> None:
    """In bounds of time and memory; what is odd but sound is answered."""
    wrong = []
    for name, data, readable in hostile.images():
        with burden(server.process.pid) as cost:
            answer = server.ask(drills.NAME, data)
        fits = (
            answer.status_code == 200
            if readable and len(data) < MAX_BODY
            else answer.status_code in (413, 415, 422) and helps(answer)
        )
        if not fits or cost.mib > MOST_MIB or cost.seconds > MOST_SECONDS:
            wrong.append((name, answer.status_code, answer.text[:200], cost))
    assert wrong == []
    unharmed(server)


@pytest.mark.parametrize(
    "name", ["scan.exe", "../../etc/passwd", "a\x00b.png", "x" * 1_000, "<script>.dcm", "\u202egnp.exe"]
)
def test_the_name_of_a_file_means_nothing(server: Live, name: str) -> None:
    with server.client() as client:
        answer = client.post(PREDICT, files={"image": (name, drills.picture(), "application/x-evil")})
    assert answer.status_code == 200
    assert answer.json()["model"] == drills.NAME
    unharmed(server)


@pytest.mark.slow
def test_damaged_files_by_the_thousand(server: Live) -> None:
    """2,000 of them from 4 clients: never a 5xx, and the server is none the worse for it."""
    asyncio.run(_all_sent(server.port, mutations(100, seed=1)))  # what is imported when first needed is no burden
    before = settled(server.process.pid)
    statuses, wrong = asyncio.run(_all_sent(server.port, mutations(2_000, seed=9)))
    assert wrong == []
    assert sum(statuses.values()) == 2_000
    assert min(statuses[code] for code in (200, 415, 422)) > 50, f"not much of a test: {statuses}"
    unharmed(server)
    assert settled(server.process.pid) - before < 64


async def _all_sent(port: int, damaged: Iterator[tuple[str, bytes]]) -> tuple[dict[int, int], list[Any]]:
    statuses: dict[int, int] = {}
    wrong: list[Any] = []

    async def client() -> None:
        line = drills.Line(port)
        for what, data in damaged:
            reply = await line.ask(drills.post(PREDICT, data))
            assert reply is not None
            statuses[reply.status] = statuses.get(reply.status, 0) + 1
            said = reply.json() if reply.headers["content-type"] == "application/json" else {}
            sound = set(said.get("error", ())) == {"code", "message", "hint"}
            fits = "probabilities" in said if reply.status == 200 else sound and reply.status in (413, 415, 422)
            if not fits:
                wrong.append((what, reply.status, reply.body[:200]))
        line.close()

    await asyncio.gather(*(client() for _ in range(4)))
    return statuses, wrong


# ------------------------------------------------------------------ model files


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small model file that the server takes."""
    path = tmp_path_factory.mktemp("valid") / "model.onnx"
    write_onnx(tiny.model(path.parent), path)
    return path.read_bytes()


def _located(location: str) -> Callable[[onnx.ModelProto], None]:
    """Weights in another file."""

    def change(graph: onnx.ModelProto) -> None:
        files.external_initialiser(graph)
        tensor = next(t for t in graph.graph.initializer if t.data_location)
        next(entry for entry in tensor.external_data if entry.key == "location").value = location

    return change


_CHANGES: dict[str, Callable[[onnx.ModelProto], None]] = {
    **{f"weights in {at}": _located(at) for at in ("other.bin", "../../etc/passwd", "/proc/self/environ", "link/x")},
    **{
        change.__name__: change
        for change in (
            *(files.external_attribute, files.custom_operator, files.custom_domain, files.function, files.conditional),
            *(files.huge_claim, files.overflowing_claim, files.negative_claim, files.constant_bomb, files.tile_bomb),
            *(files.many_nodes, files.slow_product, files.cycle, files.no_nodes, files.wrong_type, files.not_a_number),
        )
    },
}


def _uploads(valid: bytes) -> Iterator[tuple[str, bytes]]:
    for name, change in _CHANGES.items():
        yield name, files.changed(valid, change)
    yield "text", b"not ONNX at all\n" * 100
    yield "a picture", drills.picture()
    yield "a pickle", b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R."
    yield "zeros", bytes(100_000)
    for part in (0.1, 0.5, 0.99):
        yield f"cut at {part}", valid[: int(part * len(valid))]
    yield "empty", b""


@pytest.mark.slow
def test_hostile_model_files(server: Live, valid: bytes) -> None:
    """Refused with a reason; nothing of them is kept."""
    wrong = []
    with server.client() as client:

        def sent(data: bytes) -> httpx.Response:
            return client.post("/api/v1/models/guest/versions", content=data)

        assert sent(valid).status_code == 201  # so that a refusal means something
        with burden(server.process.pid) as usual:
            assert sent(valid).status_code == 201
        for name, data in _uploads(valid):
            with burden(server.process.pid) as cost:
                answer = sent(data)
            refused = answer.status_code in (413, 422) and helps(answer)
            if not refused or cost.mib > max(MOST_MIB, usual.mib) or cost.seconds > usual.seconds + MOST_SECONDS:
                wrong.append((name, answer.status_code, answer.text[:200], cost))
            elif str(server.home) in answer.text or "/tmp" in answer.text:
                wrong.append((name, "tells paths of the server", answer.text))
        told = client.get("/api/v1/models/guest").json()
    assert wrong == []
    assert [v["version"] for v in told["versions"]] == [1, 2]
    unharmed(server)


def test_many_model_files_at_once_are_read_one_by_one(server: Live, valid: bytes) -> None:
    def sent(number: int) -> int:
        with server.client() as client:
            return client.post(f"/api/v1/models/crowd-{number}/versions", content=valid).status_code

    with burden(server.process.pid) as alone:
        assert sent(0) == 201
    with burden(server.process.pid) as together, ThreadPoolExecutor(5) as crowd:
        assert list(crowd.map(sent, range(1, 6))) == [201] * 5
    assert together.mib < 2 * alone.mib


@pytest.fixture(scope="module")
def server(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server of its own, which has answered once."""
    home = tmp_path_factory.mktemp("hostile") / "home"
    shutil.copytree(_trained.home, home)
    with running(home) as live:
        for _ in range(4):
            assert live.ask(drills.NAME, drills.picture()).status_code == 200
        yield live
