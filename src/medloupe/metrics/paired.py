"""Compare two runs record by record: which is better, by how much, and how sure that is.

Both were judged on what they had not seen (medloupe.metrics.evidence keeps those predictions beside each report), so
they can be compared on the very same records, pair by pair. What is easy or hard for both then cancels out, and a
difference shows that two separate intervals would hide. The interval of a difference is that of a bootstrap over
groups of patients, the same draw for both (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from medloupe.data.labels import Roles
from medloupe.errors import StoreError
from medloupe.metrics import weighted
from medloupe.metrics.curves import curves
from medloupe.metrics.evidence import Evidence
from medloupe.metrics.gate import DRAWS, FEWEST_GROUPS, MatchedEvidence, VersionMetrics, match_evidence
from medloupe.metrics.tables import Judged
from medloupe.metrics.weighted import Weighted

_LEVEL = (0.025, 0.975)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """A figure of both runs, and b - a with its 95 % interval; None where most draws lack a case."""

    a: float
    b: float
    difference: float
    low: float | None
    high: float | None

    @property
    def apart(self) -> bool:
        """Whether the interval leaves out "no difference"."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelDifferences:
    """One label: n cases among the common records; sensitivity and specificity are of the label announced."""

    label: str
    n: int
    auc: PairedDifference
    sensitivity: PairedDifference | None
    specificity: PairedDifference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """Two runs, a and b, held against each other on their common records.

    Attributes
    ----------
    a, b
        name@version.
    records, groups
        Those that both judged; groups are records of one patient and copies.
    only_a, only_b
        Records that one alone judged; they do not count.
    relabelled
        Known to both by another truth; they do not count.
    auc
        Macro average over labels.
    per_label
        Labels with cases for and against them.
    curves
        Of a and of b, as in a report.
    confusion
        Of a and of b; None with several labels at once.
    cards
        Of a and of b.
    """

    a: str
    b: str
    task: str
    labels: tuple[str, ...]
    records: int
    groups: int
    only_a: int
    only_b: int
    relabelled: int
    auc: PairedDifference
    balanced_accuracy: PairedDifference
    per_label: tuple[LabelDifferences, ...]
    curves: tuple[dict[str, Any], dict[str, Any]]
    confusion: tuple[list[list[float]], list[list[float]]] | None
    cards: tuple[Mapping[str, Any], Mapping[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Give the figures and the sentence, without curves and cards: the line that `compare --json` prints."""
        return {
            "a": self.a,
            "b": self.b,
            "task": self.task,
            "records": self.records,
            "groups": self.groups,
            "only_a": self.only_a,
            "only_b": self.only_b,
            "relabelled": self.relabelled,
            "auc": asdict(self.auc),
            "balanced_accuracy": asdict(self.balanced_accuracy),
            "per_label": [asdict(p) for p in self.per_label],
            "words": self.words,
        }

    @property
    def words(self) -> str:
        """What it comes to, for a person."""
        d = self.auc
        where = (
            f"On the {self.records:,} images ({self.groups:,} groups of patients and copies) that both were judged on"
        )
        said = f"{where}, {self.b} has AUC {d.b:.3f} and {self.a} {d.a:.3f}: a difference of {d.difference:+.3f}"
        if d.low is None or d.high is None:
            return f"{said}. There are too few groups for an interval."
        said += f" (95 % interval {d.low:+.3f} to {d.high:+.3f})."
        if d.apart:
            better, worse = (self.b, self.a) if d.difference > 0 else (self.a, self.b)
            said += f" {better} ranks better than {worse} by more than chance explains."
        else:
            said += " The interval includes no difference: on these images the two cannot be told apart."
        if self.groups < FEWEST_GROUPS:
            said += f" With fewer than {FEWEST_GROUPS} groups all of this says little."
        return said


def compare_evidence(
    a: Evidence,
    b: Evidence,
    *,
    runs: tuple[str, str],
    cards: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {}),
    draws: int = DRAWS,
    seed: int = 0,
) -> RunComparison:
    """Hold two pieces of evidence against each other.

    Parameters
    ----------
    a, b
        Of two runs.
    runs
        What to call them: name@version.
    cards
        Of both.
    draws, seed
        Of the bootstrap.

    Raises
    ------
    StoreError
        They cannot be compared.
    """
    both = match_evidence(a, b)
    if both is None:
        raise StoreError(
            f"{runs[0]} and {runs[1]} cannot be compared: they do not answer the same question ({a.question}, and"
            f" {b.question}).",
            "Compare runs with the same labels.",
        )
    n = len(both.groups)
    if not n:
        also = f" ({both.relabelled:,} stand under another label in each)" if both.relabelled else ""
        raise StoreError(
            f"{runs[0]} and {runs[1]} cannot be compared: no image was judged by both{also}.",
            "Train both on the same data: only the same images, judged by both, tell which is better. Those that a"
            " network gone on from (--from) had learned do not count.",
        )
    figures = VersionMetrics(both.one), VersionMetrics(both.other)
    if not figures[0].by_label:
        raise StoreError(
            f"{runs[0]} and {runs[1]} cannot be compared: the {n:,} images that both judged lack cases for or against"
            " every label.",
            "Train both on data with cases of at least two labels.",
        )
    drawn = _draw(_label_metrics(both, *figures), both.groups, draws, seed)
    named = {name: [d for (of, _), d in drawn.items() if of == name] for name in ("auc", "sensitivity", "specificity")}
    # What the gate computes figure by figure (VersionMetrics), from the labels: a draw lacks a label in all repeats.
    auc = _summarise_pair(_average_defined(named["auc"]))
    exclusive = both.one.task == "multiclass"
    balanced = _summarise_pair(_average_defined(named["sensitivity"] + ([] if exclusive else named["specificity"])))
    found = {of: _summarise_pair(values) for of, values in drawn.items()}
    assert auc is not None and balanced is not None
    rows = []
    for k, label in enumerate(both.one.labels):
        if (own := found.get(("auc", label))) is not None:
            cases = int((both.one.targets[:, k] == 1).sum())
            more = {name: found[name, label] for name in ("sensitivity", "specificity")}
            rows.append(LabelDifferences(label=label, n=cases, auc=own, **more))
    return RunComparison(
        a=runs[0],
        b=runs[1],
        task=both.one.task,
        labels=both.one.labels,
        records=n,
        groups=both.count,
        only_a=len(a.digests) - n - both.relabelled,
        only_b=len(b.digests) - n - both.relabelled,
        relabelled=both.relabelled,
        auc=auc,
        balanced_accuracy=balanced,
        per_label=tuple(rows),
        curves=(_curves(both.one), _curves(both.other)),
        confusion=(_confusion(both.one), _confusion(both.other)) if exclusive else None,
        cards=cards,
    )


def compare_metrics(
    asked: Mapping[str, tuple[Weighted, Weighted]], groups: np.ndarray, *, draws: int = DRAWS, seed: int = 0
) -> dict[str, PairedDifference | None]:
    """Hold figures of two runs against each other on the same N records; None of those that are not defined.

    Parameters
    ----------
    asked
        Of both runs, by name.
    groups
        int (N,), drawn as wholes.
    draws, seed
        Of the bootstrap.
    """
    keyed = {(name, ""): both for name, both in asked.items()}
    return {name: _summarise_pair(values) for (name, _), values in _draw(keyed, groups, draws, seed).items()}


def _label_metrics(
    both: MatchedEvidence, a: VersionMetrics, b: VersionMetrics
) -> dict[tuple[str, str], tuple[Weighted, Weighted]]:
    """Collect the figures of each label of both runs, by name and label."""
    asked: dict[tuple[str, str], tuple[Weighted, Weighted]] = {}
    one, other, truth = both.one, both.other, both.one.targets
    for k, label in enumerate(one.labels):
        if label in a.by_label:
            asked["auc", label] = a.by_label[label], b.by_label[label]
            said, told = one.announced[:, k], other.announced[:, k]
            asked["sensitivity", label] = weighted.share(said, truth[:, k] == 1), weighted.share(told, truth[:, k] == 1)
            asked["specificity", label] = (
                weighted.share(1 - said, truth[:, k] == 0),
                weighted.share(1 - told, truth[:, k] == 0),
            )
    return asked


def _draw(
    asked: Mapping[tuple[str, str], tuple[Weighted, Weighted]], groups: np.ndarray, draws: int, seed: int
) -> dict[tuple[str, str], np.ndarray]:
    """Both runs' values (2, 1 + draws) of each figure: with all weights 1, then drawn anew, the same draws for all."""
    values: list[np.ndarray] = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for weights in weighted.bootstrap_weights(groups, seed, draws):
            values.append(np.array([(a(weights), b(weights)) for a, b in asked.values()]))  # noqa: PERF401
    return dict(zip(asked, np.concatenate(values, axis=2), strict=True))


def _average_defined(values: Sequence[np.ndarray]) -> np.ndarray:
    """Average several figures, over those that a draw defines."""
    stacked = np.stack(values)
    defined = np.isfinite(stacked)
    count = defined.sum(0)
    return np.where(defined, stacked, 0).sum(0) / np.where(count > 0, count, np.nan)


def _summarise_pair(drawn: np.ndarray) -> PairedDifference | None:
    """Give the difference of both runs' values (2, 1 + draws) with its interval; None if it is undefined."""
    a, b = drawn
    if not np.isfinite([a[0], b[0]]).all():
        return None
    apart, difference, low, high = (b - a)[1:], float(b[0] - a[0]), None, None
    known = apart[np.isfinite(apart)]
    if len(known) > len(apart) / 2:
        ends = np.quantile(known, _LEVEL)
        low, high = float(min(ends[0], difference)), float(max(ends[1], difference))
    return PairedDifference(a=float(a[0]), b=float(b[0]), difference=difference, low=low, high=high)


def _curves(of: Evidence) -> dict[str, Any]:
    """ROC, precision-recall and calibration of the first repeat."""
    judged = Judged(
        probabilities=of.probabilities,
        flags=np.zeros(of.probabilities.shape, bool),  # the curves know no thresholds
        targets=of.targets,
        groups=of.groups,
        labels=of.labels,
        task=of.task,
        roles=Roles(labels=of.labels),
    )
    return curves(judged)


def _confusion(of: Evidence) -> list[list[float]]:
    """Truth by announced class, averaged over the repeats."""
    return ((of.targets == 1).T.astype(float) @ of.announced).round(3).tolist()
