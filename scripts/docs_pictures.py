"""Make the pictures of the documentation: a model trained on made-up cells, its report, and its check-up on the page.

python scripts/docs_pictures.py FOLDER [--dark] [--only NAME …] [--chromium PATH]

A real training, a real server and a real browser, so that the pictures show what a reader gets. With --dark each
picture is also taken in dark colours, as NAME-dark.png.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from demo import cell, made_up

NAME = "ringed-cells"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "chromium")
REPORT = {"report": (1060, 600, ""), "report-heatmaps": (800, 590, "The worst errors")}  # size, what it begins with
PAGE = {"page": (1280, 900), "page-phone": (360, 740)}
STUDIO = {"studio": 930, "studio-publish": 760}  # height: the pictures and what is wrong with them; the third step
NAMES = (*REPORT, *PAGE, *STUDIO)


def make_pictures(
    folder: Path, schemes: Sequence[str] = ("light",), names: Sequence[str] = NAMES, chromium: str = CHROMIUM
) -> None:
    """Train, serve, ask and photograph; writes the .png files of these names. schemes: of light and dark."""
    with tempfile.TemporaryDirectory() as temporary:
        home, data = Path(temporary) / "home", Path(temporary) / "cells"
        data.mkdir()
        made_up(data)
        environment = {**os.environ, "MEDLOUPE_HOME": str(home)}
        medloupe = [sys.executable, "-m", "medloupe"]
        told = ["--normal", "clear", "--sought", "ringed"]
        subprocess.run([*medloupe, "train", str(data), "--name", NAME, *told], env=environment, check=True)
        (report,) = home.rglob("report.html")
        picture = Path(temporary) / "cell.png"
        cell(np.random.default_rng(77), np.zeros(3, int), ringed=True).save(picture)
        log = Path(temporary) / "log"
        with (
            log.open("wb") as err,
            subprocess.Popen([*medloupe, "serve", "--port", "0"], env=environment, stderr=err) as server,
        ):
            try:
                _photograph(_address(log), report.as_uri(), picture, folder, schemes, names, chromium)
                if wanted := [name for name in names if name in STUDIO]:
                    some = _choose_some(data, Path(temporary) / "ringed cells")
                    _photograph_studio(_address(log), some, picture, folder, schemes, wanted, chromium)
            finally:
                server.terminate()


def _address(log: Path) -> str:
    """Wait until the server whose stderr goes to log says where it can be asked."""
    for _ in range(300):
        if told := re.search(r"http://\S+:\d+", log.read_text()):
            return told[0]
        time.sleep(0.1)
    raise SystemExit(log.read_text())


def _photograph(
    url: str, report: str, picture: Path, folder: Path, schemes: Sequence[str], names: Sequence[str], chromium: str
) -> None:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in schemes:
            colours = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
            for name in (name for name in names if name not in STUDIO):
                page = colours.new_page()
                if name in REPORT:
                    _show_report(page, report, *REPORT[name])
                else:
                    _show_result(page, url, picture, *PAGE[name])
                _save(page, folder, name, scheme)
        browser.close()


def _save(page: Page, folder: Path, name: str, scheme: str) -> None:
    path = folder / (f"{name}.png" if scheme == "light" else f"{name}-{scheme}.png")
    page.screenshot(path=path)
    # Half the bytes, and no difference that an eye finds.
    Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def _choose_some(data: Path, folder: Path) -> Path:
    """Forty cells of each class, one of them twice and one under both classes."""
    for label in ("clear", "ringed"):
        (folder / label).mkdir(parents=True)
        for path in sorted((data / label).glob("*.png"))[:40]:
            shutil.copy(path, folder / label / path.name)
    first, second = sorted((folder / "clear").iterdir())[:2]
    shutil.copy(first, folder / "clear" / "copy of it.png")
    shutil.copy(second, folder / "ringed" / "the same.png")
    return folder


def _photograph_studio(
    url: str, some: Path, picture: Path, folder: Path, schemes: Sequence[str], names: Sequence[str], chromium: str
) -> None:
    """Go through the three steps of the studio, and photograph the first and the last."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(180_000)
        page.goto(f"{url}/studio")
        page.get_by_label("Name").fill("Rings in cells")
        page.get_by_label("Kind of picture").fill("smear")
        page.get_by_role("button", name="Begin").click()
        page.wait_for_selector("[data-ready]")
        page.locator("input[webkitdirectory]").set_input_files(some)
        page.locator("[data-sendsay]", has_text="82 are there.").wait_for(state="attached")
        page.get_by_label("What ringed means").select_option("sought")
        page.get_by_label("What clear means").select_option("normal")
        page.locator(".findings", has_text="has two classes").wait_for()
        page.locator(".auditline.busy").wait_for(state="detached")
        for name in names:
            if name == "studio-publish":
                page.get_by_role("button", name="Leave the copy out").click()
                page.get_by_role("button", name="All are clear").click()
                page.get_by_role("button", name="Train", exact=True).click()
                page.get_by_text("Trained: version 1.").wait_for()
                page.locator("[data-tryfile]").set_input_files(picture)
                page.locator("[data-readings] [data-says]").wait_for()
            for scheme in schemes:
                page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                page.set_viewport_size({"width": 1280, "height": STUDIO[name]})
                top = page.locator("[data-part=classes]" if name == "studio" else "#four")
                top.evaluate("(e, up) => window.scrollTo(0, e.getBoundingClientRect().top + scrollY - up)", 40)
                page.wait_for_timeout(800)
                _save(page, folder, name, scheme)
        browser.close()


def _show_report(page: Page, report: str, width: int, height: int, start: str) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(report)
    if start:
        page.get_by_text(start).first.evaluate("e => window.scrollTo(0, e.getBoundingClientRect().top - 60)")


def _show_result(page: Page, url: str, picture: Path, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{url}/checkups/{NAME}")
    page.set_input_files("input[type=file] >> nth=0", picture)
    page.click("main button[type=submit] >> nth=-1")
    page.wait_for_selector("text=Was this right")
    page.wait_for_timeout(1000)  # until it has faded in


def main() -> None:
    """Make them from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--chromium", default=CHROMIUM)
    told = parser.parse_args()
    make_pictures(told.folder, ("light", "dark") if told.dark else ("light",), told.only, told.chromium)


if __name__ == "__main__":
    main()
