"""What a check-up reads beside the picture: how forms ask for it, and how a result shows what it did."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.model.head import probabilities
from medloupe.model.prediction import Influence
from medloupe.serving.engine.inputs import PREFIX, form_fields
from medloupe.serving.web.language import Language

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp

_HELD = re.compile(r"(.+) \(taken as (.+), the (highest|lowest) in training\)")
_UNSEEN = re.compile(r"(.+) \(not seen in training, not used\)")
_FEW = 4  # choices that stay in the order of how common they are
_LEAST = 1e-12  # of a probability, whose logarithm is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One input as a form asks for it. field: its name in the form. kind: number, category or notes. hint: what is
    usual, or "". choices: (value, how it reads)."""

    key: str
    field: str
    kind: str
    title: str
    hint: str = ""
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one input did to the label shown. title: the input and its value. start, width: of a bar on a scale of 0 to
    100 whose middle is nothing. towards: whether it speaks for the label. without: the percentage if it had no part, or
    ""."""

    title: str
    start: float
    width: float
    towards: bool
    without: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """How the inputs moved an answer. headline, sentence: in words. shares: exact; the picture first."""

    headline: str
    sentence: str
    shares: tuple[Share, ...] = ()


def fields(checkup: CheckUp, lang: Language) -> tuple[Field, ...]:
    """What to ask for beside the picture, in the model's order."""
    return tuple(_field(i, said, lang) for i, said in enumerate(form_fields(checkup)))


def title(name: str, lang: Language) -> str:
    """An input's name as people read it."""
    key = f"input.{_plain(name)}"
    text = lang.t(key) if lang.has(key) else name.replace("_", " ").strip() or name
    return text[:1].upper() + text[1:]


def value(name: str, text: str, lang: Language) -> str:
    """An input's value, as the model understood it, as people read it."""
    if found := _HELD.fullmatch(text):
        key = "moved.held_high" if found[3] == "highest" else "moved.held_low"
        return lang.t(key, value=_measured(found[1], lang), held=found[2])
    if found := _UNSEEN.fullmatch(text):
        return lang.t("moved.unseen", value=found[1])
    return _choice(name, text, lang) or _measured(text, lang)


def moved(answer: Mapping[str, Any], label: str, called: str, several: bool, lang: Language) -> Moved | None:
    """How each input moved the percentage of a label; None of a check-up that reads the picture alone.

    answer: the Prediction's JSON. called: the label as people read it. several: labels do not exclude each other.
    """
    inputs = answer.get("inputs")
    if inputs is None:
        return None
    headline = lang.t("moved.title", label=called)
    key, whose = ("ecg.moved_", "ecg.alone") if "ecg" in answer else ("moved.", "moved.picture")
    given = [i for i in inputs if "effect" in i]
    if not given:
        names = lang.listed(title(i["name"], lang) for i in inputs)
        words = lang.t(f"{key}also", names=names) if names else lang.t(f"{key}none")
        return Moved(headline=headline, sentence=words)
    shown = list(answer["probabilities"])
    k = shown.index(label)
    p = np.clip(np.array([answer["probabilities"][n] for n in shown], float), _LEAST, 1 - _LEAST)
    z = np.log(p) - np.log1p(-p) if several else np.log(p)
    each = [Influence(name=i["name"], value=i["value"], effect={n: i["effect"][n] for n in shown}) for i in given]
    effects = np.array([[e.effect[n] for n in shown] for e in each])

    def percent(logits: np.ndarray) -> str:
        return lang.percent(float(probabilities(logits, "multilabel" if several else "multiclass")[k]))

    pull = [e.toward(label, several=several) for e in each]
    whole = Influence(name="", value="", effect=dict(zip(shown, z.tolist(), strict=True)))
    own = whole.toward(label, several=several) - sum(pull)
    scale = max(abs(x) for x in (own, *pull)) or 1.0
    sentence = lang.t(f"{key}lead", alone=percent(z - effects.sum(0)), all=percent(z))
    rows = [
        _share(lang.t("moved.pair" if e.value else "moved.not_given", **_said(e, lang)), x / scale, percent(z - effect))
        for e, x, effect in zip(each, pull, effects, strict=True)
    ]
    return Moved(headline=headline, sentence=sentence, shares=(_share(lang.t(whose), own / scale, ""), *rows))


def _said(influence: Influence, lang: Language) -> dict[str, str]:
    said = {"name": title(influence.name, lang)}
    return {**said, "value": value(influence.name, influence.value, lang)} if influence.value else said


def _share(text: str, pull: float, without: str) -> Share:
    """pull: from -1 to 1."""
    width = round(min(50 * abs(pull), 50), 2)
    return Share(title=text, start=50 if pull >= 0 else 50 - width, width=width, towards=pull >= 0, without=without)


def _field(i: int, said: Mapping[str, Any], lang: Language) -> Field:
    name, kind = str(said["name"]), str(said["kind"])
    common: dict[str, Any] = {"key": f"input-{i}", "field": PREFIX + name, "kind": kind, "title": title(name, lang)}
    if kind == "category":
        choices = [(c, _choice(name, c, lang) or _capital(c)) for c in said["choices"]]
        return Field(**common, choices=tuple(choices if len(choices) <= _FEW else sorted(choices, key=lambda c: c[1])))
    if kind == "number":
        unit = _unit(str(said.get("unit") or ""), lang)
        low, high = (_number(said[end], lang) for end in ("low", "high"))
        hint = lang.t("inputs.usual", low=low, high=high)
        return Field(**common, hint=lang.t("inputs.with_unit", hint=hint, unit=unit) if unit else hint)
    return Field(**common, hint=lang.t("inputs.notes"))


def _choice(name: str, text: str, lang: Language) -> str:
    """A value of a category in words, or "" where there are none for it."""
    keys = (f"choice.{_plain(name)}.{_plain(text)}", f"choice.any.{_plain(text)}")
    return next((_capital(lang.t(key)) for key in keys if lang.has(key)), "")


def _measured(text: str, lang: Language) -> str:
    """A number with its unit: "38.5" as "38,5", "72 years" as "72 ans"."""
    number, _, unit = text.partition(" ")
    try:
        x = float(number)
    except ValueError:
        return text
    if not math.isfinite(x):
        return text
    shown = _number(x, lang)
    return f"{shown}\u00a0{_unit(unit, lang)}" if unit else shown


def _unit(unit: str, lang: Language) -> str:
    return lang.t(f"unit.{unit}") if lang.has(f"unit.{unit}") else unit


def _number(x: float, lang: Language) -> str:
    return lang.number(x, next(d for d in range(5) if d == 4 or abs(x - round(x, d)) < 1e-9))


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
