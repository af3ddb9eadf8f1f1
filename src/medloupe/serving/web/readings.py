"""The answer to a picture as pages show it: percentages as bars, the line in words, heat maps, refusal."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medloupe.data.labels import is_healthy
from medloupe.serving.web.bars import Bar, Named, bar, capital, flag
from medloupe.serving.web.cards import Label, in_words
from medloupe.serving.web.ecg import EcgView, view
from medloupe.serving.web.inputs import Moved, moved, title
from medloupe.serving.web.language import Language
from medloupe.serving.web.summary import called_in, names, refusal, shipped

if TYPE_CHECKING:
    from medloupe.ecg import reading as ecgreading
    from medloupe.imaging.sandbox.pool import Preview
    from medloupe.serving.engine.answer import Answer
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.engine.journal import Entry
    from medloupe.serving.http.errors import HttpError

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
class Reading:
    """The answer to one picture or ECG. state: "answered", "refused" or "failed". key: unique on the page. detail: what
    the program says of a failure, in English. calibrated: what its percentages mean."""

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
    moved: Moved | None = None
    ecg: EcgView | None = None
    detail: str = ""
    calibrated: str = ""

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
    start: float = 0.0,
) -> Reading:
    """One answer. titles: of the check-ups by name. chosen: whether the app chose the check-up. start: from which
    second on an ECG is drawn."""
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
        ecg=p.ecg,
        start=start,
    )


def remembered(
    entry: Entry,
    checkup: CheckUp | None,
    lang: Language,
    *,
    titles: Mapping[str, str],
    picture: Picture | None = None,
    ecg: ecgreading.Reading | None = None,
    passport: str = "",
) -> Reading:
    """An answer from the journal; checkup: the version that gave it, or None where it is gone. ecg: that was kept."""
    return _reading(
        entry.answer,
        checkup,
        lang,
        id=entry.id,
        titles=titles,
        at=entry.at,
        passport=passport,
        picture=picture,
        ecg=ecg,
    )


def picture(preview: Preview) -> Picture:
    """A picture to be shown within the page."""
    return Picture(uri=_uri(preview.jpeg, "image/jpeg"), width=preview.width, height=preview.height)


def failed(file: str, error: HttpError, lang: Language, because: str = "") -> Reading:
    """A picture that could not be answered. because: in place of what is usually said of such an error."""
    known = lang.has(f"failed.{error.code}")
    usual = f"failed.{error.code}_text" if known else f"error.{_status(error.status, lang)}_text"
    return Reading(
        key=secrets.token_hex(4),
        state="failed",
        file=file,
        headline=lang.t(f"failed.{error.code}") if known else lang.t(f"error.{_status(error.status, lang)}"),
        because=because or lang.t(usual),
        detail=f"{error.message} {error.hint}".strip() if error.code == "unreadable" else "",
    )


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
    ecg: ecgreading.Reading | None = None,
    start: float = 0.0,
) -> Reading:
    name = said.get("model") or ""
    version = said.get("version")
    several = checkup is not None and checkup.task == "multilabel"
    named = names(said, lang)
    heading = titles.get(name) or lang.label(name)
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
        "title": heading,
        "chosen": chosen,
        "picture": picture,
        "meta": tuple(meta),
        "passport": passport,
        "several": several,
        "labels": tuple(Label(name=n, title=named(n)) for n in labels),
        "feedback": bool(labels),
        "limits": checkup.limits if checkup else (),
        "ecg": _ecg(said, checkup, lang, ecg, start),
    }
    if said.get("refused"):
        return Reading(**{**common, "limits": ()}, state="refused", **refusal(said, titles, lang))
    if "counts" in (said.get("ecg") or ()):
        return Reading(**common, state="answered", **_beats(said, checkup, lang))
    ecgs = "ecg" in said
    called = called_in(said, several)
    points = checkup.points if checkup else {}
    sought = checkup.positive if checkup else None
    # Labels that say healthy have a line too, but crossing it is no reason to raise a flag.
    thresholds = {
        n: points[n].threshold
        for n in probabilities
        if n in points and (n == sought if sought in points else not is_healthy(n))
    }
    order = sorted(probabilities, key=lambda n: -probabilities[n])
    about = [sought] if sought is not None and sought in points else called[:3]
    top = (called or order or [""])[0]
    return Reading(
        **common,
        state="answered",
        says=lang.t("result.finds") if several else lang.t("ecg.most_like" if ecgs else "result.most_like"),
        calibrated=lang.t("ecg.calibrated" if ecgs else "result.calibrated"),
        headline=lang.listed(capital(named(n)) for n in called) or lang.t("result.nothing"),
        **flag(probabilities, thresholds, lang, named),
        bars=tuple(bar(named(n), probabilities[n], thresholds.get(n), n in called, lang) for n in order),
        moved=moved(said, top, capital(named(top)), several, lang) if top in probabilities else None,
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


def _ecg(
    said: Mapping[str, Any], checkup: CheckUp | None, lang: Language, found: ecgreading.Reading | None, start: float
) -> EcgView | None:
    if not said.get("ecg"):
        return None
    return view(said["ecg"], checkup, lang, shipped(said), found, start, judged=not said.get("refused"))


def _beats(said: Mapping[str, Any], checkup: CheckUp | None, lang: Language) -> dict[str, Any]:
    """What is said of a recording that was judged beat by beat: lines and flags are of single beats, and stay away."""
    p: Mapping[str, float] = said["probabilities"]
    named, called = names(said, lang), sorted(called_in(said, True), key=lambda n: -p.get(n, 0))
    given = [title(i["name"], lang) for i in said.get("inputs") or () if i.get("value") or "effect" not in i]
    also = lang.t("ecg.also", names=lang.listed(given)) if given else ""
    points = [_point(n, checkup, lang, named) for n in called if checkup and n in checkup.shown_points]
    return {
        "says": lang.t("ecg.says_beats"),
        "headline": capital(lang.listed(map(named, called))) or lang.t("result.nothing"),
        "bars": tuple(bar(named(n), p[n], None, n in called, lang) for n in sorted(p, key=lambda n: -p[n])),
        "inwords": tuple(filter(None, (also, *points))),
        "calibrated": lang.t("ecg.calibrated_beats"),
    }


def _point(label: str, checkup: CheckUp, lang: Language, named: Named) -> str:
    words = in_words(checkup, label, checkup.shown_points[label], lang)
    if not words or label == checkup.positive:
        return words
    return lang.t("result.point", label=capital(named(label)), words=words[:1].lower() + words[1:])


def _status(status: int, lang: Language) -> int:
    return status if lang.has(f"error.{status}") else 400 if status < 500 else 500


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
