"""Hold a candidate against the version in production: the gate, differences, answers that change, what was added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from medloupe.errors import StoreError
from medloupe.metrics import weighted
from medloupe.metrics.evidence import OUT_OF_FOLD, Evidence
from medloupe.metrics.gate import Comparison, MatchedEvidence, match_evidence
from medloupe.metrics.paired import PairedDifference, RunComparison, compare_evidence, compare_metrics
from medloupe.metrics.weighted import Weighted
from medloupe.retrain.prequential import Prequential, measure_prequential
from medloupe.retrain.run import read_corrections_file
from medloupe.store.candidates import Candidate
from medloupe.store.datasets import Datasets
from medloupe.store.models import Store

MOST_FLIPS, MOST_CASES = 200, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A picture of the frozen test that the two answer differently.

    item: its id in the data set, "" where it is gone; before, after: what production and candidate say. Of several
    findings the one that it is about; then truth, before and after are "there" or "absent".
    """

    item: str
    truth: str
    before: str
    after: str
    finding: str = ""

    @property
    def better(self) -> bool:
        """Whether the candidate is the one that is right."""
        return self.after == self.truth

    @property
    def worse(self) -> bool:
        """Whether production is the one that is right."""
        return self.before == self.truth


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDifferences:
    """One label at its line: n cases; sensitivity and specificity of the flag, a of production, b of the candidate."""

    label: str
    n: int
    sensitivity: PairedDifference | None
    specificity: PairedDifference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateFigures:
    """A candidate held against the version that is in production now.

    Attributes
    ----------
    version, production
        Of the model.
    gate
        What decides.
    paired
        Figures of both on the frozen test with intervals of their differences; None where they cannot be compared.
    lines
        By label; empty where production kept no flags.
    flips
        Answers of the frozen test that change; flipped: how many.
    prequential, fresh
        On all corrections, and on those that production has not learned; None where nothing is known of them.
    added
        Counts of the corrections that production has not learned: by label, reader, basis, version that had answered.
    contradicted
        `contradicted.RankedCorrections`, as JSON.
    several
        Whether a picture may have several findings; then answers and corrections are counted by finding.
    """

    version: int
    production: int
    gate: Comparison
    paired: RunComparison | None
    lines: tuple[LineDifferences, ...]
    flips: tuple[Flip, ...]
    flipped: int
    prequential: Prequential | None
    fresh: Prequential | None
    added: Mapping[str, Any]
    contradicted: Mapping[str, Any]
    several: bool = False

    def as_json(self) -> dict[str, Any]:
        """Give all figures, in types that JSON has."""
        return {
            "version": self.version,
            "production": self.production,
            "gate": self.gate.as_json(),
            "paired": None if self.paired is None else self.paired.as_json(),
            "lines": [asdict(line) for line in self.lines],
            "flips": [{**asdict(flip), "better": flip.better, "worse": flip.worse} for flip in self.flips],
            "flipped": self.flipped,
            "prequential": None if self.prequential is None else self.prequential.as_json(),
            "prequential_new": None if self.fresh is None else self.fresh.as_json(),
            "added": dict(self.added),
            "contradicted": dict(self.contradicted),
            "several": self.several,
        }

    def for_log(self) -> dict[str, Any]:
        """Give what the audit log keeps: verdict, figures and contradicted cases, without pictures of the test."""
        cases = [{k: c[k] for k in ("case", "given", "likely", "readers")} for c in self.contradicted["cases"][:20]]
        told = self.as_json()
        return {
            **{name: told[name] for name in ("version", "production", "gate", "prequential", "prequential_new")},
            "flipped": self.flipped,
            "added": dict(self.added),
            "contradicted": {"cases": cases, "readers": self.contradicted["readers"]},
        }


def compare_candidate(store: Store, candidate: Candidate) -> CandidateFigures:
    """Hold a candidate against the version in production now.

    Raises
    ------
    StoreError
        It is not made yet, or was removed; nothing is in production.
    UnknownError
        Its data set is gone.
    """
    sets = Datasets(store.engine, store.home)
    name = sets.get(candidate.dataset_id).name
    present = store.production().get(name)
    if candidate.version is None or present is None:
        raise StoreError("There is no candidate to compare yet.", "Wait for its training: medloupe jobs list")
    # Held against what was in production when it was made, once it is in production itself.
    production = candidate.production if present[0] == candidate.version else present[0]
    gate = store.compare(name, candidate.version, production)
    folder = store.folder(name, candidate.version)
    new, old = Evidence.read(folder), Evidence.read(store.folder(name, production))
    both = match_evidence(old, new) if old is not None and new is not None else None
    paired = None
    if old is not None and new is not None and gate.auc is not None:
        paired = compare_evidence(old, new, runs=(f"{name}@{production}", f"{name}@{candidate.version}"))
    told = read_corrections_file(folder) or {"corrections": [], "contradicted": {}}
    flips: list[Flip] = []
    if both is not None:
        find = _find_finding_flips if both.one.task == "multilabel" else _find_flips
        flips = find(both, _list_items(both, sets, candidate.dataset_id))
    return CandidateFigures(
        version=candidate.version,
        production=production,
        gate=gate,
        paired=paired,
        lines=() if both is None or not len(both.groups) else _compare_lines(both),
        flips=tuple(flips[:MOST_FLIPS]),
        flipped=len(flips),
        **_measure_corrections(store, name, candidate.version, told),
        added=count_told([c for c in told["corrections"] if c["fresh"]], told.get("sought", ())),
        contradicted={"cases": [], "readers": [], "usual": None, **told["contradicted"]},
        several=new is not None and new.task == "multilabel",
    )


def count_told(corrections: list[dict[str, Any]], sought: Collection[str] = ()) -> dict[str, Any]:
    """Count corrections, as `run.FILE` keeps them, by what is known of them.

    wrong: where the check-up had erred, of several findings in any that is sought; labels: of one without any "".
    """

    def errs(told: Mapping[str, Any]) -> bool:
        if told.get("labels") is None:
            return told["said"] != told["label"]
        return any((name in told["flagged"]) != value for name, value in told["labels"].items() if name in sought)

    def name(told: Mapping[str, Any]) -> list[str]:
        if told.get("labels") is None:
            return [told["label"]]
        return [name for name, value in told["labels"].items() if value] or [""]

    def count(values: list[str]) -> dict[str, int]:
        return dict(sorted(Counter(values).items()))

    return {
        "corrections": len(corrections),
        "wrong": sum(map(errs, corrections)),
        "labels": count([label for c in corrections for label in name(c)]),
        "readers": count([reader for c in corrections for reader in c["readers"]]),
        "bases": count([c["basis"] for c in corrections]),
        "versions": count([str(c["version"] or "?") for c in corrections]),
    }


def _measure_corrections(store: Store, name: str, version: int, told: Mapping[str, Any]) -> dict[str, Any]:
    folder = store.folder(name, version)
    across = Evidence.read(folder, OUT_OF_FOLD) or Evidence.read(folder)
    if across is None or not told["corrections"]:
        return {"prequential": None, "fresh": None}
    learned: dict[int, np.ndarray] = {}
    for number in {c["version"] for c in told["corrections"]} - {None}:
        kept = [Evidence.read(store.folder(name, number), file) for file in ("judged.npz", OUT_OF_FOLD)]
        learned[number] = np.concatenate([np.empty(0, np.uint64), *(e.digests for e in kept if e is not None)])
    fresh = [c for c in told["corrections"] if c["fresh"]]
    return {
        "prequential": measure_prequential(told["corrections"], across, learned, sought=told.get("sought", ())),
        "fresh": measure_prequential(fresh, across, learned, sought=told.get("sought", ())),
    }


def _compare_lines(both: MatchedEvidence) -> tuple[LineDifferences, ...]:
    one, other = both.one.flagged, both.other.flagged
    if one is None or other is None:
        return ()
    asked: dict[str, tuple[Weighted, Weighted]] = {}
    truth = both.one.targets
    for k in range(truth.shape[1]):
        for what, value in (("sensitivity", 1), ("specificity", 0)):
            among = truth[:, k] == value
            if among.any():
                right = [f[:, k] if value else 1 - f[:, k] for f in (one, other)]
                asked[f"{what} {k}"] = (weighted.share(right[0], among), weighted.share(right[1], among))
    found = compare_metrics(asked, both.groups)
    return tuple(
        LineDifferences(
            label=label,
            n=int((truth[:, k] == 1).sum()),
            sensitivity=found.get(f"sensitivity {k}"),
            specificity=found.get(f"specificity {k}"),
        )
        for k, label in enumerate(both.one.labels)
    )


def _list_items(both: MatchedEvidence, sets: Datasets, dataset: str) -> list[str]:
    """List the ids of the pictures that both judged, "" for those that are gone."""
    items = sets.items(dataset, left_out=True)
    short = Evidence.digest([bytes.fromhex(item.digest) for item in items])
    by_digest = {int(d): item.id for d, item in zip(short, items, strict=True)}
    return [by_digest.get(int(d), "") for d in both.one.digests]


def _find_finding_flips(both: MatchedEvidence, items: Sequence[str]) -> list[Flip]:
    """List findings of which the answer changes, where they are told: what gets worse first."""
    truth = both.one.targets
    before, after = both.one.announced >= 0.5, both.other.announced >= 0.5
    words = ("absent", "there")
    found = [
        Flip(
            item=items[i],
            truth=words[int(truth[i, k])],
            before=words[int(before[i, k])],
            after=words[int(after[i, k])],
            finding=both.one.labels[k],
        )
        for i, k in np.argwhere((before != after) & ~np.isnan(truth)).tolist()
    ]
    return sorted(found, key=lambda f: (not f.worse, not f.better, f.finding, f.truth, f.item))


def _find_flips(both: MatchedEvidence, items: Sequence[str]) -> list[Flip]:
    """List answers that change: what gets worse first, then what gets better."""
    labels, truth = both.one.labels, both.one.targets.argmax(1)
    before, after = both.one.announced.argmax(1), both.other.announced.argmax(1)
    found = [
        Flip(
            item=items[i],
            truth=labels[truth[i]],
            before=labels[before[i]],
            after=labels[after[i]],
        )
        for i in np.flatnonzero(before != after).tolist()
    ]
    return sorted(found, key=lambda f: (not f.worse, not f.better, f.truth, f.item))
