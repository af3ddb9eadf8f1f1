"""Write docs/checkups.md from the cards of the shipped check-ups: `make starters` does so after building them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medloupe import starter

PAGE = Path(__file__).resolve().parent.parent / "docs" / "checkups.md"
_ASIDE = (
    "Figures in brackets are 95 % intervals over patients or groups of copies. In the tables every"
    " picture was judged by a head and a network that had not learned from it: by cross-validation, or on the test"
    " split that the data brings."
)


def page() -> str:
    """The whole page as Markdown."""
    cards = [starter.load(name).card for name in starter.shipped() if name != starter.EVERYDAY]
    out = [
        "# The check-ups in the box",
        "",
        "Made by `make starters` from public data; listed by `medloupe starters list`; gone on from with"
        " `medloupe train FOLDER --name MINE --from NAME`. **Research software, not a medical device.** This page is"
        " written from the cards of the check-ups (`scripts/checkups_page.py`).",
        "",
        _ASIDE,
        "",
        "| check-up | classes | images / groups | AUC | balanced accuracy | ECE | kB | ms | licence of the data |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(card) for card in cards),
        "",
        "*kB*: what the check-up adds to the package; the shared network has 6.7 MB. *ms*: of one picture on one thread"
        " of the machine that built it, the shared network and what the check-up adds; the ratio carries over, the"
        " milliseconds do not. *ECE*: expected calibration error. Everyday objects (`imagenet`) come with the network"
        " as published and were not judged here.",
        "",
    ]
    for card in cards:
        out += _section(card)
    return "\n".join(out).rstrip() + "\n"


def _row(card: Mapping[str, Any]) -> str:
    m, data, shipped = card["metrics"], card["data"], card["shipped"]
    ms, kilobytes = shipped["milliseconds"], shipped["bytes"] / 1000
    return (
        f"| [{card['name']}](#{card['name']}) | {len(card['labels'])} | {data['labelled']:,} / {data['groups']:,} |"
        f" {figure(m['auc'])} | {figure(m['balanced_accuracy'])} | {figure(m['ece'])} | {kilobytes:,.0f} |"
        f" {ms['shared']:.0f} + {ms['own']:.0f} | {card['licence']} |"
    )


def _section(card: Mapping[str, Any]) -> list[str]:
    data, split, said = card["data"], card["split"], card.get("finetuning") or {}
    other = card.get("secondary")
    beside = f" {other['title']}: AUC {figure(other['metrics']['auc'])}." if other else ""
    out = [
        f"## {card['name']}",
        "",
        f"**{card['title']}.** Wants {card['about']}.",
        "",
        f"- Data: {data['citation']}. {data['labelled']:,} images, {data['groups']:,} groups"
        + (f", {data['patients']:,} patients" if data.get("patients") else ", no patients named")
        + f". Licence: {card['licence']}.",
        f"- {split['sentence']}{beside}",
        f"- What was tried: {said.get('words') or 'a linear head on the shared network.'}",
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
    out += ["", "In the field:", "", *(f"- {sentence}" for sentence in card["stress"]["words"])]
    out += [f"- {' '.join(card['stress']['basis'])}", ""]
    return out


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
