"""Ask what decides which check-ups are meant, child or adult, and say why the app's choice answers as it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from medloupe.model.applies import PREFIX
from medloupe.serving.engine.chosen import list_questions
from medloupe.serving.web.language import Language

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionView:
    """One question with its choices.

    Attributes
    ----------
    key
        Unique in a form.
    field
        Its name in the form.
    title
        As people read it.
    choices
        (value, how it reads).
    told
        The choice that was made already, or "".
    """

    key: str
    field: str
    title: str
    choices: tuple[tuple[str, str], ...]
    told: str = ""


def view_question(ask: Mapping[str, Any] | None, language: Language) -> QuestionView | None:
    """Show what an answer's JSON asks in `ask`; None where it asks nothing."""
    return _view(ask["question"], ask["choices"], language) if ask else None


def view_questions(
    checkups: Iterable[CheckUp], language: Language, told: Mapping[str, str] | None = None
) -> list[QuestionView]:
    """Show all questions that check-ups ask, for a form that lets them be answered beforehand.

    told: fields that answer some of them already, as the form names them.
    """
    asked = {name: choices for name, choices in list_questions(checkups).items() if len(choices) > 1}
    views = (_view(name, choices, language) for name, choices in asked.items())
    return [replace(view, told=(told or {}).get(view.field, "")) for view in views]


def word_reason(answer: Mapping[str, Any], titles: Mapping[str, str], language: Language) -> str:
    """Word why an answer's JSON says less than its check-up does by name; "" where nobody but it had a say.

    titles: of check-ups, by name.
    """
    code = (answer.get("why") or {}).get("code", "")
    key = f"applies.why_{code}"
    if not language.has(key):
        return ""
    name = str(answer.get("model") or "")
    return language.t(key, title=titles.get(name) or language.label(name))


def _view(question: str, choices: Sequence[str], language: Language) -> QuestionView:
    title = language.t(f"applies.{question}") if language.has(f"applies.{question}") else f"{language.label(question)}?"
    said = tuple((choice, _word_choice(question, choice, language)) for choice in choices)
    return QuestionView(key=f"applies-{question}", field=f"{PREFIX}{question}", title=title, choices=said)


def _word_choice(question: str, choice: str, language: Language) -> str:
    key = f"applies.{question}_{choice}"
    return language.t(key) if language.has(key) else language.label(choice)
