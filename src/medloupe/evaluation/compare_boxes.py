"""Compare two detectors of the store on the pictures that both were judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.errors import StoreError
from medloupe.metrics.box_evidence import (
    BoxEvidence,
    average_labels,
    draw_label_precisions,
    match_box_evidence,
    read_judged,
)
from medloupe.metrics.detection_curves import detection_curves
from medloupe.metrics.gate import DRAWS, FEWEST_GROUPS, VersionDifference
from medloupe.store.models import Store
from medloupe.store.names import parse_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorComparison:
    """The average precision of two detectors on the same pictures.

    Attributes
    ----------
    runs
        Both, as NAME@VERSION.
    records, groups
        On how many pictures, of how many groups of patients and copies.
    map50
        Of the second (candidate) against the first (production), at an overlap of one half, with two-sided 95 % limits
        of the difference.
    per_label
        The same of each label that has true boxes.
    curves
        Of both, by label as metrics/detection_curves gives them.
    cards
        Of both.
    """

    runs: tuple[str, str]
    records: int
    groups: int
    map50: VersionDifference
    per_label: Mapping[str, VersionDifference]
    curves: tuple[Mapping[str, Any], Mapping[str, Any]]
    cards: tuple[Mapping[str, Any], Mapping[str, Any]]

    @property
    def words(self) -> str:
        """A sentence or two for a person."""
        d = self.map50
        sure = "more than chance explains" if d.low > 0 or d.high < 0 else "no more than chance explains"
        return (
            f"On the {self.records:,} pictures ({self.groups:,} groups of patients and copies) that both were judged"
            f" on, {self.runs[0]} has average precision {d.production:.3f} and {self.runs[1]} {d.candidate:.3f}:"
            f" {d.difference:+.3f} ({d.low:+.3f} to {d.high:+.3f}), {sure}."
        )

    def as_json(self) -> dict[str, Any]:
        """Give the line that `compare --json` prints."""
        d = self.map50
        return {
            "a": self.runs[0],
            "b": self.runs[1],
            "task": "detection",
            "n": self.records,
            "groups": self.groups,
            "map50": _as_json(d),
            "per_label": {name: _as_json(difference) for name, difference in self.per_label.items()},
            "words": self.words,
        }


def _as_json(d: VersionDifference) -> dict[str, float]:
    return {"a": d.production, "b": d.candidate, "difference": d.difference, "low": d.low, "high": d.high}


def is_detector(reference: str) -> bool:
    """Tell whether a run of the store is of a detector. Raises StoreError where there is no such run."""
    if reference.endswith(".onnx"):
        return False
    name, version = parse_reference(reference)
    return Store.open().get(name, version, report=False).card.get("task") == "detection"


def compare_detectors(a: str, b: str, *, draws: int = DRAWS, seed: int = 0) -> DetectorComparison:
    """Compare two detectors of the store; the same runs and seed give the same figures.

    Raises
    ------
    StoreError
        There is no such run, it keeps no boxes it was judged by, or the two cannot be compared.
    """
    store = Store.open()
    (one, first, card), (other, second, card_other) = (_read(store, reference) for reference in (a, b))
    if one == other:
        raise StoreError(f"{a} and {b} are the same run, {one}.", "Name two: NAME@1 NAME@2; `medloupe models list`.")
    both = match_box_evidence(first, second)
    if both is None:
        raise StoreError(
            f"{one} and {other} do not look for the same ({first.question}; {second.question}).",
            "Compare detectors with the same labels.",
        )
    groups = len(np.unique(both[0].groups))
    if groups < FEWEST_GROUPS:
        raise StoreError(
            f"{one} and {other} were judged on {groups} common groups of patients and copies with the same boxes;"
            f" {FEWEST_GROUPS} are needed.",
            "Train both on the same data.",
        )
    by_label = draw_label_precisions(*both, draws, seed)
    difference = _find_difference(average_labels(by_label))
    if difference is None:
        raise StoreError(f"The common pictures of {one} and {other} lack boxes.", "Train both on the same data.")
    labels = both[0].labels
    per_label = {name: _find_difference(by_label[:, k]) for k, name in enumerate(labels)}
    return DetectorComparison(
        runs=(one, other),
        records=len(both[0].groups),
        groups=groups,
        map50=difference,
        per_label={name: d for name, d in per_label.items() if d is not None},
        curves=(_draw_curves(both[0], seed), _draw_curves(both[1], seed)),
        cards=(card, card_other),
    )


def _find_difference(drawn: np.ndarray) -> VersionDifference | None:
    """Compare values (2, 1 + B) of the same draws; None where most of them are not defined."""
    known: np.ndarray = np.isfinite(drawn).min(axis=0)
    if not known[0] or known.sum() <= drawn.shape[1] / 2:
        return None
    old, new = drawn[:, known]
    apart = float(new[0] - old[0])
    low, high = np.quantile((new - old)[1:], (0.025, 0.975))
    return VersionDifference(
        candidate=float(new[0]),
        production=float(old[0]),
        difference=apart,
        low=float(min(low, apart)),
        high=float(max(high, apart)),
    )


def _draw_curves(evidence: BoxEvidence, seed: int) -> Mapping[str, Any]:
    return detection_curves(evidence.detections, evidence.truths, evidence.labels, evidence.groups, seed)


def _read(store: Store, reference: str) -> tuple[str, BoxEvidence, Mapping[str, Any]]:
    name, version = parse_reference(reference)
    card = store.get(name, version, report=False).card
    number = int(card["version"])
    found = read_judged(store.folder(name, number))
    if not isinstance(found, BoxEvidence):
        raise StoreError(
            f"{name}@{number} keeps no record of boxes that it was judged by.",
            "It is no detector, was imported, or was trained before medloupe kept them; train it again.",
        )
    return f"{name}@{number}", found, card
