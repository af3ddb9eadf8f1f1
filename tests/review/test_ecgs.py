"""ECGs in the loop by a real server: answers sent for review, read, learned, judged on the same frozen test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import ecgmodels
import ecgsaved
import ecgwriters
from clinic import add_people
from ecgloops import CLASSES, NAME, EcgLoop, draw_signal, make_ecg_findings, make_rhythms, pick
from live import Live, running
from medloupe.ecg.packing import pack_signal
from medloupe.metrics.evidence import OUT_OF_FOLD, Evidence
from medloupe.store.frozen_tests import find_frozen_test
from once import once

pytestmark = pytest.mark.slow
PEOPLE = {"ada": "admin", "tom": "trainer", "rea": "reviewer", "rob": "reviewer", "bea": "clinician"}
Files = list[tuple[str, tuple[str, bytes]]]


class Ward:
    """A server with people, and the loop behind it."""

    def __init__(self, live: Live, tokens: Mapping[str, str]):
        self.live, self.tokens, self.loop = live, tokens, EcgLoop(live.home)

    def ask(self, who: str, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}", **more.pop("headers", {})}
        return httpx.request(method, self.live.url + path, headers=headers, timeout=120, **more)

    def answer(self, files: Files, model: str = "", **fields: str) -> str:
        where = f"/api/v1/models/{model or self.loop.name}/predict"
        said = self.ask("bea", "POST", where, files=files, data=fields)
        assert said.status_code == 200, said.text
        return said.json()["id"]

    def send(self, id: str, files: Files, **fields: str) -> httpx.Response:
        where = f"/api/v1/predictions/{id}/review"
        return self.ask("bea", "POST", where, files=files, data={"basis": "consent", **fields})

    def offer(self, files: Files, **fields: str) -> dict[str, Any]:
        sent = self.send(self.answer(files, **{k: v for k, v in fields.items() if k != "patient"}), files, **fields)
        assert sent.status_code == 201, sent.text
        return sent.json()

    def read(self, who: str, case: str, labels: list[str]) -> dict[str, Any]:
        body = {"verdict": "label", "labels": labels}
        said = self.ask(who, "POST", f"/api/v1/review/{case}/opinion", json=body)
        assert said.status_code == 200, said.text
        return said.json()


def npz(number: int, found: tuple[str, ...]) -> Files:
    return [("image", (f"{number}.npz", pack_signal(draw_signal(number, found))))]


@pytest.fixture(scope="module", params=[False, True], ids=["one class", "several findings"])
def ward(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    several = bool(request.param)
    made = once(tmp_path_factory, NAME[several], make_ecg_findings if several else make_rhythms)[0]
    home = tmp_path_factory.mktemp("ward") / "home"
    shutil.copytree(made / "home", home)
    tokens = add_people(home, PEOPLE)
    with running(home, "--review", "single", "--no-worker") as live:
        yield Ward(live, tokens)


def test_an_ecg_is_kept_as_one_file_that_says_all(ward: Ward, tmp_path: Path) -> None:
    found = pick(901, several=ward.loop.sets.get(ward.loop.name).several)
    signal = draw_signal(901, found)
    head = ecgwriters.wfdb_record(signal, tmp_path, "r901")
    parts = [head, head.with_suffix(".dat")]
    wfdb: Files = [("image", (path.name, path.read_bytes())) for path in parts]
    case = ward.offer(wfdb, patient="H7")
    assert (case["width"], case["height"], case["patient"]) == (signal.samples.shape[1], 12, "H7")
    assert case["task"] == ward.loop.sets.get(ward.loop.name).task
    kept = ward.ask("rea", "GET", f"/api/v1/review/{case['id']}/image").content
    path = tmp_path / "kept.npz"
    path.write_bytes(kept)
    with np.load(path) as again:
        assert np.allclose(again["signal"], signal.samples, atol=0.005)

    plain = ecgwriters.text(signal)  # tells no rate
    told: Files = [("image", ("x.csv", plain))]
    case = ward.offer(told, rate="250")
    assert ward.ask("rea", "GET", f"/api/v1/review/{case['id']}/image").content[:2] == b"PK"
    alone = npz(902, found)
    case = ward.offer(alone)
    assert ward.ask("rea", "GET", f"/api/v1/review/{case['id']}/image").content == alone[0][1][1]

    id = ward.answer(npz(903, found))
    assert ward.send(id, npz(904, found)).json()["error"]["code"] == "other_image"
    assert ward.send(id, wfdb).json()["error"]["code"] == "other_image"
    assert ward.send(id, npz(903, found), basis="curiosity").status_code in (409, 422)
    for one in ward.ask("rea", "GET", "/api/v1/review").json()["cases"]:
        ward.ask("rea", "DELETE", f"/api/v1/review/{one['id']}")


def test_from_answers_to_a_better_answer(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    name = ward.loop.name
    data = ward.loop.sets.get(name)
    numbers = range(1000, 1012)
    truth = {n: list(pick(n, several=data.several)) for n in numbers}
    cases = {n: ward.offer(npz(n, pick(n, several=data.several)), patient=f"N{n}")["id"] for n in numbers}
    page = ward.ask("rea", "GET", f"/review/{cases[1000]}", headers={"Accept-Language": "fr"}).text
    assert "<svg" in page and "data-ecgview" in page and "Retirer l’ECG" in page
    assert page.count('type="checkbox" name="label"') == (2 if data.several else 0)
    drawn = ward.ask("rea", "GET", f"/review/{cases[1000]}/picture")
    assert drawn.headers["content-type"].startswith("image/svg+xml") and drawn.text.startswith("<svg")
    if not data.several:
        empty = ward.ask("rea", "POST", f"/api/v1/review/{cases[1000]}/opinion", json={"verdict": "label"})
        assert empty.status_code == 409, "an ECG has one of the classes"
    for n, case in cases.items():
        settled = ward.read("rea", case, truth[n])
        assert settled["state"] == "settled" and settled["item"], settled
    items = {item.origin["case"]: item for item in ward.loop.sets.items(name) if item.origin.get("source") == "review"}
    for n, case in cases.items():
        item = items[case]
        assert (item.split, item.patient, item.file) == ("train", f"N{n}", f"review/{case}.npz")
        wanted = {c.name: int(c.name in truth[n]) for c in CLASSES[True]} if data.several else truth[n][0]
        assert (item.labels if data.several else item.label) == wanted
    small = ward.ask("tom", "GET", f"/api/v1/datasets/{data.id}/items/{items[cases[1000]].id}/picture")
    assert small.content.startswith(b"\xff\xd8")

    shown = ward.ask("tom", "GET", f"/studio/{data.id}")
    assert f"/studio/{data.id}/loop" in shown.text
    where = f"/api/v1/datasets/{name}/candidates"
    asked = ward.ask("tom", "POST", where)
    assert asked.status_code == 202, asked.text
    monkeypatch.setenv("MEDLOUPE_HOME", str(ward.live.home))
    ward.loop.work()
    assert [job.error for job in ward.loop.queue.list("failed", most=1)] == []
    told = ward.ask("tom", "GET", f"{where}/{asked.json()['id']}").json()
    gate = told["comparison"]["gate"]
    frozen = find_frozen_test(ward.loop.store.engine, data.id)
    assert frozen is not None
    assert gate["records"] == len(frozen.digests) == 48 and gate["auc"] is not None, gate
    own = {item.digest for item in items.values()}
    assert not own & frozen.digests, "corrections never enter the frozen test"
    across = Evidence.read(ward.loop.store.folder(name, 2), OUT_OF_FOLD)
    assert across is not None and len(across.digests) == 60
    assert np.isin(Evidence.digest([bytes.fromhex(d) for d in sorted(own)]), across.digests).all()
    assert told["comparison"]["prequential"]["corrections"] == 12
    assert told["comparison"]["added"]["readers"] == {"rea": 12}
    page = ward.ask("tom", "GET", f"/studio/{data.id}/candidates/{asked.json()['id']}")
    assert page.status_code == 200 and "ectopic" in page.text
    assert gate["passed"], gate
    let_in = ward.ask("ada", "POST", f"{where}/{asked.json()['id']}/promote", json={})
    assert let_in.status_code == 200, let_in.text
    said = ward.ask("bea", "POST", f"/api/v1/models/{name}/predict", files=npz(1100, ("ectopic",))).json()
    assert said["version"] == 2 and "ectopic" in (said["flagged"] or [said["prediction"]])

    ward.ask("rea", "DELETE", f"/api/v1/review/{cases[1000]}")
    version = ward.loop.sets.versions(name)[0].number
    gone = next(i for i in ward.loop.sets.version_items(name, version) if i.id == items[cases[1000]].id)
    assert gone.left_out, "withdrawn: only its place is left"


def test_one_that_is_in_the_frozen_test_stays_there(ward: Ward) -> None:
    several = ward.loop.sets.get(ward.loop.name).several
    case = ward.offer(npz(3, pick(3, several=several)))
    assert ward.read("rea", case["id"], list(pick(2, several=several)) or ["fast"])["why"] == "in_test"


def test_single_beats_are_not_reviewed_as_a_whole(ecg_home: Path, tmp_path: Path) -> None:
    shutil.copytree(ecg_home, tmp_path / "home")
    files = [("image", pair) for pair in ecgsaved.wfdb(ecgmodels.recording(950)).items()]
    with running(tmp_path / "home", "--review", "single", "--no-worker") as live, live.client() as client:
        said = client.post("/api/v1/models/beats/predict", files=files)
        assert said.status_code == 200, said.text
        id = said.json()["id"]
        told = client.post(f"/api/v1/predictions/{id}/review", files=files, data={"basis": "consent"})
        assert (told.status_code, told.json()["error"]["code"]) == (409, "not_reviewed"), told.text
        assert "data-offer " not in client.get(f"/results/{id}", headers={"Accept": "text/html"}).text
        whole = [("image", pair) for pair in ecgsaved.wfdb(ecgmodels.standard(951)).items()]
        id = client.post("/api/v1/models/leads/predict", files=whole).json()["id"]
        assert "data-offer " in client.get(f"/results/{id}", headers={"Accept": "text/html"}).text
