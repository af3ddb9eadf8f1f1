"""Show the answer to a picture or ECG: percentages as bars, the line in words, heat maps, refusal."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medloupe.data.labels import is_healthy
from medloupe.data.modalities import MODALITIES
from medloupe.serving.web.bars import Namer, capitalize, describe_flags, percent_bar
from medloupe.serving.web.cards import Label, describe_point
from medloupe.serving.web.ecg import EcgView, describe_ecg
from medloupe.serving.web.inputs import describe_effects, input_title
from medloupe.serving.web.kinds import ECG, PICTURE, PageKind, page_kind
from medloupe.serving.web.language import Language
from medloupe.serving.web.summary import announced_labels, describe_refusal, label_namer, shipped_checkup
from medloupe.serving.web.views import AnswerPicture, AnswerView, HeatOverlay
from medloupe.utils.datauri import data_uri

if TYPE_CHECKING:
    from medloupe.ecg.reading import Reading
    from medloupe.imaging.sandbox.pool import Preview
    from medloupe.serving.engine.answer import Answer
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.engine.journal import Entry
    from medloupe.serving.http.errors import HttpError

_HEATS = 12  # as many labels as style.css knows heat maps for
_CHOICES = 60  # with more labels than this, feedback offers those that were answered


def view_answer(
    answer: Answer,
    lang: Language,
    *,
    titles: Mapping[str, str],
    at: str = "",
    chosen: bool = False,
    passport: str = "",
    start: float = 0.0,
) -> AnswerView:
    """Show an answer that was just given.

    Parameters
    ----------
    answer
        What the service says.
    lang
        The language of the page.
    titles
        Of the check-ups by name.
    at
        When, ISO 8601, or "".
    chosen
        Whether the app chose the check-up.
    passport
        Path of the version's report, or "".
    start
        From which second on an ECG is drawn.
    """
    p = answer.prediction
    said = p.as_json()
    return _view(
        {**said, "file": ""},
        answer.checkup,
        lang,
        id=answer.id,
        file=p.file,
        titles=titles,
        at=at,
        chosen=chosen,
        passport=passport,
        picture=None if answer.preview is None else embed_picture(answer.preview),
        evidence=answer.evidence,
        took=sum(p.timings.values()),
        ecg=p.ecg,
        start=start,
        drawing=answer.drawing,
    )


def view_entry(
    entry: Entry,
    checkup: CheckUp | None,
    lang: Language,
    *,
    titles: Mapping[str, str],
    picture: AnswerPicture | None = None,
    ecg: Reading | None = None,
    drawing: str = "",
    passport: str = "",
) -> AnswerView:
    """Show an answer from the journal.

    Parameters
    ----------
    entry
        The journal's entry.
    checkup
        The version that gave it, or None where it is gone.
    lang
        The language of the page.
    titles
        Of the check-ups by name.
    picture, ecg, drawing
        What was kept of the example.
    passport
        Path of the version's report, or "".
    """
    return _view(
        entry.answer,
        checkup,
        lang,
        id=entry.id,
        titles=titles,
        at=entry.at,
        passport=passport,
        picture=picture,
        ecg=ecg,
        drawing=drawing,
    )


def embed_picture(preview: Preview) -> AnswerPicture:
    """Embed a picture in the page."""
    return AnswerPicture(uri=data_uri(preview.jpeg, "image/jpeg"), width=preview.width, height=preview.height)


def view_failure(file: str, error: HttpError, lang: Language, because: str = "") -> AnswerView:
    """Show a picture that could not be answered.

    Parameters
    ----------
    file
        Its name.
    error
        What went wrong.
    lang
        The language of the page.
    because
        In place of what is usually said of such an error, or "".
    """
    known = lang.has(f"failed.{error.code}")
    usual = f"failed.{error.code}_text" if known else f"error.{_status(error.status, lang)}_text"
    return AnswerView(
        key=secrets.token_hex(4),
        state="failed",
        file=file,
        headline=lang.t(f"failed.{error.code}") if known else lang.t(f"error.{_status(error.status, lang)}"),
        because=because or lang.t(usual),
        detail=f"{error.message} {error.hint}".strip() if error.code == "unreadable" else "",
    )


def _view(
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
    picture: AnswerPicture | None = None,
    evidence: Mapping[str, bytes] | None = None,
    took: float | None = None,
    ecg: Reading | None = None,
    start: float = 0.0,
    drawing: str = "",
) -> AnswerView:
    kind = _kind(said, checkup)
    name = said.get("model") or ""
    version = said.get("version")
    several = checkup is not None and checkup.task == "multilabel"
    named = label_namer(said, lang)
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
        "kind": kind,
        "drawing": data_uri(drawing.encode(), "image/svg+xml") if drawing else "",
    }
    if said.get("refused"):
        return AnswerView(**{**common, "limits": ()}, state="refused", **describe_refusal(said, titles, lang, kind))
    if "counts" in (said.get("ecg") or ()):
        return AnswerView(**common, state="answered", **_beats(said, checkup, lang))
    called = announced_labels(said, several)
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
    return AnswerView(
        **common,
        state="answered",
        says=lang.t("result.finds") if several else lang.t(kind.key("result.most_like")),
        calibrated=lang.t(kind.key("result.calibrated")),
        headline=lang.join(capitalize(named(n)) for n in called) or lang.t("result.nothing"),
        **describe_flags(probabilities, thresholds, lang, named),
        bars=tuple(percent_bar(named(n), probabilities[n], thresholds.get(n), n in called, lang) for n in order),
        moved=describe_effects(said, top, capitalize(named(top)), several, lang, kind)
        if top in probabilities
        else None,
        inwords=tuple(_point(n, checkup, lang, named) for n in about if checkup and n in points),
        heats=tuple(
            HeatOverlay(
                index=i,
                label=named(n),
                uri=data_uri(evidence[n], "image/png"),
                first=n == (sought or (called or order)[0]),
            )
            for i, n in enumerate([n for n in order if n in (evidence or {})][:_HEATS])
        )
        if evidence
        else (),
    )


def _kind(said: Mapping[str, Any], checkup: CheckUp | None) -> PageKind:
    """Tell the kind of what was sent: an answer to an ECG says so itself, also where its check-up is gone."""
    if "ecg" in said:
        return ECG
    added = checkup is not None and MODALITIES.find(checkup.modality) in MODALITIES.added
    return page_kind(checkup.modality) if checkup is not None and added else PICTURE


def _ecg(
    said: Mapping[str, Any], checkup: CheckUp | None, lang: Language, found: Reading | None, start: float
) -> EcgView | None:
    if not said.get("ecg"):
        return None
    return describe_ecg(
        said["ecg"],
        checkup,
        lang,
        shipped_checkup(said),
        found,
        start,
        judged=not said.get("refused") and said.get("state") != "unusable",
    )


def _beats(said: Mapping[str, Any], checkup: CheckUp | None, lang: Language) -> dict[str, Any]:
    """Say what was found in a recording that was judged beat by beat.

    Lines and flags are of single beats, and stay away.
    """
    p: Mapping[str, float] = said["probabilities"]
    named, called = label_namer(said, lang), sorted(announced_labels(said, True), key=lambda n: -p.get(n, 0))
    given = [input_title(i["name"], lang) for i in said.get("inputs") or () if i.get("value") or "effect" not in i]
    also = lang.t("ecg.also", names=lang.join(given)) if given else ""
    points = [_point(n, checkup, lang, named) for n in called if checkup and n in checkup.shown_points]
    return {
        "says": lang.t("ecg.says_beats"),
        "headline": capitalize(lang.join(map(named, called))) or lang.t("result.nothing"),
        "bars": tuple(percent_bar(named(n), p[n], None, n in called, lang) for n in sorted(p, key=lambda n: -p[n])),
        "inwords": tuple(filter(None, (also, *points))),
        "calibrated": lang.t("ecg.calibrated_beats"),
    }


def _point(label: str, checkup: CheckUp, lang: Language, named: Namer) -> str:
    words = describe_point(checkup, label, checkup.shown_points[label], lang)
    if not words or label == checkup.positive:
        return words
    return lang.t("result.point", label=capitalize(named(label)), words=words[:1].lower() + words[1:])


def _status(status: int, lang: Language) -> int:
    return status if lang.has(f"error.{status}") else 400 if status < 500 else 500
