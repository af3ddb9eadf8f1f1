"""Choose what is said where the app chose among the check-ups of one kind: all answer, the most dangerous leads.

Nobody asked for any of these check-ups, so more is needed than where one is asked by name:

- A finding is flagged only where it is the most probable label; where the picture is unusual for the check-up, or even
  its most probable labels were wrong too often, only where a finding is nearly certain, too; and never where the
  picture is far from all that the check-up learned from. What falls short of that is unclear: have it looked at. A
  check-up that flags few without a finding needs none of this for pictures such as it has learned from.
- A check-up that cannot say normal never answers alone, and its flags count only beside a flag of one that can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medloupe.metrics.lines import MOST_PROBABLE
from medloupe.model.applies import Applies, Ask, gather_questions, is_meant
from medloupe.model.decision import Decision, Said, State, Why
from medloupe.model.novelty import Nearness
from medloupe.model.prediction import Prediction, Refusal, refuse_by_all

SURE = 0.95  # probability of any finding from which one is flagged in an unusual picture
FEW = 0.1  # share of finding-free examples flagged, up to which a check-up is taken at its word
DANGER: tuple[State, ...] = ("flagged", "unclear", "unusable", "clear", "answered", "refused")
"""States, the most dangerous first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What one check-up of the kind says.

    Attributes
    ----------
    prediction
        As it answers when asked by name.
    decision
        Of its card.
    applies
        Whom or what it is for.
    near
        How near the picture lies to its own; None where that cannot be told, as of a check-up that refuses nothing.
    asked
        Whether it decides as if it were asked by name, as of ECGs, which go by their leads.
    kind, foreign
        Its kind's key and how foreign the example is to it, where several kinds are at hand.
    """

    prediction: Prediction
    decision: Decision
    applies: tuple[Applies, ...] = ()
    near: Nearness | None = None
    asked: bool = False
    kind: str = ""
    foreign: float = 0.0

    @property
    def says_normal(self) -> bool:
        """Whether it can say that nothing was found, or looks for nothing."""
        return can_say_normal(self.decision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The answer where the app chose.

    Attributes
    ----------
    prediction
        The main answer, with all others in `answers`.
    main
        Which opinion it is; None where none applies.
    """

    prediction: Prediction
    main: int | None


def can_say_normal(decision: Decision) -> bool:
    """Tell whether a check-up can say that nothing was found, or looks for nothing.

    Of exclusive classes one must be normal or harmless; of findings that do not exclude each other, all may be
    absent, as of the places that a detector looks for; what it does not look for it never calls absent (its scope).
    """
    roles = decision.roles
    return roles.settled or decision.task in ("multilabel", "detection") or not bool(roles.sought.any())


def choose_answer(opinions: Sequence[Opinion], told: Mapping[str, str]) -> Chosen:
    """Choose the main answer among check-ups of one kind.

    Parameters
    ----------
    opinions
        At least one; of equal danger, an earlier one goes before.
    told
        The choice by question, as far as it is known.
    """
    meant = _list_meant(opinions, told)
    if not meant:
        return Chosen(prediction=_refuse_as_not_meant(opinions, told), main=None)
    said = _decide(opinions, meant)
    first = next(iter(said))
    main = replace(said[first], answers=tuple(said.values()), ask=_find_question(opinions, told))
    return Chosen(prediction=main, main=first)


def choose_nearest(opinions: Sequence[Opinion], told: Mapping[str, str]) -> Chosen:
    """Choose the main answer among check-ups of several kinds: those of the kind that the example is nearest to count.

    Where all refuse it, the one to which it is least foreign says why.
    """
    order = sorted(range(len(opinions)), key=lambda i: opinions[i].foreign)
    usable = [i for i in order if opinions[i].prediction.state != "unusable"] or order
    able = [i for i in usable if opinions[i].prediction.refused is None]
    if not able:
        return Chosen(prediction=opinions[order[0]].prediction, main=order[0])
    kind = opinions[able[0]].kind
    rest = [i for i in usable if i not in able]
    mates = [i for i in (*able, *rest) if opinions[i].kind == kind]
    chosen = choose_answer([opinions[i] for i in mates], told)
    return replace(chosen, main=None if chosen.main is None else mates[chosen.main])


def _list_meant(opinions: Sequence[Opinion], told: Mapping[str, str]) -> list[int]:
    return [i for i, one in enumerate(opinions) if is_meant(one.applies, told)]


def _decide(opinions: Sequence[Opinion], meant: Sequence[int]) -> dict[int, Prediction]:
    """Decide what each of these opinions says beside the others; by number, the most dangerous first."""
    said = {i: _temper(opinions[i]) for i in meant}
    silent = ("refused", "unusable")
    heard = [said[i].state for i in meant if opinions[i].says_normal and said[i].state not in silent]
    for i in meant:
        alone = not heard or (said[i].state in ("flagged", "unclear") and "flagged" not in heard)
        if not opinions[i].says_normal and alone and said[i].state not in silent:
            said[i] = _silence(said[i])
    return dict(sorted(said.items(), key=lambda entry: _danger(opinions[entry[0]], entry[1])))


def _danger(opinion: Opinion, said: Prediction) -> tuple[int | bool | float, ...]:
    """Rank an answer: the lowest is the most dangerous."""
    place, foreign = DANGER.index(said.state), said.said.why is not None and said.said.why.code == "foreign"
    if said.state != "flagged":
        return place, foreign, not opinion.says_normal
    label = said.flagged[0]
    over = _probability(said, label) - (opinion.decision.line(label) or 0.0)
    return place, foreign, not opinion.says_normal, opinion.decision.roles.danger.get(label, 1), -over


def _temper(opinion: Opinion) -> Prediction:
    """Take back a flag that is not sure enough for a check-up that nobody asked for: it becomes unclear."""
    prediction, decision = opinion.prediction, opinion.decision
    said = prediction.said
    by_rule = said.why is not None and said.why.code in ("over_line", "most_probable", "boxes")
    if opinion.asked or said.state != "flagged" or not by_rule or _is_sure(opinion):
        return prediction
    label = said.flagged[0]
    p = _probability(prediction, label)
    at = f"{label} is at {p:.1%}" if prediction.boxes is None else f"A place is marked as {label} with {p:.1%}"
    if (line := decision.line(label)) is not None and p >= line:
        at += f", at or over its line of {line:.1%}"
    if opinion.near == "far":
        text = f"{at}, but the picture is unlike those that {prediction.model} learned from. Have it looked at."
        why = Why(code="unfamiliar", text=text)
    else:
        text = f"{at}: not sure enough for a flag of {prediction.model}, which nobody asked for. Have it looked at."
        why = Why(code="unasked", text=text)
    return replace(prediction, said=replace(said, state="unclear", why=why, flagged=()))


def _is_sure(opinion: Opinion) -> bool:
    """Tell whether one of the labels flagged is sure enough to be flagged where nobody asked."""
    decision, rule = opinion.decision, opinion.decision.rule
    if opinion.near == "far":
        return False
    if opinion.prediction.boxes is not None:  # a usual picture's boxes are right as often as their scores say
        best = max(_probability(opinion.prediction, name) for name in opinion.prediction.flagged)
        return best >= (MOST_PROBABLE if opinion.near == "usual" else SURE)
    known = decision.false_flags
    if opinion.near == "usual" and known is not None and known <= FEW:
        return True
    p = np.array([opinion.prediction.probabilities.get(name, 0.0) for name in decision.labels])
    first = (rule.leading(p) | (p >= MOST_PROBABLE)) & rule.sought & rule.announced
    lowest = rule.lines[rule.sought & rule.announced].min(initial=MOST_PROBABLE)
    doubted = known is not None and known > FEW and lowest >= MOST_PROBABLE  # its most probable labels are these flags
    if opinion.near != "usual" or doubted:
        return bool(first.any()) and float(rule.finding(p)) >= SURE
    return bool(first.any())


def _probability(prediction: Prediction, label: str) -> float:
    """Give the probability of a label; of a detector the score of its surest box."""
    if prediction.boxes is None:
        return prediction.probabilities.get(label, 0.0)
    return max((box.score for box in prediction.boxes if box.label == label), default=0.0)


def _silence(prediction: Prediction) -> Prediction:
    """Take back the answer of a check-up that cannot say normal."""
    name = prediction.model
    text = f"{name} cannot say that nothing is wrong, so it does not answer by itself; ask it by name."
    said = Said(state="refused", why=Why(code="no_normal", text=text), prediction="")
    return replace(prediction, said=said, refused=Refusal(reason=text, looks_like=name))


def _refuse_as_not_meant(opinions: Sequence[Opinion], told: Mapping[str, str]) -> Prediction:
    """Refuse in nobody's name: no check-up is for what was told."""
    first = opinions[0].prediction
    whom = [
        f"{one.prediction.model}: {', '.join(entry.values)}"
        for one in opinions
        for entry in one.applies
        if told.get(entry.question, entry.values[0]) not in entry.values
    ]
    asked = {entry.question for one in opinions for entry in one.applies}
    given = ", ".join(choice for question, choice in told.items() if question in asked)
    text = f"No check-up for such pictures is for: {given}. There are {'; '.join(dict.fromkeys(whom))}."
    return refuse_by_all(first.file, Refusal(reason=text, looks_like=""), first.timings, "not_meant")


def _find_question(opinions: Sequence[Opinion], told: Mapping[str, str]) -> Ask | None:
    """Find the first question that is open and by whose answer the state would differ."""
    meant = _list_meant(opinions, told)
    for question, choices in gather_questions(opinions[i].applies for i in meant).items():
        if question in told or len(choices) < 2:
            continue
        states = {_state(opinions, {**told, question: choice}) for choice in choices}
        if len(states) > 1:
            return Ask(question=question, choices=choices)
    return None


def _state(opinions: Sequence[Opinion], told: Mapping[str, str]) -> State:
    said = _decide(opinions, _list_meant(opinions, told))
    return next(iter(said.values())).state if said else "refused"
