"""Probe for leaks: whether one clinical column alone names the answer.

A column that was filled in after the diagnosis, or because of it, predicts the label better than anything known
beforehand can, and is not there when a new patient comes. Whether a cell is filled at all may tell as much.

Source: Kaufman et al., "Leakage in data mining", ACM TKDD 6 (2012) 15.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.data.readers.base import normalise_name
from medloupe.data.split import assign_folds, count_folds, sample_rows
from medloupe.metrics.weighted import Metric, Ranking, average, bootstrap_intervals
from medloupe.training.audit.finding import Finding
from medloupe.training.audit.probe import probe_logits
from medloupe.training.heads.ranking import ranking_scores

SERIOUS = 0.9  # AUC of a column alone from which it is left out
SUSPECT = 0.7  # the same where its name says that it is known only afterwards
_ONE_LABEL = 0.97  # AUC for one label of several
_ENOUGH = 10_000  # rows that a probe looks at
_AFTER = frozenset(
    {"survival", "survived", "survivor", "died", "death", "dead", "deceased", "mortality", "alive", "outcome"}
    | {
        "discharge",
        "discharged",
        "icu",
        "intubated",
        "intubation",
        "extubated",
        "ventilated",
        "ventilation",
        "ventilator",
    }
    | {"treatment", "therapy", "dx", "diagnosis", "diagnoses", "diagnostic", "finding", "findings", "label", "labels"}
    | {"target", "histology", "histopathology", "pathology", "biopsy", "prognosis", "followup", "needed"}
    | {"truth", "groundtruth", "impression", "annotation", "annotator", "verdict", "icd", "icd10"}
)
_NEVER = frozenset(  # who, where and under which terms: no property of a patient
    {"file", "filename", "filepath", "path", "folder", "id", "ids", "uid", "uuid", "url", "uri", "link", "doi", "pmid"}
    | {"licence", "license", "copyright", "attribution", "citation", "accession", "checksum", "md5", "sha256", "hash"}
    | {"mrn", "patientid", "imageid", "lesionid", "studyid", "caseid", "subjectid", "recordid", "groupid"}
)
_WHERE = frozenset(
    {"location", "hospital", "site", "center", "centre", "clinic", "institution", "country", "city", "region", "device"}
    | {"scanner", "manufacturer", "vendor", "camera", "modality", "protocol", "study", "dataset", "batch", "operator"}
)
_NEVER_WHOLE = frozenset(
    {"patient", "case", "subject", "name", "number", "row", "index", "title", "reference", "source", "unnamed0"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProbe:
    """What a column tells alone.

    Attributes
    ----------
    name : str
        Of the column.
    auc : Metric
        Macro AUC, out of fold by group, with its interval where it leaks.
    best, label : float, str
        The highest AUC of one label, and which.
    afterwards : bool
        Whether the name says that it is known only afterwards.
    leaks : bool
        Whether it is to be left out.
    """

    name: str
    auc: Metric
    best: float
    label: str
    afterwards: bool
    leaks: bool

    @property
    def strong(self) -> bool:
        """Whether it tells too much, whatever its name says."""
        value = self.auc["value"] or 0.5
        return value >= (SUSPECT if self.afterwards else SERIOUS) or self.best >= _ONE_LABEL

    def as_json(self) -> dict[str, Any]:
        """Give a row of the card's table."""
        return {
            "name": self.name,
            "auc": self.auc,
            "best": {"label": self.label, "auc": round(self.best, 4)},
            "afterwards": self.afterwards,
            "leaks": self.leaks,
        }


def probe_column(
    name: str,
    encoded: np.ndarray,
    targets: np.ndarray,
    labels: Sequence[str],
    groups: np.ndarray,
    task: str,
    *,
    afterwards: bool,
    seed: int = 0,
) -> ColumnProbe:
    """Probe one column.

    Parameters
    ----------
    name : str
        Of the column.
    encoded : np.ndarray
        float32 (N, D), with whether it is missing.
    targets : np.ndarray
        (N, K) of 1, 0 and NaN.
    labels : sequence of str
        K names.
    groups : np.ndarray
        int (N,).
    task : str
        "multiclass" or "multilabel".
    afterwards : bool
        Whether its name says that it is known only afterwards.
    seed : int
        Of the rows looked at, the folds and the bootstrap.
    """
    rows = sample_rows(np.arange(len(targets)), targets, groups, _ENOUGH, seed)
    x, y, group = encoded[rows], targets[rows], groups[rows]
    count = count_folds(y, group)
    if not count:
        nothing = Metric(value=None, low=None, high=None)
        return ColumnProbe(name=name, auc=nothing, best=0.5, label="", afterwards=afterwards, leaks=afterwards)
    z = ranking_scores(probe_logits(x, y, assign_folds(y, group, count, seed), task)[0], task)
    each = [Ranking(s, t).auc for s, t in zip(z.T, y.T, strict=True)]
    values = np.array([a(np.ones((1, len(y)), np.float32))[0] for a in each])
    known = np.flatnonzero(np.isfinite(values))
    value = float(values[known].mean()) if len(known) else 0.5
    k = int(known[values[known].argmax()]) if len(known) else 0
    best = float(values[k]) if len(known) else 0.5
    leaks = afterwards or value >= SERIOUS or best >= _ONE_LABEL
    auc = (
        bootstrap_intervals({"auc": average(each)}, group, seed)["auc"]
        if leaks
        else Metric(value=value, low=None, high=None)
    )
    return ColumnProbe(name=name, auc=auc, best=best, label=labels[k], afterwards=afterwards, leaks=leaks)


def leak_finding(probed: ColumnProbe, of: int, *, kept: bool | None, notes: bool = False) -> Finding:
    """Say what the audit finds in a leak.

    Parameters
    ----------
    probed : ColumnProbe
        Of a column that leaks.
    of : int
        How many records.
    kept : bool or None
        Whether it is used all the same; None where nobody asked for it.
    notes : bool
        Whether the column is free text.
    """
    value, strong = probed.auc["value"] or 0.5, probed.strong
    thing = f"The notes in {probed.name!r}" if notes else f"Column {probed.name!r}"
    low, high = probed.auc["low"], probed.auc["high"]
    span = f" (95% interval {low:.2f} to {high:.2f})" if low is not None and high is not None else ""
    told = f"From it alone the label is told with an AUC of {value:.2f}{span}, where 0.5 is guessing"
    told += f"; {probed.label} with {probed.best:.2f}." if probed.best > value + 0.02 else "."
    if probed.afterwards:
        told += " By its name it is known only after the diagnosis, or states it."
    left = "It is used all the same, as was asked." if kept else "It is left out of the model's inputs."
    if kept is None:
        left = "As an input of a model it would be left out."
    return Finding(
        kind="leaking_column",
        level="notice" if kept is None else "serious" if strong else "warning",
        title=f"{thing} {'names the answer' if strong else 'may not be known beforehand'}",
        detail=f"{told} {left}",
        advice="Use only what is known when the picture is taken. If it is, keep it with --keep-leaks.",
        count=of,
    )


def explain_exclusion(probed: ColumnProbe) -> str:
    """Say why a column that leaks is left out."""
    value = probed.auc["value"] or 0.5
    if probed.afterwards:
        return f"by its name it states the diagnosis or is known only after it (AUC {value:.2f} alone)"
    if value < SERIOUS:
        return f"it alone tells {probed.label} with an AUC of {probed.best:.2f}"
    return f"it alone tells the label with an AUC of {value:.2f}"


def names_outcome(name: str) -> bool:
    """Tell whether a column's name says that it states the diagnosis or is known only after it."""
    return bool(_parts(name) & _AFTER) or "followup" in normalise_name(name) or normalise_name(name) == "class"


def names_identity(name: str) -> bool:
    """Tell whether a column's name says that it identifies a file, a person or a source."""
    return bool(_parts(name) & _NEVER) or normalise_name(name) in _NEVER_WHOLE


def names_place(name: str) -> bool:
    """Tell whether a column's name says where or with what a picture was taken.

    That is a shortcut, which only someone who knows the data should make an input.
    """
    return bool(_parts(name) & _WHERE)


def _parts(name: str) -> set[str]:
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return {p for p in re.split(r"[^a-z0-9]+", spaced.lower()) if p}
