"""Take requests in, within limits: how many, how many bytes, and how long they may take to come."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi.routing import APIRoute
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message

from medloupe.ecg.recording_files import Source, group_files
from medloupe.model.applies import PREFIX
from medloupe.serving.http import missing
from medloupe.serving.http.errors import HttpError
from medloupe.serving.http.room import Room

MAX_BODY = 40 * 2**20
"""Largest request. Decoding a refused DICOM file may hold its bytes three times."""

MAX_IMAGES = 32
"""Most images in one request."""

MAX_FIELDS = 128
"""Most other parts of a form: a model may read 64 columns beside the picture."""

MAX_SAID = 64 * 2**10
"""Largest body of the routes that take JSON."""

_ALL_BODIES = 8 * MAX_BODY  # bytes of all requests that are being read or answered
# How names of fields begin that may stand in the address, too.
_IN_ADDRESS = ("rate", "gain", "start", "photo", "corners", "cropped", "shrunk", PREFIX)
_PATIENCE = 30.0  # seconds to wait for the next bytes of a body
_SLOWEST = 2048  # bytes a second, in any half minute: a phone at the edge of a network has more
_LONGEST = 600.0  # seconds for a whole body
_CROWDED = 64 * 2**10  # bytes a second below which an upload gives way when others need its room
_CHARSETS = (b"utf-8", b"utf8", b"us-ascii", b"ascii", b"iso-8859-1", b"latin-1")
_RAW = ("image/", "application/dicom", "application/octet-stream", "text/csv", "application/edf")
_FILES = ("image", "images", "image[]", "signal", "ecg", "file")
_NAMED = {"text/csv": "body.csv", "application/edf": "body.edf"}  # of a body, where its kind tells more than its bytes


@dataclass(slots=True)
class Upload:
    """What a request brought.

    Attributes
    ----------
    images : list of (str, Source)
        File name and bytes of each picture or ECG, in their order; the files of one WFDB recording are one.
    fields : dict
        The other parts of a form.
    """

    images: list[tuple[str, Source]] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)

    def one(self) -> tuple[str, Source]:
        """Return the only image: its file name and bytes.

        Raises
        ------
        HttpError
            422 when there are several.
        """
        if len(self.images) != 1:
            raise HttpError(422, "one_image", f"Expected one image, not {len(self.images)}.", "Send them one by one.")
        return self.images[0]


class Admission:
    """Lets requests in, and tells those that would wait too long at once to come back.

    Attributes
    ----------
    places : int
        Requests that may be at work or waiting together.
    taken : int
        How many are.
    bytes : int
        Bytes of bodies held in memory.
    rejected : int
        Requests told to come back since the start.
    draining : bool
        Whether the server is about to end.
    """

    def __init__(self, places: int):
        self.places = places
        self.taken = 0
        self.bytes = 0
        self.rejected = 0
        self._seconds = 0.05  # of one request, a moving average
        self._reading: set[Room] = set()
        self.draining = False

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while the block runs.

        Raises
        ------
        HttpError
            503 with Retry-After where there is none.
        """
        if self.taken >= self.places:
            raise self.busy()
        loop = asyncio.get_running_loop()
        started = loop.time()
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
            self._seconds += 0.05 * (min(loop.time() - started, 60) / max(1, self.taken + 1) - self._seconds)

    @contextmanager
    def room(self) -> Iterator[Room]:
        """Hold memory for a body while the block runs.

        A place is for when the body is there, or slow clients would hold them all.

        Raises
        ------
        HttpError
            503 where there is no place now, so that no body is sent in vain.
        """
        if self.taken >= self.places:
            raise self.busy()
        room = Room(self._claim)
        self._reading.add(room)
        try:
            yield room
        finally:
            self._reading.discard(room)
            self.bytes -= room.bytes

    def busy(self) -> HttpError:
        """Make the error for whom there is no place, and count it."""
        return self._busy(f"All {self.places} places are taken.")

    def _busy(self, message: str) -> HttpError:
        self.rejected += 1
        wait = max(1, math.ceil(self._seconds * self.taken))
        return HttpError(
            503, "busy", f"The server is busy. {message}", f"Try again in {wait} s.", {"Retry-After": str(wait)}
        )

    def _claim(self, size: int) -> None:
        """Take memory for a piece of a body. Raises HttpError where there is none."""
        if self.bytes + size > _ALL_BODIES and not self._make_room(size):
            raise self._busy("Too many large uploads at once.")
        self.bytes += size

    def _make_room(self, size: int) -> bool:
        """Take the room of uploads that hardly come in any more, the slowest first; tell whether that was enough."""
        now = time.monotonic()
        for room in sorted(self._reading, key=lambda room: room.rate(now)):
            if self.bytes + size <= _ALL_BODIES or room.rate(now) >= _CROWDED:
                break
            self.bytes -= room.give_way()
        return self.bytes + size <= _ALL_BODIES


async def read_upload(request: Request, room: Room, limit: int = MAX_BODY) -> Upload:
    """Read the images and fields of a request.

    It is a form with the part `image`, repeated, or one image as the whole body. What an ECG comes in counts as an
    image here.

    Parameters
    ----------
    request
        Whose body is read.
    room
        Holds memory for it.
    limit
        Most bytes of the body.

    Raises
    ------
    HttpError
        413 over the limit, 415 for another kind of body, 422 without an image, 408 when it stops coming.
    """
    kind = request.headers.get("content-type", "").lower()
    if kind.startswith("multipart/form-data"):
        return await _form(request, room, limit)
    if kind.startswith(_RAW) or not kind:
        data = b"".join([chunk async for chunk in read_body(request, room, limit)])
        if not data:
            raise missing.empty_body()
        name = _NAMED.get(kind.partition(";")[0].strip(), "")
        return Upload(images=[(name, data)], fields=dict(request.query_params))
    if kind.startswith("application/x-www-form-urlencoded"):
        raise missing.urlencoded_body()
    raise missing.explain_other_body(kind)


async def read_body(request: Request, room: Room | None, limit: int = MAX_BODY) -> AsyncGenerator[bytes, None]:
    """Read a body piece by piece, never more than limit bytes of it.

    Raises
    ------
    HttpError
        413 over the limit, 408 when it stops coming, 400 when the connection is closed.
    """
    told = request.headers.get("content-length", "")
    if told.isascii() and told.isdigit() and (len(told) > 15 or int(told) > limit):
        raise _too_large(limit)
    total = 0
    stream = aiter(request.stream())
    began = marked = time.monotonic()
    total_then = 0
    while True:
        now = time.monotonic()
        left = began + _LONGEST - now
        if now - marked >= _PATIENCE:
            left = left if total - total_then >= _SLOWEST * (now - marked) else 0.0
            marked, total_then = now, total
        try:
            async with asyncio.timeout(min(left, _PATIENCE)) as timer:
                if room is not None:
                    room.timer = timer
                chunk = await anext(stream)
        except StopAsyncIteration:
            if room is not None:
                room.timer = None
            return
        except TimeoutError as e:
            if room is not None and room.gave_way:
                raise HttpError(
                    408, "too_slow", "Others needed the room, and this upload hardly came in any more.", "Try again."
                ) from e
            raise HttpError(
                408, "too_slow", f"Too few bytes came within {_PATIENCE:.0f} s.", "Check the connection and try again."
            ) from e
        except ClientDisconnect as e:
            raise HttpError(400, "disconnected", "The connection was closed in the middle of the request.") from e
        total += len(chunk)
        if total > limit:
            raise _too_large(limit)
        if room is not None:
            room.take(len(chunk))
        yield chunk


class _InMemory(MultiPartParser):
    """A parser that keeps uploads in memory: pictures of patients do not belong into temporary files."""

    spool_max_size = MAX_BODY + 1


class JsonRoute(APIRoute):
    """A route whose JSON is read within limits before FastAPI sees it, which would take any amount of it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's own handler."""
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler

        async def within_limits(request: Request) -> Response:
            data = b"".join([chunk async for chunk in read_body(request, None, MAX_SAID)])

            async def receive() -> Message:
                return {"type": "http.request", "body": data, "more_body": False}

            return await handler(Request(request.scope, receive))

        return within_limits


async def _form(request: Request, room: Room, limit: int) -> Upload:
    charset = parse_options_header(request.headers.get("content-type", ""))[1].get(b"charset", b"utf-8")
    if charset.lower() not in _CHARSETS:  # of Python's many, some are slow and some give what is no text
        raise HttpError(
            415, "unsupported_charset", f"The form is in {charset[:40].decode('latin-1')!r}.", "Send it as UTF-8."
        )
    parser = _InMemory(request.headers, read_body(request, room, limit), max_files=MAX_IMAGES, max_fields=MAX_FIELDS)
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError, HTTPException, KeyError, ValueError) as e:
        said = getattr(e, "message", None) or getattr(e, "detail", None) or str(e)
        raise HttpError(422, "bad_form", f"The form cannot be read: {said}", "Send it as multipart/form-data.") from e
    upload = Upload(fields={name: v for name, v in request.query_params.items() if name.startswith(_IN_ADDRESS)})
    files: list[tuple[str, bytes]] = []
    came: list[tuple[str, str, int]] = []
    texts: list[tuple[str, str]] = []
    for key, value in form.multi_items():
        if isinstance(value, UploadFile):
            data = await value.read()
            came.append((key, value.filename or "", len(data)))
            if key in _FILES and (data or value.filename):
                files.append((value.filename or "", data))
        else:
            texts.append((key, value))
    await form.close()
    upload.fields |= dict(texts)
    if not any(data for _, data in files):
        raise missing.explain_form(texts, came, _FILES)
    upload.images = group_files(files)
    return upload


def _too_large(limit: int) -> HttpError:
    return HttpError(
        413,
        "too_large",
        f"The request is larger than {f'{limit >> 20} MiB' if limit >= 1 << 20 else f'{limit >> 10} KiB'}.",
        "Send fewer or smaller images at once." if limit > MAX_SAID else "Write less.",
    )


def parse_flag(value: Any) -> bool:
    """Tell whether a query parameter or field says yes."""
    return str(value or "").lower() in ("1", "true", "yes", "on")
