"""What the JSON of an answer says: which labels it announces, how they are named, the whole in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medloupe.serving.web.bars import Named, capital
from medloupe.serving.web.language import Language

if TYPE_CHECKING:
    from medloupe.serving.engine.journal import Entry


def summary(answer: Mapping[str, Any], several: bool, lang: Language) -> str:
    """An answer in a few words: "Pneumonia, 87%"."""
    if answer.get("refused"):
        return lang.t("history.refused")
    called = called_in(answer, several)
    if not called:
        return lang.t("result.nothing")
    p, named = answer["probabilities"], names(answer, lang)
    return lang.join(f"{capital(named(n))}, {lang.percent(p[n])}" if n in p else named(n) for n in called)


def feedback_words(entry: Entry, lang: Language) -> str:
    """What was said of an answer, or ""."""
    if not entry.commented:
        return ""
    if entry.labels:
        return lang.t("feedback.said_truth", labels=lang.join(map(names(entry.answer, lang), entry.labels)))
    return "" if entry.right is None else lang.t("feedback.said_right" if entry.right else "feedback.said_wrong")


def names(said: Mapping[str, Any], lang: Language) -> Named:
    """How the labels of an answer are named: in translation where a shipped check-up gave it."""
    of = shipped(said)
    return lambda label: lang.label(label, of)


def shipped(said: Mapping[str, Any]) -> str:
    """The shipped check-up that gave an answer, or ""."""
    return "" if said.get("version") is not None else str(said.get("model") or "")


def called_in(said: Mapping[str, Any], several: bool) -> list[str]:
    """The labels announced. Names of labels may hold the mark that joins them, so it only parts what was joined."""
    text = str(said.get("prediction") or "")
    known = said.get("probabilities") or {}
    if not text or text in known:
        return [text] if text else []
    return [n for n in known if f"|{n}|" in f"|{text}|"] if several or "|" in text else [text]


def refusal(said: Mapping[str, Any], titles: Mapping[str, str], lang: Language) -> dict[str, Any]:
    """A refusal in words, as fields of a Reading. titles: of the check-ups by name."""
    looks_like = str(said["refused"].get("looks_like") or "")
    what = titles.get(looks_like) or lang.label(looks_like)
    if "ecg" in said:
        return {"headline": lang.t("ecg.refused"), "because": lang.t("ecg.refused_because")}
    return {
        "headline": lang.t("refused.headline" if said.get("model") else "refused.none"),
        "because": lang.t("refused.because"),
        "instead": lang.t("refused.looks", what=what) if what else "",
        "instead_url": f"/checkups/{looks_like}" if looks_like in titles else "",
    }
