"""Measure how a model's figures move under what happens to pictures in the field.

Every change (imaging/corruptions.py) is made to the same images, which then go the ordinary way: fitting, network,
head, refusal. Images that the model was not trained on are judged by the model itself; of those that it was trained on,
by heads made in the same way that have not seen the image's group (heldout.py). Refused pictures count in all figures
like others: what is asked is what the answer would have been, and how many would have got none stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.data.contents import read_content
from medloupe.data.labels import is_healthy, positive_label
from medloupe.data.records import Dataset, Record
from medloupe.embed.network import Network
from medloupe.evaluation.basis import word_basis
from medloupe.evaluation.heldout import HeldOutPanel, assemble_panel
from medloupe.evaluation.judges import HeldOutJudge
from medloupe.evaluation.robustness import CorruptionRow, StressAnswers, StressQuestion, compare_figures, word_shifts
from medloupe.imaging import decode
from medloupe.imaging.corruptions import CORRUPTIONS, Corruption, limit_size
from medloupe.metrics.lines import reached
from medloupe.metrics.weighted import Metric
from medloupe.model.bundle import Model
from medloupe.model.head import probabilities
from medloupe.training.heads.ranking import ranking_scores
from medloupe.utils.batches import map_batches
from medloupe.utils.datauri import jpeg_uri
from medloupe.utils.progress import StageProgress

IMAGES = 300
_BATCH = 8  # pictures a network call


@dataclass(frozen=True, slots=True, kw_only=True)
class StressedPicture:
    """One image under one change, as the network gets it.

    Attributes
    ----------
    title : str
        Of the change.
    image : str
        JPEG as a data URI.
    words : str
        What was said of it.
    """

    title: str
    image: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StressResult:
    """A model's figures on unchanged pictures, and how each change moves them.

    Attributes
    ----------
    name, version
        Of the model; the version is None of a file's.
    data : str
        Name of the data set.
    images, groups : int
        How many were judged.
    judged : str
        By whom, as in `HeldOutPanel`; "learned" by a detector that has learned from these pictures.
    left_out : mapping of str to int
        Images not used, by reason.
    positive : str or None
        Of two classes the one that is looked for.
    unchanged : mapping of str to Metric
        Figures of the pictures as they were brought.
    rows : tuple of CorruptionRow
        One for each change.
    basis, words : tuple of str
        How it was judged, and what it comes to, in sentences.
    pictures : tuple of StressedPicture
        One image under every change, the first unchanged.
    """

    name: str
    version: int | None
    data: str
    images: int
    groups: int
    judged: str
    left_out: Mapping[str, int]
    positive: str | None
    unchanged: Mapping[str, Metric]
    rows: tuple[CorruptionRow, ...]
    basis: tuple[str, ...]
    words: tuple[str, ...]
    pictures: tuple[StressedPicture, ...]

    def as_json(self) -> dict[str, Any]:
        """Give the line that `stress --json` prints."""
        return {
            "name": self.name,
            "version": self.version,
            "data": self.data,
            "n": self.images,
            "groups": self.groups,
            "judged": self.judged,
            "left_out": dict(self.left_out),
            "positive": self.positive,
            "unchanged": dict(self.unchanged),
            "changes": [row.as_json() for row in self.rows],
            "basis": list(self.basis),
            "words": list(self.words),
        }


def stress_entry(stressed: StressResult) -> dict[str, Any]:
    """Build the card's entry `stress` (docs/card.md): figures to four digits, no pictures."""
    said = stressed.as_json()
    return {key: _round_floats(said[key]) for key in said if key not in ("name", "version", "left_out")}


def stress(
    model: Model,
    data: Dataset,
    *,
    changes: Sequence[Corruption] = CORRUPTIONS,
    images: int = IMAGES,
    seed: int = 0,
    progress: StageProgress | None = None,
) -> StressResult:
    """Judge a model on pictures as they were brought and under every change.

    Where most of the data are images that the model was trained on, these are judged and the others left out; else the
    other way round. The same arguments give the same figures.

    Parameters
    ----------
    model : Model
        Of pictures.
    data : Dataset
        With its labels.
    changes : sequence of Change
        What is done to the pictures.
    images : int
        About so many are judged, whole groups of patients and copies, labels in their proportions.
    seed : int
        Of the choice, the changes and the bootstrap.
    progress : callable, optional
        Told the stage, how much of it is done, and of how much.

    Returns
    -------
    StressResult
        Figures, words, and one image under every change.

    Raises
    ------
    DataError
        When the labels do not fit the model's, or nothing can judge it.
    """
    model.require_classes("the stress test")
    say = progress or (lambda stage, done, total: None)
    chosen = assemble_panel(model, data, images, seed, say)
    asked = StressQuestion(
        targets=chosen.targets,
        groups=chosen.groups,
        labels=model.labels,
        task=str(model.card["task"]),
        positive=_find_positive(model, chosen.targets),
    )
    logits, scores, altered = _run_network(model, chosen, changes, seed, say)
    before, *after = (_apply_rules(model, chosen.judges, logits[:, c], scores[:, c]) for c in range(logits.shape[1]))
    listed = list(zip(changes, after, altered.mean(0).tolist(), strict=True))
    unchanged, rows = compare_figures(asked, before, listed, seed)
    groups = len(np.unique(chosen.groups))
    return StressResult(
        name=model.name,
        version=model.version,
        data=data.name,
        images=len(chosen.records),
        groups=groups,
        judged=chosen.judged,
        left_out={reason: n for reason, n in chosen.left_out.items() if n},
        positive=asked.positive,
        unchanged=unchanged,
        rows=rows,
        basis=word_basis(model, data, chosen),
        words=word_shifts(unchanged, rows, groups),
        pictures=_render_strip(model, chosen, changes, [before, *after], asked, seed),
    )


def _find_positive(model: Model, targets: np.ndarray) -> str | None:
    """Find of two classes the one looked for, if there are cases with and without it."""
    name = model.card.get("positive") or positive_label(model.labels, str(model.card["task"]))
    if name not in model.labels:
        return None
    column = targets[:, model.labels.index(name)]
    return str(name) if (column == 1).any() and (column == 0).any() else None


def _run_network(
    model: Model, chosen: HeldOutPanel, changes: Sequence[Corruption], seed: int, say: StageProgress
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run the network on every picture, unchanged and under every change.

    Returns
    -------
    logits : np.ndarray
        float32 (n, 1 + C, K), unchanged first.
    scores : np.ndarray
        float32 (n, 1 + C), of novelty; NaN where nothing is refused.
    altered : np.ndarray
        bool (n, C), whether the change altered the picture.
    """
    n, size = len(chosen.records), model.backbone.card.input_size
    judge = {int(i): j for j in chosen.judges for i in j.rows}
    network = Network(model.backbone, model.tail, threads=1)
    logits = np.empty((n, 1 + len(changes), len(model.labels)), np.float32)
    scores = np.full((n, 1 + len(changes)), np.nan, np.float32)
    altered = np.zeros((n, len(changes)), bool)

    def look(taken: list[int]) -> int:
        for i in taken:
            fitted, altered[i] = _apply_changes(chosen.records[i], changes, size, seed)
            for start in range(0, len(fitted), _BATCH):
                part = slice(start, start + _BATCH)
                found = network.see(fitted[part])
                logits[i, part] = judge[i].head.logits(found.embedding)
                if (novelty := judge[i].novelty) is not None:
                    scores[i, part] = novelty.score(found.shared)
        return len(taken)

    done = 0
    say("changing pictures", 0, n)
    for count in map_batches(range(n), 1, lambda: look):
        done += count
        say("changing pictures", done, n)
    return logits, scores, altered


def _apply_changes(
    record: Record, changes: Sequence[Corruption], size: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Change a picture, to uint8 (1 + C, S, S, 3) as the network gets it, unchanged first; which altered it (C,)."""
    raw = read_content(record.picture)
    whole = limit_size(decode.decode(raw))
    fitted = np.empty((1 + len(changes), size, size, 3), np.uint8)
    fitted[0] = decode.load(raw, size)
    altered = np.zeros(len(changes), bool)
    for c, change in enumerate(changes):
        made = change(whole, seed)
        altered[c] = not np.array_equal(made, whole)
        fitted[c + 1] = decode.fit(made, size) if altered[c] else fitted[0]
    return fitted, altered


def _apply_rules(model: Model, judges: Sequence[HeldOutJudge], logits: np.ndarray, scores: np.ndarray) -> StressAnswers:
    """Turn logits (n, K) and novelty scores (n,) into answers, each by the rules of its judge."""
    task = str(model.card["task"])
    p = probabilities(logits, task)
    flags, called = np.zeros(p.shape, bool), np.zeros(p.shape, bool)
    for judge in judges:
        rows = judge.rows
        flags[rows] = reached(judge.rule, p[rows])
        called[rows, p[rows].argmax(1)] = True
    return StressAnswers(
        scores=ranking_scores(logits, task),
        probabilities=p,
        called=flags if task == "multilabel" else called,
        flags=flags,
        refused=None if np.isnan(scores).all() else scores > 1,
    )


def _render_strip(
    model: Model,
    chosen: HeldOutPanel,
    changes: Sequence[Corruption],
    said: Sequence[StressAnswers],
    asked: StressQuestion,
    seed: int,
) -> tuple[StressedPicture, ...]:
    """Render one image under every change: an ill one that is rightly called unchanged, if there is one."""
    y = asked.targets
    ill = [
        k for k, name in enumerate(model.labels) if (name == asked.positive if asked.positive else not is_healthy(name))
    ]
    wanted = (y[:, ill] == 1).any(1)
    right = (said[0].called == (y == 1)).all(1)
    refused = said[0].refused if said[0].refused is not None else np.zeros(len(y), bool)
    i = int(np.argmax(4 * wanted.astype(int) + 2 * right + ~refused))
    fitted, _ = _apply_changes(chosen.records[i], changes, model.backbone.card.input_size, seed)
    made = []
    for title, pixels, answer in zip(["unchanged", *(c.title for c in changes)], fitted, said, strict=True):
        names = [n for n, c in zip(model.labels, answer.called[i], strict=True) if c]
        words = ", ".join(names) or "none of the findings"
        if asked.task == "multiclass":
            words += f" {answer.probabilities[i][answer.called[i]].max():.0%}"
        if answer.refused is not None and answer.refused[i]:
            words = "refused"
        made.append(StressedPicture(title=title, image=jpeg_uri(pixels), words=words))
    return tuple(made)


def _round_floats(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {k: _round_floats(v) for k, v in value.items()}
    return [_round_floats(v) for v in value] if isinstance(value, list) else value
