"""What is wrong with a data set, found before any training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from medloupe.data.records import Dataset
from medloupe.data.split import joined, same
from medloupe.embed.features import Features
from medloupe.training.audit import duplicates, shortcut

Level = Literal["serious", "warning", "notice"]
FEW = 10  # groups of a label below which its figures say little
TOO_FEW = 2  # below which it cannot be judged at all
SPOILT = 0.01  # share of contradicting images from which figures are in doubt
SKEWED = 0.9  # share of the commonest class from which accuracy misleads
_SHOWN = 50  # examples listed for each finding
_ORDER = ("serious", "warning", "notice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found.

    kind: stable name for programs. count: how many images, pairs or patients it concerns. files: up to 50 examples,
    each the files that belong together. advice: what to do.
    """

    kind: str
    level: Level
    title: str
    detail: str
    advice: str
    count: int
    files: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All findings, the most serious first; groups (N,) of records that belong together; the shortcut probe; columns:
    what each clinical column tells alone, where any were probed."""

    checked: int
    findings: tuple[Finding, ...]
    groups: np.ndarray
    shortcut: dict[str, Any] | None
    columns: tuple[dict[str, Any], ...] = ()

    def with_columns(self, findings: Sequence[Finding], columns: Sequence[dict[str, Any]]) -> Audit:
        """The same with what the leak probe found."""
        every = sorted((*self.findings, *findings), key=lambda f: _ORDER.index(f.level))
        return replace(self, findings=tuple(every), columns=tuple(columns))

    def as_json(self) -> dict[str, Any]:
        """Without the groups."""
        return {
            "checked": self.checked,
            "findings": [asdict(f) for f in self.findings],
            "shortcut": self.shortcut,
            **({"columns": list(self.columns)} if self.columns else {}),
        }


def audit(features: Features, seed: int = 0) -> Audit:
    """Look for unreadable files, copies, patients across splits, contradicting labels, small classes and shortcuts."""
    data = features.data
    n = len(data)
    pictures = data.modality == "image"
    found = duplicates.find(features) if pictures else duplicates.find_exact(features)
    groups = joined(n, same(r.patient for r in data.records), found.exact.tolist(), found.near.tolist())
    findings = [
        *_unreadable(features),
        *_copies(data, found.exact),
        *_near_copies(data, found.near),
        *_patients_across(data),
        *_small_classes(data, groups),
        *_unlabelled(data),
    ]
    labelled = np.flatnonzero(~np.isnan(data.targets).all(1)) if data.labels else np.empty(0, np.int64)
    probed = None
    if pictures and len(labelled) and len(data.labels) > 1 and data.task != "detection":
        probed = shortcut.probe_shortcut(features, labelled, groups, seed)
    if probed and (probed["auc"]["value"] or 0) >= shortcut.SERIOUS:
        findings.append(
            Finding(
                kind="shortcut",
                level="serious",
                title="The label can be guessed without looking into the pictures",
                detail=probed["sentence"],
                advice="Collect all classes with the same devices and settings, or judge the model on another site's"
                " data with `medloupe evaluate` before believing its figures.",
                count=len(labelled),
            )
        )
    findings.sort(key=lambda f: _ORDER.index(f.level))
    return Audit(checked=n + len(features.unreadable), findings=tuple(findings), groups=groups, shortcut=probed)


def _unreadable(features: Features) -> list[Finding]:
    if not features.unreadable:
        return []
    n = len(features.unreadable)
    return [
        Finding(
            kind="unreadable",
            level="warning",
            title=f"{_number(n, 'file')} cannot be read",
            detail=f"For example {features.unreadable[0][0]}: {features.unreadable[0][1]}",
            advice="They are left out, and counted in the model's card. Replace or delete them.",
            count=n,
            files=tuple((name,) for name, _ in features.unreadable[:_SHOWN]),
        )
    ]


def _copies(data: Dataset, exact: np.ndarray) -> list[Finding]:
    sets = _sets(len(data), exact)
    y = data.targets
    contradicting = [rows for rows in sets if ((y[rows] == 1).any(0) & (y[rows] == 0).any(0)).any()]
    across = [rows for rows in sets if len({data.records[i].split for i in rows} - {None}) > 1]
    findings = []
    if contradicting:
        n = sum(map(len, contradicting))
        said = [_label(data, i) for i in contradicting[0]]
        findings.append(
            Finding(
                kind="duplicates_across_labels",
                level="serious" if n >= SPOILT * len(data) else "warning",
                title=f"{_number(len(contradicting), 'image')} {_is(len(contradicting))} filed under two labels",
                detail=f"{_number(n, 'file')} with identical content carry labels that contradict each other; the"
                f" first says {' and '.join(sorted(set(said)))}. At most one can be true.",
                advice="Find out which label is right and delete the others; until then they teach the model nothing"
                " and count as errors whatever it answers.",
                count=len(contradicting),
                files=_files(data, contradicting),
            )
        )
    if across:
        findings.append(
            Finding(
                kind="duplicates_across_splits",
                level="serious",
                title=f"{_number(len(across), 'image')} {_is(len(across))} in more than one split",
                detail="Identical copies lie in training and test folders: whoever judges by these folders judges in"
                " part on what was learned by heart.",
                advice="medloupe leaves the training copies out when it judges on the test split. Delete one side for"
                " other tools.",
                count=len(across),
                files=_files(data, across),
            )
        )
    told = {rows[0] for rows in (*contradicting, *across)}
    rest = [rows for rows in sets if rows[0] not in told]
    if rest:
        n = sum(len(rows) - 1 for rows in rest)
        findings.append(
            Finding(
                kind="duplicates",
                level="notice",
                title=f"{_number(n, 'redundant copy', 'redundant copies')}",
                detail="Identical images under the same label. They add weight but no information.",
                advice="They are kept together in every split and fold; nothing needs to be done.",
                count=n,
                files=_files(data, rest),
            )
        )
    return findings


def _near_copies(data: Dataset, near: np.ndarray) -> list[Finding]:
    if not len(near):
        return []
    one, other = data.targets[near.T]
    splits = np.array([r.split or "" for r in data.records])
    two = near[(np.abs(one - other) == 1).any(1)]  # a missing label contradicts none
    across = near[(splits[near[:, 0]] != splits[near[:, 1]]) & (splits[near] != "").all(1)]
    findings = []
    if len(two):
        findings.append(
            Finding(
                kind="near_duplicates_across_labels",
                level="warning",
                title=f"{_number(len(two), 'pair')} of near copies under different labels",
                detail="Almost the same picture is filed under two labels: a mistake, or two findings in one patient.",
                advice="Look at the pairs listed and correct the labels that are wrong.",
                count=len(two),
                files=_files(data, two.tolist()),
            )
        )
    if len(across):
        findings.append(
            Finding(
                kind="near_duplicates_across_splits",
                level="warning",
                title=f"{_number(len(across), 'pair')} of near copies across splits",
                detail="The same picture saved again, cropped or taken a moment later lies in training and test.",
                advice="medloupe leaves the training side out when it judges on the test split.",
                count=len(across),
                files=_files(data, across.tolist()),
            )
        )
    findings.append(
        Finding(
            kind="near_duplicates",
            level="notice",
            title=f"{_number(len(near), 'pair')} of near copies",
            detail="Alike by embedding and place by place: the same picture saved again, annotated or slightly moved,"
            " or neighbouring frames of one examination.",
            advice="Each pair is treated as one patient: it never straddles a split or a fold.",
            count=len(near),
            files=_files(data, near.tolist()),
        )
    )
    return findings


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
            title=f"{_number(len(across), 'patient')} of {len(splits):,} {_is(len(across))} on both sides of a split",
            detail=f"For example {across[0]}. A model recognises the patient, the slide or the session, and figures"
            " from such a split are too good.",
            advice="medloupe judges by patient instead; figures published on this split should not be compared.",
            count=len(across),
            files=tuple(tuple(data.records[i].id for i in files[p][:4]) for p in across[:_SHOWN]),
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
                    title=f"{name} has only {_number(n, 'independent case')}",
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
            title=f"{_number(n, 'image')} {'has' if n == 1 else 'have'} no label",
            detail="Blank cells, or words such as 'unknown'.",
            advice="They take no part in training or judging. Label them, or leave them.",
            count=n,
        )
    ]


def _sets(n: int, pairs: np.ndarray) -> list[list[int]]:
    return same(joined(n, pairs.tolist()).tolist()) if len(pairs) else []


def _label(data: Dataset, i: int) -> str:
    """The label as one text: the set of findings where there are several."""
    labels = data.records[i].labels
    return "|".join(sorted(name for name, v in labels.items() if v == 1)) or ("(none)" if labels else "(no label)")


def _files(data: Dataset, rows: Sequence[Sequence[int]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(data.records[i].id for i in r) for r in rows[:_SHOWN])


def _number(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _is(n: int) -> str:
    return "is" if n == 1 else "are"
