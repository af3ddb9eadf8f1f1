"""Decide whether a candidate is at least as good as what is in production, both judged on the same records.

Two versions are compared on the records that both were judged on, by the predictions kept beside their reports
(medloupe.metrics.evidence). How far apart they are is drawn again and again with other groups of patients (bootstrap
over groups, the same draw for both). The candidate passes when even the pessimistic end of what it lost stays within a
margin (non-inferiority; Piaggio et al., JAMA 308 (2012) 2594-2604). Detectors are held against each other by their
average precision, on the pictures that both know with the same true boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from medloupe.metrics import weighted
from medloupe.metrics.box_evidence import BoxEvidence, draw_precisions, match_box_evidence
from medloupe.metrics.evidence import Evidence, join_groups
from medloupe.metrics.weighted import Ranking, Weighted

MARGIN = 0.02  # of AUC, that a candidate may lose
FEWEST_GROUPS = 30  # below, an interval says little
DRAWS = 1000
_MOST = 500_000  # scores of one version; with more, only the first repeat of the cross-validation is compared


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDifference:
    """A figure of both versions, and candidate - production with its one-sided 95 % limits."""

    candidate: float
    production: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What the gate saw.

    Attributes
    ----------
    candidate, production
        Version numbers.
    passed
        Whether the candidate may replace what is in production.
    records, groups
        On which both were judged.
    auc
        Macro average over the labels; None of detectors, and where the two cannot be compared.
    map50
        Of detectors, the average precision at an overlap of one half, averaged over the labels; None of others, and
        where the two cannot be compared.
    balanced_accuracy
        Of the label announced; shown, not judged. None with auc.
    margin
        Of AUC, or of the average precision.
    why_not
        Why the two cannot be compared, else "".
    erased
        How many pictures that either was judged on were erased since, at somebody's wish: they take no part.
    """

    name: str
    candidate: int
    production: int
    passed: bool
    records: int = 0
    groups: int = 0
    auc: VersionDifference | None = None
    balanced_accuracy: VersionDifference | None = None
    margin: float = MARGIN
    why_not: str = ""
    map50: VersionDifference | None = None
    erased: int = 0

    @property
    def judged(self) -> VersionDifference | None:
        """The figure that decides; None where the two cannot be compared."""
        return self.map50 if self.auc is None else self.auc

    def as_json(self) -> dict[str, Any]:
        """Give all fields and the sentence, in types that JSON has."""
        return {**asdict(self), "words": self.words}

    @property
    def words(self) -> str:
        """A sentence or two for a person."""
        a, b = f"version {self.candidate}", f"version {self.production}"
        d = self.judged
        if d is None:
            missing = f" That is without {self._erased}." if self.erased else ""
            return f"{self.name}: {a} cannot be compared with {b}, which is in production: {self.why_not}.{missing}"
        figure = "AUC" if self.auc is not None else "average precision"
        shown = (
            f"On the {self.records:,} pictures ({self.groups:,} groups of patients and copies) that both were judged"
            f" on, {a} of {self.name} has {figure} {d.candidate:.3f} and {b}, which is in production,"
            f" {d.production:.3f}: {d.difference:+.3f}, and at worst {d.low:+.3f} (one-sided 95 % limit)."
        )
        if self.erased:
            shown += f" That is without {self._erased}."
        if self.passed:
            return f"{shown} It is not worse by more than the margin of {self.margin:g}."
        if d.high < 0:
            return f"{shown} It is worse."
        return f"{shown} It may be worse by more than the margin of {self.margin:g}."

    @property
    def _erased(self) -> str:
        """Tell what is missing."""
        what = "picture that was" if self.erased == 1 else "pictures that were"
        return f"{self.erased:,} {what} erased since, at the wish of those pictured"


def compare(
    candidate: Evidence | BoxEvidence | None,
    production: Evidence | BoxEvidence | None,
    *,
    name: str,
    versions: tuple[int, int],
    margin: float = MARGIN,
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Hold a candidate's evidence against production's; the same evidence and seed give the same figures.

    It fails where the two cannot be compared, and says why.

    Parameters
    ----------
    candidate, production
        None where a version keeps none.
    name
        Of the model, for the sentence.
    versions
        The numbers of both, the candidate's first.
    margin
        Of AUC, of detectors of average precision, that the candidate may lose.
    draws, seed
        Of the bootstrap.
    """
    erased = max((e.erased for e in (candidate, production) if e is not None), default=0)

    def failed(why_not: str, records: int = 0, groups: int = 0) -> Comparison:
        return Comparison(
            name=name,
            candidate=versions[0],
            production=versions[1],
            passed=False,
            records=records,
            groups=groups,
            margin=margin,
            why_not=why_not,
            erased=erased,
        )

    for evidence, number in ((candidate, versions[0]), (production, versions[1])):
        if evidence is None:
            return failed(
                f"version {number} keeps no record of the predictions it was judged by (it was imported, or trained"
                " before medloupe kept them)"
            )
    assert candidate is not None and production is not None
    drawn = _draw_both(candidate, production, draws, seed)
    if drawn is None:
        return failed(f"they do not answer the same question ({candidate.question} and {production.question})")
    records, groups = drawn.records, drawn.groups
    if groups < FEWEST_GROUPS:
        return failed(
            f"they were judged on {groups} common groups of patients and copies with the same labels;"
            f" {FEWEST_GROUPS} are needed, and images do not count that a network gone on from (--from) had learned",
            records,
            groups,
        )
    figures = _differences(drawn.values, draws)
    if figures is None:
        return failed("the common records lack cases for or against the labels", records, groups)
    return Comparison(
        name=name,
        candidate=versions[0],
        production=versions[1],
        passed=next(iter(figures.values())).low >= -margin,
        records=records,
        groups=groups,
        margin=margin,
        auc=figures.get("auc"),
        balanced_accuracy=figures.get("balanced_accuracy"),
        map50=figures.get("map50"),
        erased=erased,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """Figures of both versions on the records that both judged: float64 (2, 1 + B), that which decides first."""

    records: int
    groups: int
    values: dict[str, np.ndarray]


def _draw_both(one: Evidence | BoxEvidence, other: Evidence | BoxEvidence, draws: int, seed: int) -> _Drawn | None:
    """Compute the figures of both versions, by the same draws of groups; None where they answer other questions."""
    if isinstance(one, BoxEvidence) and isinstance(other, BoxEvidence):
        matched = match_box_evidence(one, other)
        if matched is None:
            return None
        groups = matched[0].groups
        count = len(np.unique(groups))
        values = {"map50": draw_precisions(*matched, draws, seed)} if count >= FEWEST_GROUPS else {}
        return _Drawn(records=len(groups), groups=count, values=values)
    if isinstance(one, BoxEvidence) or isinstance(other, BoxEvidence):
        return None
    both = match_evidence(one, other)
    if both is None:
        return None
    values = {}
    if both.count >= FEWEST_GROUPS:
        new, old = (VersionMetrics(of) for of in (both.one, both.other))
        with np.errstate(invalid="ignore", divide="ignore"):
            parts = [
                np.stack([f(weights) for f in (new.auc, old.auc, new.balanced_accuracy, old.balanced_accuracy)])
                for weights in weighted.bootstrap_weights(both.groups, seed, draws)
            ]
        drawn = np.concatenate(parts, axis=1)
        values = {"auc": drawn[:2], "balanced_accuracy": drawn[2:]}
    return _Drawn(records=len(both.groups), groups=both.count, values=values)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatchedEvidence:
    """Two pieces of evidence cut to the N records that both judged, in one order of records and labels.

    Attributes
    ----------
    one, other
        With the same digests, targets and groups.
    relabelled
        How many records both know by another truth; they are left out.
    """

    one: Evidence
    other: Evidence
    relabelled: int

    @property
    def groups(self) -> np.ndarray:
        """int64 (N,): records that either keeps together."""
        return self.one.groups

    @property
    def count(self) -> int:
        """How many groups."""
        return len(np.unique(self.groups))


def match_evidence(one: Evidence, other: Evidence) -> MatchedEvidence | None:
    """Find the records that both judged with the same truth; None where they do not answer the same question."""
    if one.task != other.task or set(one.labels) != set(other.labels):
        return None
    _, at, at_other = np.intersect1d(one.digests, other.digests, return_indices=True)
    order = [other.labels.index(label) for label in one.labels]
    truth, told = one.targets[at], other.targets[at_other][:, order]
    same = (np.equal(truth, told) | (np.isnan(truth) & np.isnan(told))).all(1)
    at, at_other, truth = at[same], at_other[same], truth[same]
    repeats = slice(None) if truth.size * max(len(e.probabilities) for e in (one, other)) <= _MOST else [0]
    groups = join_groups(one.groups[at], other.groups[at_other])

    def cut(e: Evidence, at: np.ndarray, order: Sequence[int]) -> Evidence:
        return Evidence(
            labels=one.labels,
            task=one.task,
            digests=e.digests[at],
            groups=groups,
            targets=truth,
            probabilities=e.probabilities[repeats][:, at][:, :, order],
            announced=e.announced[at][:, order],
            flagged=None if e.flagged is None else e.flagged[at][:, order],
        )

    straight = range(len(one.labels))
    return MatchedEvidence(one=cut(one, at, straight), other=cut(other, at_other, order), relabelled=int((~same).sum()))


class VersionMetrics:
    """What evidence says of its version, as functions of row weights.

    Attributes
    ----------
    auc
        Macro average over the labels, mean over the repeats.
    by_label
        The AUC of each label that has cases for and against it.
    balanced_accuracy
        Of the label announced.
    """

    def __init__(self, of: Evidence):
        truth = of.targets
        labels = [k for k in range(truth.shape[1]) if (truth[:, k] == 1).any() and (truth[:, k] == 0).any()]
        rankings = [[Ranking(p[:, k], truth[:, k]).auc for k in labels] for p in of.probabilities]
        self.auc: Weighted = weighted.average([weighted.average(one) for one in rankings])
        self.by_label: dict[str, Weighted] = {
            of.labels[k]: weighted.average([one[i] for one in rankings]) for i, k in enumerate(labels)
        }
        sides = [(of.announced[:, k], truth[:, k] == 1) for k in labels]
        if of.task == "multilabel":
            sides += [(1 - of.announced[:, k], truth[:, k] == 0) for k in labels]
        self.balanced_accuracy: Weighted = weighted.average([weighted.share(given, among) for given, among in sides])


def _differences(values: Mapping[str, np.ndarray], draws: int) -> dict[str, VersionDifference] | None:
    """Bring figures (2, 1 + B), the first with all weights 1, to differences; None where too few can be computed."""
    drawn = np.concatenate(list(values.values()))
    if not np.isfinite(drawn[:, 0]).all() or np.isfinite(drawn).all(0).sum() <= draws / 2:
        return None
    known = np.isfinite(drawn).all(0)
    found = {}
    for name, (a, b) in values.items():
        a, b = a[known], b[known]
        apart = float(a[0] - b[0])
        low, high = np.quantile((a - b)[1:], (0.05, 0.95))
        found[name] = VersionDifference(
            candidate=float(a[0]),
            production=float(b[0]),
            difference=apart,
            low=float(min(low, apart)),
            high=float(max(high, apart)),
        )
    return found
