"""The watch and the pilot in a real browser: what stands out and what to do; a pilot from begin to reader table."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import generated
import weekly
from axe import violations
from browsing import PHONE, Watch, log_in, playwright
from clinic import add_people
from live import Live, running
from trained import Trained

WIDE = {"viewport": {"width": 1280, "height": 860}}


@pytest.fixture(scope="module")
def watched(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server that has answered for twenty weeks, the last of them about pictures of another device."""
    home = tmp_path_factory.mktemp("watched") / "home"
    shutil.copytree(_trained.home, home)
    add_people(home, {"ada": "admin", "bea": "clinician"})
    weekly.fill(home)
    with running(home, "--no-worker") as live:
        yield live


def test_the_board_says_what_stands_out_and_what_to_do(watched: Live, open_page: Any) -> None:
    page = open_page(watched)
    watch = Watch(page.context, watched.url)
    log_in(page, "ada")
    page.get_by_role("link", name="Watch", exact=True).click()
    first = page.get_by_role("region", name="What needs a look")
    drift = first.get_by_text("Pictures of Ward A look unlike the first 200 that came from there, since")
    playwright.expect(drift).to_be_visible()
    playwright.expect(
        first.get_by_text("Have its answers checked: compare 30 of them with the diagnosis")
    ).to_be_visible()
    playwright.expect(first.get_by_text(re.compile("Spots flagged more than before in the week of"))).to_be_visible()
    playwright.expect(first.get_by_text(re.compile("Spots is surer than it is right"))).to_be_visible()
    playwright.expect(first.get_by_text("free of")).to_be_visible()
    charts = page.locator("svg.watch")
    assert charts.count() == 5
    assert charts.evaluate_all("all => all.every(n => n.getBoundingClientRect().height > 80)")
    page.get_by_text("Spots Version 1: the weeks as a table").click()
    assert page.locator("details table tbody tr").count() == weekly.WEEKS + 1
    watch.check()


def test_it_is_for_admins_alone(watched: Live, open_page: Any) -> None:
    page = open_page(watched)
    log_in(page, "bea")
    assert page.get_by_role("link", name="Watch", exact=True).count() == 0
    for path in ("/watch", "/watch/pilot"):
        page.goto(path)
        playwright.expect(page.get_by_role("heading", level=1)).to_contain_text("role does not allow")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [pytest.param(WIDE, id="1280"), pytest.param(PHONE, id="360")])
def test_the_board_is_for_all(watched: Live, open_page: Any, axe: str, size: dict[str, Any], scheme: str) -> None:
    page = open_page(watched, color_scheme=scheme, **size)
    page.context.add_init_script(axe)
    log_in(page, "ada")
    for path in ("/watch", "/watch?lang=fr", "/watch/pilot", "/watch/pilot?lang=en"):
        page.goto(path, wait_until="load")
        for details in page.locator("main details").all():
            details.evaluate("n => { n.open = true; }")
        assert violations(page) == [], path
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size["viewport"]["width"], f"{path} is wider than the screen"


def test_a_pilot_from_begin_to_reader_table(watched: Live, open_page: Any, tmp_path: Path) -> None:
    sick = generated.save(tmp_path / "sick.png", generated.tissue(7301, True))
    page = open_page(watched)
    log_in(page, "ada")
    page.goto("/watch/pilot")
    page.get_by_label("People with the finding, in percent").fill("20")
    page.get_by_role("button", name="Compute").click()
    playwright.expect(page.get_by_text("705 people: 141 with the finding and 141 without, on average.")).to_be_visible()
    page.get_by_role("button", name="Begin a pilot").click()
    playwright.expect(page.get_by_text(re.compile("A pilot runs since .* \\(begun by ada\\)"))).to_be_visible()

    reader = open_page(watched)
    watch = Watch(reader.context, watched.url)
    log_in(reader, "bea")
    playwright.expect(reader.get_by_text("A pilot runs: answers are recorded and not shown.")).to_be_visible()
    reader.goto("/checkups/spots")
    reader.locator("input[type=file]").first.set_input_files(sick)
    reader.get_by_role("button", name="Look at the pictures").click()
    reader.wait_for_url(re.compile("/results/[0-9a-f]{32}"), timeout=60_000)
    playwright.expect(reader.get_by_role("heading", level=1)).to_have_text("Recorded, not shown: this is a pilot")
    assert reader.locator("main .bars, main [data-says], main .heat").count() == 0
    assert "%" not in reader.locator("main").inner_text()
    address = reader.url
    reader.goto("/history")
    playwright.expect(reader.locator("main").get_by_text("Recorded, not shown: this is a pilot").first).to_be_visible()
    reader.goto(address)
    reader.get_by_label("sick", exact=True).check()
    reader.get_by_role("button", name="Give the reference and show the answer").click()
    playwright.expect(reader.locator("[data-says]")).to_be_visible()
    watch.check()

    page.goto("/watch/pilot")
    playwright.expect(page.get_by_text("1 of 1 answer has a reference.")).to_be_visible()
    playwright.expect(page.locator(".readers").first).to_contain_text("Sensitivity")
    with page.expect_download() as got:
        page.get_by_role("link", name="Reader tables (CSV)").click()
    assert got.value.path().read_text("utf-8-sig").startswith("check_up,label,n,tp,fp,fn,tn,unclear_with")
    page.goto("/watch/pilot")
    page.get_by_role("button", name="End the pilot and show all answers").click()
    playwright.expect(page.get_by_text(re.compile("The last pilot ran from"))).to_be_visible()
