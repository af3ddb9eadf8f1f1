"""Render templates to pages, with the headers that protect them, and serve the static files."""

from __future__ import annotations

import gzip
import hashlib
import json
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, quote

import jinja2
from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from medloupe.ondevice.photographs import describe_finder
from medloupe.serving.context import facilities_of
from medloupe.serving.http.errors import HttpError
from medloupe.serving.http.intake import MAX_SAID, read_body
from medloupe.serving.once import name_person
from medloupe.serving.web.emblem import draw_emblem
from medloupe.serving.web.language import CODES, COOKIE, Language, choose

# Nothing from elsewhere, no script or style within a page; blob: shows pictures before they are sent.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_YEAR = 365 * 86400
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


_packages = ["medloupe.serving.web"]
_READERS = (
    *(
        "camera",
        "corners",
        "errors",
        "jpeg",
        "jpeg_bits",
        "jpeg_colour",
        "jpeg_idct",
        "picture",
        "png",
        "quality",
        "resize",
    ),
    *("lines", "numbers", "perspective", "photograph", "prescreen", "quadrilaterals", "roundfield", "sides"),
)
"""Modules of the app on the device by which pages read pictures, too, and find those in photographs."""


def add_pages(package: str) -> None:
    """Serve the pages of a package above, too: its templates/ and static/ beside those here; names may not repeat."""
    if package not in _packages:
        _packages.append(package)
        _assets.cache_clear()
        _environment.cache_clear()


def language_of(request: Request) -> Language:
    """Return the language of a request."""
    return choose(request.query_params.get("lang"), request.cookies.get(COOKIE), request.headers.get("accept-language"))


def render_page(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """Render a template as the answer, with what every page needs beside the context given."""
    language = language_of(request)
    root = request.scope.get("root_path", "")
    person = getattr(request.state, "person", None)
    path = "/" + quote(request.scope["path"].removeprefix(root).lstrip("/"))
    given = {
        "l": language,
        "t": language.t,
        "languages": CODES,
        "to": lambda path: root + path,
        "asset": lambda name: f"{root}/static/{_assets().mark}/{name}",
        "here": root + path,
        "tab": "",
        "person": person,
        "may_ask": person is not None and person.may("clinician"),
        "admin": person is not None and person.may("admin"),
        "studio": person is not None and person.may("trainer") and getattr(request.app.state, "studio", None),
        "watching": getattr(request.app.state, "watch", None) is not None,
        "piloting": person is not None and request.app.state.service.pilot.running is not None,
        "reviewing": getattr(request.app.state, "review", None) is not None,
        "may_review": person is not None and person.may("reviewer"),
        "csrf": getattr(request.state, "csrf", ""),
        "asker": name_person(person) if person is not None else "",
        "any_emblem": draw_emblem("medloupe"),
        "facilities": lambda: facilities_of(request),
    }
    html = _environment().get_template(template).render(**given | context)
    response = HTMLResponse(html.lstrip(), status, {"Content-Security-Policy": CSP, "Cache-Control": "no-store"})
    if request.query_params.get("lang") in CODES:
        response.set_cookie(COOKIE, language.code, max_age=_YEAR, samesite="lax", httponly=True)
    response.headers["Vary"] = "Accept-Language, Cookie"
    return response


def error_page(request: Request, error: HttpError) -> Response:
    """Show what went wrong, in the look of all pages; who is not logged in is asked to."""
    language = language_of(request)
    if error.status == 401 and request.method == "GET":
        root = request.scope.get("root_path", "")
        return RedirectResponse(f"{root}/login?next={quote(request.scope['path'].removeprefix(root))}", 303)
    key = next(
        k for k in (error.code, str(error.status), "400" if error.status < 500 else "500") if language.has(f"error.{k}")
    )
    response = render_page(
        request,
        "error.html",
        error.status,
        code=error.status,
        headline=language.t(f"error.{key}"),
        text=language.t(f"error.{key}_text"),
        detail="" if error.status in (404, 401) else f"{error.message} {error.hint}".strip(),
        request_id=getattr(request.state, "request_id", ""),
    )
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


def redirect_to(request: Request, path: str) -> RedirectResponse:
    """Go to a page of ours after a form was taken (303)."""
    return RedirectResponse(request.scope.get("root_path", "") + path, 303)


async def read_form(request: Request, most: int = MAX_SAID) -> dict[str, list[str]]:
    """Read the fields of a form without files, of at most so many bytes.

    Raises
    ------
    HttpError
        It is too long or no such form.
    """
    kind = request.headers.get("content-type", "")
    if not kind.startswith("application/x-www-form-urlencoded"):
        raise HttpError(415, "unsupported_media_type", "Expected the fields of a form.", "Use the form on the page.")
    data = b"".join([chunk async for chunk in read_body(request, None, most)])
    try:
        fields = parse_qs(data.decode("utf-8"), keep_blank_values=True, max_num_fields=500)
        if any("\0" in value for values in fields.values() for value in values):
            raise ValueError("a zero character")
        return fields
    except ValueError as e:
        raise HttpError(422, "bad_form", "The form cannot be read.", "Reload the page and try again.") from e


def first_value(fields: Mapping[str, list[str]], name: str) -> str:
    """Return a field's first value, or ""."""
    return fields.get(name, [""])[0]


class Static:
    """An ASGI application with the files of static/.

    They are read once, compressed, and kept by browsers for ever: their address changes with their content.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a file."""
        assets = _assets()
        path = scope["path"].removeprefix(scope.get("root_path", ""))  # which includes where this is mounted
        mark, _, name = path.lstrip("/").partition("/")
        found = assets.files.get(name or mark)
        if found is None or scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            raise HttpError(404, "not_found", "There is no such file.", "/ is the first page.")
        kept = f"public, max-age={_YEAR}, immutable" if mark == assets.mark else "no-cache"
        headers = {"Cache-Control": kept, "Vary": "Accept-Encoding"}
        request = Request(scope)
        plain, packed, kind = found
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        if zipped:
            headers["Content-Encoding"] = "gzip"
        await Response(packed if zipped else plain, 200, headers, kind)(scope, receive, send)


def static_files() -> Static:
    """Return the application to mount at /static."""
    return Static()


@dataclass(frozen=True, slots=True)
class _Assets:
    """The static files.

    Attributes
    ----------
    files
        By name (content, compressed, media type).
    mark
        Changes with any of them.
    """

    files: Mapping[str, tuple[bytes, bytes, str]]
    mark: str


@cache
def _assets() -> _Assets:
    found = {}
    entries = [entry for package in _packages for entry in files(package).joinpath("static").iterdir()]
    entries += [files("medloupe.ondevice").joinpath("static", f"{name}.js") for name in _READERS]
    for entry in sorted(entries, key=lambda e: e.name):
        kind = _TYPES.get(entry.name[entry.name.rfind(".") :]) or mimetypes.guess_type(entry.name)[0]
        if entry.is_file() and kind:
            data = entry.read_bytes()
            found[entry.name] = (data, gzip.compress(data, 9, mtime=0), kind)
    finder = json.dumps(describe_finder(), separators=(",", ":")).encode()
    found["photographs.json"] = finder, gzip.compress(finder, 9, mtime=0), "application/json"
    mark = hashlib.sha256(b"".join(data for data, _, _ in found.values())).hexdigest()[:12]
    return _Assets(found, mark)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package, "templates") for package in _packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
