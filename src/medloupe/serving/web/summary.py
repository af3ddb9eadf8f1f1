"""Read the JSON of an answer: which labels it announces, how they are named, why nothing is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medloupe.serving.web.bars import Namer
from medloupe.serving.web.kinds import PICTURE, PageKind
from medloupe.serving.web.language import Language
from medloupe.serving.web.unusable import word_fault

if TYPE_CHECKING:
    from medloupe.serving.engine.entries import Entry


def describe_feedback(entry: Entry, lang: Language) -> str:
    """Say what was said of an answer, or ""."""
    if not entry.commented:
        return ""
    if entry.labels:
        return lang.t("feedback.said_truth", labels=lang.join(map(label_namer(entry.answer, lang), entry.labels)))
    return "" if entry.right is None else lang.t("feedback.said_right" if entry.right else "feedback.said_wrong")


def label_namer(said: Mapping[str, Any], lang: Language) -> Namer:
    """Return what names the labels of an answer: in translation where a shipped check-up gave it."""
    of = shipped_checkup(said)
    return lambda label: lang.label(label, of)


def shipped_checkup(said: Mapping[str, Any]) -> str:
    """Return the shipped check-up that gave an answer, or ""."""
    return "" if said.get("version") is not None else str(said.get("model") or "")


def announced_labels(said: Mapping[str, Any], several: bool) -> list[str]:
    """Return the labels announced.

    Names of labels may hold the mark that joins them, so it only parts what was joined.
    """
    text = str(said.get("prediction") or "")
    known = said.get("probabilities") or {}
    if not text or text in known:
        return [text] if text else []
    return [n for n in known if f"|{n}|" in f"|{text}|"] if several or "|" in text else [text]


def describe_refusal(
    said: Mapping[str, Any], titles: Mapping[str, str], lang: Language, kind: PageKind = PICTURE
) -> dict[str, Any]:
    """Say why an example was refused and where else it may go, as fields of an AnswerView.

    Parameters
    ----------
    said
        The answer's JSON.
    titles
        Of the check-ups by name.
    lang
        The language of the page.
    kind
        Of data that was sent.
    """
    looks_like = str((said.get("refused") or {}).get("looks_like") or "")
    what = titles.get(looks_like) or lang.label(looks_like)
    if kind.section:
        return {"because": lang.t(kind.key("result.refused_because"))}
    if (code := (said.get("why") or {}).get("code")) in ("inverted", "printed_ecg"):
        return {"headline": lang.t(f"refused.{code}"), "because": lang.t(f"refused.{code}_because")}
    return {
        **({} if said.get("model") else {"headline": lang.t("refused.none")}),
        "because": lang.t("refused.because"),
        "instead": lang.t("refused.looks", what=what) if what else "",
        "instead_url": f"/checkups/{looks_like}" if looks_like in titles else "",
    }


def describe_facts(said: Mapping[str, Any], lang: Language) -> tuple[str, ...]:
    """Say what had to be decided about a picture while it was decoded; in English where a code is new."""
    told = []
    for note in (said.get("picture") or {}).get("notes") or ():
        key = f"decoding.{note.get('code')}"
        values = dict(note.get("values") or {})
        if "frames" in values and not isinstance(values["frames"], int):
            key = f"{key}_several" if lang.has(f"{key}_several") else key
        try:
            told.append(lang.t(key, **values))
        except KeyError:
            told.append(str(note.get("text") or ""))
    return tuple(filter(None, told))


def describe_unusable(said: Mapping[str, Any], lang: Language) -> dict[str, Any]:
    """Say what is wrong with an example and what to do, as fields of an AnswerView; in English where a code is new."""
    why = said.get("why") or {}
    title, todo = word_fault(str(why.get("code")), lang)
    return {"because": f"{title}. {todo}"} if title else {"because_english": str(why.get("text") or "")}
