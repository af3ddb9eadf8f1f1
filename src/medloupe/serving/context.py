"""Give routes what they may reach of the running server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request

from medloupe.accounts.log import audit_row
from medloupe.accounts.person import Person
from medloupe.data.modalities import PICTURES, recognise_upload
from medloupe.erasure.eraser import Eraser
from medloupe.errors import NotAnImageError
from medloupe.facilities.directory import Directory
from medloupe.imaging.photo import Photo, read_photo_request
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.service import Service
from medloupe.serving.http.intake import Admission, Upload
from medloupe.serving.http.threads import run_write
from medloupe.store.queue import JobQueue

_LOOKED_AT = 224  # pixels, as a network's input, to which a photograph is decoded
LOOK_SECONDS = 0.5
"""For which an answer waits until the look at it is in the audit log."""
log = logging.getLogger("medloupe.serving")


def service_of(request: Request) -> Service:
    """Return the running service."""
    return request.app.state.service


def admission_of(request: Request) -> Admission:
    """Return what lets requests in."""
    return request.app.state.admission


def jobs_of(request: Request) -> JobQueue:
    """Return the queue of long tasks."""
    return JobQueue(service_of(request).store.engine)


def eraser_of(request: Request) -> Eraser:
    """Return what forgets patients."""
    return request.app.state.eraser


def facilities_of(request: Request) -> Directory:
    """Return the lists of facilities, as they are now."""
    return request.app.state.facilities.directory


def note_answer(request: Request, answer: Answer) -> None:
    """Note which model and version answered, for the log line and the figures."""
    request.scope["state"]["noted"] = {"model": answer.prediction.model, "version": answer.prediction.version}
    request.app.state.metrics.count_answer(answer)


async def log_look(request: Request, person: Person, action: str, ids: Sequence[str]) -> None:
    """Add a line to the audit log: whose answers, or picture, a person looks at.

    The answer does not wait for it longer than LOOK_SECONDS; the line is written all the same.

    Parameters
    ----------
    request, person
        Who looks.
    action
        "answer.look", "image.look" or "history.look".
    ids
        Of the answers.
    """
    journal = service_of(request).journal
    hidden = [journal.keyed(id) for id in ids]
    detail = {"answers": hidden} if len(hidden) != 1 else None
    row = audit_row(person.name, action, hidden[0] if detail is None else "", detail, request.state.request_id)
    written = asyncio.ensure_future(journal.log([row]))
    _writing.add(written)  # it goes on when the request is over
    written.add_done_callback(_report)
    await asyncio.wait({written}, timeout=LOOK_SECONDS)


_writing: set[asyncio.Future[None]] = set()


def _report(written: asyncio.Future[None]) -> None:
    _writing.discard(written)
    if not written.cancelled() and (fault := written.exception()) is not None:
        log.error("a look was not logged", extra={"reason": str(fault)})


def keyed(request: Request, id: str) -> str:
    """Return what stands in the audit log for the id of an answer."""
    return service_of(request).journal.keyed(id)


async def add_to_audit_log(
    request: Request, person: Person, action: str, object: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Add a line to the audit log: what a person did to what."""
    people = request.app.state.people
    await run_write(people.log.add, person.name, action, object, detail, request.state.request_id)


async def find_in_photograph(request: Request, upload: Upload) -> dict[str, Any]:
    """Find the picture in the only photograph of a request, and tell it as api.photos.FoundPhotoOut.

    Raises
    ------
    ImageError
        It cannot be read, or the corners given cannot be.
    HttpError
        There are several, or no place.
    """
    file, data = upload.one()
    if not isinstance(data, bytes) or recognise_upload(data, file) is not PICTURES:
        raise NotAnImageError(f"{file or 'The file'} is no picture.", "Only pictures can be photographs of one.")
    asked = read_photo_request(upload.fields.get("photo"), upload.fields.get("corners"))
    service = service_of(request)
    with admission_of(request).place():
        decoded = await service.in_pool(service.decoders.decode, data, _LOOKED_AT, asked)
    width, height = decoded.given_size
    photo = decoded.photo or Photo(corners=None, confidence=0.0, given=False, width=width, height=height)
    return {**photo.as_json(), "width": width, "height": height}
