"""The notebook in docs/ runs from beginning to end, and what it shows is what running it gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from places import ROOT

NOTEBOOK = ROOT / "docs" / "three-steps.ipynb"
RUN = """
import sys, nbformat
from nbclient import NotebookClient
book = nbformat.read(sys.argv[1], 4)
NotebookClient(book, timeout=300, resources={"metadata": {"path": sys.argv[2]}}).execute()
nbformat.write(book, sys.argv[3])
"""


def printed(book: dict[str, Any]) -> list[str]:
    """What its cells printed, line by line."""
    outputs = [o for cell in book["cells"] for o in cell.get("outputs", []) if o.get("name") == "stdout"]
    return "".join("".join(o["text"]) for o in outputs).splitlines()


def test_it_is_kept_with_what_it_showed() -> None:
    lines = printed(json.loads(NOTEBOOK.read_text("utf-8")))
    assert any(line.startswith("auc ") for line in lines)
    assert any("→ ringed" in line for line in lines)
    assert not any(part in "\n".join(lines) for part in ("/tmp", "/home", "Traceback"))


@pytest.mark.slow
def test_it_runs(tmp_path: Path) -> None:
    out = tmp_path / "ran.ipynb"
    command = [sys.executable, "-W", "ignore", "-c", RUN, str(NOTEBOOK), str(NOTEBOOK.parent), str(out)]
    places = {"IPYTHONDIR": str(tmp_path / "ipython"), "JUPYTER_RUNTIME_DIR": str(tmp_path / "jupyter")}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **places}, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    before, after = (printed(json.loads(p.read_text("utf-8"))) for p in (NOTEBOOK, out))
    assert [line.split(" ")[0] for line in after] == [line.split(" ")[0] for line in before]
