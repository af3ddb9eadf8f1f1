"""Fit a detector: heads out of fold and one to ship, calibrated, with lines and probabilities of whole pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.data.split import Plan, assign_folds
from medloupe.embed.backbone import Backbone
from medloupe.errors import FinetuneError, ParityError
from medloupe.metrics.matching import Detections, Truths, match_label
from medloupe.model.boxes import Detector, unfit_boxes
from medloupe.settings import threads
from medloupe.training.detect.activations import CachedMaps
from medloupe.training.detect.boxed import BoxedSet
from medloupe.training.detect.calibrate import (
    HALF,
    BoxLines,
    WholePicture,
    calibrate_scores,
    draw_box_lines,
    fit_score_calibration,
    fit_whole_picture,
)
from medloupe.training.detect.tiles import TiledPictures
from medloupe.training.options import Options
from medloupe.utils.progress import Progress

if TYPE_CHECKING:
    from medloupe.training.detect.loop import HeadRecipe

FOLDS = 3  # networks that find boxes out of fold, where a test split or their own judging needs it
PARITY = 1e-3  # of a score, between the trained head and its graph
CHECKED = 8  # pictures on which these are held against each other


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedDetector:
    """What came of training.

    Attributes
    ----------
    detector : Detector
        To ship.
    whole : WholePicture
        How whole pictures are judged.
    lines : BoxLines
        From which scores on boxes are marked and counted.
    rows : np.ndarray
        int (n,), the pictures that it is judged on.
    detections : list of Detections
        Of these, with calibrated scores, found by heads that had not seen them.
    probabilities : np.ndarray
        float32 (n, K), of these whole pictures.
    shipped_lines : bool
        Whether the lines were drawn on other pictures than these.
    """

    detector: Detector
    whole: WholePicture
    lines: BoxLines
    rows: np.ndarray
    detections: list[Detections]
    probabilities: np.ndarray
    shipped_lines: bool


def require_torch() -> Any:
    """Import PyTorch; raise FinetuneError, saying how to install it, where it is missing."""
    try:
        import torch
    except ImportError as e:
        raise FinetuneError(
            "Finding places in pictures needs PyTorch to learn from boxes, which is not installed.",
            "Run: pip install 'medloupe[finetune]'",
        ) from e
    return torch


@dataclass(frozen=True, kw_only=True)
class DetectorFitting:
    """Heads out of fold and one to ship, calibrated, and what they find on the pictures that judge.

    Attributes
    ----------
    boxed : BoxedSet
        All pictures with their boxes.
    cached : CachedMaps
        Of the pictures `used`.
    planned : Plan
        Which are learned from, and which judge.
    used : np.ndarray
        int (n,), rows of `boxed` in the order in which their maps are cached.
    sized : Backbone
        The network at the size at which boxes are found.
    names : sequence of str
        Of the maps in its graph.
    labels : int
        K.
    stride : int
        Of the map on which boxes are found.
    options : Options
        Of the training.
    tiled : TiledPictures, optional
        The tiles that are learned from, in the order in which their maps are cached, in place of the pictures `used`.
    """

    boxed: BoxedSet
    cached: CachedMaps
    planned: Plan
    used: np.ndarray
    sized: Backbone
    names: Sequence[str]
    labels: int
    stride: int
    options: Options
    tiled: TiledPictures | None = None

    @cached_property
    def most(self) -> int:
        """How many boxes the detector gives a picture, or a tile, at most."""
        return self.boxed.most if self.tiled is None else self.tiled.most

    def run(self, progress: Progress) -> FittedDetector:
        """Train heads out of fold and one to ship, calibrate them, and find boxes on the pictures that judge.

        progress: called with steps done, of all.

        Raises
        ------
        ParityError
            The head and its graph find other boxes.
        """
        require_torch().set_num_threads(threads())
        fitting = self.planned.fitting
        rows, groups = self._cached_rows(fitting), self.planned.groups[fitting]
        has = np.stack([self._has(i) for i in fitting])
        count = min(FOLDS, len(np.unique(groups)))
        folds = assign_folds(has, groups, count, self.options.seed)
        parts = [(self._cached_rows(fitting[folds != f]), fitting[folds == f]) for f in range(count)]
        recipe = self._choose_recipe(rows, sum(len(learned) for learned, _ in parts) + len(rows))
        total = count + 1
        raw: dict[int, Detections] = {}
        for f, (learned, held) in enumerate(parts):
            head = self._train(learned, recipe, f, progress, f, total)
            raw |= dict(zip(held.tolist(), self._find(head, held), strict=True))
        head = self._train(rows, recipe, count, progress, count, total)
        truths = [self._truth(i) for i in fitting]
        loose = [raw[int(i)] for i in fitting]
        calibration = fit_score_calibration(loose, truths, self.labels)
        held_out = [_calibrated(d, calibration) for d in loose]
        matches = [match_label(held_out, truths, k, thresholds=HALF) for k in range(self.labels)]
        lines = draw_box_lines(matches, self.options.false_marks)
        whole = fit_whole_picture(
            self.cached.embeddings[rows if self.tiled is None else rows[:0]],
            _as_rows(held_out, self._most_joined(held_out)),
            self.boxed_targets[fitting],
            groups,
            self.sized.card.levels,
            self.options.seed,
        )
        detector = self._export(head, calibration, whole, rows[:CHECKED])
        if self.planned.test is None:
            return FittedDetector(
                detector=detector,
                whole=whole,
                lines=lines,
                rows=fitting,
                detections=held_out,
                probabilities=whole.out_of_fold,
                shipped_lines=False,
            )
        judged = [_calibrated(d, calibration) for d in self._find(head, self.planned.test)]
        logits = detector.logits(_as_rows(judged, self._most_joined(judged)))
        if self.tiled is None:
            logits = whole.head.logits(self.cached.embeddings[self._cached_rows(self.planned.test)]) + logits
        return FittedDetector(
            detector=detector,
            whole=whole,
            lines=lines,
            rows=self.planned.test,
            detections=judged,
            probabilities=(1 / (1 + np.exp(-logits))).astype(np.float32),
            shipped_lines=True,
        )

    @property
    def boxed_targets(self) -> np.ndarray:
        """Which labels are on which pictures, float32 (N, K): 1, 0, or NaN where boxes are not known."""
        found = np.stack([self._has(i) for i in range(len(self.boxed.pictures))]).astype(np.float32)
        found[~self.boxed.known] = np.nan
        return found

    def _has(self, row: int) -> np.ndarray:
        return np.isin(np.arange(self.labels), self.boxed.pictures[row].labels).astype(np.float32)

    def _truth(self, row: int) -> Truths:
        picture = self.boxed.pictures[row]
        return Truths(boxes=picture.boxes, labels=picture.labels)

    def _most_joined(self, found: Sequence[Detections]) -> int:
        """How many boxes there are at most on a picture, whose tiles are joined."""
        return self.most if self.tiled is None else max(1, *(len(d.scores) for d in found))

    def _cached_rows(self, rows: np.ndarray) -> np.ndarray:
        """Give the maps to learn from of some pictures: of these, or of their tiles."""
        if self.tiled is not None:
            return self.tiled.tiles_of(rows, taught=True)
        at = {int(row): i for i, row in enumerate(self.used)}
        return np.array([at[int(r)] for r in rows], int)

    def _train(self, rows: np.ndarray, recipe: HeadRecipe, number: int, tell: Progress, done: int, total: int) -> Any:
        from medloupe.training.detect.loop import train_head

        def progress(step: int, steps: int) -> None:
            tell(done * steps + step, total * steps)

        return train_head(self.cached, rows, self.labels, recipe, seed=self.options.seed + number, progress=progress)

    def _choose_recipe(self, rows: np.ndarray, seen: int) -> HeadRecipe:
        """Choose how long to train, within the minutes that were given. seen: pictures of one pass of all trainings.

        Raises
        ------
        FinetuneError
            Where even the least takes longer.
        """
        from medloupe.training.detect.loop import FEWEST_EPOCHS, TRIAL, HeadRecipe, choose_recipe, train_head

        usual = choose_recipe(len(rows), self.stride)
        if self.options.minutes is None:
            return usual
        some = rows[:TRIAL]
        began = time.perf_counter()
        train_head(self.cached, some, self.labels, HeadRecipe(epochs=1, stride=self.stride), seed=self.options.seed)
        each = (time.perf_counter() - began) / len(some)
        epochs = int(60 * self.options.minutes / (each * seen))
        if epochs < FEWEST_EPOCHS:
            least = each * seen * FEWEST_EPOCHS / 60
            raise FinetuneError(
                f"Learning from these boxes takes {least:.1f} minutes at least here; {self.options.minutes:g} were"
                " given.",
                f"Give --minutes {math.ceil(least)}, or leave it out.",
            )
        return replace(usual, epochs=min(usual.epochs, epochs))

    def _find(self, head: Any, pictures: np.ndarray) -> list[Detections]:
        """Find boxes, in pixels of the pictures as given; scores as the head says them."""
        from medloupe.training.detect.loop import find_boxes

        if self.tiled is not None:
            return self.tiled.join(pictures, lambda tiles: find_boxes(head, self.cached, tiles, self.most))
        rows = self._cached_rows(pictures)
        found = find_boxes(head, self.cached, rows, self.most)
        return [
            Detections(
                boxes=unfit_boxes(
                    f.boxes, int(self.cached.sizes[i, 0]), int(self.cached.sizes[i, 1]), self.cached.size
                ),
                scores=f.scores,
                labels=f.labels,
            )
            for i, f in zip(rows, found, strict=True)
        ]

    def _export(self, head: Any, calibration: np.ndarray, whole: WholePicture, rows: np.ndarray) -> Detector:
        """Write the head as a graph; raise ParityError where the two find other boxes on some pictures."""
        from medloupe.graphs.session import open_session, run
        from medloupe.modelfile.boxes import box_gap
        from medloupe.training.detect.export import build_detector_graph, round_weights
        from medloupe.training.detect.loop import QUALITY_SHARE, find_boxes

        round_weights(head)
        channels = [m.shape[-1] for m in self.cached.maps]
        graph = build_detector_graph(
            head, self.names, channels, self.cached.size, self.most, calibration, QUALITY_SHARE
        )
        detector = Detector(network=graph.SerializeToString(deterministic=True), most=self.most, gain=whole.gain)
        feed = {
            name: np.ascontiguousarray(level[0][rows].transpose(0, 3, 1, 2), np.float32)
            for name, level in zip(self.names, self.cached.maps, strict=True)
        }
        (told,) = run(open_session(detector.network), ["boxes"], feed)
        found = [
            Detections(boxes=f.boxes, scores=calibrate_scores(f.scores, f.labels, calibration), labels=f.labels)
            for f in find_boxes(head, self.cached, rows, self.most)
        ]
        if (gap := box_gap(told, _as_rows(found, self.most))) > PARITY:
            raise ParityError(
                f"The detector and its graph differ by {gap:.2g} in a box's score; at most {PARITY:g} is allowed.",
                "Please report this with the versions of numpy, torch and onnxruntime (pip list).",
            )
        return detector


def _calibrated(found: Detections, calibration: np.ndarray) -> Detections:
    scores = calibrate_scores(found.scores, found.labels, calibration)
    order = np.argsort(-scores, kind="stable")
    return Detections(boxes=found.boxes[order], scores=scores[order], labels=found.labels[order])


def _as_rows(found: Sequence[Detections], most: int) -> np.ndarray:
    """Put boxes into rows as a model file gives them: float32 (N, most, 6)."""
    out = np.zeros((len(found), most, 6), np.float32)
    for i, d in enumerate(found):
        n = min(most, len(d.scores))
        out[i, :n, :4], out[i, :n, 4], out[i, :n, 5] = d.boxes[:n], d.scores[:n], d.labels[:n]
    return out
