"""Compute the training of a detector: embed, audit, choose a size, cache maps, fit, judge, describe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from medloupe.data.scan import Scan
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import embed
from medloupe.embed.maps import find_stage_maps, resize_backbone
from medloupe.errors import DataError, FinetuneError
from medloupe.model.novelty import Novelty
from medloupe.model.sight import SharedSight
from medloupe.starter.kind_bank import load_kind_bank
from medloupe.training.detect.activations import cache_maps, count_views
from medloupe.training.detect.boxed import allow_views, choose_input_size, collect_boxes, plan_boxes
from medloupe.training.detect.measure import read_wanted
from medloupe.training.detect.run import DetectorFitting, require_torch
from medloupe.training.detect.tiles import TiledPictures, plan_tiles
from medloupe.training.options import Options
from medloupe.training.pipeline.apart import Apart, set_apart
from medloupe.training.pipeline.outcome import Outcome
from medloupe.utils.progress import Progress, StageProgress


def learn_boxes(found: Scan, network: Backbone, options: Options, say: StageProgress) -> Outcome:
    """Train and judge a detector, without writing anything but caches.

    Parameters
    ----------
    found : Scan
        The data set, its files read once.
    network : Backbone
        The shared network.
    options : Options
        What was asked for.
    say : callable
        Told the stage, how much of it is done, and of how much.

    Raises
    ------
    MedloupeError
        As `train` does.
    """
    import onnx

    from medloupe.training.audit.boxes import repair_boxes
    from medloupe.training.audit.findings import audit, require_sound
    from medloupe.training.pipeline.detection_card import describe_detector
    from medloupe.training.pipeline.detection_evidence import collect_box_evidence
    from medloupe.training.tune.inputs import probe_symmetry

    require_torch()
    _check_options(options)
    read_wanted(options.measure, found.data.labels)  # what cannot be measured is told before anything costs time
    seconds: dict[str, float] = {}
    processor = time.process_time()

    @contextmanager
    def stage(name: str) -> Iterator[Progress]:
        began = time.perf_counter()
        yield lambda done, total: say(name, done, total)
        seconds[name] = round(time.perf_counter() - began, 2)

    with stage("embedding") as tell:
        features = embed(found, network, tell)
    with stage("audit"):
        audited = audit(features, options.seed)
    require_sound(audited.findings)
    data = features.data
    sizes = np.column_stack([features.facts["width"], features.facts["height"]]).astype(np.int64)
    repaired, _ = repair_boxes(data, sizes)  # the audit has said what is wrong with them
    boxed = collect_boxes(repaired, sizes)
    planned = plan_boxes(data, audited.groups, boxed.known)
    size, stride, why = choose_input_size(boxed, data.labels)
    plan = plan_tiles(boxed, planned.fitting, data.labels, size)
    if plan is not None:
        size, stride, why = plan.size, plan.stride, plan.why
    sized = resize_backbone(network, size)
    stages = find_stage_maps(onnx.load(sized.path, load_external_data=False), size)
    used = np.sort(np.concatenate([planned.fitting, [] if planned.test is None else planned.test])).astype(int)
    with stage("maps") as tell:
        probed = probe_symmetry(features, network, audited.groups, options.seed)
        allowed = allow_views(boxed, data.labels, probed)
        tiled = None if plan is None else TiledPictures.cut(boxed, used, plan, options.seed)
        pictures = [boxed.pictures[i] for i in used] if tiled is None else tiled.pictures
        taught = None if tiled is None else tiled.taught
        views = count_views(len(used) if taught is None else int(taught.sum()), stages, size)
        cached = cache_maps(pictures, sized, stages, allowed, views, taught=taught, seed=options.seed, progress=tell)
    with stage("fitting") as tell:
        fit = DetectorFitting(
            boxed=boxed,
            cached=cached,
            planned=planned,
            used=used,
            sized=sized,
            names=stages.names,
            labels=len(data.labels),
            stride=stride,
            options=options,
            tiled=tiled,
        ).run(tell)
    with stage("judging"):
        groups, levels = audited.groups[used], network.card.levels
        own = groups if tiled is None else audited.groups[tiled.row]
        apart = Apart(novelty=Novelty.fit(cached.embeddings, own, levels, options.seed))
        seen = set_apart(
            features.embeddings[used],
            groups,
            levels,
            load_kind_bank(network.sha256, levels),
            kind=options.kind,
            direct=len(used),
            seed=options.seed,
        ).novelty
        report = describe_detector(features, audited, planned, boxed, fit, sized, apart, why, allowed, options, plan)
    seconds["processor"] = round(time.process_time() - processor, 1)
    report["card"]["seconds"] = seconds
    return Outcome(
        head=fit.whole.head,
        novelty=apart.novelty,
        report=report,
        evidence=collect_box_evidence(features, boxed, fit, planned.groups),
        detector=fit.detector,
        sight=None if seen is None or not seen.can_choose else SharedSight(novelty=seen, network=network.sha256),
    )


def _check_options(options: Options) -> None:
    """Refuse what is asked of a detector and would not be done; raise FinetuneError or DataError."""
    if options.finetune in ("tail", "full") or options.search or options.scratch or options.start is not None:
        raise FinetuneError(
            "A detector learns on the shared network as it is; it is neither tuned nor started from another model yet.",
            "Leave --finetune, --search, --compare and --from out.",
        )
    if options.clinical or options.notes is not None:
        raise DataError(
            "A detector looks at the picture alone; columns and notes are not read beside it.",
            "Leave --clinical and --notes out.",
        )
