"""Give the web app that answers on a device the words of the pages: strings, titles, labels and scopes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from medloupe.serving.web.applies import view_question
from medloupe.serving.web.cardtext import describe_scope, describe_terms
from medloupe.serving.web.language import CODES, language

if TYPE_CHECKING:
    from medloupe.model.applies import Applies
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.web.language import Language

_SECTIONS = (
    "answer.",
    "applies.",
    "camera.",
    "choose.",
    "decoding.photograph",
    "decoding.transparent",
    "device.",
    "ecg.",
    "frame.languages.",
    "photo.",
    "pocket.",
    "quality.",
    "refused.",
)
_MORE = (
    *("paper.part", "paper.scale"),
    *("result.heat", "result.heat_alt", "result.heat_note", "result.heat_off", "result.line_at", "result.picture"),
)
_STYLES = ("style.css", "camera.css", "lists.css", "question.css", "result.css")


def app_words() -> dict[str, dict[str, Any]]:
    """Return the strings that the app shows, by language and dotted key."""
    return {
        code: {k: text for k, text in language(code).words.items() if k.startswith(_SECTIONS) or k in _MORE}
        for code in CODES
    }


def checkup_words(checkup: CheckUp) -> dict[str, dict[str, Any]]:
    """Name a check-up by language: title, labels, lines that say whom and what it is for, terms, and its questions."""
    told: dict[str, dict[str, Any]] = {}
    of = checkup.name if checkup.version is None else ""
    for code in CODES:
        lang = language(code)
        scope = " · ".join(checkup.decision.scope)
        told[code] = {
            "title": lang.checkup(checkup),
            "labels": {label: lang.label(label, of) for label in checkup.labels},
            "scope": [line.text for line in describe_scope(scope, lang, checkup)],
            "terms": describe_terms(checkup, lang),
            "questions": {a.question: _word_question(a, lang) for a in checkup.applies},
        }
    return told


def _word_question(asked: Applies, lang: Language) -> dict[str, Any]:
    """Word a question that decides whether a check-up is meant, with its choices."""
    view = view_question({"question": asked.question, "choices": asked.choices}, lang)
    assert view is not None
    return {"title": view.title, "choices": dict(view.choices)}


@cache
def app_styles() -> Mapping[str, bytes]:
    """Return the style sheets that the app shares with the pages, by name."""
    folder = files("medloupe.serving.web") / "static"
    return {name: (folder / name).read_bytes() for name in _STYLES}
