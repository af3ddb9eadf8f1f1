"""Believe what proxies say of a request, where the operator trusts them, and know the server's public address.

Nobody is trusted by default: else whoever reaches the server could choose the address that log-ins are counted by, the
scheme that cookies depend on, and the name in links.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from medloupe.errors import MedloupeError

_NAMED = {
    "loopback": ("127.0.0.0/8", "::1/128"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7"),
}
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")
_ROOT = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
_MOST = 20  # addresses read of X-Forwarded-For
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicAddress:
    """Where browsers reach the server.

    Attributes
    ----------
    scheme, host : str
        "https"; "medloupe.example.org" or with a port.
    root : str
        Path in front of all others, without a slash at its end; "" for none.
    """

    scheme: str
    host: str
    root: str = ""


def parse_public_url(text: str) -> PublicAddress | None:
    """Read the public address; None where none is told.

    Raises
    ------
    MedloupeError
        It is no http or https URL of a server.
    """
    told = text.strip()
    if not told:
        return None
    try:
        parts = urlsplit(told)
    except ValueError:
        parts = urlsplit("")
    root = parts.path.rstrip("/")
    sound = parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc) and _ROOT.fullmatch(root)
    if not sound or parts.query or parts.fragment:
        raise MedloupeError(
            f"The public address is {told[:100]!r}; expected such as https://medloupe.example.org.",
            "Correct --public-url or MEDLOUPE_PUBLIC_URL.",
        )
    return PublicAddress(scheme=parts.scheme, host=parts.netloc.lower(), root=root)


def parse_proxies(text: str) -> tuple[Network, ...]:
    """Read which proxies are trusted: addresses, networks, `loopback`, `private`, by commas.

    Raises
    ------
    MedloupeError
        One is none of these.
    """
    found: list[Network] = []
    for word in (w.strip().lower() for w in text.split(",")):
        if not word:
            continue
        try:
            found += [ipaddress.ip_network(n, strict=False) for n in _NAMED.get(word, (word,))]
        except ValueError as e:
            raise MedloupeError(
                f"{word[:60]!r} is no proxy to be trusted; expected an address, a network, loopback or private.",
                "Correct --trusted-proxy or MEDLOUPE_TRUSTED_PROXIES.",
            ) from e
    return tuple(found)


class TrustedProxies:
    """ASGI middleware that puts into the scope what a trusted proxy says: the client's address, scheme and host.

    What others say of these is left where it is, and not believed. The whole of X-Forwarded-For is a client's claim but
    for what trusted proxies added: it is read from its end to the first address that is none of theirs. Who asks for
    the public host speaks its scheme.
    """

    def __init__(self, app: ASGIApp, proxies: Sequence[Network], public: PublicAddress | None = None):
        self.app = app
        self._proxies = tuple(proxies)
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            if self._proxies and self._is_trusted(_ip((scope.get("client") or ("",))[0])):
                scope = {**scope, **self._told(scope)}
            public = self._public
            if public is not None and Headers(scope=scope).get("host", "").lower() == public.host:
                scope = {**scope, "scheme": public.scheme}
        await self.app(scope, receive, send)

    def _told(self, scope: Scope) -> Scope:
        headers, told = Headers(scope=scope), {}
        scheme = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        if scheme in ("http", "https"):
            told["scheme"] = scheme
        host = headers.get("x-forwarded-host", "").rpartition(",")[2].strip()
        if _HOST.fullmatch(host):
            kept = [(k, v) for k, v in scope["headers"] if k != b"host"]
            told["headers"] = [*kept, (b"host", host.encode("ascii"))]
        client = None
        for text in reversed(headers.get("x-forwarded-for", "").split(",")[-_MOST:]):
            found = _ip(text.strip())
            if found is None:
                break
            client = found
            if not self._is_trusted(found):
                break
        if client is not None:
            told["client"] = (str(client), 0)
        return told

    def _is_trusted(self, address: Address | None) -> bool:
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return address is not None and any(address in n for n in self._proxies if n.version == address.version)


class PublicLinks:
    """ASGI middleware by which absolute addresses and redirects name the public address, however one asks."""

    def __init__(self, app: ASGIApp, public: PublicAddress | None):
        self.app = app
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        public = self._public
        if scope["type"] == "http" and public is not None:
            kept = [(k, v) for k, v in scope["headers"] if k != b"host"]
            headers = [*kept, (b"host", public.host.encode("ascii"))]
            scope = {**scope, "scheme": public.scheme, "headers": headers}
            if public.root:
                scope |= {"root_path": public.root, "path": self._full_path(scope["path"], public.root)}
        await self.app(scope, receive, send)

    @staticmethod
    def _full_path(path: str, root: str) -> str:
        """Return a path with the root in front, which some proxies take off."""
        return path if path == root or path.startswith(f"{root}/") else root + path


def _ip(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
