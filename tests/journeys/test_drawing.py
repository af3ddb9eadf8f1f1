"""Boxes drawn in the studio, in a real browser: by mouse, finger and keyboard, undone, zoomed, learned, published."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

import studio_client
from axe import violations
from browsing import PHONE, Watch, playwright
from discs import SIZE, draw_picture
from drawing import boxes_of, drag, press, size_of, spread_fingers
from live import Live, running
from studio_journey import Clicks

pytest.importorskip("torch")


def shapes(number: int) -> tuple[bytes, list[tuple[str, float, float, float, float]]]:
    pixels, boxes = draw_picture(np.random.default_rng(number), 2, 1)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue(), boxes


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, str]]:
    """A server with a data set of three pictures at which nobody has looked."""
    with running(tmp_path_factory.mktemp("drawing") / "home", "--no-worker") as live, live.client() as client:
        id = studio_client.new(client, "Shapes", {"disc": "none", "square": "none"}, task="detection")
        for number in range(3):
            studio_client.send(client, id, f"{number}.png", shapes(number)[0])
        yield live, id


def item_of(live: Live, id: str, number: int = 0) -> str:
    return httpx.get(f"{live.url}/api/v1/datasets/{id}/items", timeout=60).json()["items"][number]["id"]


def open_editor(open_page: Any, site: tuple[Live, str], **options: Any) -> Any:
    live, id = site
    page = open_page(live, **options)
    page.goto(f"/studio/{id}/boxes/{item_of(live, id)}")
    page.wait_for_selector("[data-boxeditor][data-ready]")
    return page


def test_mouse_draws_moves_sizes_and_undoes(site: tuple[Live, str], open_page: Any) -> None:
    page = open_editor(open_page, site)
    watch = Watch(page.context, site[0].url)
    width, height = size_of(page)
    assert (width, height) == SIZE
    drag(page, "mouse", (0.2, 0.2), (0.3, 0.3), (0.4, 0.4))
    drag(page, "mouse", (0.3, 0.3), (0.4, 0.3), (0.5, 0.4))  # within the one in hand: it is moved
    (box,) = boxes_of(page)
    assert box["x"] == pytest.approx(0.4 * width, abs=2) and box["y"] == pytest.approx(0.3 * height, abs=2)
    drag(page, "mouse", (0.6, 0.5), (0.7, 0.6), (0.8, 0.7))  # its lower right corner
    (box,) = boxes_of(page)
    assert box["width"] == pytest.approx(0.4 * width, abs=2) and box["height"] == pytest.approx(0.4 * height, abs=2)
    drag(page, "mouse", (0.95, 0.95), (1.2, 1.1))  # out of the picture: it ends at its edge
    assert len(boxes_of(page)) == 2 and boxes_of(page)[1]["x"] + boxes_of(page)[1]["width"] <= width
    for left in (1, 1, 1, 0):
        page.get_by_role("button", name="Undo").click()
        assert len(boxes_of(page)) == left
    assert page.get_by_role("button", name="Undo").is_disabled()
    page.get_by_role("button", name="Redo").click()
    assert len(boxes_of(page)) == 1
    page.locator("[data-stage]").focus()
    press(page, "Control+z")
    assert boxes_of(page) == []
    watch.check()


def test_a_press_chooses_and_one_may_draw_within_another(site: tuple[Live, str], open_page: Any) -> None:
    page = open_editor(open_page, site)
    drag(page, "mouse", (0.1, 0.1), (0.5, 0.5), (0.9, 0.9))
    drag(page, "mouse", (0.96, 0.04), (0.96, 0.04))  # beside it: none is in hand
    assert page.locator(".boxrows .now").count() == 0
    drag(page, "mouse", (0.4, 0.4), (0.5, 0.5), (0.6, 0.6))
    assert len(boxes_of(page)) == 2
    drag(page, "mouse", (0.1, 0.5), (0.05, 0.5))  # the first by its edge
    assert boxes_of(page)[0]["x"] == pytest.approx(0.05 * SIZE[0], abs=2)
    assert len(boxes_of(page)) == 2


def test_keyboard_alone(site: tuple[Live, str], open_page: Any) -> None:
    page = open_editor(open_page, site)
    page.get_by_role("button", name="Add a box").focus()
    press(page, "Enter")
    said = page.locator("[data-boxsay]")
    playwright.expect(said).to_have_text("Box 1 added: disc.")
    before = boxes_of(page)[0]
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused == "Box 1: disc. Move it with the arrow keys."
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert page.locator("svg .drawn.now").count() == 1
    press(page, "ArrowRight", "ArrowDown", "ArrowDown", "Shift+ArrowLeft", "Control+ArrowLeft")
    box = boxes_of(page)[0]
    assert (box["x"] - before["x"], box["y"] - before["y"], box["width"] - before["width"]) == (1, 4, -2)
    playwright.expect(said).to_contain_text(f"left {box['x']}, top {box['y']}, width {box['width']}")
    press(page, "2")
    assert boxes_of(page)[0]["label"] == "square"
    press(page, "Control+z")
    assert boxes_of(page)[0]["label"] == "disc"
    press(page, "b")
    playwright.expect(said).to_have_text("Box 2 added: square.")  # as the last one was called
    press(page, "Delete")
    assert len(boxes_of(page)) == 1
    playwright.expect(said).to_have_text("Box 2 removed. Boxes left: 1.")
    press(page, "+", "+")
    playwright.expect(page.locator("[data-zoom]")).to_have_text("225 %")
    for _ in range(200):
        press(page, "ArrowLeft")
    assert boxes_of(page)[0]["x"] == 0


def test_fingers_draw_and_zoom(site: tuple[Live, str], open_page: Any) -> None:
    page = open_editor(open_page, site, **PHONE)
    watch = Watch(page.context, site[0].url)
    drag(page, "touch", (0.3, 0.3), (0.4, 0.5), (0.5, 0.6))
    assert len(boxes_of(page)) == 1
    spread_fingers(page, 2)
    playwright.expect(page.locator("[data-zoom]")).to_have_text("200 %")
    assert len(boxes_of(page)) == 1  # two fingers draw nothing
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    watch.check()


def test_saved_nothing_and_later(site: tuple[Live, str], open_page: Any) -> None:
    live, id = site
    page = open_page(live)
    page.goto(f"/studio/{id}")
    page.get_by_role("link", name="Draw boxes").click()
    page.wait_for_selector("[data-boxeditor][data-ready]")
    page.get_by_role("button", name="Nothing to mark, next picture").wait_for()
    drag(page, "mouse", (0.2, 0.2), (0.3, 0.3), (0.4, 0.4))
    page.get_by_role("button", name="Save, next picture").click()
    page.wait_for_url(re.compile(item_of(live, id, 1)))
    page.get_by_role("button", name="Nothing to mark, next picture").click()
    page.wait_for_url(re.compile(item_of(live, id, 2)))
    page.get_by_role("link", name="Leave it for later").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("Draw boxes")  # it is the only one left
    items = httpx.get(f"{live.url}/api/v1/datasets/{id}/items", timeout=60).json()["items"]
    assert [None if i["boxes"] is None else len(i["boxes"]) for i in items] == [1, 0, None]
    page.goto(f"/studio/{id}")
    playwright.expect(page.locator("[data-part=classes]")).to_contain_text("1 picture waits for you.", timeout=30_000)
    page.locator("details.log summary").click()
    page.get_by_role("button", name="Undo: Boxes drawn on 1 picture").first.click()
    playwright.expect(page.locator("[data-part=classes]")).to_contain_text("2 pictures wait for you.", timeout=30_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"viewport": {"width": 1280, "height": 860}}, PHONE], ids=["1280", "360"])
def test_axe(site: tuple[Live, str], open_page: Any, axe: str, size: dict[str, Any], scheme: str) -> None:
    live, id = site
    for locale in ("en", "fr"):
        page = open_page(live, color_scheme=scheme, locale=locale, **size)
        page.context.add_init_script(axe)
        for path in ("/studio", f"/studio/{id}", f"/studio/{id}/boxes/{item_of(live, id)}"):
            page.goto(path)
            if "boxes" in path:
                page.wait_for_selector("[data-boxeditor][data-ready]")
                page.locator("[data-addbox]").click()
            for details in page.locator("main details").all():
                details.evaluate("n => { n.open = true; }")
            assert violations(page) == [], (path, locale)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, locale)


def test_from_drawn_boxes_to_a_detector_that_answers(tmp_path: Path, open_page: Any) -> None:
    with running(tmp_path / "home") as live:
        page = open_page(live)
        clicks = Clicks(page)
        page.goto("/studio")
        page.get_by_label("Name").fill("Discs")
        page.get_by_label("What is to be told").select_option("detection")
        clicks.press("Begin")
        page.wait_for_selector("[data-ready]")
        page.get_by_label("Another class").fill("disc")
        page.get_by_role("button", name="Add", exact=True).click()
        page.locator(".classes h3", has_text="disc").wait_for()
        files, boxes = [], {}
        for number in range(14):
            data, drawn = shapes(number)
            files.append({"name": f"{number:02}.png", "mimeType": "image/png", "buffer": data})
            boxes[f"{number:02}.png"] = [box[1:] for box in drawn if box[0] == "disc"]
        page.locator(".drawnset input[multiple]").set_input_files(files)
        playwright.expect(page.get_by_text("14 pictures wait for you.")).to_be_visible(timeout=60_000)
        page.get_by_role("link", name="Draw boxes").click()
        width, height = SIZE
        for _ in boxes:
            page.wait_for_selector("[data-boxeditor][data-ready]")
            name = page.locator(".drawlead .muted").first.text_content()
            for x, y, w, h in boxes[name]:
                drag(page, "mouse", (x / width, y / height), ((x + w) / width, (y + h) / height))
                page.locator("[data-stage]").focus()
            assert len(boxes_of(page)) == len(boxes[name]), name
            page.get_by_role("button", name="Save, next picture").click()
            page.wait_for_url(lambda url, name=name: True)
            page.wait_for_function("n => !document.querySelector('.drawlead')?.textContent.includes(n)", arg=name)
        page.wait_for_selector("[data-studio][data-ready]")
        clicks.press("Train")
        playwright.expect(page.locator(".trained")).to_contain_text("Trained: version 1.", timeout=400_000)
        data, drawn = shapes(99)
        page.locator("[data-tryfile]").set_input_files({"name": "new.png", "mimeType": "image/png", "buffer": data})
        playwright.expect(page.locator("[data-readings] [data-says]")).to_be_visible(timeout=60_000)
        clicks.press("Publish")
        playwright.expect(page.get_by_text("Version 1 answers.")).to_be_visible(timeout=60_000)
        said = live.ask("discs", data).json()
        assert {box["label"] for box in said["boxes"]} <= {"disc"}
        best = sorted(said["boxes"], key=lambda box: -box["score"])[:2]
        truth = sorted((x + w / 2, y + h / 2) for label, x, y, w, h in drawn if label == "disc")
        for (x, y), (a, b) in zip(sorted((b["x"] + b["w"] / 2, b["y"] + b["h"] / 2) for b in best), truth, strict=True):
            assert np.hypot(x - a, y - b) < 12
