"""Say for whom or what a check-up is, as questions with choices: child or adult, grade or refer, which view.

A card says it in its entry `applies`. Where check-ups of one kind differ in it, a person is asked, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medloupe.errors import ClinicalError

PREFIX = "applies."
"""Stands before the name of a question in forms and addresses: `applies.age=adult`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applies:
    """One question that decides whether a check-up is meant.

    Attributes
    ----------
    question
        Its name, such as "age".
    values
        The choices that the check-up is for.
    choices
        All choices, as far as the card knows them; check-ups of the same kind may know more.
    """

    question: str
    values: tuple[str, ...]
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question that is left to the person, because the answer depends on it. choices: at least two."""

    question: str
    choices: tuple[str, ...]


def read_applies(card: Mapping[str, Any]) -> tuple[Applies, ...]:
    """Read a card's entry `applies`; nothing where it has none."""
    found = []
    for entry in card.get("applies") or ():
        values = tuple(entry["values"])
        choices = tuple(dict.fromkeys((*(entry.get("choices") or ()), *values)))
        found.append(Applies(question=entry["question"], values=values, choices=choices))
    return tuple(found)


def gather_questions(checkups: Iterable[Sequence[Applies]]) -> dict[str, tuple[str, ...]]:
    """Gather the questions of several check-ups, each with all its choices."""
    found: dict[str, tuple[str, ...]] = {}
    for applies in checkups:
        for one in applies:
            found[one.question] = tuple(dict.fromkeys((*found.get(one.question, ()), *one.choices)))
    return found


def is_meant(applies: Sequence[Applies], told: Mapping[str, str]) -> bool:
    """Tell whether a check-up is for what was told; a question that was not answered excludes nothing."""
    return all(told.get(one.question, one.values[0]) in one.values for one in applies)


def read_told(fields: Mapping[str, str], questions: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], list[str]]:
    """Read the fields of a form that answer questions.

    Parameters
    ----------
    fields
        By name; those that do not begin with PREFIX, and empty ones, are left alone.
    questions
        The choices by question.

    Returns
    -------
    told : dict
        The choice by question.
    unknown : list of str
        Names of fields that no check-up asks for.

    Raises
    ------
    ClinicalError
        A choice is not one of those that there are.
    """
    told, unknown = {}, []
    for field, value in fields.items():
        if not field.startswith(PREFIX) or not value.strip():
            continue
        question = field.removeprefix(PREFIX)
        if question not in questions:
            unknown.append(field)
            continue
        told[question] = _find_choice(question, value, questions[question])
    return told, unknown


def _find_choice(question: str, value: str, choices: Sequence[str]) -> str:
    found = next((choice for choice in choices if choice.lower() == value.strip().lower()), None)
    if found is None:
        raise ClinicalError(question, value, f"one of {', '.join(choices)}")
    return found
