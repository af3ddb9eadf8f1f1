"""Say in words what a detector's figures mean, what makes them doubtful, and what it cannot do."""

from __future__ import annotations

from typing import Any

from medloupe.data.split import Plan
from medloupe.embed.features import Features
from medloupe.metrics.weighted import Metric
from medloupe.training.detect.boxed import BoxedSet
from medloupe.training.detect.run import FittedDetector
from medloupe.training.pipeline.apart import Apart
from medloupe.training.pipeline.cautions import word_refusal_limit


def word_percent(figure: Metric) -> str:
    """Word a share."""
    return "an unknown share" if figure["value"] is None else f"{figure['value']:.0%}"


def word_number(figure: Metric) -> str:
    """Word a number."""
    return "an unknown number of" if figure["value"] is None else f"{figure['value']:.2f}"


def word_lines(per_label: list[dict[str, Any]], false_marks: float) -> str:
    """Word from which scores on boxes are marked."""
    return (
        "A box is marked from the score on with the best F2, by which a missed box weighs four times as much as a false"
        f" mark, among those with at most {false_marks:g} false marks of the label a picture."
        f" {' '.join(r['words'] for r in per_label)}"
    )


def word_warnings(
    features: Features, planned: Plan, per_label: list[dict[str, Any]], findings: list[dict[str, Any]]
) -> list[dict[str, str]]:
    """Word what makes the figures doubtful, the serious first."""
    said = [{"level": "serious", "text": f"{f['title']}. {f['detail']}"} for f in findings if f["level"] == "serious"]
    never = [r["label"] for r in per_label if r["line"] is None]
    if never:
        said.append({"level": "serious", "text": f"Never marked, since hardly ever right: {', '.join(never)}."})
    few = [r["label"] for r in per_label if r["boxes"] < 30]
    if few:
        said.append({"level": "warning", "text": f"Fewer than 30 boxes to judge by: {', '.join(few)}."})
    if all(r.patient is None for r in features.data.records):
        said.append(
            {
                "level": "warning",
                "text": "The data names no patients. Copies and near copies are kept together, but others of one"
                " patient may stand on both sides, which makes figures too good.",
            }
        )
    if planned.notes:
        said.append({"level": "notice", "text": " ".join(planned.notes)})
    return said


_NAMED = 5  # labels that a scope names


def word_scope(labels: tuple[str, ...]) -> str:
    """Word what a detector can say at all, for the line above its answers."""
    rest = len(labels) - _NAMED
    return f"marks only {', '.join(labels[:_NAMED])}{f' and {rest} more' if rest > 0 else ''}"


def word_limits(
    features: Features,
    boxed: BoxedSet,
    planned: Plan,
    fit: FittedDetector,
    apart: Apart,
    why_size: str,
    in_tiles: bool = False,
) -> list[str]:
    """Word what the detector cannot do, and what was left out. in_tiles: whether it learned from tiles of pictures."""
    data = features.data
    limits = [
        f"It marks only: {', '.join(data.labels)}. Whatever else is on a picture gets no mark.",
        "It was judged on data collected as its training data was. Figures at another hospital, with other devices or"
        " other patients, are usually lower; measure them on local cases.",
        f"It marks at most {fit.detector.most:,} places a {'tile' if in_tiles else 'picture'}. {why_size}",
        *boxed.notes,
    ]
    if in_tiles:
        limits.append(
            "The network in its file looks at one tile. medloupe cuts the tiles of a picture and joins their boxes;"
            " whoever runs the file by itself does that, too (detection.learned.tile in the card)."
        )
    if data.asked.get("unboxed") == "negative":
        limits.append(
            "Pictures without boxes were taken for negatives, as told: where something was there all the same, it has"
            " learned that nothing is, and right marks on them count as false ones."
        )
    unjudged = [n for n, ok in zip(data.labels, fit.whole.judged, strict=True) if not ok]
    if unjudged:
        limits.append(
            f"Whether a whole picture shows {', '.join(unjudged)} at all cannot be judged: nearly every picture of the"
            " data has it, or nearly none. Its probability is that of its surest box."
        )
    limits.append(word_refusal_limit(apart, data.things))
    if features.unreadable:
        limits.append(f"{len(features.unreadable):,} files could not be read and were left out.")
    return limits
