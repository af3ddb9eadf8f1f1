"""Cards with one odd entry: each is refused at the door, or all that shows it can show it; and none breaks a page."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny
from live import Live, running
from medloupe.cli.console import print_card
from medloupe.errors import ModelFileError
from medloupe.model.bundle import Model
from medloupe.modelfile.schema import card_fault, drop_unsound_entries
from medloupe.report.pages import render
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.web.guard import show_each
from medloupe.serving.web.language import language
from medloupe.serving.web.tiles import describe_tile
from medloupe.starter import shipped
from medloupe.store.models import Store
from oddcards import odd_cards

TRIED = 60  # of each card's many thousand
ODD: dict[str, dict[str, Any]] = {
    "low-is-text": {"metrics": {"auc": {"value": 0.9, "low": "x", "high": 1.0}}},
    "no-figure": {"metrics": {"auc": 3, "balanced_accuracy": [{}]}},
    "no-object": {"metrics": [1], "data": "x", "split": 7},
    "data": {"data": {"labelled": [1, 2], "name": 5}, "adapted": {"n": "x"}},
    "far": {"metrics": {"auc": {"value": 1e308, "low": -1e308, "high": 1e308}}},
    "decides": {"decision": {"unclear": "x"}},
    "row": {"per_label": [{"label": "no", "operating_point": {"sensitivity": {"value": "x"}}}]},
}


def _show_everywhere(model: Model) -> None:
    for code in ("en", "fr"):
        describe_tile(CheckUp.of(model), language(code))
    with contextlib.redirect_stdout(io.StringIO()):
        print_card(model)
    assert "<html" in render({"card": dict(model.card)})


@pytest.mark.parametrize("name", ["pneumonia", "arrhythmia", "ecg12"])
def test_what_is_accepted_can_be_shown(name: str) -> None:
    model = shipped.load_shipped(name)
    accepted = 0
    for where, card in odd_cards({**model.card, "version": 1}, TRIED, seed=7):
        if card_fault(card):
            continue
        accepted += 1
        try:
            _show_everywhere(replace(model, card=card))
        except Exception as e:
            raise AssertionError(f"accepted, but not to be shown: {where}") from e
    assert TRIED / 10 < accepted < TRIED * 9 / 10


def test_what_only_describes_is_left_out_and_what_decides_is_refused(tmp_path: Path) -> None:
    model = tiny.model(tmp_path)
    sound = {**model.card, "backbone": model.backbone.as_json()}
    kept, dropped = drop_unsound_entries({**sound, "metrics": {"auc": {"low": "x"}}, "audit": 3, "title": "T"})
    assert dropped == ("audit", "metrics")
    assert kept == {**{k: v for k, v in sound.items() if k not in dropped}, "title": "T"}
    for name, entry in (("decision", [1]), ("labels", []), ("roles", {"by": 3})):
        with pytest.raises(ModelFileError, match="Its card"):
            drop_unsound_entries({**sound, name: entry})


def test_one_that_cannot_be_shown_costs_no_other() -> None:
    shown, failed = show_each([("a", 1), ("b", 0), ("c", 2)], lambda n: 2 / n)
    assert (shown, failed) == ([2.0, 1.0], ["b"])


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server whose store holds odd cards, as an earlier version took them in, and a sound one."""
    folder = tmp_path_factory.mktemp("odd")
    made, store = tiny.model(folder), Store(folder / "home")
    for name, card in {**ODD, "sound": {}}.items():
        entry = {**made.card, "name": name, "backbone": made.backbone.as_json(), **card}
        model = replace(made, card=entry)
        for _ in range(2):
            store.add(model, write_files=lambda into, _: (into / "model.onnx").write_bytes(b"onnx") and None)
    with running(folder / "home") as live:
        yield live


def test_pages_of_a_store_with_odd_cards(full: Live) -> None:
    with full.client() as client:
        for path in ("/", "/models", "/api/v1/models", "/history", "/choose"):
            page = client.get(path)
            assert page.status_code == 200, path
            if path in ("/", "/models", "/api/v1/models"):
                assert "sound" in page.text.lower()
                assert "decides" in page.text, "which one does not answer is said"
        for name in ODD:
            for path in (f"/models/{name}?a=1&b=2", f"/api/v1/models/{name}", f"/api/v1/models/{name}/card"):
                assert client.get(path).status_code in (200, 503 if name in ("decides", "row") else 200), path
        assert client.get("/checkups/sound").status_code == 200
    assert not [line for line in full.lines() if line.get("status") == 500]
