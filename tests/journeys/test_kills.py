"""A hundred pictures wait in a browser that is killed twenty times, while they are chosen and while they are sent."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import generated
from browsing import CHROMIUM, needs_chromium, playwright
from live import running
from queueing import WAIT, choose_and_send, count_answers, wait_for_answers
from trained import Trained

pytestmark = [needs_chromium, pytest.mark.slow]
KILLS, EACH = 20, 5
_START = 120  # seconds, on a busy machine


@contextmanager
def browsing(driver: Any, profile: Path) -> Iterator[tuple[subprocess.Popen[bytes], Any]]:
    """A Chromium of its own with a profile that lasts; killed with all its processes at the end of the block."""
    (profile / "DevToolsActivePort").unlink(missing_ok=True)
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    command += [f"--user-data-dir={profile}", "--no-first-run", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        until, told = time.monotonic() + _START, ["0"]
        port = profile / "DevToolsActivePort"
        while not (port.is_file() and (told := port.read_text().split())) and time.monotonic() < until:
            time.sleep(0.1)
        browser = driver.chromium.connect_over_cdp(f"http://127.0.0.1:{told[0]}", timeout=_START * 1000)
        yield process, browser.contexts[0]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_hundred_waiting_pictures_survive_twenty_kills(_trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(_trained.home, tmp_path / "home")
    rng = random.Random(22)
    pictures = [generated.save(tmp_path / f"p{i:03}.png", generated.tissue(i, i % 2 == 1)) for i in range(KILLS * EACH)]
    with running(tmp_path / "home") as live, playwright.sync_playwright() as driver:
        for kill in range(KILLS):
            with browsing(driver, tmp_path / "profile") as (_, context):
                page = context.new_page()
                page.goto(f"{live.url}/checkups/spots")  # what waits begins to be sent
                page.wait_for_function("document.documentElement.classList.contains('js')", timeout=WAIT)
                page.wait_for_timeout(rng.uniform(0, 1500))
                context.set_offline(True)
                choose_and_send(page, *pictures[kill * EACH : (kill + 1) * EACH])
                playwright.expect(page.locator("[data-status]")).to_have_text(
                    re.compile("waiting to be sent"), timeout=WAIT
                )
                if kill % 2:
                    context.set_offline(False)  # killed while they are sent
                    page.wait_for_timeout(rng.uniform(0, 700))
        with (
            browsing(driver, tmp_path / "profile") as (_, context),
            httpx.Client(base_url=live.url, timeout=60) as client,
        ):
            page = context.new_page()
            page.goto(f"{live.url}/checkups/spots")
            assert wait_for_answers(page, client, KILLS * EACH) == KILLS * EACH
            playwright.expect(page.locator("[data-waiting] [data-own]").first).to_be_hidden(timeout=WAIT)
            told = count_answers(client)
            assert len(told) == KILLS * EACH and set(told.values()) == {1}
