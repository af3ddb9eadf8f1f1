"""Record what a model was made of and judged by: data, their fingerprint, the predictions behind its figures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from medloupe.embed.features import Features
from medloupe.metrics.evidence import Evidence
from medloupe.metrics.tables import Judged


def describe_data(
    features: Features,
    rows: np.ndarray,
    groups: int,
    *,
    marks: Mapping[str, Any] | None = None,
    splits: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Write the card's entry `data`.

    Parameters
    ----------
    features : Features
        Of all readable records.
    rows : np.ndarray
        int (n,), those that a model was trained or judged on.
    groups : int
        How many groups of patients and copies these are.
    marks : mapping, optional
        By what the data set is recognised later: fingerprint and digests.
    splits : mapping of str to int, optional
        How many records each split has that the data brings.

    Returns
    -------
    dict
        In the order in which cards have it.
    """
    data = features.data
    return {
        "name": data.name,
        "records": len(data) + len(features.unreadable),
        "labelled": len(rows),
        "unreadable": [{"file": f, "error": e} for f, e in features.unreadable],
        "groups": groups,
        "patients": len({data.records[i].patient for i in rows} - {None}) or None,
        **(marks or {}),
        "splits": dict(splits or {}),
        "licence": data.origin.get("licence"),
        "citation": data.origin.get("citation"),
        "source": data.origin.get("source"),
        "reader": data.reader,
        "things": data.things,
        "skipped": {reason: len(names) for reason, names in data.skipped.items()},
        "notes": list(data.notes),
        **({"unboxed": told} if (told := data.asked.get("unboxed")) else {}),
    }


def data_fingerprint(features: Features, rows: Iterable[int]) -> str:
    """Hash content and labels of some rows: SHA-256 in hex, the same in whatever order the rows come."""
    made = hashlib.sha256()
    digests, records = features.digests, features.data.records
    for i in sorted(rows, key=lambda i: digests[i]):
        made.update(digests[i] + repr(sorted(records[i].labels.items())).encode())
    return made.hexdigest()


def collect_evidence(features: Features, judged: Judged, rows: np.ndarray) -> Evidence:
    """Keep the predictions behind a model's figures, for comparing it with another version.

    Parameters
    ----------
    features : Features
        Whose digests name the images.
    judged : Judged
        Of n images.
    rows : np.ndarray
        int (n,), which rows of the features these are.
    """
    flagged = np.asarray(judged.flags, np.float32).mean(0)
    called = [[judged.called(r, k) for k in range(len(judged.labels))] for r in judged.repeats]
    return Evidence(
        labels=judged.labels,
        task=judged.task,
        digests=Evidence.digest([features.digests[row] for row in rows]),
        groups=np.asarray(judged.groups, np.int64),
        targets=np.asarray(judged.targets, np.float32),
        probabilities=np.asarray(judged.probabilities, np.float32),
        announced=np.asarray(called, np.float32).mean(0).T,
        flagged=flagged,
    )


def shorten_numbers(values: np.ndarray) -> float | list[float]:
    """Round to four digits; one number where all are the same."""
    each = np.atleast_1d(values)
    return round(float(each[0]), 4) if np.ptp(each) == 0 else [round(float(v), 4) for v in each]
