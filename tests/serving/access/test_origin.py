"""Where a request comes from, and whom to believe about that."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers

from medloupe.serving.access.origin import (
    came_by_proxy,
    client_address,
    host_name,
    is_https,
    is_loopback,
    is_own_origin,
)


def scope(client: str | None = "203.0.113.9", scheme: str = "http", **headers: str) -> dict[str, Any]:
    raw = [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()]
    return {"type": "http", "scheme": scheme, "client": client and (client, 1234), "headers": raw}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST.", "::1", "[::1]"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0", "0.0.0.0", "::", "192.168.1.2", "localhost.example", "127.0.0.1.example", "evil", "2130706433"]
)
def test_not_this_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "127.0.0.1"),
        ("192.168.1.7", "192.168.1.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("::ffff:8.8.4.4", "8.8.4.4"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, ""),
    ],
)
def test_addresses(client: str | None, expected: str) -> None:
    assert client_address(scope(client)) == expected
    assert client_address(scope(client, x_forwarded_for="1.1.1.1")) == expected  # anybody may claim that


def test_tls_here() -> None:
    assert is_https(scope(scheme="https")) and not is_https(scope())
    assert not is_https(scope(x_forwarded_proto="https"))  # what a trusted proxy says is in the scheme


def test_traces_of_a_proxy() -> None:
    for name in ("X-Forwarded-For", "X-Forwarded-Port", "Forwarded", "Via", "X-Real-IP"):
        assert came_by_proxy(Headers({name: "x"}))
    assert not came_by_proxy(Headers({"Host": "x", "X-Request-ID": "y", "Origin": "z"}))


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "ours"),
    [
        ("http://clinic:8000", "clinic:8000", "http", True),
        ("https://clinic", "clinic", "http", True),  # a proxy that says nothing
        ("https://Clinic", "clinic:443", "https", True),
        ("http://clinic:80", "clinic", "http", True),
        ("http://[::1]:8000", "[::1]:8000", "http", True),
        ("http://clinic", "clinic", "https", False),  # somebody between the browser and a server with TLS
        ("http://clinic:8001", "clinic:8000", "http", False),
        ("http://clinic:443", "clinic", "http", False),
        ("http://evil", "clinic", "http", False),
        ("http://clinic.evil", "clinic", "http", False),
        ("http://evil/clinic", "clinic", "http", False),
        ("null", "clinic", "http", False),
        ("null", "", "http", False),
        ("", "", "http", False),
        ("http://", "", "http", False),
        ("http://[", "clinic", "http", False),
        ("file://clinic", "clinic", "http", False),
        ("http://clinic\xff", "clinic", "http", False),
    ],
)
def test_whose_page(origin: str, host: str, scheme: str, ours: bool) -> None:
    asked = scope(scheme=scheme, host=host)
    assert is_own_origin(origin, asked, Headers(scope=asked)) is ours


def test_names_in_host() -> None:
    assert host_name("127.0.0.1:8000") == "127.0.0.1" and host_name("[::1]:80") == "::1"
    assert host_name("Clinic") == "clinic"
    for odd in ("", "[", "[::1", "x@127.0.0.1", ":80", "//[", "[v1.x]"):
        assert not is_loopback(host_name(odd)), odd
