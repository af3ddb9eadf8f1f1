"""Places nearby in a real browser, with a position that it is told: on request, shown, printed, and nowhere kept."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import generated
from axe import violations
from browsing import PHONE, Watch, playwright
from live import Live
from pagechecks import CONTRAST, NAMELESS, SMALL
from placed import HERE, HOSTILE
from visiting import ask, browser, png, token

POSITION = {"geolocation": {"latitude": HERE[0], "longitude": HERE[1], "accuracy": 30.0}}
GRANTED = {**POSITION, "permissions": ["geolocation"]}
STORED = """async () => {
  const names = (await indexedDB.databases()).map(d => d.name);
  const all = await Promise.all(names.map(name => new Promise(done => {
    const request = indexedDB.open(name);
    request.onsuccess = () => {
      const kinds = [...request.result.objectStoreNames];
      const found = [];
      if (!kinds.length) return done(found);
      const work = request.result.transaction(kinds);
      const add = (e) => found.push(JSON.stringify(e.target.result));
      for (const kind of kinds) work.objectStore(kind).getAll().onsuccess = add;
      work.oncomplete = () => { request.result.close(); done(found); };
    };
  })));
  return JSON.stringify([all, {...localStorage}, {...sessionStorage}, document.cookie, history.state, location.href]);
}"""


@pytest.fixture(scope="module")
def flagged(placed: Live, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of an answer that flags something."""
    said = next(s for n in range(1, 20, 2) if (s := placed.ask("spots", png(n)).json())["state"] == "flagged")
    return f"/results/{said['id']}"


def as_png(pixels: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def found(page: Any) -> Any:
    return page.locator("[data-near-found]")


def test_a_position_only_on_request_and_nowhere_kept(placed: Live, open_page: Any, flagged: str) -> None:
    page = open_page(placed, **GRANTED)
    watch = Watch(page.context, placed.url)
    asked: list[tuple[str, str, str]] = []
    page.on("request", lambda r: asked.append((r.method, r.url, r.post_data or "")))
    page.goto(flagged)
    page.wait_for_load_state("networkidle")
    playwright.expect(page.get_by_role("heading", name="Places nearby")).to_be_visible()
    assert not any("0.512" in url + body for _, url, body in asked), "not before it is asked for"
    page.get_by_role("button", name="Use this device’s position").click()
    rows = found(page).locator(".placelist li")
    playwright.expect(rows).to_have_count(5)
    playwright.expect(rows.first).to_contain_text("Lakeside Hospital")
    playwright.expect(rows.first).to_contain_text("Emergency department")
    playwright.expect(rows.first).to_contain_text("120 beds")
    playwright.expect(found(page)).to_contain_text("Call before you travel.")
    playwright.expect(found(page)).to_contain_text("© OpenStreetMap contributors")
    playwright.expect(found(page)).to_contain_text("Its licence is not stated.")
    dial = rows.first.get_by_role("link", name="Call +254 700 000 001")
    assert dial.get_attribute("href") == "tel:+254700000001"
    geo = rows.first.get_by_role("link", name="Open in a map app").get_attribute("href")
    assert geo == "geo:-0.501000,36.001000?q=-0.501000,36.001000(Lakeside%20Hospital)"
    assert page.evaluate("document.activeElement.textContent") == "Nearest to your position"
    sent = [(method, url, body) for method, url, body in asked if "36.007" in url + body]
    assert [(method, url) for method, url, _ in sent] == [("POST", f"{placed.url}/nearby")]
    assert "lat=-0.512&lon=36.007&" in sent[0][2], "no more digits than distances need"
    assert not re.search(r"0\.512|36\.00[67]", page.evaluate(STORED))
    page.reload()
    playwright.expect(found(page)).to_have_count(0)
    watch.check()


def test_another_kind_another_list_and_a_hostile_name(placed: Live, open_page: Any, flagged: str) -> None:
    page = open_page(placed, **GRANTED)
    watch = Watch(page.context, placed.url)
    page.goto(flagged)
    page.get_by_role("button", name="Use this device’s position").click()
    playwright.expect(found(page).locator("li", has_text=HOSTILE)).to_have_count(1)
    assert found(page).locator("img, b, i").count() == 0
    page.get_by_label("Which places").select_option("pharmacy")
    playwright.expect(found(page).locator(".placelist li")).to_have_count(1)
    playwright.expect(found(page)).to_contain_text("Market Pharmacy")
    watch.check()


def test_by_name_where_the_device_tells_nothing(placed: Live, open_page: Any, flagged: str) -> None:
    page = open_page(placed, permissions=[])
    page.goto(flagged)
    page.get_by_role("button", name="Use this device’s position").click()
    playwright.expect(page.get_by_text("This device does not tell its position.")).to_be_visible()
    box = page.get_by_label("Or a town or a hospital near you")
    playwright.expect(box).to_be_focused()
    box.fill("kenya")
    page.keyboard.press("Enter")
    playwright.expect(found(page).get_by_text("Which one is meant?")).to_be_visible()
    found(page).get_by_role("button", name="Ridge Dispensary").click()
    playwright.expect(found(page).get_by_text("Nearest to Ridge Dispensary")).to_be_visible()
    playwright.expect(found(page).locator(".placelist li").first).to_contain_text("less than 0.1 km away")
    box.fill("Atlantis")
    page.get_by_role("button", name="Show places").click()
    playwright.expect(found(page)).to_contain_text("No name in the lists fits.")
    assert page.url == placed.url + flagged


def test_outside_of_all_lists_nothing_is_called_near(placed: Live, open_page: Any, flagged: str) -> None:
    page = open_page(placed, **{**GRANTED, "geolocation": {"latitude": 48.1, "longitude": 11.6, "accuracy": 9000}})
    page.goto(flagged)
    page.get_by_role("button", name="Use this device’s position").click()
    playwright.expect(found(page)).to_contain_text("They may not cover where you are.")
    playwright.expect(found(page).locator("li")).to_have_count(0)


def test_an_inexact_position_is_said(placed: Live, open_page: Any, flagged: str) -> None:
    inexact = {"latitude": HERE[0], "longitude": HERE[1], "accuracy": 9000}
    page = open_page(placed, **{**GRANTED, "geolocation": inexact})
    page.goto(flagged)
    page.get_by_role("button", name="Use this device’s position").click()
    playwright.expect(found(page)).to_contain_text("known to within about 9 km only")


@pytest.mark.parametrize("locale", ["en", "fr"])
def test_without_scripts_by_a_form(placed: Live, locale: str) -> None:
    with browser(placed, **{"Accept-Language": locale}) as client:
        answer = ask(client, ("a.png", png(1)))
        assert "data-nearby" in answer.text
        csrf = token(answer)
        page = client.post("/nearby", data={"csrf": csrf, "place": "laketown", "kind": ""})
    assert page.status_code == 200 and "Lakeside Hospital" in page.text
    assert ("Call before you travel." if locale == "en" else "Appelez avant de partir.") in page.text
    assert HOSTILE not in page.text and page.headers["cache-control"] == "no-store"


def test_only_after_what_somebody_should_look_at(placed: Live, live: Live) -> None:
    states: dict[str, bool] = {}
    with placed.client() as client:
        for number in range(1, 12):
            for model in ("spots", "imagenet"):
                said = placed.ask(model, png(number, number % 2 == 1)).json()
                page = client.get(f"/results/{said['id']}", headers={"Accept": "text/html"}).text
                assert states.setdefault(said["state"], "data-nearby" in page) == ("data-nearby" in page)
        dark = generated.tissue(1, False) // 40
        said = placed.ask("spots", as_png(dark)).json()
        assert said["state"] in ("unusable", "refused")
        assert "data-nearby" in client.get(f"/results/{said['id']}", headers={"Accept": "text/html"}).text
    assert states.pop("answered") is False and states.pop("clear", False) is False
    assert all(states.values()) and "flagged" in states
    said = live.ask("spots", png(1)).json()
    with live.client() as client:
        page = client.get(f"/results/{said['id']}", headers={"Accept": "text/html"}).text
        alone = client.get("/nearby", headers={"Accept": "text/html"}).text
    assert "data-nearby" not in page and "No lists of facilities have been imported" in alone


@pytest.mark.parametrize("size", [{"viewport": {"width": 1280, "height": 860}}, PHONE], ids=["1280", "360"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_all(
    placed: Live, open_page: Any, flagged: str, axe: str, size: dict[str, Any], scheme: str
) -> None:
    page = open_page(placed, **GRANTED, **size, color_scheme=scheme, locale="fr" if scheme == "dark" else "en")
    page.context.add_init_script(axe)
    for path in (flagged, "/nearby"):
        page.goto(path)
        page.locator("[data-locate]").click()
        playwright.expect(found(page).locator(".placelist li")).to_have_count(5)
        assert violations(page) == []
        assert [page.evaluate(check) for check in (CONTRAST, SMALL, NAMELESS)] == [[], [], []]
        assert page.evaluate("document.documentElement.scrollWidth") <= size["viewport"]["width"]


def test_on_paper_what_was_found_and_no_form(placed: Live, open_page: Any, flagged: str, tmp_path: Path) -> None:
    page = open_page(placed, **GRANTED)
    page.goto(flagged)
    page.wait_for_load_state("networkidle")
    page.emulate_media(media="print")
    playwright.expect(page.locator(".nearby")).to_be_hidden()
    page.emulate_media(media="screen")
    page.locator("[data-locate]").click()
    playwright.expect(found(page).locator(".placelist li")).to_have_count(5)
    page.emulate_media(media="print")
    playwright.expect(page.locator(".nearby .where")).to_be_hidden()
    playwright.expect(page.locator(".nearby svg[role=img]")).to_be_visible()
    playwright.expect(found(page)).to_contain_text("Call before you travel.")
    playwright.expect(found(page)).to_contain_text("© OpenStreetMap contributors")
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) <= 2
