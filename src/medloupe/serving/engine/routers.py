"""Make the routers by which the app finds the kind of a picture, one for each network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from medloupe.inference.everyday import load_everyday
from medloupe.model.router import Router
from medloupe.starter.printed_ecg import load_printed_ecg

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp


def routers_by_network(checkups: Sequence[CheckUp]) -> Sequence[tuple[Router, CheckUp]]:
    """Make a router over the check-ups of each network, with one of these; the network most of them use comes first.

    Only check-ups trained on the network that most were trained on: of it, several precisions may run. Those with a
    network of their own are found by what their pictures look like to it.
    """
    able = [c for c in checkups if c.novelty is not None and c.novelty.can_choose and not c.whole and c.windows is None]
    if not able:
        return ()
    base, _ = Counter(c.base for c in able).most_common(1)[0]
    able = [c for c in able if c.base == base]
    found = []
    for network, _ in Counter(c.network_sha256 for c in able).most_common():
        sharing = [c for c in able if c.network_sha256 == network]
        kinds = {c.name: c.novelty for c in sharing if c.novelty is not None}
        if not found:
            kinds |= {c.name: c.sight.novelty for c in checkups if c.sight is not None and c.sight.network == base}
        found.append((Router(kinds, load_everyday(network), load_printed_ecg(network)), sharing[0]))
    return found
