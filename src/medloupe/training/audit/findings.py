"""Audit a data set: find what is wrong with it before any training."""

from __future__ import annotations

from typing import Any

import numpy as np

from medloupe.data.records import Dataset
from medloupe.data.split import join_groups, rows_with_same_value
from medloupe.embed.features import Features
from medloupe.training.audit import duplicates, shortcut
from medloupe.training.audit.copies import judge_copies, judge_near_copies
from medloupe.training.audit.finding import ORDER, SHOWN, Audit, Finding, count_noun, is_or_are

FEW = 10  # groups of a label below which its figures say little
TOO_FEW = 2  # below which it cannot be judged at all
SKEWED = 0.9  # share of the commonest class from which accuracy misleads


def audit(features: Features, seed: int = 0) -> Audit:
    """Look for unreadable files, copies, patients across splits, contradicting labels, small classes and shortcuts.

    Parameters
    ----------
    features : Features
        Of all readable records; copies of pictures are found by embedding and thumbnail, of signals by content.
    seed : int
        Of the shortcut probe.
    """
    data = features.data
    n = len(data)
    pictures = data.modality == "image"
    found = duplicates.find(features) if pictures else duplicates.find_exact(features)
    groups = join_groups(
        n, rows_with_same_value(r.patient for r in data.records), found.exact.tolist(), found.near.tolist()
    )
    findings = [
        *_unreadable(features),
        *judge_copies(data, found.exact),
        *judge_near_copies(data, found.near),
        *_patients_across(data),
        *_small_classes(data, groups),
        *_unlabelled(data),
    ]
    probed = _probe_shortcut(features, groups, seed) if pictures else None
    if probed and (probed["auc"]["value"] or 0) >= shortcut.SERIOUS:
        findings.append(_shortcut_finding(probed, len(_labelled(data))))
    findings.sort(key=lambda f: ORDER.index(f.level))
    return Audit(checked=n + len(features.unreadable), findings=tuple(findings), groups=groups, shortcut=probed)


def _labelled(data: Dataset) -> np.ndarray:
    return np.flatnonzero(~np.isnan(data.targets).all(1)) if data.labels else np.empty(0, np.int64)


def _probe_shortcut(features: Features, groups: np.ndarray, seed: int) -> dict[str, Any] | None:
    """Ask the shortcut probe where there are at least two labels to tell apart."""
    data, labelled = features.data, _labelled(features.data)
    if not len(labelled) or len(data.labels) < 2 or data.task == "detection":
        return None
    return shortcut.probe_shortcut(features, labelled, groups, seed)


def _shortcut_finding(probed: dict[str, Any], count: int) -> Finding:
    return Finding(
        kind="shortcut",
        level="serious",
        title="The label can be guessed without looking into the pictures",
        detail=probed["sentence"],
        advice="Collect all classes with the same devices and settings, or judge the model on another site's"
        " data with `medloupe evaluate` before believing its figures.",
        count=count,
    )


def _unreadable(features: Features) -> list[Finding]:
    if not features.unreadable:
        return []
    n = len(features.unreadable)
    return [
        Finding(
            kind="unreadable",
            level="warning",
            title=f"{count_noun(n, 'file')} cannot be read",
            detail=f"For example {features.unreadable[0][0]}: {features.unreadable[0][1]}",
            advice="They are left out, and counted in the model's card. Replace or delete them.",
            count=n,
            files=tuple((name,) for name, _ in features.unreadable[:SHOWN]),
        )
    ]


def _patients_across(data: Dataset) -> list[Finding]:
    splits: dict[str, set[str]] = {}
    files: dict[str, list[int]] = {}
    for i, r in enumerate(data.records):
        if r.patient is not None and r.split:
            splits.setdefault(r.patient, set()).add(r.split)
            files.setdefault(r.patient, []).append(i)
    across = [p for p, s in splits.items() if len(s) > 1]
    if not across:
        return []
    return [
        Finding(
            kind="patients_across_splits",
            level="serious",
            title=f"{count_noun(len(across), 'patient')} of {len(splits):,} {is_or_are(len(across))} on both sides of a"
            " split",
            detail=f"For example {across[0]}. A model recognises the patient, the slide or the session, and figures"
            " from such a split are too good.",
            advice="medloupe judges by patient instead; figures published on this split should not be compared.",
            count=len(across),
            files=tuple(tuple(data.records[i].id for i in files[p][:4]) for p in across[:SHOWN]),
        )
    ]


def _small_classes(data: Dataset, groups: np.ndarray) -> list[Finding]:
    findings = []
    y = data.targets
    sizes = {name: len(np.unique(groups[y[:, k] == 1])) for k, name in enumerate(data.labels)}
    for name, n in sizes.items():
        if n < FEW:
            findings.append(
                Finding(
                    kind="small_class",
                    level="serious" if n < TOO_FEW else "warning",
                    title=f"{name} has only {count_noun(n, 'independent case')}",
                    detail="Patients and copies are counted once. Intervals for this label will be very wide"
                    + ("; it cannot be judged at all." if n < TOO_FEW else "."),
                    advice="Bring more cases of it, or leave the label out or join it with a related one.",
                    count=n,
                )
            )
    counts = data.counts()
    if data.task == "multiclass" and len(counts) > 1:
        name, most = max(counts.items(), key=lambda item: item[1])
        total = sum(counts.values())
        if total and most / total >= SKEWED:
            findings.append(
                Finding(
                    kind="skewed",
                    level="warning",
                    title=f"{most / total:.0%} of the images are {name}",
                    detail=f"Always answering {name} would be right that often; accuracy says little here.",
                    advice="Read the balanced accuracy and the AUC instead.",
                    count=most,
                )
            )
    return findings


def _unlabelled(data: Dataset) -> list[Finding]:
    n = int(np.isnan(data.targets).all(1).sum()) if data.labels else 0
    if not n:
        return []
    return [
        Finding(
            kind="unlabelled",
            level="notice",
            title=f"{count_noun(n, 'image')} {'has' if n == 1 else 'have'} no label",
            detail="Blank cells, or words such as 'unknown'.",
            advice="They take no part in training or judging. Label them, or leave them.",
            count=n,
        )
    ]
