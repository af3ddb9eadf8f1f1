"""The studio by its API: who may, what is taken in and what is refused, remedies, training, publication."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import marks
from clinic import add_people
from live import Live, running
from studio_client import (
    BINARY,
    audited,
    checksum,
    metadata,
    new,
    send,
    send_in_chunks,
    settled,
    trained,
    upload_id,
)

ROLES = {"clear": "normal", "dots": "sought"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(tmp_path_factory.mktemp("studio") / "home") as server:
        yield server


@pytest.fixture
def client(site: Live) -> Iterator[httpx.Client]:
    with site.client() as opened:
        yield opened


def test_a_picture_is_taken_in_once(client: httpx.Client) -> None:
    id = new(client, "Once", ROLES)
    first = send(client, id, "a.png", marks.mark("dots", 1), "dots", patient="p1", site="north")
    again = send(client, id, "a.png", marks.mark("dots", 1), "dots", patient="p1", site="north")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["result"] == again.json()["result"]
    (item,) = client.get(f"/api/v1/datasets/{id}/items").json()["items"]
    assert (item["file"], item["label"], item["patient"], item["site"]) == ("a.png", "dots", "p1", "north")
    assert item["origin"]["source"] == "files" and item["origin"]["by"] == "local"
    where = f"/api/v1/datasets/{id}/uploads/{upload_id(id, 'a.png', 'dots')}"
    assert client.get(where).json()["state"] == "taken", client.get(where).text
    assert client.head(where).headers["Upload-Offset"] == str(len(marks.mark("dots", 1)))
    small = client.get(f"/api/v1/datasets/{id}/items/{item['id']}/picture")
    assert small.headers["content-type"] == "image/jpeg" and small.content.startswith(b"\xff\xd8")


def test_what_is_no_picture_is_refused(client: httpx.Client) -> None:
    id = new(client, "Refused", ROLES)
    assert send(client, id, "x.png", b"no picture at all", "dots").status_code == 415
    assert send(client, id, "x.png", marks.mark("dots", 0)[:200], "dots").status_code == 422
    said = send(client, id, "x.png", marks.mark("dots", 0), "odd")
    assert (said.status_code, "no class 'odd'" in said.json()["error"]["message"]) == (409, True)
    assert send(client, id, "x.png", marks.mark("dots", 0), "dots", sha256="0" * 64).status_code == 460
    assert client.get(f"/api/v1/datasets/{id}/items").json()["items"] == []


def test_tus_resumes(client: httpx.Client) -> None:
    id = new(client, "Chunks", ROLES)
    data = marks.mark("dots", 2)
    where = f"/api/v1/datasets/{id}/uploads"
    told = client.options(where)
    assert (told.headers["Tus-Version"], "checksum" in told.headers["Tus-Extension"]) == ("1.0.0", True)
    headers = {"Upload-Length": str(len(data)), "Upload-Metadata": metadata(file="b.png", label="dots")}
    made = client.post(where, headers=headers)
    assert (made.status_code, made.headers["Upload-Offset"]) == (201, "0")
    at = made.headers["Location"]

    def patch(offset: int, chunk: bytes, sum: str) -> httpx.Response:
        told = {"Upload-Offset": str(offset), "Upload-Checksum": sum, "Content-Type": BINARY}
        return client.patch(at, content=chunk, headers=told)

    assert patch(0, data[:500], checksum(b"other")).status_code == 460
    assert patch(0, data[:500], checksum(data[:500])).status_code == 204
    lost = patch(0, data[:500], checksum(data[:500]))
    assert (lost.status_code, lost.headers["Upload-Offset"]) == (409, "500")
    assert client.head(at).headers["Upload-Offset"] == "500"
    assert patch(500, data[500:] + b"more", checksum(data[500:] + b"more")).status_code == 409
    assert patch(500, data[500:], checksum(data[500:])).status_code == 204
    assert settled(client, id, at.rpartition("/")[2])["state"] == "taken"
    assert client.get(f"/api/v1/datasets/{id}").json()["counts"]["dots"] == 1
    assert client.post(where, headers={**headers, "Tus-Resumable": "0.2.0"}).status_code == 412
    assert client.post(where, headers={**headers, "Upload-Length": "many"}).status_code == 422
    assert client.post(where, headers={**headers, "Upload-Length": str(10**13)}).status_code == 409


def test_an_archive_with_a_table_is_read_as_the_package_reads(client: httpx.Client) -> None:
    id = new(client, "Table")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        rows = ["file,label,patient,hospital"]
        for kind in ("clear", "dots"):
            for number in range(6):
                archive.writestr(f"scans/{kind}{number}.png", marks.mark(kind, number))
                rows.append(f"scans/{kind}{number}.png,{kind},p{number // 2},north")
        archive.writestr("labels.csv", "\n".join(rows))
        archive.writestr("__MACOSX/._x", b"x")
    upload = send_in_chunks(client, id, "scans.zip", made.getvalue(), 4000)
    told = settled(client, id, upload)
    assert told["state"] == "taken", told
    seen = client.get(f"/api/v1/datasets/{id}").json()
    assert seen["counts"] == {"clear": 6, "dots": 6, "": 0}
    assert {c["name"]: c["role"] for c in seen["classes"]}["clear"] in ("none", "normal")
    items = client.get(f"/api/v1/datasets/{id}/items").json()["items"]
    assert {item["patient"] for item in items} == {"p0", "p1", "p2"} and {item["site"] for item in items} == {"north"}
    assert {item["origin"]["archive"] for item in items} == {"scans.zip"}


def test_a_hostile_archive_is_refused(client: httpx.Client) -> None:
    id = new(client, "Hostile")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("../../outside.png", marks.mark("dots", 0))
    told = settled(client, id, send_in_chunks(client, id, "bad.zip", made.getvalue(), 4000))
    assert told["state"] == "refused" and "outside it" in told["error"]
    assert client.get(f"/api/v1/datasets/{id}").json()["pictures"] == 0
    assert client.get(f"/api/v1/datasets/{id}").json()["uploads"][0]["error"] == told["error"]


def test_from_pictures_to_an_answer(client: httpx.Client) -> None:
    id = new(client, "Dots in tissue", ROLES, kind="tissue")
    for kind in ROLES:
        for number in range(14):
            sent = send(client, id, f"{kind}/{number}.png", marks.mark(kind, number), kind)
            assert sent.status_code == 201, sent.text
    send(client, id, "copy.png", marks.mark("dots", 0), "dots")
    send(client, id, "other.png", marks.mark("dots", 1), "clear")
    found = {f["kind"]: f for f in client.get(f"/api/v1/datasets/{id}").json()["findings"]}
    assert found["duplicates"]["count"] == 1 and found["duplicates_across_labels"]["level"] == "serious"
    for kind in ("duplicates", "duplicates_across_labels"):
        (remedy, *_) = found[kind]["remedies"]
        wish = {"action": remedy["action"], "items": remedy["items"], "why": kind}
        assert client.post(f"/api/v1/datasets/{id}/changes", json=wish).status_code == 201
    seen = audited(client, id)
    assert not {"duplicates", "duplicates_across_labels"} & {f["kind"] for f in seen["findings"]}
    assert seen["counts"] == {"clear": 14, "dots": 13, "": 0} and seen["audit"]["error"] == ""
    log = client.get(f"/api/v1/datasets/{id}/changes").json()["changes"]
    assert [c["action"] for c in log] == ["leave_out", "leave_out", "add"]
    undone = client.post(f"/api/v1/datasets/{id}/changes/{log[0]['number']}/undo")
    assert undone.status_code == 201
    assert client.post(f"/api/v1/datasets/{id}/changes/{log[0]['number']}/undo").status_code == 409
    assert client.get(f"/api/v1/datasets/{id}").json()["counts"] == {"clear": 15, "dots": 14, "": 0}
    assert client.post(f"/api/v1/datasets/{id}/changes/{undone.json()['number']}/undo").status_code == 409
    contradictory = found["duplicates_across_labels"]["remedies"][0]["items"]
    wish = {"action": "leave_out", "items": contradictory}
    assert client.post(f"/api/v1/datasets/{id}/changes", json=wish).status_code == 201

    begun = client.post(f"/api/v1/datasets/{id}/train")
    again = client.post(f"/api/v1/datasets/{id}/train")
    assert begun.status_code == 202 and begun.json()["job"] == again.json()["job"], (
        "a second click is the same training"
    )
    assert client.delete(f"/api/v1/datasets/{id}").status_code == 409
    over = trained(client, id)
    assert (over["state"], over["model_version"], over["production"]) == ("done", 1, None), over
    name = client.get(f"/api/v1/datasets/{id}").json()["name"]
    assert name == "dots-in-tissue"
    picture = {"image": ("new.png", marks.mark("dots", 99))}
    assert client.post(f"/api/v1/models/{name}/predict", files=picture).status_code == 404, "it waits for a person"
    assert client.post(f"/api/v1/models/{name}/promote", json={"version": 1}).status_code == 200
    told = client.post(f"/api/v1/models/{name}/predict", files=picture).json()
    assert (told["prediction"], told["state"]) == ("dots", "flagged")
    card = client.get(f"/api/v1/models/{name}/card").json()
    assert card["kind"] == "tissue" and card["roles"]["labels"]["dots"]["role"] == "sought"
    assert card["data"]["name"] == f"{name}-1"


def test_versions_are_taken_away(client: httpx.Client, tmp_path: Path) -> None:
    import medloupe

    id = new(client, "Away", ROLES)
    for kind in ROLES:
        for number in range(3):
            send(client, id, f"{kind}/{number}.png", marks.mark(kind, number), kind, patient=f"={number}")
    assert client.post(f"/api/v1/datasets/{id}/versions").json()["number"] == 1
    where = f"/api/v1/datasets/{id}/versions/1/export"
    for form in ("table", "coco", "label-studio", "cvat"):
        packed = client.get(where, params={"form": form})
        assert packed.status_code == 200
        with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
            archive.extractall(tmp_path / form)
    data = medloupe.read(tmp_path / "table")
    assert data.counts() == {"clear": 3, "dots": 3}
    assert "'=0" in (tmp_path / "table" / "labels.csv").read_text(), "no spreadsheet runs what a table says"
    tasks = json.loads((tmp_path / "label-studio" / "tasks.json").read_text())
    assert {t["annotations"][0]["result"][0]["value"]["choices"][0] for t in tasks} == {"clear", "dots"}
    coco = json.loads((tmp_path / "coco" / "instances.json").read_text())
    assert len(coco["images"]) == 6 and {i["width"] for i in coco["images"]} == {marks.SIDE}
    assert client.get(f"/api/v1/datasets/{id}/versions/7/export").status_code == 404
    assert client.delete(f"/api/v1/datasets/{id}").status_code == 204
    assert client.get(f"/api/v1/datasets/{id}").status_code == 404


def test_for_trainers(tmp_path: Path) -> None:
    home = tmp_path / "home"
    roles = {"ada": "admin", "tom": "trainer", "bea": "clinician", "vic": "viewer"}
    tokens = {name: {"Authorization": f"Bearer {token}"} for name, token in add_people(home, roles).items()}
    with running(home, "--no-worker") as live, live.client() as client:
        made = client.post("/api/v1/datasets", json={"title": "Of Tom"}, headers=tokens["tom"])
        id = made.json()["id"]
        item = "0" * 32
        asked = [
            ("GET", "/api/v1/datasets"),
            ("POST", "/api/v1/datasets"),
            ("GET", f"/api/v1/datasets/{id}"),
            ("DELETE", f"/api/v1/datasets/{id}"),
            ("PUT", f"/api/v1/datasets/{id}/classes"),
            ("GET", f"/api/v1/datasets/{id}/items"),
            ("GET", f"/api/v1/datasets/{id}/items/{item}/picture"),
            ("POST", f"/api/v1/datasets/{id}/erase"),
            ("GET", f"/api/v1/datasets/{id}/changes"),
            ("POST", f"/api/v1/datasets/{id}/changes"),
            ("POST", f"/api/v1/datasets/{id}/changes/1/undo"),
            ("POST", f"/api/v1/datasets/{id}/versions"),
            ("GET", f"/api/v1/datasets/{id}/versions/1/export"),
            ("POST", f"/api/v1/datasets/{id}/train"),
            ("POST", f"/api/v1/datasets/{id}/train/stop"),
            ("GET", "/api/v1/models/x/shadow"),
            ("OPTIONS", f"/api/v1/datasets/{id}/uploads"),
            ("POST", f"/api/v1/datasets/{id}/uploads"),
            ("GET", f"/api/v1/datasets/{id}/uploads/{item}"),
            ("PATCH", f"/api/v1/datasets/{id}/uploads/{item}"),
            ("DELETE", f"/api/v1/datasets/{id}/uploads/{item}"),
            ("GET", f"/api/v1/datasets/{id}/candidates"),
            ("POST", f"/api/v1/datasets/{id}/candidates"),
            ("GET", f"/api/v1/datasets/{id}/candidates/{item}"),
            ("POST", f"/api/v1/datasets/{id}/candidates/{item}/promote"),
            ("POST", f"/api/v1/datasets/{id}/candidates/{item}/dismiss"),
            ("PUT", f"/api/v1/datasets/{id}/candidates/rule"),
            ("GET", "/studio"),
            ("POST", "/studio"),
            ("GET", f"/studio/{id}"),
            ("GET", f"/studio/{id}/now"),
            ("POST", f"/studio/{id}/do"),
            ("POST", f"/studio/{id}/try"),
            ("GET", f"/studio/{id}/loop"),
            ("GET", f"/studio/{id}/loop/now"),
            ("POST", f"/studio/{id}/loop"),
            ("GET", f"/studio/{id}/candidates/{item}"),
            ("POST", f"/studio/{id}/candidates/{item}"),
        ]
        bodies = {
            "/datasets": {"title": "x"},
            "/classes": {"classes": []},
            "/changes": {"action": "leave_out"},
            "/erase": {"action": "leave_out"},
            "/promote": {},
            "/dismiss": {},
            "/rule": {},
        }
        for method, path in asked:
            body = next((b for end, b in bodies.items() if path.endswith(end)), None) if method != "GET" else None
            for name in ("bea", "vic"):
                got = client.request(method, path, json=body, headers=tokens[name])
                assert got.status_code == 403, (method, path, name, got.status_code)
            assert client.request(method, path, json=body).status_code == 401, (method, path)
        listed = {(m, p) for m, p in asked}
        described = client.get("/openapi.json", headers=tokens["ada"]).json()["paths"]
        routes = {(m.upper(), p) for p, ways in described.items() if "/datasets" in p for m in ways}
        assert len(routes) == len([1 for m, p in listed if p.startswith("/api/v1/datasets")]), (
            "every route is asked for"
        )
        assert client.get(f"/api/v1/datasets/{id}", headers=tokens["ada"]).json()["created_by"] == "tom"
        assert client.get("/studio", headers=tokens["tom"]).status_code == 200
        promoted = client.post("/api/v1/models/x/promote", json={"version": 1}, headers=tokens["tom"])
        assert promoted.status_code == 403, "publishing is an admin's"
        for end in ("promote", "dismiss"):
            decided = client.post(f"/api/v1/datasets/{id}/candidates/{item}/{end}", json={}, headers=tokens["tom"])
            assert decided.status_code == 403, "so are candidates"
        for path, body in (("shadow", {"version": 1}), ("shadow/stop", None)):
            begun = client.post(f"/api/v1/models/x/{path}", json=body, headers=tokens["tom"])
            assert begun.status_code == 403, "and comparisons on live requests"
        assert client.get("/api/v1/models/x/shadow", headers=tokens["tom"]).json() == {"shadows": []}


def test_no_other_site_may(client: httpx.Client) -> None:
    id = new(client, "Mine", ROLES)
    foreign = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    for method, path in (
        ("POST", "/api/v1/datasets"),
        ("POST", f"/api/v1/datasets/{id}/uploads"),
        ("PATCH", f"/api/v1/datasets/{id}/uploads/{'0' * 32}"),
        ("DELETE", f"/api/v1/datasets/{id}"),
        ("POST", f"/api/v1/datasets/{id}/train"),
        ("POST", f"/studio/{id}/do"),
    ):
        assert client.request(method, path, json={"title": "x"}, headers=foreign).status_code == 403, path
    form = {"do": "train"}
    assert client.post(f"/studio/{id}/do", data=form).status_code == 403, "a form without its token"
    assert client.post("/studio", data={"title": "x", "csrf": "guessed"}).status_code == 403
