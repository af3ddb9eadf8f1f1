"""Show the state of an answer as a chip: in a word, with a sign and a colour that only help.

Nothing is decided here: an answer's JSON says its state.
"""

from __future__ import annotations

from dataclasses import dataclass

from medloupe.serving.web.headline import state_word
from medloupe.serving.web.language import Language

_LOOKS = {  # state: icon, colour
    "flagged": ("flag", "alert"),
    "unclear": ("warn", "doubt"),
    "clear": ("dash", "quiet"),
    "answered": ("scan", "quiet"),
    "refused": ("close", "void"),
    "unusable": ("close", "void"),
    "pilot": ("dash", "quiet"),
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


def chip(state: str, lang: Language) -> Chip:
    """Show a state."""
    icon, look = _LOOKS[state]
    return Chip(state=state, icon=icon, look=look, word=state_word(state, lang))


def list_states(lang: Language) -> list[tuple[str, str]]:
    """List the states to choose among, with their words."""
    return [(state, state_word(state, lang)) for state in _LOOKS]
