"""Describe the card's entry `applies`: the questions by which a check-up is meant or not, where the app chooses."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

CONTROL = r"\x00-\x1f\x7f-\x9f"  # joiners of Indic and Arabic scripts are none, and fine
MAX_CHOICES = 12
Question = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
Choice = Annotated[
    str, StringConstraints(max_length=40, pattern=rf"^[^{CONTROL},]*[^\s{CONTROL},][^{CONTROL},]*$")
]  # without commas, which divide choices in words


class AppliesEntry(BaseModel):
    """One question, such as age: child or adult, and for which of its choices the check-up is."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    question: Question = Field(description="its name, such as age")
    values: Annotated[list[Choice], Field(min_length=1, max_length=MAX_CHOICES)] = Field(
        description="the choices that the check-up is for"
    )
    choices: Annotated[list[Choice], Field(max_length=MAX_CHOICES)] | None = Field(
        None, description="all choices there are; null: those that check-ups of its kind name"
    )
