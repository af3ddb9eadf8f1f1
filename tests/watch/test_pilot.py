"""A pilot by its routes: nothing that was recorded is shown by any of them, until its reference is given or it ends."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

import generated
from clinic import add_people
from live import Live, running
from medloupe.store.models import Store
from medloupe.store.tables import PredictionRow
from negatives import png
from trained import Trained

PEOPLE = {"ada": "admin", "tom": "trainer", "rea": "reviewer", "bea": "clinician", "vic": "viewer"}


class Blind:
    """A server with a pilot, and who may ask it."""

    def __init__(self, live: Live, tokens: dict[str, str]):
        self.live, self.tokens = live, tokens

    def ask(self, who: str, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}", **more.pop("headers", {})}
        return httpx.request(method, self.live.url + path, headers=headers, timeout=120, **more)

    def answer(self, picture: bytes, who: str = "bea", **more: Any) -> dict[str, Any]:
        said = self.ask(who, "POST", "/api/v1/models/spots/predict", files={"image": ("p.png", picture)}, **more)
        assert said.status_code == 200, said.text
        return said.json()

    def kept(self, id: str) -> PredictionRow:
        from medloupe.store.database import transaction

        with transaction(Store(self.live.home).engine) as session:
            row = session.scalars(select(PredictionRow).where(PredictionRow.id == id)).one()
            session.expunge(row)
            return row


@pytest.fixture(scope="module")
def blind(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Blind]:
    home = tmp_path_factory.mktemp("pilot") / "home"
    shutil.copytree(_trained.home, home)
    tokens = add_people(home, PEOPLE)
    with running(home, "--pilot", "--keep-images", "--review", "single", "--no-worker") as live:
        yield Blind(live, tokens)


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "medloupe", "pilot", *arguments, "--home", str(home)]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)


def figures_of(answer: dict[str, Any]) -> set[str]:
    """What of an answer must not be seen: its percentages, as pages and programs write them."""
    p = answer["probabilities"].values()
    return {repr(v) for v in p} | {f"{100 * v:.1f}%" for v in p} | {f"{v:.4f}" for v in p}


def test_nothing_recorded_is_shown_by_any_route(blind: Blind) -> None:
    picture = png(generated.tissue(7101, True))
    said = blind.answer(picture, params={"heatmap": "true"}, headers={"Idempotency-Key": "once"})
    id = said["id"]
    row = blind.kept(id)
    assert row.state == "pilot" and row.pilot
    assert row.answer["state"] in ("flagged", "clear", "unclear"), "the answer itself is recorded"
    assert row.answer["probabilities"]
    assert said["state"] == "pilot"
    assert not said["probabilities"] and not said["flagged"] and not said["prediction"] and "heatmap" not in said

    again = blind.answer(picture, params={"heatmap": "true"}, headers={"Idempotency-Key": "once"})
    assert again == said
    brief = blind.answer(picture, params={"brief": "true"})
    assert (brief["s"], brief["l"], brief["p"]) == ("pilot", "", None)
    plain = blind.ask(
        "bea", "POST", "/predict", data={"user": "u", "model": "spots"}, files={"image": ("p.png", picture)}
    )
    assert plain.status_code == 200 and plain.json()["state"] == "pilot" and plain.json()["prediction"] == ""

    secrets = figures_of(row.answer)
    paths = [
        f"/api/v1/predictions/{id}",
        "/api/v1/predictions",
        f"/results/{id}",
        f"/predictions/{id}",
        f"/results?ids={id}",
        f"/results.csv?ids={id}",
        "/history",
        "/history?state=pilot",
        "/history.csv",
        "/metrics",
        "/watch",
        "/api/v1/watch",
        "/watch/pilot",
        "/watch/pilot/waiting.csv",
        "/watch/pilot/report.csv",
        "/watch/pilot/cases.csv",
        "/api/v1/pilot",
        "/api/v1/pilot/report",
        "/audit",
        f"/predictions/{id}/thumbnail",
    ]
    for who in ("bea", "ada"):
        for path in paths:
            found = blind.ask(who, "GET", path, headers={"Accept": "text/html, application/json"})
            assert found.status_code in (200, 403, 404), (path, found.status_code)
            # 4.9% is no part of 74.9%
            assert not {s for s in secrets if re.search(rf"(?<![\d.,]){re.escape(s)}(?!\d)", found.text)}, (who, path)
            assert path.startswith("/watch") or not re.search("Flagged: ", found.text), (who, path)
            assert "data:image/png" not in found.text, f"a heat map on {path}"
    figures = blind.ask("ada", "GET", "/metrics").text
    told = re.findall(r"medloupe_watch_(?:pictures|share)\{[^}]*model=\"spots\"", figures)
    assert told == [], "how many were watched tells which were refused"
    for state in ("flagged", "clear", "unclear", "answered", "refused", "unusable"):
        assert id not in blind.ask("bea", "GET", f"/history?state={state}").text, "the filter tells the state"
    listed = blind.ask("bea", "GET", "/api/v1/predictions").json()["predictions"]
    assert {one["state"] for one in listed} == {"pilot"}


def test_other_ways_to_an_answer_are_closed(blind: Blind) -> None:
    picture = png(generated.tissue(7102, True))
    id = blind.answer(picture)["id"]
    auto = blind.ask("bea", "POST", "/api/v1/predict", files={"image": ("p.png", picture)})
    assert (auto.status_code, auto.json()["error"]["code"]) == (409, "pilot")
    many = blind.ask("bea", "POST", "/api/v1/predict?models=all", files={"image": ("p.png", picture)})
    assert many.status_code == 200
    assert {one["state"] for one in many.json()["predictions"]} == {"pilot"}
    assert not any(one["probabilities"] for one in many.json()["predictions"])
    pixels = generated.tissue(7102, True)
    asked = {"name": "image", "datatype": "UINT8", "shape": [1, *pixels.shape], "data": pixels.ravel().tolist()}
    tensors = blind.ask("ada", "POST", "/v2/models/spots/infer", json={"inputs": [asked]})
    assert tensors.status_code == 409
    for path in ("/device/", "/api/v1/models/spots/versions/1/onnx", "/models/spots/1/model.onnx"):
        assert blind.ask("bea", "GET", path).status_code == 409, path
    offered = blind.ask("bea", "POST", f"/api/v1/predictions/{id}/review?basis=consent")
    assert offered.status_code == 409
    form = {"X-Part": "1", "Accept": "text/html"}
    part = blind.ask("bea", "POST", "/checkups/spots", headers=form, files={"image": ("p.png", picture)})
    assert part.status_code in (200, 403)
    assert "not shown" in part.text or part.status_code == 403
    trial = blind.kept(id)
    assert not {s for s in figures_of(trial.answer) if s in part.text}


def test_the_reference_shows_one_answer_and_stays(blind: Blind) -> None:
    sick, well = (png(generated.tissue(n, sick)) for n, sick in ((7103, True), (7104, False)))
    first, second = blind.answer(sick)["id"], blind.answer(well)["id"]
    label = next(iter(blind.kept(first).answer["probabilities"]))
    wrong = blind.ask("bea", "POST", f"/api/v1/predictions/{first}/reference", json={"labels": ["dragon"]})
    assert wrong.status_code == 422 and "dragon" in wrong.text
    assert (
        blind.ask("rea", "POST", f"/api/v1/predictions/{first}/reference", json={"labels": [label]}).status_code == 404
    )
    assert (
        blind.ask("vic", "POST", f"/api/v1/predictions/{first}/reference", json={"labels": [label]}).status_code == 403
    )
    given = blind.ask("bea", "POST", f"/api/v1/predictions/{first}/reference", json={"labels": [label]})
    assert given.status_code == 200, given.text
    shown = blind.ask("bea", "GET", f"/api/v1/predictions/{first}").json()
    assert shown["state"] == blind.kept(first).answer["state"] and shown["probabilities"]
    assert blind.ask("bea", "GET", f"/api/v1/predictions/{second}").json()["state"] == "pilot"
    again = blind.ask("bea", "POST", f"/api/v1/predictions/{first}/reference", json={"labels": []})
    assert again.status_code == 409, "who has seen the answer cannot change what it is compared with"

    waiting = command(blind.live.home, "status", "--csv")
    rows = list(csv.DictReader(io.StringIO(waiting.stdout)))
    assert second in {r["id"] for r in rows} and first not in {r["id"] for r in rows}
    assert {r["labels"] for r in rows} == {"?"}
    table = blind.live.home.parent / "references.csv"
    table.write_text(f"id,labels\n{second},{label}\n{first},{label}\n", "utf-8")
    done = command(blind.live.home, "reference", str(table))
    assert done.returncode == 1, "one has a reference already"
    assert "1 references taken, 1 not." in done.stdout
    told = command(blind.live.home, "report", "--json")
    reports = [json.loads(line) for line in told.stdout.splitlines()]
    report = next(r for r in reports if r["model"] == "spots")
    assert report["referred"] == 2
    assert report["tables"][0]["n"] == 2
    seen = blind.ask("ada", "GET", "/api/v1/pilot/report").json()["reports"]
    assert [r["referred"] for r in seen if r["model"] == "spots"] == [2]


def test_only_an_admin_ends_it_and_then_all_is_shown(blind: Blind) -> None:
    id = blind.answer(png(generated.tissue(7105, True)))["id"]
    for who in ("bea", "rea", "tom"):
        assert blind.ask(who, "POST", "/api/v1/pilot/end").status_code == 403
    assert blind.ask("bea", "GET", f"/api/v1/predictions/{id}").json()["state"] == "pilot"
    ended = blind.ask("ada", "POST", "/api/v1/pilot/end")
    assert ended.status_code == 200 and not ended.json()["running"]
    assert blind.ask("bea", "GET", f"/api/v1/predictions/{id}").json()["probabilities"]
    assert not [
        p for p in blind.ask("bea", "GET", "/api/v1/predictions").json()["predictions"] if p["state"] == "pilot"
    ]
    late = blind.ask("bea", "POST", f"/api/v1/predictions/{id}/reference", json={"labels": []})
    assert late.status_code == 409, "it has been seen"
    assert blind.answer(png(generated.tissue(7106, True)))["state"] != "pilot"
    log = blind.ask("ada", "GET", "/audit?action=pilot.end", headers={"Accept": "text/html"}).text
    assert "ada" in log
