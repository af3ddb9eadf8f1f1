"""Describe what a card says of the sizes that a detector learned from, by which pictures are looked at in tiles."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from medloupe.modelfile.entries import OpenEntry


class LearnedSpan(OpenEntry):
    """Sizes in pixels, of all but the smallest and the largest twentieth."""

    low: Annotated[float, Field(gt=0, le=1e6)] | None = None
    median: Annotated[float, Field(gt=0, le=1e6)] | None = None
    high: Annotated[float, Field(gt=0, le=1e6)] | None = None


class LearnedBoxes(LearnedSpan):
    """Of the boxes of one label the side of the square of their area, in pixels of the fitted picture."""

    label: str
    n: Annotated[int, Field(ge=0, lt=2**53)] | None = None


class LearnedTile(OpenEntry):
    """The tiles that a detector learned from, and answers in."""

    zoom: Annotated[float, Field(gt=1, le=1e4, description="times larger than as a whole the usual picture was seen")]
    side: Annotated[float, Field(ge=1, le=1e6, description="pixels of that picture along a tile")]
    same: str | None = Field(None, description="of tiles in pictures of other sizes: 'pixels' or 'share'")


class CardLearned(OpenEntry):
    """Sizes of the pictures and boxes that a detector learned from: by them larger pictures are looked at in tiles."""

    longer_side: LearnedSpan | None = Field(None, description="of the pictures as given")
    aspect: LearnedSpan | None = Field(None, description="of the pictures: width through height, no pixels")
    boxes: list[LearnedBoxes] | None = None
    longest: Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        None, description="longer side of the longest boxes, in pixels of the fitted picture"
    )
    tile: LearnedTile | None = Field(None, description="where pictures were learned from in tiles")
