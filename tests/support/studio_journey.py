"""The steps of somebody who makes a check-up in the page, with the clicks that they take counted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from browsing import playwright


class Clicks:
    """Presses what a person presses. count: how often; choosing files is two, the button and the dialogue."""

    def __init__(self, page: Any, count: int = 0):
        self.page, self.count = page, count

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()
        self.count += 1

    def follow(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).click()
        self.count += 1

    def choose(self, what: str, path: Path) -> None:
        self.page.locator(what).first.set_input_files(path)
        self.count += 2


def make(clicks: Clicks, title: str, kind: str) -> None:
    """A new check-up."""
    clicks.page.goto("/studio")
    clicks.page.get_by_label("Name").fill(title)
    clicks.page.get_by_label("Kind of picture").fill(kind)
    clicks.press("Begin")
    clicks.page.wait_for_url(re.compile("/studio/[0-9a-f]{32}$"))


def bring(clicks: Clicks, folder: Path, count: int) -> None:
    """A folder with one for each class; waits until so many are there and were looked at."""
    page = clicks.page
    page.wait_for_selector("[data-ready]")
    clicks.choose("input[webkitdirectory]", folder)
    playwright.expect(page.locator("[data-sendsay]")).to_have_text(re.compile("are there.$"), timeout=180_000)
    page.wait_for_function(
        "n => [...document.querySelectorAll('.class .count')].reduce((s, c) => s + parseInt(c.textContent), 0) === n",
        arg=count,
        timeout=180_000,
    )
    page.wait_for_function("() => !document.querySelector('.auditline.busy')", timeout=180_000)


def wait_for_training(page: Any) -> None:
    """Until it is trained."""
    playwright.expect(page.locator(".trained", has_text="Trained: version 1.")).to_be_visible(timeout=300_000)


def try_out(clicks: Clicks, picture: Path) -> None:
    """A picture of one's own, before anything is published."""
    clicks.choose("[data-tryfile]", picture)
    playwright.expect(clicks.page.locator("[data-readings] [data-says]")).to_be_visible(timeout=60_000)


def publish(clicks: Clicks) -> None:
    """Let it answer."""
    clicks.press("Publish")
    playwright.expect(clicks.page.get_by_text("Version 1 answers.")).to_be_visible(timeout=60_000)
