"""From "new check-up" to one that answers, in a real browser; and nothing lost or twice where the server dies."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import marks
import studio_client
from axe import violations
from browsing import PHONE, Watch, playwright
from live import Live, running
from studio_drills import kill_publications, kill_trainings, kill_uploads
from studio_journey import Clicks, bring, make, publish, try_out, wait_for_training

ROLES = {"clear": "normal", "dots": "sought"}


def test_four_times_thirty_pictures_to_an_answer(tmp_path: Path, open_page: Any) -> None:
    folder = marks.folders(tmp_path / "marks")
    picture = tmp_path / "new.png"
    picture.write_bytes(marks.mark("rings", 99))
    with running(tmp_path / "home") as live:
        page = open_page(live)
        watch = Watch(page.context, live.url)
        clicks = Clicks(page)
        began = time.monotonic()
        make(clicks, "Marks in tissue", "tissue")
        bring(clicks, folder, 120)
        clicks.press("Train")
        playwright.expect(page.get_by_role("button", name="Stop")).to_be_visible()
        where = page.url
        watch.check()
        page.context.close()  # and on it goes

        page = open_page(live)
        watch = Watch(page.context, live.url)
        clicks = Clicks(page, clicks.count)
        page.goto(where)
        wait_for_training(page)
        try_out(clicks, picture)
        publish(clicks)
        clicks.follow("Open the check-up")
        seconds = time.monotonic() - began
        page.locator("input[type=file]").first.set_input_files(picture)
        page.get_by_role("button", name="Look at the pictures").click()
        page.wait_for_url(re.compile("/results/[0-9a-f]{32}"), timeout=60_000)
        playwright.expect(page.locator("[data-says]").first).to_contain_text("Rings")
        watch.check()
        print(f"{seconds:.0f} s, {clicks.count} clicks")
        assert clicks.count <= 10
        with live.client() as client:
            versions = client.get("/api/v1/models/marks-in-tissue").json()["versions"]
            assert [v["version"] for v in versions] == [1]


def test_by_a_phone_with_its_camera(tmp_path: Path, chromium: Any) -> None:
    from browsing import CHROMIUM

    assert playwright is not None and chromium is not None
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with running(tmp_path / "home", "--no-worker") as live:
        browser = chromium.browser_type.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", *fake])
        try:
            context = browser.new_context(base_url=live.url, locale="en", permissions=["camera"], **PHONE)
            page = context.new_page()
            clicks = Clicks(page)
            make(clicks, "By phone", "")
            page.get_by_label("Another class").fill("healthy, wound; healthy")
            clicks.press("Add")
            playwright.expect(page.locator("[data-class]")).to_have_count(2)
            card = page.locator('[data-class="healthy"]')
            playwright.expect(card).to_be_visible()
            card.get_by_role("button", name="Camera: healthy").click()
            page.wait_for_function("() => document.querySelector('[data-video]').videoWidth > 0")
            for name in ("healthy", "wound", "healthy"):
                page.get_by_role("button", name=f"Take a picture: {name}").click()
                page.wait_for_timeout(400)  # the next frame is another picture
            page.get_by_role("button", name="Done").click()
            wounds = page.locator('[data-class="wound"] .count')
            playwright.expect(wounds).to_have_text("1 picture", timeout=30_000)
            playwright.expect(card.locator(".count")).to_have_text("2 pictures", timeout=30_000)
            photograph = card.locator("input[capture]")
            assert photograph.get_attribute("capture") == "environment"
            shot = tmp_path / "shot.png"
            shot.write_bytes(marks.mark("clear", 5))
            photograph.set_input_files(shot)
            playwright.expect(card.locator(".count")).to_have_text("3 pictures", timeout=30_000)
            id = page.url.rpartition("/")[2]
            items = httpx.get(f"{live.url}/api/v1/datasets/{id}/items").json()["items"]
            assert {item["origin"]["source"] for item in items} == {"camera"}
        finally:
            browser.close()


def test_what_is_wrong_is_mended_in_the_page(tmp_path: Path, open_page: Any, axe: str) -> None:
    folder = marks.folders(tmp_path / "marks", 12, ("clear", "dots"))
    (folder / "dots" / "again.png").write_bytes(marks.mark("dots", 3))
    (folder / "dots" / "wrong.png").write_bytes(marks.mark("clear", 4))
    (folder / "dots" / "broken.png").write_bytes(marks.mark("dots", 50)[:300])
    with running(tmp_path / "home", "--no-worker") as live:
        page = open_page(live)
        page.context.add_init_script(axe)
        clicks = Clicks(page)
        make(clicks, "To mend", "")
        bring(clicks, folder, 26)
        playwright.expect(page.locator("ul[data-refusals]")).to_contain_text("broken.png")
        page.get_by_role("button", name="Leave the copy out").click()
        playwright.expect(page.locator("[data-part=findings]")).not_to_contain_text("is there twice")
        page.get_by_role("button", name="All are clear").click()
        playwright.expect(page.locator("[data-part=findings]")).not_to_contain_text("two classes", timeout=30_000)
        playwright.expect(page.get_by_text("1 picture is left out.")).to_be_visible()
        page.locator("details.log summary").click()
        page.get_by_role("button", name="Undo: 1 picture left out").click()
        playwright.expect(page.locator("details.log .undone")).to_have_count(1)
        playwright.expect(page.locator('[data-class="dots"] .count')).to_have_text("13 pictures")
        clicks.press("Train")
        playwright.expect(page.get_by_text("medloupe jobs work")).to_be_visible()
        assert violations(page) == []
        clicks.press("Stop")
        playwright.expect(page.get_by_text("The training was stopped.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"viewport": {"width": 1280, "height": 860}}, PHONE], ids=["1280", "360"])
def test_pages_are_accessible(
    studio_site: tuple[Live, str], open_page: Any, axe: str, size: dict[str, Any], scheme: str
) -> None:
    live, id = studio_site
    for locale in ("en", "fr"):
        page = open_page(live, color_scheme=scheme, locale=locale, **size)
        page.context.add_init_script(axe)
        for path in ("/studio", f"/studio/{id}"):
            page.goto(path)
            page.wait_for_timeout(1200)
            for details in page.locator("main details").all():
                details.evaluate("n => { n.open = true; }")
            assert violations(page) == [], (path, locale)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, locale)


@pytest.fixture(scope="module")
def studio_site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server with a data set that has findings of all kinds."""
    with running(tmp_path_factory.mktemp("pages") / "home", "--no-worker") as live, live.client() as client:
        id = studio_client.new(client, "A set with findings", ROLES, kind="tissue")
        for kind in ROLES:
            for number in range(6):
                studio_client.send(client, id, f"{kind}/{number}.png", marks.mark(kind, number), kind)
        studio_client.send(client, id, "copy.png", marks.mark("dots", 0), "dots")
        studio_client.send(client, id, "clash.png", marks.mark("dots", 1), "clear")
        studio_client.audited(client, id)
        yield live, id


# ------------------------------------------------------------------ killed


def test_killed_in_the_middle_of_uploads(tmp_path: Path) -> None:
    said = kill_uploads(tmp_path / "home", 2, 8, seed=7)
    assert (said.kills, said.lost, said.twice) == (2, 0, 0)


def test_killed_while_it_trains_and_publishes(tmp_path: Path) -> None:
    said = kill_trainings(tmp_path / "home", 1, seed=7)
    assert (said.kills, said.lost, said.twice) == (1, 0, 0)
    said = kill_publications(tmp_path / "home", 2, seed=7)
    assert (said.kills, said.lost, said.twice) == (2, 0, 0)
