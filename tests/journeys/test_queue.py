"""Poor connections: pictures are shrunk before they are sent, wait where there is no net, and are answered once."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import drills
import generated
from browsing import PHONE, log_in, playwright
from clinic import PASSWORD, add_people
from live import Live, running
from queueing import LEFT, WAIT, choose_and_send, count_answers, large, wait_for_answers
from trained import Trained

ASK = "/checkups/spots"


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return [generated.save(tmp_path / f"scan {i}.png", generated.tissue(i, i % 2 == 1)) for i in range(4)]


@pytest.fixture
def own(_trained: Trained, tmp_path: Path) -> Iterator[Live]:
    shutil.copytree(_trained.home, tmp_path / "home")
    with running(tmp_path / "home", "--keep-images") as server:
        yield server


@pytest.fixture
def shared(_trained: Trained, tmp_path: Path) -> Iterator[Live]:
    """A server of its own with accounts bea and cyd, who share a device."""
    shutil.copytree(_trained.home, tmp_path / "home")
    add_people(tmp_path / "home", {"bea": "clinician", "cyd": "clinician", "ada": "admin"})
    with running(tmp_path / "home") as server:
        yield server


def last_sent(live: Live) -> bytes:
    """The file that the newest answer was given to."""
    with live.client() as client:
        newest = client.get("/api/v1/predictions", params={"limit": 1}).json()["predictions"][0]["id"]
        return client.get(f"/api/v1/predictions/{newest}/image").content


def answers_of(page: Any) -> int:
    """How many answers the person who is logged in has."""
    return len(page.request.get("/api/v1/predictions").json()["predictions"])


def waiting(page: Any, text: str) -> None:
    playwright.expect(page.locator("[data-waiting]")).to_contain_text(text, timeout=WAIT)


# ------------------------------------------------------------------ shrinking


def test_a_large_picture_is_shrunk_and_the_answer_says_so(own: Live, open_page: Any, tmp_path: Path) -> None:
    page = open_page(own, **PHONE)
    with own.client() as client:
        told = client.get("/api/v1/models/spots").json()["sending"]
    file = large(tmp_path / "large.jpg", generated.tissue(1, True))
    page.goto(ASK)
    control = page.get_by_role("checkbox", name="Shrink large pictures")
    playwright.expect(control).to_be_checked()
    assert (control.get_attribute("data-longer"), control.get_attribute("data-shorter")) == (
        str(told["longer"]),
        str(told["shorter"]),
    )
    choose_and_send(page, file)
    playwright.expect(page.get_by_text("It had 1,600 × 1,200 pixels and was shrunk")).to_be_visible(timeout=WAIT)
    with Image.open(io.BytesIO(last_sent(own))) as sent:
        assert sent.size == (told["longer"], told["longer"] * 3 // 4)
    assert len(last_sent(own)) < 40_000 < file.stat().st_size
    playwright.expect(page.locator("[data-picture][src]").first).to_be_attached()

    page.goto(ASK)
    page.get_by_role("checkbox", name="Shrink large pictures").uncheck()
    page.reload()  # this browser remembers
    playwright.expect(page.get_by_role("checkbox", name="Shrink large pictures")).not_to_be_checked()
    choose_and_send(page, file)
    playwright.expect(page.locator("[data-says]")).to_be_visible(timeout=WAIT)
    assert last_sent(own) == file.read_bytes()
    assert page.get_by_text("was shrunk").count() == 0


def test_what_is_small_or_no_plain_picture_is_sent_as_it_is(own: Live, open_page: Any, tmp_path: Path) -> None:
    page = open_page(own)
    deep = tmp_path / "deep.png"
    pixels = generated.tissue(3, True)[..., 0].astype("uint16") * 250
    Image.fromarray(pixels.repeat(20, 0).repeat(20, 1)).save(deep)
    small = generated.save(tmp_path / "small.png", generated.tissue(2, False))
    for file in (deep, small):
        page.goto(ASK)
        choose_and_send(page, file)
        playwright.expect(page.locator("[data-says]")).to_be_visible(timeout=WAIT)
        assert last_sent(own) == file.read_bytes()


# ------------------------------------------------------------------ waiting


def test_pictures_wait_and_are_sent_once(own: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(own, **PHONE)
    page.goto(ASK)
    page.context.set_offline(True)
    choose_and_send(page, *pictures[:2])
    waiting(page, "Waiting to be sent: 2.")
    page.locator("[data-waiting] summary").click()
    playwright.expect(page.locator("[data-waiting] li")).to_have_count(2)
    page.get_by_role("button", name="Remove scan 1.png").click()
    waiting(page, "Waiting to be sent: 1.")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.close()

    again = page.context.new_page()  # the page was closed, then opened with a net
    page.context.set_offline(False)
    again.goto("/")
    playwright.expect(again.locator("[data-waiting] [data-own]").first).to_be_hidden(timeout=WAIT)
    with own.client() as client:
        assert wait_for_answers(again, client, 1) == 1
    assert answers_of(again) == 1


def test_an_answer_that_was_lost_on_its_way_is_not_made_twice(own: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(own)
    page.goto(ASK)

    def answered_and_lost(route: Any) -> None:
        route.fetch()  # the server did it
        route.abort()

    page.route(f"**{ASK}", answered_and_lost)
    choose_and_send(page, pictures[1])
    with own.client() as client:
        assert wait_for_answers(page, client, 1) == 1
        waiting(page, "Sent from here later: 1.")
        assert len(count_answers(client)) == 1


def test_two_tabs_send_once_also_when_the_clock_is_wrong(own: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(own)
    page.context.add_init_script("const now = Date.now; Date.now = () => now() - 40 * 365 * 86400 * 1000;")
    page.goto(ASK)
    other = page.context.new_page()
    other.goto("/")
    page.context.set_offline(True)
    choose_and_send(page, *pictures)
    waiting(page, "Waiting to be sent: 4.")
    page.context.set_offline(False)  # both hear of it
    with own.client() as client:
        assert wait_for_answers(page, client, 4) == 4
    for tab in (page, other):
        tab.reload()
        playwright.expect(tab.locator("[data-waiting]")).to_be_hidden(timeout=WAIT)
    with own.client() as client:
        assert len(count_answers(client)) == 4


def test_without_room_pictures_stay_chosen(own: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(own)
    page.goto(ASK)
    session = page.context.new_cdp_session(page)
    session.send("Storage.overrideQuotaForOrigin", {"origin": own.url, "quotaSize": 1})
    page.context.set_offline(True)
    choose_and_send(page, pictures[0])
    playwright.expect(page.get_by_text("Not answered:")).to_be_visible(timeout=WAIT)
    playwright.expect(page.locator("[data-chosen] li")).to_have_count(1)
    session.send("Storage.overrideQuotaForOrigin", {"origin": own.url})
    page.context.set_offline(False)
    page.locator("[data-submit]").click()
    playwright.expect(page.locator("[data-says]")).to_be_visible(timeout=WAIT)


def test_what_the_server_cannot_read_is_told_and_not_tried_again(own: Live, open_page: Any, tmp_path: Path) -> None:
    page = open_page(own)
    page.goto(ASK)
    broken = tmp_path / "broken.png"
    broken.write_bytes(generated.save(tmp_path / "whole.png", generated.tissue(1, True)).read_bytes()[:300])
    page.context.set_offline(True)
    choose_and_send(page, broken)
    waiting(page, "Waiting to be sent: 1.")
    page.context.set_offline(False)
    page.locator("[data-waiting] summary").click()
    playwright.expect(page.locator("[data-waiting] li")).to_contain_text("Not answered:", timeout=WAIT)
    page.get_by_role("button", name="Remove broken.png").click()
    playwright.expect(page.locator("[data-waiting]")).to_be_hidden()


# ------------------------------------------------------------------ people who share a device


def test_a_log_out_asks_and_leaves_nothing(shared: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(shared)
    page.context.add_init_script("delete globalThis.SyncManager")  # the page alone sends
    log_in(page, "bea")
    page.goto(ASK)
    choose_and_send(page, pictures[0])
    playwright.expect(page.locator("[data-says]")).to_be_visible(timeout=WAIT)
    assert page.evaluate(LEFT)["databases"]["medloupe/answers"] == 1
    page.goto(ASK)
    page.context.set_offline(True)
    choose_and_send(page, pictures[1])
    waiting(page, "Waiting to be sent: 1.")
    page.route("**/api/v1/**", lambda route: route.abort())  # it goes on waiting
    page.context.set_offline(False)
    page.goto("/account")
    page.get_by_role("button", name="Log out").click()
    playwright.expect(page.get_by_text("Not sent yet: 1. Logging out deletes them from this device.")).to_be_visible()
    page.get_by_role("button", name="Stay").click()
    assert page.evaluate(LEFT)["databases"]["medloupe-queue/pictures"] == 1
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Log out and delete them").click()
    playwright.expect(page.get_by_role("heading", name="Log in")).to_be_visible(timeout=WAIT)
    left = page.evaluate(LEFT)
    assert set(left["databases"].values()) == {0} and left["caches"] == [] and left["session"] == []


def test_pictures_of_another_person_wait_for_that_person(shared: Live, open_page: Any, pictures: list[Path]) -> None:
    page = open_page(shared)
    log_in(page, "bea")
    page.goto(ASK)
    page.context.set_offline(True)
    choose_and_send(page, pictures[1])
    waiting(page, "Waiting to be sent: 1.")
    page.context.set_offline(False)
    page.context.clear_cookies()  # the session ended, without a log-out
    log_in(page, "cyd")
    waiting(page, "Waiting here for another person: 1.")
    assert answers_of(page) == 0
    page.context.clear_cookies()
    log_in(page, "bea")
    drills.until(lambda: answers_of(page) == 1, WAIT / 1000)
    playwright.expect(page.locator("[data-waiting] [data-own]").first).to_be_hidden(timeout=WAIT)
    assert answers_of(page) == 1


def test_the_server_refuses_what_another_person_asked(shared: Live, pictures: list[Path]) -> None:
    with shared.client() as client:
        form = client.get("/login").text
        csrf = re.search(r'name="csrf" value="([^"]*)"', form)
        assert csrf
        client.post("/login", data={"csrf": csrf[1], "name": "bea", "password": PASSWORD, "next": "/"})
        headers = {"Idempotency-Key": "k1", "Medloupe-Person": "999", "Origin": shared.url}
        files = {"image": ("a.png", pictures[0].read_bytes())}
        refused = client.post("/api/v1/models/spots/predict", files=files, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "other_person")
