"""Load the shipped head for everyday objects."""

from __future__ import annotations

from functools import lru_cache

from medloupe.model.router import Everyday


@lru_cache(maxsize=2)
def load_everyday(backbone_sha256: str) -> Everyday | None:
    """Load the shipped head for everyday objects, if it belongs to the backbone of that hash, in 8 bits or not.

    It takes 2.6 MB.
    """
    from medloupe.embed.eightbit import hash_shipped_network
    from medloupe.embed.registry import backbone
    from medloupe.starter import shipped

    if backbone_sha256 not in (backbone().sha256, hash_shipped_network()):
        return None
    weight, bias, labels = shipped.load_everyday_head()
    return Everyday(weight=weight, bias=bias, labels=labels)
