"""Describe a detector: card and report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medloupe.data.digests import encode_digests, sample_digests
from medloupe.data.split import Plan
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.modalities import EMBEDDINGS
from medloupe.errors import ImageError
from medloupe.imaging.decode import decode_picture, preview_min_side
from medloupe.metrics.detection import judge_detections
from medloupe.metrics.detection_curves import choose_pictures, detection_curves
from medloupe.metrics.matching import Truths
from medloupe.metrics.weighted import Metric, Ranking, bootstrap_intervals
from medloupe.model.boxes import OVERLAP
from medloupe.model.bundle import CARD_FORMAT
from medloupe.training.audit.finding import Audit, Finding
from medloupe.training.audit.unmarked import find_unmarked
from medloupe.training.detect.boxed import BoxedSet, word_views
from medloupe.training.detect.learned import describe_learned
from medloupe.training.detect.measure import judge_measurements, read_wanted
from medloupe.training.detect.run import FittedDetector
from medloupe.training.detect.tiles import TilePlan
from medloupe.training.options import Options
from medloupe.training.pipeline.apart import Apart
from medloupe.training.pipeline.card import INTENDED_USE, describe_refusal
from medloupe.training.pipeline.cautions import weigh_findings
from medloupe.training.pipeline.detection_words import (
    word_limits,
    word_lines,
    word_number,
    word_percent,
    word_scope,
    word_warnings,
)
from medloupe.training.pipeline.quality import describe_quality
from medloupe.training.provenance import data_fingerprint, describe_data
from medloupe.training.tune.views import Symmetry
from medloupe.utils.datauri import data_uri
from medloupe.version import __version__

SHOWN_SIDE = 640  # pixels of the longer side of a picture in the report
NO_FIGURE = Metric(value=None, low=None, high=None)
NOT_TUNED = "The network was not tuned: detectors learn on it as it is."
CALIBRATED = 0.1  # calibration error up to which scores count as shown to hold


def describe_detector(
    features: Features,
    audited: Audit,
    planned: Plan,
    boxed: BoxedSet,
    fit: FittedDetector,
    sized: Backbone,
    apart: Apart,
    why_size: str,
    allowed: Symmetry,
    options: Options,
    plan: TilePlan | None = None,
) -> dict[str, Any]:
    """Judge a detector, and put its card and report together.

    Parameters
    ----------
    features : Features
        Of all readable records.
    audited : Audit
        What was found in them.
    planned : Plan
        What was learned from, and judged on.
    boxed : BoxedSet
        The boxes.
    fit : FittedDetector
        What came of training.
    sized : Backbone
        The network at the size at which boxes are found.
    apart : Apart
        By what other kinds are refused.
    why_size : str
        Why that size, a sentence.
    allowed : Symmetry
        Which views were made.
    options : Options
        Of the training.
    plan : TilePlan, optional
        Where pictures were learned from in tiles: in which.
    """
    data, rows, labels = features.data, fit.rows, features.data.labels
    truths = [Truths(boxes=boxed.pictures[i].boxes, labels=boxed.pictures[i].labels) for i in rows]
    lines = {n: float(v) for n, v in zip(labels, fit.lines.mark, strict=True)}
    counted = {n: float(v) for n, v in zip(labels, fit.lines.count, strict=True)}
    figures = judge_detections(
        fit.detections,
        truths,
        labels,
        planned.groups[rows],
        boxed.sizes[rows],
        options.seed,
        false_marks=options.false_marks,
        lines=lines if fit.shipped_lines else None,
        count_lines=counted if fit.shipped_lines else None,
    )
    whole = _whole_figures(fit, boxed, planned.groups[rows], labels, options.seed)
    per_label = [_label_row(n, k, figures, fit, whole, boxed, rows, plan is not None) for k, n in enumerate(labels)]
    learned = planned.fitting
    everything = np.sort(np.concatenate([learned, [] if planned.test is None else planned.test])).astype(int)
    shown = [data.records[i] for i in everything]
    digests = [features.digests[i] for i in everything]
    found = audited.with_findings(_list_unmarked(features, fit)).as_json()
    found["findings"] = weigh_findings(found["findings"], planned)
    metrics = {key: figures[key] for key in ("map50", "map", "sensitivity", "false_marks", "precision", "cpm", "ece")}
    measured = judge_measurements(
        read_wanted(options.measure, labels),
        fit.detections,
        truths,
        [data.records[i] for i in rows],
        labels,
        planned.groups[rows],
        lines,
        options.seed,
    )
    card = {
        "format": CARD_FORMAT,
        "medloupe": __version__,
        "task": "detection",
        "modality": data.modality,
        "labels": list(labels),
        "label_counts": {
            n: int(sum((boxed.pictures[i].labels == k).any() for i in everything)) for k, n in enumerate(labels)
        },
        "positive": None,
        "roles": data.roles.as_json(),
        "scope": [word_scope(data.labels)],
        "backbone": sized.as_json(),
        "input": {"size": sized.card.input_size, "fitting": EMBEDDINGS[data.modality].fitting},
        "data": describe_data(
            features,
            everything,
            len(np.unique(planned.groups[everything])),
            marks={
                "fingerprint": data_fingerprint(features, everything),
                "digests": encode_digests(sample_digests(digests, data.things)),
            },
            splits={k or "none": v for k, v in data.splits.items()} if set(data.splits) - {""} else {},
        ),
        "split": _split_entry(planned, data.things),
        "audit": found,
        "metrics": metrics,
        "per_label": [
            {
                "label": r["label"],
                "n": r["boxes"],
                "auc": whole[k] if whole[k]["value"] is not None else None,
                "operating_point": {
                    "threshold": 1.0 if r["line"] is None else r["line"],
                    "words": r["words"],
                    "sensitivity": r["sensitivity"],
                },
                "sensitivity": r["sensitivity"],
            }
            for k, r in enumerate(per_label)
        ],
        "decision": {
            "unclear": None,
            "not_announced": [r["label"] for r in per_label if r["line"] is None],
            "weak": False,
            "calibrated": (figures["ece"]["value"] or 0) <= CALIBRATED,
            "words": word_lines(per_label, options.false_marks),
        },
        "detection": {
            "input_size": sized.card.input_size,
            "most": fit.detector.most,
            "overlap": OVERLAP,
            "learned": plan.described if plan else describe_learned(boxed, learned, labels, sized.card.input_size),
            "false_marks": options.false_marks,
            "calibrated": True,
            "calibration_error": figures["ece"],
            "per_label": per_label,
            "figures": figures,
            "words": f"{why_size} {word_views(allowed)}",
        },
        "measurements": measured or None,
        "novelty": describe_refusal(apart),
        "quality": describe_quality(shown, planned.groups[everything], sized.card.input_size, options.seed, digests),
        "warnings": word_warnings(features, planned, per_label, found["findings"]),
        "licence": data.origin.get("licence"),
        "intended_use": INTENDED_USE,
        "limits": word_limits(features, boxed, planned, fit, apart, why_size, plan is not None),
    }
    card["data"]["notes"] = [*card["data"]["notes"], *boxed.notes, why_size]
    if options.finetune == "auto":
        card["finetuning"] = {"winner": "linear", "words": NOT_TUNED}
    groups = planned.groups[rows]
    return {
        "card": card,
        "detection": {
            "curves": detection_curves(
                fit.detections,
                truths,
                labels,
                groups,
                options.seed,
                false_marks=options.false_marks,
                lines=lines if fit.shipped_lines else None,
                count_lines=counted if fit.shipped_lines else None,
            ),
            "pictures": _show_pictures(features, fit, truths, labels, lines, groups),
        },
    }


def _list_unmarked(features: Features, fit: FittedDetector) -> list[Finding]:
    """List what was found, on pictures not learned from, where nothing is marked."""
    counts = [len(d.scores) for d in fit.detections]
    return find_unmarked(
        features.data,
        np.repeat(fit.rows, counts),
        np.concatenate([d.boxes for d in fit.detections]),
        np.concatenate([d.scores for d in fit.detections]),
        np.concatenate([d.labels for d in fit.detections]),
    )


def _show_pictures(
    features: Features,
    fit: FittedDetector,
    truths: list[Truths],
    labels: tuple[str, ...],
    lines: Mapping[str, float],
    groups: np.ndarray,
) -> list[dict[str, Any]]:
    """Choose the pictures of the report, and put their files to them; what cannot be read again is left out."""
    chosen = choose_pictures(fit.detections, truths, labels, lines, groups)
    shown = []
    for example in chosen:
        record = features.data.records[int(fit.rows[example["index"]])]
        try:
            picture = decode_picture(record.picture, min_side=preview_min_side(SHOWN_SIDE))
        except ImageError:
            continue
        jpeg, _, _ = picture.preview(SHOWN_SIDE)
        about = {
            "file": record.id,
            "image": data_uri(jpeg, "image/jpeg"),
            "width": picture.width,
            "height": picture.height,
        }
        shown.append({**example, **about})
    return shown


def _whole_figures(
    fit: FittedDetector, boxed: BoxedSet, groups: np.ndarray, labels: tuple[str, ...], seed: int
) -> list[Metric]:
    """Compute the AUC of each label over whole pictures; none where all pictures have it, or none has."""
    rows, made = fit.rows, []
    for k in range(len(labels)):
        truth = np.array([float((boxed.pictures[i].labels == k).any()) for i in rows], np.float32)
        if not fit.whole.judged[k] or truth.min() == truth.max():
            made.append(NO_FIGURE)
            continue
        ranking = Ranking(fit.probabilities[:, k].astype(np.float64), truth)
        made.append(bootstrap_intervals({"auc": ranking.auc}, groups, seed)["auc"])
    return made


def _label_row(
    name: str,
    k: int,
    figures: dict[str, Any],
    fit: FittedDetector,
    whole: list[Metric],
    boxed: BoxedSet,
    rows: np.ndarray,
    in_tiles: bool,
) -> dict[str, Any]:
    """Make the row of one label of the card's entry `detection`."""
    row = figures["labels"][name]
    line, count = (float(v[k]) if np.isfinite(v[k]) else None for v in (fit.lines.mark, fit.lines.count))
    if whole[k]["value"] is not None:
        said = "from its surest box" if in_tiles else "from its boxes and the whole picture together"
    else:
        alike = all((boxed.pictures[i].labels == k).any() for i in rows)
        said = "from its surest box; it cannot be judged, since " + (
            "every picture has one" if alike else "too few pictures have it, or have it not"
        )
    if line is None:
        words = f"{name} is never marked: of the boxes found out of fold too few were right."
    else:
        words = (
            f"Boxes of {name} are marked from {line:.0%} on: {word_percent(row['sensitivity'])} of them are found, with"
            f" {word_number(row['false_marks'])} false marks a picture."
        )
    return {
        "label": name,
        "line": None if line is None else min(line, 1.0),
        "count_line": None if count is None else min(count, 1.0),
        "boxes": row["n"],
        "map50": row["ap50"],
        "map": row["ap"],
        "sensitivity": row["sensitivity"],
        "false_marks": row["false_marks"],
        "count_error": (row["count"] or {}).get("mean_difference"),
        "count_median_error": (row["count"] or {}).get("median_error"),
        "whole_picture": said,
        "words": words,
    }


def _split_entry(planned: Plan, things: str) -> dict[str, Any]:
    if planned.test is None:
        sentence = (
            f"Judged by cross-validation: boxes on each of the {len(planned.fitting):,} {things} were found by a"
            " detector that had seen neither it nor any other of its group. The model that is shipped was then trained"
            " on all of them."
        )
    else:
        left = (
            f" {len(planned.leaking):,} {things} that share a patient or copy with it were left out."
            if len(planned.leaking)
            else ""
        )
        sentence = (
            f"Judged on the {len(planned.test):,} {things} of the test split that the data brings, by the detector that"
            f" ships, which was trained and calibrated on the other {len(planned.fitting):,}.{left}"
        )
    return {
        "scheme": "cross-validation" if planned.test is None else "official test",
        "groups": len(np.unique(planned.groups[planned.fitting])),
        "train": len(planned.fitting),
        "test": None if planned.test is None else len(planned.test),
        "leaking": len(planned.leaking),
        "patients_shared": 0,
        "sentence": " ".join((*planned.notes, sentence)),
    }
