"""Judge copies and near copies: those across labels and splits spoil figures, the rest do no harm."""

from __future__ import annotations

import numpy as np

from medloupe.data.records import Dataset
from medloupe.data.split import join_groups, rows_with_same_value
from medloupe.training.audit.finding import Finding, count_noun, describe_sets, is_or_are, list_files

SPOILT = 0.01  # share of contradicting images from which figures are in doubt


def judge_copies(data: Dataset, exact: np.ndarray) -> list[Finding]:
    """Judge pairs of the same content, int (M, 2): filed under two labels, in two splits, or merely redundant."""
    sets = _sets(len(data), exact)
    y = data.targets
    contradicting = [rows for rows in sets if ((y[rows] == 1).any(0) & (y[rows] == 0).any(0)).any()]
    across = [rows for rows in sets if len({data.records[i].split for i in rows} - {None}) > 1]
    findings = []
    if contradicting:
        n = sum(map(len, contradicting))
        said = [_label(data, i) for i in contradicting[0]]
        findings.append(
            describe_sets(
                data,
                contradicting,
                kind="duplicates_across_labels",
                level="serious" if n >= SPOILT * len(data) else "warning",
                title=f"{count_noun(len(contradicting), 'image')} {is_or_are(len(contradicting))} filed under two"
                " labels",
                detail=f"{count_noun(n, 'file')} with identical content carry labels that contradict each other; the"
                f" first says {' and '.join(sorted(set(said)))}. At most one can be true.",
                advice="Find out which label is right and delete the others; until then they teach the model nothing"
                " and count as errors whatever it answers.",
            )
        )
    if across:
        findings.append(
            describe_sets(
                data,
                across,
                kind="duplicates_across_splits",
                level="serious",
                title=f"{count_noun(len(across), 'image')} {is_or_are(len(across))} in more than one split",
                detail="Identical copies lie in training and test folders: whoever judges by these folders judges in"
                " part on what was learned by heart.",
                advice="medloupe leaves the training copies out when it judges on the test split. Delete one side for"
                " other tools.",
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
                title=f"{count_noun(n, 'redundant copy', 'redundant copies')}",
                detail="Identical images under the same label. They add weight but no information.",
                advice="They are kept together in every split and fold; nothing needs to be done.",
                count=n,
                files=list_files(data, rest),
            )
        )
    return findings


def judge_near_copies(data: Dataset, near: np.ndarray) -> list[Finding]:
    """Judge pairs that are alike, int (M, 2): under two labels, across splits, and all of them."""
    if not len(near):
        return []
    one, other = data.targets[near.T]
    splits = np.array([r.split or "" for r in data.records])
    two = near[(np.abs(one - other) == 1).any(1)]  # a missing label contradicts none
    across = near[(splits[near[:, 0]] != splits[near[:, 1]]) & (splits[near] != "").all(1)]
    findings = []
    if len(two):
        findings.append(
            describe_sets(
                data,
                two.tolist(),
                kind="near_duplicates_across_labels",
                level="warning",
                title=f"{count_noun(len(two), 'pair')} of near copies under different labels",
                detail="Almost the same picture is filed under two labels: a mistake, or two findings in one patient.",
                advice="Look at the pairs listed and correct the labels that are wrong.",
            )
        )
    if len(across):
        findings.append(
            describe_sets(
                data,
                across.tolist(),
                kind="near_duplicates_across_splits",
                level="warning",
                title=f"{count_noun(len(across), 'pair')} of near copies across splits",
                detail="The same picture saved again, cropped or taken a moment later lies in training and test.",
                advice="medloupe leaves the training side out when it judges on the test split.",
            )
        )
    findings.append(
        describe_sets(
            data,
            near.tolist(),
            kind="near_duplicates",
            level="notice",
            title=f"{count_noun(len(near), 'pair')} of near copies",
            detail="Alike by embedding and place by place: the same picture saved again, annotated or slightly moved,"
            " or neighbouring frames of one examination.",
            advice="Each pair is treated as one patient: it never straddles a split or a fold.",
        )
    )
    return findings


def _sets(n: int, pairs: np.ndarray) -> list[list[int]]:
    return rows_with_same_value(join_groups(n, pairs.tolist()).tolist()) if len(pairs) else []


def _label(data: Dataset, i: int) -> str:
    """Write the label as one text: the set of findings where there are several."""
    labels = data.records[i].labels
    return "|".join(sorted(name for name, v in labels.items() if v == 1)) or ("(none)" if labels else "(no label)")


def tell_search(data: Dataset, by_index: bool) -> list[Finding]:
    """Tell what of the search for copies is exact where it was not all."""
    if not by_index:
        return []
    return [
        Finding(
            kind="near_copies_by_index",
            level="notice",
            title=f"Near copies among {len(data):,} {data.things} were looked for by an index",
            detail="Copies of the same content are all found. Near copies are looked for among the nearest neighbours"
            " of each picture, which an index finds approximately: a few may be missed. What it proposes is measured on"
            " the pictures themselves, as among all pairs.",
            advice="Name the patients where they are known: that joins pictures for certain.",
            count=len(data),
        )
    ]
