"""The app chooses on the device: all check-ups of the kind answer, and a question is asked where it counts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import generated
from axe import violations
from browsing import PHONE, Watch, playwright
from live import Live

WIDE = {"viewport": {"width": 1280, "height": 860}}


def opened(page: Any) -> None:
    page.goto("/device/")
    page.wait_for_selector("html[data-ready]")
    page.get_by_role("radio", name="Let the app choose").check()
    page.get_by_role("radio", name="The pictures themselves").check()


def take(page: Any, path: Path) -> Any:
    """Hand a file to the app: its entry, answered."""
    entries = page.locator("[data-list] > li")
    before = entries.count()
    page.locator("[data-files]").set_input_files([path])
    playwright.expect(entries).to_have_count(before + 1)
    item = entries.first
    playwright.expect(item).to_have_attribute("data-state", re.compile("."), timeout=60_000)
    return item


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    return generated.save(tmp_path / "sick.png", generated.tissue(5, True))


def test_all_of_the_kind_answer_and_the_question_is_asked_once(
    live_of_choices: Live, web_runtime: Path, open_page: Any, sick: Path
) -> None:
    page = open_page(live_of_choices)
    watch = Watch(page.context, live_of_choices.url)
    opened(page)
    item = take(page, sick)
    assert item.get_attribute("data-state") == "flagged"
    playwright.expect(item).to_contain_text("Chosen: Children")
    others = item.locator(".others li")
    playwright.expect(others).to_have_count(1)
    playwright.expect(others).to_contain_text("Blunt (Adults · Cannot say normal)")
    playwright.expect(item).to_contain_text("on the server only: Own")
    playwright.expect(item.get_by_role("group", name="Is this a child or an adult?")).to_be_visible()
    item.get_by_role("button", name="An adult").click()
    assert item.get_attribute("data-state") == "refused"
    playwright.expect(item).to_contain_text("No check-up answers this by itself")
    playwright.expect(item.get_by_role("button", name="An adult")).to_be_focused()
    item.get_by_role("button", name="A child").click()
    assert item.get_attribute("data-state") == "flagged"
    playwright.expect(others).to_have_count(0)
    page.get_by_role("button", name="Français").click()
    playwright.expect(item.get_by_role("button", name="Un enfant")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="English").click()
    healthy = take(page, generated.save(sick.with_name("healthy.png"), generated.tissue(5, False)))
    assert healthy.get_attribute("data-state") == "clear"
    playwright.expect(healthy.locator(".others li")).to_contain_text("Blunt cannot say that nothing is wrong")
    watch.check()


def test_foreign_pictures_are_refused_by_all(
    live_of_choices: Live, web_runtime: Path, open_page: Any, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (190, 224, 3), np.uint8)
    Image.fromarray(noise).save(path := tmp_path / "noise.png")
    page = open_page(live_of_choices)
    opened(page)
    item = take(page, path)
    assert item.get_attribute("data-state") == "refused"
    playwright.expect(item).to_contain_text("No check-up here knows such a picture")
    playwright.expect(item.get_by_role("group")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing(
    live_of_choices: Live,
    web_runtime: Path,
    open_page: Any,
    axe: str,
    sick: Path,
    size: dict[str, Any],
    scheme: str,
) -> None:
    page = open_page(live_of_choices, **size, color_scheme=scheme, bypass_csp=True)
    page.context.add_init_script(axe)
    opened(page)
    take(page, sick)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
