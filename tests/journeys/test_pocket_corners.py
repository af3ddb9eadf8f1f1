"""Photographs on the device: the corners that were found are shown and moved before anything is answered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import generated
import medloupe
from axe import violations
from browsing import PHONE, Watch, drag_by_touch, playwright
from medloupe.imaging.photo import NEVER, PhotoRequest
from medloupe.model.prediction import Prediction
from medloupe.ondevice.folder import write_folder
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.web.device import build_device_release
from medloupe.starter.shipped import load_shipped
from pocket import served
from snapshots import snap

WIDE = {"viewport": {"width": 1280, "height": 860}}


def large(number: int) -> np.ndarray:
    return np.asarray(Image.fromarray(generated.tissue(number, True)).resize((420, 420), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film photographed on a light box."""
    taken, _ = snap(large(7), np.random.default_rng(2), surface="film", severity="mild")
    path = tmp_path_factory.mktemp("photographs") / "film.png"
    Image.fromarray(taken).save(path)
    return path


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated.save(tmp_path_factory.mktemp("direct") / "direct.png", large(8))


@pytest.fixture(scope="module")
def origin(web_runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with one check-up, which has learned from photographs, behind a plain web server."""
    folder = tmp_path_factory.mktemp("web")
    write_folder(build_device_release([CheckUp.of(load_shipped("pneumonia"))], server=False), folder)
    with served(folder) as address:
        yield address


@pytest.fixture
def opened(chromium: Any, origin: str) -> Iterator[Any]:
    """Opens the app, with options of a browser context."""
    contexts: list[Any] = []

    def open_(**options: Any) -> Any:
        context = chromium.new_context(**{"locale": "en", **WIDE, **options})
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{origin}/")
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_
    for context in contexts:
        context.close()


def take(page: Any, path: Path) -> Any:
    """Hand a file to the app: its entry."""
    page.locator("[data-files]").set_input_files([path])
    return page.locator("[data-list] > li").first


def corners_of(page: Any, path: Path) -> Any:
    """The corners as they are shown, in pixels of the file."""
    with Image.open(path) as image:
        size = np.array(image.size)
    places = page.locator(".corner").evaluate_all(
        "(all) => all.map((n) => [parseFloat(n.style.left), parseFloat(n.style.top)])"
    )
    return tuple(tuple(place) for place in (np.array(places) / 100 * size).tolist())


def assert_says(item: Any, said: Prediction) -> None:
    """Assert that an entry shows the state and the percentage of an answer of Python."""
    playwright.expect(item).to_have_attribute("data-state", re.compile("."), timeout=60_000)
    assert item.get_attribute("data-state") == said.state
    if said.prediction:
        shown, p = item.locator(".called .value").inner_text(), said.probabilities[said.prediction]
        assert abs(float(re.sub(r"[^\d]", "", shown)) - 100 * p) <= 1


def test_corners_are_shown_and_moved_before_the_answer(opened: Any, origin: str, film: Path) -> None:
    page = opened()
    watch = Watch(page.context, origin)
    item = take(page, film)
    playwright.expect(page.get_by_role("slider")).to_have_count(4)
    assert item.get_attribute("data-state") == "", "nothing is said before"
    first = page.get_by_role("slider", name="Upper left corner")
    before = np.array(corners_of(page, film))
    first.focus()
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
    third = page.get_by_role("slider", name="Lower right corner")
    third.evaluate("n => n.scrollIntoView({block: 'center'})")
    box = third.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 20, y - 15, steps=3)
    page.mouse.up()
    corners = corners_of(page, film)
    moved = np.linalg.norm(np.array(corners) - before, axis=1)
    assert moved[0] > 10 and moved[2] > 10 and moved[1] == moved[3] == 0
    page.get_by_role("button", name="Look at the picture").click()
    predictor = medloupe.predictor(load_shipped("pneumonia"))
    assert_says(item, predictor.predict(film, photo=PhotoRequest(mode="always", corners=corners)))
    playwright.expect(item).to_contain_text("the four corners that were marked")
    playwright.expect(item.get_by_label("What was cut out of the photograph")).to_be_visible()

    page.get_by_role("button", name="Move the corners").click()
    assert corners_of(page, film) == corners, "they lie where they were left"
    page.get_by_role("button", name="Français").click()
    playwright.expect(page.get_by_role("slider", name="Coin supérieur gauche")).to_be_visible()
    assert corners_of(page, film) == corners
    page.get_by_role("button", name="Ce n’est pas une photo").click()
    assert_says(item, predictor.predict(film, photo=NEVER))
    playwright.expect(page.get_by_role("slider")).to_have_count(0)
    watch.check()


def test_corners_that_are_not_found_are_asked_for(opened: Any, direct: Path) -> None:
    page = opened()
    item = take(page, direct)
    predictor = medloupe.predictor(load_shipped("pneumonia"))
    assert_says(item, predictor.predict(direct))
    page.get_by_role("button", name="This is a photograph").click()
    first = page.get_by_role("slider", name="Upper left corner")
    playwright.expect(first).to_be_focused()
    page.get_by_role("button", name="Look at the picture").click()
    playwright.expect(item.get_by_role("status")).to_contain_text("Move the four corners")
    playwright.expect(first).to_be_focused()
    page.keyboard.press("ArrowLeft")
    corners = corners_of(page, direct)
    page.get_by_role("button", name="Look at the picture").click()
    assert_says(item, predictor.predict(direct, photo=PhotoRequest(mode="always", corners=corners)))


def test_on_a_phone_corners_are_moved_by_touch(opened: Any, film: Path) -> None:
    page = opened(**PHONE, locale="fr")
    page.locator("[name=source][value=always]").check()
    take(page, film)
    first = page.get_by_role("slider", name="Coin supérieur gauche")
    playwright.expect(first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    first.evaluate("n => n.scrollIntoView({block: 'center'})")
    box = first.bounding_box()
    assert min(box["width"], box["height"]) >= 44
    drag_by_touch(page, box, (12, 8), (25, 15))
    moved = first.bounding_box()
    assert (moved["x"] - box["x"], moved["y"] - box["y"]) == (pytest.approx(25, abs=3), pytest.approx(15, abs=3))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing(opened: Any, axe: str, film: Path, size: dict[str, Any], scheme: str) -> None:
    page = opened(**size, color_scheme=scheme, bypass_csp=True)
    page.evaluate(axe)
    take(page, film)
    playwright.expect(page.get_by_role("slider")).to_have_count(4)
    assert violations(page) == []
