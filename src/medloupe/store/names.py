"""Check how models are named, and read how a person refers to one."""

from __future__ import annotations

import re
from typing import Literal

from medloupe.errors import StoreError

# A number; the version that answers under the bare name; the newest one above that; or None: see where it is taken.
Version = int | Literal["production", "candidate"] | None

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def is_name(text: str) -> bool:
    """Tell whether a model could have that name; what people send to a server may be anything."""
    return bool(_NAME.fullmatch(text))


def check_name(name: str) -> None:
    """Check that name can name a model. Raises StoreError, with a proposal."""
    if not _NAME.fullmatch(name) or name == "auto" or name.endswith(".onnx"):
        cleaned = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:64]
        raise StoreError(
            f"{name!r} cannot name a model: a name has up to 64 small letters, digits, '.', '_' and '-', begins with a"
            " letter or digit, and is neither 'auto' nor a file name.",
            f"Try {cleaned!r}." if _NAME.fullmatch(cleaned) else "",
        )


def parse_reference(text: str) -> tuple[str, Version]:
    """Read how a person names a version. Raises StoreError.

    "lungs@3" is ("lungs", 3), "lungs@candidate" is ("lungs", "candidate"), and "lungs" has None.
    """
    name, at, version = text.partition("@")
    check_name(name)
    if not at:
        return name, None
    if version == "production" or version == "candidate":
        return name, version
    if not (version.isascii() and version.isdigit() and len(version) <= 18 and int(version) > 0):
        raise StoreError(
            f"{text!r} names no version: {version!r} is not a whole number above 0.",
            "Write NAME@3, NAME@production or NAME@candidate.",
        )
    return name, int(version)
