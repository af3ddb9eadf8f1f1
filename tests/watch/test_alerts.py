"""The rules for Prometheus: each reads figures that a server gives, with labels that they have, and says what to do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import generated
from live import Live, running
from negatives import png
from places import ROOT
from trained import Trained

_NAME = re.compile(r"\b(?:medloupe_[a-z_]+|up)\b")
_LABEL = re.compile(r"([a-z_]+)(?:=~?)\"")


@pytest.fixture(scope="module")
def asked(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("alerts") / "home"
    shutil.copytree(_trained.home, home)
    with running(home, "--no-worker") as live:
        yield live


def rules() -> list[dict[str, Any]]:
    told = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text("utf-8"))
    assert list(told) == ["groups"]
    return [rule for group in told["groups"] for rule in group["rules"]]


def test_each_rule_reads_figures_that_there_are(asked: Live) -> None:
    with asked.client() as client:
        for i in range(3):
            headers = {"Medloupe-Site": "Ward A"}
            files = {"image": ("p.png", png(generated.tissue(7400 + i, True)))}
            assert client.post("/api/v1/models/spots/predict", files=files, headers=headers).status_code == 200
        text = client.get("/metrics").text
    families = {f.name: f for f in text_string_to_metric_families(text)}
    samples = {s.name: set(s.labels) for f in families.values() for s in f.samples}
    named = {**{name: set() for name in families}, **samples, "up": {"job", "instance"}}
    for rule in rules():
        assert {"alert", "expr", "labels", "annotations"} <= set(rule), rule
        assert rule["annotations"]["summary"] and rule["annotations"]["what_to_do"]
        used = _NAME.findall(rule["expr"])
        assert used, rule
        for name in used:
            assert name in named, f"{rule['alert']} reads {name}, which there is not"
        wanted = set(_LABEL.findall(rule["expr"]))
        assert wanted <= set().union(*(named[name] for name in used)), rule["alert"]
        assert rule["expr"].count("(") == rule["expr"].count(")")
    pictures = [s for s in families["medloupe_watch_pictures"].samples if s.labels["model"] == "spots"]
    assert [(s.labels["site"], s.value) for s in pictures] == [("Ward A", 3.0)]
    assert families["medloupe_watch_up"].samples[0].value == 1
    assert families["medloupe_pilot_running"].samples[0].value == 0
    assert Path(ROOT / "docs" / "watch.md").read_text("utf-8").count("alerts.yml")
