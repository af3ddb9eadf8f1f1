"""axe-core in a page of the tests' browser: what it finds wrong, as lines to read."""

from __future__ import annotations

import os
from typing import Any

import pytest

from places import ROOT

_FILE = ROOT / "build" / "axe-core" / "axe.min.js"
_MISSING = "axe-core is not there: python scripts/axe.py fetches it, as `make test` does"
_RUN = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations.flatMap(v => v.nodes.map(n => `${v.id} (${v.impact}): ${n.target} ${n.html.slice(0, 160)}`));
}"""


@pytest.fixture(scope="session")
def axe() -> str:
    """The script, to be given to a context before its pages are opened."""
    if not _FILE.exists():
        if os.environ.get("CI"):
            pytest.fail(_MISSING)
        pytest.skip(_MISSING)
    return _FILE.read_text("utf-8")


def violations(page: Any) -> list[str]:
    """What is wrong with the page as it stands."""
    return page.evaluate(_RUN)
