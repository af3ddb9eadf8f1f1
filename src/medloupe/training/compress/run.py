"""A model in fewer bits, accepted only where it keeps its accuracy.

8 bits: the network becomes integers (quantise.py), the head is fitted anew on what that network gives, and both are
judged on the images the model was trained on, each by a head without its group (fidelity.py). First the shipped 8-bit
network is tried, which models share; where it costs too much, one calibrated on the model's own training images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medloupe.data.scan import Scan
from medloupe.data.split import Plan, plan_split
from medloupe.embed import eightbit
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features, embed
from medloupe.embed.tail import Tail
from medloupe.errors import CompressionRefusedError, DataError
from medloupe.graphs.latency import measure_pace
from medloupe.graphs.session import open_session, run
from medloupe.imaging.decode import load
from medloupe.metrics.tables import target_sensitivity, thresholds
from medloupe.model.bundle import Model
from medloupe.model.head import Head
from medloupe.model.novelty import Novelty
from medloupe.training.audit.findings import audit
from medloupe.training.compress import fidelity
from medloupe.training.compress.fidelity import Judgement, Task
from medloupe.training.heads.fit import HeadChoice
from medloupe.utils.progress import StageProgress

CALIBRATED_ON = 128  # training images, at most
_SHIPPED_ON = 160  # pictures that the shipped 8-bit network was calibrated on (scripts/build_int8.py)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """A model in 8 bits. file: the same as one network, for writing a file. accepted: whether it keeps the accuracy;
    what it costs stands in `model.card["precision"]`."""

    model: Model
    file: Model
    accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """One 8-bit network. whole: with its tail in it. source: how it was calibrated, for the card."""

    backbone: Backbone
    tail: Tail | None
    whole: Backbone
    features: Features
    judged: Judgement
    source: dict[str, Any]


def compress(model: Model, found: Scan, *, force: bool = False, progress: StageProgress | None = None) -> Compressed:
    """The model in 8 bits. found: the images it was trained on (whereabouts.scanned).

    force: also where it costs more accuracy than allowed; the card then says so. Raises CompressionRefusedError, with
    both figures, where it does; DataError where the model cannot be made 8-bit or judged; StoreError when the disk is
    full.
    """
    if model.backbone.card.modality != "image":
        raise DataError(
            f"{model.name} reads ECGs: its network is not written in 8 bits, which only pays for networks of pictures.",
            "Export it with --precision fp16, or as it is.",
        )
    if model.onnx is not None and model.backbone.path == model.onnx:
        raise DataError(
            f"{model.name} is at hand as one file only, which cannot be taken apart.",
            "Export it in 8 bits where it was trained.",
        )
    say = progress or (lambda stage, done, total: None)
    whole = _whole(model.backbone, model.tail)
    features = embed(found, whole, lambda d, t: say("embedding", d, t))
    usual = features if model.tail is None else embed(found, model.backbone, lambda d, t: say("embedding", d, t))
    planned = plan_split(features.data, audit(usual, _seed(model)).groups)
    rows = planned.fitting  # an official test split stays out of the decision, as it did in training
    say("judging", 0, 1)
    before = fidelity.judge(features.embeddings[rows], _task(model, features, planned, rows))
    say("judging", 1, 1)
    best: _Candidate | None = None
    for backbone, tail, source in _networks(model, features, planned, say):
        eight = _whole(backbone, tail)
        made = embed(found, eight, lambda d, t: say("embedding in 8 bits", d, t))
        judged = fidelity.judge(made.embeddings[rows], _task(model, made, planned, rows), before)
        candidate = _Candidate(backbone=backbone, tail=tail, whole=eight, features=made, judged=judged, source=source)
        ahead = fidelity.worst_fall(before.figures, judged.figures)
        if best is None or ahead < fidelity.worst_fall(before.figures, best.judged.figures):
            best = candidate
        if ahead <= 1:
            break
    if best is None:
        raise DataError(
            f"The network of {model.name} has no convolutions that could be written in 8 bits.",
            "Export it with --precision fp16.",
        )
    fell = fidelity.falls(before.figures, best.judged.figures)
    if fell and not force:
        raise CompressionRefusedError(
            f"{model.name} was not written in 8 bits: {'; '.join(fell)}.",
            "Use --precision fp16, which costs nothing, or overrule this with --force; the card will say so.",
            before.figures.as_json(),
            best.judged.figures.as_json(),
        )
    return _assembled(model, whole, best, before, planned, fell, found)


def half(model: Model) -> Model:
    """The model for a file in half precision: its card says so, its weights are rounded when the file is written."""
    said = {"precision": "fp16", "words": "Weights are stored in half precision and computed in single precision."}
    return replace(model, card={**model.card, "precision": said}, onnx=None)


def _networks(model: Model, features: Features, planned: Plan, say: StageProgress) -> Any:
    """Backbone, tail and how they were calibrated, one after another; each is only made when it is asked for."""
    base = eightbit.find_shipped_network(model.backbone)
    images: list[np.ndarray] = []

    def own() -> list[np.ndarray]:
        if not images:
            images.extend(_calibration(features, planned, model.backbone.card.input_size, _seed(model), say))
        return images

    for backbone in dict.fromkeys((base, None)):  # where none is shipped, it is made once
        try:
            made = backbone or eightbit.quantise_backbone(model.backbone, own())
            tail = None if model.tail is None else eightbit.quantise_tail(model.tail, made, own())
        except ValueError:  # nothing in it that could be 8-bit
            continue
        source: dict[str, Any] = {"method": "range without the rarest 1 in 100,000 values; bias corrected"}
        if made is base:
            source |= {
                "images": _SHIPPED_ON,
                "of": "openly licensed pictures of several kinds (the shipped 8-bit network)",
            }
            if tail is not None:
                source |= {"tail_images": len(images)}
        else:
            source |= {"images": len(images), "of": "the training images of this model"}
        if made is base or base is None or made.sha256 != base.sha256:
            yield made, tail, source


def _calibration(features: Features, planned: Plan, size: int, seed: int, say: StageProgress) -> list[np.ndarray]:
    """Training images uint8 (S, S, 3), at most one a group while there are enough groups, never one of a test split."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(planned.fitting)
    _, first = np.unique(planned.groups[order], return_index=True)
    chosen = [*order[np.sort(first)], *np.delete(order, first)][:CALIBRATED_ON]
    images = []
    for i, row in enumerate(chosen):
        images.append(load(features.data.records[row].picture, size))
        say("calibrating", i + 1, len(chosen))
    return images


def _assembled(
    model: Model, whole: Backbone, best: _Candidate, before: Judgement, planned: Plan, fell: list[str], found: Scan
) -> Compressed:
    """The accepted or forced model: head, refusal and thresholds for the 8-bit network, and what it costs."""
    every = np.flatnonzero(~np.isnan(best.features.data.targets).all(1))
    task = _task(model, best.features, planned, every)
    x = best.features.embeddings[every]
    same = np.array_equal(every, planned.fitting)
    judged = best.judged if same else fidelity.judge(x, task)
    # Out of fold, tuned stages that have seen the images look surer than they are: what training measured stands.
    temperature = model.card["calibration"]["temperature"] if model.tuned else None
    head = fidelity.fit_head(x, task, judged, temperature)
    novelty = model.novelty
    if novelty is not None:
        plain = best.features if best.tail is None else embed(found, best.backbone)
        fitted = Novelty.fit(plain.embeddings[every], planned.groups[every], novelty.levels, task.seed)
        novelty = fitted and replace(fitted, contrast=novelty.contrast)  # other kinds are not at hand
    limits = thresholds(judged.probabilities[0], task.targets, task.sensitivity)
    card = {**model.card, "backbone": best.backbone.as_json()}
    if not model.tuned and model.extras is None:  # lines of a model that reads more were drawn with that
        card["per_label"] = _per_label(model, limits)
    if best.tail is not None:
        card["tail"] = best.tail.as_json()
    card["precision"] = _said(model, whole, best, before, len(planned.fitting), fell, head, novelty, card)
    small = replace(model, backbone=best.backbone, tail=best.tail, head=head, novelty=novelty, card=card, onnx=None)
    return Compressed(model=small, file=replace(small, backbone=best.whole, tail=None), accepted=not fell)


def _said(
    model: Model,
    whole: Backbone,
    best: _Candidate,
    before: Judgement,
    n: int,
    fell: list[str],
    head: Head,
    novelty: Novelty | None,
    card: dict[str, Any],
) -> dict[str, Any]:
    """The card's entry `precision`: both sets of figures, sizes and latencies (docs/card.md)."""

    size = model.backbone.card.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    opened = [open_session(network.path, threads=1) for network in (whole, best.whole)]
    pace = measure_pace([lambda s=s: run(s, ["embedding"], pixels) for s in opened])
    before_file = replace(model, backbone=whole, tail=None, report="", onnx=None)
    said: dict[str, Any] = {
        "precision": "int8",
        "accepted": not fell,
        "forced": bool(fell),
        "fp32": {**before.figures.as_json(), "bytes": _size(before_file), "latency_ms": pace.milliseconds[0]},
        "int8": {**best.judged.figures.as_json(), "bytes": 0, "latency_ms": pace.milliseconds[1]},
        "times_faster": pace.times_faster[1],
        "calibration": best.source,
        "judged": {
            "images": n,
            "words": " ".join((_JUDGED, *[_TUNED] * model.tuned, *[_ALONE] * (model.extras is not None))),
            "fell": fell,
        },
    }
    file = Model(backbone=best.whole, head=head, card={**card, "precision": said}, novelty=novelty, extras=model.extras)
    bare = _size(file) - 1  # the size stands in the file itself
    said["int8"]["bytes"] = next(n for n in range(bare, bare + 16) if n == bare + len(str(n)))
    return said


_JUDGED = (
    "Cross-validation by patient or group on the images it was trained on, without an official test split: each by a"
    " head fitted, on either network, without its group."
)
_TUNED = (
    "The tuned stages themselves had seen these images, which flatters both figures alike: what counts is the"
    " difference; how good the model is stands in `metrics`."
)
_ALONE = (
    "Judged is what the model makes of the picture alone; what it reads beside it is computed as before and only added."
)


def _size(model: Model) -> int:
    """Bytes of the file that export writes."""
    from medloupe.modelfile.writer import build

    return len(build(model).SerializeToString(deterministic=True))


def _task(model: Model, features: Features, planned: Plan, rows: np.ndarray) -> Task:
    card = model.card
    return Task(
        labels=model.labels,
        kind=card["task"],
        targets=features.data.targets[rows],
        groups=planned.groups[rows],
        levels=model.backbone.card.levels,
        choice=HeadChoice(c=float(card["head"]["regularisation"]), levels=tuple(card["head"]["levels"])),
        seed=_seed(model),
        sensitivity=target_sensitivity(card),
    )


def _per_label(model: Model, limits: np.ndarray) -> list[dict[str, Any]]:
    """The card's rows with the thresholds for the 8-bit network; their figures are those measured in training."""
    rows = []
    for row in model.card.get("per_label") or ():
        limit = limits[model.labels.index(row["label"])]
        threshold = None if np.isnan(limit) else float(limit)
        rows.append({**row, "operating_point": {**row["operating_point"], "threshold": threshold}})
    return rows


def _whole(backbone: Backbone, tail: Tail | None) -> Backbone:
    return backbone if tail is None else eightbit.compose_network(backbone, tail)


def _seed(model: Model) -> int:
    return int(model.card["head"]["seed"])
