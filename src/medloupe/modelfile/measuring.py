"""Describe what a card says of what is done with boxes: measured, cropped to, or asked about."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from medloupe.errors import DataError
from medloupe.model.measurements import parse_measurement
from medloupe.modelfile.entries import CardFigure, OpenEntry, Text

MOST_MEASUREMENTS = 20
LONGEST_FORMULA = 1000  # letters
Error = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]


def _check_formula(text: str) -> str:
    try:
        parse_measurement(text)
    except DataError as e:
        raise ValueError(str(e)) from None
    return text


class CardMeasurement(OpenEntry):
    """One measurement that is computed from boxes, and how far off it is on pictures not learned from."""

    name: Annotated[Text, Field(max_length=40)]
    formula: Annotated[Text, Field(max_length=LONGEST_FORMULA), AfterValidator(_check_formula)]
    below: Error | None = Field(None, description="how far the truth lies below, in all but the last few of 100")
    above: Error | None = Field(None, description="and above; null: not known")
    n: Annotated[int, Field(ge=0, lt=2**53)] | None = Field(None, description="pictures that it was judged on")
    missing: Annotated[int, Field(ge=0, lt=2**53)] | None = Field(None, description="on which a box was not found")
    truth: str | None = Field(None, description="what it was held against: column, or boxes")
    figures: dict[str, CardFigure] | None = Field(
        None, description="mean_absolute_error, mean_difference, always_the_mean"
    )
    words: str | None = None


class CardCrop(OpenEntry):
    """How pictures were cropped to learn from, and so how they are to be cropped to be asked about."""

    each: bool = Field(description="whether each box was an example; else each picture was cut to all of its boxes")
    labels: Annotated[list[Text], Field(min_length=1)] = Field(description="of the boxes")
    margin: Annotated[float, Field(ge=0, le=1)] = Field(description="added around each box, of its own side")
    grey: bool = Field(description="whether all crops were grey")
    side: Annotated[int, Field(ge=1, le=2**20)] = Field(description="pixels of the longer side of nearly all crops")
    pictures: Annotated[int, Field(ge=0, lt=2**53)] | None = Field(None, description="how many were cropped")
    whole_refused: CardFigure | None = Field(None, description="share of whole pictures that is refused")
    crops_refused: CardFigure | None = Field(None, description="share of its own crops that is refused for that")
    words: list[str] | None = None


class ComposedPart(OpenEntry):
    """A version that another is composed of."""

    name: Text
    version: int | None = None
    called: Text = Field(description="NAME@VERSION, or NAME of one that has no version")
    sha256: list[str] | None = Field(None, description="of its network, head and tuned stages")


class CardComposed(OpenEntry):
    """What finds things, and what is asked about each of them."""

    find: ComposedPart
    label: Text = Field(description="the detector's, of the things that are asked about")
    ask: ComposedPart
    margin: Annotated[float, Field(ge=0, le=1)] = Field(description="added around each box, of its own side")
    grey: bool = Field(description="whether crops are made grey")
    side: Annotated[int, Field(ge=1, le=2**16)] = Field(
        description="pixels of the longer side to which larger crops are scaled down"
    )
    cut_out: bool = Field(description="whether what lies outside the ellipse in a crop is made black")
    judged: dict[str, CardFigure] | None = Field(None, description="figures of the two together; null: not judged")
    words: list[str] | None = None
