"""Turn a data set with boxes into what a detector learns from: pictures, boxes, input size, and how it is judged."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medloupe.data.records import Dataset
from medloupe.data.split import FEWEST_CASES, SMALLEST_TEST, Plan
from medloupe.embed.maps import SIZES, STRIDES
from medloupe.errors import DataError
from medloupe.training.detect.activations import BoxedPicture
from medloupe.training.detect.network import COARSE, FINE
from medloupe.training.tune.views import Symmetry

LEAST_SEEN_SIDE = 10  # pixels that nearly all boxes shall measure once fitted
COARSE_SEEN_SIDE = 18  # the same, for them to be found on a map of stride 8
MOST_COARSE, ENLARGED = 320, 1.3  # side of the fitted picture up to which that is done, and times the picture's own
SMALL = 0.1  # share of the boxes of a label that may be smaller
FEWEST_OF_LABEL = 10  # boxes by which the size of a label is told
MOST_BOXES = (100, 1000)  # the fewest and the most that a detector gives a picture
STEP = STRIDES[-1]
SIDES = frozenset({"left", "right", "l", "r", "gauche", "droite", "links", "rechts"})
FEWEST_ANYWHERE = 100  # boxes, below which it is not told whether they lie anywhere
OFF_MIDDLE, SPREAD_LEAST, LONGER = 0.05, 0.22, 0.1
"""Boxes lie anywhere: their mean this near the middle, spread at least so much (evenly it is 0.29), and no longer one
way than the other by this logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxedSet:
    """Pictures to learn from, by the rows of a data set.

    Attributes
    ----------
    pictures : tuple of BoxedPicture
        Of all records.
    known : np.ndarray
        bool (N,): whether all boxes of the picture are known, none included.
    sizes : np.ndarray
        int (N, 2): width and height of the pictures as given.
    notes : tuple of str
        What was left out, one sentence each.
    """

    pictures: tuple[BoxedPicture, ...]
    known: np.ndarray
    sizes: np.ndarray
    notes: tuple[str, ...]

    @property
    def fitted_sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Of every box the side of the square of its area, as a share of the picture's longer side; and its label."""
        sides, labels = [], []
        for picture, size in zip(self.pictures, self.sizes, strict=True):
            area = (picture.boxes[:, 2:] - picture.boxes[:, :2]).prod(1)
            sides.append(np.sqrt(area) / max(1, *size))
            labels.append(picture.labels)
        return np.concatenate([*sides, np.zeros(0)]), np.concatenate([*labels, np.zeros(0, np.int64)])

    @property
    def sides_in_pixels(self) -> np.ndarray:
        """Of every box the side of the square of its area, in pixels of the picture as given."""
        areas = [(p.boxes[:, 2:] - p.boxes[:, :2]).prod(1) for p in self.pictures]
        return np.sqrt(np.concatenate([*areas, np.zeros(0)]))

    @property
    def most(self) -> int:
        """How many boxes a detector gives a picture at most: twice as many as are on the fullest."""
        full = max((len(p.labels) for p in self.pictures), default=0)
        return int(np.clip(2 * full, *MOST_BOXES))


def collect_boxes(data: Dataset, sizes: np.ndarray) -> BoxedSet:
    """Collect the boxes of a data set, cut off at the edges of their pictures.

    Parameters
    ----------
    data : Dataset
        Of the task detection.
    sizes : np.ndarray
        int (N, 2): width and height of the pictures as given.
    """
    position = {name: k for k, name in enumerate(data.labels)}
    pictures, empty, outside = [], 0, 0
    for record, (width, height) in zip(data.records, sizes, strict=True):
        corners = np.array([[b.x, b.y, b.x + b.width, b.y + b.height] for b in record.boxes], np.float64).reshape(-1, 4)
        labels = np.array([position[b.label] for b in record.boxes], np.int64)
        flat = (corners[:, 2:] <= corners[:, :2]).any(1)
        cut = np.clip(corners, 0, [width, height, width, height])
        beyond = (cut[:, 2:] <= cut[:, :2]).any(1) & ~flat
        empty, outside = empty + int(flat.sum()), outside + int(beyond.sum())
        kept = ~(flat | beyond)
        pictures.append(BoxedPicture(picture=record.picture, boxes=cut[kept].astype(np.float32), labels=labels[kept]))
    notes = []
    if empty:
        notes.append(f"{empty:,} boxes have no width or no height and were left out.")
    if outside:
        notes.append(f"{outside:,} boxes lie outside their picture and were left out.")
    known = np.array([bool(r.boxes) or bool(r.labels) for r in data.records], bool)
    if not known.all():
        notes.append(
            f"{int((~known).sum()):,} pictures have no box, and it is not stated that nothing is on them; they were"
            " left out."
        )
    return BoxedSet(pictures=tuple(pictures), known=known, sizes=np.asarray(sizes, np.int64), notes=tuple(notes))


def choose_input_size(boxed: BoxedSet, names: Sequence[str]) -> tuple[int, int, str]:
    """Choose the side of the fitted picture, a multiple of 32, and the stride of the map on which boxes are found.

    Where nearly all boxes of each label measure COARSE_SEEN_SIDE at a moderate size, boxes are found at stride 8, where
    a step of training costs about a third; pictures are enlarged a little for that. Else they are found at stride 4,
    and pictures are not made larger than they are: that would show nothing more.

    Returns
    -------
    tuple of (int, int, str)
        The side in pixels, the stride, and a sentence why.
    """
    share, smallest = find_smallest(*boxed.fitted_sides, names)
    least = min(share, 1.0)
    wanted = LEAST_SEEN_SIDE / max(least, 1e-6)
    given = float(np.median(boxed.sizes.max(1))) if len(boxed.sizes) else SIZES[0]
    size, stride = int(np.clip(math.ceil(min(wanted, given) / STEP) * STEP, *SIZES)), FINE
    coarse = max(SIZES[0], math.ceil(COARSE_SEEN_SIDE / max(least, 1e-6) / STEP) * STEP)
    if coarse <= max(SIZES[0], min(MOST_COARSE, ENLARGED * given)):
        size, stride = coarse, COARSE
    seen = least * size
    small = "" if seen >= 0.9 * LEAST_SEEN_SIDE or not smallest else " That is little; small ones may be missed."
    why = f"so that nine in ten boxes of {smallest} measure {seen:.0f} pixels or more." if smallest else "the smallest."
    return size, stride, f"Pictures are fitted to {size} × {size} pixels, {why}{small}"


def find_smallest(sides: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> tuple[float, str]:
    """Find the label with the smallest boxes: the side that nine in ten of them have, and its name; inf and "" of none.

    sides, labels: of all boxes.
    """
    least, smallest = math.inf, ""
    for k, name in enumerate(names):
        own = sides[labels == k]
        if len(own) and len(own) >= min(FEWEST_OF_LABEL, len(sides)) and np.quantile(own, SMALL) < least:
            least, smallest = float(np.quantile(own, SMALL)), name
    return least, smallest


def allow_views(boxed: BoxedSet, names: Sequence[str], probed: Symmetry) -> Symmetry:
    """Decide which changes of pictures leave their boxes true.

    A mirrored picture has its boxes mirrored, whatever it shows, unless a label says on which side it lies. Turned by
    quarters are pictures of which a probe cannot tell the way up, and those in which boxes lie anywhere and are as
    often wide as high, as on a blood smear, whatever marks of the microscope tell the way up.

    Parameters
    ----------
    boxed : BoxedSet
        The boxes.
    names : sequence of str
        Of the labels.
    probed : Symmetry
        What a probe on whole pictures found.
    """
    sided = any(SIDES.intersection(re.split(r"[^a-z]+", name.lower())) for name in names)
    turned = probed.turn or _lie_anywhere(boxed)
    return replace(probed, mirror=not sided, turn=turned and not sided)


def _lie_anywhere(boxed: BoxedSet) -> bool:
    """Tell whether boxes are spread over the pictures evenly, and are as often wide as high."""
    places, shapes = [], []
    for picture, size in zip(boxed.pictures, boxed.sizes, strict=True):
        sides = picture.boxes[:, 2:] - picture.boxes[:, :2]
        places.append((picture.boxes[:, :2] + picture.boxes[:, 2:]) / 2 / size)
        shapes.append(np.log(sides[:, 0] / sides[:, 1]))
    at, shape = np.concatenate([*places, np.zeros((0, 2))]), np.concatenate([*shapes, np.zeros(0)])
    if len(at) < FEWEST_ANYWHERE:
        return False
    even = np.abs(at.mean(0) - 0.5).max() <= OFF_MIDDLE and at.std(0).min() >= SPREAD_LEAST
    return bool(even and abs(shape.mean()) <= LONGER)


def word_views(allowed: Symmetry) -> str:
    """Say in a sentence what views the training saw."""
    made = [*(["mirrored"] if allowed.mirror else []), *(["turned by quarters"] if allowed.turn else [])]
    return (
        f"Training saw views of each picture that were {''.join(f'{m}, ' for m in made)}moved, scaled and changed in"
        " light."
    )


def plan_boxes(data: Dataset, groups: np.ndarray, known: np.ndarray) -> Plan:
    """Keep the official test split where it can judge, and the groups whole; as `data.split.plan_split` does.

    Parameters
    ----------
    data : Dataset
        The data set.
    groups : np.ndarray
        int (N,), equal for records that must stay together.
    known : np.ndarray
        bool (N,): whether all boxes are known; the others take no part.

    Raises
    ------
    DataError
        Where there is too little to judge by.
    """
    is_test = np.array([r.split == "test" for r in data.records], bool) & known
    leaks = known & ~is_test & np.isin(groups, groups[is_test])
    notes = []
    if is_test.any() and (why := _why_unfit(data, groups, is_test, known & ~is_test & ~leaks)):
        notes.append(f"The test split that the data brings cannot judge: {why}. Cross-validation is used instead.")
        is_test[:] = leaks[:] = False
    fitting = np.flatnonzero(known & ~is_test & ~leaks)
    if len(np.unique(groups[fitting])) < 2 or not any(data.records[i].boxes for i in fitting):
        raise DataError(
            f"{data.root} has too few pictures with boxes that are not copies of each other: one cannot both teach and"
            " judge.",
            "Bring at least ten; thirty give a first impression.",
        )
    return Plan(
        groups=groups,
        fitting=fitting,
        test=np.flatnonzero(is_test) if is_test.any() else None,
        leaking=np.flatnonzero(leaks),
        notes=tuple(notes),
    )


def _why_unfit(data: Dataset, groups: np.ndarray, is_test: np.ndarray, is_fitting: np.ndarray) -> str:
    """Say why a test split cannot carry the headline; "" where it can."""
    n = len(np.unique(groups[is_test]))
    if n < SMALLEST_TEST:
        return f"it holds only {n} independent {'case' if n == 1 else 'cases'}"
    has = np.array([[name in {b.label for b in r.boxes} for name in data.labels] for r in data.records], bool)
    for rows, side in ((is_test, "it"), (is_fitting, "the rest")):
        for k, name in enumerate(data.labels):
            wanted = min(FEWEST_CASES, len(np.unique(groups[has[:, k]])) // 2)
            have = len(np.unique(groups[rows & has[:, k]]))
            if have < max(1, wanted):
                return f"{side} holds {have or 'no'} {'case' if have == 1 else 'cases'} of {name}"
    return ""
