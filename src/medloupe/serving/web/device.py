"""Serve the web app that answers without a server, below /device/: its files, packed, and what it may load.

The page, its list of check-ups and their numbers are for those who may ask; the modules are the same for all.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from medloupe.ondevice.blobs import BlobSet
from medloupe.ondevice.card import describe_for_device, withheld_because
from medloupe.ondevice.kinds import describe_guide
from medloupe.ondevice.release import POLICY, Release, Withheld, build_release, media_type
from medloupe.serving.access.auth import require
from medloupe.serving.context import service_of
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.http.download import Download
from medloupe.serving.http.errors import HttpError
from medloupe.serving.http.threads import run_file
from medloupe.serving.web.devicewords import app_styles, app_words, checkup_words
from medloupe.starter.shipped import EVERYDAY
from medloupe.utils.files import write_cache

router = APIRouter(include_in_schema=False)
_OPEN = ("app/", "icons/", "manifest.webmanifest", "sw.js")
_FOR_EVER = "public, max-age=31536000, immutable"
_PACKED_ALREADY = ("image/png",)
_LARGE = 2**16  # bytes, from which on what was packed is kept in a file
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Built:
    """A release and the check-ups that it was made of."""

    checkups: tuple[CheckUp, ...]
    release: Release


_built: dict[Path, _Built] = {}  # by the server's home


def build_device_release(checkups: Sequence[CheckUp], *, server: bool) -> Release:
    """Put the app together for check-ups; those that a browser cannot answer are named, with the reason.

    Parameters
    ----------
    checkups
        In the order in which they are offered.
    server
        Whether a server is behind the page.
    """
    able = [c for c in checkups if not withheld_because(c)]
    others = [c for c in checkups if withheld_because(c)]
    return build_release(
        [describe_for_device(c, checkup_words(c)) for c in able],
        [_withhold(c) for c in others],
        words=app_words(),
        styles=app_styles(),
        server=server,
    )


def _withhold(checkup: CheckUp) -> Withheld:
    titles = {code: told["title"] for code, told in checkup_words(checkup).items()}
    blobs = BlobSet()
    guide = describe_guide(checkup, blobs)
    because = withheld_because(checkup)
    return Withheld(name=checkup.name, because=because, words=titles, guide=guide, blobs=blobs.found)


@router.get("/device")
async def to_device(request: Request) -> Response:
    """Go to the app."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/device/", 308)


@router.get("/device/{path:path}")
async def device(request: Request, path: str) -> Response:
    """Answer with a file of the app."""
    if not path.startswith(_OPEN):
        require(request, "clinician")
    service = service_of(request)
    service.pilot.refuse("Check-ups on the device, which show their answers, are not given")
    checkups = tuple(c for c in service.catalog.all() if c.name != EVERYDAY)
    release = await run_file(_release_of, service.store.home, checkups)
    name = path or "index.html"
    data = release.files.get(name)
    if data is None:
        raise HttpError(404, "not_found", "There is no such file.", "/device/ is the first page.")
    headers = {"Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
    versioned = name.startswith(("app/", "blobs/"))
    headers["Cache-Control"] = _FOR_EVER if name.startswith("app/") else "private, no-cache"
    if versioned:
        headers["ETag"] = f'"{name}"'
    if name == "index.html" or name.endswith("/worker.js"):
        headers["Content-Security-Policy"] = f"{POLICY}; frame-ancestors 'none'"
    if versioned and request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return await run_file(
        _send, data, media_type(name), request.headers.get("accept-encoding", ""), headers, service.store.home
    )


def _release_of(home: Path, checkups: tuple[CheckUp, ...]) -> Release:
    """Return the release for these check-ups, made anew where they are others than before."""
    with _lock:
        known = _built.get(home)
        if known is None or list(map(id, known.checkups)) != list(map(id, checkups)):
            known = _built[home] = _Built(checkups, build_device_release(checkups, server=True))
        return known.release


def _send(data: bytes | Path, kind: str, accepted: str, headers: Mapping[str, str], home: Path) -> Response:
    """Answer with bytes or a file, packed as the browser takes it."""
    headers = dict(headers)
    if isinstance(data, Path):
        brotli = data.with_name(f"{data.name}.br")
        if "br" in accepted and brotli.is_file():
            return Download(brotli, media_type=kind, headers={**headers, "Content-Encoding": "br"})
    if "gzip" not in accepted or kind in _PACKED_ALREADY:
        if isinstance(data, Path):
            return Download(data, media_type=kind, headers=headers)
        return Response(data, 200, headers, kind)
    headers["Content-Encoding"] = "gzip"
    if isinstance(data, bytes) and len(data) < _LARGE:
        return Response(gzip.compress(data, 6, mtime=0), 200, headers, kind)
    content = data.read_bytes() if isinstance(data, Path) else data
    packed = home / "cache" / "device" / f"{hashlib.sha256(content).hexdigest()}.gz"
    if not packed.is_file():
        write_cache(packed, gzip.compress(content, 6, mtime=0))
    return Download(packed, media_type=kind, headers=headers)
