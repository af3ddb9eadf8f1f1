"""Tell where a request comes from: which address, under which name it asks, from whose page, over TLS or not.

What a proxy says of that is believed only where a lie gains nothing.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

_PROXY = ("forwarded", "via", "x-real-ip")  # and all that begin with x-forwarded-


def is_loopback(host: str) -> bool:
    """Tell whether an address or name is this machine's own, which others cannot reach."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def client_address(scope: Scope) -> str:
    """Return the address of a request: what a proxy says of it, where it came through one.

    A proxy is on this machine or, as in a network of containers, at a private address. A person at a private address
    may claim another one, which evades the limits by address; those by name stay.
    """
    peer = (scope.get("client") or ("", 0))[0]
    here = _ip(peer)
    if here is None or here.is_private or here.is_loopback:
        here = _ip(Headers(scope=scope).get("x-forwarded-for", "").rpartition(",")[2].strip()) or here
    if isinstance(here, ipaddress.IPv6Address):
        here = here.ipv4_mapped or ipaddress.ip_network((here, 64), strict=False)  # a household's, not a device's
    return str(here) if here else peer[:64]


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def is_https(scope: Scope) -> bool:
    """Tell whether the browser speaks TLS, here or to a proxy; who claims it falsely only loses their own cookies."""
    said = Headers(scope=scope).get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return scope.get("scheme") == "https" or said == "https"


def came_by_proxy(headers: Headers) -> bool:
    """Tell whether a proxy says that it was in between; some do not."""
    return any(name in _PROXY or name.startswith("x-forwarded-") for name in headers)


def is_own_origin(origin: str, scope: Scope, headers: Headers) -> bool:
    """Tell whether an Origin names this server as the browser asked for it."""
    scheme, found, place = origin.lower().partition("://")
    if not found or scheme not in (("https",) if is_https(scope) else ("http", "https")):
        return False
    port = ":443" if scheme == "https" else ":80"  # some leave it out and some do not
    return place.removesuffix(port) == headers.get("host", "").lower().removesuffix(port) != ""


def host_name(host: str) -> str:
    """Return the name in a Host header, without the port; "" where there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "") if "@" not in host else ""
    except ValueError:
        return ""
