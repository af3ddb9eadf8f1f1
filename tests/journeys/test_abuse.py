"""The protocol itself abused, over raw sockets: nobody waits for the abuser, nothing is held or broken."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

import drills
from burden import burden, settled
from live import Live, running
from medloupe.serving.connection import MAX_HEAD
from medloupe.serving.http.intake import MAX_BODY, MAX_SAID
from trained import Trained
from unharmed import at_work, unharmed

PREDICT = f"/api/v1/models/{drills.NAME}/predict"
INFER = f"/v2/models/{drills.NAME}/infer"
HOST = b"Host: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def server(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("abuse") / "home"
    shutil.copytree(_trained.home, home)
    with running(home) as live:
        for _ in range(4):
            assert live.ask(drills.NAME, drills.picture()).status_code == 200
        yield live


@pytest.fixture(autouse=True)
def _unharmed(server: Live) -> Iterator[None]:
    """Whatever was done, the server answers after it, holds nothing of it and has no traceback in its log."""
    yield
    until = time.monotonic() + 5
    while time.monotonic() < until and set(at_work(server).values()) != {0}:
        time.sleep(0.05)
    unharmed(server)


def connect(server: Live) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), 20)


def answers(connected: socket.socket, count: int = 1) -> list[tuple[int, dict[str, str], bytes]]:
    """(status, headers, body) of as many answers, fewer where the connection ends."""
    found, data = [], b""
    try:
        while len(found) < count:
            while b"\r\n\r\n" not in data:
                data += _received(connected)
            head, _, data = data.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            status = int(lines[0].split()[1])
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
            while len(data) < int(headers.get("content-length", 0)):
                data += _received(connected)
            body, data = (data[: (n := int(headers.get("content-length", 0)))], data[n:])
            if status != 100:
                found.append((status, headers, body))
    except (EOFError, ConnectionError):
        pass
    return found


def _received(connected: socket.socket) -> bytes:
    data = connected.recv(65_536)
    if not data:
        raise EOFError
    return data


def asked(server: Live, *pieces: bytes) -> tuple[int, dict[str, str], bytes]:
    """The answer to one request, sent in pieces for as long as the server takes them."""
    with connect(server) as connected:
        try:
            for piece in pieces:
                connected.sendall(piece)
        except ConnectionError:  # it has answered and gone
            pass
        return answers(connected)[0]


def code(answer: tuple[int, dict[str, str], bytes]) -> str:
    """The code of an error, told as all errors are."""
    assert answer[1]["content-type"] == "application/json", answer
    error = json.loads(answer[2])["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["message"]
    return error["code"]


def head(path: str, *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


# ------------------------------------------------------------------ bodies


@pytest.mark.parametrize("path", [PREDICT, "/predict", INFER, "/checkups/spots", "/api/v1/models/guest/versions"])
def test_an_upload_too_large_by_its_own_word_is_not_waited_for(server: Live, path: str) -> None:
    started = time.monotonic()
    status, headers, body = asked(server, head(path, "Content-Type: image/png", "Content-Length: 200000000"))
    assert status == 413
    assert time.monotonic() - started < 5
    assert code((status, headers, body)) == "too_large" if path != INFER else b"40 MiB" in body


@pytest.mark.parametrize("path", [PREDICT, INFER, f"/api/v1/models/{drills.NAME}/promote", "/login", "/nowhere"])
@pytest.mark.parametrize("chunked", [False, True])
def test_200_megabytes_are_not_held(server: Live, path: str, chunked: bool) -> None:
    """Sent in full, whatever the server says meanwhile."""
    kind = "application/x-www-form-urlencoded" if path == "/login" else "application/json"
    kind = "image/png" if path == PREDICT else kind
    said = "Transfer-Encoding: chunked" if chunked else "Content-Length: 200000000"
    mebibyte = b"[" * 2**20
    piece = b"100000\r\n" + mebibyte + b"\r\n" if chunked else mebibyte
    settled(server.process.pid)
    with burden(server.process.pid) as cost:
        status, _, _ = asked(server, head(path, f"Content-Type: {kind}", said), *(piece for _ in range(190)))
    assert status == (404 if path == "/nowhere" else 413)
    assert cost.mib < (10 if path not in (PREDICT, INFER) else 2.5 * MAX_BODY / 2**20)


def test_json_that_is_too_long_or_too_deep(server: Live) -> None:
    promote = f"/api/v1/models/{drills.NAME}/promote"
    for data, status, wanted in (
        (b'{"version":' + b" " * MAX_SAID + b"1}", 413, "too_large"),
        (b'{"version":' * 5_000 + b"1" + b"}" * 5_000, 400, "refused"),
        (b"[" * 60_000, 400, "refused"),
        (b'{"version":1e400}', 422, "invalid"),
        (b'{"version":' + b"9" * 5_000 + b"}", 400, "refused"),
        (b'{"version":1,"reason":"\\ud800"}', 422, "invalid"),
        (b'{"version":1,"\\ud800":1}', 422, "invalid"),
        (b"\xff\xfe{", 400, "refused"),
        (b"", 422, "invalid"),
    ):
        answer = asked(server, head(promote, "Content-Type: application/json", f"Content-Length: {len(data)}"), data)
        assert (answer[0], code(answer)) == (status, wanted), data[:50]


def _tensor(**entry: object) -> bytes:
    whole = {"name": "image", "shape": [1, 1, 1, 3], "datatype": "UINT8", "data": [1, 2, 3], **entry}
    return json.dumps({"inputs": [whole]}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 2_000_000,
        b'{"inputs":' * 9_000,
        b"[" + b"{}," * 1_000_000 + b"{}]",
        b"[" + b"[]," * 4_000_000 + b"[]]",
        b"[" + b"1," * 15_000_000 + b"1]",
        _tensor(data=[1] * 5_000_000),
        _tensor(shape=[2**31 - 1] * 200_000),
        _tensor(data=["x" * 1_000_000] + [1] * 1_000_000),
        _tensor(data=[[[[[[1, 2, 3]]]]], 4]),
        _tensor(shape=[1], datatype="BYTES", data=["A" * 30_000_000]),
        _tensor(datatype="\ud800"),
        _tensor(name="\ud800"),
        _tensor(data=[True, False, True]),
        _tensor(data=[10**400, 1, 1]),
    ],
    ids=lambda data: f"{data[:70].decode()}… of {len(data):,} bytes",
)
def test_tensors_that_are_bombs(server: Live, data: bytes) -> None:
    request = head(INFER, "Content-Type: application/json", f"Content-Length: {len(data)}")
    settled(server.process.pid)
    with burden(server.process.pid) as cost:
        status, _, body = asked(server, request, data)
    assert status in (400, 413, 415)
    assert isinstance(json.loads(body)["error"], str)
    assert (cost.mib < 150, cost.seconds < 2) == (True, True), cost


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "punycode", "idna", "utf-16", "\xff", "x" * 500])
def test_charsets_of_forms(server: Live, charset: str) -> None:
    data = (
        b'--b\r\nContent-Disposition: form-data; name="user"\r\n\r\n\\ud800+2AA-' + b"a" * 200_000 + b"\r\n"
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n' + drills.picture() + b"\r\n--b--"
    )
    kind = f"Content-Type: multipart/form-data; boundary=b; charset={charset}"
    answer = asked(server, head("/predict", kind, f"Content-Length: {len(data)}"), data)
    assert (answer[0], code(answer)) == (415, "unsupported_charset")


def test_thousands_of_fields_and_parts(server: Live) -> None:
    field = b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nv\r\n'
    headers = b"--b\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(20_000))
    dashes = (b"--b\r\n" * 200_000, b"\r\n--" * 500_000, b"--b" + b"-" * 1_000_000)
    for data in (field * 20_000 + b"--b--", headers + b"\r\n\r\n--b--", *dashes):
        kind = "Content-Type: multipart/form-data; boundary=b"
        with burden(server.process.pid) as cost:
            answer = asked(server, head("/predict", kind, f"Content-Length: {len(data)}"), data)
        assert answer[0] == 422
        assert code(answer) in ("bad_form", "no_image")
        assert cost.seconds < 2
    many = b"&".join(b"f%d=v" % i for i in range(9_000))
    kind = "Content-Type: application/x-www-form-urlencoded"
    assert asked(server, head("/login", kind, f"Content-Length: {len(many)}"), many)[0] in (413, 422)


def test_chunks_that_are_none(server: Live) -> None:
    start = head("/predict", "Content-Type: image/png", "Transfer-Encoding: chunked")
    for chunk in (b"ZZ\r\nabc\r\n", b"FFFFFFFFFFFFFFFFF\r\nabc", b"-1\r\nabc\r\n", b"3\r\nabcdef\r\n"):
        with connect(server) as connected:
            connected.sendall(start + chunk)
            assert [a[0] for a in answers(connected)] in ([400], [])  # it may end the connection without a word
    both = head("/predict", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n"
    answer = asked(server, both)
    assert (answer[0], code(answer)) == (400, "bad_request")


def test_a_body_in_single_bytes(server: Live) -> None:
    image = drills.picture()
    start = head(PREDICT, "Content-Type: image/png", "Transfer-Encoding: chunked")
    with burden(server.process.pid) as cost:
        said = asked(server, start, b"".join(b"1\r\n%c\r\n" % byte for byte in image) + b"0\r\n\r\n")
    assert said[0] == 200
    with burden(server.process.pid) as cost:
        assert asked(server, start, b"1\r\nx\r\n" * 1_000_000 + b"0\r\n\r\n")[0] == 415
    assert cost.seconds < 4


# ------------------------------------------------------------------ heads


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: " + b"a" * (MAX_HEAD + 1) + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: y\r\n" % i for i in range(9_000)) + b"\r\n",
        b"GET /" + b"a" * (MAX_HEAD + 1) + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
    ids=["one header", "many headers", "path"],
)
def test_heads_too_large(server: Live, request_: bytes) -> None:
    answer = asked(server, request_)
    assert (answer[0], code(answer)) == (431, "head_too_large")


def test_a_head_without_end_is_not_held(server: Live) -> None:
    with burden(server.process.pid) as cost, connect(server) as connected:
        connected.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        with pytest.raises(ConnectionError):
            for _ in range(1_000):
                connected.sendall(b"a" * 65_536)
    assert cost.mib < 20


@pytest.mark.parametrize("told", ["a b", "x" * 65, "é", "a\tSet-Cookie: b=c", "", "%0d%0aA: b", "<script>"])
def test_a_request_id_is_taken_only_where_it_is_harmless(server: Live, told: str) -> None:
    request = b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-Request-Id: " + told.encode() + b"\r\n\r\n"
    status, headers, _ = asked(server, request)
    assert status == 200
    assert headers["x-request-id"].isalnum()
    assert headers["x-request-id"] != told
    assert "set-cookie" not in headers
    split = b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-Request-Id: a\nSet-Cookie: b=c\r\n\r\n"
    assert b"b=c" not in str(asked(server, split)).encode()


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
        b"POST /predict HTTP/1.1\r\n" + HOST + b"Content-Length: -5\r\n\r\n",
        b"POST /predict HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n",
        b"POST /predict HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"FETCH / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/9.9\r\n" + HOST + b"\r\n",
        b"SSH-2.0-OpenSSH_9\r\n",
    ],
    ids=lambda data: data[:30].decode("latin-1"),
)
def test_what_is_no_http(server: Live, request_: bytes) -> None:
    answer = asked(server, request_)
    assert (answer[0], code(answer)) == (400, "bad_request")


@pytest.mark.parametrize("host", [b"[::1", b"", b"a:b:c", b"127.0.0.1:99999", b"evil.example", b"127.0.0.1@evil"])
@pytest.mark.parametrize("accept", [b"text/html", b"*/*"])
def test_hosts_that_are_none(server: Live, host: bytes, accept: bytes) -> None:
    request = b"GET /nowhere HTTP/1.1\r\nHost: " + host + b"\r\nAccept: " + accept + b"\r\n\r\n"
    assert asked(server, request)[0] in (403, 404)


@pytest.mark.parametrize(
    "path",
    [
        *("/static/../../etc/passwd", "/static/%2e%2e/%2e%2e/etc/passwd", "/static/..%2f..%2fetc/passwd"),
        *("/static//etc/passwd", "/static/%00", "/static/style.css%00", "/static/.", "/static/" + "a" * 9_000),
        *("/api/v1/models/..%2f..%2fetc/versions/1/onnx", "/models/../../etc/passwd/1/passport"),
        *("/models/%2e%2e/1/model.onnx", "/models/..%5c..%5c/1/passport", "/models/%00/1/passport"),
        *(f"/api/v1/models/{name}" for name in ("%00", "%ed%a0%80", "%f0%9f%92%a9", "..", "-x", "a" * 60_000)),
        *("/v2/models/%00/versions/1", "/v2/models/spots/versions/%d9%a1", "/v2/models/spots/versions/0"),
        *("/api/v1/models/spots/versions/0/onnx", "/api/v1/models/spots/versions/99999999999999999999/onnx"),
        *("/api/v1/predictions/..%2f..%2fx/image", "/api/v1/predictions/%00/image", "/predictions/%00"),
        *("/api/v1/models/spots/compare?a=99999999999999999999&b=1", "/models/spots/9999999999/passport"),
    ],
    ids=lambda path: path[:60],
)
def test_paths_that_lead_nowhere(server: Live, path: str) -> None:
    answer = asked(server, head(path, method="GET"))
    assert answer[0] in (404, 422)
    assert b"root:" not in answer[2]
    if not path.startswith("/v2"):
        assert code(answer)


# ------------------------------------------------------------------ ways of asking


def test_parts_of_a_file(server: Live) -> None:
    path = f"/api/v1/models/{drills.NAME}/versions/1/onnx"
    with server.client() as client:
        whole = client.get(path).content

        def part(wanted: str) -> httpx.Response:
            return client.get(path, headers={"Range": wanted})

        assert (part("bytes=3-9").status_code, part("bytes=3-9").content) == (206, whole[3:10])
        assert part("bytes=-5").content == whole[-5:]
        for ignored in ("bites=0-9", "bytes=", "bytes=a-b", "bytes=9-3", "bytes=" + "9" * 5_000 + "-"):
            assert (part(ignored).status_code, part(ignored).content) == (200, whole)
        behind = part(f"bytes={len(whole)}-")
        assert (behind.status_code, behind.json()["error"]["code"]) == (416, "no_such_range")
        assert behind.headers["content-range"] == f"bytes */{len(whole)}"
        many = part("bytes=" + ",".join(f"{i}-{i}" for i in range(0, 9_000, 2)))
        assert len(many.content) < 2 * len(whole)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "GET"])
def test_methods_that_are_not_there(server: Live, method: str) -> None:
    with server.client() as client:
        answer = client.request(method, PREDICT)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.content == b"" if method == "HEAD" else answer.json()["error"]["code"] == "method_not_allowed"


def test_requests_one_after_the_other_without_waiting(server: Live) -> None:
    """Pipelined: answered in their order, the broken one too, and its connection goes on."""
    bad = drills.post(PREDICT, b"no picture")
    good = drills.post(PREDICT, drills.picture())
    with connect(server) as connected:
        connected.sendall(good + bad + drills.get("/healthz") + good)
        assert [a[0] for a in answers(connected, 4)] == [200, 415, 200, 200]
        connected.sendall(drills.get("/healthz") * 500)
        assert [a[0] for a in answers(connected, 500)] == [200] * 500


def test_expect_100_continue(server: Live) -> None:
    image = drills.picture()
    expecting = head(PREDICT, "Content-Type: image/png", f"Content-Length: {len(image)}", "Expect: 100-continue")
    with connect(server) as connected:
        connected.sendall(expecting)
        assert connected.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connected.sendall(image)
        assert answers(connected)[0][0] == 200
    with connect(server) as connected:  # told before the body is sent
        connected.sendall(head(PREDICT, "Content-Length: 200000000", "Expect: 100-continue"))
        assert connected.recv(100).startswith(b"HTTP/1.1 413 ")


def test_an_upgrade_is_not_taken(server: Live) -> None:
    wish = ("Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")
    assert asked(server, head("/healthz", "Upgrade: websocket", *wish, method="GET"))[0] == 200


# ------------------------------------------------------------------ crowds


def _ask_all_the_while(server: Live, seconds: float) -> list[float]:
    """Milliseconds of each answer."""
    took, until = [], time.monotonic() + seconds
    with server.client() as client:
        while time.monotonic() < until:
            began = time.monotonic()
            assert client.post(PREDICT, files={"image": ("x", drills.picture())}).status_code == 200
            took.append(1000 * (time.monotonic() - began))
    return took


def _opened(server: Live, count: int, beginnings: Iterable[bytes]) -> list[socket.socket]:
    found = [connect(server) for _ in range(count)]
    for connected, beginning in zip(found, beginnings, strict=True):
        connected.sendall(beginning)
    return found


def test_who_says_nothing_or_little_keeps_nobody_waiting(server: Live) -> None:
    """150 idle connections, 50 in the middle of a head, 60 in the middle of a body: more than there are places."""
    body = drills.post(PREDICT, drills.picture())
    form = head("/login", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 9") + b"name"
    beginnings = [*[b""] * 150, *[b"GET /healthz HTTP/1.1\r\nX-A: "] * 50, *[body[:-200]] * 40, *[form] * 20]
    with ExitStack() as open_:
        opened = [open_.enter_context(c) for c in _opened(server, len(beginnings), beginnings)]
        took = _ask_all_the_while(server, 1.5)
        assert drills.percentile(took, 0.5) < 500
        assert at_work(server)["medloupe_requests_at_work"] == 0, "places are for those who have sent all"
        opened[200].sendall(body[-200:])  # who was slow is answered all the same
        assert answers(opened[200])[0][0] == 200


def test_who_leaves_in_the_middle_leaves_nothing_behind(server: Live) -> None:
    """Of heads, of bodies, of forms, while being answered, while downloading; rudely and politely."""
    whole = drills.post(PREDICT, drills.picture())
    login = head("/login", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 90") + b"name=a&"
    promote = head(f"/api/v1/models/{drills.NAME}/promote", "Content-Type: application/json", "Content-Length: 90")
    download = head(f"/api/v1/models/{drills.NAME}/versions/1/onnx", method="GET")
    infer = head(INFER, "Content-Type: application/json", "Content-Length: 900") + b'{"inputs":['
    for number in range(120):
        with connect(server) as connected:
            if number % 2:  # a reset instead of an end
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connected.sendall((whole, whole[:-100], whole[:80], login, promote, infer, download)[number % 7])
            if number % 7 == 6:
                connected.recv(10)
    time.sleep(0.5)


# ------------------------------------------------------------------ texts that PostgreSQL cannot hold


def test_zero_characters(_trained: Trained, tmp_path: Path, postgres_url: str) -> None:
    """SQLite takes them in texts, PostgreSQL does not: nothing with one may come as far as the database."""
    home = tmp_path / "home"
    with running(home, "--keep-images", MEDLOUPE_DATABASE=postgres_url) as server, server.client() as client:
        for _ in range(2):
            added = client.post(f"/api/v1/models/{drills.NAME}/versions", content=_trained.onnx.read_bytes())
            assert added.status_code == 201
        told = client.post(PREDICT, files={"image": ("a\0b", drills.picture())})
        at = f"/api/v1/predictions/{told.json()['id']}"
        page = client.get("/history").text
        token = page.partition('name="csrf" value="')[2].partition('"')[0] or client.cookies["medloupe_form"]
        model = f"/api/v1/models/{drills.NAME}"
        sent = [
            client.get("/api/v1/predictions", params={"before": "\0"}),
            client.get("/history", params={"before": "\0"}),
            *(client.request(m, "/api/v1/predictions/%00") for m in ("GET", "DELETE")),
            client.get("/api/v1/predictions/%00/image"),
            client.get("/predictions/%00"),
            client.post("/api/v1/predictions/%00/feedback", json={"right": True}),
            client.post(at + "/feedback", json={"right": False, "labels": ["\0"]}),
            client.post(model + "/promote", json={"version": 2, "force": True, "reason": "a\0b"}),
            client.post(model + "/rollback", json={"reason": "a\0b"}),
            client.get("/api/v1/models/%00/card", params={"version": 1}),
            client.post("/api/v1/models/%00/promote", json={"version": 2}),
            client.post("/api/v1/models/%00/versions", content=b"x"),
            client.get("/models/%00"),
            client.get("/v2/models/%00/versions/1"),
            client.post("/login", data={"csrf": token, "name": "a\0b", "password": "c\0d"}),
            client.post(f"/models/{drills.NAME}/promote", data={"csrf": token, "version": "2", "reason": "a\0b"}),
            client.post(f"/models/{drills.NAME}/rollback", data={"csrf": token, "reason": "a\0b"}),
        ]
        assert {f"{a.request.method} {a.request.url}": a.status_code for a in sent if a.status_code >= 500} == {}
        unharmed(server)
