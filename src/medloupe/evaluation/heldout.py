"""Choose who may judge which images of a data set: the model, or heads made as its own that have not seen them.

A shipped model has learned from all images of its data set, so it cannot be judged on them. Heads fitted in the same
way (regularisation, levels) fold by fold can stand in for its own; where the model was judged on an official test
split, one head fitted without that split does. Temperature, thresholds and what is refused come from the other folds
too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from medloupe.data.digests import decode_digests, find_known, seen_in_training
from medloupe.data.records import Dataset, Record
from medloupe.data.scan import Scan, scan_dataset
from medloupe.data.split import (
    Plan,
    join_groups,
    list_related_rows,
    plan_split,
    rows_with_same_value,
    sample_rows,
)
from medloupe.embed.features import Features, embed
from medloupe.errors import DataError
from medloupe.evaluation.judges import HeldOutJudge, make_fold_judges, make_own_judge, make_test_judge
from medloupe.model.alignment import align_targets
from medloupe.model.bundle import Model
from medloupe.training.audit import duplicates
from medloupe.utils.progress import StageProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutPanel:
    """Images to be judged, and who judges them.

    Attributes
    ----------
    records : tuple of Record
        Of n images.
    targets : np.ndarray
        (n, K) of 1, 0 and NaN.
    groups : np.ndarray
        int (n,), of patients and copies.
    judges : list of HeldOutJudge
        Their rows are positions among the images; together they have all.
    judged : str
        "model" where it is the model itself, "out of fold" or "test split" where heads stand in.
    of : int
        How many images these were chosen from.
    fitted : int
        Labelled training images at hand.
    left_out : mapping of str to int
        How many images, by reason.
    """

    records: tuple[Record, ...]
    targets: np.ndarray
    groups: np.ndarray
    judges: list[HeldOutJudge]
    judged: str
    of: int
    fitted: int
    left_out: Mapping[str, int]


def assemble_panel(model: Model, data: Dataset, most: int, seed: int, say: StageProgress) -> HeldOutPanel:
    """Choose about `most` images of the data, whole groups, and who judges them.

    Parameters
    ----------
    model : Model
        To be judged.
    data : Dataset
        With its labels.
    most : int
        Images wanted.
    seed : int
        Of the choice and of folds.
    say : callable
        Told the stage, how much of it is done, and of how much.

    Raises
    ------
    DataError
        Where nobody can judge.
    """
    targets, found = align_targets(model, data), scan_dataset(data)
    digests = [found.digest[r.id] for r in data.records]
    known, readable = ~np.isnan(targets).all(1), np.array([bool(d) for d in digests], bool)
    usable = known & readable
    learned = usable & find_learned(model, digests)
    new = usable & ~learned
    left_out = {"unlabelled": int((~known).sum()), "unreadable": int((~readable).sum())}
    if not usable.any():
        raise DataError(
            f"Nothing in {data.root} can judge {model.name}: none of its {len(data):,} images can be read and carries"
            " one of the model's labels.",
            "Bring labelled images; `medloupe check` says what is wrong with these.",
        )
    if learned.sum() > new.sum():
        left_out["not trained on"] = int(new.sum())
        made = _assemble_stand_ins(model, found, targets, np.flatnonzero(learned), most, seed, say)
        return replace(made, left_out=left_out)
    rows = np.flatnonzero(new)
    # Patients and copies keep together when some are chosen; near copies are found among those that were.
    together = join_groups(
        len(rows),
        list_related_rows([data.records[i] for i in rows]),
        rows_with_same_value(digests[i] for i in rows),
    )
    rows = rows[sample_rows(np.arange(len(rows)), targets[rows], together, most, seed)]
    features = embed(select_rows(found, rows), model.backbone, lambda d, t: say("embedding", d, t), tail=model.tail)
    kept = _match_rows(features, data)
    return HeldOutPanel(
        records=features.data.records,
        targets=targets[kept],
        groups=find_groups(features),
        judges=[make_own_judge(model, np.arange(len(kept)))],
        judged="model",
        of=int(new.sum()),
        fitted=0,
        left_out={**left_out, "trained on": int(learned.sum())},
    )


def find_learned(model: Model, digests: list[bytes]) -> np.ndarray:
    """Find the images that the model has learned from, as far as its card tells: bool (N,)."""
    if not (model.card.get("data") or {}).get("digests"):
        return np.zeros(len(digests), bool)
    learned = seen_in_training(model.card, digests)
    if adapted := (model.card.get("adapted") or {}).get("digests"):  # they moved its lines, but taught it nothing
        learned = learned & ~find_known(decode_digests(adapted), digests)
    return learned


def _assemble_stand_ins(
    model: Model, found: Scan, targets: np.ndarray, rows: np.ndarray, most: int, seed: int, say: StageProgress
) -> HeldOutPanel:
    """Choose images that the model was trained on, each for a judge that has not seen its group."""
    part = select_rows(found, rows)
    features = embed(part, model.backbone, lambda d, t: say("embedding", d, t), tail=model.tail)
    shared = features
    if model.tail is not None:
        shared = embed(part, model.backbone, lambda d, t: say("embedding", d, t))
    y, groups = targets[_match_rows(features, found.data)], find_groups(shared)
    say("fitting", 0, 1)
    planned = _plan_of_training(model, features, groups)
    if planned is not None and planned.test is not None:
        judges, judged = [make_test_judge(model, features, shared.embeddings, y, planned, seed)], "test split"
    else:
        judges, judged = make_fold_judges(model, features, shared.embeddings, y, groups, seed), "out of fold"
    say("fitting", 1, 1)
    pool = np.sort(np.concatenate([j.rows for j in judges]))
    chosen = sample_rows(pool, y, groups, most, seed)
    return HeldOutPanel(
        records=tuple(features.data.records[i] for i in chosen),
        targets=y[chosen],
        groups=groups[chosen],
        judges=[replace(j, rows=np.flatnonzero(np.isin(chosen, j.rows))) for j in judges],
        judged=judged,
        of=len(pool),
        fitted=len(y),
        left_out={},
    )


def _plan_of_training(model: Model, features: Features, groups: np.ndarray) -> Plan | None:
    """Plan as in the training, where the model was judged on an official test split."""
    if (model.card.get("split") or {}).get("scheme") != "official test":
        return None
    return plan_split(features.data, groups)


def select_rows(found: Scan, rows: np.ndarray) -> Scan:
    """Keep some records of a scan, in the order of their rows."""
    return replace(found, data=replace(found.data, records=tuple(found.data.records[i] for i in rows)), unreadable={})


def _match_rows(features: Features, data: Dataset) -> np.ndarray:
    position = {r.id: i for i, r in enumerate(data.records)}
    return np.array([position[r.id] for r in features.data.records], np.int64)


def find_groups(features: Features) -> np.ndarray:
    """Find groups of patients, copies and near copies, as the audit has them."""
    found = duplicates.find(features)
    related = list_related_rows(features.data.records)
    return join_groups(len(features.data), related, found.together)
