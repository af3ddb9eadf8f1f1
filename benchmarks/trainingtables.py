"""The tables of training.py, from what it measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainers import COLD, SEED, TITLES, WARM

_AIMS = (  # who, against whom, by train seconds, at least so many times faster
    (COLD, TITLES["loop"], 5.0),
    (WARM, TITLES["loop"], 30.0),
    (SEED, TITLES["loop"], 30.0),
)
Rows = Mapping[str, Sequence[Mapping[str, Any]]]  # of a contestant, by round


def tables(result: Mapping[str, Any]) -> str:
    """A table a data set, and what stands against the aims."""
    installed = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    elsewhere = [row["elsewhere"] for of_set in result["sets"] for row in of_set["rows"]]
    out = [
        f"{result['at'][:10]}, {result['cores']} cores, {result['rounds']} rounds, {result['epochs']} epochs. "
        f"{installed}.",
        "",
        "*Train*: from the start of the process to the trained model; of medloupe also judging it by cross-validation, "
        "the report and the ONNX file, of the others nothing more. *Ask*: answering about the held-out fifth, start of "
        "the process included for medloupe only. *CPU*: seconds of processor time for both. */ cold*: train seconds "
        "over those of medloupe, cold, in the same round. All with median, least and greatest of the rounds. *Gain*: "
        "AUC on the held-out groups less that of medloupe's linear head, mean of the rounds, 95 % interval from a "
        "bootstrap over groups.",
        "",
        f"Other processes kept {np.median(elsewhere):.2f} cores busy in the median turn, {max(elsewhere):.2f} in the "
        "busiest.",
    ]
    for of_set in result["sets"]:
        rows = _by_contestant(of_set)
        out += [
            "",
            f"### {of_set['set']}: {of_set['images']:,} images, {of_set['groups']:,} groups, {of_set['labels']} labels",
            "",
            "| | train s | / cold | ask s | CPU s | s an epoch | AUC | gain |",
            "|---|---|---|---|---|---|---|---|",
            *(_line(name, rows, of_set["differences"][name]) for name in rows),
        ]
    return "\n".join([*out, "", "### Against the aims", "", *_aims(result)])


def _by_contestant(of_set: Mapping[str, Any]) -> Rows:
    """In the order medloupe, peers; rows in the order of rounds."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(of_set["rows"], key=lambda r: r["round"]):
        rows.setdefault(row["contestant"], []).append(row)
    order = [COLD, WARM, SEED, "medloupe, tail", "medloupe, full", *TITLES.values()]
    return {name: rows[name] for name in order if name in rows}


def _line(name: str, rows: Rows, gain: Sequence[float]) -> str:
    own = rows[name]
    asked = [r["ask"] for r in own if r["ask"] is not None]
    cells = [
        name,
        spread([r["train"] for r in own], 1),
        "1" if name == COLD else spread(_ratios(rows, name, COLD), 2),
        spread(asked, 1),
        spread([r["cpu"] for r in own], 1),
        spread([np.mean(r["epochs"]) for r in own if r["epochs"]], 2),
        spread([r["auc"] for r in own], 3),
        "" if name == COLD else f"{gain[0]:+.3f} ({gain[1]:+.3f} to {gain[2]:+.3f})",
    ]
    return f"| {' | '.join(cells)} |"


def _ratios(rows: Rows, of: str, over: str) -> list[float]:
    return [a["train"] / b["train"] for a, b in zip(rows[of], rows[over], strict=True)]


def spread(values: Sequence[float], digits: int) -> str:
    """Median (least–greatest); the only one alone; a dash for none."""
    if not values:
        return "–"
    middle = f"{np.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def _aims(result: Mapping[str, Any]) -> list[str]:
    out = []
    for of_set in result["sets"]:
        rows, said = _by_contestant(of_set), []
        for who, whom, aim in _AIMS:
            if who in rows and whom in rows:
                times = _ratios(rows, whom, who)
                met = "met" if np.median(times) >= aim else "missed"
                said.append(f"{who} is {spread(times, 1)} times as fast as the {whom} (aim {aim:g}: {met})")
        said += _epochs(rows)
        out += [f"- {of_set['set']}: {line}" for line in said]
    return out


def _epochs(rows: Rows) -> list[str]:
    """How the epochs of tail fine-tuning compare with those of training every layer."""
    said, tail = [], rows.get("medloupe, tail", [])
    for whom in ("medloupe, full", TITLES["loop-all"]):
        pairs = [(a["epochs"], b["epochs"]) for a, b in zip(tail, rows.get(whom, []), strict=False)]
        times = [float(np.mean(b) / np.mean(a)) for a, b in pairs if a and b]
        if times:
            met = "met" if np.median(times) >= 3 else "missed"
            said.append(
                f"an epoch of medloupe, tail is {spread(times, 1)} times as fast as one of {whom} (aim 3: {met})"
            )
    return said
