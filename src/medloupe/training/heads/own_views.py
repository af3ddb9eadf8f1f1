"""Make again the field views that a finished model learned from, so that heads can be fitted as its own was."""

from __future__ import annotations

import numpy as np

from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.field import FieldFeatures, embed_field
from medloupe.embed.field_cuts import embed_field_cuts, embed_field_tuned
from medloupe.model.bundle import Model
from medloupe.training.heads.field import refit_with_views
from medloupe.training.heads.fit import HeadChoice
from medloupe.training.heads.solver import Solution
from medloupe.utils.stacked import stack_rows


def see_own_views(model: Model, features: Features, rows: np.ndarray, backbone: Backbone) -> FieldFeatures | None:
    """Embed field views of some rows, numbered by these; None of a model whose head learned from none.

    Of more pictures than training took, as many are taken. Of a model with a tail they are embedded by it, too.

    Parameters
    ----------
    model : Model
        Whose card says how many views it had.
    features : Features
        By the backbone.
    rows : np.ndarray
        int (n,).
    backbone : Backbone
        The model's, or its 8-bit form.
    """
    said = model.card.get("field") or {}
    if not said.get("weight"):
        return None
    most = int(said.get("pictures") or len(rows))
    some = rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:most])]
    rounds, seed = int(said.get("rounds") or 1), int(said.get("seed") or 0)
    if model.tail is not None:
        views, cuts = embed_field_cuts(features, some, backbone, rounds=rounds, seed=seed)
        return embed_field_tuned(views, cuts, model.tail).within(rows)
    return embed_field(features, some, backbone, rounds=rounds, seed=seed).within(rows)


def solve_as_own(
    model: Model, x: np.ndarray, y: np.ndarray, views: FieldFeatures, masks: list[np.ndarray], choice: HeadChoice
) -> list[Solution]:
    """Fit heads on the rows of each mask, bool (N,), and their views, weighed as the model's own; uncalibrated."""
    said = model.card["field"]
    return refit_with_views(
        x,
        y,
        views,
        masks,
        choice,
        weight=float(said["weight"]),
        freer=float(said.get("freer") or 1),
        task=str(model.card["task"]),
        levels=model.backbone.card.levels,
    )


def add_soft_views(
    embeddings: np.ndarray, groups: np.ndarray, views: FieldFeatures | None
) -> tuple[np.ndarray, np.ndarray]:
    """Put views that are not hard beside embeddings (N, D) and groups (N,), as what is refused is fitted on them."""
    if views is None:
        return embeddings, groups
    soft = views.part(views.severities != "hard")
    return stack_rows(embeddings, soft.shared), np.concatenate([groups, groups[soft.rows]])
