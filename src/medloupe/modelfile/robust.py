"""Describe what a card says of sources that were left out."""

from __future__ import annotations

from pydantic import Field

from medloupe.modelfile.entries import CardFigure, OpenEntry
from medloupe.modelfile.evaluation import Count, Number, Texts


class ChosenHead(OpenEntry):
    """The head that sources left out chose."""

    c: Number | None = Field(None, description="inverse regularisation")
    levels: list[Count] | None = None
    weight: Number | None = Field(None, description="of the field views of a picture against the picture itself")


class SourceRow(OpenEntry):
    """How heads fare on one source that they have not seen."""

    source: str | None = None
    n: Count | None = None
    groups: Count | None = None
    auc: CardFigure | None = None
    ordinary: CardFigure | None = Field(None, description="AUC of heads chosen by ordinary folds, on the same rows")
    gain: CardFigure | None = Field(None, description="by how much `auc` is above `ordinary`")
    ece: CardFigure | None = None


class CardRobust(OpenEntry):
    """How the head was chosen by sources left out, and how heads fare on such."""

    column: str | None = Field(None, description="which tells the source")
    found: bool | None = Field(None, description="whether it was found by its name, not told")
    other_columns: Texts | None = Field(None, description="that might have been meant too")
    chosen: ChosenHead | None = None
    rows: list[SourceRow] | None = None
    not_judged: Texts | None = Field(None, description="sources with too few cases to judge")
    untold: Count | None = Field(None, description="records that judged nothing and taught every head")
    nested: bool | None = Field(None, description="whether the heads that were judged were chosen by sources, too")
    auc: CardFigure | None = Field(None, description="mean over the sources")
    ordinary: CardFigure | None = None
    gain: CardFigure | None = None
    method: str | None = None
    words: Texts | None = None
