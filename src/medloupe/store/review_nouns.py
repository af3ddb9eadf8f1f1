"""Define the nouns of the review queue: a case, what a reader said, and what readers agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medloupe.errors import StoreError, did_you_mean
from medloupe.store.dataset_nouns import ECG_TASKS, SEVERAL_TASKS
from medloupe.store.review_tables import ReviewCaseRow, ReviewOpinionRow

OPEN, SETTLED, DISCARDED, WITHDRAWN = STATES = ("open", "settled", "discarded", "withdrawn")
BASES = ("consent", "house_rule")
"""Why a picture may be kept: the person agreed, or a rule of the house allows it."""
LABEL, DISCARD = VERDICTS = ("label", "discard")
SAME_PLACE = 0.5  # overlap (IoU) from which two readers mean the same box
MOST_BOXES = 400
LONGEST_PATIENT = 100  # letters of whose picture it is


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewOpinion:
    """What one reader said; the fields are those of review_tables.ReviewOpinionRow."""

    reader: str
    at: str
    verdict: str
    labels: tuple[str, ...]
    boxes: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewCase:
    """A case with all opinions; the other fields are those of review_tables.ReviewCaseRow."""

    id: str
    prediction_id: str
    model: str
    version: int | None
    task: str
    labels: tuple[str, ...]
    answer: Mapping[str, Any]
    said: Mapping[str, Any] | None
    digest: str
    width: int
    height: int
    basis: str
    basis_by: str
    basis_at: str
    created: str
    state: str
    wanted: int
    outcome: Mapping[str, Any] | None
    patient: str | None
    dataset: str | None
    item: str | None
    why: str
    opinions: tuple[ReviewOpinion, ...] = ()

    @property
    def disputed(self) -> bool:
        """Whether it has all the readers that were wanted, and they do not agree."""
        return self.state == OPEN and len(self.opinions) >= self.wanted

    @property
    def ecg(self) -> bool:
        """Whether it is about an ECG, so that `width` are samples and `height` leads."""
        return self.task in ECG_TASKS

    @property
    def several(self) -> bool:
        """Whether any number of its labels may be right, or none."""
        return self.task in SEVERAL_TASKS

    def read_by(self, reader: str) -> bool:
        """Whether somebody has said something of it."""
        return any(opinion.reader == reader for opinion in self.opinions)


def check_opinion(
    case: ReviewCase, verdict: str, labels: Sequence[str], boxes: Sequence[Mapping[str, Any]] | None
) -> None:
    """Check what a reader says.

    Raises
    ------
    StoreError
        It makes no sense for this case.
    """
    if verdict not in VERDICTS:
        raise StoreError(f"There is no verdict {verdict[:40]!r}.", f"There are {', '.join(VERDICTS)}.")
    for name in (*labels, *(str(box.get("label")) for box in boxes or ())):
        if name not in case.labels:
            raise StoreError(
                f"{case.model} has no label {name[:60]!r}; it has: {', '.join(case.labels[:20])}.",
                did_you_mean(name, case.labels),
            )
    if verdict == LABEL and case.task in ("multiclass", "ecg") and len(labels) != 1:
        thing = "An ECG" if case.ecg else "A picture"
        raise StoreError(f"{thing} has one of these classes.", "Choose one, or discard the case.")
    if case.several and len(set(labels)) != len(labels):
        raise StoreError("A label is named twice.", "Name each once.")
    if verdict == LABEL and case.task == "detection" and boxes is None:
        raise StoreError("Boxes are needed.", "Send them, or an empty list where there is nothing.")
    if len(boxes or ()) > MOST_BOXES:
        raise StoreError(f"{len(boxes or ())} boxes are too many.", f"Draw at most {MOST_BOXES}.")
    for box in boxes or ():
        x, y, width, height = (float(box.get(name, -1)) for name in ("x", "y", "width", "height"))
        inside = x >= 0 and y >= 0 and x + width <= case.width + 1 and y + height <= case.height + 1
        if not (inside and width >= 1 and height >= 1):
            raise StoreError(
                f"The box {x:g}, {y:g}, {width:g} × {height:g} does not lie in the picture of {case.width} ×"
                f" {case.height} pixels.",
                "Give x, y, width and height in pixels of the upright picture.",
            )


def agree(a: ReviewOpinion, b: ReviewOpinion) -> bool:
    """Tell whether two readers say the same: the same labels, and boxes that lie in the same places."""
    if a.verdict != b.verdict:
        return False
    if a.verdict == DISCARD:
        return True
    if a.boxes is None and b.boxes is None:
        return set(a.labels) == set(b.labels)
    mine, theirs = list(a.boxes or ()), list(b.boxes or ())
    if len(mine) != len(theirs):
        return False
    for box in mine:
        twin = next((t for t in theirs if t["label"] == box["label"] and _overlap(t, box) >= SAME_PLACE), None)
        if twin is None:
            return False
        theirs.remove(twin)
    return True


def find_agreed(opinions: Sequence[ReviewOpinion], wanted: int) -> ReviewOpinion | None:
    """Find what enough readers say: all that were wanted, or where these differ two, and more than say anything else.

    The first that said it stands for it.
    """
    if len(opinions) < wanted:
        return None
    sizes = [sum(agree(one, other) for other in opinions) for one in opinions]
    most = max(sizes)
    if most == len(opinions) or (most >= 2 and _is_alone(opinions, sizes, most)):
        return opinions[sizes.index(most)]
    return None


def _is_alone(opinions: Sequence[ReviewOpinion], sizes: Sequence[int], most: int) -> bool:
    """Tell whether only one group of opinions has that size."""
    first = opinions[sizes.index(most)]
    return all(agree(first, one) for one, size in zip(opinions, sizes, strict=True) if size == most)


def _overlap(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    """Compute the intersection over union of two boxes."""
    wide = min(a["x"] + a["width"], b["x"] + b["width"]) - max(a["x"], b["x"])
    high = min(a["y"] + a["height"], b["y"] + b["height"]) - max(a["y"], b["y"])
    shared = max(wide, 0) * max(high, 0)
    return shared / (a["width"] * a["height"] + b["width"] * b["height"] - shared)


def read_case_row(row: ReviewCaseRow, opinions: Sequence[ReviewOpinionRow]) -> ReviewCase:
    """Read a row of the table, with what was said of it in the order of time."""
    fields = {
        name: getattr(row, name) for name in ReviewCase.__dataclass_fields__ if name not in ("labels", "opinions")
    }
    return ReviewCase(**fields, labels=tuple(row.labels), opinions=tuple(map(read_opinion_row, opinions)))


def read_opinion_row(row: ReviewOpinionRow) -> ReviewOpinion:
    """Read a row of the table."""
    boxes = None if row.boxes is None else tuple(row.boxes)
    return ReviewOpinion(reader=row.reader, at=row.at, verdict=row.verdict, labels=tuple(row.labels), boxes=boxes)
