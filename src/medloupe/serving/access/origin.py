"""Tell where a request comes from: which address, under which name it asks, from whose page, over TLS or not.

What a trusted proxy says of that is in the scope already (proxies.py); what others say is not believed.
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
    """Return the address by which log-ins are counted: the client's, of IPv6 the network of its household."""
    peer = (scope.get("client") or ("", 0))[0]
    here = _ip(peer)
    if isinstance(here, ipaddress.IPv6Address):
        here = here.ipv4_mapped or ipaddress.ip_network((here, 64), strict=False)
    return str(here) if here else peer[:64]


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def is_https(scope: Scope) -> bool:
    """Tell whether the browser speaks TLS, here or to a trusted proxy, or at the server's public address."""
    return scope.get("scheme") == "https"


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
