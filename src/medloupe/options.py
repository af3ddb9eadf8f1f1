"""What a person may ask of a training, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medloupe.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from medloupe.tails import Tail

HOW = ("none", "tail", "full", "auto")
MINUTES = 15.0  # that `auto` may take where nothing is said


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """seed: of all randomness. sensitivity: at which the operating point of each label is set. finetune: one of HOW.
    minutes: that fine-tuning may take (None: `auto` MINUTES, the others as long as they need). start: a tail to go on
    from. search: whether to look for a better recipe within the minutes. scratch: whether to train the same network
    from random weights beside it, to compare. Raises DataError for values that make no sense."""

    seed: int = 0
    sensitivity: float = 0.9
    finetune: str = "none"
    minutes: float | None = None
    start: Tail | None = None
    search: bool = False
    scratch: bool = False

    def __post_init__(self) -> None:
        if not 0.5 <= self.sensitivity < 1:
            raise DataError(f"The sensitivity {self.sensitivity} is not between 0.5 and 1.", "Give for example 0.95.")
        if self.seed < 0:
            raise DataError(f"The seed {self.seed} is negative.", "Give 0 or a whole number above.")
        if self.finetune not in HOW:
            raise DataError(
                f"There is no way of fine-tuning {self.finetune!r}; known are {', '.join(HOW)}.",
                did_you_mean(self.finetune, HOW),
            )
        if self.minutes is not None and not 0 < self.minutes < 100_000:
            raise DataError(f"{self.minutes:g} minutes make no sense.", "Give for example --minutes 15.")
        if self.search and self.finetune not in ("tail", "full"):
            raise DataError("A search tries recipes of fine-tuning.", "Add --finetune tail or full.")

    @property
    def key(self) -> tuple[object, ...]:
        """All that the outcome depends on."""
        start = self.start.sha256 if self.start else ""
        return self.seed, self.sensitivity, self.finetune, self.minutes, start, self.search, self.scratch
