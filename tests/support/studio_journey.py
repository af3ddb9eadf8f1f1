"""The steps of somebody who makes a check-up in the page, with the clicks that they take counted."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import marks
from browsing import playwright

FILMED = 48  # pictures of each class that the fake camera shows


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


def fake_camera(film: Path, kinds: Sequence[str], side: int = 480) -> list[str]:
    """Write a film of generated pictures, one class after the other, three a second; the options of Chromium for it."""
    header = f"YUV4MPEG2 W{side} H{side} F3:1 Ip A1:1 C420jpeg\n".encode()
    with film.open("wb") as out:
        out.write(header)
        for kind, number in product(kinds, range(FILMED)):
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
    """All at once."""
    clicks.page.wait_for_selector("[data-ready]")
    clicks.page.get_by_label("Another class").fill(", ".join(names))
    clicks.press("Add")
    for name in names:
        clicks.page.locator(f'[data-class="{name}"]').wait_for()


class Watcher:
    """Tells which class the film shows just now, as somebody who looks at it."""

    def __init__(self, page: Any, kinds: Sequence[str]):
        self._page, self._told = page, [(kind, n) for kind in kinds for n in range(FILMED)]
        self._known = np.stack([self._small(Image.open(io.BytesIO(marks.mark(*one)))) for one in self._told])

    def now(self) -> tuple[str, int]:
        """The class, and which of its pictures."""
        seen = self._page.evaluate(
            """() => {
          const canvas = document.createElement("canvas"), video = document.querySelector("[data-video]");
          canvas.width = canvas.height = 32;
          canvas.getContext("2d").drawImage(video, 0, 0, 32, 32);
          return [...canvas.getContext("2d").getImageData(0, 0, 32, 32).data];
        }"""
        )
        small = np.array(seen, float).reshape(32, 32, 4)[..., :3].mean(2).ravel()
        return self._told[int(np.argmin(((self._known - small) ** 2).sum(1)))]

    def wait_for(self, kind: str, most: int) -> None:
        """Until one of the first pictures of a class is shown, or time is up."""
        end = time.monotonic() + 180
        while time.monotonic() < end:
            shown, number = self.now()
            if shown == kind and number <= most:
                return
            self._page.wait_for_timeout(100)
        raise TimeoutError(f"the film never showed {kind}")

    @staticmethod
    def _small(picture: Image.Image) -> np.ndarray:
        return np.asarray(picture.convert("RGB").resize((32, 32), Image.Resampling.BOX), float).mean(2).ravel()


def photograph(clicks: Clicks, names: Sequence[str], count: int) -> None:
    """By the camera: the shutter of each class is held while that class is seen, until there are so many of it."""
    page = clicks.page
    clicks.press(f"Camera: {names[0]}")
    page.wait_for_function("() => document.querySelector('[data-video]').videoWidth > 0", timeout=60_000)
    watcher = Watcher(page, names)
    for name in names:
        shutter = page.locator(f'[data-shoot="{name}"]')
        for tries in range(3):  # where the machine is slow, the film goes on to the next class before there are enough
            at = shutter.bounding_box()
            page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
            watcher.wait_for(name, 8)
            page.mouse.down()
            clicks.count += 1
            while _taken(shutter) < count and watcher.now()[0] == name and watcher.now()[1] < FILMED - 3:
                page.wait_for_timeout(50)
            page.mouse.up()
            if _taken(shutter) >= count:
                break
            assert tries < 2, f"{name}: {_taken(shutter)} pictures"
    clicks.press("Done")
    for name in names:
        page.wait_for_function(
            "([name, n]) => parseInt(document.querySelector(`[data-class=${name}] .count`).textContent) >= n",
            arg=[name, count],
            timeout=180_000,
        )
    playwright.expect(page.locator("[data-sendline]")).to_be_hidden(timeout=180_000)


def _taken(shutter: Any) -> int:
    return int(shutter.locator("[data-taken]").inner_text().strip("✓ ") or 0)


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
