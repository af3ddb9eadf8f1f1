"""Write docs/checkups.md from the cards of the shipped check-ups: `make starters` does so after building them.

What was measured elsewhere is taken from benchmarks/external.json and benchmarks/elsewhere.json, which
benchmarks/external.py and benchmarks/elsewhere.py write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medloupe.embed.registry import DEFAULT, ECG_BEATS, ECG_TWELVE, backbone
from medloupe.model.legibility import NOT_ANSWERED, answers_photographs
from medloupe.starter import shipped

_ROOT = Path(__file__).resolve().parent.parent
PAGE = _ROOT / "docs" / "checkups.md"
EXTERNAL = _ROOT / "benchmarks" / "external.json"
ELSEWHERE = _ROOT / "benchmarks" / "elsewhere.json"
_ASIDE = (
    "Figures in brackets are 95 % intervals over patients or groups of copies. In the tables every"
    " picture, ECG or beat was judged by a head and a network that had not learned from it: by cross-validation, or on"
    " the test split that the data brings."
)


_TABLE = (
    "| check-up | classes | examples / groups | AUC | balanced accuracy | ECE | kB | ms | licence of the data |",
    "|---|---|---|---|---|---|---|---|---|",
)
_TERMS = {"open": "", "non-commercial": " **Non-commercial use only.**", "research": " **Research only.**"}


def page() -> str:
    """The whole page as Markdown."""
    every = [shipped.load_shipped(name).card for name in shipped.list_shipped() if name != shipped.EVERYDAY]
    cards = [card for card in every if card["task"] != "detection"]
    finders = [card for card in every if card["task"] == "detection"]
    out = [
        "# The check-ups in the box",
        "",
        "Made by `make starters` from public data; listed by `medloupe starters list`; gone on from with"
        " `medloupe train FOLDER --name MINE --from NAME`. **Research software, not a medical device.** This page is"
        " written from the cards of the check-ups (`scripts/checkups_page.py`).",
        "",
        _ASIDE,
        "",
        *_TABLE,
        *(_row(card) for card in cards if card["terms"] == "open"),
        "",
        "In the second package, `medloupe-research` (`pip install ./research`; `make serve` has both), lie those whose"
        " data allow non-commercial use or research only. So may these check-ups be used for nothing else:",
        "",
        *_TABLE,
        *(_row(card) for card in cards if card["terms"] != "open"),
        "",
        f"*kB*: what the check-up adds to the package; the network that check-ups of pictures share has {_megabytes()}"
        f" MB, those of beats and of twelve leads {_megabytes(ECG_BEATS)} and {_megabytes(ECG_TWELVE)} MB. *ms*: of one"
        " picture, beat or ECG on one thread of the machine that built it, the shared network and what the check-up"
        " adds; the ratio carries over, the milliseconds do not. *ECE*: expected calibration error. Everyday objects"
        " (`imagenet`) come with the network as published and were not judged here.",
        "",
        *_table_of_finders(finders),
        *_external(json.loads(EXTERNAL.read_text("utf-8")), every),
        *_elsewhere(json.loads(ELSEWHERE.read_text("utf-8"))),
    ]
    for card in cards:
        out += _section(card)
    for card in finders:
        out += _section_of_finder(card)
    out += [
        "## Check-ups in a package of your own",
        "",
        "Any installed package can bring check-ups: a folder `checkups` in it, with a folder for each as"
        " `medloupe.starter.pack.pack_checkup` writes it (models on a network that comes with medloupe), and an entry"
        " point of the group `medloupe.checkups` that names the package. They are offered with the others; a name that"
        " is taken already is passed over, and the log says so. `research/pyproject.toml` is an example.",
        "",
    ]
    return "\n".join(out).rstrip() + "\n"


def _row(card: Mapping[str, Any]) -> str:
    m, data, packed = card["metrics"], card["data"], card["shipped"]
    ms, kilobytes = packed["milliseconds"], packed["bytes"] / 1000
    return (
        f"| [{card['name']}](#{card['name']}) | {len(card['labels'])} | {data['labelled']:,} / {data['groups']:,} |"
        f" {figure(m['auc'])} | {figure(m['balanced_accuracy'])} | {figure(m['ece'])} | {kilobytes:,.0f} |"
        f" {_milliseconds(ms['shared'])} + {_milliseconds(ms['own'])} | {card['licence']} |"
    )


def _table_of_finders(cards: Sequence[Mapping[str, Any]]) -> list[str]:
    """What marks places, with the figures of boxes."""
    if not cards:
        return []
    out = [
        "These mark places ([localisation.md](localisation.md) says what the figures mean; *ms*: the shared network at"
        " the size at which they look, and what they add):",
        "",
        "| check-up | marks | pictures / groups | boxes | AP50 | AP50–95 | kB | ms | licence of the data |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for card in cards:
        m, data, packed = card["metrics"], card["data"], card["shipped"]
        ms = packed["milliseconds"]
        boxes = sum(row["boxes"] for row in card["detection"]["per_label"])
        out.append(
            f"| [{card['name']}](#{card['name']}) | {', '.join(card['labels'])} | {data['labelled']:,} /"
            f" {data['groups']:,} | {boxes:,} | {figure(m['map50'])} | {figure(m['map'])} |"
            f" {packed['bytes'] / 1000:,.0f} | {_milliseconds(ms['shared'])} + {_milliseconds(ms['own'])} |"
            f" {card['licence']} |"
        )
    return [*out, ""]


def _external(rows: Sequence[Mapping[str, Any]], cards: Sequence[Mapping[str, Any]]) -> list[str]:
    """What check-ups say of another source of their disease, as they come and fitted to it."""
    out = [
        "## Another hospital",
        "",
        "The check-ups in the box on another source of the same disease (`benchmarks/external.py`), but for pictures"
        " that they learned from: with their own labels, percentages and lines (`medloupe evaluate`), then fitted to"
        " about 150 of its cases (`medloupe adapt`), judged on cases that took no part. *Own*: what the card says of"
        " its own pictures. *Refused*: as foreign; they count in the other figures with the answer that they would have"
        " got. *Found* and *cleared*: sensitivity and specificity of the most dangerous finding at its line, own →"
        " there.",
        "",
        "| check-up | another source | pictures / groups | refused | AUC own | AUC there | found | cleared |"
        " ECE own → there | fitted: ECE before → after |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    out += [_row_of_source(row) for row in rows]
    cautions = [f"- {row['check-up']}, {row['judged']}: {row['caution']}." for row in rows if row.get("caution")]
    there = {row["check-up"] for row in rows}
    none = [str(card["name"]) for card in cards if card["name"] not in there]
    out += ["", *cautions] if cautions else []
    out += [
        "",
        f"Not in the table: {', '.join(none)}. Of these no other source is at hand, or they learned from both that are,"
        " or it was not asked yet (`SOURCES` in `benchmarks/external.py` names what there is).",
        "",
    ]
    return out


def _row_of_source(row: Mapping[str, Any]) -> str:
    said = f"| [{row['check-up']}](#{row['check-up']}) | {row['judged']} |"
    if "note" in row:
        return f"{said} {row['note']} | | | | | | | |"
    own, there = row["internal"], row["external"]
    counted = f" {row['n']:,} / {row['groups']:,} |"
    if "map50" in there:
        boxes = f" | AP50 {figure(own['map50'])} | AP50 {figure(there['map50'])} | | | |"
        return f"{said}{counted}{boxes} {' '.join(there['measured'])} |"
    lines = [{k: _short(line.get(k)) for k in ("sensitivity", "specificity")} for line in _lines(own, there)]
    both = [" → ".join(line[k] for line in lines) for k in ("sensitivity", "specificity")]
    adapted = row.get("adapted")
    fitted = (
        row.get("why_not", "")
        if not adapted
        else f"{_short(adapted['ece']['before'])} → {_short(adapted['ece']['after'])} ({adapted['cases']} cases)"
    )
    ece = f"{_short(own.get('ece'))} → {_short(there.get('ece'))}"
    return (
        f"{said}{counted} {_share(row.get('refused'))} | {figure_or_dash(own.get('auc'))} |"
        f" {figure_or_dash(there.get('auc'))} | {both[0]} | {both[1]} | {ece} | {fitted} |"
    )


def _lines(*sides: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [next(iter(side.get("lines") or ()), {}) for side in sides]


def _short(metric: Mapping[str, float | None] | None) -> str:
    """ "0.94", or a dash."""
    return "–" if metric is None or metric["value"] is None else f"{metric['value']:.2f}"


def _share(metric: Mapping[str, float | None] | None) -> str:
    return "–" if metric is None or metric["value"] is None else f"{metric['value']:.1%}"


def figure_or_dash(metric: Mapping[str, float | None] | None) -> str:
    """As `figure`, of what may not have been measured."""
    return "–" if metric is None else figure(metric)


def _elsewhere(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was measured on pictures from elsewhere, beside the same pictures by what learned from their own kind."""
    out = [
        "## Elsewhere",
        "",
        "Of check-ups that learned from two sources: what each taught, asked about pictures of the other"
        " (`benchmarks/elsewhere.py`), by plain linear heads without field views, each asked about patients whom it had"
        " not seen. Rows of the same *judged on* stand for the same pictures, and differ by what was learned from"
        " alone.",
        "",
        "| check-up | judged on | pictures / groups | learned from | AUC | ECE |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        same = "" if row["learned"] == "both" else " (external)"
        same = " (internal)" if row["learned"] == row["judged"] else same
        out.append(
            f"| {row['check-up']} | {row['judged']} | {row['n']:,} / {row['groups']:,} | {row['learned']}{same} |"
            f" {figure(row['auc'])} | {figure(row['ece'])} |"
        )
    return [*out, ""]


def _by_part(card: Mapping[str, Any]) -> list[str]:
    """The figures of its parts, where the check-up learned from several."""
    rows = [r for r in card.get("subgroups") or () if r["column"] in ("device", "hospital") and r["auc"]]
    return [
        f"- By {row['column']}, {row['value']} ({row['n']:,} {things(card)}): AUC {figure(row['auc'])}, balanced"
        f" accuracy {figure(row['balanced_accuracy'])}."
        for row in rows
    ]


def _photographed(card: Mapping[str, Any]) -> list[str]:
    """What it learned from simulated photographs, in a sentence a severity."""
    said = list((card.get("field") or {}).get("words") or ())
    if said and card["field"]["weight"] and not answers_photographs(card) and NOT_ANSWERED not in said:
        said.append(NOT_ANSWERED)
    return ["", "Photographed ([field.md](field.md)):", "", *(f"- {sentence}" for sentence in said)] if said else []


def _section_of_finder(card: Mapping[str, Any]) -> list[str]:
    data = card["data"]
    out = [
        f"## {card['name']}",
        "",
        f"**{card['title']}.** Wants {card['about']}.",
        "",
        f"- Data: {data['citation']}. {data['labelled']:,} {things(card)}, {data['groups']:,} groups"
        + (f", {data['patients']:,} patients" if data.get("patients") else ", no patients named")
        + f". Licence: {card['licence']}.{_TERMS[card['terms']]}",
        f"- {card['split']['sentence']}",
        f"- {card['detection']['words']}",
        *(f"- {m['words']}" for m in card.get("measurements") or ()),
        "",
        "| marks | boxes | AP50 | AP50–95 | marked of those there are | false marks a picture | counts off (median) |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in card["detection"]["per_label"]:
        error = row["count_median_error"]
        off = "–" if error is None or error["value"] is None else f"{100 * error['value']:.0f} %"
        out.append(
            f"| {row['label']} | {row['boxes']:,} | {figure(row['map50'])} | {figure(row['map'])} |"
            f" {figure(row['sensitivity'])} | {figure(row['false_marks'])} | {off} |"
        )
    out += ["", "Known weaknesses:", ""]
    said = (*(w["text"] for w in card["warnings"]), *_own_limits(card))
    out += [f"- {sentence}" for sentence in dict.fromkeys(said)]
    if "stress" in card:
        out += ["", "In the field:", "", *(f"- {sentence}" for sentence in card["stress"]["words"])]
        out += [f"- {' '.join(card['stress']['basis'])}"]
    return [*out, ""]


def _megabytes(name: str = DEFAULT) -> str:
    return f"{backbone(name).path.stat().st_size / 1e6:.1f}"


def _milliseconds(value: float) -> str:
    return f"{value:.1f}" if 0 < value < 1 else f"{value:.0f}"


def things(card: Mapping[str, Any]) -> str:
    """What its examples are, in the plural."""
    return card["data"].get("things") or "images"


def _section(card: Mapping[str, Any]) -> list[str]:
    data, split, said = card["data"], card["split"], card.get("finetuning") or {}
    other = card.get("secondary")
    beside = f" {other['title']}: AUC {figure(other['metrics']['auc'])}." if other else ""
    out = [
        f"## {card['name']}",
        "",
        f"**{card['title']}.** Wants {card['about']}.",
        "",
        f"- Data: {data['citation']}. {data['labelled']:,} {things(card)}, {data['groups']:,} groups"
        + (f", {data['patients']:,} patients" if data.get("patients") else ", no patients named")
        + f". Licence: {card['licence']}.{_TERMS[card['terms']]}",
        f"- {split['sentence']}{beside}",
        f"- What was tried: {said.get('words') or 'a linear head on the shared network.'}",
        *([f"- Read beside it: {card['inputs']['words']}"] if card.get("inputs") else ()),
        *_by_part(card),
        "",
        "| label | cases | AUC | at the operating point: sensitivity | specificity |",
        "|---|---|---|---|---|",
    ]
    for row in card["per_label"]:
        point = row["operating_point"]
        out.append(
            f"| {row['label']} | {row['n']:,} | {figure(row['auc'])} | {figure(point['sensitivity'])} |"
            f" {figure(point['specificity'])} |"
        )
    out += ["", "Known weaknesses:", ""]
    out += [f"- {sentence}" for sentence in (*(w["text"] for w in card["warnings"]), *_own_limits(card))]
    out += _photographed(card)
    if "stress" in card:
        out += ["", "In the field:", "", *(f"- {sentence}" for sentence in card["stress"]["words"])]
        out += [f"- {' '.join(card['stress']['basis'])}"]
    return [*out, ""]


def _own_limits(card: Mapping[str, Any]) -> list[str]:
    """Those that are not said of every model."""
    general = ("It knows only:", "It marks only:", "It was judged on data", "The percentages hold")
    return [text for text in card["limits"] if not text.startswith(general)]


def figure(metric: Mapping[str, float | None]) -> str:
    """ "0.943 (0.922–0.961)", or a dash."""
    if metric["value"] is None:
        return "–"
    if metric["low"] is None or metric["high"] is None:
        return f"{metric['value']:.3f}"
    return f"{metric['value']:.3f} ({metric['low']:.3f}–{metric['high']:.3f})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
