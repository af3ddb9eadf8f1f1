"""A client of the studio: it sends files by tus, again and again until they are there, as the page does."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from typing import Any

import httpx

BINARY = "application/offset+octet-stream"


def metadata(**told: str) -> str:
    """Upload-Metadata."""
    return ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in told.items() if text)


def checksum(chunk: bytes) -> str:
    """Upload-Checksum."""
    return f"sha256 {base64.b64encode(hashlib.sha256(chunk).digest()).decode()}"


def upload_id(dataset: str, name: str, label: str) -> str:
    """The same for the same file."""
    return hashlib.sha256(f"{dataset}\0{name}\0{label}".encode()).hexdigest()[:32]


def new(client: httpx.Client, title: str, classes: Mapping[str, str] | None = None, **told: Any) -> str:
    """Make a data set; its id."""
    wish = {"title": title, "classes": [{"name": n, "role": r} for n, r in (classes or {}).items()], **told}
    answer = client.post("/api/v1/datasets", json=wish)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def send(client: httpx.Client, dataset: str, name: str, data: bytes, label: str = "", **told: str) -> httpx.Response:
    """Send a file in one request."""
    said = metadata(id=upload_id(dataset, name, label), file=name, label=label, batch="one", **told)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(data)), "Upload-Metadata": said}
    return client.post(f"/api/v1/datasets/{dataset}/uploads", content=data, headers={**headers, "Content-Type": BINARY})


def send_in_chunks(client: httpx.Client, dataset: str, name: str, data: bytes, size: int, **told: str) -> str:
    """Send a file in chunks, from wherever the server is; the id of the upload."""
    id = upload_id(dataset, name, "")
    where = f"/api/v1/datasets/{dataset}/uploads"
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(data))}
    made = client.post(where, headers={**headers, "Upload-Metadata": metadata(id=id, file=name, **told)})
    assert made.status_code == 201, made.text
    at = int(made.headers["Upload-Offset"])
    while at < len(data):
        chunk = data[at : at + size]
        headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(at), "Upload-Checksum": checksum(chunk)}
        sent = client.patch(f"{where}/{id}", content=chunk, headers={**headers, "Content-Type": BINARY})
        assert sent.status_code in (204, 409), sent.text
        at = int(sent.headers["Upload-Offset"])
    return id


def settled(client: httpx.Client, dataset: str, id: str, seconds: float = 120) -> dict[str, Any]:
    """What came of an upload, when something has."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = client.get(f"/api/v1/datasets/{dataset}/uploads/{id}")
        told = answer.json()
        assert answer.status_code in (200, 503), answer.text
        if told.get("state") in ("taken", "refused"):
            return told
        time.sleep(0.1)
    raise AssertionError(f"nothing came of the upload {id}")


def audited(client: httpx.Client, dataset: str, seconds: float = 180) -> dict[str, Any]:
    """The data set, when the audit has looked at it as it stands."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        told = client.get(f"/api/v1/datasets/{dataset}").json()
        if told["audit"]["up_to_date"]:
            return told
        time.sleep(0.3)
    raise AssertionError("it was not audited")


def trained(client: httpx.Client, dataset: str, seconds: float = 300) -> dict[str, Any]:
    """The training, when it is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        told = client.get(f"/api/v1/datasets/{dataset}").json()["training"]
        if told["state"] not in ("waiting", "running"):
            return told
        time.sleep(0.3)
    raise AssertionError("the training is not over")


def list_versions(live: Any, name: str) -> list[int]:
    """The versions of a model in the store of a server, whether one answers or not."""
    from medloupe.store.models import Store

    return [v.version for v in Store(live.home).list() if v.name == name]
