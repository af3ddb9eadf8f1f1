"""Keep the boxes that a detector's figures come from, picture by picture, and the true ones.

None is by a head that had seen the picture. They lie beside its report, so that another version can be held against it.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.metrics.average_precision import average_precisions
from medloupe.metrics.evidence import FILE, Evidence, join_groups
from medloupe.metrics.matching import EVERY, Detections, Truths, match_label
from medloupe.metrics.weighted import bootstrap_weights

TASK = "detection"
SAME = 0.5  # pixels by which the same true box may differ
_HALF = np.array([0.5])  # IoU


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxEvidence:
    """What a detector's figures come from, for N pictures.

    Attributes
    ----------
    labels
        Names, by position.
    digests
        uint64 (N,), as Evidence has them.
    groups
        int64 (N,), pictures of one patient have one.
    detections, truths
        Of each picture, in pixels of the picture as given.
    erased
        As Evidence has it.
    """

    labels: tuple[str, ...]
    digests: np.ndarray
    groups: np.ndarray
    detections: Sequence[Detections]
    truths: Sequence[Truths]
    erased: int = 0

    @property
    def question(self) -> str:
        """What the boxes answer, in words."""
        return f"{TASK} {', '.join(self.labels)}"

    def take(self, rows: np.ndarray, groups: np.ndarray, labels: Sequence[str]) -> BoxEvidence:
        """Take some pictures, in that order, with other groups and the labels in another order."""
        place = np.array([list(labels).index(name) for name in self.labels])
        return replace(
            self,
            labels=tuple(labels),
            digests=self.digests[rows],
            groups=groups,
            detections=[replace(self.detections[i], labels=place[self.detections[i].labels]) for i in rows],
            truths=[replace(self.truths[i], labels=place[self.truths[i].labels]) for i in rows],
        )

    def erase(self, digests: np.ndarray) -> BoxEvidence:
        """Leave out pictures for good, by their shortened digests uint64 (M,), and count them."""
        kept = np.flatnonzero(~np.isin(self.digests, digests))
        gone = len(self.digests) - len(kept)
        return replace(self.take(kept, self.groups[kept], self.labels), erased=self.erased + gone)

    def as_bytes(self) -> bytes:
        """Write the content of judged.npz."""
        out = io.BytesIO()
        said, true = self.detections, self.truths
        erased: dict[str, Any] = {"erased": np.array(self.erased)} if self.erased else {}
        np.savez_compressed(
            out,
            **erased,
            labels=np.array(self.labels),
            task=np.array(TASK),
            digests=self.digests,
            groups=self.groups,
            boxes=_join([np.asarray(d.boxes, np.float32).reshape(-1, 4) for d in said], (0, 4)),
            scores=_join([np.asarray(d.scores, np.float32) for d in said], (0,)),
            box_labels=_join([np.asarray(d.labels, np.int32) for d in said], (0,)),
            box_ends=np.cumsum([len(d.labels) for d in said]).astype(np.int64),
            true_boxes=_join([np.asarray(t.boxes, np.float32).reshape(-1, 4) for t in true], (0, 4)),
            true_labels=_join([np.asarray(t.labels, np.int32) for t in true], (0,)),
            true_ends=np.cumsum([len(t.labels) for t in true]).astype(np.int64),
        )
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> BoxEvidence:
        """Read the content of judged.npz; nothing in it is executed.

        Raises
        ------
        ValueError
            It is damaged, or of no detector.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                parts = {name: stored[name] for name in stored.files}
        except (EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError) as e:
            raise ValueError(f"{FILE} is damaged: {e}") from e
        try:
            labels = tuple(str(name) for name in parts["labels"].tolist())
            n = len(parts["digests"])
            said = _split(parts, ("boxes", "scores", "box_labels"), "box_ends", n, len(labels))
            true = _split(parts, ("true_boxes", "true_labels"), "true_ends", n, len(labels))
            if str(parts["task"]) != TASK or parts["digests"].dtype != np.uint64 or parts["groups"].shape != (n,):
                raise ValueError("it is of no detector")
            return cls(
                labels=labels,
                digests=parts["digests"],
                groups=parts["groups"].astype(np.int64),
                detections=[Detections(*one) for one in said],
                truths=[Truths(*one) for one in true],
                erased=int(parts.get("erased", 0)),
            )
        except (KeyError, TypeError, IndexError, ValueError) as e:
            raise ValueError(f"{FILE} is damaged, or of no detector: {e}") from e


def read_judged(folder: Path) -> Evidence | BoxEvidence | None:
    """Read what a version was judged by; None where there is nothing that can be read."""
    try:
        data = (folder / FILE).read_bytes()
    except OSError:
        return None
    for kind in (Evidence, BoxEvidence):
        try:
            return kind.from_bytes(data)
        except ValueError:
            continue
    return None


def match_box_evidence(one: BoxEvidence, other: BoxEvidence) -> tuple[BoxEvidence, BoxEvidence] | None:
    """Cut both to the pictures that both judged with the same true boxes; None where they do not look for the same."""
    if set(one.labels) != set(other.labels):
        return None
    _, at, at_other = np.intersect1d(one.digests, other.digests, return_indices=True)
    other = other.take(np.arange(len(other.digests)), other.groups, one.labels)
    same = [i for i, (a, b) in enumerate(zip(at, at_other, strict=True)) if _alike(one.truths[a], other.truths[b])]
    at, at_other = at[same], at_other[same]
    groups = join_groups(one.groups[at], other.groups[at_other])
    return one.take(at, groups, one.labels), other.take(at_other, groups, one.labels)


def draw_precisions(one: BoxEvidence, other: BoxEvidence, draws: int, seed: int) -> np.ndarray:
    """Compute mAP50 of two pieces of evidence cut by `match_box_evidence`, by the same draws of groups: (2, 1 + B)."""
    return average_labels(draw_label_precisions(one, other, draws, seed))


def average_labels(drawn: np.ndarray) -> np.ndarray:
    """Average (2, K, 1 + B) over the labels that are defined: (2, 1 + B); NaN where none is."""
    known = np.isfinite(drawn)
    count = known.sum(1)
    return np.where(known, drawn, 0).sum(1) / np.where(count > 0, count, np.nan)


def draw_label_precisions(one: BoxEvidence, other: BoxEvidence, draws: int, seed: int) -> np.ndarray:
    """Compute the AP50 of each label as `draw_precisions` does: (2, K, 1 + B), NaN where a label has no true box."""
    matches = [
        [match_label(e.detections, e.truths, k, (EVERY,), None, _HALF) for k in range(len(e.labels))]
        for e in (one, other)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = [
            np.stack([[average_precisions(m, weights)[:, 0, 0] for m in own] for own in matches])
            for weights in bootstrap_weights(one.groups, seed, draws)
        ]
    return np.concatenate(parts, axis=2)


def _alike(one: Truths, other: Truths) -> bool:
    if len(one.labels) != len(other.labels):
        return False
    rows = []
    for t in (one, other):
        table = np.column_stack([np.asarray(t.labels, np.float64), np.asarray(t.boxes, np.float64).reshape(-1, 4)])
        rows.append(table[np.lexsort(np.round(table).T[::-1])])
    return bool(np.allclose(rows[0], rows[1], rtol=0, atol=SAME))


def _join(parts: Sequence[np.ndarray], empty: tuple[int, ...]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(empty, np.float32)


def _split(
    parts: dict[str, np.ndarray], names: Sequence[str], ends: str, n: int, labels: int
) -> list[tuple[np.ndarray, ...]]:
    """Split joined arrays by picture. Raises ValueError where they do not fit together."""
    whole = [parts[name] for name in names]
    at = parts[ends]
    if len(at) != n or any(len(x) != (at[-1] if n else 0) for x in whole) or (np.diff(at, prepend=0) < 0).any():
        raise ValueError("its parts do not fit together")
    if whole[0].shape[1:] != (4,) or not all(np.isfinite(x).all() for x in whole):
        raise ValueError("it holds boxes that are none")
    if len(whole[-1]) and (whole[-1].dtype.kind not in "iu" or whole[-1].min() < 0 or whole[-1].max() >= labels):
        raise ValueError("it holds labels that there are not")
    return list(zip(*(np.split(x, at[:-1]) for x in whole), strict=True)) if n else []
