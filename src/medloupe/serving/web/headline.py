"""Say an answer's state in words, as its JSON has it: nothing is decided here a second time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medloupe.model.decision import STATES, WITHHELD
from medloupe.serving.web.bars import capitalize
from medloupe.serving.web.boxes import best_box, finds_boxes, word_found, word_numbers
from medloupe.serving.web.cells import word_mistakes
from medloupe.serving.web.kinds import PICTURE, PageKind
from medloupe.serving.web.language import Language
from medloupe.serving.web.measured import word_first_measured
from medloupe.serving.web.summary import announced_labels, label_namer

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp

ORDER = ("flagged", "unclear", "unusable", "refused", "clear", "answered", "pilot", "failed")
"""States as answers are sorted by them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """What is said first.

    Attributes
    ----------
    state
        One of STATES.
    chip
        The state in a word.
    text
        With state, label, percentage and line: "Flagged: melanoma 27%, line 7%".
    lines
        What else must be said with it.
    """

    state: str
    chip: str
    text: str
    lines: tuple[str, ...] = ()

    @property
    def brief(self) -> str:
        """The headline as a sentence, with the first line after it."""
        return " ".join((self.text if self.text.endswith((".", "!")) else f"{self.text}.", *self.lines[:1]))


def state_of(said: Mapping[str, Any]) -> str:
    """Return the state of an answer; one from before there were states says nothing that was not decided."""
    state = said.get("state")
    if state in (*STATES, WITHHELD):
        return str(state)
    return "refused" if said.get("refused") else "answered"


def state_decided(said: Mapping[str, Any]) -> bool:
    """Tell whether an answer says what was decided; those from before there were states do not."""
    return said.get("state") == state_of(said)


def is_judged(said: Mapping[str, Any]) -> bool:
    """Tell whether an answer judges what was sent, and is shown."""
    return state_of(said) not in ("refused", "unusable", WITHHELD)


def describe_state(
    said: Mapping[str, Any], checkup: CheckUp | None, lang: Language, kind: PageKind = PICTURE
) -> Headline:
    """Put the state of an answer into words.

    Parameters
    ----------
    said
        The Prediction's JSON.
    checkup
        The version that gave it, or None where it is gone; then no line is told.
    lang
        The language of the page.
    kind
        Of data that was sent.
    """
    state = state_of(said)
    tell = _Telling(said, checkup, lang)
    lines: tuple[str, ...] = ()
    if said.get("asked") and (about := tell.cells(state)) is not None:
        text, lines = about
    elif state == WITHHELD:
        text = lang.t("pilot.withheld")
    elif state == "refused":
        text = lang.t(kind.key("result.refused") if kind.section else "refused.headline")
    elif state == "unusable":
        text = lang.t("answer.unusable_file" if kind.section else "answer.unusable")
    elif state == "flagged":
        text, lines = tell.flagged()
    elif state == "unclear":
        text, lines = lang.t("answer.unclear_file" if kind.section else "answer.unclear"), tell.unclear()
    elif state == "clear":
        text, lines = lang.t("answer.clear"), tell.clear()
    else:
        text = tell.answered()
    return Headline(state=state, chip=state_word(state, lang), text=text, lines=lines)


def summarize(said: Mapping[str, Any], lang: Language, checkup: CheckUp | None = None) -> str:
    """Say an answer in a few words: "Flagged: pneumonia 87%, line 12%"."""
    return describe_state(said, checkup, lang).text


def state_word(state: str, lang: Language) -> str:
    """Return a state in a word, also of what could not be read ("failed")."""
    return lang.t(f"answer.state_{state}")


class _Telling:
    """The sentences of one answer."""

    def __init__(self, said: Mapping[str, Any], checkup: CheckUp | None, lang: Language):
        self._said, self._lang = said, lang
        self._decision = checkup.decision if checkup is not None else None
        self._named = label_namer(said, lang)
        self._p: Mapping[str, float] = said.get("probabilities") or {}
        self._why = str((said.get("why") or {}).get("code") or "")
        self._beats = "counts" in (said.get("ecg") or ())
        self._boxes = finds_boxes(said)

    def cells(self, state: str) -> tuple[str, tuple[str, ...]] | None:
        """Say what came of asking about each thing found; None where the state comes from elsewhere."""
        asked, lang = self._said["asked"], self._lang
        what = self._named(asked["what"])
        if self._why == "cells_refused":
            words = lang.t("cells.refused_why", n=asked["refused"], of=asked["asked"], checkup=asked["checkup"])
            return lang.t("cells.refused_headline", what=what), (words,)
        if self._why == "cells_unusual":
            words = lang.t("cells.unusual_why", n=asked["unusual"], of=asked["asked"], checkup=asked["checkup"])
            return lang.t("cells.refused_headline", what=what), (words,)
        if self._why == "no_cells":
            return lang.t("cells.nothing_found", what=what), (lang.t("cells.nothing_asked"),)
        first = str(next(iter(self._said.get("flagged") or ()), ""))
        estimates = {e["label"]: e for e in asked["estimates"]}
        most = estimates.get(first) or max(estimates.values(), key=lambda e: e["flagged"], default=None)
        if most is None or (state == "flagged" and first not in estimates):
            return None
        told = {"label": self._named(most["label"]), "flagged": int(most["flagged"]), "of": int(most["of"])}
        counted = f"{lang.t('cells.of_judged', **told, what=what)} {word_mistakes(most, lang)}"
        if state == "flagged":
            return lang.t("answer.flagged_alone", label=told["label"], percent="").strip(), (counted,)
        if state == "unclear":
            return lang.t("cells.unclear_headline", **told), (counted, lang.t("cells.says_neither"))
        return (lang.t("answer.clear"), (counted,)) if state == "clear" else None

    def flagged(self) -> tuple[str, tuple[str, ...]]:
        first, *rest = [str(n) for n in self._said.get("flagged") or (self._said.get("prediction") or "",)]
        grade = self._grade()
        also = self._lang.join(f"{self._named(n)} {self._percent(n)}".strip() for n in rest)
        more = (self._lang.t("answer.also_flagged", labels=also),) if also else ()
        if self._beats:
            text = self._tell("flagged_beats", first)
            return text, (*more, *self.most_probable(first))
        if self._boxes:
            found = word_found(self._said, self._lang, self._named)
            told = (self._lang.t("boxes.found", labels=found),) if found else ()
            key = "flagged_place" if self._line(first) is not None else "flagged_alone"
            return self._tell(key, first), (*more, *told)
        if grade:
            reach = (self._said.get("at_least") or {}).get(grade, 0.0)
            text = self._lang.t(
                "answer.flagged_grade", label=self._named(grade), percent=self._lang.percent(float(reach))
            )
            worst = (self._tell("most_dangerous", first),) if self._line(first) is not None else ()
            return text, (*worst, *more, *self.most_probable(first))
        if self._line(first) is None:
            text = self._tell("flagged_alone", first)
        else:
            text = self._tell("flagged_most" if self._why == "most_probable" else "flagged_line", first)
        return text, (*more, *self.most_probable(first))

    def unclear(self) -> tuple[str, ...]:
        if self._why == "not_announced":
            label = self._named(str(self._said.get("prediction") or ""))
            return (self._lang.t("answer.unclear_hidden", label=label),)
        if self._why == "few_beats":
            return (self._lang.t("answer.unclear_beats"), *self.most_probable(""))
        if grade := self._grade():
            reach = float((self._said.get("at_least") or {}).get(grade, 0.0))
            words = self._lang.t("answer.unclear_grade", label=self._named(grade), percent=self._lang.percent(reach))
            return (words, *self.most_probable(""))
        return self.most_probable("")

    def clear(self) -> tuple[str, ...]:
        """Name the most probable label; of a detector, what it looks for, as that alone was not found."""
        if not self._boxes:
            return self.most_probable("")
        decision = self._decision
        sought = [n for n in decision.labels if decision.line(n) is not None] if decision is not None else []
        asked = self._lang.join(map(self._named, sought))
        found = word_found(self._said, self._lang, self._named)
        told = (self._lang.t("boxes.found", labels=found),) if found else ()
        return (*((self._lang.t("answer.clear_places", labels=asked),) if asked else ()), *told)

    def answered(self) -> str:
        """Name the most probable label; of an answer from before there were states, all that it announced."""
        if self._boxes:
            if measured := word_first_measured(self._said, self._lang):
                return measured
            if counted := self._counted():
                return self._lang.t("boxes.headline_counted", labels=counted)
            found = word_found(self._said, self._lang, self._named)
            return self._lang.t("boxes.headline", labels=found) if found else self._lang.t("boxes.nothing_marked")
        called = announced_labels(self._said, False)
        told = [self._tell("answered", n) if n in self._p else self._named(n) for n in called]
        return capitalize(self._lang.join(told)) or self._lang.t("answer.state_answered")

    def _counted(self) -> str:
        """Say how many were counted, of a check-up that looks for nothing but counts; "" of any other."""
        decision = self._decision
        if decision is None or decision.measurements:
            return ""
        known = {name for name, line in zip(decision.labels, decision.count_lines, strict=False) if line <= 1}
        counts = {str(name): int(n) for name, n in (self._said.get("counts") or {}).items() if name in known}
        return word_numbers(counts, self._said, self._lang, self._named)

    def most_probable(self, but: str) -> tuple[str, ...]:
        """Name the most probable label, unless it is the one that was named already."""
        label = "" if self._boxes else str(self._said.get("prediction") or "")
        if not label or label == but or label not in self._p:
            return ()
        return (self._tell("most_beats" if self._beats else "most_probable", label),)

    def _tell(self, key: str, label: str) -> str:
        line = self._line(label)
        values = {"label": self._named(label), "percent": self._percent(label)}
        if line is not None:
            values["line"] = self._lang.percent(line)
        return self._lang.t(f"answer.{key}", **values)

    def _percent(self, label: str) -> str:
        if self._boxes:
            best = best_box(self._said, label)
            return "" if best is None else self._lang.percent(best)
        return self._lang.percent(self._p[label]) if label in self._p else ""

    def _line(self, label: str) -> float | None:
        known = self._decision is not None and label in self._decision.labels
        return self._decision.line(label) if known and self._decision is not None else None

    def _grade(self) -> str:
        """Return the grade of ordered classes where it is a finding, or ""."""
        grade = str(self._said.get("grade") or "")
        if not grade:
            return ""
        if self._decision is not None and grade in self._decision.labels:
            return grade if self._decision.roles.of(grade) == "sought" else ""
        return "" if grade == next(iter(self._said.get("at_least") or {}), "") else grade
