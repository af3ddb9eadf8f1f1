"""A store of release 0.1 is opened, brought up to date, and answers as it did; nothing is said that was not decided."""

from __future__ import annotations

import json
import shutil
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pytest

from live import start
from medloupe.accounts.person import LOCAL
from medloupe.embed.samples import generate_images
from medloupe.inference.predictors import predictor
from medloupe.model.decision import Decision
from medloupe.serving.engine.journal import Journal
from medloupe.store.models import Store

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
SAID = json.loads((GOLDEN / "store-0.1.json").read_text("utf-8"))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    with zipfile.ZipFile(GOLDEN / "store-0.1.zip") as archive:
        archive.extractall(home)
    for folder in ("blobs", "models"):
        assert (home / folder).is_dir()
    return home


def revision(home: Path) -> str:
    with sqlite3.connect(home / "medloupe.sqlite") as database:
        return database.execute("select version_num from alembic_version").fetchone()[0]


def test_its_database_is_brought_up_to_date_and_its_model_answers_as_before(old: Path) -> None:
    assert revision(old) == "0004"
    store = Store(old)
    model = store.get(SAID["name"])
    assert revision(old) > "0004"
    assert list(model.labels) == SAID["labels"]
    decision = Decision.from_card(model.card)
    assert decision.legacy and decision.rule.unclear_from is None
    assert decision.roles.of("normal") == "normal", "by its name"
    asked = predictor(model)
    for pixels, before in zip(generate_images(model.backbone.card.input_size), SAID["probabilities"], strict=False):
        said = asked.predict(pixels)
        np.testing.assert_allclose(list(said.probabilities.values()), before, atol=1e-6)
        if not pixels.any() or pixels.std() == 0:
            assert said.state == "unusable", "blank pictures are answered by nobody any more"
            continue
        assert said.prediction == SAID["labels"][int(np.argmax(before))], "its weights turn no answer round any more"
        assert said.state == "answered", "of its findings no name is known to be one"
    store.engine.dispose()


def test_its_answers_are_remembered_with_the_state_that_was_known(old: Path) -> None:
    store = Store(old)
    journal = Journal(store.engine, old / "images")
    found = {entry.id[-1]: entry for entry in journal.mine(LOCAL)}
    assert {number: entry.state for number, entry in found.items()} == {"1": "answered", "2": "refused"}
    assert found["1"].alias == ""
    journal.close()
    store.engine.dispose()


def test_its_pages_open(old: Path, tmp_path: Path) -> None:
    home = tmp_path / "served"
    shutil.copytree(old, home)
    server = start(home, MEDLOUPE_STARTERS="none")
    with server.client(follow_redirects=True) as client:
        history = client.get("/history").text
        assert history.count('<li class="pastrow">') == 2
        for number in "12":
            page = client.get(f"/results/{'0' * 31}{number}")
            assert page.status_code == 200
        both = client.get(f"/results/{'0' * 31}1").text
        assert "50%" in both and "20%" in both
        assert client.get("/checkups/tiny").status_code == 200
    assert server.stop() == 0
