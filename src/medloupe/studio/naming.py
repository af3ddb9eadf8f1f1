"""Choose the name of a model by what people call it."""

from __future__ import annotations

import re
import unicodedata

from medloupe.starter import shipped
from medloupe.store.datasets import Datasets
from medloupe.store.models import Store

_ELSE = re.compile(r"[^a-z0-9]+")
_LONGEST = 50


def choose_name(title: str, sets: Datasets, store: Store) -> str:
    """Choose a name that no data set and no model has: "Spots in cells" becomes "spots-in-cells"."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    base = _ELSE.sub("-", plain).strip("-")[:_LONGEST].strip("-") or "check-up"
    taken = {data.name for data in sets.list()} | {*shipped.list_offered(), "auto"}
    name, number = base, 1
    while name in taken or store.has(name):
        number += 1
        name = f"{base}-{number}"
    return name
