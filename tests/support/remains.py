"""What a stopped run may leave behind."""

from __future__ import annotations

from pathlib import Path


def leftovers(home: Path) -> list[str]:
    """Temporary files and folders that nobody owns."""
    return [str(p) for p in home.rglob("*") if p.name.startswith(".") or ".tmp" in p.name or p.name.endswith(".part")]
