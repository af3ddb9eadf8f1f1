"""An ECG sent for review in a real browser: its files chosen again, drawn for the reader, told by keys, learned."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import ecgmodels
import ecgsaved
from axe import violations
from browsing import PHONE, Watch, playwright
from live import Live, running
from medloupe.store.datasets import Datasets
from medloupe.store.models import Store


@pytest.fixture(scope="module")
def ward(ecg_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("ecgward") / "home"
    shutil.copytree(ecg_home, home)
    with running(home, "--review", "single", "--no-worker") as live:
        yield live


def answer(live: Live, seed: int, folder: Path) -> tuple[str, list[Path]]:
    """The id of an answer to a recording of two files, and these."""
    made = ecgsaved.wfdb(ecgmodels.standard(seed, blocked=True))
    files = [("image", pair) for pair in made.items()]
    said = httpx.post(f"{live.url}/api/v1/models/leads/predict", files=files, timeout=60)
    assert said.status_code == 200, said.text
    folder.mkdir(exist_ok=True)
    paths = [folder / name for name in made]
    for path in paths:
        path.write_bytes(made[path.name])
    return said.json()["id"], paths


def test_it_is_sent_read_by_keyboard_and_becomes_training_data(ward: Live, open_page: Any, tmp_path: Path) -> None:
    id, files = answer(ward, 5001, tmp_path)
    page = open_page(ward)
    watch = Watch(page.context, ward.url)
    page.goto(f"/results/{id}")
    page.get_by_text("Send this for review").click()
    playwright.expect(page.get_by_text("Why may the ECG be kept?")).to_be_visible()
    page.get_by_label("Consent of the person pictured").check()
    page.get_by_label(re.compile("Whose ECG")).fill("H-12")
    page.get_by_label(re.compile("The ECG once more")).set_input_files(files)
    page.get_by_role("button", name="Send for review").click()
    playwright.expect(page.get_by_text("Sent for review. Thank you.")).to_be_visible()
    page.goto("/review/next")
    playwright.expect(page.get_by_text("H-12")).to_be_visible()
    drawn = page.locator("[data-ecgview] svg.paper")
    assert drawn.count() >= 1 and drawn.first.bounding_box()["width"] > 400
    playwright.expect(page.get_by_text("beats a minute")).to_be_visible()
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    page.wait_for_url("**/review")
    page.get_by_role("button", name=re.compile("Bring them into a data set")).click()
    playwright.expect(page.get_by_text("in the data set").first).to_be_visible()
    watch.check()
    store = Store(ward.home)
    sets = Datasets(store.engine, ward.home)
    (data,) = sets.list()
    (item,) = sets.items(data.id)
    assert (data.task, data.labels) == ("ecg_multilabel", ("SINUS", "BLOCK"))
    assert (item.labels, item.patient, item.split) == ({"SINUS": 0, "BLOCK": 1}, "H-12", "train")

    page.goto(f"/studio/{data.id}/labels/{item.id}")
    shown = page.locator(".labelpicture img")
    assert shown.evaluate("n => n.decode().then(() => n.naturalWidth)") > 400
    playwright.expect(page.get_by_label("BLOCK")).to_be_checked()
    page.get_by_label("SINUS").check()
    page.get_by_role("button", name=re.compile("Save, next ECG")).click()
    page.wait_for_url(f"**/studio/{data.id}")
    assert sets.items(data.id)[0].labels == {"SINUS": 1, "BLOCK": 1}


def test_it_is_withdrawn_by_who_reads_it(ward: Live, open_page: Any, tmp_path: Path) -> None:
    id, files = answer(ward, 5002, tmp_path)
    sent = [("image", (path.name, path.read_bytes())) for path in files]
    where = f"{ward.url}/api/v1/predictions/{id}/review"
    case = httpx.post(where, files=sent, data={"basis": "consent"}, timeout=60).json()["id"]
    page = open_page(ward)
    page.goto(f"/review/{case}")
    page.get_by_text("Withdraw the ECG").first.click()
    page.get_by_role("button", name="Withdraw the ECG").click()
    page.wait_for_url("**/review")
    page.goto(f"/review/{case}")
    playwright.expect(page.get_by_text("The ECG and all that was said of it are gone")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"viewport": {"width": 1280, "height": 860}}, PHONE], ids=["1280", "360"])
def test_axe(ward: Live, open_page: Any, axe: str, tmp_path: Path, size: dict[str, Any], scheme: str) -> None:
    id, files = answer(ward, 5003, tmp_path)
    sent = [("image", (path.name, path.read_bytes())) for path in files]
    where = f"{ward.url}/api/v1/predictions/{id}/review"
    case = httpx.post(where, files=sent, data={"basis": "consent"}, timeout=60).json()["id"]
    page = open_page(ward, color_scheme=scheme, **size)
    page.context.add_init_script(axe)
    found = []
    for path in (f"/review/{case}", f"/results/{id}"):
        page.goto(path)
        for details in page.locator("main details").all():
            details.evaluate("n => { n.open = true; }")
        found += [f"{path}: {said}" for said in violations(page)]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert found == []
