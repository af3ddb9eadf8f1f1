"""The answer to a picture as pages show it: percentages as bars, the line in words, heat maps, refusal."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.labels import healthy
from medloupe.serving.language import Language
from medloupe.serving.views import Label, in_words

if TYPE_CHECKING:
    from medloupe.decoding import Preview
    from medloupe.serving.asking import Answer
    from medloupe.serving.checkup import CheckUp
    from medloupe.serving.errors import HttpError
    from medloupe.serving.journal import Entry

Named = Callable[[str], str]  # a label as it is kept to how people read it
_HEATS = 12  # as many labels as style.css knows heat maps for
_CHOICES = 60  # with more labels than this, feedback offers those that were answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """uri: a data: URI. width, height: pixels."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """A transparent overlay for one label."""

    index: int
    label: str
    uri: str
    first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A label's percentage. width, limit: of 100; limit is where its flag goes up, or None."""

    label: str
    percent: str
    width: float
    limit: float | None
    limit_words: str
    called: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The answer to one picture. state: "answered", "refused" or "failed". key: unique on the page."""

    key: str
    state: str
    id: str = ""
    file: str = ""
    name: str = ""
    title: str = ""
    chosen: bool = False
    picture: Picture | None = None
    heats: tuple[Heat, ...] = ()
    says: str = ""
    headline: str = ""
    flags: tuple[str, ...] = ()
    flagged: bool = False
    because: str = ""
    instead: str = ""
    instead_url: str = ""
    bars: tuple[Bar, ...] = ()
    inwords: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    meta: tuple[tuple[str, str], ...] = ()
    passport: str = ""
    feedback: bool = False
    several: bool = False
    labels: tuple[Label, ...] = ()

    @property
    def has_limits(self) -> bool:
        return any(bar.limit is not None for bar in self.bars)


def reading(
    answer: Answer,
    lang: Language,
    *,
    titles: Mapping[str, str],
    at: str = "",
    chosen: bool = False,
    passport: str = "",
) -> Reading:
    """One answer. titles: of the check-ups by name. chosen: whether the app chose the check-up."""
    p = answer.prediction
    said = p.as_json()
    return _reading(
        {**said, "file": ""},
        answer.checkup,
        lang,
        id=answer.id,
        file=p.file,
        titles=titles,
        at=at,
        chosen=chosen,
        passport=passport,
        picture=None if answer.preview is None else picture(answer.preview),
        evidence=answer.evidence,
        took=sum(p.timings.values()),
    )


def remembered(
    entry: Entry,
    checkup: CheckUp | None,
    lang: Language,
    *,
    titles: Mapping[str, str],
    picture: Picture | None = None,
    passport: str = "",
) -> Reading:
    """An answer from the journal; checkup: the version that gave it, or None where it is gone."""
    return _reading(
        entry.answer, checkup, lang, id=entry.id, titles=titles, at=entry.at, passport=passport, picture=picture
    )


def picture(preview: Preview) -> Picture:
    """A picture to be shown within the page."""
    return Picture(uri=_uri(preview.jpeg, "image/jpeg"), width=preview.width, height=preview.height)


def failed(file: str, error: HttpError, lang: Language) -> Reading:
    """A picture that could not be answered."""
    known = lang.has(f"failed.{error.code}")
    return Reading(
        key=secrets.token_hex(4),
        state="failed",
        file=file,
        headline=lang.t(f"failed.{error.code}") if known else lang.t(f"error.{_status(error.status, lang)}"),
        because=lang.t(f"failed.{error.code}_text") if known else lang.t(f"error.{_status(error.status, lang)}_text"),
    )


def summary(answer: Mapping[str, Any], several: bool, lang: Language) -> str:
    """An answer in a few words: "Pneumonia, 87%"."""
    if answer.get("refused"):
        return lang.t("history.refused")
    called = _called(answer, several)
    if not called:
        return lang.t("result.nothing")
    p, named = answer["probabilities"], _names(answer, lang)
    return lang.listed(f"{_capital(named(n))}, {lang.percent(p[n])}" if n in p else named(n) for n in called)


def feedback_words(entry: Entry, lang: Language) -> str:
    """What was said of an answer, or ""."""
    if not entry.commented:
        return ""
    if entry.labels:
        return lang.t("feedback.said_truth", labels=lang.listed(map(_names(entry.answer, lang), entry.labels)))
    return "" if entry.right is None else lang.t("feedback.said_right" if entry.right else "feedback.said_wrong")


def _reading(
    said: Mapping[str, Any],
    checkup: CheckUp | None,
    lang: Language,
    *,
    id: str,
    titles: Mapping[str, str],
    file: str = "",
    at: str = "",
    chosen: bool = False,
    passport: str = "",
    picture: Picture | None = None,
    evidence: Mapping[str, bytes] | None = None,
    took: float | None = None,
) -> Reading:
    name = said.get("model") or ""
    version = said.get("version")
    several = checkup is not None and checkup.task == "multilabel"
    named = _names(said, lang)
    title = titles.get(name) or lang.label(name)
    built_in = lang.t("checkup.version_builtin", name=name)
    model = lang.t("checkup.version", name=name, version=str(version)) if version is not None else built_in
    meta = [(lang.t("result.model"), model)] if name else []
    if at:
        meta.append((lang.t("result.at"), lang.date(at)))
    if took is not None:
        meta.append((lang.t("result.took"), lang.t("result.took_ms", n=round(took))))
    meta.append((lang.t("result.number"), id[:12]))
    probabilities: Mapping[str, float] = said.get("probabilities") or {}
    labels = checkup.labels if checkup and len(checkup.labels) <= _CHOICES else tuple(probabilities)
    common: dict[str, Any] = {
        "key": id[:12],
        "id": id,
        "file": file,
        "name": name,
        "title": title,
        "chosen": chosen,
        "picture": picture,
        "meta": tuple(meta),
        "passport": passport,
        "several": several,
        "labels": tuple(Label(name=n, title=named(n)) for n in labels),
        "feedback": bool(labels),
        "limits": checkup.limits if checkup else (),
    }
    if said.get("refused"):
        return Reading(**{**common, "limits": ()}, state="refused", **_refusal(said, titles, lang))
    called = _called(said, several)
    points = checkup.points if checkup else {}
    sought = checkup.positive if checkup else None
    # Labels that say healthy have a line too, but crossing it is no reason to raise a flag.
    thresholds = {
        n: points[n].threshold
        for n in probabilities
        if n in points and (n == sought if sought in points else not healthy(n))
    }
    order = sorted(probabilities, key=lambda n: -probabilities[n])
    about = [sought] if sought is not None and sought in points else called[:3]
    return Reading(
        **common,
        state="answered",
        says=lang.t("result.finds") if several else lang.t("result.most_like"),
        headline=lang.listed(_capital(named(n)) for n in called) or lang.t("result.nothing"),
        **_flag(probabilities, thresholds, lang, named),
        bars=tuple(_bar(named(n), probabilities[n], thresholds.get(n), n in called, lang) for n in order),
        inwords=tuple(_point(n, checkup, lang, named) for n in about if checkup and n in points),
        heats=tuple(
            Heat(
                index=i,
                label=named(n),
                uri=_uri(evidence[n], "image/png"),
                first=n == (sought or (called or order)[0]),
            )
            for i, n in enumerate([n for n in order if n in (evidence or {})][:_HEATS])
        )
        if evidence
        else (),
    )


def _point(label: str, checkup: CheckUp, lang: Language, named: Named) -> str:
    words = in_words(checkup, label, checkup.points[label], lang)
    if not words or label == checkup.positive:
        return words
    return lang.t("result.point", label=_capital(named(label)), words=words[:1].lower() + words[1:])


def _refusal(said: Mapping[str, Any], titles: Mapping[str, str], lang: Language) -> dict[str, Any]:
    looks_like = str(said["refused"].get("looks_like") or "")
    what = titles.get(looks_like) or lang.label(looks_like)
    return {
        "headline": lang.t("refused.headline" if said.get("model") else "refused.none"),
        "because": lang.t("refused.because"),
        "instead": lang.t("refused.looks", what=what) if what else "",
        "instead_url": f"/checkups/{looks_like}" if looks_like in titles else "",
    }


def _flag(
    probabilities: Mapping[str, float], thresholds: Mapping[str, float | None], lang: Language, named: Named
) -> dict[str, Any]:
    """Which of the labels that raise flags are above their line, whatever is most probable."""
    counting = {n: limit for n, limit in thresholds.items() if limit is not None}
    if not counting:
        return {}
    # In single precision, as flags are announced.
    up = [n for n, limit in counting.items() if np.float32(probabilities[n]) >= np.float32(limit)]

    def said(key: str, n: str) -> str:
        return lang.t(
            f"result.{key}",
            label=_capital(named(n)),
            percent=lang.percent(probabilities[n]),
            limit=lang.percent(counting[n]),
        )

    if up:
        return {
            "flagged": True,
            "flags": tuple(said("flagged", n) for n in sorted(up, key=lambda n: -probabilities[n])),
        }
    below = said("not_flagged", next(iter(counting))) if len(counting) == 1 else lang.t("result.none_flagged")
    return {"flagged": False, "flags": (f"{below}. {lang.t('result.missed')}",)}


def _bar(label: str, p: float, limit: float | None, called: bool, lang: Language) -> Bar:
    return Bar(
        label=label,
        percent=lang.percent(p),
        width=round(100 * min(max(p, 0), 1), 1),
        limit=None if limit is None else round(100 * min(max(limit, 0), 1), 1),
        limit_words="" if limit is None else lang.t("result.line_at", limit=lang.percent(limit)),
        called=called,
    )


def _names(said: Mapping[str, Any], lang: Language) -> Named:
    """How the labels of an answer are named: in translation where a shipped check-up gave it."""
    of = "" if said.get("version") is not None else str(said.get("model") or "")
    return lambda label: lang.label(label, of)


def _called(said: Mapping[str, Any], several: bool) -> list[str]:
    """The labels announced. Names of labels may hold the mark that joins them, so it only parts what was joined."""
    text = str(said.get("prediction") or "")
    known = said.get("probabilities") or {}
    if not text or text in known:
        return [text] if text else []
    return [n for n in known if f"|{n}|" in f"|{text}|"] if several or "|" in text else [text]


def _status(status: int, lang: Language) -> int:
    return status if lang.has(f"error.{status}") else 400 if status < 500 else 500


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
