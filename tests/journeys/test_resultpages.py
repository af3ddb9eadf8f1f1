"""The page of an answer in a real browser: kept by it alone, looked at closely, printed, on a phone's first screen."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import ecgmodels
import ecgsaved
import generated
from browsing import PHONE, Watch, playwright
from clinic import PASSWORD
from live import Live

NEEDED = "() => [...document.images].filter(i => i.checkVisibility()).every(i => i.complete && i.naturalWidth > 0)"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    return [generated.save(folder / f"scan {i}.png", generated.tissue(i, i % 2 == 1)) for i in range(3)]


def send(page: Any, path: str, *files: Path) -> None:
    page.goto(path)
    page.locator("input[type=file]").first.set_input_files(list(files))
    page.locator("[data-submit]").click()
    page.wait_for_url(re.compile("/results"), timeout=30_000)


@pytest.fixture
def logged_in(clinic: Live, open_page: Any) -> Iterator[Any]:
    """A page of bea's, on a server that keeps no pictures."""
    page = open_page(clinic)
    page.goto("/login")
    page.get_by_label("Name").fill("bea")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(re.compile("/$"))
    yield page


def kept(page: Any) -> int:
    """How many answers this browser has something of."""
    return page.evaluate(
        """() => new Promise((done, fail) => {
          const request = indexedDB.open("medloupe", 1);
          request.onerror = () => fail(request.error);
          request.onsuccess = () => {
            const counted = request.result.transaction("answers").objectStore("answers").count();
            counted.onsuccess = () => { request.result.close(); done(counted.result); };
          };
        })"""
    )


def test_picture_heat_map_and_alias_outlive_reload_and_back_and_end_with_the_log_out(
    logged_in: Any, clinic: Live, pictures: list[Path]
) -> None:
    page = logged_in
    watch = Watch(page.context, clinic.url)
    send(page, "/checkups/spots", pictures[1])
    whole = page.locator("[data-picture]:visible")
    playwright.expect(whole).to_have_count(2)
    playwright.expect(page.locator("[data-file]")).to_have_text("scan 1.png")
    page.get_by_label("Short name").fill("bed 7")
    with page.expect_response(re.compile("/alias$")) as saved:
        page.get_by_label("Short name").blur()
    assert saved.value.status == 303
    address = page.url
    page.reload()
    playwright.expect(whole).to_have_count(2)
    playwright.expect(page.locator(".heat:visible")).to_have_count(1)
    playwright.expect(page.get_by_label("Short name")).to_have_value("bed 7")
    page.goto("/history")
    page.go_back()
    playwright.expect(whole).to_have_count(2)
    page.goto(f"{address}?lang=fr")
    playwright.expect(page.get_by_text("Montrer ce qui plaide pour")).to_be_visible()
    playwright.expect(whole).to_have_count(2)
    assert kept(page) == 1
    page.goto("/account?lang=en")
    page.get_by_role("button", name="Log out").click()
    playwright.expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.wait_for_load_state("networkidle")
    playwright.expect(page.locator("html.js")).to_have_count(1)
    page.wait_for_function("() => document.cookie.includes('medloupe_here')")
    page.wait_for_timeout(300)
    assert kept(page) == 0
    watch.check()


def test_what_is_of_an_earlier_session_or_deleted_is_dropped(logged_in: Any, pictures: list[Path]) -> None:
    page = logged_in
    send(page, "/checkups/spots", pictures[0])
    address = page.url
    page.context.clear_cookies(name="medloupe_here")  # as when the browser was closed in between
    page.reload()
    playwright.expect(page.get_by_text("The picture was not kept.")).to_be_visible()
    send(page, "/checkups/spots", pictures[0])
    assert page.url != address and kept(page) == 1
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url(re.compile("/history"))
    assert kept(page) == 0


def test_without_a_place_to_keep_it_the_answer_is_shown_at_once(
    clinic: Live, logged_in: Any, pictures: list[Path]
) -> None:
    page = logged_in
    page.add_init_script("Object.defineProperty(window, 'indexedDB', {value: {open() { throw new Error('none'); }}})")
    page.goto("/checkups/spots")
    page.locator("input[type=file]").first.set_input_files(pictures[:1])
    page.locator("[data-submit]").click()
    playwright.expect(page.locator("[data-reading] .heat:visible")).to_have_count(1)
    link = page.get_by_role("link", name="See the answers")
    assert re.search("/results/[0-9a-f]{32}$", link.get_attribute("href"))


def test_close_by_mouse_keyboard_and_grey_levels(live: Live, open_page: Any, tmp_path: Path) -> None:
    grey = Image.fromarray(generated.tissue(1, True)).convert("L").resize((500, 400))
    path = tmp_path / "grey.png"
    grey.save(path)
    page = open_page(live)
    watch = Watch(page.context, live.url)
    send(page, "/checkups/spots", path)
    frames = page.locator(".pane .frame")
    playwright.expect(page.locator("[data-picture]:visible").first).to_be_visible()
    page.wait_for_function(NEEDED)

    def scales() -> list[float]:
        return frames.evaluate_all("all => all.map(n => new DOMMatrix(getComputedStyle(n).transform).a)")

    count = frames.count()
    page.get_by_role("button", name="Zoom in").click()
    assert scales() == [1.5] * count, "both pictures go together"
    plate = page.locator("[data-plate]:visible").last
    box = plate.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 30, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    moved = frames.last.evaluate("n => new DOMMatrix(getComputedStyle(n).transform).e")
    assert moved == pytest.approx(30, abs=1)
    plate.focus()
    page.keyboard.press("ArrowRight")
    assert frames.last.evaluate("n => new DOMMatrix(getComputedStyle(n).transform).e") < moved
    page.keyboard.press("+")
    assert scales() == [2.25] * count
    page.keyboard.press("0")
    assert scales() == [1] * count
    top = page.evaluate("scrollY")
    page.mouse.wheel(0, 60)
    page.wait_for_timeout(200)
    assert page.evaluate("scrollY") > top and scales() == [1] * count, "the wheel scrolls the page"

    filter_of = "n => getComputedStyle(n).filter"
    shown = page.locator("[data-picture]:visible").last
    assert shown.evaluate(filter_of) == "none"
    page.get_by_role("button", name="Invert").click()
    assert page.locator("feFuncR").get_attribute("slope") == "-1"
    assert "url(" in shown.evaluate(filter_of)
    plate.focus()
    page.keyboard.press("i")
    assert shown.evaluate(filter_of) == "none"
    page.get_by_label("Contrast", exact=True).fill("50")
    assert (page.locator("feFuncR").get_attribute("slope"), page.locator("feFuncR").get_attribute("intercept")) == (
        "2",
        "-0.5",
    )
    page.get_by_role("button", name="Show the whole picture").click()
    assert shown.evaluate(filter_of) == "none"
    watch.check()


def test_two_fingers_zoom(live: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(live, **PHONE)
    send(page, "/checkups/spots", pictures[1])
    plate = page.locator("[data-plate]:visible").last
    plate.scroll_into_view_if_needed()
    box = plate.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": a, "y": b, "id": i} for i, (a, b) in enumerate(points)]},
        )

    touch("touchStart", (x - 20, y), (x + 20, y))
    for apart in (30, 40, 50, 60):
        touch("touchMove", (x - apart, y), (x + apart, y))
    touch("touchEnd")
    scale = page.locator(".pane .frame").last.evaluate("n => new DOMMatrix(getComputedStyle(n).transform).a")
    assert scale == pytest.approx(3, rel=0.15)


def test_the_state_stands_on_the_first_screen_of_a_phone(live: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(live, **PHONE)
    send(page, "/checkups/spots", pictures[1])
    says = page.locator("[data-says]")
    playwright.expect(says).to_contain_text("%")
    box = says.bounding_box()
    assert box["y"] > 0 and box["y"] + box["height"] < 420
    button = page.get_by_role("link", name="Another picture")
    before = button.bounding_box()
    assert before["y"] + before["height"] <= 740
    page.mouse.wheel(0, 500)
    page.wait_for_timeout(300)
    assert button.bounding_box()["y"] == pytest.approx(before["y"], abs=1), "it stays in reach"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_warning_where_the_strongest_place_is_empty_border(logged_in: Any, pictures: list[Path]) -> None:
    page = logged_in
    send(page, "/checkups/spots", pictures[1])
    playwright.expect(page.locator("[data-outside]")).to_be_hidden()
    page.evaluate(
        """(id) => new Promise((done) => {
          const request = indexedDB.open("medloupe", 1);
          request.onsuccess = () => {
            const all = request.result.transaction("answers", "readwrite").objectStore("answers");
            all.get(id).onsuccess = (e) => { all.put({...e.target.result, outside: true}).onsuccess = done; };
          };
        })""",
        re.search("[0-9a-f]{32}", page.url)[0],
    )
    page.reload()
    playwright.expect(page.get_by_text("in the empty border of the picture")).to_be_visible()


def test_several_a_table_with_what_was_not_read_and_csv_with_names(
    live: Live, open_page: Any, pictures: list[Path], tmp_path: Path
) -> None:
    page = open_page(live)
    bad = tmp_path / "=note.txt"
    bad.write_text("not a picture", "utf-8")
    formula = generated.save(tmp_path / "=1+1.png", generated.tissue(7, True))
    send(page, "/checkups/spots", *pictures[:2], bad, formula)
    playwright.expect(page.locator("tbody tr")).to_have_count(4)
    states = page.locator("tbody .chip").evaluate_all("all => all.map(n => n.classList[1])")
    order = ["flagged", "unclear", "unusable", "refused", "clear", "answered", "failed"]
    assert states == sorted(states, key=order.index) and states[-1] == "failed"
    playwright.expect(page.locator("tr.failed")).to_contain_text("=note.txt")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    text = Path(download.value.path()).read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["file"] for row in rows} == {"scan 0.png", "scan 1.png", "'=1+1.png"}
    page.locator("[data-row] a").first.click()
    playwright.expect(page.locator(".among")).to_contain_text("1 of 3")
    page.get_by_role("link", name="Next").click()
    playwright.expect(page.locator(".among")).to_contain_text("2 of 3")
    page.go_back()
    page.go_back()
    playwright.expect(page.locator("tr.failed")).to_have_count(1), "back keeps the table whole"


# ------------------------------------------------------------------ on paper


def pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


@pytest.mark.parametrize("locale", ["en", "fr"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_answer_is_one_page(live: Live, open_page: Any, pictures: list[Path], locale: str, scheme: str) -> None:
    page = open_page(live, locale=locale, color_scheme=scheme)
    send(page, "/checkups/spots", pictures[1])
    page.wait_for_function(NEEDED)
    assert pages(page.pdf(prefer_css_page_size=True)) == 1


@pytest.mark.parametrize("shape", [(300, 900), (900, 300), (700, 700)])
def test_pictures_of_any_shape_are_one_page(live: Live, open_page: Any, tmp_path: Path, shape: tuple[int, int]) -> None:
    path = tmp_path / "shape.png"
    Image.fromarray(generated.tissue(1, True)).resize(shape).save(path)
    page = open_page(live)
    send(page, "/checkups/spots", path)
    page.wait_for_function(NEEDED)
    assert pages(page.pdf(prefer_css_page_size=True)) == 1


def test_twelve_leads_are_one_page_and_so_is_a_recording(ecg_live: Live, open_page: Any, tmp_path: Path) -> None:
    page = open_page(ecg_live)
    twelve = ecgsaved.save(tmp_path, {"w.npz": ecgsaved.npz(ecgmodels.standard(302, blocked=True))})
    send(page, "/checkups/leads", twelve)
    playwright.expect(page.locator(".usual svg")).to_be_visible()
    assert pages(page.pdf(prefer_css_page_size=True)) == 1
    beats = ecgsaved.save(tmp_path, {"b.npz": ecgsaved.npz(ecgmodels.recording(303, seconds=70))})
    send(page, "/checkups/beats", beats)
    playwright.expect(page.locator(".rows svg").first).to_be_visible()
    assert pages(page.pdf(prefer_css_page_size=True)) == 1
    page.emulate_media(media="print")
    playwright.expect(page.locator(".rows svg:visible")).to_have_count(1)
    playwright.expect(page.get_by_text("the first 10 seconds that are drawn")).to_be_visible()


def test_the_disclaimer_stands_at_the_foot_of_every_page(live: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(live)
    send(page, "/checkups/spots", pictures[1])
    page.emulate_media(media="print")
    foot = page.locator(".foot")
    assert foot.evaluate("n => getComputedStyle(n).position") == "fixed", "which print repeats on each page"
    playwright.expect(foot).to_contain_text("Not a medical device")
    assert page.evaluate("getComputedStyle(document.body, '::after').display") == "table-footer-group"
