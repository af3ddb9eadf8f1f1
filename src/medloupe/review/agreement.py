"""Measure how far two readers agree, on whole cases and on each finding by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from medloupe.metrics.agreement import Kappa, cohen_kappa
from medloupe.store.review_nouns import DISCARD, WITHDRAWN, ReviewCase, ReviewOpinion


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingAgreement:
    """How far two readers agree on one finding of a check-up of several."""

    model: str
    label: str
    kappa: Kappa


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderAgreement:
    """How far two readers agree. whole: on all that they say of a case; findings: on each of several by itself."""

    whole: Kappa
    findings: tuple[FindingAgreement, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give the figures of the whole, and `findings`."""
        told = [{"model": f.model, "label": f.label, **asdict(f.kappa)} for f in self.findings]
        return {**asdict(self.whole), "findings": told}


def measure_agreement(cases: Sequence[ReviewCase]) -> ReaderAgreement:
    """Measure how far first and second readers agree, of the cases that two have read.

    Of several findings two agree who name the same ones, none more and none less; beside that each finding is measured
    by itself, on the cases that neither discards.
    """
    read = [case for case in cases if case.state != WITHDRAWN and len(case.opinions) > 1]
    by_finding: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for case in read:
        if case.several and all(o.verdict != DISCARD for o in case.opinions[:2]):
            for name in case.labels:
                said = [str(name in o.labels) for o in case.opinions[:2]]
                by_finding.setdefault((case.model, name), []).append((said[0], said[1]))
    return ReaderAgreement(
        whole=cohen_kappa([_say(c.opinions[0]) for c in read], [_say(c.opinions[1]) for c in read]),
        findings=tuple(
            FindingAgreement(model=of, label=name, kappa=cohen_kappa(*zip(*pairs, strict=True)))
            for (of, name), pairs in by_finding.items()
        ),
    )


def _say(opinion: ReviewOpinion) -> str:
    return DISCARD if opinion.verdict == DISCARD else "|".join(sorted(opinion.labels))
