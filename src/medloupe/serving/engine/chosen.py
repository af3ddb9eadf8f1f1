"""Let the app choose: make one answer of those that all check-ups of a kind give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from medloupe.model.applies import PREFIX, gather_questions, read_told
from medloupe.model.choosing import Opinion, choose_nearest
from medloupe.model.novelty import Nearness
from medloupe.model.prediction import Prediction
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.question import Question

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp


def form_opinion(checkup: CheckUp, prediction: Prediction, near: Nearness | None) -> Opinion:
    """Form what a check-up of pictures says, for choosing among those of its kind."""
    return Opinion(prediction=prediction, decision=checkup.decision, applies=checkup.applies, near=near)


def list_questions(checkups: Iterable[CheckUp]) -> dict[str, tuple[str, ...]]:
    """List the questions that decide which check-ups are meant, each with its choices."""
    return gather_questions(c.applies for c in checkups)


def separate_told(checkups: Iterable[CheckUp], question: Question) -> tuple[Question, dict[str, str], tuple[str, ...]]:
    """Separate what answers questions of check-ups from the other fields of a form.

    Returns
    -------
    question : Question
        Without those fields.
    told : dict
        The choice by question.
    unknown : tuple of str
        Names of such fields that no check-up asks for.

    Raises
    ------
    ClinicalError
        A choice is not one of those that there are.
    """
    told, unknown = read_told(question.fields, list_questions(checkups))
    rest = {name: value for name, value in question.fields.items() if not name.startswith(PREFIX)}
    return replace(question, fields=rest), told, tuple(name[:80] for name in unknown[:20])


def choose_among(answers: Sequence[Answer], told: Mapping[str, str], unknown: tuple[str, ...] = ()) -> Answer:
    """Choose the main answer among those of check-ups that go by what the files hold, such as the leads of an ECG.

    Parameters
    ----------
    answers
        Of at least one check-up.
    told, unknown
        As `separate_told` gives them.
    """
    opinions = [
        Opinion(
            prediction=a.prediction,
            decision=a.checkup.decision,
            applies=a.checkup.applies,
            asked=True,
            kind=a.checkup.kind,
            foreign=a.foreign,
        )
        for a in answers
        if a.checkup is not None
    ]
    chosen = choose_nearest(opinions, told)
    if chosen.main is None:
        first = answers[0]
        empty = {"checkup": None, "places": {}, "given": {}, "drawing": ""}
        return replace(first, prediction=chosen.prediction, ignored=unknown, **empty)
    main = answers[chosen.main]
    return replace(main, prediction=chosen.prediction, ignored=(*main.ignored, *unknown))
