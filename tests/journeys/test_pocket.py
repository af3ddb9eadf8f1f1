"""The app in the pocket: kept on the first visit, it answers when the server is gone, and says what the server said."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import generated
from axe import violations
from browsing import CHROMIUM, PHONE, Watch, playwright
from live import Live, running
from medloupe.imaging.rephotograph import photograph_light_box
from medloupe.ondevice.folder import write_folder
from medloupe.ondevice.release import Release, build_release
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.web.devicewords import app_styles, app_words
from pocket import Hold, served
from trained import Trained

_KEPT = """async () => {
  const found = [];
  for (const key of await caches.keys())
    for (const request of await (await caches.open(key)).keys()) found.push(new URL(request.url).pathname);
  return {urls: found, databases: (await indexedDB.databases()).map((d) => d.name), storage: Object.keys(localStorage)};
}"""


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return [generated.save(tmp_path / f"scan {i}.png", generated.tissue(i, i % 2 == 1)) for i in range(4)]


@pytest.fixture
def own(_trained: Trained, web_runtime: Path, tmp_path: Path) -> Iterator[Live]:
    """A server of this test's own, which it may kill."""
    shutil.copytree(_trained.home, tmp_path / "home")
    with running(tmp_path / "home") as server:
        yield server


def opened(page: Any, address: str = "/device/") -> None:
    page.goto(address)
    page.wait_for_selector("html[data-ready]")


def keep(page: Any, title: str) -> None:
    page.get_by_role("button", name=f"Keep {title}").click()
    playwright.expect(page.get_by_role("button", name=f"Remove {title}")).to_be_enabled()


def ask(page: Any, title: str, *files: Path) -> Any:
    """Ask about pictures; the answers, the first picture's last."""
    page.get_by_role("radio", name=title).check()
    page.get_by_role("radio", name="The pictures themselves").check()
    page.locator("[data-files]").set_input_files([*files])
    answered = page.locator("[data-list] > li[data-state]:not([data-state=''])")
    playwright.expect(answered).to_have_count(len(files), timeout=60_000)
    return answered


def test_answers_when_the_server_is_gone(own: Live, open_page: Any, pictures: list[Path]) -> None:
    expected = [own.ask("spots", p.read_bytes()).json() for p in pictures]
    page = open_page(own)
    watch = Watch(page.context, own.url)
    page.goto("/")
    page.wait_for_function("async () => (await indexedDB.databases()).length === 2")  # those of the server's pages
    before = page.evaluate(_KEPT)
    page.get_by_role("link", name="Answer on this device").click()
    page.wait_for_selector("html[data-ready]")
    keep(page, "Spots")
    watch.check()
    assert own.stop(signal.SIGKILL)

    page.reload()
    page.wait_for_selector("html[data-ready]")
    playwright.expect(page.get_by_text("The server cannot be reached. What is kept here answers.")).to_be_visible()
    answered = ask(page, "Spots", *pictures)
    for i, (picture, said) in enumerate(zip(pictures, expected, strict=True)):
        one = answered.nth(len(pictures) - 1 - i)
        playwright.expect(one.locator(".file")).to_have_text(picture.name)
        assert one.get_attribute("data-state") == said["state"]
        most = max(said["probabilities"], key=said["probabilities"].get)
        assert f"{said['probabilities'][most]:.0%}".rstrip("%") in one.locator(".called .value").inner_text() or (
            said["probabilities"][most] >= 0.995
        )
    left = page.evaluate(_KEPT)
    assert left["databases"] == before["databases"]
    assert set(left["storage"]) - set(before["storage"]) <= {"medloupe_language"}
    assert all(url.startswith("/device/") for url in left["urls"])
    assert not any("scan" in url or "predict" in url for url in left["urls"])

    page.get_by_role("button", name="Français").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("Sur cet appareil")
    page.get_by_role("button", name="Retirer Spots").click()
    playwright.expect(page.locator("[data-kept] li")).to_have_count(0)
    assert page.evaluate("async () => (await caches.keys()).filter(k => k.startsWith('medloupe'))") == []


def test_photographs_are_told_as_the_server_tells_them(own: Live, open_page: Any, pictures: list[Path]) -> None:
    pixels = np.asarray(Image.open(pictures[1]).convert("RGB").resize((400, 400)))
    photograph = pictures[0].with_name("photograph.jpg")
    Image.fromarray(photograph_light_box(pixels, np.random.default_rng(3))).save(photograph, quality=85)
    told = own.ask("spots", photograph.read_bytes()).json()
    assert (told["state"], told["photo"]["found"]) == ("unusable", True)  # it has not learned from photographs

    page = open_page(own)
    opened(page)
    playwright.expect(page.get_by_role("radio", name="This device looks whether")).to_be_checked()
    page.get_by_role("radio", name="Spots").check()
    answered = page.locator("[data-list] > li[data-state]:not([data-state=''])")
    page.locator("[data-files]").set_input_files([photograph])
    page.get_by_role("button", name="Look at the picture").click()
    playwright.expect(answered).to_have_count(1, timeout=60_000)
    playwright.expect(answered.first).to_contain_text("This check-up does not read photographs")
    playwright.expect(answered.first.get_by_label("What was cut out of the photograph")).to_be_visible()
    page.get_by_role("radio", name="Photographs of a screen, a film or a print", exact=True).check()
    page.locator("[data-files]").set_input_files([pictures[0]])
    page.get_by_role("slider", name="Upper left corner").press("ArrowLeft")
    page.get_by_role("button", name="Look at the picture").click()
    playwright.expect(answered).to_have_count(2, timeout=60_000)
    playwright.expect(answered.first).to_contain_text("This check-up does not read photographs")

    foreign = pictures[0].with_suffix(".webp")
    foreign.write_bytes(b"RIFF\0\0\0\0WEBPVP8 ")
    page.get_by_role("radio", name="The pictures themselves").check()
    page.locator("[data-files]").set_input_files([pictures[0], foreign])
    playwright.expect(answered).to_have_count(4, timeout=60_000)
    playwright.expect(answered.first).to_contain_text("only JPEG and PNG are read on this device.")


def test_heat_maps_are_laid_over_the_picture(own: Live, open_page: Any, axe: str, pictures: list[Path]) -> None:
    page = open_page(own, bypass_csp=True)
    page.context.add_init_script(axe)
    opened(page)
    said = own.ask("spots", pictures[1].read_bytes()).json()
    assert said["state"] not in ("refused", "unusable")
    one = ask(page, "Spots", pictures[1]).first
    label = page.evaluate("async () => (await (await fetch('release.json')).json()).checkups[0].labels[0]")
    one.get_by_label("Show what speaks for").select_option(label)
    playwright.expect(one.locator("canvas.over")).to_be_visible()
    drawn = "(c) => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, i) => i % 4 === 3)"
    assert max(one.locator("canvas.over").evaluate(drawn)) > 100
    assert violations(page) == []
    one.get_by_label("Show what speaks for").select_option("")
    playwright.expect(one.locator("canvas.over")).to_have_count(0)


def test_without_the_runtime_the_page_says_so(live: Live, open_page: Any) -> None:
    page = open_page(live)

    def lacking(route: Any) -> None:
        told = json.loads(route.fetch().body())
        route.fulfill(json={**told, "runtime": False})

    page.route("**/release.json", lacking)
    opened(page)
    playwright.expect(page.get_by_text("built without onnxruntime-web")).to_be_visible()
    playwright.expect(page.locator("[data-asking]")).to_be_hidden()


def test_who_is_not_logged_in_is_told(clinic: Live, open_page: Any) -> None:
    page = open_page(clinic)
    page.goto("/device/")
    page.wait_for_url("**/login?next=/device/")
    with clinic.client() as client:
        assert client.get("/device/release.json").status_code == 401
        assert client.get("/device/sw.js").status_code == 200


# ------------------------------------------------------------------ versions


def spots(trained: Trained, words: Mapping[str, Mapping[str, Any]] | None = None) -> Release:
    from medloupe.inference.find import find_model
    from medloupe.ondevice.card import describe_for_device
    from medloupe.serving.web.devicewords import checkup_words

    checkup = CheckUp.of(find_model("spots"))
    made = describe_for_device(checkup, checkup_words(checkup))
    return build_release([made], [], words=words or app_words(), styles=app_styles(), server=False)


def renamed() -> dict[str, dict[str, Any]]:
    words = app_words()
    return {**words, "en": {**words["en"], "pocket.title": "The next version"}}


def test_an_update_is_whole_or_none(
    trained: Trained, web_runtime: Path, chromium: Any, tmp_path: Path, pictures: list[Path]
) -> None:
    first, other = spots(trained), spots(trained, renamed())
    folder = tmp_path / "web"
    write_folder(first, folder)
    context = chromium.new_context(locale="en")
    context.set_default_timeout(30_000)
    page = context.new_page()
    with served(folder) as origin:
        opened(page, f"{origin}/")
        keep(page, "Spots")
        write_folder(other, folder)
        broken = folder / "app" / other.mark / "words.json"
        whole = broken.read_bytes()
        broken.write_bytes(whole[:-1])
        for damaged in (True, False):  # cut short, then missing
            page.reload()
            playwright.expect(page.get_by_text("which could not be taken")).to_be_visible()
            playwright.expect(page.get_by_role("heading", level=1)).to_have_text("On this device")
            assert ask(page, "Spots", pictures[1]).first.get_attribute("data-state") != "failed"
            if damaged:
                broken.unlink()
        broken.write_bytes(whole)
        second = context.new_page()  # another tab, which goes on with what it began with
        opened(second, f"{origin}/")
        playwright.expect(second.get_by_text("A newer version was taken")).to_be_visible()
        playwright.expect(second.get_by_role("heading", level=1)).to_have_text("On this device")
        page.locator("[data-files]").set_input_files([pictures[3]])
        playwright.expect(page.locator("[data-list] > li[data-state]:not([data-state=''])")).to_have_count(2)
        page.reload()
        page.wait_for_selector("html[data-ready]")
        playwright.expect(page.get_by_role("heading", level=1)).to_have_text("The next version")
    page.reload()  # the server is gone
    page.wait_for_selector("html[data-ready]")
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("The next version")
    assert ask(page, "Spots", pictures[2]).first.get_attribute("data-state") != "failed"
    context.close()


def _differs(one: Path, other: Path) -> bool:
    return not other.is_file() or one.read_bytes() != other.read_bytes()


_MARKS = """() => {
  const taken = performance.getEntriesByType("resource").filter((entry) => entry.initiatorType !== "fetch");
  const names = taken.map((entry) => new URL(entry.name).pathname.split("/"));
  return [...new Set(names.filter((parts) => parts[1] === "app").map((parts) => parts[2]))];
}"""


def test_killed_in_the_middle_of_an_update_while_the_server_is_upgraded_again(
    trained: Trained, web_runtime: Path, chromium: Any, tmp_path: Path, pictures: list[Path]
) -> None:
    first, second = spots(trained), spots(trained, renamed())
    words = app_words()
    third = spots(trained, {**words, "en": {**words["en"], "pocket.title": "The one after"}})
    folder = tmp_path / "web"
    write_folder(first, folder)
    context = chromium.new_context(locale="en")
    context.set_default_timeout(60_000)
    write_folder(second, tmp_path / "next")
    new = tmp_path / "next" / "app" / second.mark
    old = folder / "app" / first.mark
    fetched = [p for p in sorted(new.rglob("*")) if p.is_file() and _differs(p, old / p.relative_to(new))]
    hold = Hold(f"/{fetched[-1].relative_to(tmp_path / 'next').as_posix()}")  # so far it comes
    with served(folder, hold) as origin:
        page = context.new_page()
        opened(page, f"{origin}/")
        keep(page, "Spots")
        write_folder(second, folder)
        page.goto(f"{origin}/")
        page.wait_for_function("async () => (await caches.keys()).filter((k) => k.includes('-app-')).length === 2")
        until = time.monotonic() + 60
        while not hold.asked.is_set():
            assert time.monotonic() < until, "the update does not ask for it"
            page.wait_for_timeout(50)
        session = context.new_cdp_session(page)
        session.send("ServiceWorker.enable")
        session.send("ServiceWorker.stopAllWorkers")
        page.close()  # with the update in its middle
        hold.released.set()
        write_folder(third, folder)
        shutil.rmtree(folder / "app" / second.mark)
        page = context.new_page()
        opened(page, f"{origin}/")
        playwright.expect(page.get_by_role("heading", level=1)).to_have_text("On this device")
        assert page.evaluate(_MARKS) == [first.mark], "no mixture"
        playwright.expect(page.get_by_text("A newer version was taken")).to_be_visible()
        page.reload()
        page.wait_for_selector("html[data-ready]")
        playwright.expect(page.get_by_role("heading", level=1)).to_have_text("The one after")
        assert page.evaluate(_MARKS) == [third.mark]
        assert ask(page, "Spots", pictures[1]).first.get_attribute("data-state") != "failed"
    context.close()


def test_a_wrong_clock_and_a_full_store_change_nothing(
    trained: Trained, web_runtime: Path, chromium: Any, tmp_path: Path, pictures: list[Path]
) -> None:
    write_folder(spots(trained), tmp_path / "web")
    context = chromium.new_context(locale="en")
    context.set_default_timeout(60_000)
    context.add_init_script("const now = Date.now; Date.now = () => now() - 40 * 365 * 86400 * 1000;")
    page = context.new_page()
    with served(tmp_path / "web") as origin:
        opened(page, f"{origin}/")
        session = context.new_cdp_session(page)
        session.send("Storage.overrideQuotaForOrigin", {"origin": origin, "quotaSize": 2**20})
        page.get_by_role("button", name="Keep Spots").click()
        playwright.expect(page.get_by_text("There is no room for Spots")).to_be_visible()
        playwright.expect(page.get_by_role("button", name="Keep Spots")).to_be_enabled()
        session.send("Storage.overrideQuotaForOrigin", {"origin": origin})
        keep(page, "Spots")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert ask(page, "Spots", pictures[1]).first.get_attribute("data-state") != "failed"
    context.close()


def test_without_https_it_answers_and_keeps_nothing(
    trained: Trained, web_runtime: Path, chromium: Any, tmp_path: Path, pictures: list[Path]
) -> None:
    write_folder(spots(trained), tmp_path / "web")
    options = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP clinic.test 127.0.0.1"]
    browser = chromium.browser_type.launch(executable_path=CHROMIUM, args=options)
    page = browser.new_context(locale="en").new_page()
    with served(tmp_path / "web") as origin:
        opened(page, f"{origin.replace('127.0.0.1', 'clinic.test')}/")
        assert page.evaluate("isSecureContext") is False
        playwright.expect(page.get_by_text("addresses that begin with https://")).to_be_visible()
        playwright.expect(page.get_by_role("button", name="Keep Spots")).to_be_disabled()
        assert ask(page, "Spots", pictures[1]).first.get_attribute("data-state") != "failed"
    browser.close()


def test_the_manifest_lets_systems_install_it(live: Live) -> None:
    with live.client() as client:
        told = client.get("/device/manifest.webmanifest")
        assert told.headers["content-type"] == "application/manifest+json"
        for icon in told.json()["icons"]:
            assert client.get(f"/device/{icon['src']}").headers["content-type"] == "image/png"
        assert {icon["sizes"] for icon in told.json()["icons"]} == {"192x192", "512x512"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"viewport": {"width": 1280, "height": 860}}, PHONE], ids=["1280", "360"])
def test_axe_finds_nothing(
    live: Live, web_runtime: Path, open_page: Any, axe: str, size: dict[str, Any], scheme: str, pictures: list[Path]
) -> None:
    page = open_page(live, color_scheme=scheme, bypass_csp=True, **size)
    page.context.add_init_script(axe)
    opened(page)
    ask(page, "Spots", pictures[1])
    assert violations(page) == []
    width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0
