"""The steps of somebody who makes a check-up in the page, with the clicks that they take counted."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

import marks
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
    wait_for_audit(page)


def wait_for_audit(page: Any) -> None:
    """Until the pictures were looked at."""
    page.wait_for_function("() => !document.querySelector('.auditline.busy')", timeout=180_000)


def fake_camera(film: Path, kind: str, count: int = 40, side: int = 480) -> list[str]:
    """Write a film of generated pictures of a class; the options by which Chromium's fake camera shows it."""
    header = f"YUV4MPEG2 W{side} H{side} F3:1 Ip A1:1 C420jpeg\n".encode()
    with film.open("wb") as out:
        out.write(header)
        for number in range(count):
            shown = Image.open(io.BytesIO(marks.mark(kind, number))).resize((side, side)).convert("YCbCr")
            bright, *colours = shown.split()
            out.write(b"FRAME\n" + bright.tobytes())
            for colour in colours:
                out.write(colour.resize((side // 2, side // 2)).tobytes())
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]


def add_classes(clicks: Clicks, names: Sequence[str]) -> None:
    """One after the other."""
    for name in names:
        clicks.page.wait_for_selector("[data-ready]")
        clicks.page.get_by_label("Another class").fill(name)
        clicks.press("Add")
        clicks.page.locator(f'[data-class="{name}"]').wait_for()


def photograph(clicks: Clicks, name: str, count: int) -> None:
    """By the camera, the shutter held until there are so many; waits until they are there."""
    page = clicks.page
    page.wait_for_selector("[data-ready]")
    clicks.press(f"Camera: {name}")
    page.wait_for_function("() => document.querySelector('[data-video]').videoWidth > 0", timeout=60_000)
    at = page.locator("[data-shoot]").bounding_box()
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    clicks.count += 1
    page.wait_for_function(
        "n => parseInt(document.querySelector('[data-camerasay]').textContent.slice(2)) >= n",
        arg=count,
        timeout=120_000,
    )
    page.mouse.up()
    clicks.press("Done")
    page.wait_for_function(
        "([name, n]) => parseInt(document.querySelector(`[data-class=${name}] .count`).textContent) >= n",
        arg=[name, count],
        timeout=180_000,
    )
    playwright.expect(page.locator("[data-sendline]")).to_be_hidden(timeout=180_000)


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
