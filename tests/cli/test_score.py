"""What `medloupe score` refuses before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from generated import run


@pytest.mark.parametrize(
    ("source", "out", "said"),
    [
        ("http://example.org/in", "out", "unencrypted"),
        ("ftp://example.org/in", "out", "are not read"),
        ("in", "https://example.org/out", "can only be read"),
    ],
)
def test_places_that_cannot_be_used_are_refused_and_nothing_is_made(
    source: str,
    out: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(capsys, "score", "pneumonia", source, "--out", out)
    assert ran.code == 2
    assert said in " ".join(ran.err.replace("│", " ").split())
    assert not list(tmp_path.iterdir())
