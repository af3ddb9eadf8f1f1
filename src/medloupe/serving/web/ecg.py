"""An ECG as pages show it: drawn on paper, its beats by class, heart rate and rhythm in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from medloupe.serving.engine.ecg_storage import DRAWN_SECONDS
from medloupe.serving.web.language import Language

if TYPE_CHECKING:
    from medloupe.ecg.reading import Reading
    from medloupe.serving.engine.checkup import CheckUp

_STRIP = 10.0  # seconds drawn in one piece
_MINUTES = 120.0  # from which on a length is told in minutes
_NAMED = 3  # letters of a label that fit above a beat


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The beats of one class. letter: above each in the drawing. count, share: "" of an ECG without single beats."""

    letter: str
    colour: str
    title: str
    count: str
    share: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A piece of the drawing. title: which seconds. svg: safe markup."""

    title: str
    svg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EcgView:
    """An ECG on a page. beats: whether it was judged beat by beat. strips: all leads one below the other; sheet: twelve
    as on the usual sheet, or "". drawn: how much of it is drawn, or "". shaded: whether there is where the network
    looked. facts: (what, value). kinds: the classes of its beats, the commonest first. notes: in English."""

    beats: bool
    facts: tuple[tuple[str, str], ...]
    kinds: tuple[Kind, ...] = ()
    strips: tuple[Strip, ...] = ()
    sheet: str = ""
    drawn: str = ""
    shaded: bool = False
    notes: tuple[str, ...] = ()


def view(
    said: Mapping[str, Any],
    checkup: CheckUp | None,
    lang: Language,
    of: str,
    found: Reading | None = None,
    start: float = 0.0,
    judged: bool = True,
) -> EcgView:
    """said: the answer's entry `ecg`. of: the shipped check-up whose labels it has, or "". found: with the signal,
    where it is at hand to be drawn, from second `start` on. judged: else it was refused, and no beat is given a class.
    """
    counts: Mapping[str, int] = (said.get("counts") or {}) if judged else {}
    labels = list(dict.fromkeys((*(checkup.labels if checkup else ()), *counts)))
    letters = _letters(labels)
    colours = _colours(labels)
    total = sum(counts.values())
    kinds = tuple(
        Kind(
            letter=letters[name],
            colour=colours[name],
            title=_capital(lang.label(name, of)) if name else lang.t("ecg.no_class"),
            count=lang.number(n),
            share=lang.percent(n / total),
        )
        for name, n in sorted(counts.items(), key=lambda item: -item[1])
    )
    shown = EcgView(
        beats="counts" in said, facts=_facts(said, lang), kinds=kinds, notes=tuple(map(str, said.get("notes") or ()))
    )
    if found is not None and not judged:
        found = replace(found, beats=(), attention=None)
    return shown if found is None else _drawn(shown, found, letters, colours, lang, of, start)


def _drawn(
    shown: EcgView,
    found: Reading,
    letters: Mapping[str, str],
    colours: Mapping[str, str],
    lang: Language,
    of: str,
    start: float,
) -> EcgView:
    from medloupe.ecg.paper import Mark, draw_sheet, draw_strip, has_sheet

    seconds = found.signal.seconds
    start = start if start < seconds else 0.0
    end = min(seconds, start + DRAWN_SECONDS)
    marks = [
        Mark(
            second=b.second,
            label=letters.get(b.label, "?"),
            colour=colours.get(b.label, "#555"),
            words=lang.t("ecg.beat", label=lang.label(b.label, of) or "?", percent=lang.percent(b.probability)),
        )
        for b in found.beats
    ]
    strips = []
    at = start
    while at < end - 0.05:
        last = min(at + _STRIP, end)
        last = end if end - last < 1 else last  # no strip of a moment
        title = lang.t("ecg.strip", begin=_seconds(at, lang), end=_seconds(last, lang))
        drawing = draw_strip(
            found.signal,
            marks=marks,
            attention=found.attention,
            start=at,
            seconds=last - at,
            title=lang.t("ecg.drawing", begin=_seconds(at, lang), end=_seconds(last, lang)),
        )
        strips.append(Strip(title=title, svg=drawing))
        at = last
    part = (
        ""
        if end - start >= seconds - 0.05
        else lang.t("ecg.drawn", begin=_seconds(start, lang), end=_seconds(end, lang), all=_seconds(seconds, lang))
    )
    usual = has_sheet(found.signal) and not shown.beats and start == 0
    title = lang.t("ecg.drawing", begin="0", end="10")
    return replace(
        shown,
        strips=tuple(strips),
        sheet=draw_sheet(found.signal, attention=found.attention, title=title) if usual else "",
        drawn=part,
        shaded=found.attention is not None,
    )


def _facts(said: Mapping[str, Any], lang: Language) -> tuple[tuple[str, str], ...]:
    facts = []
    if said.get("heart_rate") is not None:
        facts.append((lang.t("ecg.heart_rate"), lang.t("ecg.per_minute", n=round(said["heart_rate"]))))
    rhythm = str(said.get("rhythm") or "")
    evenness, _, pace = rhythm.partition(", ")
    key = f"ecg.rhythm_{evenness.replace(' ', '_')}"
    if evenness and lang.has(key):
        words = lang.t(key)
        facts.append((lang.t("ecg.rhythm"), f"{words}, {lang.t(f'ecg.pace_{pace}')}" if pace else words))
    beats = len(said.get("r_peaks") or ()) if "counts" not in said else sum(said["counts"].values())
    facts.append((lang.t("ecg.beats"), lang.number(beats)))
    length = lang.t("ecg.length_value", length=_length(said["seconds"], lang), rate=_seconds(said["rate"], lang))
    facts.append((lang.t("ecg.length"), length))
    names = [str(name) for name in said["leads"] if name]
    if names:
        facts.append((lang.t("ecg.leads"), ", ".join(names)))
    return tuple(facts)


def _letters(labels: Sequence[str]) -> dict[str, str]:
    """What stands above the beats of each label: short labels as they are, of others as many letters as tell them
    apart."""
    found: dict[str, str] = {}
    for name in labels:
        sizes = range(len(name) if len(name) <= _NAMED else 1, len(name) + 1)
        found[name] = next((name[:k] for k in sizes if name[:k] not in found.values()), name) or "?"
    return found


def _colours(labels: Sequence[str]) -> dict[str, str]:
    from medloupe.ecg.paper import COLOURS

    return {name: COLOURS[i % len(COLOURS)] if name else "#555" for i, name in enumerate(labels)}


def _length(seconds: float, lang: Language) -> str:
    if seconds < _MINUTES:
        return lang.t("ecg.seconds", n=_seconds(seconds, lang))
    minutes, rest = divmod(round(seconds), 60)
    return lang.t("ecg.minutes", minutes=lang.number(minutes), seconds=lang.number(rest))


def _seconds(x: float, lang: Language) -> str:
    return lang.number(x, 0 if abs(x - round(x)) < 0.05 else 1)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
