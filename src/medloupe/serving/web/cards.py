"""Introduce a check-up: its labels, how well it works in words, and what that rests on.

No HTTP in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medloupe.serving.web import inputs
from medloupe.serving.web.boxes import word_finding
from medloupe.serving.web.cardtext import CardText, describe_limits, describe_terms
from medloupe.serving.web.emblem import Emblem, draw_emblem
from medloupe.serving.web.kinds import ECG, PICTURE, PageKind, page_kind
from medloupe.serving.web.language import Language

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.engine.figures import Hardship, Point

_MOST = 40  # operating points named on a page
_FEW = 4  # labels of a detector of which each is told how many are found


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One answer that a check-up can give.

    Attributes
    ----------
    name, title
        As the model has it, and as people read it.
    sought
        Whether it is the one that the check-up looks for.
    """

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
    """A change of the pictures and what it does to the check-up.

    Attributes
    ----------
    title
        The change, in the reader's language.
    auc
        Difference of the AUC, "−0.06 (−0.09 to −0.03)".
    refused
        The share of pictures refused, or "".
    """

    title: str
    auc: str
    refused: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A check-up as it is introduced.

    Attributes
    ----------
    good
        How well it works.
    doubt
        What must be said first, or "".
    basis
        What that rests on.
    passport
        Path of its report, or "".
    weakest
        The changes of the pictures that weaken it most, or "".
    inputs
        What to ask for beside the picture.
    kind
        Of data that it reads.
    terms
        What the licence of its data forbids, or "".
    crops
        What the pictures that it learned from were cropped to, in words; "" of one that looks at whole pictures.
    """

    name: str
    title: str
    version: int | None
    emblem: Emblem
    labels: tuple[Label, ...]
    good: str
    doubt: str
    basis: str
    points: tuple[PointView, ...]
    limits: tuple[CardText, ...]
    lead: str
    passport: str
    weakest: str = ""
    hardships: tuple[HardshipView, ...] = ()
    inputs: tuple[inputs.InputField, ...] = ()
    kind: PageKind = PICTURE
    terms: str = ""
    crops: str = ""

    @property
    def ecg(self) -> bool:
        """Whether it reads ECGs, of which more can be told in the form."""
        return self.kind is ECG


def describe_checkup(checkup: CheckUp, lang: Language, *, passport: str = "") -> Card:
    """Introduce a check-up.

    Parameters
    ----------
    checkup
        The check-up.
    lang
        The language of the page.
    passport
        Path of its report, or "".
    """
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
        if (words := describe_point(checkup, n, checkup.shown_points[n], lang))
    )
    if checkup.finds_boxes:
        points = tuple(
            PointView(label=lang.label(n, of), words=word_finding("", f, lang))
            for n, f in list(checkup.found_labels.items())[:_MOST]
        )
    auc = (checkup.auc or {}).get("value")
    if checkup.finds_boxes:
        good = _finding(checkup, lang)
    elif len(points) == 1:
        good = points[0].words
    elif auc is not None:
        good = lang.t(_kind(checkup, "checkup.ranks"), n=lang.hundred(auc))
    else:
        good = lang.t(page_kind(checkup.modality).key("checkup.not_judged"))
    low = (checkup.auc or {}).get("low")
    return Card(
        name=checkup.name,
        title=lang.checkup(checkup),
        version=checkup.version,
        emblem=draw_emblem(checkup.name, ecg=page_kind(checkup.modality).trace),
        labels=labels,
        good=good,
        doubt=lang.t("checkup.guess") if low is not None and low <= 0.5 and not checkup.finds_boxes else "",
        basis=_basis(checkup, lang),
        points=points,
        limits=describe_limits(checkup, lang),
        terms=describe_terms(checkup, lang),
        lead=_lead(checkup, labels, lang),
        passport=passport,
        weakest=_weakest(checkup, lang),
        hardships=tuple(_hardship(h, lang) for h in checkup.hardships),
        inputs=inputs.input_fields(checkup, lang),
        kind=page_kind(checkup.modality),
        crops=lang.join([lang.label(name, of) for name in checkup.decision.crops]),
    )


def describe_point(checkup: CheckUp, label: str, point: Point, lang: Language) -> str:
    """Say an operating point as "finds 95 of 100 cases; 1 in 8 healthy people is flagged".

    "" where it was not measured.
    """
    if point.sensitivity is None or point.specificity is None:
        return ""
    others = [n for n in checkup.labels if n != label]
    healthy = checkup.positive == label and any(w in others[0].lower() for w in ("normal", "healthy"))
    key = "point.healthy" if healthy else "point.without"
    if checkup.beats and point.ppv is not None:
        found, right = lang.hundred(point.sensitivity), lang.hundred(point.ppv)
        return lang.t("ecg.beatpoint", found=found, right=right)
    if page_kind(checkup.modality) is ECG:
        key = "ecg.point"
    return lang.one_in(key, 1 - point.specificity, found=lang.hundred(point.sensitivity))


def _finding(checkup: CheckUp, lang: Language) -> str:
    """Say how well a detector finds what it looks for: of each label, or where there are many, on average."""
    found = checkup.found_labels
    of = checkup.name if checkup.version is None else ""
    able = [(lang.several(n, 100, of), f.sensitivity) for n, f in found.items() if f.sensitivity is not None]
    if not able:
        return lang.t("checkup.not_judged")
    if len(able) <= _FEW:
        return lang.t("boxes.good", found=lang.join(f"{lang.hundred(share)} {name}" for name, share in able))
    return lang.t("boxes.good_many", found=lang.hundred(sum(share for _, share in able) / len(able)))


def _weakest(checkup: CheckUp, lang: Language) -> str:
    """Say which changes weaken it by more than chance explains, the worst first; "" where that was not measured."""
    judged = [h for h in checkup.hardships if h.value is not None and h.high is not None]
    fallen = sorted((h.value or 0, _hardship_title(h, lang)) for h in judged if (h.high or 0) < 0)[:3]
    if fallen:
        return lang.t("stress.weakest", changes=lang.join(name for _, name in fallen))
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
    """Name a change in the reader's language; one that this version does not know stays English."""
    key = f"stress.{h.name}"
    return lang.t(key) if lang.has(key) else h.title


def _basis(checkup: CheckUp, lang: Language) -> str:
    if not checkup.images:
        return lang.t("checkup.builtin") if checkup.version is None else ""
    basis = lang.t(_kind(checkup, "checkup.basis"), n=checkup.images)
    said = lang.t("checkup.basis_data", basis=basis, data=checkup.data_name) if checkup.data_name else f"{basis}."
    if not checkup.adapted_to:
        return said
    return f"{said} {lang.t('checkup.adapted', n=checkup.adapted_cases, data=checkup.adapted_to)}"


def _kind(checkup: CheckUp, key: str) -> str:
    """Return the key of a string by what the check-up looks at. key: of pictures."""
    found = page_kind(checkup.modality).key(key)
    return f"{found}_beats" if checkup.beats else found


def _lead(checkup: CheckUp, labels: Sequence[Label], lang: Language) -> str:
    kind = page_kind(checkup.modality)
    if len(labels) > 8:
        return lang.t(kind.key("checkup.lead_many"), n=len(labels))
    names = lang.join(lang.t("format.quoted", text=label.title) for label in labels)
    if checkup.beats:
        return lang.t("ecg.lead_beats", labels=names)
    if checkup.finds_boxes:
        return lang.t("boxes.lead", labels=names)
    if checkup.task == "multilabel":
        return lang.t(kind.key("checkup.lead_findings"), labels=names)
    return lang.t(kind.key("checkup.lead"), labels=names)
