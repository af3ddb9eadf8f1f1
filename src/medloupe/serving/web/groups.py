"""Put check-ups into groups by what they look at, in the order in which home shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from medloupe.serving.web.kinds import page_kind
from medloupe.starter.shipped import EVERYDAY

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp

GROUPS = ("chest", "blood", "brain", "skin", "breast", "eye", "heart", "bowel", "own", "everyday")
"""In an order in which those of two shipped check-ups and those of one fill a row of three together."""
_KINDS = {  # what a card says that its pictures are of
    "chest x-ray": "chest",
    "dermoscopy": "skin",
    "photograph of skin": "skin",
    "fundus": "eye",
    "blood cell": "blood",
    "blood smear": "blood",
    "brain mri": "brain",
    "retinal oct": "eye",
    "breast ultrasound": "breast",
    "breast histology": "breast",
    "ecg": "heart",
    "colonoscopy": "bowel",
}
_DRAWN_APART = {"blood smear": "smear", "retinal oct": "layers"}
"""Kinds that look other than the drawings of their group; of some there are none."""


def group_of(checkup: CheckUp) -> str:
    """Find the group of a check-up: by what its card says that it looks at; "own" where that is nothing known."""
    if checkup.version is None and checkup.name == EVERYDAY:
        return "everyday"
    if page_kind(checkup.modality).trace:
        return "heart"
    return _KINDS.get(checkup.looks_at.strip().casefold(), "own")


def drawing_of(checkup: CheckUp) -> str:
    """Name the drawings with which a check-up can be tried: those of its group, or of its own kind of picture."""
    return _DRAWN_APART.get(checkup.looks_at.strip().casefold()) or group_of(checkup)


def group(checkups: Sequence[CheckUp]) -> list[tuple[str, list[CheckUp]]]:
    """List the groups that have any check-up, each with its own in the order given."""
    found = {name: [c for c in checkups if group_of(c) == name] for name in GROUPS}
    return [(name, own) for name, own in found.items() if own]
