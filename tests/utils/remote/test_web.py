"""Files by https://, from a real server with a certificate of the tests' own; and addresses that are never asked."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

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


@dataclass
class _Site:
    """What the server has and does."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refuse: int = 0  # requests to answer with 503
    ranges: bool = True
    cut: int = 0  # answers to break off half-way

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: _Site

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        site, path = self.site, unquote(self.path.partition("?")[0])
        site.asked.append(f"{self.path} {self.headers.get('Range', '')}")
        if site.refuse:
            site.refuse -= 1
            self._say(503, b"", {"Retry-After": "0"})
        elif path in site.redirects:
            self._say(302, b"", {"Location": site.redirects[path]})
        elif path not in site.files:
            self._say(404, b"")
        else:
            data = site.files[path]
            headers = {"ETag": f'"{hashlib.md5(data).hexdigest()}"'}
            if (wanted := self.headers.get("If-Match")) and wanted != headers["ETag"]:
                self._say(412, b"", headers)
            elif site.ranges and (told := self.headers.get("Range")):
                start, stop = (int(n) for n in told.removeprefix("bytes=").split("-"))
                part = data[start : stop + 1]
                self._say(206, part, {**headers, "Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(data)}"})
            else:
                self._say(200, data, headers)

    def _say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if len(body) > 1 and self.site.cut:
            self.site.cut -= 1
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.wfile.write(body)


def _certificate(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName("rebinding.example")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=2), [])
    made = made.add_extension(names, False).add_extension(x509.BasicConstraints(True, None), True)
    path = folder / "site.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Site]:
    pytest.importorskip("cryptography")
    certificate = _certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    made = _Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": made}))
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join(30)


@pytest.fixture
def cache(tmp_path: Path) -> FilesCache:
    return FilesCache(tmp_path / "cache", 1 << 30)


def _web(url: str, *, public: bool = False) -> WebFile:
    return WebFile(parse_address(url), patience=3.0, public=public)


def test_a_file_and_its_copy(site: _Site, cache: FilesCache) -> None:
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
def test_a_large_one_comes_in_parts_however_the_server_gives_it(site: _Site, cache: FilesCache, ranges: bool) -> None:
    site.files["/big"], site.ranges = os.urandom(CHUNK + 77), ranges
    site.cut, site.refuse = 1, 2
    with fetch(site.url("/big"), cache=cache) as path:
        assert path.read_bytes() == site.files["/big"]


def test_failures_are_named(site: _Site, cache: FilesCache) -> None:
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


def test_a_certificate_of_somebody_else_is_refused(site: _Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    site.files["/x"] = b"x"
    with pytest.raises(BusyError, match="certificate"):
        _web(site.url("/x")).stat()


# ------------------------------------------------------------------ addresses that nobody typed


def test_this_machine_and_its_network_are_not_asked(site: _Site) -> None:
    site.files["/x"] = b"secret"
    for host in ("localhost", "127.0.0.1", "[::1]", "0.0.0.0", "169.254.169.254", "10.0.0.1", "2130706433", "0x7f.1"):
        with pytest.raises(RemoteRefusedError, match="public internet"):
            _web(f"https://{host}:{site.port}/x", public=True).stat()
    assert not site.asked


def test_a_redirect_inside_is_not_followed(site: _Site, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_name_that_answers_otherwise_a_moment_later(site: _Site, monkeypatch: pytest.MonkeyPatch) -> None:
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
