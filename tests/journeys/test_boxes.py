"""A detector from the form to the page, the history, the API and files, in a real server and browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from axe import violations
from browsing import PHONE, Watch, playwright
from detectors import TrainedDetector
from live import Live
from medloupe.metrics.box_evidence import BoxEvidence, read_judged

WIDE = {"viewport": {"width": 1280, "height": 860}}


@pytest.fixture(scope="module")
def answered(live_detector: Live, detector: TrainedDetector) -> dict[str, Any]:
    """What the API answers about one picture."""
    said = live_detector.ask("shapes", detector.pictures[0].read_bytes())
    assert said.status_code == 200
    return said.json()


def marked(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [b for b in said["boxes"] if b["score"] >= said["lines"][b["label"]]]


def test_from_the_form_to_boxes_that_a_slider_and_a_list_show(
    live_detector: Live, detector: TrainedDetector, answered: dict[str, Any], open_page: Any, tmp_path: Path
) -> None:
    page = open_page(live_detector)
    watch = Watch(page.context, live_detector.url)
    page.goto("/checkups/shapes")
    page.locator("input[type=file]").first.set_input_files([detector.pictures[0]])
    page.locator("[data-submit]").click()
    page.wait_for_url(re.compile("/results/"), timeout=60_000)
    rows = page.locator("[data-rows] tr")
    playwright.expect(rows).to_have_count(len(marked(answered)))
    playwright.expect(page.get_by_role("heading", level=2)).to_contain_text("Counted: ")

    def drawn(kind: str) -> int:
        paths = page.locator(f".boxes g path.ink{kind}")
        return sum(len(d.split("\n")) for d in paths.evaluate_all("all => all.map(n => n.getAttribute('d'))") if d)

    assert drawn(":not(.low)") == len(marked(answered)) and drawn(".low") == 0

    frame, svg = (page.locator(of).bounding_box() for of in (".frame [data-picture]", ".boxes"))
    assert all(svg[side] == pytest.approx(frame[side], abs=1) for side in ("x", "y", "width", "height"))

    cut = page.get_by_label("From which score on Disc is shown").or_(
        page.get_by_label("From which score on disc is shown")
    )
    cut.evaluate("n => { n.value = n.min; n.dispatchEvent(new Event('input', {bubbles: true})); }")
    low = [b for b in answered["boxes"] if b["label"] == "disc" and b["score"] < answered["lines"]["disc"]]
    assert drawn(".low") <= len(low)
    if any(b["score"] >= 0.05 for b in low):
        assert drawn(".low") > 0
    with page.expect_download() as got:
        page.get_by_role("link", name="Boxes as CSV").click()
    got.value.save_as(tmp_path / "boxes.csv")
    lines = (tmp_path / "boxes.csv").read_text("utf-8-sig").splitlines()
    assert len(lines) - 1 == drawn(":not(.low)") + drawn(".low"), "what is shown is what is downloaded"
    # At its upper end, which is never the line: there nothing of it is shown, and there is something to go back from.
    cut.evaluate("n => { n.value = n.max; n.dispatchEvent(new Event('input', {bubbles: true})); }")
    page.get_by_role("button", name="Back to the lines").click()
    assert drawn(".low") == 0

    first = rows.first.get_by_role("button")
    first.focus()
    assert page.locator("[data-here]").get_attribute("d")
    playwright.expect(rows.first).to_have_class("at")
    show = page.get_by_role("checkbox", name=re.compile("Show disc", re.IGNORECASE))
    show.uncheck()
    left = sum(b["label"] != "disc" for b in marked(answered))
    playwright.expect(rows).to_have_count(left)

    page.reload()
    playwright.expect(rows).to_have_count(len(marked(answered)))
    playwright.expect(page.locator("[data-picture]:visible")).to_have_count(1)
    page.get_by_role("button", name="Zoom in").click()
    wide = page.locator(".boxes").bounding_box()["width"]
    assert wide == pytest.approx(1.5 * svg["width"], rel=0.01), "boxes go with the picture"
    page.goto("/history")
    playwright.expect(page.get_by_text("Counted: ").first).to_be_visible()
    watch.check()


def test_without_scripts_boxes_and_list_are_there(
    live_detector: Live, answered: dict[str, Any], open_page: Any
) -> None:
    page = open_page(live_detector, java_script_enabled=False)
    page.goto(f"/results/{answered['id']}")
    playwright.expect(page.locator("[data-rows] tr")).to_have_count(len(marked(answered)))
    drawn = page.locator(".boxes path.ink:not(.low)")
    assert sum(len((p.get_attribute("d") or "").split("\n")) for p in drawn.all() if p.get_attribute("d")) == len(
        marked(answered)
    )
    page.goto(f"/results/{answered['id']}?lang=fr")
    playwright.expect(page.get_by_text("Liste des cadres")).to_be_visible()


def test_one_page_of_paper(live_detector: Live, answered: dict[str, Any], open_page: Any) -> None:
    page = open_page(live_detector)
    page.goto(f"/results/{answered['id']}")
    playwright.expect(page.locator("[data-rows] button").first).to_be_visible()
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 1
    page.emulate_media(media="print")
    playwright.expect(page.locator(".boxes")).to_be_visible()
    playwright.expect(page.locator("[data-boxlist]")).to_be_hidden()


@pytest.mark.parametrize("size", [pytest.param(WIDE, id="1280"), pytest.param(PHONE, id="360")])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    live_detector: Live, answered: dict[str, Any], open_page: Any, axe: str, size: dict[str, Any], scheme: str
) -> None:
    page = open_page(live_detector, color_scheme=scheme, **size)
    page.context.add_init_script(axe)
    for path in (f"/results/{answered['id']}", "/checkups/shapes", "/"):
        page.goto(path, wait_until="load")
        for details in page.locator("main details").all():
            details.evaluate("n => { n.open = true; }")
        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= size["viewport"]["width"], "nothing sticks out"


def test_history_and_files_have_the_boxes_that_were_answered(live_detector: Live, answered: dict[str, Any]) -> None:
    with live_detector.client() as client:
        again = client.get(f"/api/v1/predictions/{answered['id']}").json()
        coco = client.get(f"/results/{answered['id']}/boxes.json").json()
        missing = client.get(f"/results/{'0' * 32}/boxes.csv")
        odd = client.get(f"/results/{answered['id']}/boxes.csv", params={"from": "0:nan,x:1,1:9,,:::"})
    kept = again.get("answer", again)["boxes"]
    assert {b["label"] for b in kept} <= {"disc", "square"}
    best = marked(answered)
    assert [b["label"] for b in kept[: len(best)]] == [b["label"] for b in best]
    for mine, theirs in zip(best, kept, strict=False):
        assert all(abs(mine[side] - theirs[side]) <= 0.06 for side in "xywh")
    assert len(coco["annotations"]) == len(best)
    assert coco["images"][0]["width"] == answered["picture"]["width"] == 160
    assert [c["name"] for c in coco["categories"]] == ["disc", "square"]
    assert missing.status_code == 404 and odd.status_code == 200


def test_open_inference_gives_what_the_file_gives(live_detector: Live) -> None:
    with httpx.Client(base_url=live_detector.url, timeout=60) as client:
        about = client.get("/v2/models/shapes").json()
        shape = next(o["shape"] for o in about["outputs"] if o["name"] == "boxes")
        body = {
            "inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 8, 8, 3], "data": [90] * 192}],
            "outputs": [{"name": "boxes"}, {"name": "state"}],
        }
        said = client.post("/v2/models/shapes/infer", content=json.dumps(body)).json()
    found = {o["name"]: o for o in said["outputs"]}
    assert found["boxes"]["shape"] == [1, *shape[1:]] and shape[2] == 6
    assert found["state"]["data"][0] in ("answered", "refused", "unusable")


def test_boxes_of_the_command_line_are_read_as_a_data_set(detector: TrainedDetector, tmp_path: Path) -> None:
    pictures = [str(path) for path in detector.pictures[:3]]
    files = ["--csv", str(tmp_path / "boxes.csv"), "--coco", str(tmp_path / "coco.json")]
    command = [sys.executable, "-m", "medloupe", "predict", "shapes", *pictures, *files, "--json"]
    environment = {**os.environ, "MEDLOUPE_HOME": str(detector.home)}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)
    assert ran.returncode == 0, ran.stderr
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    found = [b for said in answers for b in marked(said)]
    rows = (tmp_path / "boxes.csv").read_text("utf-8").splitlines()
    coco = json.loads((tmp_path / "coco.json").read_text("utf-8"))
    assert len(rows) - 1 == len(coco["annotations"]) == len(found) > 0
    assert [(i["width"], i["height"]) for i in coco["images"]] == [(160, 128)] * 3


def test_what_judged_a_version_is_kept_for_the_gate(detector: TrainedDetector) -> None:
    kept = read_judged(detector.home / "models" / "shapes" / "1")
    assert isinstance(kept, BoxEvidence) and kept.labels == ("disc", "square") and len(kept.truths) == 24
