"""Hold what the templates are given to show an answer."""

from __future__ import annotations

from dataclasses import dataclass

from medloupe.serving.web.bars import Bar
from medloupe.serving.web.cards import Label
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
    """A transparent overlay for one label."""

    index: int
    label: str
    uri: str
    first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    """The answer to one picture or ECG.

    Attributes
    ----------
    key
        Unique on the page.
    state
        "answered", "refused" or "failed".
    chosen
        Whether the app chose the check-up.
    kind
        Of data that was sent.
    drawing
        A data: URI of an example of a kind that is drawn, or "".
    detail
        What the program says of a failure, in English.
    calibrated
        What its percentages mean.
    """

    key: str
    state: str
    id: str = ""
    file: str = ""
    name: str = ""
    title: str = ""
    chosen: bool = False
    picture: AnswerPicture | None = None
    heats: tuple[HeatOverlay, ...] = ()
    says: str = ""
    headline: str = ""
    flags: tuple[str, ...] = ()
    flagged: bool = False
    because: str = ""
    instead: str = ""
    instead_url: str = ""
    bars: tuple[Bar, ...] = ()
    inwords: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    meta: tuple[tuple[str, str], ...] = ()
    passport: str = ""
    feedback: bool = False
    several: bool = False
    labels: tuple[Label, ...] = ()
    moved: InputEffects | None = None
    ecg: EcgView | None = None
    kind: PageKind = PICTURE
    drawing: str = ""
    detail: str = ""
    calibrated: str = ""

    @property
    def has_limits(self) -> bool:
        """Whether a line is drawn at any bar."""
        return any(bar.limit is not None for bar in self.bars)
