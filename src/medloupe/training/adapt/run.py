"""Adapt a model to local cases: with 50 to 200 of them, new calibration and operating points, and nothing else.

No network is trained and no ranking learned: the head's matrix is multiplied by a scale and its bias shifted
(recalibrate.py), if that does better than noise; lines are drawn anew at the sensitivity wanted. Every figure is judged
on cases that neither the calibration nor the line has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.data.digests import seen_in_training
from medloupe.data.records import Dataset
from medloupe.data.scan import scan_dataset
from medloupe.data.split import count_folds
from medloupe.embed.features import Features, embed
from medloupe.errors import DataError
from medloupe.inference.inputs import scale_extras
from medloupe.metrics import tables
from medloupe.metrics.curves import curves
from medloupe.metrics.evidence import Evidence
from medloupe.model.alignment import align_targets
from medloupe.model.bundle import Model
from medloupe.training.adapt.fit import FEWEST_A_SIDE, LocalCases, LocalFit, find_ready_labels, fit_to_cases
from medloupe.training.audit.findings import audit
from medloupe.training.provenance import collect_evidence
from medloupe.utils.progress import StageProgress

FEWEST = 30  # groups of patients and copies; with fewer, an interval says little
_CHECKED = 4  # images on which the written file must agree with the training path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdaptedModel:
    """A model fitted to local cases, not yet in the store (`keep_adapted`).

    Attributes
    ----------
    model : Model
        The new one, without a version.
    base : Model
        The one it was made of.
    curves : mapping
        Calibration before and after, for the page.
    evidence : Evidence
        The local predictions, out of fold.
    checks : sequence of Path or np.ndarray
        Some local images: their files, or pixels.
    fitting : LocalFit
        How it was made.
    """

    model: Model
    base: Model
    curves: Mapping[str, Any]
    evidence: Evidence
    checks: Sequence[Path | np.ndarray]
    fitting: LocalFit

    @property
    def entry(self) -> Mapping[str, Any]:
        """The card's entry `adapted` (docs/card.md)."""
        return self.model.card["adapted"]

    @property
    def page(self) -> str:
        """The HTML page."""
        from medloupe.report.pages import render_adaptation

        return render_adaptation(self.model.card, self.curves)

    def as_json(self) -> dict[str, Any]:
        """Give the line that `adapt --json` prints; `version` is None where nothing was written."""
        said = {k: v for k, v in self.entry.items() if k != "before"}
        return {"name": self.model.name, "version": self.model.version, **said}


def adapt(
    model: Model,
    data: Dataset,
    *,
    sensitivity: float = tables.SENSITIVITY,
    seed: int = 0,
    progress: StageProgress | None = None,
) -> AdaptedModel:
    """Fit a model's percentages and operating points to local cases. Writes nothing but caches.

    Images that the model was trained on, or adapted to before, are left out by their content.

    Parameters
    ----------
    model : Model
        A finished one.
    data : Dataset
        Cases with the model's labels, as they come in.
    sensitivity : float
        Share of the cases that each label's line is to find.
    seed : int
        Of folds and bootstrap: the same gives the same figures.
    progress : callable, optional
        Told the stage, how much of it is done, and of how much.

    Returns
    -------
    AdaptedModel
        With what changed, and how it fares before and after.

    Raises
    ------
    DataError
        When the labels do not fit or the cases are too few.
    """
    model.require_classes("adapting to local cases")
    if not 0 < sensitivity < 1:
        raise DataError(f"A sensitivity of {sensitivity:g} cannot be aimed at.", "Give a share, such as 0.9.")
    say = progress or (lambda stage, done, total: None)
    targets = align_targets(model, data)
    features = embed(scan_dataset(data), model.backbone, lambda d, t: say("embedding", d, t), tail=model.tail)
    position = {r.id: i for i, r in enumerate(data.records)}
    targets = targets[[position[r.id] for r in features.data.records]]
    rows, left_out = _usable_rows(model, data, features, targets)
    say("audit", 0, 1)
    audited = audit(features, seed)
    say("audit", 1, 1)
    cases = LocalCases(rows=rows, targets=targets[rows], groups=audited.groups[rows], left_out=left_out)
    _check_enough(model, data, cases)
    say("fitting", 0, 1)
    fitting = fit_to_cases(model, features, cases, sensitivity=sensitivity, seed=seed)
    findings = tuple(f"{f.title}. {f.detail}" for f in audited.findings if f.level == "serious")
    made = _assemble(replace(fitting, findings=findings))
    say("fitting", 1, 1)
    return made


def _usable_rows(
    model: Model, data: Dataset, features: Features, targets: np.ndarray
) -> tuple[np.ndarray, dict[str, int]]:
    """Rows int (n,) that carry a label of the model and are new to it, and how many others are left out, by reason."""
    known, learned = ~np.isnan(targets).all(1), _seen_before(model, features)
    rows = np.flatnonzero(known & ~learned)
    left_out = {
        "seen": int((known & learned).sum()),
        "unlabelled": int((~known).sum()),
        "unreadable": len(features.unreadable),
    }
    if not len(rows):
        raise DataError(
            f"Nothing in {data.root} can be adapted to: {model.name} was trained on or adapted to"
            f" {left_out['seen']:,} of its images, and {left_out['unlabelled']:,} carry none of the model's labels.",
            "Bring labelled images that the model has not seen.",
        )
    return rows, left_out


def _seen_before(model: Model, features: Features) -> np.ndarray:
    if not model.card.get("data"):
        return np.zeros(len(features.digests), bool)
    return seen_in_training(model.card, features.digests)


def _check_enough(model: Model, data: Dataset, cases: LocalCases) -> None:
    """Raise DataError when the cases are too few, or all of one kind."""
    targets, groups, seen_before = cases.targets, cases.groups, cases.left_out["seen"]
    n = len(np.unique(groups))
    ready = find_ready_labels(targets, groups)
    counts = zip(model.labels, (targets == 1).sum(0).tolist(), strict=True)
    names = ", ".join(f"{name} {count:,}" for name, count in counts)
    if model.card["task"] == "multiclass" and ((targets == 1).any(0)).sum() < 2:
        only = model.labels[int((targets == 1).any(0).argmax())]
        raise DataError(
            f"All {len(targets):,} cases of {data.root} are {only}: how often that is said wrongly cannot be told.",
            "Bring cases of the other classes too, as often as they come here.",
        )
    if n < FEWEST:
        rest = f" {seen_before:,} others were left out: the model has seen them." if seen_before else ""
        raise DataError(
            f"{data.root} holds {n:,} independent cases (patients, or images that are no copies) with the labels of"
            f" {model.name}; {FEWEST} are needed.{rest}",
            "Bring 50 to 200 cases as they come in; about 40 with the disease tell a sensitivity of 90 % to ±10 %.",
        )
    if not ready.any() or not count_folds(targets, groups):
        raise DataError(
            f"{data.root} has no label with {FEWEST_A_SIDE} independent cases for it and {FEWEST_A_SIDE} against it"
            f" ({names}).",
            "Bring more cases of the rarer labels.",
        )


def _assemble(fitting: LocalFit) -> AdaptedModel:
    """Make the new model with its card, and what goes with it."""
    from medloupe.training.adapt.card import build_adapted_card

    base = fitting.model
    model = replace(
        base,
        head=fitting.calibration.fold_into(base.head),
        extras=scale_extras(base.extras, fitting.calibration.scale),
        card=build_adapted_card(fitting),
        report="",
        onnx=None if base.backbone.path != base.onnx else base.onnx,
    )
    n = len(fitting.rows)
    records = fitting.features.data.records
    checked = fitting.rows[:: max(1, n // _CHECKED)][:_CHECKED]
    drawn = {name: curves(j)["calibration"] for name, j in (("before", fitting.before), ("after", fitting.after))}
    return AdaptedModel(
        model=model,
        base=base,
        curves=drawn,
        evidence=collect_evidence(fitting.features, fitting.after, fitting.rows),
        checks=[records[i].picture for i in checked],
        fitting=fitting,
    )
