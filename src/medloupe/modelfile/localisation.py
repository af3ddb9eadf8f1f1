"""Describe what a card says of where the heat maps point, as `medloupe evaluate --boxes --keep` writes it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from medloupe.modelfile.entries import CardFigure, Number, OpenEntry

Count = Annotated[int, Field(ge=0, lt=2**53)]


class PlaceFigures(OpenEntry):
    """What was measured of maps, or of what is said without looking."""

    pointing: CardFigure | None = Field(None, description="share of the pictures whose strongest place lies in a box")
    energy: CardFigure | None = Field(None, description="share of the heat that lies in the boxes")
    iou: CardFigure | None = Field(None, description="overlap of the boxes with what is above the threshold")


class PlacesCalled(OpenEntry):
    """Of the pictures in which the label was the answer."""

    n: Count | None = None
    pointing: CardFigure | None = None


class PlacesOfLabel(PlaceFigures):
    """Where the heat maps of one label point."""

    label: str
    n: Count = Field(description="pictures with boxes")
    groups: Count | None = None
    boxes: Count = Field(description="in these pictures")
    threshold: Number | None = Field(None, description="share of the strongest place, chosen on other patients")
    baselines: dict[str, PlaceFigures] | None = Field(
        None, description="by name: middle, average_map, usual_place (where such boxes usually lie)"
    )
    gain: dict[str, CardFigure] | None = Field(None, description="paired differences to the best of the baselines")
    called: PlacesCalled | None = None
    words: str | None = None


class CardLocalisation(OpenEntry):
    """Where the heat maps point, judged by boxes."""

    data: str | None = None
    n: Count | None = None
    groups: Count | None = None
    judged: str | None = Field(None, description="by whom: model, out of fold, or test split")
    labels: Annotated[list[PlacesOfLabel], Field(max_length=10_000)] = Field(default_factory=list)
    box_labels: dict[str, str] | None = Field(None, description="boxes of another name, and whose places they are")
    basis: list[str] | None = None
    words: list[str] | None = None
