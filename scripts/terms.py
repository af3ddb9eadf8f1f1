"""What the data sets allow of models that were trained on them: `python scripts/terms.py` checks what is shipped.

The wheel `medloupe`, and whatever all models share, holds nothing that was made from other than open data (attribution
at most). Check-ups from data for non-commercial use or research alone, or whose licence is not stated, go into the
wheel `medloupe-research`. The check goes by the data sets that each card names: those it was trained on and those that
its boundary to other kinds of picture was drawn with.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
MAIN = ROOT / "src" / "medloupe" / "starter" / "checkups"
KIND_BANK = ROOT / "src" / "medloupe" / "starter" / "kind-bank.npz"
RESEARCH = ROOT / "research" / "src" / "medloupe_research" / "checkups"
OPEN = frozenset(
    {
        "blood_cells",
        "bone_boxes",
        "brain_mri",
        "breast_ultrasound",
        "chest_findings",
        "chest_findings_more",
        "chest_heart_size",
        "chest_pneumonia",
        "ecg_12lead",
        "ecg_beats",
        "ecg_images",
        "fundus_idrid",
        "heart_sounds",
        "malaria",
        "malaria_colour",
        "oct",  # without those from oct_c8_train: NOT_OPEN
        "drawn",  # made by scripts/kind_sights.py
        "scikit-image",  # the photographs that come with the package
    }
)
"""Folders of the data whose licence asks for attribution at most; of all others nothing enters the first wheel."""
NOT_OPEN = {"oct": ("source", frozenset({"oct_c8_train"}))}
"""Of an open folder the column, and its values, that mark what is not."""


def place_of(terms: str) -> Path:
    """The folder of the wheel into which a check-up of such terms goes."""
    return MAIN if terms == "open" else RESEARCH


def find_breaches() -> list[str]:
    """Which shipped check-ups lie in the wrong wheel, or do not say what they were made from; a sentence each."""
    said = []
    for folder in (MAIN, RESEARCH):
        for path in sorted(folder.glob("*/card.json")):
            said += _breaches_of(json.loads(path.read_text("utf-8")), path.parent.name, open_only=folder == MAIN)
    about = json.loads(bytes(np.load(KIND_BANK)["about"]))
    shared = {entry["name"].removesuffix(" photographed") for entry in about["sets"]} - OPEN
    if shared:
        said.append(
            f"{KIND_BANK.name}: it was made from {', '.join(sorted(shared))}, which is not open; all models share it."
        )
    return said


def _breaches_of(card: dict[str, Any], name: str, *, open_only: bool) -> list[str]:
    made_from = card.get("shipped", {}).get("made_from")
    if not made_from or not card.get("terms"):
        return [f"{name}: its card names no data sets (shipped.made_from) or no terms."]
    wrong = sorted(set(made_from) - OPEN)
    if open_only and wrong:
        return [f"{name}: it was made from {', '.join(wrong)}, which is not open; it belongs into medloupe-research."]
    if open_only and card["terms"] != "open":
        return [f"{name}: its terms are {card['terms']!r} in the wheel of open data."]
    if not open_only and card["terms"] == "open":
        return [f"{name}: its terms are open; it belongs into the first wheel."]
    return []


if __name__ == "__main__":
    breaches = find_breaches()
    raise SystemExit("\n".join(breaches) if breaches else 0)
