"""From an answer to training data, in a real browser: sent in with its basis, read by two by keyboard, boxes drawn."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import generated
from axe import violations
from browsing import PHONE, Watch, log_in, playwright
from clinic import add_people
from detectors import TrainedDetector
from drawing import WAYS, boxes_of, drag, press, size_of
from live import Live, running
from medloupe.store.datasets import Datasets
from medloupe.store.models import Store
from trained import Trained


@pytest.fixture(scope="module")
def house(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server on which every case needs two readers."""
    home = tmp_path_factory.mktemp("house") / "home"
    shutil.copytree(_trained.home, home)
    add_people(home, {"ada": "admin", "rea": "reviewer", "rob": "reviewer", "bea": "clinician"})
    with running(home, "--review", "double", "--no-worker") as live:
        yield live


def send_in(page: Any, picture: Path) -> str:
    """Ask about a picture, and send the answer into review; the address of the answer."""
    page.goto("/checkups/spots")
    page.locator("input[type=file]").first.set_input_files(picture)
    page.get_by_role("button", name="Look at the pictures").click()
    page.wait_for_url(re.compile("/results/[0-9a-f]{32}"), timeout=60_000)
    page.get_by_text("Send this for review").press("Enter")
    page.get_by_label("A rule of this house allows it").press("Space")
    page.get_by_role("button", name="Send for review").press("Enter")
    playwright.expect(page.get_by_text("Sent for review. Thank you.")).to_be_visible()
    return page.url


def test_two_read_by_keyboard_and_it_becomes_training_data(house: Live, open_page: Any, tmp_path: Path) -> None:
    picture = generated.save(tmp_path / "one.png", generated.tissue(7001, True))
    page = open_page(house)
    watch = Watch(page.context, house.url)
    log_in(page, "bea")
    send_in(page, picture)  # the browser still has the file: nobody chose it twice
    page.goto("/review")
    playwright.expect(page.get_by_role("heading", level=1)).to_contain_text("role does not allow")

    for name in ("rea", "rob"):
        page = open_page(house)
        watch = Watch(page.context, house.url)
        log_in(page, name)
        page.goto("/")
        page.get_by_role("link", name="Review", exact=True).click()
        page.get_by_role("link", name=re.compile("Read the next one")).click()
        playwright.expect(page.get_by_text("A rule of this house allows it · bea")).to_be_visible()
        assert page.locator("[data-casepicture]").evaluate("n => n.naturalWidth") > 0
        assert page.locator("main").get_by_text("Readers", exact=True).count() == 0
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        page.wait_for_url("**/review")
        playwright.expect(page.get_by_text("Nothing waits for you")).to_be_visible()
        watch.check()
    playwright.expect(page.get_by_text("waits for a data set", exact=False).first).to_be_visible()

    page = open_page(house)
    log_in(page, "ada")
    page.goto("/review")
    page.get_by_role("button", name=re.compile("Bring them into a data set")).click()
    playwright.expect(page.get_by_text("in the data set").first).to_be_visible()
    store = Store(house.home)
    sets = Datasets(store.engine, house.home)
    (data,) = sets.list()
    (item,) = sets.items(data.id)
    assert (data.name, data.labels, item.label, item.split) == ("spots", ("normal", "sick"), "normal", "train")
    assert sets.path(item).read_bytes() == picture.read_bytes()
    assert item.origin["readers"] == ["rea", "rob"]


def test_one_asks_for_a_second_and_the_sender_withdraws(house: Live, open_page: Any, tmp_path: Path) -> None:
    picture = generated.save(tmp_path / "two.png", generated.tissue(7002, True))
    mine = open_page(house)
    log_in(mine, "bea")
    send_in(mine, picture)
    reader = open_page(house)
    log_in(reader, "rea")
    reader.goto("/review/next")
    case = reader.url
    reader.keyboard.press("d")
    reader.wait_for_url("**/review")
    reader.goto(case)
    reader.get_by_text("Withdraw the picture").first.click()
    reader.get_by_role("button", name="Withdraw the picture").click()
    reader.wait_for_url("**/review")
    reader.goto(case)
    playwright.expect(reader.get_by_text("its place stays")).to_be_visible()


def test_without_scripts(house: Live, open_page: Any, tmp_path: Path) -> None:
    picture = generated.save(tmp_path / "three.png", generated.tissue(7003, True))
    page = open_page(house, java_script_enabled=False)
    log_in(page, "bea")
    page.goto("/checkups/spots")
    page.locator("input[type=file]").first.set_input_files(picture)
    page.locator("form.send button[type=submit], form [data-submit]").first.click()
    page.get_by_text("Send this for review").click()
    page.get_by_label("Consent of the person pictured").check()
    page.get_by_label("The picture once more").set_input_files(picture)
    page.get_by_role("button", name="Send for review").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("Sent for review. Thank you.")
    other = open_page(house, java_script_enabled=False)
    log_in(other, "rob")
    other.goto("/review/next")
    other.get_by_label("sick").check()
    other.get_by_role("button", name=re.compile("That is right")).click()
    other.wait_for_url("**/review")


@pytest.fixture(scope="module")
def drawing(detector: TrainedDetector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, str]]:
    """A server with a detector, and a case of it."""
    home = tmp_path_factory.mktemp("drawing") / "home"
    shutil.copytree(detector.home, home)
    with running(home, "--review", "single", "--keep-images", "--no-worker") as live:
        id = live.ask("shapes", detector.pictures[0].read_bytes()).json()["id"]
        case = httpx.post(f"{live.url}/api/v1/predictions/{id}/review?basis=consent", timeout=60).json()
        yield live, case["id"]


@pytest.fixture(scope="module")
def undecided(drawing: tuple[Live, str], detector: TrainedDetector) -> str:
    """Another case, which nobody reads."""
    live, _ = drawing
    id = live.ask("shapes", detector.pictures[1].read_bytes()).json()["id"]
    return httpx.post(f"{live.url}/api/v1/predictions/{id}/review?basis=consent", timeout=60).json()["id"]


@pytest.mark.parametrize("how", WAYS)
def test_boxes_are_drawn(drawing: tuple[Live, str], open_page: Any, how: str) -> None:
    live, case = drawing
    page = open_page(live, **(PHONE if how == "touch" else {}))
    watch = Watch(page.context, live.url)
    page.goto(f"/review/{case}")
    page.wait_for_selector("[data-boxeditor][data-ready]")
    for button in page.locator("[data-remove]").all()[::-1]:
        button.click()
    assert boxes_of(page) == []
    width, height = size_of(page)
    if how == "keyboard":
        page.get_by_role("button", name="Add a box").focus()
        press(page, "Enter", "Control+ArrowLeft", "Control+ArrowRight")  # in the middle, where it is added
    else:
        drag(page, how, (0.25, 0.25), (0.5, 0.5), (0.75, 0.75))
    (box,) = boxes_of(page)
    wanted = {"x": width // 4, "y": height // 4, "width": width // 2, "height": height // 2}
    for name, value in wanted.items():
        assert box[name] == pytest.approx(value, abs=3), (how, box)
    watch.check()


def test_the_boxes_that_were_marked_are_corrected_and_learned(
    drawing: tuple[Live, str], detector: TrainedDetector, open_page: Any
) -> None:
    live, case = drawing
    told = httpx.get(f"{live.url}/api/v1/review/{case}", timeout=60).json()
    lines = told["answer"]["lines"]
    marked = [b for b in told["answer"]["boxes"] if b["score"] >= lines[b["label"]]]
    page = open_page(live)
    page.goto(f"/review/{case}")
    page.wait_for_selector("[data-boxeditor][data-ready]")
    drawn = boxes_of(page)
    assert sorted((b["label"], b["x"]) for b in drawn) == sorted((b["label"], round(b["x"])) for b in marked)
    drag(page, "mouse", (0.02, 0.02), (0.1, 0.06), (0.14, 0.14))  # what it missed
    page.locator("[data-of=label]").last.select_option("square")
    page.get_by_role("button", name=re.compile("These boxes are right")).click()
    page.wait_for_url("**/review")
    told = httpx.get(f"{live.url}/api/v1/review/{case}", timeout=60).json()
    assert told["state"] == "settled" and len(told["outcome"]["boxes"]) == len(drawn) + 1
    page.get_by_role("button", name=re.compile("Bring them into a data set")).click()
    playwright.expect(page.get_by_text("in the data set").first).to_be_visible()
    store = Store(live.home)
    sets = Datasets(store.engine, live.home)
    data = sets.get("shapes")
    version = sets.freeze(data.id)
    (item,) = sets.version_items(data.id, version.number)
    assert data.boxed and item.boxes is not None and len(item.boxes) == len(drawn) + 1
    assert item.boxes[-1]["label"] == "square"
    assert sets.items(data.id)[0].origin["case"] == case
    assert sets.path(item).read_bytes() == detector.pictures[0].read_bytes()
    table = sets.version_folder(data.id, version.number)
    assert table.with_name("boxes.csv").read_text().count("\n") == len(drawn) + 2

    id = live.ask("shapes", detector.pictures[0].read_bytes()).json()["id"]  # the same picture, read once more
    again = httpx.post(f"{live.url}/api/v1/predictions/{id}/review?basis=consent", timeout=60).json()["id"]
    box = {"label": "disc", "x": 10.0, "y": 10.0, "width": 20.0, "height": 20.0}
    told = httpx.post(
        f"{live.url}/api/v1/review/{again}/opinion", json={"verdict": "label", "boxes": [box]}, timeout=60
    ).json()
    (now,) = sets.items(data.id)
    assert (told["item"], now.id, now.boxes) == (item.id, item.id, (box,))
    change = sets.changes(data.id, 1)[0]
    assert (change.action, change.detail["why"]) == ("annotate", f"review {again}")


@pytest.mark.parametrize("size", [{"viewport": {"width": 1280, "height": 860}}, PHONE], ids=["1280", "360"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe(
    drawing: tuple[Live, str],
    undecided: str,
    house: Live,
    open_page: Any,
    axe: str,
    tmp_path: Path,
    size: dict[str, Any],
    scheme: str,
) -> None:
    live, case = drawing[0], undecided
    found = []
    page = open_page(live, color_scheme=scheme, **size)
    page.context.add_init_script(axe)
    id = httpx.get(f"{live.url}/api/v1/review/{case}", timeout=60).json()["prediction_id"]
    for path in ("/review", f"/review/{case}", f"/results/{id}"):
        page.goto(path)
        for details in page.locator("main details").all():
            details.evaluate("n => { n.open = true; }")
        found += [f"{path}: {said}" for said in violations(page)]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    page = open_page(house, color_scheme=scheme, **size)
    page.context.add_init_script(axe)
    picture = generated.save(tmp_path / "x.png", generated.tissue(hash((scheme, str(size))) % 10_000, True))
    log_in(page, "ada")
    send_in(page, picture)
    page.goto("/review/next")
    found += [f"case: {said}" for said in violations(page)]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert found == []
