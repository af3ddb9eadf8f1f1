"""Several findings a picture in the studio: told, undone, taken away and brought back; by the API and pages."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from findings import FINDINGS, picture
from live import Live, running
from medloupe.errors import DataError
from medloupe.store.database import open_engine
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.datasets import Datasets
from medloupe.studio.auditor import name_data
from medloupe.studio.exchange import read_classes_of_export
from medloupe.studio.export import write_export
from medloupe.studio.importer import import_archive
from medloupe.studio.training import find_obstacle
from studio_client import new, send, send_in_chunks, settled

TOLD = ({"dots": 1, "stripes": 1}, {"dots": 1, "stripes": 0}, {"dots": 0, "stripes": 0}, None, {"dots": 0})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(tmp_path_factory.mktemp("several") / "home", "--no-worker") as server:
        yield server


@pytest.fixture
def client(site: Live) -> Iterator[httpx.Client]:
    with site.client() as opened:
        yield opened


@pytest.fixture
def sets(home: Path) -> Datasets:
    home.mkdir()
    return Datasets(open_engine(home), home)


def fill(sets: Datasets, name: str = "films") -> str:
    classes = [DatasetClass(name=n, role="sought") for n in FINDINGS]
    data = sets.create(name, task="multilabel", classes=classes)
    new = [
        NewItem(key=f"k{n}", data=picture(n, ()), file=f"{n}.png", labels=labels, patient=f"P{n}", site="north")
        for n, labels in enumerate(TOLD)
    ]
    sets.add(data.id, new)
    sets.freeze(data.id)
    return data.id


@pytest.mark.parametrize("form", ["table", "coco", "label-studio", "cvat"])
def test_what_was_told_comes_back(sets: Datasets, tmp_path: Path, form: str) -> None:
    id = fill(sets)
    told = import_archive(write_export(sets, id, 1, form), tmp_path / "in", "multilabel")
    assert told["task"] == "multilabel" and set(told["labels"]) == set(FINDINGS)
    seen = {(tmp_path / "in" / r["path"]).read_bytes(): r for r in told["records"]}
    for n, labels in enumerate(TOLD):
        record = seen[picture(n, ())]
        assert record["labels"] == labels, (form, n)
        assert record["label"] is None
        if form != "cvat" or labels is not None:
            assert (record["patient"], record["site"]) == (f"P{n}", "north")


def test_exactly_one_finding_each_stays_several(sets: Datasets, tmp_path: Path) -> None:
    """A coincidence of the data does not turn findings into classes that exclude each other."""
    classes = [DatasetClass(name=n) for n in FINDINGS]
    id = sets.create("one", task="multilabel", classes=classes).id
    new = [
        NewItem(
            key=f"{n}",
            data=picture(n, ()),
            file=f"{n}.png",
            labels={f: int(n % 2 == k) for k, f in enumerate(FINDINGS)},
        )
        for n in range(12)
    ]
    sets.add(id, new)
    version = sets.freeze(id)
    from medloupe.data.reading import read

    where, *told = name_data(sets.version_folder(id, version.number), sets.get(id), FINDINGS)
    options = {told[k].removeprefix("--"): told[k + 1] for k in range(0, len(told), 2)}
    data = read(where, **options)
    assert (data.task, data.labels, len(data)) == ("multilabel", FINDINGS, 12)
    assert data.counts() == {"dots": 6, "stripes": 6}
    for form in ("table", "coco", "label-studio", "cvat"):
        back = import_archive(write_export(sets, id, 1, form), tmp_path / form, "multilabel")
        assert {tuple(sorted(r["labels"].items())) for r in back["records"]} == {
            (("dots", 0), ("stripes", 1)),
            (("dots", 1), ("stripes", 0)),
        }


def test_a_finding_that_is_added_later_is_not_told_to_be_absent(sets: Datasets) -> None:
    id = fill(sets)
    before = sets.freeze(id)
    sets.edit_classes(id, lambda now: [*now, DatasetClass(name="rings")])
    version = sets.freeze(id)
    assert version.number == before.number + 1
    head, *rows = (sets.version_folder(id, version.number)).read_text().splitlines()
    assert head.split(",") == ["file", "dots", "stripes", "rings", "patient", "site"]
    assert sorted(row.split(",", 1)[1] for row in rows) == sorted(
        ["1,1,,P0,north", "1,0,,P1,north", "0,0,,P2,north", ",,,P3,north", "0,,,P4,north"]
    )
    item = next(i for i in sets.items(id) if i.file == "0.png")
    change = sets.tell_findings(id, [item.id], ["rings"], among=["rings"], by="ada")
    assert sets.item(id, item.id).labels == {"dots": 1, "stripes": 1, "rings": 1}
    sets.undo(id, change.number)
    assert sets.item(id, item.id).labels == {"dots": 1, "stripes": 1}
    assert sets.freeze(id).number == version.number + 1 or sets.freeze(id).digest == version.digest


def test_it_is_told_what_is_missing_to_learn(sets: Datasets) -> None:
    id = fill(sets)
    data = sets.get(id)
    assert "'stripes' has one case" in find_obstacle(data, sets.items(id))
    sets.add(id, [NewItem(key="more", data=picture(50, ()), file="m.png", labels={"stripes": 1, "dots": 0})])
    assert find_obstacle(data, sets.items(id)) == ""
    every = [i.id for i in sets.items(id)]
    sets.tell_findings(id, every, ["dots", "stripes"])
    assert "without 'dots'" in find_obstacle(data, sets.items(id))
    sets.tell_findings(id, every, [])
    assert find_obstacle(data, sets.items(id)) == "No finding is told"


def test_what_tools_export_for_several_findings_is_read(tmp_path: Path) -> None:
    def task(number: int, chosen: list[str] | None) -> dict[str, object]:
        result = [{"type": "choices", "value": {"choices": chosen}}] if chosen else []
        return {
            "data": {"image": f"/data/upload/3/0123abcd-{number}.png"},
            "annotations": [] if chosen is None else [{"was_cancelled": False, "result": result}],
        }

    for n in range(4):
        (tmp_path / f"{n}.png").write_bytes(picture(n, ()))
    tasks = [task(0, ["effusion", "edema"]), task(1, ["edema"]), task(2, []), task(3, None)]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    read = read_classes_of_export(tmp_path, several=True)
    assert read is not None
    tool, pictures, _ = read
    assert tool == "Label Studio"
    assert [p.labels for p in sorted(pictures, key=lambda p: p.file)] == [
        {"effusion": 1, "edema": 1},
        {"effusion": 0, "edema": 1},
        {"effusion": 0, "edema": 0},
        None,
    ]


def test_no_finding_and_a_finding_at_once_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(1, ()))
    (tmp_path / "b.png").write_bytes(picture(2, ()))
    image = '<image id="{0}" name="{1}" width="9" height="9">{2}</image>'
    tags = "".join(f'<tag label="{name}" source="manual"></tag>' for name in ("edema", "No finding"))
    one = image.format(0, "a.png", '<tag label="No finding" source="manual"></tag>')
    (tmp_path / "x.xml").write_text(f"<annotations>{one}{image.format(1, 'b.png', tags)}</annotations>")
    with pytest.raises(DataError, match="at once"):
        read_classes_of_export(tmp_path, several=True)
    edema = image.format(1, "b.png", '<tag label="edema" source="manual"></tag>')
    (tmp_path / "x.xml").write_text(f"<annotations>{one}{edema}</annotations>")
    read = read_classes_of_export(tmp_path, several=True)
    assert read is not None and [p.labels for p in read[1]] == [{"edema": 0}, {"edema": 1}]


def test_by_the_api(client: httpx.Client) -> None:
    id = new(client, "Films", {"dots": "sought"}, task="multilabel")
    where = f"/api/v1/datasets/{id}"
    odd = client.post(
        "/api/v1/datasets", json={"title": "y", "task": "multilabel", "classes": [{"name": "No finding"}]}
    )
    assert (odd.status_code, "no finding of its own" in odd.text) == (409, True)
    put = client.put(f"{where}/classes", json={"classes": [{"name": "dots"}, {"name": "stripes"}]})
    assert [c["role"] for c in put.json()["classes"]] == ["sought", "sought"], "findings are looked for"
    assert send(client, id, "x.png", picture(1, ()), "dots").status_code == 409, "one class is not enough said"
    assert send(client, id, "a.png", picture(1, ()), labels="dots, stripes").status_code == 201
    assert send(client, id, "b.png", picture(2, ())).status_code == 201
    items = {i["file"]: i for i in client.get(f"{where}/items").json()["items"]}
    assert items["a.png"]["labels"] == {"dots": 1, "stripes": 1} and items["b.png"]["labels"] is None
    assert client.get(where).json()["counts"] == {"dots": 1, "stripes": 1, "": 1}
    change = {"action": "relabel", "items": [items["b.png"]["id"]]}
    assert client.post(f"{where}/changes", json={**change, "label": "dots"}).status_code == 409
    assert client.post(f"{where}/changes", json={**change, "labels": ["rings"]}).status_code == 409
    said = client.post(f"{where}/changes", json={**change, "labels": []})
    assert said.status_code == 201, said.text
    assert client.get(where).json()["counts"] == {"dots": 1, "stripes": 1, "": 0}
    number = said.json()["number"]
    assert client.post(f"{where}/changes/{number}/undo").status_code == 201
    assert client.get(where).json()["counts"][""] == 1
    kinds = {f["kind"] for f in client.get(where).json()["findings"]}
    assert "untold" in kinds
    copy = send(client, id, "c.png", picture(1, ()), labels="dots")
    assert copy.status_code == 201
    clash = next(f for f in client.get(where).json()["findings"] if f["kind"] == "duplicates_across_labels")
    relabels = [r for r in clash["remedies"] if r["action"] == "relabel"]
    assert sorted(r["labels"] for r in relabels) == [["dots"], ["dots", "stripes"]]
    for remedy in relabels[:1]:
        assert (
            client.post(f"{where}/changes", json={k: v for k, v in remedy.items() if v is not None}).status_code == 201
        )
    assert client.post(f"{where}/train").status_code == 409


def test_an_archive_with_columns_called_as_the_findings(client: httpx.Client) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for n in range(4):
            archive.writestr(f"scans/{n}.png", picture(n, ()))
        archive.writestr("scans/films.csv", "file,dots,stripes\n0.png,1,1\n1.png,0,1\n2.png,0,0\n3.png,,\n")
    empty = new(client, "Unknown", task="multilabel")
    told = settled(client, empty, send_in_chunks(client, empty, "a.zip", made.getvalue(), 50_000))
    assert told["state"] == "refused" and "Add the findings" in told["error"]
    known = new(client, "Known", {"dots": "sought", "stripes": "sought"}, task="multilabel")
    told = settled(client, known, send_in_chunks(client, known, "a.zip", made.getvalue(), 50_000))
    assert told["state"] == "taken", told
    labels = [i["labels"] for i in client.get(f"/api/v1/datasets/{known}/items").json()["items"]]
    assert labels == [{"dots": 1, "stripes": 1}, {"dots": 0, "stripes": 1}, {"dots": 0, "stripes": 0}, None]


def test_pages_without_scripts(client: httpx.Client) -> None:
    id = new(client, "Ticked", {"dots": "sought", "stripes": "sought"}, task="multilabel")
    for n in range(2):
        send(client, id, f"{n}.png", picture(n, ()))
    page = client.get(f"/studio/{id}/labels", follow_redirects=True)
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert csrf is not None and page.text.count('type="checkbox"') == 3
    where = page.url.path
    assert client.get(f"{where}/picture").headers["content-type"] == "image/jpeg"
    for body in ({}, {"none": "yes", "label": "dots"}):
        refused = client.post(where, data={"csrf": csrf[1], **body})
        assert refused.status_code == 409, "nothing ticked is no answer, nor is a contradiction"
    assert client.post(where, data={"csrf": csrf[1], "label": ["dots", "stripes"]}).status_code == 303
    page = client.get(f"/studio/{id}/labels", follow_redirects=True)
    assert page.url.path != where
    assert client.post(page.url.path, data={"csrf": csrf[1], "none": "yes"}).status_code == 303
    labels = {tuple(sorted(i["labels"].items())) for i in client.get(f"/api/v1/datasets/{id}/items").json()["items"]}
    assert labels == {(("dots", 1), ("stripes", 1)), (("dots", 0), ("stripes", 0))}
    assert client.get(f"/studio/{id}/labels").headers["location"].endswith(f"/studio/{id}"), "all is told"
    shown = client.get(f"/studio/{id}", headers={"Accept-Language": "fr"}).text
    assert "rien de cela" in shown and "none of these" not in shown
    one = new(client, "Classes", {"a": "normal"})
    assert client.get(f"/studio/{one}/labels").status_code == 409
