"""One answer is the same in every place: API, command line, journal, page, history, paper; it never contradicts itself.

Every shipped check-up is asked about real pictures or ECGs of its kind, by name and by choice of the app.
"""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from live import Live, start
from medloupe.model.decision import Decision
from medloupe.serving.web.headline import summarize
from medloupe.serving.web.language import language
from medloupe.starter.shipped import load_shipped

pytestmark = [pytest.mark.realdata, pytest.mark.slow]
EN = language("en")
SETS = {
    "pneumonia": "chest_pneumonia",
    "covid": "covid_cxr",
    "malaria": "malaria",
    "brain-tumour": "brain_mri",
    "retina": "fundus",
    "retina-referable": "fundus",
    "breast": "breast_ultrasound",
    "skin": "skin",
    "monkeypox": "monkeypox",
}
EACH = 8  # pictures of each set


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    running = start(tmp_path_factory.mktemp("one") / "home", MEDLOUPE_STARTERS="all")
    yield running
    running.stop()


def pictures(folder: Path) -> list[Path]:
    """Some of a set, spread over its folders."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return found[:: max(1, len(found) // EACH)][:EACH]


def check(said: dict[str, Any]) -> None:
    """Nothing in an answer contradicts another part of it."""
    if not said["model"]:
        assert said["state"] == "refused"
        return
    card = load_shipped(said["model"]).card
    decision, p = Decision.from_card(card), said["probabilities"]
    if said["state"] in ("refused", "unusable"):
        assert (said["prediction"], said["flagged"]) == ("", [])
        assert said["why"]["text"]
        return
    assert p[said["prediction"]] == max(p.values())
    for label in said["flagged"]:
        assert decision.roles.of(label) == "sought", "what is normal or harmless is never flagged"
        assert np.float32(p[label]) >= np.float32(decision.line(label)) or label == said["prediction"]
    assert (said["state"] == "flagged") == bool(said["flagged"])
    if said["state"] == "clear":
        assert decision.roles.of(said["prediction"]) != "sought", "no finding is passed over"
    if said["state"] == "answered":
        assert not decision.roles.sought.any()


@pytest.mark.parametrize("name", SETS)
def test_the_same_answer_everywhere(name: str, server: Live, real_sets: Path, tmp_path: Path) -> None:
    files = pictures(real_sets / SETS[name])
    assert len(files) == EACH
    told = subprocess.run(
        [sys.executable, "-m", "medloupe", "predict", name, *map(str, files), "--json"],
        env={**os.environ, "MEDLOUPE_STARTERS": "all", "MEDLOUPE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    with server.client(follow_redirects=True) as client:
        for file, line in zip(files, lines, strict=True):
            said = client.post(f"/api/v1/models/{name}/predict", files={"image": (file.name, file.read_bytes())}).json()
            check(said)
            check(line)
            for key in ("state", "prediction", "flagged", "scope", "model", "version"):
                assert said[key] == line[key], f"{file}: {key}"
            np.testing.assert_allclose(
                [said["probabilities"][n] for n in line["probabilities"]],
                list(line["probabilities"].values()),
                atol=1e-5,
            )
            kept = client.get(f"/api/v1/predictions/{said['id']}").json()
            for key in ("state", "why", "prediction", "flagged", "probabilities", "scope", "refused"):
                assert kept[key] == said[key]
            words = html.escape(summarize(said, EN, _AtHand(name)), quote=False)
            page = client.get(f"/results/{said['id']}").text
            assert words in html.unescape(page).replace("\u202f", " ") or words in page
            assert re.search(rf'class="reading {said["state"]}', page)
            row = client.get("/history", params={"search": said["id"]}).text
            assert words in row and EN.t(f"answer.state_{said['state']}") in row


class _AtHand:
    """What a headline asks of a check-up: how it decides."""

    def __init__(self, name: str):
        self.decision = Decision.from_card(load_shipped(name).card)


def test_the_app_chooses_without_contradiction(server: Live, real_sets: Path) -> None:
    with server.client() as client:
        for folder in sorted(set(SETS.values())):
            for file in pictures(real_sets / folder)[:3]:
                said = client.post("/api/v1/predict", files={"image": (file.name, file.read_bytes())}).json()
                answers = said.get("answers") or []
                for one in answers:
                    if one["state"] != "unclear" and one["state"] != "refused":
                        check(one)
                states = ["flagged", "unclear", "unusable", "clear", "answered", "refused"]
                if answers:
                    assert said["state"] == min((a["state"] for a in answers), key=states.index)


def test_what_a_browser_shows_and_prints_is_the_answer(server: Live, real_sets: Path, open_page: Any) -> None:
    for name in ("pneumonia", "skin"):
        file = pictures(real_sets / SETS[name])[1]
        page = open_page(server)
        page.goto(f"{server.url}/checkups/{name}")
        page.set_input_files("input[name=image]:not([capture])", str(file))
        page.click("[data-submit]")
        page.wait_for_url("**/results/*")
        id = page.url.rpartition("/")[2].partition("?")[0]
        with server.client() as client:
            said = client.get(f"/api/v1/predictions/{id}").json()
        words = summarize(said, EN, _AtHand(name))
        assert page.inner_text("[data-says]") == words
        page.reload()
        assert page.inner_text("[data-says]") == words
        page.locator("[data-picture][src]").first.wait_for(state="attached")  # the browser has kept it
        page.emulate_media(media="print")
        assert page.locator("[data-says]").is_visible()
