"""Write docs/checkups.md from the cards of the shipped check-ups: `make starters` does so after building them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medloupe.embed.registry import DEFAULT, ECG_BEATS, ECG_TWELVE, backbone
from medloupe.starter import shipped

PAGE = Path(__file__).resolve().parent.parent / "docs" / "checkups.md"
_ASIDE = (
    "Figures in brackets are 95 % intervals over patients or groups of copies. In the tables every"
    " picture, ECG or beat was judged by a head and a network that had not learned from it: by cross-validation, or on"
    " the test split that the data brings."
)


def page() -> str:
    """The whole page as Markdown."""
    cards = [shipped.load_shipped(name).card for name in shipped.list_shipped() if name != shipped.EVERYDAY]
    out = [
        "# The check-ups in the box",
        "",
        "Made by `make starters` from public data; listed by `medloupe starters list`; gone on from with"
        " `medloupe train FOLDER --name MINE --from NAME`. **Research software, not a medical device.** This page is"
        " written from the cards of the check-ups (`scripts/checkups_page.py`).",
        "",
        _ASIDE,
        "",
        "| check-up | classes | examples / groups | AUC | balanced accuracy | ECE | kB | ms | licence of the data |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(card) for card in cards),
        "",
        f"*kB*: what the check-up adds to the package; the network that check-ups of pictures share has {_megabytes()}"
        f" MB, those of beats and of twelve leads {_megabytes(ECG_BEATS)} and {_megabytes(ECG_TWELVE)} MB. *ms*: of one"
        " picture, beat or ECG on one thread of the machine that built it, the shared network and what the check-up"
        " adds; the ratio carries over, the milliseconds do not. *ECE*: expected calibration error. Everyday objects"
        " (`imagenet`) come with the network as published and were not judged here.",
        "",
    ]
    for card in cards:
        out += _section(card)
    return "\n".join(out).rstrip() + "\n"


def _row(card: Mapping[str, Any]) -> str:
    m, data, packed = card["metrics"], card["data"], card["shipped"]
    ms, kilobytes = packed["milliseconds"], packed["bytes"] / 1000
    return (
        f"| [{card['name']}](#{card['name']}) | {len(card['labels'])} | {data['labelled']:,} / {data['groups']:,} |"
        f" {figure(m['auc'])} | {figure(m['balanced_accuracy'])} | {figure(m['ece'])} | {kilobytes:,.0f} |"
        f" {_milliseconds(ms['shared'])} + {_milliseconds(ms['own'])} | {card['licence']} |"
    )


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
        + f". Licence: {card['licence']}.",
        f"- {split['sentence']}{beside}",
        f"- What was tried: {said.get('words') or 'a linear head on the shared network.'}",
        *([f"- Read beside it: {card['inputs']['words']}"] if card.get("inputs") else ()),
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
    if "stress" in card:
        out += ["", "In the field:", "", *(f"- {sentence}" for sentence in card["stress"]["words"])]
        out += [f"- {' '.join(card['stress']['basis'])}"]
    return [*out, ""]


def _own_limits(card: Mapping[str, Any]) -> list[str]:
    """Those that are not said of every model."""
    general = ("It knows only:", "It was judged on data", "The percentages hold")
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
