"""Name what of a check-up is handed over to a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from medloupe.embed.backbone import BackboneCard
    from medloupe.embed.tail import Tail
    from medloupe.imaging.quality import Limits
    from medloupe.inputs.extras import Extras
    from medloupe.model.applies import Applies
    from medloupe.model.decision import Decision
    from medloupe.model.leads import LeadRule
    from medloupe.model.novelty import Novelty
    from medloupe.model.printed_ecg import PrintedEcg
    from medloupe.model.sight import SharedSight


class CheckUpParts(Protocol):
    """What a check-up is made of, as `serving.engine.checkup.CheckUp` has it."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> int | None: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def decision(self) -> Decision: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def network(self) -> Path: ...  # noqa: D102
    @property
    def network_sha256(self) -> str: ...  # noqa: D102
    @property
    def tail(self) -> Tail | None: ...  # noqa: D102
    @property
    def whole(self) -> bool: ...  # noqa: D102
    @property
    def weight(self) -> np.ndarray: ...  # noqa: D102
    @property
    def bias(self) -> np.ndarray: ...  # noqa: D102
    @property
    def novelty(self) -> Novelty | None: ...  # noqa: D102
    @property
    def quality(self) -> Limits | None: ...  # noqa: D102
    @property
    def extras(self) -> Extras | None: ...  # noqa: D102
    @property
    def windows(self) -> BackboneCard | None: ...  # noqa: D102
    @property
    def leads(self) -> LeadRule | None: ...  # noqa: D102
    @property
    def finds_boxes(self) -> bool: ...  # noqa: D102
    @property
    def precision(self) -> str: ...  # noqa: D102
    @property
    def base(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def applies(self) -> tuple[Applies, ...]: ...  # noqa: D102
    @property
    def sight(self) -> SharedSight | None: ...  # noqa: D102
    @property
    def printed(self) -> PrintedEcg | None: ...  # noqa: D102
    @property
    def chooses_itself(self) -> bool: ...  # noqa: D102
    @property
    def terms(self) -> str: ...  # noqa: D102
    @property
    def licence(self) -> str: ...  # noqa: D102
