"""Say in the page's language what a line of the audit log tells beside who did what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from medloupe.serving.web.language import Language

_LONGEST = 300
_HIDDEN = frozenset({"comparison"})
_JUDGED = "gate"  # whose words are English: its figures are told instead
_VALUES = {  # where the words of a value stand, by key
    "cause": "loop.cause_",
    "basis": "audit.basis_",
    "role": "roles.",
    "state": "audit.state_",
    "kind": "audit.kind_",
    "tokens": "audit.tokens_",
}


def describe_detail(detail: Mapping[str, Any] | None, lang: Language) -> str:
    """Describe the detail of a line; "" where it has none. Without the figures of a comparison, at most 300 characters.

    What people typed, names, labels and ids stand as they are.
    """
    if not detail:
        return ""
    judged = isinstance(detail.get(_JUDGED), Mapping)
    told = (
        _say(str(key), value, lang)
        for key, value in detail.items()
        if key not in _HIDDEN and not (judged and key == "reason")
    )
    text = " · ".join(part for part in told if part)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _say(key: str, value: Any, lang: Language) -> str:
    """Say one entry; "" of what is empty, not so, or a list of objects, of which only the number is told."""
    if value is None or value is False or value == "" or value == []:
        return ""
    if isinstance(value, Mapping):
        inner = [_say(str(name), v, lang) for name, v in value.items() if not isinstance(v, Mapping)]
        told = ", ".join(part for part in inner if part)
        return lang.t("audit.entry", name=_name(key, lang), value=f"({told})") if told else ""
    if value is True:
        return _name(key, lang)
    return lang.t("audit.entry", name=_name(key, lang), value=_show(key, value, lang))


def _name(key: str, lang: Language) -> str:
    known = f"audit.key_{key}"
    return lang.t(known) if lang.has(known) else key.replace("_", " ")


def _show(key: str, value: Any, lang: Language) -> str:
    if isinstance(value, int | float):
        whole = isinstance(value, int) or value == int(value)
        return lang.number(value, 0 if whole else 3)
    if isinstance(value, Iterable) and not isinstance(value, str):
        several = list(value)
        if any(isinstance(one, Mapping) for one in several):
            return lang.number(len(several), 0)
        return ", ".join(str(one) for one in several)
    word = _VALUES.get(key, "") + str(value)
    return lang.t(word) if key in _VALUES and lang.has(word) else str(value)
