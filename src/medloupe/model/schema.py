"""Describe how a Novelty is kept as JSON, as a typed schema that trusts nothing."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class NoveltyEntry(BaseModel):
    """What a data set looks like (medloupe.model.novelty.Novelty.as_json).

    Arrays are base64; levels begin with the format, numbers are noise, limit and own_refused.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    levels: list[Annotated[int, Field(gt=-(2**31), lt=2**31)]]
    mean: str
    axes: str
    spread: str
    numbers: list[Annotated[float, Field(gt=-(2**31), lt=2**31)]]
    contrast: str | None = None
    legibility: str | None = None
    polarity: str | None = None
    reference: str | None = None
    patients: str | None = None
