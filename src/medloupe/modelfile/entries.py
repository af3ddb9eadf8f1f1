"""Describe the parts of a card: what texts and numbers it may hold, its figures, and the entries by which answers go.

Keys that are not described here are allowed and kept.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from medloupe.modelfile.applies import CONTROL
from medloupe.utils.jsonvalues import FARTHEST

MAX_LABELS = 10_000
MAX_LEADS = 64
MAX_RATE = 100_000  # Hz

Text = Annotated[
    str, StringConstraints(max_length=1000, pattern=rf"^[^{CONTROL}]*[^\s{CONTROL}][^{CONTROL}]*$")
]  # short, with something in it, without control characters
Whole = Annotated[int, Field(gt=0, lt=2**31)]
Number = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST, allow_inf_nan=False)]
Places = Annotated[list[Whole], Field(min_length=2, max_length=2)]
Object = dict[str, Any]


class OpenEntry(BaseModel):
    """What may have keys of which this version knows nothing."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


class CardFigure(OpenEntry):
    """A value with its 95 % interval; null where it cannot be computed."""

    value: Number | None = None
    low: Number | None = None
    high: Number | None = None


Share = CardFigure | Number | None


class ComparedFigure(CardFigure):
    """A figure, and how far it lies from that of the unchanged."""

    difference: CardFigure | None = None


class StateCounts(OpenEntry):
    """What is said of 100 examples: they add up to 100."""

    flagged: int
    unclear: int
    not_flagged: int
    n: int | None = Field(None, description="examples it rests on")
    groups: int | None = Field(None, description="patients or groups it rests on")


class PointCounts(OpenEntry):
    """What is said of 100 with a label and of 100 without."""

    with_: StateCounts | None = Field(None, alias="with")
    without: StateCounts | None = None


class LabelRole(OpenEntry):
    """What a label means for the answer."""

    role: Literal["sought", "normal", "harmless", "none"]
    danger: Annotated[int, Field(ge=1, le=MAX_LABELS)] | None = Field(None, description="1 is the most dangerous")


class CardRoles(OpenEntry):
    """What the labels mean: which are findings, which say that nothing was found."""

    by: Text = Field(description='"told", "curated", or "recognised" by the names of the labels')
    ordered: bool = Field(False, description="whether the labels are grades, the worst last")
    false_flags: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="share of examples without a finding that were allowed a flag when the lines were drawn"
    )
    labels: dict[str, LabelRole] = Field(default_factory=dict, description="by label; what is left out has none")


class OperatingPoint(OpenEntry):
    """From which probability on a label is flagged, and how it fares there."""

    threshold: Number | None = Field(None, description="probability from which the label is flagged; null: one half")
    target_sensitivity: Number | None = Field(None, description="the sensitivity aimed at")
    counts: PointCounts | None = Field(None, description="of findings: of 100 with it and of 100 without")
    words: str | None = Field(None, description="the same as a sentence")
    sensitivity: Share = None
    specificity: Share = None
    ppv: Share = None
    npv: Share = None


class LabelRow(OpenEntry):
    """How one label fares: cases, figures, and its operating point."""

    label: str = Field(description="one of `labels`")
    operating_point: OperatingPoint
    n: Annotated[int, Field(ge=0)] | None = Field(None, description="cases with it")
    auc: CardFigure | None = None
    average_precision: CardFigure | None = None
    words: str | None = None
    sensitivity: Share = None
    specificity: Share = None
    ppv: Share = None
    npv: Share = None


class MeasuredStates(OpenEntry):
    """How often answers were in each state, and how often they were wrong there."""

    flagged_with: CardFigure | None = None
    flagged_without: CardFigure | None = None
    unclear: CardFigure | None = None
    unclear_with: CardFigure | None = None
    unclear_without: CardFigure | None = None
    wrong: CardFigure | None = None
    wrong_unclear: CardFigure | None = None
    wrong_others: CardFigure | None = None


class CoverageRisk(OpenEntry):
    """How often answers were wrong when the least certain were left out."""

    coverage: Number
    risk: CardFigure | None = None


class CardDecision(OpenEntry):
    """When an answer is flagged or unclear, and how often that is right."""

    unclear: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = Field(
        None, description="probability of any finding from which an answer without a flag is unclear; null: never"
    )
    not_announced: list[str] | None = Field(None, description="findings that are never flagged: hardly ever right")
    weak: bool | None = Field(None, description="whether too many with a finding are missed")
    calibrated: bool | None = Field(None, description="whether its percentages were shown to hold")
    measured: MeasuredStates | None = None
    risk_coverage: list[CoverageRisk] | None = None
    words: str | None = None
    weights: dict[str, Number] | None = Field(None, description="of versions before 0.2; not used any more")


class LeadTrial(OpenEntry):
    """How the figures move without some leads, on examples not seen."""

    missing: list[Text]
    auc: CardFigure
    difference: CardFigure = Field(description="of the macro AUC, to that with all leads, paired")
    flagged_without: CardFigure | None = Field(None, description="difference of the share flagged without a finding")
    flagged_with: CardFigure | None = Field(None, description="difference of the share flagged with a finding")
    holds: bool | None = Field(None, description="whether all of these stay within .02")


class CardLeads(OpenEntry):
    """Which leads an ECG must have, and on what leads and rates the figures were shown."""

    needed: list[Text] = Field(default_factory=list, description="leads without which no answer is given")
    may_miss: Annotated[list[Annotated[list[Text], Field(max_length=MAX_LEADS)]], Field(max_length=1000)] = Field(
        default_factory=list, description="an answer is given where all that is missing lies within one of these sets"
    )
    tried: list[LeadTrial] = Field(default_factory=list)
    learned_on: list[Text] | None = Field(None, description="of single beats, the leads they were cut from")
    rates: Annotated[list[Annotated[float, Field(gt=0, le=MAX_RATE)]], Field(min_length=2, max_length=2)] | None = (
        Field(None, description="lowest and highest sampling rate in training, Hz")
    )
    words: str | None = None


class CardQuality(OpenEntry):
    """What pictures are too dark, blurred or otherwise unusable for it."""

    limits: dict[str, Number] = Field(description="by measure, as medloupe.imaging.quality has them")
    stopped: CardFigure | None = Field(
        None, description="share of its own pictures stopped, by limits made without them"
    )
    words: str | None = None
