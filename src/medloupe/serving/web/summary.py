"""Sum up the JSON of an answer: which labels it announces, how they are named, the whole in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medloupe.serving.web.bars import Namer, capitalize
from medloupe.serving.web.kinds import PICTURE, PageKind
from medloupe.serving.web.language import Language

if TYPE_CHECKING:
    from medloupe.serving.engine.journal import Entry


def summarize(answer: Mapping[str, Any], several: bool, lang: Language) -> str:
    """Say an answer in a few words: "Pneumonia, 87%"."""
    if answer.get("refused"):
        return lang.t("history.refused")
    called = announced_labels(answer, several)
    if not called:
        return lang.t("result.nothing")
    p, named = answer["probabilities"], label_namer(answer, lang)
    return lang.join(f"{capitalize(named(n))}, {lang.percent(p[n])}" if n in p else named(n) for n in called)


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
    """Say a refusal in words, as fields of an AnswerView.

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
    looks_like = str(said["refused"].get("looks_like") or "")
    what = titles.get(looks_like) or lang.label(looks_like)
    if kind.section:
        return {"headline": lang.t(kind.key("result.refused")), "because": lang.t(kind.key("result.refused_because"))}
    return {
        "headline": lang.t("refused.headline" if said.get("model") else "refused.none"),
        "because": lang.t("refused.because"),
        "instead": lang.t("refused.looks", what=what) if what else "",
        "instead_url": f"/checkups/{looks_like}" if looks_like in titles else "",
    }
