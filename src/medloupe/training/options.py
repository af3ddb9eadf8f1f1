"""What a person may ask of a training, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medloupe.errors import DataError, did_you_mean
from medloupe.inputs.projection import LONGEST_MASK, MOST_MASKS

if TYPE_CHECKING:
    from medloupe.embed.hub.text import TextNetwork
    from medloupe.embed.tail import Tail

HOW = ("none", "tail", "full", "auto")
MINUTES = 15.0  # that `auto` may take where nothing is said


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """seed: of all randomness. sensitivity: at which the operating point of each label is set. finetune: one of HOW.
    minutes: that fine-tuning may take (None: `auto` MINUTES, the others as long as they need). start: a tail to go on
    from. search: whether to look for a better recipe within the minutes. scratch: whether to train the same network
    from random weights beside it, to compare. clinical: columns to read beside the picture, ("all",) for all that pass
    the leak probe, () for none, None for what the reader proposes. notes: column of free text. notes_model: the network
    that reads it; None for its letters. mask: words to blank in it; None for those found to state the label.
    keep_leaks: whether columns that name the answer are used all the same.
    Raises DataError for values that make no sense."""

    seed: int = 0
    sensitivity: float = 0.9
    finetune: str = "none"
    minutes: float | None = None
    start: Tail | None = None
    search: bool = False
    scratch: bool = False
    clinical: tuple[str, ...] | None = None
    notes: str | None = None
    notes_model: TextNetwork | None = None
    mask: tuple[str, ...] | None = None
    keep_leaks: bool = False

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
        if self.notes_model is not None and self.notes is None:
            raise DataError("A network is to read notes, and none are given.", "Name their column with --notes.")
        if self.mask is not None and self.notes is None:
            raise DataError("Words are masked in notes, and none are to be read.", "Name their column with --notes.")
        if self.mask and (len(self.mask) > MOST_MASKS or max(map(len, self.mask)) > LONGEST_MASK):
            raise DataError(
                f"At most {MOST_MASKS} words of at most {LONGEST_MASK} letters can be masked.",
                "Use * for any letters: *covid* masks every word that holds it.",
            )

    @property
    def key(self) -> tuple[object, ...]:
        """All that the outcome depends on."""
        start = self.start.sha256 if self.start else ""
        reader = (self.notes_model.sha256, self.notes_model.words) if self.notes_model else ()
        extras = self.clinical, self.notes, reader, self.mask, self.keep_leaks
        return self.seed, self.sensitivity, self.finetune, self.minutes, start, self.search, self.scratch, extras
