"""Hold what the templates are given to show an answer."""

from __future__ import annotations

from dataclasses import dataclass

from medloupe.serving.web.applies import QuestionView
from medloupe.serving.web.bars import Bar
from medloupe.serving.web.boxes import BoxesView
from medloupe.serving.web.cards import Label
from medloupe.serving.web.cardtext import CardText
from medloupe.serving.web.cells import CellsView
from medloupe.serving.web.ecg import EcgView
from medloupe.serving.web.inputs import InputEffects
from medloupe.serving.web.kinds import PICTURE, PageKind


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPicture:
    """A picture within the page.

    Attributes
    ----------
    uri
        A data: URI.
    width, height
        Pixels.
    """

    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatOverlay:
    """A transparent overlay for one label.

    Attributes
    ----------
    index
        Of the overlay on the page.
    name, label
        The label as the model has it, and as people read it.
    uri
        A data: URI, or "" where only the reader's browser has it.
    first
        Whether it is shown first.
    judged
        How often it points at the right place, or "" where that was not measured.
    """

    index: int
    name: str
    label: str
    uri: str
    first: bool
    judged: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherAnswer:
    """What another check-up of the kind says, in a line.

    Attributes
    ----------
    state, chip
        The state, and the same in a word.
    text
        State, label and percentage.
    scope
        Whom and what that check-up is for.
    """

    title: str
    state: str
    chip: str
    text: str
    scope: tuple[CardText, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    """The answer to one picture or ECG.

    Attributes
    ----------
    key
        Unique on the page.
    state, chip
        One of model.decision.STATES, or "failed", and the same in a word.
    headline, lines
        What is said first, and what must be said with it.
    weak
        That the check-up misses too many, or "".
    because, because_english
        Why nothing is said and what to do; the second where there are no words for it in the reader's language.
    scope
        Whom and what the check-up is for.
    alias
        Its short name, or "".
    question
        On which the answer depends, or None.
    others
        What the other check-ups of the kind say.
    chosen
        Whether the app chose the check-up.
    kind
        Of data that was sent.
    drawing
        A data: URI of an example of a kind that is drawn, or "".
    kept_away
        Whether the reader's browser alone may have picture, heat maps and drawing.
    outside
        Whether the strongest place lies outside of what the picture shows.
    reach
        Of ordered classes the bars of each grade or a worse one.
    bars, rest
        The bars of the labels, and those of the less probable ones.
    boxes, whole
        Of a detector what it found, and bars of how probable each label is anywhere in the picture.
    cells
        Of a composed check-up what it says of all that it found and asked about.
    detail
        What the program says of a failure, in English.
    notes
        What its percentages and roles mean.
    terms
        What the licence of its data forbids, or "".
    """

    key: str
    state: str
    chip: str = ""
    id: str = ""
    file: str = ""
    name: str = ""
    title: str = ""
    chosen: bool = False
    scope: tuple[CardText, ...] = ()
    others: tuple[OtherAnswer, ...] = ()
    question: QuestionView | None = None
    alias: str = ""
    picture: AnswerPicture | None = None
    heats: tuple[HeatOverlay, ...] = ()
    outside: bool = False
    kept_away: bool = False
    headline: str = ""
    lines: tuple[str, ...] = ()
    weak: str = ""
    because: str = ""
    because_english: str = ""
    instead: str = ""
    instead_url: str = ""
    reach: tuple[Bar, ...] = ()
    bars: tuple[Bar, ...] = ()
    rest: tuple[Bar, ...] = ()
    inwords: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    limits: tuple[CardText, ...] = ()
    terms: str = ""
    meta: tuple[tuple[str, str], ...] = ()
    passport: str = ""
    feedback: bool = False
    several: bool = False
    labels: tuple[Label, ...] = ()
    moved: InputEffects | None = None
    ecg: EcgView | None = None
    kind: PageKind = PICTURE
    drawing: str = ""
    boxes: BoxesView | None = None
    whole: tuple[Bar, ...] = ()
    cells: CellsView | None = None
    detail: str = ""

    @property
    def has_limits(self) -> bool:
        """Whether a line is drawn at any bar."""
        return any(bar.limit is not None for bar in (*self.bars, *self.rest))
