"""Boxes of data sets: drawn within the picture, undone, taken away and read again; nothing there, or not looked at."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from discs import SIZE, draw_picture
from live import running
from medloupe.data.reading import read
from medloupe.store.database import open_engine
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.datasets import Datasets
from medloupe.studio.auditor import name_data
from studio_client import new, send

DISC = {"label": "disc", "x": 10.0, "y": 20.0, "width": 30.0, "height": 25.5}


def shapes(number: int) -> tuple[bytes, list[dict[str, Any]]]:
    """A picture with the boxes of what is on it."""
    pixels, drawn = draw_picture(np.random.default_rng(number), 2, 1)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue(), [dict(zip(("label", "x", "y", "width", "height"), box, strict=True)) for box in drawn]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running(tmp_path_factory.mktemp("boxes") / "home", "--no-worker") as live, live.client() as opened:
        yield opened


def bring(client: httpx.Client, title: str, count: int = 3) -> tuple[str, list[str]]:
    """A data set with so many pictures, at which nobody has looked."""
    id = new(client, title, {"disc": "none", "square": "none"}, task="detection")
    for number in range(count):
        assert send(client, id, f"{number}.png", shapes(number)[0]).status_code == 201
    return id, [item["id"] for item in client.get(f"/api/v1/datasets/{id}/items").json()["items"]]


def annotate(client: httpx.Client, id: str, item: str, boxes: list[dict[str, Any]] | None) -> httpx.Response:
    wish = {"action": "annotate", "items": [item], "boxes": boxes}
    return client.post(f"/api/v1/datasets/{id}/changes", json=wish)


def boxes_of(client: httpx.Client, id: str) -> dict[str, Any]:
    return {item["id"]: item["boxes"] for item in client.get(f"/api/v1/datasets/{id}/items").json()["items"]}


def test_they_are_drawn_corrected_and_undone(client: httpx.Client) -> None:
    id, (one, two, three) = bring(client, "Drawn")
    said = client.get(f"/api/v1/datasets/{id}").json()
    assert [f["kind"] for f in said["findings"]] == ["no_boxes", "unlooked"]
    assert annotate(client, id, one, [DISC]).status_code == 201
    assert annotate(client, id, two, []).status_code == 201
    assert boxes_of(client, id) == {one: [DISC], two: [], three: None}
    said = client.get(f"/api/v1/datasets/{id}").json()
    assert said["counts"] == {"disc": 1, "square": 0, "": 1}
    assert ("unlooked", 1) in [(f["kind"], f["count"]) for f in said["findings"]]
    number = client.get(f"/api/v1/datasets/{id}/changes").json()["changes"][1]["number"]
    assert annotate(client, id, one, [DISC]).status_code == 201  # the same again changes nothing
    assert len(client.get(f"/api/v1/datasets/{id}/changes").json()["changes"]) == 3
    assert client.post(f"/api/v1/datasets/{id}/changes/{number}/undo").status_code == 201
    assert boxes_of(client, id)[one] is None


@pytest.mark.parametrize(
    "change",
    [{"x": SIZE[0] - 10.0}, {"height": 200.0}, {"label": "star"}, {"width": 0.4}, {"x": -1.0}, {"width": float("1e9")}],
)
def test_a_box_that_cannot_be_is_refused(client: httpx.Client, change: dict[str, Any]) -> None:
    id, (one,) = bring(client, f"Refused {change}", 1)
    assert annotate(client, id, one, [{**DISC, **change}]).status_code in (409, 422)
    assert boxes_of(client, id) == {one: None}


def test_classes_of_boxes_stay_and_other_sets_have_none(client: httpx.Client) -> None:
    id, (one,) = bring(client, "Stay", 1)
    annotate(client, id, one, [DISC])
    gone = client.put(f"/api/v1/datasets/{id}/classes", json={"classes": [{"name": "square"}]})
    assert gone.status_code == 409, gone.text
    plain = new(client, "Plain", {"a": "none", "b": "none"})
    send(client, plain, "1.png", shapes(1)[0], "a")
    (item,) = client.get(f"/api/v1/datasets/{plain}/items").json()["items"]
    assert annotate(client, plain, item["id"], []).status_code == 409


def test_a_version_is_read_as_it_was_drawn(client: httpx.Client, tmp_path: Path) -> None:
    id, items = bring(client, "Away", 4)
    truth = {items[n]: shapes(n)[1] for n in (0, 1)} | {items[2]: []}
    for item, boxes in truth.items():
        assert annotate(client, id, item, boxes).status_code == 201
    client.post(f"/api/v1/datasets/{id}/versions")
    for form in ("table", "coco", "cvat", "label-studio"):
        got = client.get(f"/api/v1/datasets/{id}/versions/1/export?form={form}")
        folder = tmp_path / form
        with zipfile.ZipFile(io.BytesIO(got.content)) as packed:
            packed.extractall(folder)
        data = read(folder, task="detection")
        found = {Path(r.id).stem: r.boxes for r in data.records if r.labels}
        assert set(found) == set(truth), form
        for item, boxes in truth.items():
            drawn = sorted((b.label, b.x, b.y, b.width, b.height) for b in found[item] or ())
            wanted = sorted((b["label"], *(b[side] for side in ("x", "y", "width", "height"))) for b in boxes)
            assert [box[0] for box in drawn] == [box[0] for box in wanted], form
            assert [box[1:] for box in drawn] == [pytest.approx(box[1:], abs=0.11) for box in wanted], form


def test_training_reads_what_was_looked_at(client: httpx.Client, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    sets = Datasets(open_engine(home), home)
    data = sets.create("cells", task="detection", classes=[DatasetClass(name="disc"), DatasetClass(name="square")])
    new_items = [
        NewItem(key=str(n), data=shapes(n)[0], file=f"{n}.png", patient=f"p{n}", boxes=boxes)
        for n, boxes in enumerate(([DISC], [], None))
    ]
    sets.add(data.id, new_items)
    table = sets.version_folder(data.id, sets.freeze(data.id).number)
    with table.with_name("boxes.csv").open() as f:
        rows = list(csv.DictReader(f))
    assert [(row["label"], row["x"], row["height"]) for row in rows] == [("disc", "10", "25.5"), ("", "", "")]
    where, *told = name_data(table, data)
    assert told == ["--image", "file", "--patient", "patient", "--task", "detection"]
    found = read(where, image="file", patient="patient", task="detection")
    assert {r.patient: len(r.boxes or ()) for r in found.records} == {"p0": 1, "p1": 0}
    assert found.labels == ("disc",)
