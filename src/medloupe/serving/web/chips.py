"""Say the state of an answer in a word, with a sign and a colour that only help, and in a line what it is about.

Nothing is decided here: an answer's JSON says its state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medloupe.model.decision import STATES
from medloupe.serving.web.bars import capitalize
from medloupe.serving.web.language import Language
from medloupe.serving.web.summary import label_namer

_LOOKS = {  # state: icon, colour
    "flagged": ("flag", "alert"),
    "unclear": ("warn", "doubt"),
    "clear": ("dash", "quiet"),
    "answered": ("scan", "quiet"),
    "refused": ("close", "void"),
    "unusable": ("close", "void"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A state as it is shown.

    Attributes
    ----------
    icon : str
        As in templates/parts.html.
    look : str
        "alert", "doubt", "quiet" or "void".
    word : str
        In the reader's language.
    """

    state: str
    icon: str
    look: str
    word: str


def state_of(answer: Mapping[str, Any]) -> str:
    """Read the state of an answer; of those from before there were states only refusals are known."""
    state = str(answer.get("state") or "")
    return state if state in STATES else "refused" if answer.get("refused") else "answered"


def chip(state: str, lang: Language) -> Chip:
    """Show a state."""
    icon, look = _LOOKS[state]
    return Chip(state=state, icon=icon, look=look, word=lang.t(f"states.{state}"))


def list_states(lang: Language) -> list[tuple[str, str]]:
    """List the states to choose among, with their words."""
    return [(state, lang.t(f"states.{state}")) for state in _LOOKS]


def describe_answer(answer: Mapping[str, Any], lang: Language) -> str:
    """Say in a line what an answer is about: the most dangerous label flagged, else the most probable one."""
    state, named = state_of(answer), label_namer(answer, lang)
    p: Mapping[str, float] = answer.get("probabilities") or {}

    def told(label: str) -> str:
        name = capitalize(named(label))
        return lang.t("states.label", label=name, percent=lang.percent(p[label])) if label in p else name

    if state in ("refused", "unusable"):
        return lang.t(f"states.{state}_about")
    longest = str(answer.get("prediction") or "")
    grade, at_least = answer.get("grade"), answer.get("at_least") or {}
    flagged = [str(name) for name in answer.get("flagged") or ()]
    if state == "flagged" and flagged:
        if grade in at_least and grade in flagged:
            return lang.t("states.at_least", label=named(grade), percent=lang.percent(at_least[grade]))
        first = told(flagged[0])
        return first if flagged[0] == longest else lang.t("states.and_longest", first=first, longest=told(longest))
    if longest in p or not longest:
        return told(longest) if longest else lang.t("result.nothing")
    return lang.join(told(name) for name in longest.split("|"))  # of several findings, as older releases joined them
