"""Print what was answered about files: the state first, then bars with their lines; one line of JSON where asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import typer

from medloupe.cli.console import DISCLAIMER, print_json
from medloupe.errors import MedloupeError
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision, State
from medloupe.model.prediction import Prediction

if TYPE_CHECKING:
    from medloupe.inference.pictures import Unanswered
    from medloupe.model.cells import AskedCells

Decisions = Callable[[Prediction], Decision | None]
_WIDE = 20  # characters of a bar
_MOST = 5  # labels shown, besides those that are flagged
_COLOURS: dict[State, str] = {
    "unusable": "magenta",
    "refused": "magenta",
    "flagged": "red",
    "unclear": "yellow",
    "clear": "cyan",
    "answered": "cyan",
    "pilot": "magenta",
}
_WEAK = "A weak check-up: it misses too many, so that this says little."


def known_decision(model: Model) -> Decisions:
    """Give the decision of the one model that is asked."""
    decision = Decision.from_card(model.card)
    return lambda answer: decision


def decision_at_hand(answer: Prediction) -> Decision | None:
    """Find the decision of the model that answered, in the store or among those shipped; None where none did."""
    return _load_decision(answer.model, answer.version) if answer.model else None


@cache
def _load_decision(name: str, version: int | None) -> Decision | None:
    from medloupe.inference.find import find_model

    try:
        return Decision.from_card(find_model(name if version is None else f"{name}@{version}", composed=True).card)
    except MedloupeError:  # removed meanwhile: the answer is told all the same, without lines
        return None


class AnswerPrinter:
    """Prints the answers of one run, and once what they are not.

    Parameters
    ----------
    decisions
        Gives the decision by which an answer came about: what its lines are, and what its labels stand for.
    json
        Whether each answer is a line of JSON.
    chosen
        Whether each file chose the model, so that it is told which.
    """

    def __init__(self, decisions: Decisions, *, json: bool, chosen: bool = False):
        self._decisions = decisions
        self._json = json
        self._chosen = chosen
        self._answered = False

    def print(self, file: str, answer: Prediction | Unanswered) -> None:
        """Print one file's answer on stdout, or on stderr why it has none.

        Parameters
        ----------
        file
            As it was given.
        answer
            The answer, or what went wrong.
        """
        if isinstance(answer, MedloupeError):
            self._print_error(file, answer)
        elif self._json:
            print_json({**answer.as_json(), "file": file})
        else:
            self._answered = True
            self._print_answer(file, answer)

    def close(self) -> None:
        """Say on stderr what the answers are not."""
        if self._answered:
            typer.echo(f"{DISCLAIMER} Decisions about a patient need a qualified person.", err=True)

    def _print_error(self, file: str, error: Unanswered) -> None:
        if self._json:
            print_json({"file": file, "error": str(error)})
            return
        named = file in error.message
        typer.echo(error.message if named else f"{file}: {error.message}", err=True)
        if error.hint:
            typer.echo(f"  → {error.hint}", err=True)

    def _print_answer(self, file: str, answer: Prediction) -> None:
        decision = self._decisions(answer)
        by = f"  (by {called(answer)})" if self._chosen and answer.model else ""
        typer.echo(f"{file}: {_headline(answer, decision)}{by}")
        for fact in answer.facts:
            typer.echo(f"  {fact.text}")
        if answer.tiling is not None:
            typer.echo(f"  {answer.tiling.text}")
        if answer.refused:
            named = answer.refused.looks_like if answer.refused.code == "foreign" else ""
            instead = f" It looks like {named}." if named else ""
            typer.echo(f"  {answer.refused.reason}{instead}")
        if answer.state not in ("refused", "unusable"):
            if decision is not None and decision.weak:
                typer.echo(typer.style(f"  {_WEAK}", fg="yellow"))
            if answer.asked is not None:
                _print_asked(answer.asked)
            elif answer.boxes is None:
                _print_bars(answer, decision)
            else:
                _print_boxes(answer)
            _print_measurements(answer)
            _print_reading(answer)
            _print_inputs(answer, decision)
            if answer.scope:
                typer.echo(typer.style(f"  For: {answer.scope}", dim=True))
        if answer.ask is not None:
            choices = " or ".join(f"--with {answer.ask.question}={choice}" for choice in answer.ask.choices)
            typer.echo(f"  That depends on one thing: {choices}")
        for other in _others(answer):
            typer.echo(f"  {called(other)}: {_headline(other, self._decisions(other))}")


def called(answer: Prediction) -> str:
    """Name the model that answered: NAME@VERSION, and of a shipped check-up, which has no versions, NAME."""
    return answer.model if answer.version is None else f"{answer.model}@{answer.version}"


def _others(answer: Prediction) -> list[Prediction]:
    """List the answers beside the main one."""
    main = (answer.model, answer.version)
    return [other for other in answer.answers if (other.model, other.version) != main]


def _headline(answer: Prediction, decision: Decision | None) -> str:
    """Say the state in a word and colour, and what it is about."""
    word, about = _state_words(answer, decision)
    shown = typer.style(word, fg=_COLOURS[answer.state], bold=True)
    return f"{shown}{about}"


def _state_words(answer: Prediction, decision: Decision | None) -> tuple[str, str]:
    """Say a state as a word and what follows it."""
    why = answer.said.why
    match answer.state:
        case "unusable":
            return "cannot be used", f": {why.text}" if why else ""
        case "refused":
            return "not judged", ""
        case "flagged":
            return "flagged", f": {_say_flagged(answer, decision)}"
        case "unclear":
            return _say_unclear(answer), ""
        case "clear":
            return "not flagged", f"; this is no all-clear. {_say_longest(answer, 'Most probable')}"
        case "answered":
            return "answered", f": {_say_longest(answer)}"
        case "pilot":
            return "recorded", ", not shown: a pilot runs"


def _say_flagged(answer: Prediction, decision: Decision | None) -> str:
    """Name the most dangerous flagged label with percentage and line, the others, and the longest bar if it is none."""
    grade, at_least = answer.said.grade, answer.said.at_least or {}
    if grade is not None and grade in at_least and (decision is None or decision.roles.of(grade) == "sought"):
        said = [f"at least {grade} {at_least[grade]:.1%}"]
        said += [_say_label(n, answer, decision) for n in answer.flagged if n != grade]
    else:
        said = [_say_label(n, answer, decision) for n in answer.flagged]
    longest = answer.prediction
    beside = f"; most probable is {longest} {_percent(answer, longest)}" if longest not in answer.flagged else ""
    if answer.said.why is not None and answer.said.why.code == "beats":
        beside += f". {answer.said.why.text}"
    return ", ".join(said) + beside


def _say_label(label: str, answer: Prediction, decision: Decision | None) -> str:
    if answer.asked is not None and label in answer.probabilities:
        why = answer.said.why
        return why.text if why is not None and why.code == "cells" and label == answer.flagged[0] else label
    if answer.boxes is not None:
        best = max(box.score for box in answer.boxes if box.label == label)
        return f"{label}, the surest place {best:.1%} (line {(answer.lines or {}).get(label, 1.0):.1%})"
    line = None if answer.ecg is not None and answer.ecg.beats else _line(label, decision)
    at = "" if line is None else f" (line {line:.1%})"
    return f"{label} {_percent(answer, label)}{at}"


def _line(label: str, decision: Decision | None) -> float | None:
    """Give the probability from which a label is flagged, where it has such a line."""
    return decision.line(label) if decision is not None and label in decision.labels else None


def _say_unclear(answer: Prediction) -> str:
    why = answer.said.why
    if why is None or why.code == "close":
        return "too close to call: have it looked at"
    return f"have it looked at: {why.text}"


def _say_longest(answer: Prediction, before: str = "") -> str:
    if not answer.prediction:
        return ""
    return f"{before}{': ' if before else ''}{answer.prediction} {_percent(answer, answer.prediction)}"


def _percent(answer: Prediction, label: str) -> str:
    p = answer.probabilities.get(label)
    return "" if p is None else f"{p:.1%}"


def _print_bars(answer: Prediction, decision: Decision | None) -> None:
    """Print the longest bars and those of all flagged labels, each with the line of its label where it has one."""
    ranked = sorted(answer.probabilities.items(), key=lambda item: -item[1])
    of_beats = answer.ecg is not None and bool(answer.ecg.beats)  # their lines are for each beat, the bars for all
    for i, (label, p) in enumerate(ranked):
        if i >= _MOST and label not in answer.flagged:
            continue
        line = None if of_beats else _line(label, decision)
        told = "" if line is None else f"  line {line:.1%}"
        mark = "▲ " if label in answer.flagged else ""
        typer.echo(f"  {p:6.1%}  {_bar(p, line)}  {mark}{label}{told}")


def _print_asked(asked: AskedCells) -> None:
    """Print how many things were asked about, and what was said of them."""
    more = f", {len(asked.cells):,} of them chosen by chance" if asked.found > len(asked.cells) else ""
    typer.echo(f"  found: {asked.found:,} {asked.what}{more}; {asked.judged:,} judged, {asked.refused:,} not")
    by_label = [f"{sum(c.label == n for c in asked.cells):,} {n}" for n in asked.labels]
    typer.echo(f"  most probably: {', '.join(by_label)}")


def _print_measurements(answer: Prediction) -> None:
    for m in answer.measurements:
        if m.value is None:
            typer.echo(f"  {m.name}: not measured; {m.why}")
            continue
        within = "" if m.low is None or m.high is None else f" ({_short(m.low)} to {_short(m.high)})"
        typer.echo(f"  {m.name}: {_short(m.value)}{within}")


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2f}"


def _print_boxes(answer: Prediction) -> None:
    """Print how many places are marked and counted, and the surest that are marked."""
    lines = answer.lines or {}
    marked = [box for box in answer.boxes or () if box.score >= lines.get(box.label, 2.0)]
    of = [f"{sum(b.label == label for b in marked):,} {label}" for label in lines]
    typer.echo(f"  marked: {', '.join(of) or 'nothing can be'}")
    counted = [f"{n:,} {label}" for label, n in (answer.counts or {}).items()]
    typer.echo(f"  counted: {', '.join(counted)}")
    for box in marked[:_MOST]:
        typer.echo(
            f"  {box.score:6.1%}  {box.label} at x {box.x:.0f}, y {box.y:.0f}, {box.width:.0f} × {box.height:.0f}"
        )
    if len(marked) > _MOST:
        typer.echo(f"  … {len(marked):,} in all; --json lists every one")


def _bar(p: float, line: float | None) -> str:
    """Draw a probability, and where it would be flagged from."""
    cells = list(f"{'█' * round(p * _WIDE):{_WIDE}}")
    if line is not None:
        cells[min(int(line * _WIDE), _WIDE - 1)] = "┃"
    return "".join(cells)


def _print_reading(answer: Prediction) -> None:
    if answer.ecg is None:
        return
    from medloupe.ecg.reading import describe_reading

    typer.echo(f"  {describe_reading(answer.ecg, {})}")
    for note in answer.ecg.notes:
        typer.echo(f"  {note}")


def _print_inputs(answer: Prediction, decision: Decision | None) -> None:
    several = decision is not None and decision.task == "multilabel"
    for moved in answer.inputs or ():
        said = f"{moved.name} {moved.value}" if moved.value else f"{moved.name} is not given"
        label = answer.flagged[0] if answer.flagged else answer.prediction
        by = moved.toward(label, several=several)
        typer.echo(f"  {by:+6.2f}  {'for' if by >= 0 else 'against'} {label}: {said}")
