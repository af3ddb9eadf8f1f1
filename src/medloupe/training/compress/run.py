"""Compress a model to fewer bits, accepted only where it keeps its accuracy.

8 bits: the network becomes integers (embed/eightbit.py), the head is fitted anew on what that network gives, and both
are judged on the images the model was trained on, each by a head without its group (fidelity.py). First the shipped
8-bit network is tried, which models share; where it costs too much, one calibrated on the model's own training images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medloupe.data.modalities import MODALITIES
from medloupe.data.scan import Scan
from medloupe.data.split import Plan, plan_split
from medloupe.embed import eightbit
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features, embed
from medloupe.embed.modalities import EMBEDDINGS
from medloupe.embed.tail import Tail
from medloupe.errors import CompressionRefusedError, DataError
from medloupe.imaging.decode import load
from medloupe.metrics.lines import fit_rule
from medloupe.metrics.tables import target_sensitivity
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision
from medloupe.model.novelty import Novelty
from medloupe.training.audit.findings import audit
from medloupe.training.compress import fidelity
from medloupe.training.compress.card import build_precision_entry
from medloupe.training.compress.fidelity import PrecisionJudgement, PrecisionTask
from medloupe.training.heads.fit import HeadChoice
from medloupe.training.heads.own_views import add_soft_views, see_own_views, solve_as_own
from medloupe.utils.progress import StageProgress

CALIBRATED_ON = 128  # training images, at most
_SHIPPED_ON = 160  # pictures that the shipped 8-bit network was calibrated on (scripts/build_int8.py)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedModel:
    """A model in 8 bits.

    Attributes
    ----------
    model : Model
        With what it costs in `model.card["precision"]`.
    file : Model
        The same as one network, for writing a file.
    accepted : bool
        Whether it keeps the accuracy.
    """

    model: Model
    file: Model
    accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _EightBitCandidate:
    """One 8-bit network.

    Attributes
    ----------
    backbone, tail
        In 8 bits.
    whole : Backbone
        With its tail in it.
    features : Features
        By it.
    judged : PrecisionJudgement
        Of these.
    source : dict
        How it was calibrated, for the card.
    """

    backbone: Backbone
    tail: Tail | None
    whole: Backbone
    features: Features
    judged: PrecisionJudgement
    source: dict[str, Any]


def compress(
    model: Model, found: Scan, *, force: bool = False, progress: StageProgress | None = None
) -> CompressedModel:
    """Write a model's network in 8 bits, and judge what that costs.

    Parameters
    ----------
    model : Model
        A finished one, of pictures.
    found : Scan
        The images it was trained on (`whereabouts.scan_training_data`).
    force : bool
        Also where it costs more accuracy than allowed; the card then says so.
    progress : callable, optional
        Told the stage, how much of it is done, and of how much.

    Returns
    -------
    CompressedModel
        The model, and whether it keeps its accuracy.

    Raises
    ------
    CompressionRefusedError
        With both figures, where it costs more accuracy than allowed.
    DataError
        Where the model cannot be made 8-bit or judged.
    StoreError
        When the disk is full.
    """
    _check_compressible(model)
    say = progress or (lambda stage, done, total: None)
    whole = _join_tail(model.backbone, model.tail)
    features = embed(found, whole, lambda d, t: say("embedding", d, t))
    usual = features if model.tail is None else embed(found, model.backbone, lambda d, t: say("embedding", d, t))
    planned = plan_split(features.data, audit(usual, _seed(model)).groups)
    rows = planned.fitting  # an official test split stays out of the decision, as it did in training
    say("judging", 0, 1)
    before = fidelity.judge_embeddings(features.embeddings[rows], _describe_task(model, features, planned, rows))
    say("judging", 1, 1)
    best = _choose_network(model, found, features, planned, before, say)
    fell = fidelity.describe_falls(before.figures, best.judged.figures)
    if fell and not force:
        raise CompressionRefusedError(
            f"{model.name} was not written in 8 bits: {'; '.join(fell)}.",
            "Use --precision fp16, which costs nothing, or overrule this with --force; the card will say so.",
            before.figures.as_json(),
            best.judged.figures.as_json(),
        )
    return _assemble(model, whole, best, before, planned, fell, found)


def _check_compressible(model: Model) -> None:
    """Raise DataError for a model that has no network of its own that could be written in 8 bits."""
    model.require_classes("writing in 8 bits")
    if not EMBEDDINGS[model.backbone.card.modality].compressible:
        called = MODALITIES[model.backbone.card.modality].called
        raise DataError(
            f"{model.name} reads {called}: its network is not written in 8 bits, which only pays for networks of"
            " pictures.",
            "Export it with --precision fp16, or as it is.",
        )
    if model.onnx is not None and model.backbone.path == model.onnx:
        raise DataError(
            f"{model.name} is at hand as one file only, which cannot be taken apart.",
            "Export it in 8 bits where it was trained.",
        )


def _choose_network(
    model: Model, found: Scan, features: Features, planned: Plan, before: PrecisionJudgement, say: StageProgress
) -> _EightBitCandidate:
    """Take the first network that costs no more than is allowed, or the one that costs least."""
    rows = planned.fitting
    best: _EightBitCandidate | None = None
    least = np.inf
    for backbone, tail, source in _candidate_networks(model, features, planned, say):
        eight = _join_tail(backbone, tail)
        made = embed(found, eight, lambda d, t: say("embedding in 8 bits", d, t))
        judged = fidelity.judge_embeddings(made.embeddings[rows], _describe_task(model, made, planned, rows), before)
        fall = fidelity.measure_worst_fall(before.figures, judged.figures)
        if best is None or fall < least:
            least = fall
            best = _EightBitCandidate(
                backbone=backbone, tail=tail, whole=eight, features=made, judged=judged, source=source
            )
        if fall <= 1:
            break
    if best is None:
        raise DataError(
            f"The network of {model.name} has no convolutions that could be written in 8 bits.",
            "Export it with --precision fp16.",
        )
    return best


def to_half_precision(model: Model) -> Model:
    """Mark a model for a file in half precision: its card says so, its weights are rounded when it is written."""
    said = {"precision": "fp16", "words": "Weights are stored in half precision and computed in single precision."}
    return replace(model, card={**model.card, "precision": said}, onnx=None)


def _candidate_networks(
    model: Model, features: Features, planned: Plan, say: StageProgress
) -> Iterator[tuple[Backbone, Tail | None, dict[str, Any]]]:
    """Yield backbone, tail and how they were calibrated, one after another; each is only made when it is asked for."""
    base = eightbit.find_shipped_network(model.backbone)
    images: list[np.ndarray] = []

    def own() -> list[np.ndarray]:
        if not images:
            images.extend(_calibration_images(features, planned, model.backbone.card.input_size, _seed(model), say))
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


def _calibration_images(
    features: Features, planned: Plan, size: int, seed: int, say: StageProgress
) -> list[np.ndarray]:
    """Load training images uint8 (S, S, 3): one a group while there are enough groups, never one of a test split."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(planned.fitting)
    _, first = np.unique(planned.groups[order], return_index=True)
    chosen = [*order[np.sort(first)], *np.delete(order, first)][:CALIBRATED_ON]
    images = []
    for i, row in enumerate(chosen):
        images.append(load(features.data.records[row].picture, size))
        say("calibrating", i + 1, len(chosen))
    return images


def _assemble(
    model: Model,
    whole: Backbone,
    best: _EightBitCandidate,
    before: PrecisionJudgement,
    planned: Plan,
    fell: list[str],
    found: Scan,
) -> CompressedModel:
    """Make the accepted or forced model: head, refusal and thresholds for the 8-bit network, and what it costs."""
    every = np.flatnonzero(~np.isnan(best.features.data.targets).all(1))
    task = _describe_task(model, best.features, planned, every)
    x = best.features.embeddings[every]
    same = np.array_equal(every, planned.fitting)
    judged = best.judged if same else fidelity.judge_embeddings(x, task)
    # Out of fold, tuned stages that have seen the images look surer than they are: what training measured stands.
    temperature = model.card["calibration"]["temperature"] if model.tuned else None
    views = see_own_views(replace(model, tail=best.tail), best.features, every, best.backbone)
    taught = None
    if views is not None:
        mask = np.ones(len(x), bool)
        taught = solve_as_own(model, x, task.targets, views, [mask], task.choice)[0]
    head = fidelity.fit_head(x, task, judged, temperature, taught)
    novelty = model.novelty
    if novelty is not None:
        plain = best.features if best.tail is None else embed(found, best.backbone)
        seen = add_soft_views(plain.embeddings[every], planned.groups[every], views)
        fitted = Novelty.fit(*seen, novelty.levels, task.seed, len(every))
        # Other kinds are not at hand, and what is too poor or a negative is told by the same sketch.
        kept = {"contrast": novelty.contrast, "legibility": novelty.legibility, "polarity": novelty.polarity}
        novelty = fitted and replace(fitted, **kept)
    card = {**model.card, "backbone": best.backbone.as_json()}
    # Lines of a model that reads more, or learned from photographs, were drawn with that.
    if not model.tuned and model.extras is None and views is None:
        roles = Decision.from_card(model.card).roles
        rule = fit_rule(
            judged.probabilities[0], task.targets, task.groups, roles, task.kind, sensitivity=task.sensitivity
        )
        card["per_label"] = _label_rows(model, rule.lines)
        if card.get("decision"):
            card["decision"] = {**card["decision"], "unclear": rule.unclear_from}
    if best.tail is not None:
        card["tail"] = best.tail.as_json()
    file = Model(backbone=best.whole, head=head, card=card, novelty=novelty, extras=model.extras)
    card["precision"] = build_precision_entry(
        model,
        replace(model, backbone=whole, tail=None, report="", onnx=None),
        file,
        figures=(before.figures, best.judged.figures),
        source=best.source,
        judged=len(planned.fitting),
        fell=fell,
    )
    small = replace(model, backbone=best.backbone, tail=best.tail, head=head, novelty=novelty, card=card, onnx=None)
    return CompressedModel(model=small, file=replace(small, backbone=best.whole, tail=None), accepted=not fell)


def _describe_task(model: Model, features: Features, planned: Plan, rows: np.ndarray) -> PrecisionTask:
    card = model.card
    return PrecisionTask(
        labels=model.labels,
        kind=card["task"],
        targets=features.data.targets[rows],
        groups=planned.groups[rows],
        levels=model.backbone.card.levels,
        choice=HeadChoice(c=float(card["head"]["regularisation"]), levels=tuple(card["head"]["levels"])),
        seed=_seed(model),
        sensitivity=target_sensitivity(card),
    )


def _label_rows(model: Model, limits: np.ndarray) -> list[dict[str, Any]]:
    """Fill the card's rows with the thresholds for the 8-bit network; their figures are those measured in training."""
    rows = []
    for row in model.card.get("per_label") or ():
        limit = limits[model.labels.index(row["label"])]
        threshold = float(limit) if np.isfinite(limit) else None
        rows.append({**row, "operating_point": {**row["operating_point"], "threshold": threshold}})
    return rows


def _join_tail(backbone: Backbone, tail: Tail | None) -> Backbone:
    return backbone if tail is None else eightbit.compose_network(backbone, tail)


def _seed(model: Model) -> int:
    return int(model.card["head"]["seed"])
