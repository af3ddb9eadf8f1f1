"""Ask in forms for what a check-up reads beside the picture, and show what it did to an answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.model.head import probabilities
from medloupe.model.prediction import Influence
from medloupe.serving.engine.inputs import PREFIX, form_fields
from medloupe.serving.web.bars import capitalize
from medloupe.serving.web.kinds import PICTURE, PageKind
from medloupe.serving.web.language import Language

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp

_HELD = " (taken as ", (", the highest in training)", ", the lowest in training)")
_UNSEEN = " (not seen in training, not used)"
_FEW = 4  # choices that stay in the order of how common they are
_LEAST = 1e-12  # of a probability, whose logarithm is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class InputField:
    """One input as a form asks for it.

    Attributes
    ----------
    key
        Unique in the form.
    field
        Its name in the form.
    kind
        "number", "category" or "notes".
    title
        As people read it.
    hint
        What is usual, or "".
    choices
        (value, how it reads).
    """

    key: str
    field: str
    kind: str
    title: str
    hint: str = ""
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectBar:
    """What one input did to the label shown.

    Attributes
    ----------
    title
        The input and its value.
    start, width
        Of a bar on a scale of 0 to 100 whose middle is nothing.
    towards
        Whether it speaks for the label.
    without
        The percentage if it had no part, or "".
    """

    title: str
    start: float
    width: float
    towards: bool
    without: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InputEffects:
    """How the inputs moved an answer.

    Attributes
    ----------
    headline, sentence
        In words.
    shares
        Exact parts of the logit; the picture first.
    """

    headline: str
    sentence: str
    shares: tuple[EffectBar, ...] = ()


def input_fields(checkup: CheckUp, lang: Language) -> tuple[InputField, ...]:
    """Return what to ask for beside the picture, in the model's order."""
    return tuple(_field(i, said, lang) for i, said in enumerate(form_fields(checkup)))


def input_title(name: str, lang: Language) -> str:
    """Name an input as people read it."""
    key = f"input.{_plain(name)}"
    text = lang.t(key) if lang.has(key) else name.replace("_", " ").strip() or name
    return capitalize(text)


def input_value(name: str, text: str, lang: Language) -> str:
    """Write an input's value, as the model understood it, as people read it."""
    between, ends = _HELD
    for end, key in zip(ends, ("moved.held_high", "moved.held_low"), strict=True):
        value, found, held = text.removesuffix(end).rpartition(between)
        if found and text.endswith(end):
            return lang.t(key, value=_measured(value, lang), held=held)
    if text.endswith(_UNSEEN):
        return lang.t("moved.unseen", value=text.removesuffix(_UNSEEN))
    return _choice(name, text, lang) or _measured(text, lang)


def describe_effects(
    answer: Mapping[str, Any], label: str, called: str, several: bool, lang: Language, kind: PageKind = PICTURE
) -> InputEffects | None:
    """Show how each input moved the percentage of a label.

    Parameters
    ----------
    answer
        The Prediction's JSON.
    label
        The label shown.
    called
        The same as people read it.
    several
        Whether labels do not exclude each other.
    lang
        The language of the page.
    kind
        Of data that was sent.

    Returns
    -------
    InputEffects or None
        None of a check-up that reads the picture alone.
    """
    inputs = answer.get("inputs")
    if inputs is None:
        return None
    headline = lang.t("moved.title", label=called)
    key, whose = (f"{kind.section}moved_", f"{kind.section}alone") if kind.section else ("moved.", "moved.picture")
    given = [i for i in inputs if "effect" in i]
    if not given:
        names = lang.join(input_title(i["name"], lang) for i in inputs)
        words = lang.t(f"{key}also", names=names) if names else lang.t(f"{key}none")
        return InputEffects(headline=headline, sentence=words)
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
        _effect_bar(
            lang.t("pair.said" if e.value else "moved.not_given", **_named_value(e, lang)),
            x / scale,
            percent(z - effect),
        )
        for e, x, effect in zip(each, pull, effects, strict=True)
    ]
    return InputEffects(
        headline=headline, sentence=sentence, shares=(_effect_bar(lang.t(whose), own / scale, ""), *rows)
    )


def _named_value(influence: Influence, lang: Language) -> dict[str, str]:
    said = {"name": input_title(influence.name, lang)}
    return {**said, "value": input_value(influence.name, influence.value, lang)} if influence.value else said


def _effect_bar(text: str, pull: float, without: str) -> EffectBar:
    """Make a bar of a pull from -1 to 1."""
    width = round(min(50 * abs(pull), 50), 2)
    return EffectBar(title=text, start=50 if pull >= 0 else 50 - width, width=width, towards=pull >= 0, without=without)


def _field(i: int, said: Mapping[str, Any], lang: Language) -> InputField:
    name, kind = str(said["name"]), str(said["kind"])
    common: dict[str, Any] = {
        "key": f"input-{i}",
        "field": PREFIX + name,
        "kind": kind,
        "title": input_title(name, lang),
    }
    if kind == "category":
        choices = [(c, _choice(name, c, lang) or capitalize(c)) for c in said["choices"]]
        return InputField(
            **common, choices=tuple(choices if len(choices) <= _FEW else sorted(choices, key=lambda c: c[1]))
        )
    if kind == "number":
        unit = _unit(str(said.get("unit") or ""), lang)
        low, high = (_number(said[end], lang) for end in ("low", "high"))
        hint = lang.t("inputs.usual", low=low, high=high)
        return InputField(**common, hint=lang.t("inputs.with_unit", hint=hint, unit=unit) if unit else hint)
    return InputField(**common, hint=lang.t("inputs.notes"))


def _choice(name: str, text: str, lang: Language) -> str:
    """Return a value of a category in words, or "" where there are none for it."""
    keys = (f"choice.{_plain(name)}.{_plain(text)}", f"choice.any.{_plain(text)}")
    return next((capitalize(lang.t(key)) for key in keys if lang.has(key)), "")


def _measured(text: str, lang: Language) -> str:
    """Write a number with its unit: "38.5" as "38,5", "72 years" as "72 ans"."""
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
