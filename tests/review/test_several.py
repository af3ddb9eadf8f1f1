"""The loop of a check-up of several findings by a real server: answers, two readers, a candidate, the next answer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from clinic import add_people
from findings import FINDINGS, NAME, FindingsLoop, make_findings_loop, picture
from live import Live, running
from once import once

pytestmark = pytest.mark.slow
PEOPLE = {"ada": "admin", "tom": "trainer", "rea": "reviewer", "rob": "reviewer", "bea": "clinician"}
BOTH = ["dots", "stripes"]


class Ward:
    """A server with people, and the loop behind it."""

    def __init__(self, live: Live, tokens: dict[str, str]):
        self.live, self.tokens, self.loop = live, tokens, FindingsLoop(live.home)

    def ask(self, who: str, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}", **more.pop("headers", {})}
        return httpx.request(method, self.live.url + path, headers=headers, timeout=60, **more)

    def offer(self, data: bytes) -> str:
        said = self.ask("bea", "POST", f"/api/v1/models/{NAME}/predict", files={"image": ("p.png", data)})
        assert said.status_code == 200, said.text
        where = f"/api/v1/predictions/{said.json()['id']}/review"
        sent = self.ask("bea", "POST", where, files={"image": ("p.png", data)}, data={"basis": "consent"})
        assert sent.status_code == 201, sent.text
        return sent.json()["id"]

    def read(self, who: str, case: str, labels: list[str]) -> dict[str, Any]:
        body = {"verdict": "label", "labels": labels}
        said = self.ask(who, "POST", f"/api/v1/review/{case}/opinion", json=body)
        assert said.status_code == 200, said.text
        return said.json()


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    made = once(tmp_path_factory, "findings", make_findings_loop)[0]
    home = tmp_path_factory.mktemp("ward") / "home"
    shutil.copytree(made / "home", home)
    tokens = add_people(home, PEOPLE)
    with running(home, "--review", "double", "--no-worker") as live:
        yield Ward(live, tokens)


def test_from_answers_to_a_better_answer(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [ward.offer(picture(9000 + n, FINDINGS[:n])) for n in range(3)]
    page = ward.ask("rea", "GET", f"/review/{cases[2]}", headers={"Accept-Language": "fr"}).text
    assert page.count('type="checkbox"') == 3 and "rien de cela" in page
    empty = ward.ask("rea", "POST", f"/review/{cases[2]}", data={"do": "label"})
    assert empty.status_code == 409, "nothing ticked is no answer"
    ticked = ward.ask("rea", "POST", f"/review/{cases[2]}", data={"do": "label", "label": BOTH})
    assert ticked.status_code == 303, ticked.text
    assert ward.ask("rea", "POST", f"/review/{cases[0]}", data={"do": "label", "none": "yes"}).status_code == 303
    assert ward.read("rea", cases[1], BOTH)["state"] == "open"

    none = ward.read("rob", cases[0], [])
    assert none["state"] == "settled" and none["outcome"]["labels"] == [] and none["item"]
    assert ward.read("rob", cases[2], ["stripes", "dots"])["state"] == "settled", "a set has no order"
    assert ward.read("rob", cases[1], ["dots"])["disputed"] is True
    told = ward.ask("rea", "GET", "/api/v1/review/agreement").json()
    assert (told["n"], told["agreed"]) == (3, pytest.approx(2 / 3))
    by_finding = {one["label"]: (one["n"], one["agreed"]) for one in told["findings"]}
    assert by_finding == {"dots": (3, 1.0), "stripes": (3, pytest.approx(2 / 3))}
    queue = ward.ask("rea", "GET", "/review").text
    assert "films: stripes" in queue.lower() or "stripes</th>" in queue
    assert ward.read("ada", cases[1], ["dots"])["state"] == "settled"

    items = {item.origin["case"]: item for item in ward.loop.sets.items(NAME) if item.origin.get("source") == "review"}
    assert {case: items[case].labels for case in cases} == {
        cases[0]: {"dots": 0, "stripes": 0},
        cases[1]: {"dots": 1, "stripes": 0},
        cases[2]: {"dots": 1, "stripes": 1},
    }
    assert items[cases[1]].split == "train" and items[cases[1]].origin["readers"] == ["rea", "rob", "ada"]

    where = f"/api/v1/datasets/{NAME}/candidates"
    asked = ward.ask("tom", "POST", where)
    assert asked.status_code == 202, asked.text
    monkeypatch.setenv("MEDLOUPE_HOME", str(ward.live.home))
    ward.loop.work()
    shown = ward.ask("tom", "GET", f"{where}/{asked.json()['id']}").json()
    gate = shown["comparison"]["gate"]
    assert gate["records"] == 48 and gate["auc"] is not None and gate["passed"], gate
    assert {row["label"] for row in shown["comparison"]["paired"]["per_label"]} == set(FINDINGS)
    assert shown["comparison"]["prequential"]["corrections"] == 3
    page = ward.ask("tom", "GET", f"/studio/{ward.loop.dataset}/candidates/{asked.json()['id']}")
    assert page.status_code == 200 and "dots" in page.text
    let_in = ward.ask("ada", "POST", f"{where}/{asked.json()['id']}/promote", json={})
    assert let_in.status_code == 200, let_in.text
    next_one = ward.ask(
        "bea", "POST", f"/api/v1/models/{NAME}/predict", files={"image": ("p.png", picture(9100, BOTH))}
    ).json()
    assert next_one["version"] == 2 and set(next_one["flagged"]) <= set(BOTH)

    ward.ask("rea", "DELETE", f"/api/v1/review/{cases[2]}")
    gone = next(i for i in ward.loop.sets.version_items(NAME, 2) if i.id == items[cases[2]].id)
    assert gone.left_out and gone.labels is None, "withdrawn: only its place is left"


def test_a_check_up_without_a_data_set_begins_one_of_several_findings(ward: Ward) -> None:
    ward.loop.sets.remove(NAME)
    case = ward.offer(picture(9200, ["dots"]))
    ward.read("rea", case, ["dots"])
    assert ward.read("rob", case, ["dots"])["why"] == "no_dataset"
    begun = ward.ask("tom", "POST", "/review/place", data={"model": NAME})
    assert begun.status_code == 303, begun.text
    data = ward.loop.sets.get(NAME)
    assert (data.task, data.labels) == ("multilabel", FINDINGS)
    (item,) = [i for i in ward.loop.sets.items(NAME) if i.origin["case"] == case]
    assert item.labels == {"dots": 1, "stripes": 0}
