"""From corrections to a better version and back, in a real browser; and the server killed while it is made."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from axe import violations
from browsing import PHONE, Watch, playwright
from live import Live, running
from loops import LABELS, NAME, Loop, make_loop, once, picture
from medloupe.accounts.log import AuditLog
from studio_drills import again

pytestmark = pytest.mark.slow
PATIENCE = 400_000  # ms for a training on a busy machine


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    made = once(tmp_path_factory, "loop", make_loop)[0]
    return Path(shutil.copytree(made / "home", tmp_path / "home"))


def correct(live: Live, first: int, count: int, *, turned: bool = False) -> None:
    """Ask about so many pictures, send each answer for review, and say what is right."""
    with live.client(headers={"Accept": "application/json"}) as client:
        for n in range(count):
            sick = n % 2 == 1
            data = picture(first + n, sick)
            answer = live.ask(NAME, data).json()
            sent = client.post(
                f"/api/v1/predictions/{answer['id']}/review",
                params={"basis": "consent"},
                files={"image": ("p.png", data)},
            )
            assert sent.status_code in (200, 201), sent.text
            said = {"verdict": "label", "labels": [LABELS[int(sick != turned)]]}
            settled = client.post(f"/api/v1/review/{sent.json()['id']}/opinion", json=said)
            assert settled.json()["item"], settled.text


def candidates(live: Live, dataset: str) -> dict[str, Any]:
    return httpx.get(f"{live.url}/api/v1/datasets/{dataset}/candidates", timeout=60).json()


def ready(live: Live, dataset: str, seconds: float = 400) -> dict[str, Any]:
    """The newest candidate, when it is made and judged."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        told = candidates(live, dataset)["candidates"][0]
        if told["state"] not in ("waiting", "running", "judging"):
            return told
        time.sleep(0.5)
    raise AssertionError("the candidate is not made")


def test_from_corrections_to_a_better_answer_and_back(home: Path, open_page: Any, axe: str) -> None:
    dataset = Loop(home).dataset
    with running(home, "--review", "single") as live:
        correct(live, 5000, 14)
        page = open_page(live)
        page.context.add_init_script(axe)
        watch = Watch(page.context, live.url)
        page.goto(f"/studio/{dataset}")
        page.get_by_role("link", name="Corrections and candidates").click()
        playwright.expect(page.get_by_text("14 corrections").first).to_be_visible()
        page.get_by_role("button", name="Make a candidate of the corrections").click()
        playwright.expect(page.get_by_role("button", name="Stop")).to_be_visible(timeout=60_000)
        page.get_by_role("link", name="Version 2").click(timeout=PATIENCE)
        playwright.expect(page.get_by_role("heading", level=1)).to_have_text("Version 2 against version 1")
        playwright.expect(page.get_by_text("AUC on the frozen test")).to_be_visible()
        playwright.expect(page.get_by_text("Answered wrongly: 14 new corrections")).to_be_visible()
        playwright.expect(page.get_by_text("The gate lets it in")).to_be_visible()
        assert violations(page) == []
        page.get_by_label("Why (may be left out)").fill("looked at it")
        page.get_by_role("button", name="Let version 2 answer").click()
        playwright.expect(page.get_by_text("Version 2 answers.")).to_be_visible(timeout=60_000)
        data = picture(9000, sick=True)
        assert live.ask(NAME, data).json()["version"] == 2
        page.get_by_role("button", name="Let version 1 answer again").click()
        page.wait_for_url(re.compile("/loop$"))
        assert live.ask(NAME, data).json()["version"] == 1
        watch.check()
        actions = {line.action for line in AuditLog(Loop(home).store.engine).entries(50)}
        assert {
            "test.freeze",
            "candidate.add",
            "candidate.judge",
            "promote",
            "candidate.promoted",
            "rollback",
        } <= actions


def test_a_poisoned_round_is_refused_in_the_page(home: Path, open_page: Any) -> None:
    dataset = Loop(home).dataset
    with running(home, "--review", "single") as live:
        correct(live, 6000, 50, turned=True)
        assert httpx.post(f"{live.url}/api/v1/datasets/{dataset}/candidates", timeout=60).status_code == 202
        made = ready(live, dataset)
        assert made["state"] == "refused"
        where = f"{live.url}/api/v1/datasets/{dataset}/candidates/{made['id']}"
        refused = httpx.post(f"{where}/promote", json={}, timeout=60)
        assert refused.status_code == 409
        page = open_page(live, **PHONE, locale="fr")
        page.goto(f"/studio/{dataset}/candidates/{made['id']}")
        playwright.expect(page.get_by_text("Le contrôle la refuse")).to_be_visible()
        playwright.expect(page.get_by_text("Corrections que tout le reste contredit")).to_be_visible()
        page.get_by_role("link", name=re.compile("^cas ")).first.click()
        page.wait_for_url(re.compile("/review/[0-9a-f]{32}"))
        assert live.ask(NAME, picture(9000, sick=True)).json()["version"] == 1
        forced = httpx.post(f"{where}/promote", json={"force": True, "reason": "a drill"}, timeout=60)
        assert forced.json()["state"] == "promoted", forced.text


def test_killed_while_it_is_made_it_is_made_once(home: Path) -> None:
    dataset = Loop(home).dataset
    with running(home, "--review", "single") as live:
        correct(live, 5000, 12)
        rule = {"corrections": 10}
        with live.client() as client:
            assert client.put(f"/api/v1/datasets/{dataset}/candidates/rule", json=rule).status_code == 200
        until = time.monotonic() + 120
        while not (told := candidates(live, dataset)["candidates"]) or told[0]["state"] == "waiting":
            assert time.monotonic() < until, "nobody made a candidate after ten corrections"
            time.sleep(0.3)
        assert told[0]["cause"] == "count"
        time.sleep(2.0)
        live = again(live)  # signal 9, as if the machine had ended
        try:
            made = ready(live, dataset)
            assert (made["state"], made["version"]) == ("ready", 2), made
            with live.client() as client:
                asked = client.post(f"/api/v1/datasets/{dataset}/candidates").json()
                versions = client.get(f"/api/v1/models/{NAME}").json()["versions"]
            assert asked["id"] == made["id"] and [v["version"] for v in versions] == [1, 2]
            assert len(candidates(live, dataset)["candidates"]) == 1
        finally:
            live.stop()


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, str, str]]:
    """A server with a candidate that was made."""
    made = once(tmp_path_factory, "loop", make_loop)[0]
    home = Path(shutil.copytree(made / "home", tmp_path_factory.mktemp("judged") / "home"))
    with running(home, "--review", "single") as live:
        dataset = Loop(home).dataset
        correct(live, 6000, 16, turned=True)
        correct(live, 7000, 10)
        httpx.post(f"{live.url}/api/v1/datasets/{dataset}/candidates", timeout=60)
        yield live, dataset, ready(live, dataset)["id"]


def test_compared_on_live_requests_in_the_page(judged: tuple[Live, str, str], open_page: Any, axe: str) -> None:
    live, dataset, candidate = judged
    page = open_page(live)
    page.context.add_init_script(axe)
    watch = Watch(page.context, live.url)
    page.goto(f"/studio/{dataset}/candidates/{candidate}")
    page.get_by_label("How many requests").fill("4")
    page.get_by_role("button", name="Compare version 2 on live requests").click()
    playwright.expect(page.get_by_text("0 of 4 requests compared")).to_be_visible()
    assert violations(page) == []
    with live.client(headers={"Medloupe-Site": "Ward A"}) as client:
        for n in range(4):
            files = {"image": ("p.png", picture(9100 + n, n % 2 == 1))}
            assert client.post(f"/api/v1/models/{NAME}/predict", files=files).json()["version"] == 1
            page.get_by_role("link", name="Look again").click()
            told = page.get_by_text(f"{n + 1} of 4 requests compared")
            until = time.monotonic() + 240
            while not told.is_visible():
                assert time.monotonic() < until
                page.reload()
    playwright.expect(page.get_by_text("All were compared")).to_be_visible()
    playwright.expect(page.get_by_text("of 4 requests were answered alike")).to_be_visible()
    playwright.expect(page.get_by_role("row", name="Ward A")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("How many requests").fill("100")
    page.get_by_role("button", name="Compare version 2 on live requests").click()
    page.get_by_role("button", name="End the comparison").click()
    playwright.expect(page.get_by_text("Ended by", exact=False).first).to_be_visible()
    watch.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"viewport": {"width": 1280, "height": 860}}, PHONE], ids=["1280", "360"])
def test_pages_are_accessible(
    judged: tuple[Live, str, str], open_page: Any, axe: str, size: dict[str, Any], scheme: str
) -> None:
    live, dataset, candidate = judged
    for locale in ("en", "fr"):
        page = open_page(live, color_scheme=scheme, locale=locale, **size)
        page.context.add_init_script(axe)
        for path in (f"/studio/{dataset}/loop", f"/studio/{dataset}/candidates/{candidate}", "/about"):
            page.goto(path)
            for details in page.locator("main details").all():
                details.evaluate("n => { n.open = true; }")
            assert violations(page) == [], (path, locale)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, locale)


def test_without_scripts(judged: tuple[Live, str, str], open_page: Any) -> None:
    live, dataset, candidate = judged
    page = open_page(live, java_script_enabled=False)
    page.goto(f"/studio/{dataset}/loop")
    page.get_by_label("After so many new corrections").fill("50")
    page.get_by_role("button", name="Save").click()
    assert candidates(live, dataset)["rule"]["corrections"] == 50
    page.goto(f"/studio/{dataset}/candidates/{candidate}")
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("Version 2 against version 1")
