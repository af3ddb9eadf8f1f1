"""Files by https://, from a real server with a certificate of the tests' own; and addresses that are never asked."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloupe.errors import BusyError, RemoteError, RemoteMissingError, RemoteRefusedError
from medloupe.utils.remote import hosts
from medloupe.utils.remote.address import parse_address
from medloupe.utils.remote.cache import FilesCache
from medloupe.utils.remote.download import CHUNK
from medloupe.utils.remote.fetch import fetch
from medloupe.utils.remote.hosts import is_public, look_up
from medloupe.utils.remote.web import WebFile
from site_of_files import Site


@pytest.fixture
def cache(tmp_path: Path) -> FilesCache:
    return FilesCache(tmp_path / "cache", 1 << 30)


def _web(url: str, *, public: bool = False) -> WebFile:
    return WebFile(parse_address(url), patience=3.0, public=public)


def test_a_file_and_its_copy(site: Site, cache: FilesCache) -> None:
    site.files["/a b/x.csv"] = b"one"
    with fetch(site.url("/a%20b/x.csv?sig=s3cret"), cache=cache) as path:
        assert path.name == "x.csv" and path.read_bytes() == b"one"
    before = len(site.asked)
    with fetch(site.url("/a%20b/x.csv?sig=s3cret"), cache=cache):
        assert len(site.asked) == before + 1  # only whether it is still the same
    site.files["/a b/x.csv"] = b"two!"
    with fetch(site.url("/a%20b/x.csv?sig=s3cret"), cache=cache) as path:
        assert path.read_bytes() == b"two!"
    assert all("sig=s3cret" in asked for asked in site.asked)
    assert "s3cret" not in "".join(p.read_text() for p in cache.folder.rglob("*.json"))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_large_one_comes_in_parts_however_the_server_gives_it(site: Site, cache: FilesCache, ranges: bool) -> None:
    site.files["/big"], site.ranges = os.urandom(CHUNK + 77), ranges
    site.cut, site.refuse = 1, 2
    with fetch(site.url("/big"), cache=cache) as path:
        assert path.read_bytes() == site.files["/big"]


def test_failures_are_named(site: Site, cache: FilesCache) -> None:
    with pytest.raises(RemoteMissingError, match="nothing at"), fetch(site.url("/none"), cache=cache):
        pass
    site.redirects = {"/loop": "/loop", "/plain": "http://localhost/x"}
    with pytest.raises(RemoteRefusedError, match="without an end"):
        _web(site.url("/loop")).stat()
    with pytest.raises(RemoteRefusedError, match="unencrypted"):
        _web(site.url("/plain")).stat()
    site.refuse = 10_000
    with pytest.raises(BusyError, match="HTTP 503"):
        _web(site.url("/x")).stat()
    with pytest.raises(RemoteError, match="folders cannot be listed"):
        _web(site.url("/")).list()


def test_a_certificate_of_somebody_else_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    site.files["/x"] = b"x"
    with pytest.raises(BusyError, match="certificate"):
        _web(site.url("/x")).stat()


# ------------------------------------------------------------------ addresses that nobody typed


def test_this_machine_and_its_network_are_not_asked(site: Site) -> None:
    site.files["/x"] = b"secret"
    for host in ("localhost", "127.0.0.1", "[::1]", "0.0.0.0", "169.254.169.254", "10.0.0.1", "2130706433", "0x7f.1"):
        with pytest.raises(RemoteRefusedError, match="public internet"):
            _web(f"https://{host}:{site.port}/x", public=True).stat()
    assert not site.asked


def test_a_redirect_inside_is_not_followed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first host passes as public; it leads to one that is not."""
    site.files["/x"] = b"secret"
    site.redirects = {"/out": "https://169.254.169.254/latest/meta-data", "/own": f"https://[::1]:{site.port}/x"}
    monkeypatch.setattr(hosts, "is_public", lambda a: a == "127.0.0.1" or is_public(a))
    monkeypatch.setattr(
        socket, "getaddrinfo", _answers({"localhost": ["127.0.0.1"]}, socket.getaddrinfo)
    )  # without its ::1
    for path in ("/out", "/own"):
        with pytest.raises(RemoteRefusedError, match="public internet"):
            _web(site.url(path), public=True).stat()
    assert [a.split()[0] for a in site.asked] == ["/out", "/own"]


def test_a_name_that_answers_otherwise_a_moment_later(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the connection goes to the address that was judged, so the second answer is never asked for."""
    site.files["/x"] = b"secret"
    answers = [["203.0.113.7"], ["127.0.0.1"]]
    looked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, *given: object, **options: object) -> object:
        if host != "rebinding.example":
            return real(host, *given, **options)  # type: ignore[arg-type]
        looked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 0)) for a in answers[min(len(looked), 2) - 1]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(hosts, "is_public", lambda a: a == "203.0.113.7" or is_public(a))
    connected: list[str] = []

    def connect(address: tuple[str, int], *_: object) -> socket.socket:
        connected.append(address[0])
        raise OSError("nobody is there")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(RemoteError):
        _web(f"https://rebinding.example:{site.port}/x", public=True).stat()
    assert connected == ["203.0.113.7"] and not site.asked  # the second look-up was refused before any connection


def test_a_name_with_addresses_of_both_kinds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _answers({"both.example": ["8.8.8.8", "192.168.1.1"]}, None))
    with pytest.raises(RemoteRefusedError, match=r"192\.168\.1\.1"):
        look_up("both.example", 443, public=True)
    assert look_up("both.example", 443, public=False) == ["8.8.8.8", "192.168.1.1"]


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *("::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::a9fe:a9fe", "ff02::1"),
        "fd00:ec2::254",
    ],
)
def test_not_public(address: str) -> None:
    assert not is_public(address)


def test_public() -> None:
    assert is_public("8.8.8.8") and is_public("2606:4700:4700::1111") and is_public("64:ff9b::808:808")


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    if not is_public(str(address)):
        assert not is_public(f"::ffff:{address}") and not is_public(
            str(ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80)))
        )


def _answers(known: dict[str, list[str]], real: object) -> object:
    def resolve(host: str, *given: object, **options: object) -> object:
        if host not in known:
            return real(host, *given, **options)  # type: ignore[operator]
        kinds = ((socket.AF_INET6 if ":" in a else socket.AF_INET, a) for a in known[host])
        return [(kind, socket.SOCK_STREAM, 6, "", (a, 0)) for kind, a in kinds]

    return resolve
