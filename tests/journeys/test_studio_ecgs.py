"""A check-up of ECGs made in the studio, in a real browser: recordings of two files each, tried out and published."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import ecgwriters
from axe import violations
from browsing import PHONE, Watch, playwright
from live import running
from medloupe.ecg.packing import pack_signal
from studio_ecgs import recording, wfdb_files, wfdb_folders
from studio_journey import Clicks, publish, wait_for_audit, wait_for_training


def begin(page: Any, title: str) -> Clicks:
    clicks = Clicks(page)
    page.goto("/studio")
    page.get_by_label("Name").fill(title)
    page.get_by_label("What is to be told").select_option("ecg")
    clicks.press("Begin")
    page.wait_for_url(re.compile("/studio/[0-9a-f]{32}$"))
    page.wait_for_selector("[data-ready]")
    return clicks


def test_from_recordings_to_an_answer(tmp_path: Path, open_page: Any) -> None:
    folder = wfdb_folders(tmp_path / "ecgs", 9)
    new = wfdb_files(recording("ectopic", 900), tmp_path / "new", "new")
    with running(tmp_path / "home") as live:
        page = open_page(live)
        watch = Watch(page.context, live.url, patient="/picture")
        clicks = begin(page, "Early beats")
        clicks.choose("input[webkitdirectory]", folder)
        for kind in ("sinus", "ectopic"):
            counted = page.locator(f'[data-class="{kind}"] .count')
            playwright.expect(counted).to_have_text("9 ECGs", timeout=180_000)
        assert page.locator("[data-opencamera]").count() == 0
        csv = {"name": "one.csv", "mimeType": "text/csv", "buffer": ecgwriters.text(recording("sinus", 50), time=1.0)}
        page.locator('[data-class="sinus"] input[data-files]').set_input_files(csv)
        playwright.expect(page.locator('[data-class="sinus"] .count')).to_have_text("10 ECGs", timeout=60_000)
        more = wfdb_files(recording("ectopic", 150), tmp_path / "more", "more")
        page.locator('[data-class="ectopic"] input[data-files]').set_input_files(more)
        playwright.expect(page.locator('[data-class="ectopic"] .count')).to_have_text("10 ECGs", timeout=60_000)
        thumb = page.locator('[data-class="ectopic"] .thumbs img').first
        assert thumb.evaluate("n => n.decode().then(() => n.naturalWidth)") == 224
        wait_for_audit(page)
        clicks.press("Train")
        wait_for_training(page)
        page.locator("[data-tryfile]").set_input_files(new)
        playwright.expect(page.locator("[data-readings] [data-says]")).to_be_visible(timeout=60_000)
        playwright.expect(page.locator("[data-readings]")).to_contain_text(re.compile("ectopic", re.IGNORECASE))
        publish(clicks)
        watch.check()
        with live.client() as client:
            files = {"image": ("x.npz", pack_signal(recording("ectopic", 901)))}
            said = client.post("/api/v1/models/early-beats/predict", files=files).json()
        assert said["prediction"] == "ectopic", said


def test_a_small_picture_that_was_not_drawn_in_time_is_asked_for_again(tmp_path: Path, open_page: Any) -> None:
    asked: list[str] = []

    def busy_at_first(route: Any) -> None:
        asked.append(route.request.url)
        if len(asked) < 3:
            route.fulfill(status=503, headers={"Retry-After": "5"}, body="{}")
        else:
            route.continue_()

    with running(tmp_path / "home", "--no-worker") as live:
        page = open_page(live)
        begin(page, "Early beats")
        page.route("**/picture", busy_at_first)
        page.get_by_label("Another class").fill("sinus")
        page.get_by_role("button", name="Add", exact=True).click()
        csv = {"name": "one.csv", "mimeType": "text/csv", "buffer": ecgwriters.text(recording("sinus", 50), time=1.0)}
        page.locator('[data-class="sinus"] input[data-files]').set_input_files(csv)
        shown = page.locator('[data-class="sinus"] .thumbs img').first
        shown.wait_for(timeout=60_000)
        page.wait_for_function("i => i.complete && i.naturalWidth > 0", arg=shown.element_handle(), timeout=60_000)
        assert len(set(asked)) == 1 and len(asked) >= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"viewport": {"width": 1280, "height": 860}}, PHONE], ids=["1280", "360"])
def test_axe(tmp_path: Path, open_page: Any, axe: str, size: dict[str, Any], scheme: str) -> None:
    with running(tmp_path / "home", "--no-worker") as live:
        page = open_page(live, color_scheme=scheme, **size)
        page.context.add_init_script(axe)
        begin(page, "Beats")
        page.get_by_label("Another class").fill("sinus")
        page.get_by_role("button", name="Add", exact=True).click()
        page.locator('[data-class="sinus"]').wait_for()
        picture = {"name": "no.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n" + b"0" * 40}
        page.locator('[data-class="sinus"] input[data-files]').set_input_files(picture)
        playwright.expect(page.locator("ul[data-refusals]")).to_contain_text("no.png", timeout=60_000)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
