"""Refuse requests that other sites make a browser send, which sends its cookies along."""

from __future__ import annotations

import hmac
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from medloupe.serving.access.origin import is_own_origin
from medloupe.serving.access.proxies import PublicAddress
from medloupe.serving.http.errors import HttpError

_SAFE = {"GET", "HEAD", "OPTIONS"}


def check_origin(scope: Scope, state: dict[str, Any], headers: Headers, public: PublicAddress | None) -> None:
    """Refuse what a page of another site makes a browser send.

    Parameters
    ----------
    scope, headers
        Of the request.
    state
        What the guard found: how the person is known, and the token of their forms.
    public
        The server's public address, if it has one.

    Raises
    ------
    HttpError
        403.
    """
    if scope["method"] in _SAFE or state["via"] == "token":
        return
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "")
    own = origin is None or is_own_origin(origin, scope, headers) or _is_public(origin, public)
    if not own or site in ("cross-site", "same-site"):
        raise HttpError(
            403, "cross_site", "The request was made by a page of another site.", "Use this server's own page."
        )
    if (
        state["via"] == "cookie"
        and origin is None
        and site == ""
        and not is_same(headers.get("x-csrf-token", ""), state["csrf"])
    ):
        raise HttpError(
            403,
            "csrf_needed",
            "A request with a log-in cookie must say where it comes from (Origin or X-CSRF-Token).",
            "Programs use a token: medloupe users token NAME",
        )


def _is_public(origin: str, public: PublicAddress | None) -> bool:
    return public is not None and origin.lower() == f"{public.scheme}://{public.host}"


def is_same(given: str, wanted: str) -> bool:
    """Compare secrets in a time that tells nothing of them."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
