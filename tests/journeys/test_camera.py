"""The live camera: Chromium's own fake camera plays frames that were made; the page hints and takes the sharpest."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

import generated
from axe import violations
from browsing import CHROMIUM, PHONE, needs_chromium, playwright
from live import Live, running
from trained import Trained

pytestmark = needs_chromium
WIDTH, HEIGHT, RATE = 640, 480, 10
WAIT = 120_000


@pytest.fixture
def own(_trained: Trained, tmp_path: Path) -> Iterator[Live]:
    shutil.copytree(_trained.home, tmp_path / "home")
    with running(tmp_path / "home", "--keep-images") as server:
        yield server


def scene() -> Image.Image:
    """What the camera sees: tissue, as the check-up knows it."""
    small = Image.fromarray(generated.tissue(5, True)).resize((HEIGHT, HEIGHT), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(1).normal(0, 14, (HEIGHT, HEIGHT, 1))
    fine = Image.fromarray(np.clip(np.asarray(small) + noise, 0, 255).astype(np.uint8))
    frame = Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90))
    frame.paste(fine, ((WIDTH - HEIGHT) // 2, 0))
    return frame


def film(path: Path, frames: list[Image.Image]) -> Path:
    """Frames as a video that Chromium's fake camera plays over and over (YUV4MPEG2, 4:2:0)."""
    with path.open("wb") as out:
        out.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in frames:
            y, cb, cr = (np.asarray(band) for band in frame.convert("YCbCr").split())
            out.write(b"FRAME\n" + y.tobytes() + cb[::2, ::2].tobytes() + cr[::2, ::2].tobytes())
    return path


@pytest.fixture
def filming(chromium: Any, own: Live, tmp_path: Path) -> Iterator[Any]:
    """Opens the ask page in a browser whose camera plays a film."""
    browsers: list[Any] = []

    def open_(frames: list[Image.Image], **options: Any) -> Any:
        video = film(tmp_path / f"film{len(browsers)}.y4m", frames)
        arguments = ["--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream"]
        arguments += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={video}"]
        browser = chromium.browser_type.launch(executable_path=CHROMIUM, args=arguments)
        browsers.append(browser)
        context = browser.new_context(base_url=own.url, locale="en", permissions=["camera"], **{**PHONE, **options})
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.goto("/checkups/spots")
        page.get_by_role("button", name="Camera with hints").click()
        playwright.expect(page.get_by_role("button", name="Take the picture")).to_be_enabled(timeout=WAIT)
        return page

    yield open_
    for browser in browsers:
        browser.close()


def sharpness(image: Image.Image) -> float:
    grey = np.asarray(image.convert("L"), float)
    return float((4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]).var())


def test_the_sharpest_of_a_burst_is_taken_and_answered(filming: Any, own: Live) -> None:
    sharp = scene()
    frames = [sharp if i % 4 == 0 else sharp.filter(ImageFilter.GaussianBlur(4)) for i in range(16)]
    page = filming(frames)
    page.get_by_role("button", name="Take the picture").click()
    playwright.expect(page.locator("[data-chosen] li")).to_have_count(1, timeout=WAIT)
    playwright.expect(page.locator("[data-camera]")).to_be_hidden()
    stopped = page.evaluate("document.querySelector('[data-camera] video').srcObject === null")
    assert stopped, "the camera is off"
    page.locator("[data-submit]").click()
    playwright.expect(page.locator("[data-says]")).to_be_visible(timeout=WAIT)
    with own.client() as client:
        newest = client.get("/api/v1/predictions").json()["predictions"][0]["id"]
        taken = client.get(f"/api/v1/predictions/{newest}/image").content
    with Image.open(io.BytesIO(taken)) as image:
        assert image.size == (WIDTH, HEIGHT)
        assert sharpness(image) > 4 * sharpness(frames[1])


def test_hints_tell_what_is_wrong(filming: Any) -> None:
    lit, nothing = scene(), Image.new("RGB", (WIDTH, HEIGHT), (12, 12, 12))
    page = filming([nothing] * 40 + [lit] * 40)  # four seconds each, over and over
    camera = page.locator("[data-camera]")
    playwright.expect(camera.locator("[data-hint]")).to_have_text("Nothing can be seen yet.", timeout=WAIT)
    playwright.expect(camera).to_have_attribute("data-fault", "blank", timeout=WAIT)
    playwright.expect(camera).not_to_have_attribute("data-fault", "blank", timeout=WAIT)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(filming: Any, axe: str, scheme: str) -> None:
    page = filming([scene()], color_scheme=scheme, bypass_csp=True)
    page.evaluate(axe)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.keyboard.press("Escape")
    playwright.expect(page.locator("[data-camera]")).to_be_hidden()


def test_without_a_camera_it_says_so(chromium: Any, own: Live) -> None:
    context = chromium.new_context(base_url=own.url, locale="en", permissions=[])
    page = context.new_page()
    page.goto("/checkups/spots")
    page.get_by_role("button", name="Camera with hints").click()
    playwright.expect(page.get_by_text("The camera cannot be used")).to_be_visible(timeout=WAIT)
    playwright.expect(page.get_by_role("button", name="Take the picture")).to_be_disabled()
    page.get_by_role("button", name="Close").click()
    context.close()
