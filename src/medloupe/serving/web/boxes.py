"""Show the boxes of a detector's answer: drawn, in a list, marked by their lines, and counted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medloupe.serving.web.bars import Namer, capitalize
from medloupe.serving.web.boxshapes import COLOURS, draw_path
from medloupe.serving.web.language import Language
from medloupe.serving.web.measured import word_measurements

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.engine.figures import FoundFigures

_LISTED = 100  # boxes in the list of a page without scripts
_NEVER = 2.0  # a line that no score reaches
_GLYPH = (1.5, 1.5, 21.0, 15.0)  # a box of 24 by 18


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxLabel:
    """The boxes of one label.

    Attributes
    ----------
    place, colour
        Of the label among those of the check-up, and of its colour in result.css.
    title
        As people read it.
    glyph, marked, below
        Paths: its shape, its boxes at or over the line, and those below.
    total
        Boxes at or over the line.
    words
        "34 marked, from 44 % on"; that it is never marked.
    least, line, line_text
        Of the slider in percent: where it begins and where it stands; and the line as a score, "" for none.
    unsure
        Boxes below the line.
    slides
        Whether it has a slider.
    shown
        Whether its boxes are shown at first.
    """

    place: int
    colour: int
    title: str
    glyph: str
    marked: str
    below: str
    total: int
    words: str
    least: float
    line: float
    line_text: str
    unsure: int
    slides: bool = True
    shown: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxRow:
    """One box in the list."""

    number: str
    colour: int
    glyph: str
    title: str
    score: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxesView:
    """What a detector found.

    Attributes
    ----------
    width, height
        Of the picture, in pixels.
    labels
        Those of which there are boxes.
    none
        A sentence that names the labels of which nothing is marked, or "".
    counts
        A sentence for each label that is counted.
    measured
        A sentence for each measurement that is computed from them.
    rows, more
        The list, and how many marked boxes are not in it.
    about
        The drawing in words.
    data
        All boxes, as boxes.js reads them.
    notes
        What must be said with them.
    title, list_title, list_note, score_title
        Of the drawing, of the list and of its scores; the usual ones where they are "".
    files
        Whether the boxes can be downloaded.
    """

    width: int
    height: int
    labels: tuple[BoxLabel, ...]
    none: str
    counts: tuple[str, ...]
    measured: tuple[str, ...]
    rows: tuple[BoxRow, ...]
    more: int
    about: str
    data: str
    notes: tuple[str, ...]
    title: str = ""
    list_title: str = ""
    list_note: str = ""
    score_title: str = ""
    files: bool = True


def view_boxes(said: Mapping[str, Any], checkup: CheckUp | None, lang: Language, named: Namer) -> BoxesView | None:
    """Show the boxes of an answer's JSON; None of one that has none to show.

    Parameters
    ----------
    said
        The Prediction's JSON.
    checkup
        The version that gave it, or None where it is gone.
    lang
        The language of the page.
    named
        Names a label as people read it.
    """
    if said.get("boxes") is None:
        return None
    boxes: Sequence[Mapping[str, Any]] = said["boxes"]
    lines: Mapping[str, float] = said.get("lines") or {}
    order = list(checkup.labels) if checkup else list(dict.fromkeys((*lines, *(b["label"] for b in boxes))))
    size = said.get("picture") or {}
    width, height = int(size.get("width") or 0), int(size.get("height") or 0)
    numbered = [(i, box) for i, box in enumerate(boxes, 1) if box["label"] in order]
    labels: list[BoxLabel] = []
    data: list[dict[str, Any]] = []
    for place, name in enumerate(order):
        own = [(i, box) for i, box in numbered if box["label"] == name]
        if own:
            labels.append(_view_label(place, name, [box for _, box in own], lines.get(name, _NEVER), lang, named))
            rows = [[i, box["score"], *(round(float(box[s]), 1) for s in "xywh")] for i, box in own]
            data.append({"title": capitalize(named(name)), "place": place, "colour": place % COLOURS, "rows": rows})
    marked = [(i, box) for i, box in numbered if box["score"] >= lines.get(box["label"], _NEVER)]
    nothing = [named(n) for n in order if n in lines and not any(b["label"] == n for _, b in numbered)]
    lost = int(said.get("boxes_left_out") or 0)
    return BoxesView(
        width=width,
        height=height,
        labels=tuple(labels),
        none=lang.t("boxes.none", labels=lang.join(nothing)) if nothing else "",
        counts=()
        if checkup is not None and checkup.decision.measurements  # then nobody asks how many hearts there are
        else _word_counts(said.get("counts") or {}, checkup, lang, named),
        measured=word_measurements(said, lang, named),
        rows=tuple(_view_row(i, box, order.index(box["label"]), lang, named) for i, box in marked[:_LISTED]),
        more=max(0, len(marked) - _LISTED),
        about=lang.t("boxes.about", n=len(marked), labels=word_found(said, lang, named) or lang.t("boxes.nothing")),
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":")),
        notes=(lang.t("boxes.only", labels=lang.join(map(named, order))),)
        + ((lang.t("boxes.left_out", n=lost),) if lost else ()),
    )


def word_found(said: Mapping[str, Any], lang: Language, named: Namer) -> str:
    """Say how many boxes of which label are marked: "12 red cells and 1 white cell"; "" where none is."""
    counts: Mapping[str, int] = said.get("marked") or {}
    if "boxes" in said:
        lines: Mapping[str, float] = said.get("lines") or {}
        marked = [b["label"] for b in said["boxes"] if b["score"] >= lines.get(b["label"], _NEVER)]
        counts = {name: marked.count(name) for name in lines}
    return word_numbers(counts, said, lang, named)


def word_numbers(counts: Mapping[str, int], said: Mapping[str, Any], lang: Language, named: Namer) -> str:
    """Say numbers of boxes by label: "12 red cells and 1 white cell"; "" where all are 0. said: the answer's JSON."""
    of = str(said.get("model") or "") if said.get("version") is None else ""

    def call(name: str, n: int) -> str:
        return lang.several(name, n, of) if of else named(name)

    return lang.join(
        lang.t("boxes.of_label", count=lang.number(n), label=call(name, n)) for name, n in counts.items() if n
    )


def finds_boxes(said: Mapping[str, Any]) -> bool:
    """Say whether an answer is of a detector."""
    return "boxes" in said or "marked" in said


def best_box(said: Mapping[str, Any], label: str) -> float | None:
    """Give the score of an answer's surest box of a label; None where there is none."""
    if "surest" in said:
        return said["surest"].get(label)
    return max((float(b["score"]) for b in said.get("boxes") or () if b["label"] == label), default=None)


def word_tiling(said: Mapping[str, Any], lang: Language) -> tuple[str, ...]:
    """Say how a picture was looked at, if not as a whole like those learned from; in English where a code is new."""
    tiling = said.get("tiling")
    if not tiling:
        return ()
    key = f"tiling.{tiling.get('code')}"
    if not lang.has(key):
        return (str(tiling.get("text") or ""),)
    values = {"n": int(tiling["tiles"]), "side": int(tiling["side"]), "shrunk": lang.number(tiling["shrunk"], 1)}
    words = [lang.t("tiling.larger", times=lang.number(tiling["larger"], 1))] if tiling["code"] != "learned" else []
    words.append(lang.t(key, **values))
    words += [lang.t(f"tiling.{k}", n=int(tiling[k])) for k in ("foreign", "left_out") if tiling.get(k)]
    return (" ".join(words),)


def word_finding(label: str, known: FoundFigures, lang: Language) -> str:
    """Say how many of 100 boxes of a label are marked at its line, with how many false marks, judged on what.

    label: as people read it, in front; "" where it stands above already.
    """
    false = known.false_marks
    if known.line is None:
        words = lang.t("boxes.label_never")
    elif known.sensitivity is None or false is None:
        words = lang.t("boxes.label_unjudged")
    else:
        found = lang.hundred(known.sensitivity)
        if false < 0.005:
            words = lang.t("boxes.finds_none", found=found)
        elif false < 0.75:
            words = lang.t("boxes.finds_few", found=found, n=max(2, round(1 / false)))
        else:
            words = lang.t("boxes.finds", found=found, false=lang.number(false, 1))
        if known.boxes and known.pictures:
            words = f"{words} {lang.t('boxes.basis', n=known.pictures, boxes=known.boxes)}"
    return lang.t("result.point", label=label, words=words[:1].lower() + words[1:]) if label else words


def _view_label(
    place: int, name: str, boxes: Sequence[Mapping[str, Any]], line: float, lang: Language, named: Namer
) -> BoxLabel:
    up = [b for b in boxes if b["score"] >= line]
    rest = [b for b in boxes if b["score"] < line]
    never = line > 1
    words = lang.t("boxes.never") if never else lang.t("boxes.marked", n=len(up), line=lang.percent(line))
    least = min(100 * min(b["score"] for b in boxes), 100 * line if not never else 100.0)
    return BoxLabel(
        place=place,
        colour=place % COLOURS,
        title=capitalize(named(name)),
        glyph=draw_glyph(place),
        marked=draw_path([sides_of(b) for b in up], place),
        below=draw_path([sides_of(b) for b in rest], place),
        total=len(up),
        words=words,
        least=max(0.0, int(10 * least) / 10),
        line=round(100 * min(line, 1.0), 1),
        line_text="" if never else repr(line),
        unsure=len(rest),
    )


def _view_row(number: int, box: Mapping[str, Any], place: int, lang: Language, named: Namer) -> BoxRow:
    x, y, w, h = (lang.number(side) for side in sides_of(box))
    return BoxRow(
        number=lang.number(number),
        colour=place % COLOURS,
        glyph=draw_glyph(place),
        title=capitalize(named(str(box["label"]))),
        score=lang.percent(float(box["score"])),
        place=lang.t("boxes.place", x=x, y=y, w=w, h=h),
    )


def draw_glyph(shape: int) -> str:
    """Draw the sign of a label in the shape that its boxes have."""
    return draw_path([_GLYPH], shape)


def sides_of(box: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Give x, y, width and height of a box in JSON."""
    return float(box["x"]), float(box["y"]), float(box["w"]), float(box["h"])


def _word_counts(counts: Mapping[str, int], checkup: CheckUp | None, lang: Language, named: Namer) -> tuple[str, ...]:
    """Say how many of each label are counted, and how near to the truth such counts were; a sentence each."""
    said = []
    for name, n in counts.items():
        known = checkup.found_labels.get(name) if checkup is not None else None
        if checkup is not None and (known is None or known.count_line is None):
            continue
        said.append(_word_count(capitalize(named(name)), n, known, lang))
    return tuple(said)


def _word_count(label: str, n: int, known: FoundFigures | None, lang: Language) -> str:
    """Say how many there are, from which score on they were counted, and how near to the truth such counts were."""
    if known is None or known.count_line is None:
        return lang.t("boxes.counted", label=label, n=n)
    told = {"label": label, "n": n, "line": lang.percent(known.count_line)}
    if known.count_error is None:
        return lang.t("boxes.counted_unjudged", **told)
    told["error"] = _percent(known.count_error, lang)
    high = known.count_error_high
    if high is None or high < known.count_error + 0.005:
        words = lang.t("boxes.counted_judged", **told)
    else:
        words = lang.t("boxes.counted_range", **told, high=_percent(high, lang))
    return f"{words} {lang.t('boxes.counted_on', n=known.pictures)}" if known.pictures else words


def _percent(share: float, lang: Language) -> str:
    """Write a measured share: unlike a probability, it may be 0 or 1."""
    return f"{lang.percent(0.0)}" if share < 0.005 else lang.percent(share)
