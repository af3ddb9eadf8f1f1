"""Show the answer to a picture or ECG: its state, percentages as bars, how far a flag can be trusted, heat maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from medloupe.data.modalities import MODALITIES
from medloupe.serving.web.applies import view_question, word_reason
from medloupe.serving.web.bars import Bar, Namer, capitalize, draw_bars, draw_reach
from medloupe.serving.web.boxes import finds_boxes, view_boxes, word_tiling
from medloupe.serving.web.cards import Label
from medloupe.serving.web.cardtext import JOIN, describe_limits, describe_scope, describe_terms
from medloupe.serving.web.cells import draw_cells, view_cells
from medloupe.serving.web.ecg import EcgView, describe_ecg
from medloupe.serving.web.headline import describe_state, is_judged, state_decided
from medloupe.serving.web.heats import strongest_outside, word_pointed
from medloupe.serving.web.inputs import describe_effects
from medloupe.serving.web.kinds import ECG, PICTURE, PageKind, page_kind
from medloupe.serving.web.language import Language
from medloupe.serving.web.summary import (
    announced_labels,
    describe_facts,
    describe_refusal,
    describe_unusable,
    label_namer,
    shipped_checkup,
)
from medloupe.serving.web.trust import describe_meaning, describe_trust, describe_weakness
from medloupe.serving.web.views import AnswerPicture, AnswerView, HeatOverlay, OtherAnswer
from medloupe.utils.datauri import data_uri

if TYPE_CHECKING:
    from medloupe.ecg.reading import Reading
    from medloupe.imaging.sandbox.pool import Preview
    from medloupe.serving.engine.answer import Answer
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.engine.entries import Entry

_HEATS = 12  # as many labels as style.css knows heat maps for
_CHOICES = 60  # with more labels than this, feedback offers those that were answered
_BARS = 8  # shown at once; the others can be opened

Find = Callable[[str, int | None], "CheckUp | None"]  # the version of a check-up that gave an answer


def view_answer(
    answer: Answer,
    lang: Language,
    *,
    titles: Mapping[str, str],
    at: str = "",
    chosen: bool = False,
    passport: str = "",
    start: float = 0.0,
    find: Find | None = None,
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
    find
        Finds the versions of the other check-ups of its kind.
    """
    p = answer.prediction
    return _view(
        {**p.as_json(), "file": ""},
        answer.checkup,
        lang,
        id=answer.id,
        file=p.file,
        titles=titles,
        at=at,
        chosen=chosen,
        passport=passport,
        preview=answer.preview,
        evidence=answer.evidence,
        ecg=p.ecg,
        start=start,
        drawing=answer.drawing,
        find=find,
    )


def view_entry(
    entry: Entry,
    checkup: CheckUp | None,
    lang: Language,
    *,
    titles: Mapping[str, str],
    preview: Preview | None = None,
    evidence: Mapping[str, bytes] | None = None,
    ecg: Reading | None = None,
    drawing: str = "",
    chosen: bool = False,
    passport: str = "",
    start: float = 0.0,
    find: Find | None = None,
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
    preview, evidence, ecg, drawing
        What was kept of the example, or could be made of it again.
    chosen, passport, start, find
        As `view_answer` has them.
    """
    view = _view(
        entry.answer,
        checkup,
        lang,
        id=entry.id,
        titles=titles,
        at=entry.at,
        chosen=chosen or bool(entry.answer.get("answers")),
        passport=passport,
        preview=preview,
        evidence=evidence,
        ecg=ecg,
        start=start,
        drawing=drawing,
        kept_away=preview is None and ecg is None and not drawing,
        find=find,
    )
    return replace(view, alias=entry.alias)


def embed_picture(preview: Preview) -> AnswerPicture:
    """Embed a picture in the page."""
    return AnswerPicture(uri=data_uri(preview.jpeg, "image/jpeg"), width=preview.width, height=preview.height)


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
    preview: Preview | None = None,
    evidence: Mapping[str, bytes] | None = None,
    ecg: Reading | None = None,
    start: float = 0.0,
    drawing: str = "",
    kept_away: bool = False,
    find: Find | None = None,
) -> AnswerView:
    kind = _kind(said, checkup)
    name = str(said.get("model") or "")
    named = label_namer(said, lang)
    probabilities: Mapping[str, float] = said.get("probabilities") or {}
    labels = checkup.answered_labels if checkup and len(checkup.answered_labels) <= _CHOICES else tuple(probabilities)
    told = describe_state(said, checkup, lang, kind)
    scope = str(said.get("scope") or (JOIN.join(checkup.decision.scope) if checkup else ""))
    common: dict[str, Any] = {
        "key": id[:12],
        "id": id,
        "file": file,
        "name": name,
        "title": titles.get(name) or lang.label(name),
        "chosen": chosen,
        "state": told.state,
        "chip": told.chip,
        "headline": told.text,
        "lines": told.lines,
        "scope": describe_scope(scope, lang, checkup),
        "question": view_question(said.get("ask"), lang),
        "others": _others(said, titles, lang, find),
        "picture": None if preview is None else embed_picture(preview),
        "kept_away": kept_away,
        "meta": (*_meta(said, lang, id, at), *((lang.t("decoding.title"), t) for t in describe_facts(said, lang))),
        "passport": passport,
        "several": checkup is not None and checkup.task in ("multilabel", "detection"),
        "labels": tuple(Label(name=n, title=named(n)) for n in labels),
        "feedback": bool(labels),
        "limits": describe_limits(checkup, lang) if checkup else (),
        "terms": describe_terms(checkup, lang) if checkup else "",
        "ecg": _ecg(said, checkup, lang, ecg, start),
        "kind": kind,
        "drawing": data_uri(drawing.encode(), "image/svg+xml") if drawing else "",
    }
    reason = word_reason(said, titles, lang)
    if told.state == "refused" and not said.get("asked"):
        chosen_so = {"headline": lang.t("applies.not_alone"), "because": reason} if reason else {}
        return AnswerView(**{**common, "limits": (), **describe_refusal(said, titles, lang, kind), **chosen_so})
    if reason:
        common["lines"] = (reason, *common["lines"])
    if told.state == "unusable":
        return AnswerView(**{**common, **describe_unusable(said, lang)})
    common |= {"weak": describe_weakness(checkup, lang), "inwords": describe_trust(said, checkup, lang, named)}
    common |= {"notes": describe_meaning(said, checkup, lang, kind)}
    if "counts" in (said.get("ecg") or ()):
        bars = _bars(said, None, lang, named)
        return AnswerView(**common, bars=bars, rest=())
    common["lines"] = (*common["lines"], *word_tiling(said, lang))
    if said.get("asked"):
        refused = told.state == "refused"
        found = draw_cells(said, checkup, lang, named)
        whole = () if refused else _bars(said, None, lang, named)
        return AnswerView(**common, boxes=found, cells=view_cells(said, lang, named), whole=whole)
    if finds_boxes(said):
        return AnswerView(
            **common,
            boxes=view_boxes(said, checkup, lang, named),
            whole=_bars(said, None, lang, named),
        )
    top = next(iter(said.get("flagged") or announced_labels(said, False)), "")
    shown, rest = _shown_first(_bars(said, checkup, lang, named))
    return AnswerView(
        **common,
        reach=draw_reach(said.get("at_least") or {}, str(said.get("grade") or ""), lang, named),
        bars=shown,
        rest=rest,
        moved=describe_effects(said, top, capitalize(named(top)), common["several"], lang, kind)
        if top in probabilities
        else None,
        heats=_heats(
            probabilities,
            top,
            evidence or {},
            lang_named=named,
            slots=kept_away and kind is PICTURE,
            judged={n: word_pointed(p, lang, named(n)) for n, p in checkup.pointed.items()} if checkup else {},
        ),
        outside=preview is not None and top in (evidence or {}) and strongest_outside(preview.jpeg, evidence[top])
        if evidence
        else False,
    )


def _meta(said: Mapping[str, Any], lang: Language, id: str, at: str) -> tuple[tuple[str, str], ...]:
    """List model and version, time and number of an answer."""
    name, version = said.get("model") or "", said.get("version")
    built_in = lang.t("checkup.version_builtin", name=name)
    model = lang.t("checkup.version", name=name, version=str(version)) if version is not None else built_in
    meta = [(lang.t("result.model"), model)] if name else []
    if at:
        meta.append((lang.t("result.at"), lang.date(at)))
    return (*meta, (lang.t("result.number"), id[:12]))


def _bars(said: Mapping[str, Any], checkup: CheckUp | None, lang: Language, named: Namer) -> tuple[Bar, ...]:
    """Draw the bars of all labels. checkup: whose lines are drawn, None for none."""
    p: Mapping[str, float] = said.get("probabilities") or {}
    known = [n for n in p if checkup is not None and n in checkup.labels] if state_decided(said) else []
    lines = {n: line for n in known if checkup and (line := checkup.decision.line(n)) is not None}
    called = announced_labels(said, False)
    ordered = bool(said.get("at_least"))
    return draw_bars(p, lines, tuple(said.get("flagged") or ()), called, lang, named, ordered=ordered)


def _shown_first(bars: Sequence[Bar]) -> tuple[tuple[Bar, ...], tuple[Bar, ...]]:
    """Part the bars that are shown at once, all flagged ones among them, from the others."""
    first = tuple(b for i, b in enumerate(bars) if i < _BARS or b.flagged or b.called)
    return first, tuple(b for b in bars if b not in first)


def _heats(
    probabilities: Mapping[str, float],
    top: str,
    evidence: Mapping[str, bytes],
    *,
    lang_named: Namer,
    slots: bool,
    judged: Mapping[str, str],
) -> tuple[HeatOverlay, ...]:
    """List the heat maps. slots: also those without one, for the browser to fill in what it has kept."""
    order = sorted(probabilities, key=lambda n: (n != top, -probabilities[n]))
    wanted = [n for n in order if slots or n in evidence][:_HEATS]
    return tuple(
        HeatOverlay(
            index=i,
            name=n,
            label=lang_named(n),
            uri=data_uri(evidence[n], "image/png") if n in evidence else "",
            first=i == 0,
            judged=judged.get(n, ""),
        )
        for i, n in enumerate(wanted)
    )


def _others(
    said: Mapping[str, Any], titles: Mapping[str, str], lang: Language, find: Find | None
) -> tuple[OtherAnswer, ...]:
    """Say in a line each what the other check-ups of the kind say."""
    found = []
    for other in said.get("answers") or ():
        name, version = str(other.get("model") or ""), other.get("version")
        if (name, version) == (str(said.get("model") or ""), said.get("version")):
            continue
        checkup = find(name, version) if find is not None else None
        told = describe_state(other, checkup, lang, _kind(other, checkup))
        title = titles.get(name) or lang.label(name)
        scope = describe_scope(str(other.get("scope") or ""), lang, checkup)
        text = (word_reason(other, titles, lang) if told.state == "refused" else "") or told.brief
        found.append(OtherAnswer(title=title, state=told.state, chip=told.chip, text=text, scope=scope))
    return tuple(found)


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
        judged=is_judged(said),
    )
