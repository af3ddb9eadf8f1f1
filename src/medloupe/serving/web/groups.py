"""Put check-ups into groups by what they look at, in the order in which home shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from medloupe.serving.web.kinds import page_kind
from medloupe.starter.shipped import EVERYDAY

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp

GROUPS = ("chest", "blood", "skin", "brain", "eye", "breast", "heart", "own", "everyday")
"""In an order in which those of two shipped check-ups and those of one fill a row of three together."""
_KINDS = {  # what a card says that its pictures are of
    "chest x-ray": "chest",
    "dermoscopy": "skin",
    "photograph of skin": "skin",
    "fundus": "eye",
    "blood cell": "blood",
    "brain mri": "brain",
    "breast ultrasound": "breast",
    "ecg": "heart",
}


def group_of(checkup: CheckUp) -> str:
    """Find the group of a check-up: by what its card says that it looks at; "own" where that is nothing known."""
    if checkup.version is None and checkup.name == EVERYDAY:
        return "everyday"
    if page_kind(checkup.modality).trace:
        return "heart"
    return _KINDS.get(checkup.looks_at.strip().casefold(), "own")


def group(checkups: Sequence[CheckUp]) -> list[tuple[str, list[CheckUp]]]:
    """List the groups that have any check-up, each with its own in the order given."""
    found = {name: [c for c in checkups if group_of(c) == name] for name in GROUPS}
    return [(name, own) for name, own in found.items() if own]
