"""Where things lie: the checkout, its tests, the real data sets."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
GOLDEN = TESTS / "golden"
DATA = ROOT.parent / "shared" / "data"
