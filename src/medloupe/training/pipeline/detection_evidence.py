"""Collect the boxes that a detector's figures come from."""

from __future__ import annotations

import numpy as np

from medloupe.embed.features import Features
from medloupe.metrics.box_evidence import BoxEvidence
from medloupe.metrics.evidence import Evidence
from medloupe.metrics.matching import Truths
from medloupe.training.detect.boxed import BoxedSet
from medloupe.training.detect.run import FittedDetector


def collect_box_evidence(features: Features, boxed: BoxedSet, fit: FittedDetector, groups: np.ndarray) -> BoxEvidence:
    """Collect the boxes that a detector's figures come from, by which the promotion gate compares versions.

    Parameters
    ----------
    features : Features
        Of all readable records.
    boxed : BoxedSet
        The true boxes.
    fit : FittedDetector
        What was found.
    groups : np.ndarray
        int (N,), of all records.
    """
    own = [boxed.pictures[i] for i in fit.rows]
    return BoxEvidence(
        labels=features.data.labels,
        digests=Evidence.digest([features.digests[i] for i in fit.rows]),
        groups=np.asarray(groups[fit.rows], np.int64),
        detections=fit.detections,
        truths=[Truths(boxes=p.boxes, labels=p.labels) for p in own],
    )
