"""axe-core on every page: wide and narrow, light and dark, with all rules and none left out."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from axe import violations
from browsing import PHONE
from clinic import PASSWORD
from live import Live
from places import ROOT
from visiting import png

WIDE = {"viewport": {"width": 1280, "height": 860}}
SIZES = [pytest.param(WIDE, id="1280"), pytest.param(PHONE, id="360")]
SCHEMES = ["light", "dark"]


def look(page: Any, *paths: str) -> list[str]:
    """What is wrong with these pages, each with where it is."""
    found: list[str] = []
    for path in paths:
        page.goto(path, wait_until="load")
        assert page.locator("main h1").count() == 1, path
        for details in page.locator("main details").all():
            details.evaluate("n => { n.open = true; }")
        found += [f"{path}: {said}" for said in violations(page)]
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_pages_of_one_computer(live: Live, open_page: Any, axe: str, size: dict[str, Any], scheme: str) -> None:
    said = live.ask("spots", png(21)).json()
    live.ask("imagenet", png(22))
    page = open_page(live, color_scheme=scheme, **size)
    page.context.add_init_script(axe)
    page.goto("/checkups/imagenet/drawing/0")
    page.get_by_role("button", name="about drawing 1").click()
    page.wait_for_url("**/drawing/0?answer=*")
    drawn = page.url.removeprefix(live.url)
    result = f"/predictions/{said['id']}"
    paths = [
        "/",
        "/choose",
        "/checkups/spots",
        "/checkups/imagenet",
        result,
        drawn,
        "/history",
        f"/history?deleted={said['id']}",
    ]
    paths += [
        "/history?state=unusable",
        "/models",
        "/models/spots?a=1&b=1",
        "/about",
        "/docs",
        "/audit",
        "/users",
        "/nope",
    ]
    assert look(page, *paths) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_pages_of_people(clinic: Live, open_page: Any, axe: str, size: dict[str, Any], scheme: str) -> None:
    page = open_page(clinic, color_scheme=scheme, **size)
    page.context.add_init_script(axe)
    found = look(page, "/login", "/about")
    page.goto("/login")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{clinic.url}/")
    found += look(page, "/", "/account", "/users", "/audit?action=login", "/models/spots?a=1&b=2")
    page.context.clear_cookies()
    page.goto("/login")
    page.get_by_label("Name").fill("vic")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{clinic.url}/")
    found += look(page, "/", "/checkups/spots", "/choose", "/models/spots")
    assert found == []


def test_what_is_wrong_is_found(live: Live, open_page: Any, axe: str) -> None:
    page = open_page(live)
    page.context.add_init_script(axe)
    page.goto("/about")
    page.evaluate("() => document.querySelector('main').append(document.createElement('button'))")
    assert [said.partition(" ")[0] for said in violations(page)] == ["button-name"]


def test_another_package_is_refused() -> None:
    code = "import axe; axe.extract(b'something else')"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True)
    assert ran.returncode == 1 and "not what was expected" in ran.stderr
