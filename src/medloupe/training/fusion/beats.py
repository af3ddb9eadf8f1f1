"""Weigh shape and rhythm of beats by one head.

With tens of thousands of beats and a handful of numbers beside them, nothing is gained by fitting the rhythm on top of
what the shape's head says; and where the network has seen the same recordings, that head is too sure of itself to leave
the rhythm anything to add. So both are fitted together, and the one matrix is then taken apart: the columns of the
network's embedding become the model's head, those of the rhythm its extras. A beat whose rhythm is not known gets
nothing from it, like that of an average one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medloupe.data.modalities import MODALITIES
from medloupe.data.records import Dataset
from medloupe.data.split import Plan
from medloupe.embed.features import Features
from medloupe.inputs.clinical import Column
from medloupe.inputs.extras import Extras
from medloupe.model.head import Head
from medloupe.training.fusion.choose import ChosenInputs
from medloupe.training.fusion.contributions import ALL, IMAGE, NOTHING, TABLE, compare_contributions, word_contributions
from medloupe.training.fusion.encoding import EncodedInputs
from medloupe.training.heads.fit import HeadChoice, build_head
from medloupe.training.heads.refit import refit
from medloupe.training.heads.row_weights import balanced_sample_weights
from medloupe.training.heads.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class JointFeatures:
    """Shape and rhythm as one embedding.

    Attributes
    ----------
    features : Features
        Embeddings float32 (N, D + F), the encoded columns behind the network's numbers.
    levels : tuple of int
        How these divide; the last level is the rhythm.
    columns : tuple of Column
        Of the rhythm.
    """

    features: Features
    levels: tuple[int, ...]
    columns: tuple[Column, ...]

    @property
    def width(self) -> int:
        """D, how many numbers the network gives."""
        return sum(self.levels[:-1])

    def split_head(self, head: Head) -> tuple[Head, Extras | None]:
        """Split a head on both into one on the network's numbers and the extras, None where these were left out."""
        d = self.width
        shape = replace(head, weight=np.ascontiguousarray(head.weight[:, :d]))
        if not head.weight[:, d:].any():
            return shape, None
        return shape, Extras(columns=self.columns, notes=None, weight=np.ascontiguousarray(head.weight[:, d:]))


def holds_beats(data: Dataset) -> bool:
    """Tell whether a data set is one of beats with their rhythm."""
    return data.things == MODALITIES[data.modality].parts


def join_rhythm(
    features: Features, plan: Plan, inputs: ChosenInputs, levels: tuple[int, ...], seed: int
) -> JointFeatures | None:
    """Join the rhythm behind the features, encoded as the rows learned from say.

    Parameters
    ----------
    features : Features
        By the network.
    plan : Plan
        Which rows may be learned from.
    inputs : ChosenInputs
        With columns of the rhythm.
    levels : tuple of int
        How the network's embedding divides.
    seed : int
        Of the encoders.

    Returns
    -------
    JointFeatures or None
        None where no column can be used, or notes are to be read, which are not fitted this way.
    """
    columns, notes = inputs.fit_encoders(plan.fitting, seed)
    if not columns or notes is not None:
        return None
    encoded = EncodedInputs.encode(columns, None, inputs.rows).clinical
    both = np.concatenate([features.embeddings, encoded], axis=1)
    return JointFeatures(
        features=replace(features, embeddings=both), levels=(*levels, encoded.shape[1]), columns=columns
    )


def describe_rhythm(
    joined: JointFeatures, plan: Plan, verdict: Verdict, inputs: ChosenInputs, seed: int
) -> dict[str, Any]:
    """Build the card's entry `inputs`: what shape and rhythm tell alone and together, judged as the headline is."""
    _, extras = joined.split_head(verdict.head)
    rows = verdict.rows if plan.test is not None else verdict.judging
    x, y = joined.features.embeddings, joined.features.data.targets
    task = joined.features.data.task
    parts = tuple(range(len(joined.levels)))
    systems = {
        IMAGE: _answer_by_levels(joined, plan, verdict, parts[:-1]),
        TABLE: _answer_by_levels(joined, plan, verdict, parts[-1:]),
        ALL: verdict.judged.probabilities[:1],
    }
    if verdict.on_fitting is not None:
        without = x[rows].copy()
        without[:, joined.width :] = 0
        systems[NOTHING] = verdict.on_fitting.head.probabilities(without)[None]
    table = compare_contributions(systems, y[rows], plan.groups[rows], task, seed)
    used = extras.names if extras is not None else ()
    unused = [c.name for c in joined.columns if c.name not in used]
    return {
        "fields": extras.fields() if extras is not None else [],
        **inputs.as_json(),
        "fusion": table,
        "unused": unused,
        "words": word_contributions(table, used, unused, "shape"),
    }


def _answer_by_levels(joined: JointFeatures, plan: Plan, verdict: Verdict, parts: tuple[int, ...]) -> np.ndarray:
    """Answer the judged rows, (1, n, K), by heads that have only some of the levels."""
    x, y, task = joined.features.embeddings, joined.features.data.targets, joined.features.data.task
    base = verdict.on_fitting or verdict.fitted  # with a test split, what was fitted without it
    choice = HeadChoice(c=base.choice.c, levels=parts)
    if plan.test is not None:
        turns = [(plan.fitting, plan.test)]
    else:
        fold = verdict.fitted.folds[0]
        turns = [(verdict.judging[fold != f], verdict.judging[fold == f]) for f in np.unique(fold)]
    learned = plan.fitting if plan.test is not None else verdict.judging
    evenly, weights = balanced_sample_weights(y[learned], plan.groups[learned], task), None
    if evenly is not None:
        weights = np.zeros(len(y), np.float32)
        weights[learned] = evenly
    solutions = refit(x, y, [part for part, _ in turns], choice, task=task, levels=joined.levels, weights=weights)
    rows = verdict.rows if plan.test is not None else verdict.judging
    at = {row: i for i, row in enumerate(rows.tolist())}
    p = np.zeros((1, len(rows), y.shape[1]), np.float32)
    for solution, (_, asked) in zip(solutions, turns, strict=True):
        head = build_head(solution, base.temperature, task)
        p[0, [at[row] for row in asked.tolist()]] = head.probabilities(x[asked])
    return p
