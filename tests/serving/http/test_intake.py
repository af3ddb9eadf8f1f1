"""What comes in: bodies within limits, forms in memory, and a no in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from medloupe.serving.http import intake
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
