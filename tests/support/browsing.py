"""A headless Chromium for the tests of pages, and what a page loaded and complained about in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clinic import PASSWORD
from live import Live

try:
    from playwright import sync_api as playwright
except ImportError:
    playwright: Any = None

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}

_MISSING = "Chromium or Playwright is not installed: apt-get install chromium; pip install medloupe[dev]"
needs_chromium = pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason=_MISSING)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser, for the tests of one module."""
    if CHROMIUM is None or playwright is None:
        if os.environ.get("CI"):
            pytest.fail(_MISSING)
        pytest.skip(_MISSING)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def log_in(page: Any, name: str) -> None:
    """Log one of the people in whom clinic.add_people made."""
    page.goto("/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(re.compile("/$"))


def drag_by_touch(page: Any, box: dict[str, float], *steps: tuple[int, int]) -> None:
    """Drag what lies in a box with a finger, by its middle, over places told as pixels from there."""
    session = page.context.new_cdp_session(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    moves = [("touchMove", [{"x": x + dx, "y": y + dy}]) for dx, dy in steps]
    for kind, points in (("touchStart", [{"x": x, "y": y}]), *moves, ("touchEnd", [])):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


class Watch:
    """What a page loaded and complained about. patient: how addresses end that it asks again when a server is busy."""

    def __init__(self, context: Any, home: str, *, patient: str = ""):
        self.foreign: list[str] = []
        self.said: list[str] = []
        self._home = home
        self._patient = patient
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("weberror", lambda e: self.said.append(str(e.error)))

    def _console(self, message: Any) -> None:
        waits = bool(self._patient) and message.location["url"].endswith(self._patient) and "503" in message.text
        if message.type in ("error", "warning") and not waits:
            self.said.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self._home, "data:", "blob:")):
            self.foreign.append(request.url)

    def check(self) -> None:
        assert self.foreign == [], "nothing comes from elsewhere"
        assert self.said == [], "no errors, no breach of the policy"


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Any]:
    """Opens a page of a server, with options of a browser context; all are closed at the end."""
    contexts: list[Any] = []

    def open_(live: Live, **options: Any) -> Any:
        context = chromium.new_context(
            base_url=live.url, **{"locale": "en", "viewport": {"width": 1280, "height": 860}, **options}
        )
        context.set_default_timeout(30_000)
        contexts.append(context)
        return context.new_page()

    yield open_
    for context in contexts:
        context.close()


def dumped(folder: Path, file: Path) -> subprocess.CompletedProcess[str]:
    """A file opened: the page as it then stands, and what was said on the way."""
    if CHROMIUM is None:
        pytest.fail(_MISSING)
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=4000"]
    command += ["--window-size=1400,1000", "--dump-dom", file.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
