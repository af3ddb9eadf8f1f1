"""Choose what the pages of review show, in the reader's language."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medloupe.accounts.person import Person
from medloupe.metrics.agreement import Kappa
from medloupe.review.agreement import FindingAgreement
from medloupe.review.desk import ReviewDesk
from medloupe.review.tasks import is_placed
from medloupe.serving.web.ecg import EcgView
from medloupe.serving.web.language import Language
from medloupe.store.review_nouns import DISCARD, MOST_BOXES, OPEN, SETTLED, ReviewCase, ReviewOpinion

_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLine:
    """A case in a list. about: what was answered; state: how far it is."""

    id: str
    title: str
    about: str
    at: str
    state: str
    mine: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """The page of the queue.

    Attributes
    ----------
    findings
        Of check-ups of several findings, of each the title of both, the cases, the share agreed on, and kappa.
    waiting
        Name and title of check-ups of which settled cases wait for a data set, how many, and whether one can be begun.
    """

    open: tuple[CaseLine, ...]
    to_read: int
    closed: tuple[CaseLine, ...]
    counts: dict[str, int]
    kappa: Kappa
    agreement: str
    findings: tuple[tuple[str, str, int, str, str], ...]
    waiting: tuple[tuple[str, str, int, bool], ...]
    may_place: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """The page of one case.

    Attributes
    ----------
    choices
        (label, title, whether the check-up announced it).
    drawn
        The boxes that the check-up marked, as JSON, to be corrected.
    seen
        What there is to say of them.
    most
        How many boxes a reader may draw.
    ecg
        The recording, drawn, and what was measured of it; None of a picture.
    """

    case: ReviewCase
    title: str
    about: str
    said: str
    basis: str
    patient: str
    state: str
    choices: tuple[tuple[str, str, bool], ...]
    opinions: tuple[tuple[str, str], ...]
    may_read: bool
    mine: bool
    several: bool
    boxes: bool
    drawn: str
    seen: str
    most: int = MOST_BOXES
    ecg: EcgView | None = None

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """Name and title of each label that a box may have."""
        return tuple((name, title) for name, title, _ in self.choices)


def view_queue(desk: ReviewDesk, person: Person, lang: Language) -> QueueView:
    """Show the queue to a person."""
    opened = desk.queue.list(OPEN, most=_SHOWN)
    settled = desk.queue.list(SETTLED, most=10_000)
    agreement = desk.measure_agreement()
    kappa = agreement.whole
    missing: dict[str, int] = {}
    for case in settled:
        if case.item is None and case.why == "no_dataset":
            missing[case.model] = missing.get(case.model, 0) + 1
    waiting = []
    for model, n in sorted(missing.items()):
        checkup = desk.checkup(model, None)
        can = checkup is not None and is_placed(checkup)
        waiting.append((model, lang.label(model) or model, n, can))
    return QueueView(
        open=tuple(_line(case, person, lang) for case in opened),
        to_read=sum(not case.read_by(person.name) for case in opened),
        closed=tuple(_line(case, person, lang) for case in reversed(settled[-20:])),
        counts=desk.queue.count(),
        kappa=kappa,
        agreement=_word_agreement(kappa, lang),
        findings=tuple(_word_finding(one, lang) for one in agreement.findings),
        waiting=tuple(waiting),
        may_place=person.may("trainer"),
    )


def view_case(case: ReviewCase, person: Person, lang: Language, ecg: EcgView | None = None) -> CaseView:
    """Show one case to a person. ecg: the recording that it is about, drawn."""
    announced = set(_list_announced(case)) | ({case.answer.get("prediction")} if not case.several else set())
    may_read = case.state == OPEN and not case.read_by(person.name)
    marked = _choose_marked(case)
    boxes = [
        {"label": box["label"], "x": box["x"], "y": box["y"], "width": box["w"], "height": box["h"]}
        for box in marked[:MOST_BOXES]
    ]
    rest = len(marked) - len(boxes)
    return CaseView(
        case=case,
        title=lang.label(case.model) or case.model,
        about=_about(case, lang),
        said=_said(case, lang),
        basis=lang.t(f"review.basis_{case.basis}") + f" · {case.basis_by} · {lang.date(case.basis_at)}",
        patient=case.patient or lang.t("review.patient_unknown"),
        state=_state(case, lang),
        choices=tuple((name, lang.label(name) or name, name in announced) for name in case.labels),
        opinions=tuple((opinion.reader, _opinion(opinion, lang)) for opinion in case.opinions),
        may_read=may_read,
        mine=case.read_by(person.name),
        several=case.several,
        boxes=case.task == "detection",
        drawn=json.dumps(boxes),
        ecg=ecg,
        seen=lang.t("review.boxes_cut", n=MOST_BOXES, rest=str(rest))
        if rest
        else lang.t("review.boxes_said", n=len(boxes)),
    )


def _choose_marked(case: ReviewCase) -> list[Mapping[str, Any]]:
    """Choose the boxes that the check-up marked, the surest first; where its lines are not known, all that it told."""
    lines: Mapping[str, float] = case.answer.get("lines") or {}
    told = [box for box in case.answer.get("boxes") or () if box.get("label") in case.labels]
    told = [box for box in told if not lines or float(box.get("score") or 0) >= lines.get(box["label"], 2.0)]
    return sorted(told, key=lambda box: -float(box.get("score") or 0))


def _line(case: ReviewCase, person: Person, lang: Language) -> CaseLine:
    return CaseLine(
        id=case.id,
        title=lang.label(case.model) or case.model,
        about=_about(case, lang),
        at=lang.date(case.created),
        state=_state(case, lang),
        mine=case.read_by(person.name),
    )


def _about(case: ReviewCase, lang: Language) -> str:
    """Say what was answered."""
    answer = case.answer
    if case.task == "detection":
        return lang.t("review.answered_boxes", n=len(_choose_marked(case)))
    names = _list_announced(case)
    if not names:
        return lang.t("review.answered_nothing")
    p = answer.get("probabilities") or {}
    shown = [(lang.label(name) or name, p.get(name)) for name in names]
    return lang.join([title if of is None else f"{title} ({lang.percent(float(of))})" for title, of in shown])


def _list_announced(case: ReviewCase) -> list[str]:
    """List what the check-up said: what it flagged; of classes else the most probable one."""
    flagged = [str(name) for name in case.answer.get("flagged") or ()]
    best = case.answer.get("prediction")
    return flagged or [str(name) for name in (best,) if name and not case.several]


def _said(case: ReviewCase, lang: Language) -> str:
    """Say what the person at the page said."""
    if not case.said:
        return lang.t("review.said_nothing")
    if case.said.get("labels"):
        return lang.t("review.said_labels", labels=lang.join([lang.label(n) or n for n in case.said["labels"]]))
    return lang.t("review.said_right" if case.said.get("right") else "review.said_wrong")


def _state(case: ReviewCase, lang: Language) -> str:
    if case.disputed:
        return lang.t("review.state_disputed")
    if case.state == OPEN:
        return lang.t("review.state_open", have=str(len(case.opinions)), n=case.wanted)
    if case.state == SETTLED:
        where = "placed" if case.item else case.why or "waiting"
        return f"{lang.t('review.state_settled')}: {_outcome(case, lang)} · {lang.t(f'review.why_{where}')}"
    return lang.t(f"review.state_{case.state}")


def _outcome(case: ReviewCase, lang: Language) -> str:
    outcome: Any = case.outcome or {}
    if case.task == "detection":
        return lang.t("review.boxes_count", n=len(outcome.get("boxes") or ()))
    return lang.join([lang.label(name) or name for name in outcome.get("labels") or ()]) or lang.t(
        "review.none_of_these"
    )


def _opinion(opinion: ReviewOpinion, lang: Language) -> str:
    if opinion.verdict == DISCARD:
        return lang.t("review.discarded")
    if opinion.boxes is not None:
        return lang.t("review.boxes_count", n=len(opinion.boxes))
    return _name_labels(opinion.labels, lang)


def _name_labels(labels: Sequence[str], lang: Language) -> str:
    return lang.join([lang.label(name) or name for name in labels]) or lang.t("review.none_of_these")


def _word_agreement(kappa: Kappa, lang: Language) -> str:
    if not kappa.n:
        return lang.t("review.kappa_none")
    if kappa.value is None or kappa.low is None or kappa.high is None:
        return lang.t("review.kappa_share", n=kappa.n, share=lang.percent(kappa.agreed))
    return lang.t(
        "review.kappa",
        n=kappa.n,
        share=lang.percent(kappa.agreed),
        kappa=lang.number(kappa.value, 2),
        low=lang.number(kappa.low, 2),
        high=lang.number(kappa.high, 2),
    )


def _word_finding(one: FindingAgreement, lang: Language) -> tuple[str, str, int, str, str]:
    kappa = one.kappa
    value = "–"
    if kappa.value is not None and kappa.low is not None and kappa.high is not None:
        ends = lang.number(kappa.low, 2), lang.number(kappa.high, 2)
        value = lang.t("review.kappa_ends", kappa=lang.number(kappa.value, 2), low=ends[0], high=ends[1])
    titles = lang.label(one.model) or one.model, lang.label(one.label) or one.label
    return (*titles, kappa.n, lang.percent(kappa.agreed), value)
