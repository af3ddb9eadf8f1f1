"""A check-up as pages introduce it: its labels, how well it works in words, what that rests on. No HTTP in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medloupe.serving.web import inputs
from medloupe.serving.web.emblem import Emblem, emblem
from medloupe.serving.web.language import Language

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp, Hardship, Point

_MOST = 40  # operating points named on a page


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One answer a check-up can give. sought: the one it looks for."""

    name: str
    title: str
    sought: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PointView:
    """An operating point in words."""

    label: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HardshipView:
    """A change of the pictures and what it does to the AUC, "−0.06 (−0.09 to −0.03)". refused: share, or ""."""

    title: str
    auc: str
    refused: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A check-up as it is introduced. good: how well it works. doubt: what must be said first, or "". basis: what that
    rests on. passport: path of its report, or "". inputs: what to ask for beside the picture. ecg: whether it reads
    ECGs."""

    name: str
    title: str
    version: int | None
    emblem: Emblem
    labels: tuple[Label, ...]
    good: str
    doubt: str
    basis: str
    points: tuple[PointView, ...]
    limits: tuple[str, ...]
    lead: str
    passport: str
    weakest: str = ""
    hardships: tuple[HardshipView, ...] = ()
    inputs: tuple[inputs.Field, ...] = ()
    ecg: bool = False


def card(checkup: CheckUp, lang: Language, *, passport: str = "") -> Card:
    """How a check-up is introduced."""
    sought = checkup.positive
    of = checkup.name if checkup.version is None else ""
    order = sorted(checkup.labels, key=lambda name: name != sought)
    labels = tuple(Label(name=n, title=lang.label(n, of), sought=n == sought) for n in order)
    shown = (
        [sought]
        if sought is not None and sought in checkup.shown_points
        else [n for n in checkup.labels if n in checkup.shown_points]
    )
    points = tuple(
        PointView(label=lang.label(n, of), words=words)
        for n in shown[:_MOST]
        if (words := in_words(checkup, n, checkup.shown_points[n], lang))
    )
    auc = (checkup.auc or {}).get("value")
    if len(points) == 1:
        good = points[0].words
    elif auc is not None:
        good = lang.t(_kind(checkup, "checkup.ranks", "ecg.ranks"), n=lang.hundred(auc))
    else:
        good = lang.t("checkup.not_judged" if checkup.ecg is None else "ecg.not_judged")
    low = (checkup.auc or {}).get("low")
    return Card(
        name=checkup.name,
        title=lang.checkup(checkup),
        version=checkup.version,
        emblem=emblem(checkup.name, ecg=checkup.ecg is not None),
        labels=labels,
        good=good,
        doubt=lang.t("checkup.guess") if low is not None and low <= 0.5 else "",
        basis=_basis(checkup, lang),
        points=points,
        limits=checkup.limits,
        lead=_lead(checkup, labels, lang),
        passport=passport,
        weakest=_weakest(checkup, lang),
        hardships=tuple(_hardship(h, lang) for h in checkup.hardships),
        inputs=inputs.fields(checkup, lang),
        ecg=checkup.ecg is not None,
    )


def in_words(checkup: CheckUp, label: str, point: Point, lang: Language) -> str:
    """An operating point as "finds 95 of 100 cases; 1 in 8 healthy people is flagged"; "" where it was not measured."""
    if point.sensitivity is None or point.specificity is None:
        return ""
    others = [n for n in checkup.labels if n != label]
    healthy = checkup.positive == label and any(w in others[0].lower() for w in ("normal", "healthy"))
    key = "point.healthy" if healthy else "point.without"
    if checkup.beats and point.ppv is not None:
        found, right = lang.hundred(point.sensitivity), lang.hundred(point.ppv)
        return lang.t("ecg.beatpoint", found=found, right=right)
    if checkup.ecg is not None:
        key = "ecg.point"
    return lang.one_in(key, 1 - point.specificity, found=lang.hundred(point.sensitivity))


def _weakest(checkup: CheckUp, lang: Language) -> str:
    """Which changes weaken it by more than chance explains, the worst first; "" where that was not measured."""
    judged = [h for h in checkup.hardships if h.value is not None and h.high is not None]
    fallen = sorted((h.value or 0, _hardship_title(h, lang)) for h in judged if (h.high or 0) < 0)[:3]
    if fallen:
        return lang.t("stress.weakest", changes=lang.listed(name for _, name in fallen))
    return lang.t("stress.steady") if judged else ""


def _hardship(h: Hardship, lang: Language) -> HardshipView:
    def signed(x: float | None) -> str:
        return ("−" if (x or 0) < 0 else "+") + lang.number(abs(x or 0), 2)

    auc = "–" if h.value is None else signed(h.value)
    if h.low is not None and h.high is not None:
        auc = lang.t("stress.range", value=auc, low=signed(h.low), high=signed(h.high))
    return HardshipView(
        title=_hardship_title(h, lang), auc=auc, refused="" if h.refused is None else lang.percent(h.refused)
    )


def _hardship_title(h: Hardship, lang: Language) -> str:
    """In the reader's language; a change that this version does not know stays English."""
    key = f"stress.{h.name}"
    return lang.t(key) if lang.has(key) else h.title


def _basis(checkup: CheckUp, lang: Language) -> str:
    if not checkup.images:
        return lang.t("checkup.builtin") if checkup.version is None else ""
    basis = lang.t(_kind(checkup, "checkup.basis", "ecg.basis"), n=checkup.images)
    said = lang.t("checkup.basis_data", basis=basis, data=checkup.data_name) if checkup.data_name else f"{basis}."
    if not checkup.adapted_to:
        return said
    return f"{said} {lang.t('checkup.adapted', n=checkup.adapted_cases, data=checkup.adapted_to)}"


def _kind(checkup: CheckUp, picture: str, ecg: str) -> str:
    """The key of a string by what the check-up looks at."""
    if checkup.ecg is None:
        return picture
    return f"{ecg}_beats" if checkup.beats else ecg


def _lead(checkup: CheckUp, labels: Sequence[Label], lang: Language) -> str:
    ecg = checkup.ecg is not None
    if len(labels) > 8:
        return lang.t("ecg.lead_many" if ecg else "checkup.lead_many", n=len(labels))
    names = lang.listed(lang.t("format.quoted", text=label.title) for label in labels)
    if checkup.beats:
        return lang.t("ecg.lead_beats", labels=names)
    if checkup.task == "multilabel":
        return lang.t("ecg.lead_findings" if ecg else "checkup.lead_findings", labels=names)
    return lang.t("ecg.lead" if ecg else "checkup.lead", labels=names)
