"""Say how far an answer can be trusted: what its flags are worth, on how many that rests, what its percentages mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medloupe.serving.web.bars import Namer, capitalize
from medloupe.serving.web.boxes import finds_boxes, word_finding
from medloupe.serving.web.cards import describe_point
from medloupe.serving.web.headline import state_decided
from medloupe.serving.web.inputs import input_title
from medloupe.serving.web.kinds import PageKind
from medloupe.serving.web.language import Language

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp


_MOST = 12  # labels of a detector of which it is said how well they are found


def describe_weakness(checkup: CheckUp | None, lang: Language) -> str:
    """Say that a check-up misses too many, and how many it finds; "" where it does not."""
    if checkup is None or not checkup.decision.weak:
        return ""
    return lang.t("answer.weak_plain") if checkup.found is None else lang.t("answer.weak", n=round(100 * checkup.found))


def describe_meaning(
    said: Mapping[str, Any], checkup: CheckUp | None, lang: Language, kind: PageKind
) -> tuple[str, ...]:
    """Say what the percentages mean, and where roles come from that nobody told."""
    decision = checkup.decision if checkup is not None else None
    if said.get("asked"):  # percentages are those of single things, of which draw_cells speaks
        return ()
    if finds_boxes(said):
        return (lang.t("boxes.calibrated"),)
    if "counts" in (said.get("ecg") or ()):
        given = [input_title(i["name"], lang) for i in said.get("inputs") or () if i.get("value") or "effect" not in i]
        meaning = (lang.t("ecg.calibrated_beats"), *([lang.t("ecg.also", names=lang.join(given))] if given else []))
    elif decision is not None and decision.calibrated:
        meaning = (lang.t(kind.key("result.calibrated")),)
    else:
        meaning = (lang.t("answer.uncalibrated"),)
    if not state_decided(said):
        return (*meaning, lang.t("answer.undecided"))
    by_name = decision is not None and decision.legacy and decision.roles.role
    return (*meaning, lang.t("answer.legacy")) if by_name else meaning


def describe_trust(said: Mapping[str, Any], checkup: CheckUp | None, lang: Language, named: Namer) -> tuple[str, ...]:
    """Say how far a flag can be trusted: of each label flagged, else of the most probable finding."""
    if checkup is None or not state_decided(said):
        return ()
    if said.get("asked") and checkup.asks is not None:
        return _trust_cells(said["asked"], checkup, lang, named)
    if finds_boxes(said):
        return tuple(word_finding(capitalize(named(n)), f, lang) for n, f in checkup.found_labels.items())[:_MOST]
    p: Mapping[str, float] = said.get("probabilities") or {}
    sought = [n for n in p if n in checkup.labels and checkup.decision.line(n) is not None]
    about = [n for n in said.get("flagged") or () if n in checkup.labels]
    if not about and sought:
        about = [max(sought, key=lambda n: p[n])]
    return tuple(words for n in about if (words := describe_outcomes(n, checkup, lang, named)))


def _trust_cells(asked: Mapping[str, Any], checkup: CheckUp, lang: Language, named: Namer) -> tuple[str, ...]:
    """Say how many of the things are found, and of the check-up that is asked what its flags are worth."""
    assert checkup.asks is not None
    what, other = str(asked["what"]), checkup.asks.checkup
    known = checkup.found_labels.get(what)
    found = () if known is None else (word_finding(capitalize(named(what)), known, lang),)
    told = (describe_outcomes(e["label"], other, lang, named) for e in asked["estimates"])
    return (*found, *filter(None, told))


def describe_outcomes(label: str, checkup: CheckUp, lang: Language, named: Namer) -> str:
    """Say what is said of 100 with a label and of 100 without, and on how many that rests; "" where it is not known."""
    point = checkup.points.get(label)
    title = capitalize(named(label))
    if point is None or point.having is None:
        shown = checkup.shown_points.get(label)
        words = describe_point(checkup, label, shown, lang) if shown else ""
        return lang.t("result.point", label=title, words=words[:1].lower() + words[1:]) if words else ""
    one, other = point.having, point.lacking
    counts = {"label": title, "flagged": one.flagged, "unclear": one.unclear, "rest": one.not_flagged}
    if other is not None:
        more = {"flagged2": other.flagged, "unclear2": other.unclear, "rest2": other.not_flagged}
        words = lang.t("answer.point", **counts, **more)
    else:
        words = lang.t("answer.point_with", **counts)
    if not one.n:
        return words
    if checkup.beats:
        basis = lang.t("answer.basis_beats", n=one.groups, found=one.n)
    else:
        key = "answer.basis" if one.groups in (0, one.n) else "answer.basis_groups"
        basis = lang.t(key, n=one.groups, found=one.n, others=other.n if other else 0)
    return f"{words} {basis}"
