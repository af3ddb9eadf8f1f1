"""Ask a check-up about each thing that a detector found: crop it from the full picture, fit it, run in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from medloupe.imaging.crops import bound_crop
from medloupe.imaging.picture import fitted_frame, whole_picture
from medloupe.imaging.quality import Limits
from medloupe.metrics.prevalence import ErrorRate
from medloupe.model.boxes import FoundBox, fit_boxes
from medloupe.model.cells import MOST_CELLS, AskedCell, AskedCells, Estimate
from medloupe.model.decision import Decision, Why
from medloupe.model.head import probabilities
from medloupe.model.legibility import CODE, SENTENCE
from medloupe.model.novelty import Novelty
from medloupe.model.quality import judge_quality

BATCH = 16  # things that are looked at in one pass
_SAME_LINE = 1e-6  # of a probability

Look = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
"""Runs the check-up's network over pixels uint8 (n, S, S, 3): logits float32 (n, K), and embeddings (n, D) that
novelty reads, None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellQuestion:
    """What is asked about each thing.

    Attributes
    ----------
    what : str
        The detector's label of the things that are asked about.
    line : float
        The score from which a box is one.
    margin : float
        Of a box's own side, that is added on each side.
    cut_out : bool
        Whether what lies outside the ellipse within the crop is made black.
    grey : bool
        Whether crops are made grey, as the check-up's pictures were.
    side : int
        Pixels of the longer side to which larger crops are scaled down first, as the check-up's pictures were.
    checkup : str
        Which is asked, NAME@VERSION.
    decision : Decision
        Of the check-up.
    size : int
        Side of the pictures that it takes.
    novelty : Novelty or None
        By which it refuses.
    limits : Limits or None
        Of what it can use.
    rates : mapping
        By label how often it misses and how often it is mistaken, where that is known.
    """

    what: str
    line: float
    margin: float
    cut_out: bool
    grey: bool
    side: int
    checkup: str
    decision: Decision
    size: int
    novelty: Novelty | None
    limits: Limits | None
    rates: Mapping[str, tuple[ErrorRate, ErrorRate]]

    @classmethod
    def from_cards(
        cls, composed: Mapping[str, Any], found: Decision, asked: Mapping[str, Any], novelty: Novelty | None, size: int
    ) -> CellQuestion:
        """Read what a composed version's card says (its entry `composed`), and the card of the check-up asked."""
        return cls(
            what=composed["label"],
            line=found.count_lines[found.labels.index(composed["label"])],
            margin=float(composed["margin"]),
            cut_out=bool(composed["cut_out"]),
            grey=bool(composed["grey"]),
            side=int(composed["side"]),
            checkup=composed["ask"]["called"],
            decision=Decision.from_card(asked),
            size=size,
            novelty=novelty,
            limits=Limits.from_json(asked.get("quality")),
            rates=read_rates(asked),
        )


def read_rates(card: Mapping[str, Any]) -> dict[str, tuple[ErrorRate, ErrorRate]]:
    """Read from a card how often flags of each label miss, and how often they are mistaken.

    Of labels whose figures were measured at another line than that by which they are flagged nothing is read.
    """
    found, decision = {}, Decision.from_card(card)
    for row in card.get("per_label") or ():
        point, line = row["operating_point"], decision.line(row["label"])
        if line is None or point.get("threshold") is None or abs(float(point["threshold"]) - line) > _SAME_LINE:
            continue
        figures = [point.get(n) or row.get(n) or {} for n in ("sensitivity", "specificity")]
        if any(f.get("value") is None for f in figures):
            continue
        counts = [(point.get("counts") or {}).get(side) or {} for side in ("with", "without")]
        misses, mistakes = (
            ErrorRate.from_figure(f, c.get("n"), c.get("groups")) for f, c in zip(figures, counts, strict=True)
        )
        found[row["label"]] = misses, mistakes
    return found


def ask_cells(
    full: np.ndarray, boxes: Sequence[FoundBox], width: int, height: int, question: CellQuestion, look: Look
) -> AskedCells:
    """Ask about each thing that was found on a picture.

    Parameters
    ----------
    full : np.ndarray
        uint8 (S, S, 3): the picture as `imaging.decode` fits it to `full_side`.
    boxes : sequence of FoundBox
        What was found, in pixels of the picture as given.
    width, height : int
        Of the picture as given.
    question : CellQuestion
        What is asked.
    look : Look
        Runs the network of the check-up.
    """
    things = [b for b in boxes if b.label == question.what and b.score >= question.line]
    found = len(things)
    if found > MOST_CELLS:
        chosen = np.sort(np.random.default_rng(found).choice(found, MOST_CELLS, replace=False))
        things = [things[i] for i in chosen]
    corners = np.array([[b.x, b.y, b.x + b.width, b.y + b.height] for b in things], np.float32).reshape(-1, 4)
    places = fit_boxes(corners, width, height, len(full))
    frame = fitted_frame(width, height, len(full))
    decision = question.decision
    batch = np.zeros((min(BATCH, max(len(things), 1)), question.size, question.size, 3), np.uint8)
    cells: list[AskedCell] = []
    sums = np.zeros(len(decision.labels))
    flags = np.zeros(len(decision.labels), int)
    unusual = 0
    for start in range(0, len(things), len(batch)):
        some = things[start : start + len(batch)]
        faults = [_crop_into(batch[i], full, places[start + i], frame, question) for i in range(len(some))]
        logits, shared = look(batch[: len(some)])
        p = probabilities(logits.astype(np.float64), decision.task)
        novelty = question.novelty
        far = np.zeros(len(some)) if novelty is None or shared is None else novelty.score(shared)
        poor = np.zeros(len(some), bool) if novelty is None or shared is None else novelty.too_poor(shared)
        if novelty is not None and shared is not None:
            unusual += int((~novelty.are_usual(shared)).sum())
        for box, own, fault, distance, hidden in zip(some, p, faults, far, poor, strict=True):
            if fault is None and hidden and distance <= 1:
                fault = Why(code=CODE, text=SENTENCE)
            foreign = Why(code="foreign", text="") if distance > 1 else None
            said = decision.decide(own, refused=foreign, unusable=fault)
            if said.prediction:
                sums += own
                flags += decision.rule.flags(own)
            shown = {n: float(v) for n, v in zip(decision.labels, own, strict=True)}
            cells.append(AskedCell(box=box, state=said.state, label=said.prediction, probabilities=shown))
    n = sum(bool(c.label) for c in cells)
    sought = decision.rule.sought & decision.rule.announced
    return AskedCells(
        what=question.what,
        found=found,
        checkup=question.checkup,
        cells=tuple(cells),
        labels=decision.labels,
        mean=sums / max(n, 1),
        unusual=unusual,
        estimates=tuple(
            Estimate.of(name, int(flags[k]), n, question.rates.get(name))
            for k, name in enumerate(decision.labels)
            if sought[k]
        ),
    )


def _crop_into(
    out: np.ndarray, full: np.ndarray, place: np.ndarray, frame: tuple[int, int, int, int], question: CellQuestion
) -> Why | None:
    """Crop one thing with its margin, within the picture, and fit it; say why it cannot be used, if so."""
    image = cut_crop(
        full,
        place,
        frame,
        margin=question.margin,
        cut_out=question.cut_out,
        grey=question.grey,
        side=question.side,
    )
    picture = whole_picture(image)
    out[:] = picture.fit(len(out))
    return judge_quality(picture.measure(), question.limits)


def cut_crop(
    full: np.ndarray,
    place: Sequence[float] | np.ndarray,
    frame: tuple[int, int, int, int],
    *,
    margin: float,
    cut_out: bool = False,
    grey: bool = False,
    side: int | None = None,
) -> Image.Image:
    """Cut a box with its margin out of a picture, as the pictures of a check-up were cut that learned from crops.

    Parameters
    ----------
    full : np.ndarray
        uint8 (S, S, 3): the picture as `imaging.decode` fits it to `full_side`.
    place : sequence of float
        x0, y0, x1, y1, in its pixels.
    frame : tuple of int
        Left, top, width and height of the picture in it.
    margin, cut_out, grey, side
        As CellQuestion has them; None for any side.
    """
    x0, y0, x1, y1 = (float(v) for v in place)
    bounds = bound_crop((x0, y0, x1, y1), margin, frame)
    left, top, right, bottom = bounds or (frame[0], frame[1], frame[0] + 1, frame[1] + 1)
    crop = full[top:bottom, left:right]
    if cut_out:
        y, x = np.ogrid[top:bottom, left:right]
        half = max((0.5 + margin) * (x1 - x0), 0.5), max((0.5 + margin) * (y1 - y0), 0.5)
        across = ((x + 0.5 - (x0 + x1) / 2) / half[0]) ** 2 + ((y + 0.5 - (y0 + y1) / 2) / half[1]) ** 2
        crop = crop * (across <= 1)[..., None].astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(crop))
    if grey:
        image = image.convert("L")
    if side is not None and max(image.size) > side:
        w, h = (max(1, round(length * side / max(image.size))) for length in image.size)
        image = image.resize((w, h), Image.Resampling.BICUBIC)
    return image
