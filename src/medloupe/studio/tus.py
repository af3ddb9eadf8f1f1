"""Serve uploads that can be resumed: tus 1.0.0 (https://tus.io) with creation, checksums and termination.

A file that fits into one request is sent with its announcement (creation-with-upload) and taken in at once. The id of a
file is chosen by who sends it (`id` of Upload-Metadata), so that an announcement whose answer was lost can be repeated.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from medloupe.errors import UnknownError
from medloupe.serving.access.auth import require
from medloupe.serving.api.schemas import ErrorBody
from medloupe.serving.context import admission_of
from medloupe.serving.http.errors import HttpError
from medloupe.serving.http.intake import read_body
from medloupe.serving.http.threads import run_file, run_read, run_write
from medloupe.studio.intake import is_archive
from medloupe.studio.state import TAKING, Studio, studio_of
from medloupe.studio.uploads import MOST_CHUNK, MOST_UPLOAD, DatasetUpload, OffsetError

_REFUSED: dict[int | str, dict[str, Any]] = {
    412: {"model": ErrorBody, "description": "Another version of tus."},
    460: {"model": ErrorBody, "description": "What came is not what was sent."},
}
router = APIRouter(responses=_REFUSED)
DatasetId = Annotated[str, InPath(min_length=1, max_length=64, description="Or its name.")]
UploadId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]
VERSION = "1.0.0"
_ID = re.compile(r"[0-9a-f]{32}")
_CHUNK = "application/offset+octet-stream"
_FIELDS = ("id", "file", "label", "labels", "patient", "site", "source", "batch", "sha256")
_MOST_META = 4096  # letters
_TOLD = {
    "Tus-Resumable": VERSION,
    "Tus-Version": VERSION,
    "Tus-Extension": "creation,creation-with-upload,checksum,termination",
    "Tus-Checksum-Algorithm": "sha256",
    "Tus-Max-Size": str(MOST_UPLOAD),
}


def _describe(required: bool, **headers: str) -> dict[str, Any]:
    """Describe the headers and the body of a request, for OpenAPI; headers: what each says, by its name."""
    told = [
        {
            "name": name.replace("_", "-"),
            "in": "header",
            "required": name in ("Upload_Length", "Upload_Offset"),
            "description": text,
            "schema": {"type": "string"},
        }
        for name, text in headers.items()
    ]
    chunk = {"schema": {"type": "string", "format": "binary", "description": "A chunk, or the whole file."}}
    return {"parameters": told, "requestBody": {"required": required, "content": {_CHUNK: chunk}}}


_ANNOUNCING = _describe(
    False, Upload_Length="Bytes that the file has.", Upload_Metadata="Names, each with its value in base64."
)
_SENDING = _describe(
    True, Upload_Offset="Where the chunk begins.", Upload_Checksum="sha256, and that of the chunk in base64."
)


class UploadOut(BaseModel):
    """A file on its way into a data set."""

    id: str
    length: int
    offset: int = Field(description="Bytes that are there.")
    file: str
    state: str = Field(description="arriving, working (an archive is being unpacked), taken or refused.")
    result: dict[str, Any] | None = Field(description="What came of it: the ids of the pictures, or how many.")
    error: str = Field(description="Why it was refused.")


@router.options("/api/v1/datasets/{id}/uploads", status_code=204, summary="What uploads may be")
async def options(request: Request, id: DatasetId) -> Response:
    """Tell the version of tus, its extensions and the largest file."""
    require(request, "trainer")
    return Response(status_code=204, headers=_TOLD)


@router.post(
    "/api/v1/datasets/{id}/uploads",
    status_code=201,
    summary="Announce a file, or send a small one",
    openapi_extra=_ANNOUNCING,
)
async def create(request: Request, id: DatasetId) -> UploadOut:
    """Upload-Length, and Upload-Metadata with `file`, `label`, `labels`, `patient`, `site`, `sha256`, `batch`, `id`.

    `labels`: of several findings those that are there, by commas; empty where none is, left out where nobody told.

    With the whole file as the body it is taken in at once. A picture that cannot be read is refused with 415 or 422.
    """
    person = require(request, "trainer")
    _check_version(request)
    studio = studio_of(request)
    await run_read(studio.sets.get, id)
    length = _number(request, "upload-length")
    meta = read_metadata(request.headers.get("upload-metadata", ""))
    key = meta.pop("id", "") or secrets.token_hex(16)
    if not _ID.fullmatch(key):
        raise HttpError(422, "bad_id", "The id of an upload is 32 hexadecimal digits.", "Leave it out.")
    chunk = await _read_chunk(request) if request.headers.get("content-type", "").startswith(_CHUNK) else b""
    whole = len(chunk) == length and not is_archive(meta.get("file", ""), chunk[:8])
    if whole:  # nothing need be kept in between: it is sent again where no answer came
        wanted = meta.get("sha256", "").lower()
        if wanted and wanted != hashlib.sha256(chunk).hexdigest():
            raise _bad_checksum()
        item = await TAKING.run(studio.intake.take_picture, id, key, chunk, meta, by=person.name)
        told = UploadOut(
            id=key,
            length=length,
            offset=length,
            file=item.file,
            state="taken",
            result={"items": [item.id]},
            error="",
        )
    else:
        upload = await run_write(studio.uploads.announce, id, key, length, meta, by=person.name)
        if chunk and upload.offset == 0:
            upload = await _append(studio, upload, 0, chunk)
        told = describe_upload(upload)
    where = f"{request.scope.get('root_path', '')}/api/v1/datasets/{id}/uploads/{key}"
    headers = {"Location": where, "Upload-Offset": str(told.offset), "Tus-Resumable": VERSION}
    return JSONResponse(told.model_dump(), 201, headers)  # type: ignore[return-value]


@router.get("/api/v1/datasets/{id}/uploads/{upload}", summary="How far an upload is, and what came of it")
async def get(request: Request, id: DatasetId, upload: UploadId) -> UploadOut:
    """Upload-Offset and Upload-Length, to HEAD without the rest; its state, and why it was refused."""
    require(request, "trainer")
    _check_version(request)
    told = await run_read(_find, studio_of(request), id, upload)
    headers = {
        "Upload-Offset": str(told.offset),
        "Upload-Length": str(told.length),
        "Tus-Resumable": VERSION,
        "Cache-Control": "no-store",
    }
    return JSONResponse(told.model_dump(), 200, headers)  # type: ignore[return-value]


@router.patch(
    "/api/v1/datasets/{id}/uploads/{upload}", status_code=204, summary="Send the next chunk", openapi_extra=_SENDING
)
async def patch(request: Request, id: DatasetId, upload: UploadId) -> Response:
    """Upload-Offset must be where the last chunk ended, else 409; Upload-Checksum `sha256 BASE64`, else 460."""
    require(request, "trainer")
    _check_version(request)
    if not request.headers.get("content-type", "").startswith(_CHUNK):
        raise HttpError(415, "unsupported_media_type", f"Expected {_CHUNK}.", "https://tus.io tells how.")
    studio = studio_of(request)
    offset = _number(request, "upload-offset")
    there = await run_read(studio.uploads.get, id, upload)
    if offset != there.offset:
        raise HttpError(
            409,
            "other_offset",
            f"The chunk begins at {offset:,}; {there.offset:,} bytes are there.",
            "HEAD tells how far it is.",
            {"Upload-Offset": str(there.offset)},
        )
    chunk = await _read_chunk(request)
    there = await _append(studio, there, offset, chunk)
    return Response(status_code=204, headers={"Upload-Offset": str(there.offset), "Tus-Resumable": VERSION})


@router.delete("/api/v1/datasets/{id}/uploads/{upload}", status_code=204, summary="Give an upload up")
async def delete(request: Request, id: DatasetId, upload: UploadId) -> Response:
    """Forget what came so far; what was taken in stays."""
    require(request, "trainer")
    studio = studio_of(request)
    there = await run_read(studio.uploads.get, id, upload)
    await run_write(studio.uploads.remove, there)
    return Response(status_code=204, headers={"Tus-Resumable": VERSION})


def describe_upload(upload: DatasetUpload) -> UploadOut:
    """Describe an upload."""
    state = "refused" if upload.error else "taken" if upload.result is not None else "arriving"
    return UploadOut(
        id=upload.id,
        length=upload.length,
        offset=upload.offset,
        file=str(upload.meta.get("file", "")),
        state="working" if state == "arriving" and upload.whole else state,
        result=None if upload.result is None else dict(upload.result),
        error=upload.error,
    )


def read_metadata(header: str) -> dict[str, str]:
    """Read Upload-Metadata: names, each with its value in base64.

    Raises
    ------
    HttpError
        422: it is damaged.
    """
    told: dict[str, str] = {}
    if len(header) > _MOST_META:
        raise HttpError(422, "bad_metadata", "Upload-Metadata is too long.", "Say less of the file.")
    for part in header.split(","):
        name, _, value = part.strip().partition(" ")
        if name in _FIELDS:
            try:
                text = base64.b64decode(value.strip(), validate=True).decode("utf-8")
            except (binascii.Error, UnicodeDecodeError) as e:
                raise HttpError(422, "bad_metadata", f"{name} of Upload-Metadata is damaged.", "Base64, please.") from e
            told[name] = "".join(c for c in text if c.isprintable())
    return told


def _find(studio: Studio, id: str, upload: str) -> UploadOut:
    """Find an upload, or the picture that came of one that was sent at once."""
    try:
        return describe_upload(studio.uploads.get(id, upload))
    except UnknownError:
        item = studio.sets.find_key(id, upload)
        if item is None:
            raise
        told = {"length": item.bytes, "offset": item.bytes, "file": item.file}
        return UploadOut(id=upload, **told, state="taken", result={"items": [item.id]}, error="")


async def _append(studio: Studio, upload: DatasetUpload, offset: int, chunk: bytes) -> DatasetUpload:
    try:
        there = await run_file(studio.uploads.append, upload, offset, chunk)
    except OffsetError as e:
        raise HttpError(409, "other_offset", e.message, e.hint) from e
    if there.whole:
        studio.take_later(there)
    return there


async def _read_chunk(request: Request) -> bytes:
    with admission_of(request).room() as room:
        chunk = b"".join([part async for part in read_body(request, room, MOST_CHUNK)])
    told = request.headers.get("upload-checksum", "")
    if told:
        kind, _, value = told.partition(" ")
        if kind != "sha256":
            raise HttpError(400, "unknown_checksum", f"There is no checksum {kind[:20]!r} here.", "Send sha256.")
        if base64.b64encode(hashlib.sha256(chunk).digest()).decode() != value.strip():
            raise _bad_checksum()
    return chunk


def _bad_checksum() -> HttpError:
    return HttpError(460, "checksum_mismatch", "What came is not what was sent.", "Send this chunk again.")


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable", VERSION) != VERSION:
        raise HttpError(
            412,
            "other_tus",
            f"This server speaks tus {VERSION}.",
            "Send Tus-Resumable: 1.0.0.",
            {"Tus-Version": VERSION},
        )


def _number(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise HttpError(422, "bad_header", f"{header.title()} must be a whole number.", "https://tus.io tells how.")
    return int(text)
