"""Show a check-up on home: its card, how strong it is in a word, and drawings to try it with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medloupe.model.strength import STRONG_FALSE_FLAGS, Strength
from medloupe.serving.web.cards import Card, describe_checkup
from medloupe.serving.web.cardtext import describe_terms
from medloupe.serving.web.groups import drawing_of
from medloupe.serving.web.language import Language
from medloupe.serving.web.samples import samples_of

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkView:
    """How strong a check-up is.

    Attributes
    ----------
    mark, word
        As `Strength` has it, and in the reader's language.
    because
        By what, in a sentence.
    """

    mark: str
    word: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A check-up on home.

    Attributes
    ----------
    drawn, samples
        Of which drawings it can be tried with, as groups.drawing_of has it, and their numbers.
    terms
        What the licence of its data forbids, or "".
    """

    card: Card
    mark: MarkView
    drawn: str
    samples: tuple[int, ...]
    terms: str


def describe_tile(checkup: CheckUp, lang: Language, *, passport: str = "") -> Tile:
    """Show a check-up."""
    return Tile(
        card=describe_checkup(checkup, lang, passport=passport),
        mark=describe_mark(checkup.strength, lang, beats=checkup.beats),
        drawn=drawing_of(checkup),
        samples=samples_of(checkup),
        terms=describe_terms(checkup, lang, short=True),
    )


def describe_mark(strength: Strength, lang: Language, *, beats: bool = False) -> MarkView:
    """Say how strong a check-up is, and by what."""
    word = lang.t(f"mark.{strength.mark}")
    if strength.low is None:
        return MarkView(mark=strength.mark, word=word, because=lang.t("mark.unknown_because"))
    key = "mark.low_places" if strength.places else "mark.low"
    said = [lang.t(key, n=lang.hundred(strength.low))]
    if strength.examples is not None:
        key = "mark.places" if strength.places else "mark.beats" if beats else "mark.examples"
        said.append(lang.t(key, n=strength.examples, groups=lang.number(strength.groups or 0)))
    if (strength.false_flags or 0.0) > STRONG_FALSE_FLAGS:
        said.append(lang.t("mark.false_flags", n=lang.hundred(strength.false_flags or 0.0)))
    if strength.elsewhere is not None:
        said.append(lang.t("mark.elsewhere", n=lang.hundred(strength.elsewhere)))
    if strength.coarse:
        said.append(lang.t("mark.coarse"))
    if strength.misses:
        said.append(lang.t("mark.misses"))
    return MarkView(mark=strength.mark, word=word, because=" ".join(said))
