"""Validate a detector externally: judge it on another site's pictures with boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medloupe.data.contents import read_content
from medloupe.data.records import Dataset, Record
from medloupe.errors import ImageError
from medloupe.evaluation.box_panel import BoxFinder, BoxPanel, assemble_box_panel
from medloupe.evaluation.external import Validation
from medloupe.imaging.decode import decode_picture, preview_min_side
from medloupe.metrics import weighted
from medloupe.metrics.detection import judge_detections
from medloupe.metrics.detection_curves import choose_pictures, detection_curves
from medloupe.metrics.mark_lines import FALSE_MARKS
from medloupe.metrics.matching import Detections
from medloupe.metrics.weighted import Metric
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision
from medloupe.training.detect.measure import judge_measurements
from medloupe.training.provenance import describe_data
from medloupe.utils.datauri import data_uri
from medloupe.utils.progress import StageProgress
from medloupe.version import __version__

NEVER = 2.0  # a line that no score reaches
_SHOWN_SIDE = 640  # pixels of the longer side of a picture in the report
_METRICS = ("map50", "map", "sensitivity", "false_marks", "precision", "cpm", "ece")


def validate_detector(
    model: Model,
    data: Dataset,
    box_labels: Mapping[str, str] | None = None,
    *,
    seed: int = 0,
    progress: StageProgress | None = None,
) -> Validation:
    """Judge a detector on pictures with boxes, but for those that it was trained on, with its own lines.

    Pictures that it refuses are judged like others; how many they are is said.

    Parameters
    ----------
    model : Model
        A detector, of the store or of a file.
    data : Dataset
        Of the task detection.
    box_labels : mapping of str to str, optional
        For boxes that are named otherwise, the label of the detector that they are.
    seed : int
        Of the bootstrap.
    progress : callable, optional
        Told the stage, how much of it is done, and of how much.

    Raises
    ------
    DataError
        When no box belongs to a label of the detector, or nothing remains to judge on.
    """
    say = progress or (lambda stage, done, total: None)
    panel = assemble_box_panel(model, data, box_labels or {}, None, seed, say)
    detections, refused = _find_all(model, panel, say)
    lines, counted = read_lines(model, panel.labels)
    allowed = float(model.card["detection"].get("false_marks") or FALSE_MARKS)
    figures = judge_detections(
        detections,
        panel.truths,
        panel.labels,
        panel.groups,
        panel.sizes,
        seed,
        false_marks=allowed,
        lines=lines,
        count_lines=counted,
    )
    silent = weighted.widen_share_interval(
        weighted.bootstrap_intervals(
            {"refused": weighted.share(refused, np.ones(len(refused), bool))}, panel.groups, seed
        )["refused"],
        len(np.unique(panel.groups)),
    )
    measured = judge_measurements(
        [m for m in Decision.from_card(model.card).measurements if set(m.labels) <= set(panel.labels)],
        detections,
        panel.truths,
        panel.records,
        panel.labels,
        panel.groups,
        lines,
        seed,
    )
    card = _build_card(model, data, panel, figures, silent, measured)
    curves = detection_curves(
        detections,
        panel.truths,
        panel.labels,
        panel.groups,
        seed,
        false_marks=allowed,
        lines=lines,
        count_lines=counted,
    )
    shown = _show_pictures(detections, panel, lines)
    return Validation(
        report={"card": card, "detection": {"curves": curves, "pictures": shown}},
        seen=panel.left_out.get("trained on", 0),
        unlabelled=panel.left_out.get("without known boxes", 0),
        unreadable=panel.left_out.get("unreadable", 0),
    )


def read_lines(model: Model, labels: tuple[str, ...]) -> tuple[dict[str, float], dict[str, float]]:
    """Read from which scores on a detector marks and counts boxes of some labels; NEVER where it does not."""
    rows = {row["label"]: row for row in model.card["detection"]["per_label"]}

    def line(name: str, key: str) -> float:
        found = rows.get(name, {}).get(key)
        return NEVER if found is None else float(found)

    return {n: line(n, "line") for n in labels}, {n: line(n, "count_line") for n in labels}


def _find_all(model: Model, panel: BoxPanel, say: StageProgress) -> tuple[list[Detections], np.ndarray]:
    """Find boxes on every picture; and tell which would get no answer, bool (n,)."""
    finder, found, silent = BoxFinder(model, panel.labels), [], []
    for done, record in enumerate(panel.records):
        say("finding", done, len(panel.records))
        made, refused = finder.find(_source(record))
        found.append(made)
        silent.append(refused)
    say("finding", len(found), len(found))
    return found, np.array(silent, bool)


def _source(record: Record) -> bytes | np.ndarray:
    source = record.picture
    return source if isinstance(source, np.ndarray) else read_content(source)


def _build_card(
    model: Model,
    data: Dataset,
    panel: BoxPanel,
    figures: Mapping[str, Any],
    refused: Metric,
    measured: list[dict[str, Any]],
) -> dict[str, Any]:
    """Build the detector's card with the figures measured here in place of those of its training."""
    old, n, groups = model.card, len(panel.records), len(np.unique(panel.groups))
    sentence = (
        f"Judged on {n:,} pictures of {data.name} ({groups:,} groups of patients and copies), none of which the model"
        " was trained on. Calibration and lines are the model's own, unchanged."
    )
    notes = [*panel.notes]
    if refused["value"]:
        notes.append(f"It would give no answer to {refused['value']:.0%} of them; they were judged like the others.")
    claimed = {k: v for k, v in (old.get("metrics") or {}).items() if k in _METRICS}
    metrics = {key: figures[key] for key in _METRICS}
    rows = [_label_row(name, figures["labels"][name], old) for name in panel.labels]
    features = panel.features
    return {
        **old,
        "medloupe": __version__,
        "label_counts": {
            name: int(sum((t.labels == k).any() for t in panel.truths)) for k, name in enumerate(panel.labels)
        },
        "data": describe_data(features, np.arange(n), groups),
        "split": {
            "scheme": "external validation",
            "groups": groups,
            "test": n,
            "sentence": " ".join([sentence, *notes]),
        },
        "audit": None,
        "metrics": {**metrics, "refused": refused},
        "claimed": claimed,
        "secondary": {"title": "What the model's own card claims", "metrics": claimed} if claimed else None,
        "per_label": [
            {
                "label": r["label"],
                "n": r["boxes"],
                "auc": None,
                "operating_point": {
                    "threshold": 1.0 if r["line"] is None else r["line"],
                    "words": r["words"],
                    "sensitivity": r["sensitivity"],
                },
                "sensitivity": r["sensitivity"],
            }
            for r in rows
        ],
        "detection": {
            **(old.get("detection") or {}),
            "per_label": rows,
            "figures": figures,
            "calibration_error": figures["ece"],
        },
        "measurements": measured or None,
        "warnings": _warnings(metrics, claimed, panel.labels, model.labels),
    }


def _label_row(name: str, row: Mapping[str, Any], card: Mapping[str, Any]) -> dict[str, Any]:
    """Make the row of one label of the entry `detection`; what is no figure stays as the card has it."""
    old = next((r for r in card["detection"]["per_label"] if r["label"] == name), {})
    found, false, line = row["sensitivity"]["value"], row["false_marks"]["value"], old.get("line")
    if line is None:
        words = f"{name} is never marked."
    elif found is None:
        words = f"{name} cannot be judged here."
    else:
        words = (
            f"{name}: {found:.0%} of {row['n']:,} are found at its line of {line:.0%}, with {false:.2f} false marks a"
            " picture."
        )
    count = row["count"] or {}
    return {
        **old,
        "boxes": row["n"],
        "map50": row["ap50"],
        "map": row["ap"],
        "sensitivity": row["sensitivity"],
        "false_marks": row["false_marks"],
        "count_error": count.get("mean_difference"),
        "count_median_error": count.get("median_error"),
        "words": words,
    }


def _warnings(
    now: Mapping[str, Metric], then: Mapping[str, Any], judged: tuple[str, ...], labels: tuple[str, ...]
) -> list[dict[str, str]]:
    """Warn where it finds less than its card claims, by more than chance explains."""
    here, claimed = now["map50"], then.get("map50") or {}
    if len(judged) < len(labels) or here["high"] is None or claimed.get("low") is None:
        return []  # means over other labels cannot be held against each other
    if here["high"] >= claimed["low"]:
        return []
    text = (
        f"The model finds less here (AP50 {here['value']:.3f}) than its card claims ({claimed['value']:.3f}), by more"
        " than chance explains."
    )
    return [{"level": "serious", "text": text}]


def _show_pictures(detections: list[Detections], panel: BoxPanel, lines: dict[str, float]) -> list[dict[str, Any]]:
    """Choose the pictures of the report; what cannot be read again is left out."""
    shown = []
    for example in choose_pictures(detections, panel.truths, panel.labels, lines, panel.groups):
        record = panel.records[int(example["index"])]
        try:
            picture = decode_picture(record.picture, min_side=preview_min_side(_SHOWN_SIDE))
        except ImageError:
            continue
        jpeg, _, _ = picture.preview(_SHOWN_SIDE)
        about = {"file": record.id, "image": data_uri(jpeg, "image/jpeg")}
        shown.append({**example, **about, "width": picture.width, "height": picture.height})
    return shown
