"""What comes in: bodies within limits, forms in memory, and a no in time."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from medloupe.serving.http import intake, room
from medloupe.serving.http.errors import HttpError
from medloupe.serving.http.intake import MAX_IMAGES, Admission, read_upload

LIMIT = 1 << 20
Ask = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def admission() -> Admission:
    return Admission(places=2)


@pytest.fixture
def ask(admission: Admission) -> Ask:
    """Sends a request to an application that says what `read` made of it."""

    async def answer(request: Request) -> JSONResponse:
        try:
            with admission.room() as room:
                upload = await read_upload(request, room, LIMIT)
                held = admission.bytes
        except HttpError as e:
            return JSONResponse(e.as_json(), e.status, e.headers)
        return JSONResponse({"images": [[n, d.hex()] for n, d in upload.images], "fields": upload.fields, "held": held})

    app = Starlette(routes=[Route("/", answer, methods=["POST"])])

    async def send(**parts: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.post("/", **parts)

    return send


def test_a_form_with_several_images_and_fields(ask: Ask, admission: Admission) -> None:
    files = [("image", ("ä.png", b"one")), ("image", ("b.dcm", b"\x00two")), ("other", ("c", b"three"))]
    said = asyncio.run(ask(files=files, data={"user": "Ana"})).json()
    assert said["images"] == [["ä.png", b"one".hex()], ["b.dcm", b"\x00two".hex()]]
    assert said["fields"] == {"user": "Ana"}
    assert said["held"] > 0
    assert (admission.bytes, admission.taken) == (0, 0)


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "application/dicom", "application/octet-stream"])
def test_a_body_that_is_the_image(ask: Ask, kind: str) -> None:
    said = asyncio.run(ask(content=b"pixels", headers={"Content-Type": kind})).json()
    assert said["images"] == [["", b"pixels".hex()]]


def test_uploads_stay_in_memory(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    def rolled(self: Any) -> None:
        raise AssertionError("an upload was written to a temporary file")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rolled)
    monkeypatch.setattr(intake, "_ALL_BODIES", 1 << 30)
    said = asyncio.run(ask(files={"image": ("x", b"1" * (LIMIT - 1000))})).json()
    assert len(said["images"][0][1]) == 2 * (LIMIT - 1000)


_PART = b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'


async def _pieces(total: int) -> AsyncIterator[bytes]:
    yield _PART
    for _ in range(0, total, 1 << 16):
        yield b"1" * (1 << 16)


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ({"content": b"1" * (LIMIT + 1), "headers": {"Content-Type": "image/png"}}, 413, "too_large"),
        ({"content": "pieces", "headers": {"Content-Type": "image/png"}}, 413, "too_large"),
        ({"content": "pieces", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 413, "too_large"),
        ({"content": b"{}", "headers": {"Content-Type": "application/json"}}, 415, "unsupported_media_type"),
        ({"content": b"", "headers": {"Content-Type": "image/png"}}, 422, "no_image"),
        ({"data": {"image": "text, not a file"}}, 422, "no_image"),
        ({"files": {"picture": ("x.png", b"1")}}, 422, "no_image"),
        ({"content": b"garbage", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 422, None),
        ({"content": b"garbage", "headers": {"Content-Type": "multipart/form-data"}}, 422, "bad_form"),
        ({"files": [("image", (f"{i}", b"1")) for i in range(MAX_IMAGES + 1)]}, 422, "bad_form"),
    ],
)
def test_what_cannot_be_taken_is_said(ask: Ask, parts: dict[str, Any], status: int, code: str | None) -> None:
    if parts.get("content") == "pieces":
        parts = {**parts, "content": _pieces(2 * LIMIT)}
    answer = asyncio.run(ask(**parts))
    error = answer.json()["error"]
    assert answer.status_code == status
    assert code in (None, error["code"])
    assert error["message"]


BASE64 = base64.b64encode(bytes(range(256)) * 4).decode()
NAMELESS = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n\x89PNG\r\n\x1a\n\x00\x01\r\n--b--\r\n'
UNCHOSEN = b'--b\r\nContent-Disposition: form-data; name="image"; filename=""\r\n\r\n\r\n--b--\r\n'
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("parts", "message", "hint"),
    [
        ({"content": NAMELESS, "headers": MULTIPART}, "without a file name", 'filename="scan.png"'),
        ({"files": {"picture": ("x.png", b"1")}}, "as the part `picture`; expected `image`", "Name it `image`"),
        ({"files": {"": ("x.png", b"1")}}, "as the part ``", "Name it `image`"),
        ({"data": {"image": BASE64}, "files": {"x": ("", b"")}}, "is text in base64", "bytes of the file"),
        ({"data": {"image": f"data:image/png;base64,{BASE64}"}, "files": {"x": ("", b"")}}, "base64", "bytes"),
        ({"data": {"image": "/home/me/scan.png"}, "files": {"x": ("", b"")}}, "the name of a file", "by the sign @"),
        ({"data": {"image": "scan.png"}}, "x-www-form-urlencoded", "multipart/form-data"),
        ({"files": {"image": ("", b"")}}, "no file was chosen", "Choose a file"),
        ({"content": UNCHOSEN, "headers": MULTIPART}, "no file was chosen", "Choose a file"),
        (
            {"data": {"model": "spots"}, "files": {"model2": (None, "x")}},
            "has `model`, `model2` and no part",
            "`image`",
        ),
        ({"content": b"", "headers": {"Content-Type": "image/png"}}, "body of the request is empty", "whole body"),
        ({"content": b"", "headers": {}}, "body of the request is empty", "whole body"),
    ],
)
def test_why_no_image_came_is_said(ask: Ask, parts: dict[str, Any], message: str, hint: str) -> None:
    answer = asyncio.run(ask(**parts))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "no_image")
    assert message in error["message"]
    assert hint in error["hint"]


def test_an_empty_file_is_no_image(ask: Ask) -> None:
    answer = asyncio.run(ask(files={"image": ("a.png", b"")}))
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "not_an_image")
    assert "is an empty file (a.png)" in answer.json()["error"]["message"]


def test_json_is_told_where_it_is_read(ask: Ask) -> None:
    answer = asyncio.run(ask(json={"image": BASE64}))
    assert answer.status_code == 415
    assert "/v2/models/NAME/infer" in answer.json()["error"]["hint"]


def test_an_empty_file_among_others_is_not_dropped(ask: Ask) -> None:
    answer = asyncio.run(ask(files=[("image", ("a.png", b"1")), ("image", ("b.png", b""))]))
    assert [name for name, _ in answer.json()["images"]] == ["a.png", "b.png"]


def test_a_body_that_stops_coming_is_given_up(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_PATIENCE", 0.1)

    async def stalled() -> AsyncIterator[bytes]:
        yield b"begin"
        await asyncio.sleep(5)
        yield b"end"

    answer = asyncio.run(ask(content=stalled(), headers={"Content-Type": "image/png"}))
    assert (answer.status_code, answer.json()["error"]["code"]) == (408, "too_slow")


def test_a_body_that_trickles_is_given_up(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_PATIENCE", 0.2)

    async def trickling() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"1"
            await asyncio.sleep(0.02)

    answer = asyncio.run(ask(content=trickling(), headers={"Content-Type": "image/png"}))
    assert (answer.status_code, answer.json()["error"]["code"]) == (408, "too_slow")
    monkeypatch.setattr(intake, "_SLOWEST", 20)  # bytes a second
    assert asyncio.run(ask(content=trickling(), headers={"Content-Type": "image/png"})).status_code == 200


def test_nobody_sends_a_body_when_there_is_no_place(admission: Admission) -> None:
    async def crowd() -> None:
        with admission.place(), admission.place():
            with pytest.raises(HttpError) as error, admission.room():
                pass
            assert error.value.status == 503
        with admission.room():
            assert admission.taken == 0, "who is still sending takes no place"

    asyncio.run(crowd())


def test_all_uploads_together_are_bounded(ask: Ask, admission: Admission, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_ALL_BODIES", 1000)
    answer = asyncio.run(ask(content=b"1" * 2000, headers={"Content-Type": "image/png"}))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
    assert answer.headers["Retry-After"].isdigit()
    assert admission.bytes == 0


def test_no_more_places_than_there_are(admission: Admission) -> None:
    async def crowd() -> None:
        with admission.place(), admission.place():
            with pytest.raises(HttpError) as error, admission.place():
                pass
            assert error.value.status == 503
            assert int(error.value.headers["Retry-After"]) >= 1
        with admission.place():
            assert admission.taken == 1
        assert (admission.taken, admission.rejected) == (0, 1)

    asyncio.run(crowd())


# ------------------------------------------------------------------ uploads that hardly come in


async def trickle(first: int, piece: int, every: float, times: int) -> AsyncIterator[bytes]:
    yield b"x" * first
    for _ in range(times):
        await asyncio.sleep(every)
        yield b"x" * piece


def uploads(admission: Admission, limit: int) -> Callable[[AsyncIterator[bytes]], Awaitable[int]]:
    """Reads a body as routes do; its status."""

    async def upload(body: AsyncIterator[bytes]) -> int:
        async def receive() -> dict[str, Any]:
            try:
                return {"type": "http.request", "body": await anext(body), "more_body": True}
            except StopAsyncIteration:
                return {"type": "http.request", "body": b"", "more_body": False}

        headers = [(b"content-type", b"image/png")]
        request = Request({"type": "http", "method": "POST", "headers": headers, "query_string": b""}, receive)
        try:
            with admission.room() as room:
                await read_upload(request, room, limit)
        except HttpError as e:
            return e.status
        return 200

    return upload


def test_unfinished_uploads_give_way_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight that stopped at almost the most that all may hold, as one attacker can."""
    monkeypatch.setattr(room, "STALLED", 0.2)
    monkeypatch.setattr(intake, "_ALL_BODIES", 8 * LIMIT)
    admission = Admission(places=4)
    upload = uploads(admission, LIMIT)

    async def drill() -> tuple[int, list[int]]:
        held = [asyncio.create_task(upload(trickle(LIMIT - 10, 0, 60, 1))) for _ in range(4)]
        held += [asyncio.create_task(upload(trickle(LIMIT - 100, 1, 0.05, 90))) for _ in range(4)]
        await asyncio.sleep(0.7)
        assert admission.bytes > 7.9 * LIMIT
        status = await asyncio.wait_for(upload(trickle(LIMIT // 2, LIMIT // 4, 0.01, 1)), 5)
        given_up = sum(task.done() for task in held)
        for task in held:
            task.cancel()
        said = await asyncio.gather(*held, return_exceptions=True)
        return status, [s for s in said if isinstance(s, int)] + [given_up]

    status, said = asyncio.run(drill())
    assert status == 200 and said == [408, 1] and admission.bytes == 0


def test_uploads_that_come_in_do_not_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "STALLED", 0.2)
    monkeypatch.setattr(intake, "_CROWDED", 100)
    monkeypatch.setattr(intake, "_ALL_BODIES", 2 * LIMIT)
    admission = Admission(places=4)
    upload = uploads(admission, LIMIT)

    async def drill() -> list[int]:
        held = [asyncio.create_task(upload(trickle(LIMIT - 5000, 100, 0.02, 40))) for _ in range(2)]
        await asyncio.sleep(0.5)
        return [await upload(trickle(LIMIT // 2, 0, 0, 0)), *await asyncio.gather(*held)]

    assert asyncio.run(drill()) == [503, 200, 200] and admission.bytes == 0


def test_a_body_may_not_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_PATIENCE", 0.2)
    monkeypatch.setattr(intake, "_SLOWEST", 10_000)
    upload = uploads(Admission(places=4), LIMIT)

    async def timed(body: AsyncIterator[bytes]) -> tuple[int, float]:
        begun = asyncio.get_running_loop().time()
        return await upload(body), asyncio.get_running_loop().time() - begun

    # Much at once buys no time to trickle afterwards.
    status, took = asyncio.run(timed(trickle(LIMIT // 2, 1, 0.02, 500)))
    assert status == 408 and took < 5
    assert asyncio.run(timed(trickle(100, 1000, 0.02, 20)))[0] == 200
    monkeypatch.setattr(intake, "_LONGEST", 0.5)
    status, took = asyncio.run(timed(trickle(100, 1000, 0.02, 500)))
    assert status == 408 and took < 5
