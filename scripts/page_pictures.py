"""Makes the pictures of the web page in docs/: a real server with a check-up trained on made-up cells, a real browser.

python scripts/page_pictures.py [--chromium /usr/bin/chromium]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from demo import cell, made_up

DOCS = Path(__file__).resolve().parents[1] / "docs"
SIZES = {"page": (1280, 900), "page-phone": (360, 740)}


def main() -> None:
    """Trains, serves, asks and photographs."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = told.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home, data = Path(folder) / "home", Path(folder) / "cells"
        data.mkdir()
        made_up(data)
        environment = {**os.environ, "MEDLOUPE_HOME": str(home)}
        medloupe = [sys.executable, "-m", "medloupe"]
        subprocess.run([*medloupe, "train", str(data), "--name", "ringed-cells"], env=environment, check=True)
        picture = Path(folder) / "cell.png"
        cell(np.random.default_rng(77), np.zeros(3, int), ringed=True).save(picture)
        log = Path(folder) / "log"
        with (
            log.open("wb") as err,
            subprocess.Popen([*medloupe, "serve", "--port", "0"], env=environment, stderr=err) as server,
        ):
            try:
                photograph(address(log), picture, arguments.chromium)
            finally:
                server.terminate()


def address(log: Path) -> str:
    """Where the server whose stderr goes to log can be asked."""
    for _ in range(300):
        if told := re.search(r"http://\S+:\d+", log.read_text()):
            return told[0]
        time.sleep(0.1)
    raise SystemExit(log.read_text())


def photograph(url: str, picture: Path, chromium: str) -> None:
    """The result page in two sizes, to docs/."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (width, height) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(url + "/checkups/ringed-cells")
            page.set_input_files("input[type=file] >> nth=0", picture)
            page.click("main button[type=submit] >> nth=-1")
            page.wait_for_selector("text=Was this right")
            page.wait_for_timeout(1000)  # until it has faded in
            page.screenshot(path=DOCS / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
