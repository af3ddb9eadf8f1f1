"""The HTTP contract, asked of a real server."""

from __future__ import annotations

import io
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import generated
from live import Live
from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.store.models import Store
from trained import Trained


def png(number: int = 3, sick: bool = True) -> bytes:
    out = io.BytesIO()
    Image.fromarray(generated.tissue(number, sick)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def spots(_trained: Trained) -> Model:
    return Store(_trained.home).get("spots")


@pytest.mark.parametrize("sick", [False, True])
def test_the_answer_is_that_of_the_command_line(live: Live, spots: Model, sick: bool, tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(png(5, sick))
    want = Predictor(spots).predict(path)
    got = live.ask("spots", path.read_bytes()).json()
    assert got["probabilities"] == pytest.approx(dict(want.probabilities), abs=1e-4)
    assert (got["prediction"], got["model"], got["version"]) == (want.prediction, "spots", 1)
    assert (got["refused"] is None) == (want.refused is None)
    assert {"file", "id", "timings"} <= set(got)
    assert "heatmap" not in got


def test_the_heat_map_adds_up_to_the_logits(live: Live, spots: Model) -> None:
    got = live.ask("spots", png(), heatmap="true").json()
    parts = np.array([got["heatmap"][label] for label in spots.labels])
    logits = parts.mean((1, 2)) + spots.head.bias
    p = np.exp(logits - logits.max())
    assert list(got["probabilities"].values()) == pytest.approx((p / p.sum()).tolist(), abs=1e-3)


def test_one_image_as_the_whole_body(live: Live) -> None:
    form = live.ask("spots", png()).json()
    with live.client() as client:
        for kind in ("image/png", "application/octet-stream"):
            raw = client.post("/api/v1/models/spots/predict", content=png(), headers={"Content-Type": kind})
            assert raw.status_code == 200
            assert raw.json()["probabilities"] == form["probabilities"]


def test_several_images_of_which_one_is_none(live: Live) -> None:
    parts = [
        ("image", ("a.png", png(1, False))),
        ("image", ("b.png", b"no picture")),
        ("image", ("c.png", png(1, True))),
    ]
    with live.client() as client:
        said = client.post("/api/v1/models/spots/predict", files=parts)
    assert said.status_code == 200
    first, second, third = said.json()["predictions"]
    assert (first["file"], third["file"]) == ("a.png", "c.png")
    assert second["file"] == "b.png"
    assert second["error"]["code"] == "not_an_image"


def test_the_plain_form(live: Live) -> None:
    with live.client() as client:
        said = client.post("/predict", data={"user": "Ana", "model": "spots"}, files={"image": ("x.png", png())})
        assert said.status_code == 200
        assert {"user": "Ana", "model": "spots", "version": 1}.items() <= said.json().items()
        assert set(said.json()["probabilities"]) == {"normal", "sick"}
        everyday = client.post("/predict", data={"model": "imagenet"}, files={"image": ("x.png", png())}).json()
        assert everyday["model"] == "imagenet"
        assert len(everyday["probabilities"]) == 5


def test_one_picture_asked_of_many_models(live: Live) -> None:
    with live.client() as client:
        asked = {"params": {"models": "imagenet, spots", "heatmap": "true"}, "files": {"image": ("x.png", png())}}
        said = client.post("/api/v1/predict", **asked).json()["predictions"]
        assert [p["model"] for p in said] == ["imagenet", "spots"]
        assert said[0]["timings"]["network"] == said[1]["timings"]["network"], "one pass of the network for both"
        assert said[1]["probabilities"] == pytest.approx(live.ask("spots", png()).json()["probabilities"], abs=1e-5)
        assert len(said[0]["heatmap"]) == 5
        every = client.post("/api/v1/predict?models=all", files={"image": png()}).json()["predictions"]
        assert {p["model"] for p in every} == {"imagenet", "spots"}
        assert client.post("/api/v1/predict?models=spots,flu", files={"image": png()}).status_code == 404


@pytest.mark.parametrize(
    ("path", "parts", "status", "code"),
    [
        ("/api/v1/models/nothing/predict", {"files": {"image": b"x"}}, 404, "not_found"),
        ("/api/v1/models/spots/predict?version=9", {"files": {"image": b"x"}}, 404, "not_found"),
        ("/api/v1/models/spots/predict", {"files": {"image": b"GIF? no"}}, 415, "not_an_image"),
        ("/api/v1/models/spots/predict", {"files": {"image": b""}}, 415, "not_an_image"),
        ("/api/v1/models/spots/predict", {"files": {"image": png()[:2000]}}, 422, "unreadable_image"),
        ("/api/v1/models/spots/predict", {"json": {"image": "x"}}, 415, "unsupported_media_type"),
        ("/api/v1/models/spots/predict?heatmap=perhaps", {"files": {"image": png()}}, 422, "invalid"),
        ("/predict", {"data": {"model": "spots"}}, 422, "no_image"),
        ("/predict", {"data": {"model": "none"}, "files": {"image": png()}}, 404, "not_found"),
        ("/api/v1/nowhere", {}, 404, "not_found"),
        ("/healthz", {}, 405, "method_not_allowed"),
    ],
)
def test_every_error_is_json_that_says_what_to_do(
    live: Live, path: str, parts: dict[str, object], status: int, code: str
) -> None:
    with live.client() as client:
        said = client.post(path, **parts)  # pyright: ignore
    assert said.status_code == status
    error = said.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert set(error) == {"code", "message", "hint"}


def test_a_picture_of_too_many_pixels_costs_nothing(live: Live) -> None:
    header = (
        b"\xff\xd8\xff\xc0\x00\x11\x08" + (13000).to_bytes(2, "big") * 2 + b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    )
    started = time.monotonic()
    said = live.ask("spots", header + b"\xff\xda" + b"\x00" * 1000 + b"\xff\xd9")
    assert said.status_code in (413, 422)
    assert time.monotonic() - started < 2


def test_predictions_are_remembered_and_forgotten(live: Live) -> None:
    with live.client() as client:
        made = live.ask("spots", png(7)).json()
        newest = client.get("/api/v1/predictions", params={"limit": 3}).json()["predictions"]
        assert made["id"] in [p["id"] for p in newest]
        at = f"/api/v1/predictions/{made['id']}"
        got = client.get(at).json()
        assert got["probabilities"] == made["probabilities"]
        assert got["feedback"] is None
        assert "file" not in got

        wrong = client.post(at + "/feedback", json={"right": False, "labels": ["flu"]})
        assert wrong.status_code == 422
        assert "normal, sick" in wrong.json()["error"]["message"]
        assert client.post(at + "/feedback", json={"right": False, "labels": ["normal"]}).status_code == 200
        assert client.get(at).json()["feedback"] == {"right": False, "labels": ["normal"]}

        image = client.get(at + "/image")  # this server was started with --keep-images
        assert image.content == png(7)
        assert image.headers["content-disposition"].startswith("attachment")
        assert client.delete(at + "/image").status_code == 204
        assert client.get(at + "/image").status_code == 404
        assert client.get(at).status_code == 200
        assert not list((live.home / "kept").glob(f"*/{made['id']}*"))

        assert client.delete(at).status_code == 204
        assert client.get(at).status_code == 404
        assert client.post(at + "/feedback", json={"right": True}).status_code == 404


def test_what_there_is(live: Live) -> None:
    with live.client() as client:
        models = {m["name"]: m for m in client.get("/api/v1/models").json()["models"]}
        assert models["spots"]["labels"] == ["normal", "sick"]
        assert models["spots"]["version"] == 1
        assert models["imagenet"]["label_count"] == 1000
        one = client.get("/api/v1/models/spots").json()
        assert [v["version"] for v in one["versions"]] == [1]
        assert one["operating_points"]["sick"]["threshold"] is not None
        assert client.get("/api/v1/models/spots/card").json()["data"]["name"]
        onnx = client.get("/api/v1/models/spots/versions/1/onnx")
        assert onnx.content == (live.home / "models" / "spots" / "1" / "model.onnx").read_bytes()
        assert client.get("/api/v1/models/spots/versions/2/onnx").status_code == 404


def test_health_and_figures(live: Live) -> None:
    live.ask("spots", png())
    with live.client() as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json()["status"] == "ready"
        text = client.get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    route = 'method="POST",route="/api/v1/models/{name}/predict",status="200"'
    assert float(lines[f"medloupe_requests_total{{{route}}}"]) >= 1
    assert float(lines["medloupe_networks"]) == 1, "all check-ups share one network"
    assert float(lines["medloupe_network_bytes"]) > 10e6
    assert "process_resident_memory_bytes" in lines


def test_request_ids_and_logs_without_names(live: Live) -> None:
    with live.client(headers={"X-Request-Id": "abc-123"}) as client:
        said = client.post("/api/v1/models/spots/predict", files={"image": ("Jane Doe 1970.png", png())})
        assert said.headers["x-request-id"] == "abc-123"
        assert said.json()["file"] == "Jane Doe 1970.png"
        odd = client.get("/healthz", headers={"X-Request-Id": "a b\tc"})
        assert odd.headers["x-request-id"] != "a b\tc"
    line = next(x for x in live.lines() if x.get("request_id") == "abc-123")
    assert line["route"] == "/api/v1/models/{name}/predict"
    assert (line["status"], line["model"], line["version"]) == (200, "spots", 1)
    assert line["ms"] > 0
    assert "Jane" not in live.log.read_text("utf-8")


def test_the_database_names_no_file(live: Live) -> None:
    with live.client() as client:
        client.post("/api/v1/models/spots/predict", files={"image": ("Jane Doe 1970.png", png())})
    for path in live.home.glob("medloupe.sqlite*"):
        assert b"Jane Doe" not in path.read_bytes()


def test_many_at_once_get_their_own_answers(live: Live) -> None:
    pictures = [png(i, i % 2 == 0) for i in range(12)]
    alone = [live.ask("spots", p).json()["probabilities"] for p in pictures]
    got: dict[int, dict[str, float]] = {}

    def ask(i: int) -> None:
        got[i] = live.ask("spots", pictures[i]).json()["probabilities"]

    workers = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    for i, p in enumerate(alone):
        assert got[i] == pytest.approx(p, abs=1e-5)


def test_openapi_is_whole(live: Live) -> None:
    with live.client() as client:
        spec = client.get("/openapi.json").json()
    assert "Research software, not a medical device" in spec["info"]["description"]
    for path in ("/api/v1/models/{name}/predict", "/api/v1/predict", "/predict", "/v2/models/{name}/infer", "/metrics"):
        assert path in spec["paths"]
    body = spec["paths"]["/api/v1/models/{name}/predict"]["post"]["requestBody"]["content"]
    assert {"multipart/form-data", "image/*", "application/dicom"} <= set(body)


def test_connections_are_kept(live: Live) -> None:
    with live.client() as client:
        for _ in range(3):
            said = client.post("/api/v1/models/spots/predict", files={"image": png()})
            assert said.headers.get("connection", "keep-alive") != "close"
        assert json.loads(said.content)["model"] == "spots"


def test_head_is_get_without_a_body(live: Live) -> None:
    with live.client() as client:
        for path in ("/healthz", "/", "/api/v1/models", "/static/style.css"):
            head, got = client.head(path), client.get(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-type"] == got.headers["content-type"]
        assert client.head("/nowhere").status_code == 404
        assert client.request("BREW", "/healthz").status_code in (400, 405)
