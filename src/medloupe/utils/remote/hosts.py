"""Connect to hosts by name, over TLS, to the very address that was looked at.

Where an address comes from a table's cell, whoever wrote the table must not reach this machine, its network or the
cloud's own services through it. So names are looked up here, each address is judged, and the connection goes to one
that was: a name that answers otherwise a moment later (DNS rebinding) changes nothing. Redirects are followed one by
one, each judged anew.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from http.client import HTTPResponse, HTTPSConnection

from medloupe.errors import RemoteError, RemoteRefusedError

CONNECT_SECONDS = 10.0
"""For a connection to be made."""
READ_SECONDS = 30.0
"""For bytes to come."""


def look_up(host: str, port: int, *, public: bool) -> list[str]:
    """Find the addresses of a host.

    Parameters
    ----------
    host, port
        Of the server.
    public
        Only addresses that anybody on the internet can reach are allowed.

    Returns
    -------
    list of str
        Numeric addresses, in the order of the system.

    Raises
    ------
    RemoteRefusedError
        One of them is of this machine, a private network, link-local or reserved: then none is asked, as a name with
        addresses of both kinds is no honest one.
    RemoteError
        There is no such host.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as e:
        raise RemoteError(f"There is no host {host}: {e}.", "Check the name, and that this machine is online.") from e
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if public and (wrong := [a for a in addresses if not is_public(a)]):
        raise RemoteRefusedError(
            f"{host} is {wrong[0]}, which is no address of the public internet.",
            "Addresses in tables reach public hosts only; download the files, or name them on the command line.",
        )
    return addresses


def is_public(address: str) -> bool:
    """Tell whether a numeric address is one that anybody can reach.

    IPv4 addresses inside IPv6 ones (mapped, 6to4, Teredo, NAT64) are judged as what they stand for.
    """
    seen = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(seen, ipaddress.IPv6Address):
        inner = seen.ipv4_mapped or seen.sixtofour or (seen.teredo[1] if seen.teredo else None)
        if inner is None and seen in _NAT64:
            inner = ipaddress.IPv4Address(int(seen) & 0xFFFFFFFF)
        if inner is not None:
            seen = inner
    return seen.is_global and not seen.is_multicast and not seen.is_reserved


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class PinnedConnection(HTTPSConnection):
    """A connection to one of the addresses that were judged; the certificate is that of the name."""

    def __init__(self, host: str, port: int, addresses: list[str]):
        super().__init__(host, port, timeout=CONNECT_SECONDS, context=ssl.create_default_context())
        self._addresses = addresses
        self._tls = ssl.create_default_context()

    def connect(self) -> None:
        """Try the addresses in turn. Raises OSError of the last one."""
        fault: OSError = OSError("it has no address")
        for address in self._addresses:
            try:
                raw = socket.create_connection((address, self.port), CONNECT_SECONDS)
            except OSError as e:
                fault = e
                continue
            raw.settimeout(READ_SECONDS)
            try:
                self.sock = self._tls.wrap_socket(raw, server_hostname=self.host)
            except OSError:
                raw.close()
                raise
            return
        raise fault


def ask(
    host: str, port: int, target: str, method: str, headers: dict[str, str], *, public: bool
) -> tuple[PinnedConnection, HTTPResponse]:
    """Send one request; the connection is to be closed when the answer was read.

    Raises
    ------
    RemoteError
        The host is not there or not allowed.
    OSError, http.client.HTTPException
        It does not answer.
    """
    connection = PinnedConnection(host, port, look_up(host, port, public=public))
    try:
        connection.request(method, target, headers=headers)
        return connection, connection.getresponse()
    except BaseException:
        connection.close()
        raise
