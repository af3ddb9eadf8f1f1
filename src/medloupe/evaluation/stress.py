"""How a model's figures move under what happens to pictures in the field.

Every change (disturb.py) is made to the same images, which then go the ordinary way: fitting, network, head, refusal.
Images that the model was not trained on are judged by the model itself; of those that it was trained on, by heads made
in the same way that have not seen the image's group (standins.py). Refused pictures count in all figures like others:
what is asked is what the answer would have been, and how many would have got none stands beside it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from medloupe.data.labels import is_healthy, positive_label
from medloupe.data.records import Dataset, Record
from medloupe.data.scan import read_content
from medloupe.embed.network import Network
from medloupe.evaluation.heldout import Judge, Panel, panel
from medloupe.evaluation.robustness import Answered, Asked, Row, sentences, table
from medloupe.imaging import decode as pictures
from medloupe.imaging.corruptions import CORRUPTIONS, Corruption, limit_size
from medloupe.metrics.weighted import Metric
from medloupe.model.bundle import Model
from medloupe.model.head import probabilities
from medloupe.training.heads.ranking import ranking_scores
from medloupe.utils.batches import map_batches
from medloupe.utils.progress import StageProgress

IMAGES = 300
_BATCH = 8  # pictures a network call
_MOST_OF_IT = 0.8  # share of the training images below which stand-in heads are said to be weaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image under one change, as the network gets it. image: JPEG as a data URL. words: what was said of it."""

    title: str
    image: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stressed:
    """A model's figures on unchanged pictures, and how each change moves them.

    data: name of the data set. images, groups: judged. judged: as in standins.Panel. left_out: images not used, by
    reason. unchanged: figures of the pictures as they were brought. basis: how it was judged, in sentences. pictures:
    one image under every change, the first unchanged.
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
    rows: tuple[Row, ...]
    basis: tuple[str, ...]
    pictures: tuple[Picture, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """What it comes to, for a person."""
        return sentences(self.unchanged, self.rows, self.groups)

    def as_json(self) -> dict[str, Any]:
        """The line that `stress --json` prints."""
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


def as_card(stressed: Stressed) -> dict[str, Any]:
    """The card's entry `stress` (docs/card.md): figures to four digits, no pictures."""
    said = stressed.as_json()
    return {key: _rounded(said[key]) for key in said if key not in ("name", "version", "left_out")}


def stress(
    model: Model,
    data: Dataset,
    *,
    changes: Sequence[Corruption] = CORRUPTIONS,
    images: int = IMAGES,
    seed: int = 0,
    progress: StageProgress | None = None,
) -> Stressed:
    """Judge a model on pictures as they were brought and under every change.

    images: about so many are judged, whole groups of patients and copies, labels in their proportions. Where most of
    the data are images that the model was trained on, these are judged and the others left out; else the other way
    round. The same arguments give the same figures. Raises DataError when the labels do not fit the model's, or nothing
    can judge it.
    """
    say = progress or (lambda stage, done, total: None)
    chosen = panel(model, data, images, seed, say)
    asked = Asked(
        targets=chosen.targets,
        groups=chosen.groups,
        labels=model.labels,
        task=str(model.card["task"]),
        positive=_positive(model, chosen.targets),
    )
    logits, scores, altered = _looked(model, chosen, changes, seed, say)
    before, *after = (_answered(model, chosen.judges, logits[:, c], scores[:, c]) for c in range(logits.shape[1]))
    listed = list(zip(changes, after, altered.mean(0).tolist(), strict=True))
    unchanged, rows = table(asked, before, listed, seed)
    return Stressed(
        name=model.name,
        version=model.version,
        data=data.name,
        images=len(chosen.records),
        groups=len(np.unique(chosen.groups)),
        judged=chosen.judged,
        left_out={reason: n for reason, n in chosen.left_out.items() if n},
        positive=asked.positive,
        unchanged=unchanged,
        rows=rows,
        basis=_basis(model, data, chosen),
        pictures=_strip(model, chosen, changes, [before, *after], asked, seed),
    )


def _positive(model: Model, targets: np.ndarray) -> str | None:
    """Of two classes the one looked for, if there are cases with and without it."""
    name = model.card.get("positive") or positive_label(model.labels, str(model.card["task"]))
    if name not in model.labels:
        return None
    column = targets[:, model.labels.index(name)]
    return str(name) if (column == 1).any() and (column == 0).any() else None


# ------------------------------------------------------------------ pictures


def _looked(
    model: Model, chosen: Panel, changes: Sequence[Corruption], seed: int, say: StageProgress
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits (n, 1 + C, K) of every picture, unchanged first; novelty scores (n, 1 + C), NaN where nothing is refused;
    and whether each change altered it (n, C)."""
    n, size = len(chosen.records), model.backbone.card.input_size
    judge = {int(i): j for j in chosen.judges for i in j.rows}
    network = Network(model.backbone, model.tail, threads=1)
    logits = np.empty((n, 1 + len(changes), len(model.labels)), np.float32)
    scores = np.full((n, 1 + len(changes)), np.nan, np.float32)
    altered = np.zeros((n, len(changes)), bool)

    def look(taken: list[int]) -> int:
        for i in taken:
            fitted, altered[i] = _changed(chosen.records[i], changes, size, seed)
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


def _changed(record: Record, changes: Sequence[Corruption], size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures as the network gets them, uint8 (1 + C, S, S, 3), unchanged first; which changes altered it (C,)."""
    raw = read_content(record.picture)
    whole = limit_size(pictures.decode(raw))
    fitted = np.empty((1 + len(changes), size, size, 3), np.uint8)
    fitted[0] = pictures.load(raw, size)
    altered = np.zeros(len(changes), bool)
    for c, change in enumerate(changes):
        made = change(whole, seed)
        altered[c] = not np.array_equal(made, whole)
        fitted[c + 1] = pictures.fit(made, size) if altered[c] else fitted[0]
    return fitted, altered


def _answered(model: Model, judges: Sequence[Judge], logits: np.ndarray, scores: np.ndarray) -> Answered:
    """Logits (n, K) and novelty scores (n,) to answers, each by the rules of its judge."""
    task = str(model.card["task"])
    p = probabilities(logits, task)
    flags, called = np.zeros(p.shape, bool), np.zeros(p.shape, bool)
    for judge in judges:
        rows = judge.rows
        flags[rows] = p[rows] >= judge.limits
        called[rows, (p[rows] * judge.weights).argmax(1)] = True
    return Answered(
        scores=ranking_scores(logits, task),
        probabilities=p,
        called=flags if task == "multilabel" else called,
        flags=flags,
        refused=None if np.isnan(scores).all() else scores > 1,
    )


def _strip(
    model: Model, chosen: Panel, changes: Sequence[Corruption], said: Sequence[Answered], asked: Asked, seed: int
) -> tuple[Picture, ...]:
    """One image under every change: a case of something ill that is rightly called unchanged, if there is one."""
    y = asked.targets
    ill = [
        k for k, name in enumerate(model.labels) if (name == asked.positive if asked.positive else not is_healthy(name))
    ]
    wanted = (y[:, ill] == 1).any(1)
    right = (said[0].called == (y == 1)).all(1)
    refused = said[0].refused if said[0].refused is not None else np.zeros(len(y), bool)
    i = int(np.argmax(4 * wanted.astype(int) + 2 * right + ~refused))
    fitted, _ = _changed(chosen.records[i], changes, model.backbone.card.input_size, seed)
    made = []
    for title, pixels, answer in zip(["unchanged", *(c.title for c in changes)], fitted, said, strict=True):
        names = [n for n, c in zip(model.labels, answer.called[i], strict=True) if c]
        words = ", ".join(names) or "none of the findings"
        if asked.task == "multiclass":
            words += f" {answer.probabilities[i][answer.called[i]].max():.0%}"
        if answer.refused is not None and answer.refused[i]:
            words = "refused"
        made.append(Picture(title=title, image=_data_url(pixels), words=words))
    return tuple(made)


def _data_url(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


# ------------------------------------------------------------------ words


def _basis(model: Model, data: Dataset, chosen: Panel) -> tuple[str, ...]:
    n, groups = len(chosen.records), len(np.unique(chosen.groups))
    some = f"{n:,} of the {chosen.of:,}" if n < chosen.of else f"the {n:,}"
    said = [f"Judged on {some} images of {data.name} ({groups:,} groups of patients and copies)"]
    if chosen.judged == "model":
        said[0] += ", none of which the model was trained on, by the model itself."
    elif chosen.judged == "test split":
        said[0] += " in the test split that the data brings, by a head fitted like the model's own without them."
    else:
        said[0] += (
            " that the model was trained on, each by a head fitted like the model's own without the image's group"
            f" ({len(chosen.judges)} folds)."
        )
        if model.tuned:
            said.append("The tuned stages have seen these pictures: differences hold, levels are flattered.")
    if chosen.judged == "model" and model.card.get("adapted"):
        said.append(
            "Its lines and percentages were fitted to local cases; where these are among them, they are flattered."
        )
    if chosen.judged != "model":
        whole = (model.card.get("data") or {}).get("labelled") or 0
        if chosen.fitted < _MOST_OF_IT * whole:
            said.append(
                f"Only {chosen.fitted:,} of the {whole:,} images that the model was trained on are here: these heads"
                " know less than its own."
            )
        if model.novelty is not None and model.novelty.contrast is not None:
            said.append(
                "What sets its kind apart from others has seen these pictures: a few more may be refused of new ones."
            )
        if model.card.get("adapted"):
            said.append("The model's adaptation to local cases is left out.")
    listed = [f"{count:,} {reason}" for reason, count in chosen.left_out.items() if count]
    if listed:
        said.append(f"Left out: {', '.join(listed)}.")
    return tuple(said)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, list) else value
