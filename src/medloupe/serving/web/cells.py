"""Show what a composed check-up says of each thing that it found: drawn by state, listed by danger, estimated."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medloupe.serving.web.bars import Namer, capitalize
from medloupe.serving.web.boxes import BoxesView, BoxLabel, BoxRow, draw_glyph, sides_of
from medloupe.serving.web.boxshapes import draw_path
from medloupe.serving.web.language import Language

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp

_LISTED = 100  # things in the list of a page without scripts
_LOOKS: Mapping[str, tuple[int, int]] = {  # by state the colour of result.css and the shape of boxshapes.py
    "flagged": (5, 3),
    "unclear": (1, 2),
    "clear": (0, 1),
    "answered": (2, 1),
    "refused": (6, 5),
    "unusable": (6, 5),
}
_OTHER = (7, 0)  # of what was found, but not asked about
_ORDER = ("flagged", "unclear", "answered", "clear", "refused", "unusable")
_SPOKEN = ("flagged", "answered")  # states that say a label


@dataclass(frozen=True, slots=True, kw_only=True)
class CellsView:
    """What was asked of each thing found on a picture, in sentences.

    Attributes
    ----------
    title
        "Each red cell, asked".
    told
        What came of it, and what is estimated for the field.
    cautions
        What must be said with that.
    """

    title: str
    told: tuple[str, ...]
    cautions: tuple[str, ...]


def view_cells(said: Mapping[str, Any], lang: Language, named: Namer) -> CellsView | None:
    """Say what came of asking about each thing; None of an answer that asked nothing.

    Parameters
    ----------
    said
        The Prediction's JSON.
    lang
        The language of the page.
    named
        Names a label as people read it.
    """
    asked = said.get("asked")
    if not asked:
        return None
    what, n, judged = named(asked["what"]), int(asked["found"]), int(asked["judged"])
    told = [lang.t("cells.found", n=n, what=what, asked=int(asked["asked"]), checkup=asked["checkup"])]
    if lost := int(asked["asked"]) - judged:
        told.append(lang.t("cells.not_judged", n=lost))
    measured = {m["name"]: m for m in said.get("measurements") or ()}
    for estimate in asked["estimates"] if judged else ():
        told += _word_estimate(estimate, measured.get(f"{estimate['label']} per field"), asked, lang, named)
    cautions = [lang.t("cells.unjudged", checkup=asked["checkup"], what=what)]
    if n > int(asked["asked"]):
        cautions.append(lang.t("cells.by_chance", n=int(asked["asked"])))
    if judged and not any(e["flagged"] for e in asked["estimates"]):
        cautions.append(lang.t("cells.one_field"))
    return CellsView(title=lang.t("cells.title", what=what), told=tuple(told), cautions=tuple(cautions))


def word_mistakes(estimate: Mapping[str, Any], lang: Language) -> str:
    """Say how many would be flagged by mistake if none had the finding."""
    none = estimate.get("flagged_if_none")
    if none is None:
        return lang.t("cells.mistakes_unknown")
    return lang.t("cells.mistakes", mean=_about(float(none["mean"]), lang), most=int(none["at_most"]))


def _word_estimate(
    estimate: Mapping[str, Any],
    field: Mapping[str, Any] | None,
    asked: Mapping[str, Any],
    lang: Language,
    named: Namer,
) -> list[str]:
    label = capitalize(named(estimate["label"]))
    said = [
        lang.t("cells.flagged_of", label=label, flagged=int(estimate["flagged"]), of=int(estimate["of"])),
        word_mistakes(estimate, lang),
    ]
    if field is None or field.get("value") is None or field.get("low") is None or field.get("high") is None:
        return [" ".join(said), lang.t("cells.unknown", label=label, checkup=asked["checkup"])]
    value, low, high = (_about(float(field[k]), lang) for k in ("value", "low", "high"))
    words = lang.t("cells.per_field", label=label, value=value, low=low, high=high)
    if unjudged := int(asked["found"]) - int(asked["judged"]):
        words = f"{words} {lang.t('cells.upper', n=unjudged)}"
    return [" ".join(said), words]


def _about(number: float, lang: Language) -> str:
    """Write a number that is not a count: with a digit after the point where it is small."""
    return lang.number(number, 1 if 0 < number < 9.95 and round(number, 1) != round(number) else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """The things of one state and label: what they are called, how they look, and (score, x, y, w, h) of each."""

    title: str
    colour: int
    shape: int
    rows: Sequence[tuple[float | None, tuple[float, float, float, float]]]
    shown: bool = True


def draw_cells(said: Mapping[str, Any], checkup: CheckUp | None, lang: Language, named: Namer) -> BoxesView:
    """Draw what was asked about by state, and what was found beside it.

    Parameters
    ----------
    said
        The Prediction's JSON, with `asked`.
    checkup
        The composed version that gave it, or None where it is gone.
    lang
        The language of the page.
    named
        Names a label as people read it.
    """
    asked = said["asked"]
    kinds = [*_sort_kinds(asked, checkup, lang, named), *_list_others(said, lang, named)]
    size = said.get("picture") or {}
    labels, data, rows, number = [], [], [], 0
    for place, kind in enumerate(kinds):
        drawn = [sides for _, sides in kind.rows]
        glyph = draw_glyph(kind.shape)
        labels.append(
            BoxLabel(
                place=place,
                colour=kind.colour,
                title=kind.title,
                glyph=glyph,
                marked=draw_path(drawn, kind.shape),
                below="",
                total=len(drawn),
                words=lang.number(len(drawn)),
                least=0.0,
                line=0.0,
                line_text="0",
                unsure=0,
                slides=False,
                shown=kind.shown,
            )
        )
        numbered = []
        for score, sides in kind.rows:
            number += 1
            numbered.append([number, score, *(round(v, 1) for v in sides)])
            if kind.shown and len(rows) < _LISTED:
                x, y, w, h = (lang.number(v) for v in sides)
                rows.append(
                    BoxRow(
                        number=lang.number(number),
                        colour=kind.colour,
                        glyph=glyph,
                        title=kind.title,
                        score="" if score is None else lang.percent(score),
                        place=lang.t("boxes.place", x=x, y=y, w=w, h=h),
                    )
                )
        data.append({"title": kind.title, "place": place, "colour": kind.colour, "rows": numbered})
    what = named(asked["what"])
    cells = sum(len(k.rows) for k in kinds if k.shown)
    counted = lang.join(f"{len(k.rows)} {k.title}" for k in kinds if k.shown)
    return BoxesView(
        width=int(size.get("width") or 0),
        height=int(size.get("height") or 0),
        labels=tuple(labels),
        none="",
        counts=(),
        measured=(),
        rows=tuple(rows),
        more=max(0, cells - len(rows)),
        about=lang.t("boxes.about", n=cells, labels=counted or lang.t("boxes.nothing")),
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":")),
        notes=(lang.t("cells.scores", what=what),),
        title=lang.t("cells.title", what=what),
        list_title=lang.t("cells.list", what=what),
        list_note=lang.t("cells.list_note"),
        score_title=lang.t("cells.score"),
        files=False,
    )


def _sort_kinds(asked: Mapping[str, Any], checkup: CheckUp | None, lang: Language, named: Namer) -> list[_Kind]:
    """Part things by state and label: the most dangerous first, and within each the most probable."""
    danger: Mapping[str, int] = {}
    if checkup is not None and checkup.asks is not None:
        danger = checkup.asks.checkup.decision.roles.danger
    findings = [e["label"] for e in asked["estimates"]] or list(asked["labels"])
    parted: dict[tuple[int, int, str, str], list[tuple[float | None, tuple[float, float, float, float]]]] = {}
    for cell in asked["cells"]:
        state, p = str(cell["state"]), cell.get("probabilities") or {}
        label = str(cell["label"]) if state in _SPOKEN else ""
        if state == "flagged":  # the finding, which need not be the most probable label
            label = max((n for n in findings if n in p), key=lambda n: p[n], default=label)
        about = [p[n] for n in ([label] if label else findings) if n in p]
        score = max(about, default=None) if cell["label"] else None
        key = (_ORDER.index(state) if state in _ORDER else len(_ORDER), danger.get(label, 1), state, label)
        parted.setdefault(key, []).append((score, sides_of(cell)))
    made = []
    for _, _, state, label in sorted(parted):
        key = next(k for k in parted if k[2:] == (state, label))
        own = sorted(parted[key], key=lambda row: -(row[0] or 0.0))
        word = lang.t(f"cells.{state if lang.has(f'cells.{state}') else 'answered'}")
        title = lang.t("cells.of_state", state=word, label=named(label)) if label else word
        colour, shape = _LOOKS.get(state, _OTHER)
        made.append(_Kind(title=title, colour=colour, shape=shape, rows=own))
    return made


def _list_others(said: Mapping[str, Any], lang: Language, named: Namer) -> list[_Kind]:
    """List what is marked but was not asked about; at first it is not shown."""
    lines: Mapping[str, float] = said.get("lines") or {}
    what, found = said["asked"]["what"], said.get("boxes") or ()
    made = []
    for name in lines:
        own = [(float(b["score"]), sides_of(b)) for b in found if b["label"] == name and b["score"] >= lines[name]]
        if own and name != what:
            title = lang.t("cells.other", label=capitalize(named(name)))
            made.append(_Kind(title=title, colour=_OTHER[0], shape=_OTHER[1], rows=own, shown=False))
    return made
