"""Describe answers the size of a text message for OpenAPI; model/brief.py writes them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

Brief = Annotated[
    bool, Query(description="Answer in at most 160 bytes, for gateways to text messages; the whole is kept as ever.")
]


class BriefOut(BaseModel):
    """An answer in at most 160 bytes of UTF-8."""

    model_config = ConfigDict(extra="forbid")
    s: Literal["unusable", "refused", "flagged", "unclear", "clear", "answered", "pilot"] = Field(
        description="The state."
    )
    l: str = Field(  # noqa: E741
        description="The finding flagged, the most dangerous one, else the most probable label; cut with `…` where it"
        " is too long; `>=` before a grade means that one or a worse one. Empty where nothing is said."
    )
    p: int | None = Field(description="How probable that is, in percent: 1 to 99 unless it is exactly 0 or 1.")
    m: str = Field(description="Model@version, or the name alone of one that comes with medloupe; empty where none is.")
    o: int | None = Field(None, description="How many other labels are flagged; left out where none is.")
    w: str | None = Field(None, description="Why: a code, of what is unclear, refused or unusable.")
    n: str = Field(description="What it is not.")


class BriefFailureOut(BaseModel):
    """One of several files that could not be read, briefly. w: the code of the error."""

    model_config = ConfigDict(extra="forbid")
    s: Literal["failed"]
    w: str
    n: str


class BriefsOut(BaseModel):
    """The brief answers to several pictures, in their order, each of at most 160 bytes."""

    model_config = ConfigDict(extra="forbid")
    predictions: list[BriefOut | BriefFailureOut]
