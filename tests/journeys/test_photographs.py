"""Photographs from the form to the answer: corners are shown, moved by mouse and keyboard, and sent along."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import generated
from axe import violations
from browsing import PHONE, Watch, drag_by_touch, playwright
from live import Live
from medloupe.imaging.decode import decode_picture
from medloupe.imaging.photo import AUTO
from snapshots import snap

WIDE = {"viewport": {"width": 1280, "height": 860}}


def large(number: int) -> np.ndarray:
    return np.asarray(Image.fromarray(generated.tissue(number, True)).resize((420, 420), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A film photographed on a light box, and where the corners lie in it."""
    taken, corners = snap(large(7), np.random.default_rng(2), surface="film", severity="mild")
    path = tmp_path_factory.mktemp("photographs") / "film.png"
    Image.fromarray(taken).save(path)
    assert decode_picture(path, photo=AUTO).photo is not None
    return path, corners


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated.save(tmp_path_factory.mktemp("direct") / "direct.png", large(8))


def choose(page: Any, *files: Path) -> None:
    page.goto("/checkups/spots")
    page.locator("input[type=file]").first.set_input_files(list(files))


def answered(live: Live, page: Any) -> dict[str, Any]:
    """What the API remembers of the answer that the page shows."""
    page.wait_for_url(re.compile("/results/[0-9a-f]{32}"), timeout=60_000)
    with live.client() as client:
        return client.get(f"/api/v1/predictions/{re.findall('[0-9a-f]{32}', page.url)[0]}").json()


def test_corners_are_shown_and_moved(live: Live, open_page: Any, film: tuple[Path, np.ndarray]) -> None:
    path, corners = film
    page = open_page(live)
    # Corners are told in pixels of what is sent, which here are those of the file.
    page.context.add_init_script("localStorage.setItem('medloupe_send_whole', '1')")
    watch = Watch(page.context, live.url)
    choose(page, path)
    handles = page.locator("[data-chosen]").get_by_role("slider")
    playwright.expect(handles).to_have_count(4)
    playwright.expect(page.locator(".editor .note")).to_contain_text("four corners")

    first = page.get_by_role("slider", name="Upper left corner")
    before = first.get_attribute("aria-valuetext")
    first.focus()
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    assert first.get_attribute("aria-valuetext") != before
    third = page.get_by_role("slider", name="Lower right corner")
    third.evaluate("n => n.scrollIntoView({block: 'center'})")
    box = third.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 30, y - 20, steps=4)
    page.mouse.up()
    moved = third.bounding_box()
    assert (moved["x"] - box["x"], moved["y"] - box["y"]) == (pytest.approx(-30, abs=2), pytest.approx(-20, abs=2))

    page.get_by_role("button", name="Look at the pictures").click()
    said = answered(live, page)
    found = np.array(said["photo"]["corners"])
    with Image.open(path) as image:
        width = image.width
    assert said["photo"]["given"] and said["photo"]["found"]
    assert found[0, 0] - corners[0, 0] == pytest.approx(0.16 * width, abs=0.03 * width)
    assert np.linalg.norm(found[1] - corners[1]) < 0.03 * width
    assert np.linalg.norm(found[2] - corners[2]) > 0.03 * width
    playwright.expect(page.locator("[data-reading]")).to_contain_text("the four corners that were marked")
    shown = page.locator(".pane:not(.original) [data-picture]")
    sides = shown.evaluate("n => [n.naturalWidth, n.naturalHeight]")
    assert sides[0] < width, "what is shown is what was cut out"
    watch.check()


def test_what_is_found_wrongly_is_sent_whole(live: Live, open_page: Any, film: tuple[Path, np.ndarray]) -> None:
    page = open_page(live)
    choose(page, film[0])
    playwright.expect(page.get_by_role("slider")).to_have_count(4)
    page.get_by_role("button", name="This is no photograph").click()
    playwright.expect(page.get_by_role("slider")).to_have_count(0)
    page.get_by_role("button", name="Look at the pictures").click()
    assert answered(live, page).get("photo") is None


def test_corners_that_were_not_found_are_asked_for(live: Live, open_page: Any, direct: Path) -> None:
    page = open_page(live)
    watch = Watch(page.context, live.url)
    choose(page, direct)
    page.get_by_role("button", name="This is a photograph").click()
    first = page.get_by_role("slider", name="Upper left corner")
    playwright.expect(first).to_be_visible()
    page.get_by_role("button", name="Look at the pictures").click()
    playwright.expect(page.locator("[data-status]")).to_contain_text("Move the four corners")
    playwright.expect(first).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.get_by_role("button", name="Look at the pictures").click()
    corners = np.array(answered(live, page)["photo"]["corners"])
    assert corners[0, 0] == pytest.approx(0.096 * 420, abs=1.5)
    watch.check()


def test_a_direct_export_is_asked_nothing(live: Live, open_page: Any, direct: Path) -> None:
    page = open_page(live)
    choose(page, direct)
    page.get_by_role("button", name="Look at the pictures").click()
    said = answered(live, page)
    assert said.get("photo") is None and said.get("picture") is None


def test_on_a_phone_corners_are_moved_by_touch(live: Live, open_page: Any, film: tuple[Path, np.ndarray]) -> None:
    page = open_page(live, **PHONE, locale="fr")
    choose(page, film[0])
    first = page.get_by_role("slider", name="Coin supérieur gauche")
    playwright.expect(first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    box = first.bounding_box()
    assert min(box["width"], box["height"]) >= 44
    first.evaluate("n => n.scrollIntoView({block: 'center'})")
    box = first.bounding_box()
    drag_by_touch(page, box, (12, 8), (25, 15))
    moved = first.bounding_box()
    assert (moved["x"] - box["x"], moved["y"] - box["y"]) == (pytest.approx(25, abs=3), pytest.approx(15, abs=3))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing(
    live: Live, open_page: Any, axe: str, film: tuple[Path, np.ndarray], size: dict[str, Any], scheme: str
) -> None:
    page = open_page(live, **size, color_scheme=scheme)
    page.context.add_init_script(axe)
    choose(page, film[0])
    playwright.expect(page.get_by_role("slider")).to_have_count(4)
    assert violations(page) == []


def test_the_api_finds_takes_and_tells_corners(live: Live, film: tuple[Path, np.ndarray], direct: Path) -> None:
    path, corners = film
    data, told = path.read_bytes(), ",".join(f"{v:.1f}" for v in corners.ravel())
    with live.client() as client:
        found = client.post("/api/v1/photo", files={"image": ("film.png", data)}).json()
        assert found["found"] and np.abs(np.array(found["corners"]) - corners).max() < 0.03 * found["width"]
        none = client.post("/api/v1/photo", files={"image": ("direct.png", direct.read_bytes())}).json()
        assert (none["found"], none["corners"], none["width"]) == (False, None, 420)
        wrong = client.post("/api/v1/photo", files={"image": ("film.png", data)}, data={"corners": "1,2,3"})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "bad_corners")
    auto, given = live.ask("spots", data).json(), live.ask("spots", data, corners=told).json()
    never = live.ask("spots", data, photo="never").json()
    assert auto["photo"] == {key: found[key] for key in ("found", "corners", "confidence", "given")}
    assert [note["code"] for note in auto["picture"]["notes"]] == ["photograph"]
    assert given["photo"]["given"] and given["photo"]["corners"] == [[round(x, 1), round(y, 1)] for x, y in corners]
    assert never.get("photo") is None and never["probabilities"] != auto["probabilities"]
    unfound = live.ask("spots", direct.read_bytes(), photo="always").json()
    for said in (auto, given, unfound):  # it learned from direct pictures alone
        assert (said["state"], said["why"]["code"]) == ("unusable", "photo_untrained")
    assert never["state"] != "unusable" or never["why"]["code"] != "photo_untrained"
    assert live.ask("spots", data, photo="perhaps").json()["error"]["code"] == "bad_corners"
    plain = live.ask("spots", direct.read_bytes()).json()
    assert "photo" not in plain and "picture" not in plain
    assert plain["probabilities"] == live.ask("spots", direct.read_bytes(), photo="never").json()["probabilities"]


def test_the_command_line_says_the_same(
    live: Live, film: tuple[Path, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    path, corners = film
    said = generated.run(capsys, "predict", "spots", path, "--json", "--home", live.home).lines[0]
    asked = live.ask("spots", path.read_bytes()).json()
    assert said["photo"] == asked["photo"]
    assert said["probabilities"] == pytest.approx(asked["probabilities"], abs=1e-4)
    told = ",".join(f"{v:.1f}" for v in corners.ravel())
    given = generated.run(capsys, "predict", "spots", path, "--json", "--corners", told, "--home", live.home).lines[0]
    assert given["photo"]["given"] and json.dumps(given["photo"]["corners"]) != json.dumps(said["photo"]["corners"])
    assert generated.run(capsys, "predict", "spots", path, "--photo", "maybe", "--home", live.home).code == 2
    assert generated.run(capsys, "predict", "spots", path, path, "--corners", told, "--home", live.home).code == 2
