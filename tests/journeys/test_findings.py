"""Several findings a picture, told in a real browser by keyboard alone: in the studio, and by a reviewer in French."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from axe import violations
from browsing import PHONE, Watch
from findings import FINDINGS, NAME, SIDE, picture
from live import Live, running
from medloupe.store.datasets import Datasets
from medloupe.store.models import Store
from medloupe.store.review_nouns import ReviewCase
from medloupe.store.review_queue import ReviewQueue
from studio_client import new, send


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(tmp_path_factory.mktemp("findings") / "home", "--review", "single", "--no-worker") as live:
        yield live


def bring(live: Live, title: str, count: int) -> str:
    """A data set with so many pictures of which nothing is told."""
    with live.client() as client:
        id = new(client, title, dict.fromkeys(FINDINGS, "sought"), task="multilabel")
        for n in range(count):
            assert send(client, id, f"{n}.png", picture(n, FINDINGS[:n])).status_code == 201
    return id


def add_case(live: Live, number: int) -> ReviewCase:
    """A case as a check-up of several findings leaves it."""
    return ReviewQueue(Store(live.home).engine, live.home).add(
        picture(number, FINDINGS),
        prediction_id=f"{number:032x}",
        model=NAME,
        version=1,
        task="multilabel",
        labels=FINDINGS,
        answer={"prediction": "dots", "flagged": ["stripes"], "probabilities": {"dots": 0.1, "stripes": 0.8}},
        said=None,
        size=(SIDE, SIDE),
        basis="consent",
        by="local",
    )


def test_told_one_after_the_other_by_keyboard(ward: Live, open_page: Any, axe: str) -> None:
    id = bring(ward, "Films", 3)
    page = open_page(ward)
    page.context.add_init_script(axe)
    watch = Watch(page.context, ward.url)
    page.goto(f"/studio/{id}")
    page.get_by_role("link", name="Say what they show").press("Enter")
    page.wait_for_url("**/labels/*")
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    page.wait_for_url("**/labels/*")
    page.get_by_text("Picture 2 of 3").wait_for()
    page.keyboard.press("0")
    page.keyboard.press("1")  # taken back: it has one
    assert not page.get_by_label("none of these").is_checked() and page.get_by_label("dots").is_checked()
    assert violations(page) == []
    page.keyboard.press("Enter")
    page.get_by_text("Picture 3 of 3").wait_for()
    for key in "1112":  # chosen, taken back, chosen
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/studio/{id}")
    sets = Datasets(Store(ward.home).engine, ward.home)
    assert [item.found for item in sets.items(id)] == [(), ("dots",), ("dots", "stripes")]
    assert all(item.labels is not None for item in sets.items(id))
    shown = page.locator(".drawnpictures").inner_text()
    assert "none of these" in shown and "dots, stripes" in shown
    assert violations(page) == []
    assert watch.said == [] and watch.foreign == []


def test_read_in_french_on_a_phone(ward: Live, open_page: Any, axe: str) -> None:
    case = add_case(ward, 9001)
    page = open_page(ward, locale="fr", color_scheme="dark", **PHONE)
    page.context.add_init_script(axe)
    page.goto(f"/review/{case.id}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert violations(page) == []
    page.locator("label", has=page.locator("[data-nothing]")).click()
    assert page.locator("[data-nothing]").is_checked()
    page.get_by_label("stripes").check()
    assert page.locator("[data-nothing]").is_checked() is False
    page.locator("button[value=label]").click()
    page.wait_for_url("**/review")
    found = ReviewQueue(Store(ward.home).engine, ward.home).get(case.id)
    assert found.state == "settled" and found.outcome is not None and found.outcome["labels"] == ["stripes"]


def test_without_scripts_nothing_ticked_is_asked_again(ward: Live, open_page: Any) -> None:
    case = add_case(ward, 9002)
    page = open_page(ward, java_script_enabled=False)
    page.goto(f"/review/{case.id}")
    page.locator("button[value=label]").click()
    page.get_by_text("Nothing was chosen").wait_for()
    page.locator("[name=none]").check()
    page.locator("button[value=label]").click()
    page.wait_for_url(lambda url: case.id not in url)
    outcome = ReviewQueue(Store(ward.home).engine, ward.home).get(case.id).outcome
    assert outcome is not None and outcome["labels"] == []


def test_what_is_dropped_waits_to_be_told(ward: Live, open_page: Any, tmp_path: Path) -> None:
    """A folder named like a finding tells nothing of the others, so that its pictures wait like all."""
    id = bring(ward, "Dropped", 0)
    folder = tmp_path / "dots"
    folder.mkdir()
    for n in range(2):
        (folder / f"{n}.png").write_bytes(picture(70 + n, ["dots"]))
    page = open_page(ward)
    page.goto(f"/studio/{id}")
    page.locator("input[webkitdirectory]").set_input_files(str(folder))
    page.get_by_text("2 pictures wait for you").wait_for(timeout=30_000)
    items = Datasets(Store(ward.home).engine, ward.home).items(id)
    assert [(item.label, item.labels) for item in items] == [(None, None), (None, None)]
