"""What `medloupe score` refuses before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from generated import run


@pytest.mark.parametrize("places", [("s3://bucket/in", "out"), ("in", "s3://bucket/out")])
def test_places_elsewhere_are_refused_and_nothing_is_made(
    places: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(capsys, "score", "pneumonia", places[0], "--out", places[1])
    assert ran.code == 2
    assert "mounted" in " ".join(ran.err.replace("│", " ").split())
    assert not list(tmp_path.iterdir())
