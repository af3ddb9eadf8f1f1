"""A check-up that learned from crops, in a real browser: it is told whether a picture is cut out, and never guesses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import generated
import medloupe
from axe import violations
from browsing import PHONE, Watch, playwright
from discs import write_sick_discs
from live import Live, running
from medloupe.data.reading import read

YES, NO = "Yes, they are cut out", "No, they are whole pictures"


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, Path, Path]]:
    """A server with a check-up of pictures cut to a disc, a crop of a sick one, and the whole picture of it."""
    root = tmp_path_factory.mktemp("crops")
    data = write_sick_discs(root / "sick")
    cut = medloupe.read(data, crop=0.2, crop_to="disc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(root / "home"))
        medloupe.train(cut, name="sick", sought=["sick"])
        medloupe.train(medloupe.read(generated.folders(root / "whole")), name="spots")
    record = next(r for r in read(data, crop=0.2, crop_to="disc").records if r.id == "images/01.png")
    assert isinstance(record.picture, np.ndarray)
    crop = generated.save(root / "crop.png", record.picture)
    with running(root / "home", "--keep-images", "--no-worker") as live:
        yield live, crop, data / "images/01.png"


def ask(page: Any, said: str) -> None:
    page.get_by_label(said).check()
    page.get_by_role("button", name="Look at the pictures").click()
    page.wait_for_url(re.compile("/results/[0-9a-f]{32}"), timeout=60_000)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_it_is_asked_and_goes_by_the_answer(crops: tuple[Live, Path, Path], open_page: Any, scripts: bool) -> None:
    live, crop, whole = crops
    page = open_page(live, java_script_enabled=scripts)
    watch = Watch(page.context, live.url)
    page.goto("/checkups/sick")
    assert page.locator("[name=cropped]:checked").count() == 0
    page.locator("input[type=file]").first.set_input_files(crop)
    page.get_by_role("button", name="Look at the pictures").click()
    page.wait_for_timeout(500)
    assert page.url.endswith("/checkups/sick")  # it is not sent before it was said
    ask(page, YES)
    playwright.expect(page.locator("[data-says]").first).to_contain_text("sick", ignore_case=True)
    assert page.locator(".heats, [data-heats], [data-heat]").count() or not scripts
    page.reload()  # the kept picture is looked at again, as the crop that it is
    playwright.expect(page.locator("main")).not_to_contain_text("looks at crops alone")
    page.goto("/checkups/sick")
    page.locator("input[type=file]").first.set_input_files(whole)
    ask(page, NO)
    playwright.expect(page.locator("main")).to_contain_text("This check-up looks at crops alone")
    watch.check()


def test_others_are_not_asked(crops: tuple[Live, Path, Path], open_page: Any) -> None:
    page = open_page(crops[0])
    page.goto("/checkups/spots")
    assert page.locator("input[type=file]").count()
    assert page.locator("[name=cropped]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"viewport": {"width": 1280, "height": 860}}, PHONE], ids=["1280", "360"])
def test_axe(
    crops: tuple[Live, Path, Path], open_page: Any, axe: str, size: dict[str, Any], scheme: str, tmp_path: Path
) -> None:
    for locale in ("en", "fr"):
        page = open_page(crops[0], color_scheme=scheme, locale=locale, **size)
        page.context.add_init_script(axe)
        page.goto("/checkups/sick")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
