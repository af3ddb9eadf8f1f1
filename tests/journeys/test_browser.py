"""The whole path in a real browser: with a mouse, a keyboard, a phone, without scripts, without a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import generated
from browsing import PHONE, Watch, log_in, playwright
from live import Live
from pagechecks import CONTRAST, NAMELESS, SMALL

PAGES = ("/", "/checkups/spots", "/choose", "/history", "/models", "/models/spots?a=1&b=2", "/about", "/docs", "/audit")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    return [generated.save(folder / f"scan {i}.png", generated.tissue(i, i % 2 == 1)) for i in range(3)]


def result(page: Any) -> Any:
    """The answer, at its own address, with what this browser has kept of it."""
    page.wait_for_url(re.compile("/results/[0-9a-f]{32}"), timeout=30_000)
    found = page.locator("[data-reading]")
    playwright.expect(found).to_have_count(1)
    shown = page.locator("[data-picture][src], [data-absent]").locator("visible=true")
    playwright.expect(shown.first).to_be_visible()  # on a phone the plain picture beside the heat map is left out
    return found


def results(page: Any, count: int) -> Any:
    """The rows of several answers, when all are there."""
    page.wait_for_url(re.compile(r"/results\?ids="), timeout=30_000)
    found = page.locator("[data-row]")
    playwright.expect(found).to_have_count(count)
    return found


def test_choose_upload_result_feedback_history(
    live: Live, open_page: Any, pictures: list[Path], tmp_path: Path
) -> None:
    page = open_page(live)
    watch = Watch(page.context, live.url)
    page.goto("/")
    page.get_by_role("link", name="Spots", exact=True).click()
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    page.locator("input[type=file]").first.set_input_files([*pictures[:2], broken])
    playwright.expect(page.locator("[data-chosen] li")).to_have_count(3)
    page.get_by_role("button", name="Remove broken.dcm").click()
    page.locator("input[type=file]").first.set_input_files([pictures[2]])
    page.get_by_role("button", name="Look at the pictures").click()
    rows = results(page, 3)
    playwright.expect(rows.locator("img.thumb:visible")).to_have_count(3)
    assert {text.rpartition(" ")[2] for text in page.locator("[data-file]").all_text_contents()} >= {"0.png", "2.png"}
    rows.first.get_by_role("link").click()
    first = result(page)
    playwright.expect(page.locator("[data-announce]")).to_have_text(first.locator("[data-says]").text_content())

    shown = first.locator(".heat:visible")
    playwright.expect(shown).to_have_count(1)
    assert shown.evaluate("n => getComputedStyle(n).opacity") == "0.6"
    slider = first.get_by_label("Heat map", exact=True)
    slider.focus()
    page.keyboard.press("Home")
    assert shown.evaluate("n => getComputedStyle(n).opacity") == "0"
    before = shown.get_attribute("data-heat")
    playwright.expect(first.locator(".pane:visible")).to_have_count(2)
    first.locator("[data-pick]:not(:checked)").first.check()
    playwright.expect(shown).to_have_count(1)
    assert shown.get_attribute("data-heat") != before
    first.get_by_label("the plain picture").check()
    playwright.expect(shown).to_have_count(0)
    playwright.expect(first.locator(".pane:visible")).to_have_count(1)
    # The heat map lies exactly over the picture.
    boxes = first.evaluate(
        "n => ['img', '.heat'].map(s => n.querySelector('.pane:not(.original) ' + s))"
        ".map(image => JSON.stringify(image.getBoundingClientRect()))"
    )
    assert boxes[0] == boxes[1]

    first.get_by_label("No", exact=True).check()
    first.get_by_label("What is it really?").select_option("sick")
    first.get_by_role("button", name="Send").click()
    playwright.expect(first.get_by_text("Thank you. It is kept for retraining.")).to_be_visible()
    page.goto("/history")
    entry = page.locator(".pastrow", has_text="You said: sick").first
    where = entry.get_by_role("link").first.get_attribute("href")
    entry.get_by_role("link").click()
    playwright.expect(page.get_by_text("You said: sick")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    playwright.expect(page.get_by_text("Deleted.", exact=True)).to_be_visible()
    playwright.expect(page.locator(".pastrow").first).to_be_visible()
    playwright.expect(page.locator(f'.pastrow a[href="{where}"]')).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    playwright.expect(page.get_by_text("It is back.", exact=True)).to_be_visible()
    playwright.expect(page.locator(f'.pastrow a[href="{where}"]')).to_have_count(1)
    watch.check()


def test_drag_and_drop(live: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(live)
    watch = Watch(page.context, live.url)
    page.goto("/choose")
    numbers = list(pictures[0].read_bytes())
    page.evaluate(
        """(numbers) => {
          const carried = new DataTransfer();
          carried.items.add(new File([new Uint8Array(numbers)], "dropped.png", {type: "image/png"}));
          const options = {dataTransfer: carried, bubbles: true, cancelable: true};
          for (const kind of ["dragover", "drop"])
            document.querySelector("[data-drop]").dispatchEvent(new DragEvent(kind, options));
        }""",
        numbers,
    )
    playwright.expect(page.locator("[data-chosen] li")).to_have_text(["dropped.png"])
    assert page.locator("[data-chosen] img").evaluate("n => n.decode().then(() => n.naturalWidth)") == generated.SIDE
    watch.check()


def test_without_scripts(live: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(live, java_script_enabled=False)
    page.goto("/checkups/spots")
    assert page.locator(".scripted:visible").count() == 0
    page.locator("input[type=file]").first.set_input_files(pictures[:2])
    page.get_by_role("button", name="Look at the pictures").click()
    results(page, 2).first.get_by_role("link").click()
    first = result(page)
    playwright.expect(first.locator(".heat:visible")).to_have_count(1)
    first.get_by_label("the plain picture").check()
    playwright.expect(first.locator(".heat:visible")).to_have_count(0)
    first.get_by_label("Yes", exact=True).check()
    first.get_by_role("button", name="Send").click()
    playwright.expect(page.get_by_text("Thank you. It is kept for retraining.")).to_be_visible()
    playwright.expect(page.get_by_text("You said: right")).to_be_visible()


def test_a_lost_connection_costs_nothing_chosen(live: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(live)
    page.goto("/checkups/spots")
    page.locator("input[type=file]").first.set_input_files(pictures[:2])
    page.context.set_offline(True)
    playwright.expect(page.locator("[data-offline]")).to_be_visible()
    page.get_by_role("button", name="Look at the pictures").click()
    playwright.expect(page.locator("[data-waiting]")).to_contain_text("Waiting to be sent: 2.")
    playwright.expect(page.locator("[data-chosen] li")).to_have_count(0)
    page.context.set_offline(False)
    playwright.expect(page.locator("[data-offline]")).to_be_hidden()
    playwright.expect(page.locator("[data-waiting]")).to_contain_text("Sent from here later: 2.", timeout=60_000)
    assert len(page.request.get("/api/v1/predictions").json()["predictions"]) >= 2


def test_two_clicks_ask_once(live: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(live)
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if r.method == "POST" else None)
    page.goto("/checkups/spots")
    page.locator("input[type=file]").first.set_input_files(pictures[:1])
    page.get_by_role("button", name="Look at the pictures").dblclick()
    result(page)
    # beside the question perhaps, whether the picture is a photograph: that is given up once the server looks itself
    assert [url.rpartition("/")[2] for url in asked if not url.endswith("/photo")] == ["spots"]


def test_clicks_while_the_photograph_is_looked_for_ask_once(live: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(live)
    asked: list[str] = []
    held: list[Any] = []
    page.on("request", lambda r: asked.append(r.url) if r.url.endswith("/spots") and r.method == "POST" else None)
    page.context.route("**/photographs.json", lambda route: held.append(route))  # by which the browser looks
    page.goto("/checkups/spots")
    page.locator("input[type=file]").first.set_input_files(pictures[:1])
    button = page.locator("[data-submit]")
    button.click()
    button.click(force=True)  # before the search, which is given up then, has ended
    result(page)
    assert len(held) == len(asked) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en", "fr"])
def test_every_page_on_a_phone(live: Live, open_page: Any, pictures: list[Path], locale: str, scheme: str) -> None:
    page = open_page(live, **PHONE, color_scheme=scheme, locale=locale)
    watch = Watch(page.context, live.url)

    def check(path: str) -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, f"{path} is wider than the phone"
        assert page.evaluate(CONTRAST) == [], path
        assert page.evaluate(SMALL) == [], path

    for path in PAGES:
        if path.startswith("/models/"):
            path = "/models/spots"
        page.goto(path)
        assert page.evaluate("document.documentElement.lang") == locale
        check(path)
    page.goto("/checkups/spots")
    assert page.locator("input[capture=environment]").count() == 1
    playwright.expect(page.locator(".pick.camera")).to_be_visible()
    page.locator("input[type=file]").first.set_input_files(pictures[:1])
    page.locator("[data-submit]").click()
    result(page)
    check("the result")
    watch.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en", "fr"])
def test_what_is_known_beside_the_picture(
    live_of_several: Live, open_page: Any, pictures: list[Path], locale: str, scheme: str
) -> None:
    """Asked for on a phone, sent with each picture, and shown as what it did."""
    page = open_page(live_of_several, **PHONE, color_scheme=scheme, locale=locale)
    watch = Watch(page.context, live_of_several.url)

    def check() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, "wider than the phone"
        assert page.evaluate(CONTRAST) == [] and page.evaluate(SMALL) == [] and page.evaluate(NAMELESS) == []

    page.goto("/checkups/several")
    check()
    page.locator("input[type=file]").first.set_input_files(pictures[:2])
    page.locator("[name='input.age']").fill("63.5")
    page.locator("[name='input.sex']").select_option("F")
    page.locator("[name='input.history']").fill("dry cough")
    page.locator("[data-submit]").click()
    results(page, 2)
    check()
    for i in range(2):
        page.locator("[data-row] a").nth(i).click()
        moved = result(page).locator(".moved")
        playwright.expect(moved.locator("li")).to_have_count(4)  # the picture, and the three given
        playwright.expect(moved).to_contain_text("63.5" if locale == "en" else "63,5")
        playwright.expect(moved).to_contain_text("dry cough")
        check()
        page.go_back()
    watch.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_on_a_desk(live: Live, open_page: Any, scheme: str) -> None:
    page = open_page(live, color_scheme=scheme)
    for path in (*PAGES[:5], "/about", "/nope"):
        page.goto(path)
        assert page.evaluate(CONTRAST) == [], path


def test_with_the_keyboard_alone(live: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(live)
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    seen: list[str] = []
    for _ in range(30):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.textContent.trim()")
        seen.append(name)
        if name == "Spots":
            break
    assert seen[-1] == "Spots"
    ring = page.evaluate("getComputedStyle(document.activeElement.closest('.card')).outlineStyle")
    assert ring == "solid", "where one is must be seen"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/checkups/spots"))
    page.locator("input[type=file]").first.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    label = page.evaluate("getComputedStyle(document.activeElement.parentElement.querySelector('span')).outlineStyle")
    assert label == "solid"


def test_what_a_screen_reader_is_told(live: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(live)
    page.goto("/checkups/spots")
    page.locator("input[type=file]").first.set_input_files(pictures[1:2])
    page.get_by_role("button", name="Look at the pictures").click()
    result(page)
    for role in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(role).count() >= 1, role
    assert page.evaluate(NAMELESS) == []
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4')].filter(n => n.checkVisibility()).map(n => +n.tagName[1])"
    )
    assert levels[0] == 1 and levels.count(1) == 1
    live = page.locator("[aria-live], [role=status]:not([hidden])").locator("visible=true")
    assert page.locator("[aria-live=polite]").count() == 1
    assert page.locator("[aria-live=polite]").text_content() == page.locator("[data-says]").text_content()
    assert live.count() <= 1, "nothing but the state is read out by itself"


def test_motion_is_spared_who_does_not_want_it(live: Live, open_page: Any) -> None:
    page = open_page(live, reduced_motion="reduce")
    page.goto("/")
    assert page.locator(".card").first.evaluate("n => getComputedStyle(n).transitionDuration") == "0s"


def test_a_result_prints(live: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(live, color_scheme="dark")
    page.goto("/checkups/spots")
    page.locator("input[type=file]").first.set_input_files(pictures[1:2])
    page.get_by_role("button", name="Look at the pictures").click()
    result(page)
    page.get_by_label("Short name").fill("bed 7")
    page.emulate_media(media="print")
    for hidden in (".tabs", ".tools", ".heatbar", ".feedback", ".after"):
        assert page.locator(f"{hidden}:visible").count() == 0, hidden
    for shown in (".verdict", ".bars", ".frame img", ".alias", ".paper li", ".sign", ".foot", ".meta"):
        assert page.locator(f"{shown}:visible").count() >= 1, shown
    playwright.expect(page.get_by_label("Short name")).to_have_value("bed 7")
    assert page.locator(".alias").locator(".button:visible, .note:visible").count() == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate(CONTRAST) == []
    assert page.pdf().startswith(b"%PDF")


def test_log_in_promote_and_roll_back(clinic: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(clinic)
    watch = Watch(page.context, clinic.url)
    log_in(page, "ada")
    page.get_by_role("link", name="Models").first.click()
    page.get_by_role("link", name="Spots").click()
    page.get_by_role("button", name="Compare").click()
    playwright.expect(page.locator("#compare table")).to_be_visible()
    page.get_by_role("button", name="Promote", exact=True).click()
    playwright.expect(page.get_by_text("Promotion refused")).to_be_visible()
    watch.said.clear()  # the browser notes that the answer was a 409
    page.get_by_label("Why it should answer all the same").fill("to see that it can be undone")
    page.get_by_role("button", name="Promote all the same").click()
    playwright.expect(page.get_by_text("Version 2 answers now.")).to_be_visible()
    page.goto("/checkups/spots")
    page.locator("input[type=file]").first.set_input_files(pictures[:1])
    page.get_by_role("button", name="Look at the pictures").click()
    playwright.expect(result(page).get_by_text("spots, version 2")).to_be_visible()
    page.goto("/models/spots")
    page.get_by_role("button", name="Roll back").click()
    playwright.expect(page.get_by_text("Version 1 answers now.")).to_be_visible()
    page.goto("/audit")
    playwright.expect(page.get_by_text("to see that it can be undone").first).to_be_visible()
    page.goto("/account")
    page.get_by_role("button", name="Log out").click()
    playwright.expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    watch.check()


def test_pages_of_people_on_a_phone(clinic: Live, open_page: Any) -> None:
    page = open_page(clinic, **PHONE)
    page.goto("/login")
    assert page.evaluate(CONTRAST) == []
    log_in(page, "ada")
    for path in ("/users", "/account", "/audit", "/models/spots?a=1&b=2"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        assert page.evaluate(CONTRAST) == [] and page.evaluate(SMALL) == [], path


def test_a_passport_opens_and_its_slider_works(live: Live, open_page: Any) -> None:
    page = open_page(live)
    watch = Watch(page.context, live.url)
    page.goto("/checkups/spots")
    page.get_by_role("link", name="Full evaluation passport").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_contain_text("spots")
    watch.check()


def test_pictures_from_a_phone_are_upright(live: Live, open_page: Any, tmp_path: Path) -> None:
    lying = Image.new("RGB", (120, 60), (10, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter
    path = tmp_path / "photo.jpg"
    lying.save(path, "JPEG", exif=exif)
    page = open_page(live)
    page.goto("/checkups/spots")
    page.locator("input[type=file]").first.set_input_files([path])
    page.get_by_role("button", name="Look at the pictures").click()
    shown = result(page).locator("[data-picture]").last
    assert shown.evaluate("n => [n.naturalWidth, n.naturalHeight]") == [60, 120]


def test_a_picture_is_dropped_on_home(live: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(live)
    watch = Watch(page.context, live.url)
    page.goto("/")
    page.locator("input[type=file]").first.set_input_files(pictures[:1])
    playwright.expect(page.locator("[data-chosen] li")).to_have_count(1)
    page.get_by_role("button", name="Look at it").click()
    playwright.expect(page.locator("[data-reading]")).to_have_count(1, timeout=30_000)
    playwright.expect(page.locator(".groups:visible")).to_have_count(0)
    watch.check()


def test_home_without_scripts_and_a_drawing(live: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(live, java_script_enabled=False)
    page.goto("/")
    assert page.locator(".scripted:visible").count() == 0 and page.get_by_text("Add a picture or an ECG").is_visible()
    page.locator("input[type=file]").first.set_input_files(pictures[:1])
    page.get_by_role("button", name="Look at it").click()
    playwright.expect(page.locator("[data-reading]")).to_have_count(1, timeout=30_000)
    page.goto("/")
    page.get_by_role("button", name="Ask Everyday objects about drawing 2").click()
    playwright.expect(page.get_by_text("Drawn, not a patient").first).to_be_visible()
    playwright.expect(page.get_by_role("heading", name="What it says")).to_be_visible()
    page.get_by_role("link", name="The whole answer").click()
    playwright.expect(page.locator("[data-reading]")).to_have_count(1)
