"""Tell how far a picture may be shrunk before it is sent, and say in the answer that it was."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medloupe.data.modalities import PICTURES
from medloupe.imaging.facts import Fact
from medloupe.imaging.quality import LEAST_SIDE

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp

FIELD = "shrunk"
"""Of a form: width and height before, upright, as 4000x3000."""
_PER_SIDE = 640 / 224
"""Pixels of the longer side for one that the network reads: twice that for the resampling, and the rest for a
photograph whose picture fills two thirds of it; the photograph finder itself looks at 480."""
_ROOM = 2  # times the fewest pixels that the check-up takes
_SIZE = re.compile(r"([1-9]\d{0,5})x([1-9]\d{0,5})")


@dataclass(frozen=True, slots=True)
class SendingLimits:
    """How far a picture may be shrunk: its longer side not below `longer` pixels, its shorter not below `shorter`."""

    longer: int
    shorter: int

    def as_json(self) -> dict[str, int]:
        """Give the entry of a check-up's JSON."""
        return {"longer": self.longer, "shorter": self.shorter}


def sending_limits(checkup: CheckUp) -> SendingLimits | None:
    """Tell how far a picture may be shrunk for a check-up; None where it is wanted as it is.

    That is so for what is no picture, for check-ups that mark places or look at parts of a picture, whatever the size
    of their network, and for those without a network of a known size.
    """
    whole = checkup.finds_boxes or checkup.full_above is not None or checkup.asks is not None or checkup.decision.crops
    if checkup.windows is not None or checkup.modality != PICTURES.name or whole:
        return None
    least = LEAST_SIDE if checkup.quality is None else checkup.quality.values.get("shorter", LEAST_SIDE)
    return SendingLimits(math.ceil(_PER_SIDE * checkup.size), math.ceil(_ROOM * max(least, LEAST_SIDE)))


def limits_for_any(checkups: Sequence[CheckUp]) -> SendingLimits | None:
    """Tell the same where any of these may be asked: the most that one wants; None where one wants it as it is."""
    found = [sending_limits(c) for c in checkups if c.modality == PICTURES.name and c.windows is None]
    known = [limits for limits in found if limits is not None]
    if not known or len(known) < len(found):
        return None
    return SendingLimits(max(limits.longer for limits in known), max(limits.shorter for limits in known))


def read_shrunk(value: str | None) -> tuple[Fact, ...]:
    """Say that a picture was shrunk before it was sent, by the field `shrunk`; nothing where that cannot be read."""
    size = _SIZE.fullmatch((value or "").strip())
    return (Fact("shrunk", {"width": int(size[1]), "height": int(size[2])}),) if size else ()
