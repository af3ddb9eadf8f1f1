"""Ctrl-C and kill -9 at any moment of a training: no half-made model, nothing embedded is lost, nothing left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import generated
from medloupe.embed.features import open_cache
from medloupe.embed.registry import backbone
from medloupe.modelfile.card import read_card
from medloupe.store.models import Store
from remains import leftovers

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent")


def begin(data: Path, home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "medloupe", "train", str(data), "--name", "cells", "--home", str(home), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def cached(home: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("MEDLOUPE_HOME", str(home))
    return len(open_cache(backbone()).rows)


def whole(home: Path) -> int:
    """How many versions are listed; asserts that each is complete and answers."""
    listed = Store(home).list()
    for v in listed:
        model = Store(home).get(v.name, v.version)
        folder = Store(home).folder(v.name, v.version)
        assert read_card(folder / "model.onnx")["version"] == v.version
        assert (folder / "report.html").read_text("utf-8").rstrip().endswith("</html>")
        assert model.predict(generated.tissue(5, True)).prediction in ("normal", "sick")
    return len(listed)


def test_ctrl_c_ends_with_one_line_and_130(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = generated.folders(tmp_path / "cells", 40)
    before, expected = 0, 1

    def kept() -> int:
        return sum(path.stat().st_size for path in home.glob("cache/features/**/*") if path.is_file())

    for embedding in (False, True):  # at the very beginning; while pictures are embedded
        had = kept()
        process = begin(data, home)
        while process.poll() is None and not (kept() > had if embedding else home.exists()):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        if process.returncode == 0:  # this machine was done before
            expected = 2
            break
        assert process.returncode == 130
        assert out == ""
        assert err.splitlines() == [
            "medloupe: stopped. What was embedded so far is kept; the same command goes on from there."
        ]
        assert whole(home) == 0
        assert cached(home, monkeypatch) >= before
        before = cached(home, monkeypatch)
    out, err = begin(data, home).communicate(timeout=120)
    assert f'"version": {expected}' in out, err
    assert whole(home) >= 1
    assert leftovers(home) == []


def test_ctrl_c_that_a_parent_ignores_is_ignored(home: Path, tmp_path: Path) -> None:
    """`nohup medloupe train &` must outlive the terminal."""
    data = generated.folders(tmp_path / "cells", 6)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = begin(data, home)
    finally:
        signal.signal(signal.SIGINT, before)
    time.sleep(0.6)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


@pytest.mark.slow
def test_kill_9_at_any_moment(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = generated.folders(tmp_path / "cells", 60)
    started = time.perf_counter()
    process = begin(data, tmp_path / "untouched")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    took = time.perf_counter() - started
    rng = np.random.default_rng(9)
    counts = []
    for pause in np.sort(rng.uniform(0.1, 1.0, 6)) * took:
        process = begin(data, home)
        time.sleep(pause)
        process.kill()
        process.communicate(timeout=60)
        whole(home)
        counts.append(cached(home, monkeypatch))
    assert counts == sorted(counts)  # nothing that was embedded is lost
    have = whole(home)
    process = begin(data, home)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert whole(home) == have + 1
    assert leftovers(home) == []
    assert len(list(home.glob("models/*/*"))) == have + 1
    weights = [Store(place).get("cells").head.weight for place in (home, tmp_path / "untouched")]
    assert np.array_equal(*weights)  # and what was interrupted ends up the same
