"""Review by its API: who may, what is kept on what basis, where settled cases go, and that they can be withdrawn."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import generated
from clinic import add_people
from live import Live, running
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.datasets import Datasets
from medloupe.store.models import Store
from trained import Trained

PEOPLE = {"ada": "admin", "tom": "trainer", "rea": "reviewer", "rob": "reviewer", "bea": "clinician", "vic": "viewer"}


class Site:
    def __init__(self, live: Live, tokens: dict[str, str]):
        self.live, self.tokens = live, tokens

    def ask(self, who: str, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        return httpx.request(method, self.live.url + path, headers=headers, timeout=60, **more)

    def answer(self, picture: bytes, who: str = "bea") -> str:
        said = self.ask(who, "POST", "/api/v1/models/spots/predict", files={"image": ("p.png", picture)})
        assert said.status_code == 200, said.text
        return said.json()["id"]

    def offer(self, picture: bytes, who: str = "bea", basis: str = "consent") -> str:
        id = self.answer(picture, who)
        where = f"/api/v1/predictions/{id}/review"
        said = self.ask(who, "POST", where, files={"image": ("p.png", picture)}, data={"basis": basis})
        assert said.status_code == 201, said.text
        return said.json()["id"]

    def read(self, who: str, case: str, **said: Any) -> httpx.Response:
        return self.ask(who, "POST", f"/api/v1/review/{case}/opinion", json={"verdict": "label", **said})


@pytest.fixture(scope="module")
def site(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("review") / "home"
    shutil.copytree(_trained.home, home)
    tokens = add_people(home, PEOPLE)
    with running(home, "--review", "single", "--no-worker") as live:
        yield Site(live, tokens)


def picture(i: int, tmp_path: Path, sick: bool = True) -> bytes:
    return generated.save(tmp_path / f"{i}-{sick}.png", generated.tissue(5000 + i, sick)).read_bytes()


def test_the_picture_must_be_the_one_answered_and_the_basis_one(site: Site, tmp_path: Path) -> None:
    one, other = picture(1, tmp_path), picture(2, tmp_path)
    id = site.answer(one)
    where = f"/api/v1/predictions/{id}/review"

    def send(sent: bytes, basis: str) -> httpx.Response:
        return site.ask("bea", "POST", where, files={"image": ("p.png", sent)}, data={"basis": basis})

    assert (send(other, "consent").status_code, send(other, "consent").json()["error"]["code"]) == (422, "other_image")
    assert send(one, "curiosity").status_code in (409, 422)
    assert site.ask("bea", "POST", where + "?basis=consent").json()["error"]["code"] == "no_image"
    assert site.ask("rea", "GET", "/api/v1/review").json()["cases"] == []
    case = send(one, "house_rule").json()
    assert (case["basis"], case["basis_by"], case["model"], case["state"]) == ("house_rule", "bea", "spots", "open")
    assert (case["width"], case["height"]) == (64, 64)
    assert site.ask("rea", "GET", f"/api/v1/review/{case['id']}/image").content == one
    site.ask("rea", "DELETE", f"/api/v1/review/{case['id']}")


def test_who_may(site: Site, tmp_path: Path) -> None:
    case = site.offer(picture(3, tmp_path))
    for method, path in (
        ("GET", "/api/v1/review"),
        ("GET", f"/api/v1/review/{case}"),
        ("GET", f"/api/v1/review/{case}/image"),
        ("GET", "/api/v1/review/agreement"),
        ("POST", f"/api/v1/review/{case}/second"),
        ("DELETE", f"/api/v1/review/{case}"),
        ("GET", "/review"),
        ("GET", f"/review/{case}"),
        ("GET", f"/review/{case}/picture"),
    ):
        assert site.ask("bea", method, path).status_code == 403, path
        assert httpx.request(method, site.live.url + path, follow_redirects=False).status_code in (401, 303), path
    assert site.read("bea", case, labels=["sick"]).status_code == 403
    id = site.ask("rea", "GET", f"/api/v1/review/{case}").json()["prediction_id"]
    assert site.ask("rob", "DELETE", f"/api/v1/predictions/{id}/review").status_code == 404  # not theirs
    assert site.ask("vic", "POST", f"/api/v1/predictions/{id}/review").status_code == 403
    assert site.ask("bea", "DELETE", f"/api/v1/predictions/{id}/review").status_code == 204
    assert site.ask("rea", "GET", f"/api/v1/review/{case}").json()["state"] == "withdrawn"


def test_nobody_is_led_and_agreement_is_told(site: Site, tmp_path: Path) -> None:
    cases = [site.offer(picture(10 + i, tmp_path)) for i in range(3)]
    for case in cases:
        site.ask("rea", "POST", f"/api/v1/review/{case}/second")
    assert site.read("rea", cases[0], labels=["sick"]).json()["opinions"][0]["reader"] == "rea"
    assert site.ask("rob", "GET", f"/api/v1/review/{cases[0]}").json()["opinions"] == []
    page = site.ask("rob", "GET", f"/review/{cases[0]}").text
    assert "rea" not in page.partition("<main")[2].replace("readform", "").replace("reader", "").replace("read", "")
    for case, a, b in ((cases[0], None, "sick"), (cases[1], "normal", "normal"), (cases[2], "sick", "normal")):
        if a:
            site.read("rea", case, labels=[a])
        site.read("rob", case, labels=[b])
    told = site.ask("rea", "GET", "/api/v1/review/agreement").json()
    assert (told["n"], told["agreed"]) == (3, pytest.approx(2 / 3))
    assert told["value"] == pytest.approx(0.4)
    assert site.ask("rea", "GET", f"/api/v1/review/{cases[2]}").json()["disputed"] is True
    assert site.read("ada", cases[2], labels=["sick"]).json()["state"] == "settled"


def test_what_is_settled_becomes_training_data_and_never_test_data(site: Site, tmp_path: Path) -> None:
    store = Store(site.live.home)
    sets = Datasets(store.engine, site.live.home)
    tested, known, new = (picture(20 + i, tmp_path) for i in range(3))
    first = site.offer(new)
    assert site.read("rea", first, labels=["normal"]).json()["why"] == "no_dataset"
    classes = (DatasetClass(name="normal", role="normal"), DatasetClass(name="sick", role="sought"))
    data = sets.create("spots", classes=classes)
    sets.add(
        data.id,
        [
            NewItem(key="t", data=tested, file="t.png", label="sick", split="test"),
            NewItem(key="k", data=known, file="k.png", label="sick", split="train"),
        ],
    )
    sets.freeze(data.id)
    a, b, c = site.offer(tested), site.offer(known), site.offer(picture(23, tmp_path))
    assert site.read("rea", a, labels=["normal"]).json()["why"] == "in_test"
    site.read("rea", b, labels=["normal"])
    site.read("rea", c, labels=["sick"])
    items = {item.file: item for item in sets.items(data.id)}
    assert items["t.png"].label == "sick"
    assert items["k.png"].label == "normal"
    came = items[f"review/{c}.png"]
    assert (came.label, came.split) == ("sick", "train")
    origin = {k: came.origin[k] for k in ("source", "case", "model", "readers", "basis", "basis_by")}
    assert origin == {
        "source": "review",
        "case": c,
        "model": "spots",
        "readers": ["rea"],
        "basis": "consent",
        "basis_by": "bea",
    }
    assert f"review/{first}.png" not in items
    with site.live.client(headers={"Authorization": f"Bearer {site.tokens['tom']}"}) as client:
        assert client.post("/review/place", data={"model": "spots"}).status_code == 303
    assert f"review/{first}.png" in {item.file for item in sets.items(data.id)}
    assert site.ask("rea", "POST", "/review/place", data={"model": "spots"}).status_code == 403
    version = sets.freeze(data.id)
    assert came.id in {item.id for item in sets.version_items(data.id, version.number)}

    site.ask("rea", "DELETE", f"/api/v1/review/{c}")
    assert came.id not in {item.id for item in sets.items(data.id)}
    assert next(i for i in sets.version_items(data.id, version.number) if i.id == came.id).left_out
    lines = site.ask("ada", "GET", "/audit?action=review.withdraw").text
    assert "review.withdraw" in lines


def test_review_is_not_there_unless_turned_on(live: Live) -> None:
    with live.client() as client:
        offer = f"/api/v1/predictions/{'0' * 32}/review"
        for method, path in (("GET", "/api/v1/review"), ("GET", "/review"), ("POST", offer)):
            assert client.request(method, path).status_code == 404


def test_where_pictures_are_kept_none_is_sent_again(_trained: Trained, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(_trained.home, home)
    with running(home, "--review", "double", "--keep-images", "--no-worker") as live, live.client() as client:
        id = live.ask("spots", picture(40, tmp_path)).json()["id"]
        said = client.post(f"/api/v1/predictions/{id}/review?basis=consent")
        assert (said.status_code, said.json()["wanted"]) == (201, 2)
