"""Read the parts of cards and reports that may be missing or half filled, so that what is there can be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PICTURE = re.compile(r"data:image/(png|jpeg|webp|gif|svg\+xml);base64,[A-Za-z0-9+/=\s]+\Z")


def as_mapping(x: Any) -> Mapping[str, Any]:
    """Return x where it is a mapping, else an empty one."""
    return x if isinstance(x, Mapping) else {}


def entries(listed: Any) -> list[Mapping[str, Any]]:
    """Return the mappings of a list or tuple; [] of anything else."""
    return [e for e in listed if isinstance(e, Mapping)] if isinstance(listed, list | tuple) else []


def is_picture(text: Any) -> bool:
    """Say whether text is an embedded picture (a data URL): the page loads nothing."""
    return isinstance(text, str) and bool(PICTURE.match(text))
