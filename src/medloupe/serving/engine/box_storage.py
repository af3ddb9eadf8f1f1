"""Shorten the boxes of an answer to what is remembered of them, and restore them.

Remembered are the MOST surest boxes, from LEAST on or from the line of their label where that is lower: places to a
tenth of a pixel, scores to four digits. A row of the journal then takes some 35 bytes a box, 180 kB at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST = 5_000  # boxes of one answer that are remembered
LEAST = 0.05  # score from which on they are, unless their label is marked from a lower one on
_SIDES = ("x", "y", "w", "h")


def pack_boxes(boxes: Sequence[Mapping[str, Any]], lines: Mapping[str, float]) -> dict[str, Any]:
    """Pack the boxes of a Prediction's JSON, the surest first.

    Parameters
    ----------
    boxes
        Each with label, score, x, y, w and h.
    lines
        By label the score from which on a box is marked.

    Returns
    -------
    dict
        `labels`, a row [label, score, x, y, w, h] for each box in `rows`, and in `left_out` how many are not among
        them although they are marked.
    """
    labels = list(dict.fromkeys(str(box["label"]) for box in boxes))
    number = {name: k for k, name in enumerate(labels)}
    shown = [b for b in boxes if b["score"] >= min(LEAST, lines.get(b["label"], 1.0))]
    rows = [
        [number[b["label"]], _round_score(b["score"], lines.get(b["label"])), *(round(float(b[s]), 1) for s in _SIDES)]
        for b in shown[:MOST]
    ]
    lost = sum(b["score"] >= lines.get(b["label"], 2.0) for b in shown[MOST:])
    return {"labels": labels, "rows": rows, **({"left_out": lost} if lost else {})}


def restore_boxes(answer: dict[str, Any]) -> dict[str, Any]:
    """Give a remembered answer its boxes as a Prediction's JSON has them; other answers are given back as they are."""
    packed = answer.get("boxes")
    if not isinstance(packed, Mapping):
        return answer
    labels = packed["labels"]
    made = [
        {"label": labels[k], "score": score, **dict(zip(_SIDES, sides, strict=True))}
        for k, score, *sides in packed["rows"]
    ]
    more = {"boxes_left_out": packed["left_out"]} if packed.get("left_out") else {}
    return {**answer, "boxes": made, **more}


def _round_score(score: float, line: float | None) -> float:
    """Round a score to four digits, staying on its side of the line."""
    rounded = round(float(score), 4)
    return rounded if line is None or (rounded >= line) == (score >= line) else float(score)
