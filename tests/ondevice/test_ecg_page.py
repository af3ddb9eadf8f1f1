"""The page with ECGs: files that belong together, the answer with its drawing, both languages, errors in words."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ecgmodels
import ecgwriters
from axe import violations
from browsing import PHONE, Watch, playwright
from live import Live, running
from medloupe.ecg.signal import Signal

TWELVE, BEATS = "Twelve leads", "Heartbeats"


@pytest.fixture
def own(ecg_home: Path, web_runtime: Path, tmp_path: Path) -> Iterator[Live]:
    """A server of this test's own, which it may kill."""
    shutil.copytree(ecg_home, tmp_path / "home")
    with running(tmp_path / "home") as server:
        yield server


def record(signal: Signal, folder: Path, name: str) -> list[Path]:
    ecgwriters.wfdb_record(signal, folder, name)
    return [folder / f"{name}.hea", folder / f"{name}.dat"]


def ask(page: Any, title: str, *files: Path) -> Any:
    """Ask about the files of one ECG; its answer."""
    page.get_by_role("radio", name=title).check()
    before = page.locator("[data-list] > li").count()
    page.locator("[data-files]").set_input_files([*files])
    playwright.expect(page.locator("[data-list] > li")).to_have_count(before + 1)
    one = page.locator("[data-list] > li").first
    playwright.expect(one).not_to_have_attribute("data-state", "", timeout=60_000)
    return one


def opened(page: Any) -> None:
    page.goto("/device/")
    page.wait_for_selector("html[data-ready]")


def test_answers_when_the_server_is_gone(own: Live, open_page: Any, tmp_path: Path) -> None:
    files = record(ecgmodels.standard(3, True), tmp_path, "twelve")
    page = open_page(own)
    watch = Watch(page.context, own.url)
    opened(page)
    for title in (TWELVE, BEATS):
        page.get_by_role("button", name=f"Keep {title}").click()
        playwright.expect(page.get_by_role("button", name=f"Remove {title}")).to_be_enabled()
    watch.check()
    assert own.stop(signal.SIGKILL)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    one = ask(page, TWELVE, *files)
    playwright.expect(one.locator(".file")).to_have_text("twelve.hea")
    assert one.get_attribute("data-state") in ("flagged", "unclear", "clear", "refused")
    playwright.expect(one.locator(".usual svg.paper")).to_be_visible()
    one.locator("[data-layout=rows]").check()
    playwright.expect(one.locator(".rows svg.paper")).to_be_visible()
    playwright.expect(one.locator(".usual svg.paper")).to_be_hidden()
    playwright.expect(one.locator(".ecgfacts")).to_contain_text("I, II, III, aVR, aVL, aVF, V1, V2, V3, V4, V5, V6")

    page.get_by_role("button", name="Français").click()
    playwright.expect(one.locator(".ecgfacts")).to_contain_text("Fréquence cardiaque")
    assert "{" not in page.locator("main").inner_text()


def test_beats_are_named_and_a_long_recording_is_drawn_from_where_one_likes(
    ecg_live: Live, web_runtime: Path, open_page: Any, tmp_path: Path
) -> None:
    made = ecgmodels.recording(4, 70)
    page = open_page(ecg_live)
    opened(page)
    one = ask(page, BEATS, *record(made, tmp_path, "long"))
    assert one.get_attribute("data-state") in ("flagged", "unclear", "clear")
    playwright.expect(one.locator(".rows svg.paper")).to_have_count(6)
    marks = one.locator(".rows svg.paper").first.locator("text[font-weight='700']").count()
    assert 8 <= marks <= 17  # a letter for each beat of ten seconds
    playwright.expect(one.locator(".legend li").first).to_be_visible()
    start = one.get_by_label("Draw from second")
    start.fill("65")
    start.press("Enter")
    playwright.expect(one.locator(".rows svg.paper")).to_have_count(1)
    playwright.expect(one.get_by_role("img", name="ECG from second 65 to 70")).to_be_visible()


def test_errors_are_told_in_both_languages(ecg_live: Live, web_runtime: Path, open_page: Any, tmp_path: Path) -> None:
    header, samples = record(ecgmodels.recording(5, 8), tmp_path, "cut")
    table = tmp_path / "table.csv"
    table.write_bytes(ecgwriters.text(ecgmodels.recording(5, 8), before="# fs=360\n"))
    page = open_page(ecg_live)
    opened(page)
    playwright.expect(ask(page, BEATS, header)).to_contain_text("cut.hea needs cut.dat, which was not chosen.")
    samples.write_bytes(samples.read_bytes()[:2000])
    playwright.expect(ask(page, BEATS, header, samples)).to_contain_text("cut.dat is shorter than the header says.")
    playwright.expect(ask(page, BEATS, table)).to_contain_text("Send CSV, .npz, DICOM and others to the server.")
    page.get_by_role("button", name="Français").click()
    playwright.expect(page.locator("[data-list] > li").first).to_contain_text("au serveur")
    playwright.expect(page.locator("[data-list] > li").last).to_contain_text("cut.hea a besoin de cut.dat")


def test_two_recordings_at_once_are_two_answers(
    ecg_live: Live, web_runtime: Path, open_page: Any, tmp_path: Path
) -> None:
    page = open_page(ecg_live)
    opened(page)
    page.get_by_role("radio", name=BEATS).check()
    files = [f for n in (1, 2) for f in record(ecgmodels.recording(n, 8), tmp_path, f"r{n}")]
    renamed = files[1].rename(tmp_path / "other.dat")  # the header tells which file is its own
    files[0].write_text(files[0].read_text().replace("r1.dat", "other.dat"))
    files[1] = renamed
    page.locator("[data-files]").set_input_files(files)
    answered = page.locator("[data-list] > li.ecg[data-state]:not([data-state=''])")
    playwright.expect(answered).to_have_count(2, timeout=60_000)
    assert answered.locator(".file").all_inner_texts() == ["r2.hea", "r1.hea"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"viewport": {"width": 1280, "height": 860}}, PHONE], ids=["1280", "360"])
def test_axe_finds_nothing(
    ecg_live: Live, web_runtime: Path, open_page: Any, axe: str, size: dict[str, Any], scheme: str, tmp_path: Path
) -> None:
    page = open_page(ecg_live, color_scheme=scheme, bypass_csp=True, **size)
    page.context.add_init_script(axe)
    opened(page)
    ask(page, BEATS, *record(ecgmodels.recording(4, 12), tmp_path, "beats"))
    assert violations(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
