"""From a scanned data set to an outcome: embed, audit, plan, tune if asked for, judge, describe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.data.records import Dataset
from medloupe.data.scan import Scan
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features, embed
from medloupe.errors import DataError
from medloupe.metrics.evidence import Evidence
from medloupe.model.novelty import Novelty
from medloupe.training.options import Options
from medloupe.training.pipeline.outcome import Outcome
from medloupe.utils.progress import StageProgress

if TYPE_CHECKING:
    from medloupe.training.heads.verdict import Verdict


def learn(found: Scan, network: Backbone, options: Options, say: StageProgress) -> Outcome:
    """All of a training but the writing. Raises as training.train does."""
    from medloupe.data.split import plan_split
    from medloupe.metrics.curves import curves
    from medloupe.training.audit.findings import audit
    from medloupe.training.fusion import beats, choose
    from medloupe.training.fusion.ablation import weigh
    from medloupe.training.fusion.examples import moved
    from medloupe.training.heads.verdict import judge
    from medloupe.training.pipeline import finetuning
    from medloupe.training.pipeline.card import card
    from medloupe.training.pipeline.examples import examples
    from medloupe.training.pipeline.feature_maps import of_report

    clock = [time.perf_counter()]

    def lap() -> float:
        clock.append(time.perf_counter())
        return round(clock[-1] - clock[-2], 2)

    seconds: dict[str, float] = {}
    seed, levels = options.seed, network.card.levels
    shared = embed(found, network, lambda done, total: say("embedding", done, total))
    features = shared
    if options.start is not None:
        features = embed(found, network, lambda done, total: say("embedding", done, total), tail=options.start)
    seconds["embedding"] = lap()
    if features.unreadable:
        _check_what_is_left(features)
    say("audit", 0, 1)
    audited = audit(shared, seed)
    seconds["audit"] = lap()
    say("audit", 1, 1)
    planned = plan_split(features.data, audited.groups)
    tuning = finetuning.attempt(features, shared, planned, network, options, say)
    seconds["fine-tuning"] = lap()
    say("fitting", 0, 1)
    chosen = joined = weighed = None
    if choose.asked(features.data, options):
        chosen = choose.choose(features.data, planned.fitting, planned.groups, options)
        audited = audited.with_columns(chosen.findings, [p.as_json() for p in chosen.probes])
        if beats.suits(features.data):
            joined = beats.join(features, planned, chosen, levels, seed)
    if joined is not None:
        verdict = judge(joined.features, planned, levels=joined.levels, seed=seed, sensitivity=options.sensitivity)
    elif tuning.tuned is None:
        verdict = judge(features, planned, levels=levels, seed=seed, sensitivity=options.sensitivity)
    else:
        verdict = tuning.judged(features, planned, levels, options)
    if chosen is not None and joined is None:
        weighed = weigh(features, planned, verdict, chosen, seed=seed, sensitivity=options.sensitivity)
        verdict = weighed.verdict
    head, extras = verdict.head, weighed.extras if weighed is not None else None
    if joined is not None:
        head, extras = joined.apart(verdict.head)
    own, tail = tuning.network(network, verdict, options)
    rows = verdict.everything
    kept = levels if own is network and tail is None else finetuning.untouched(network)
    novelty = Novelty.fit(tuning.seen(shared, verdict)[rows], planned.groups[rows], kept, seed)
    seconds["fitting"] = lap()
    say("fitting", 1, 1)
    say("judging", 0, 1)
    facts = card(features, audited, planned, verdict, own, novelty, seed=seed, sensitivity=options.sensitivity)
    report: dict[str, Any] = {
        "card": facts,
        "curves": {**curves(verdict.judged), "learning": verdict.learning},
        "examples": examples(features, verdict.judged, verdict.rows, head, own, tail),
    }
    report["stages"] = of_report(features, report["examples"], head, own, tail)
    tuning.describe(report, verdict, tail, options)
    if joined is not None and chosen is not None:
        facts["inputs"] = beats.facts(joined, planned, verdict, chosen, seed)
    if weighed is not None and chosen is not None:
        facts["inputs"] = weighed.facts
        report["moved"] = moved(features, weighed.shown, chosen) if weighed.shown and weighed.extras else []
    seconds["judging"] = lap()
    facts["seconds"] = {stage: s for stage, s in seconds.items() if s >= 0.005 or stage != "fine-tuning"}
    say("judging", 1, 1)
    changed = own is not network
    data = own.path.read_bytes() if changed else tail.path.read_bytes() if tail and tail is not options.start else b""
    return Outcome(
        head=head,
        novelty=novelty,
        report=report,
        evidence=_evidence(features, verdict),
        network=data,
        whole=changed,
        extras=extras,
    )


def _evidence(features: Features, verdict: Verdict) -> Evidence:
    """The predictions behind the figures, for comparing this version with another."""
    judged = verdict.judged
    called = [[judged.called(r, k) for k in range(len(judged.labels))] for r in judged.repeats]
    return Evidence(
        labels=judged.labels,
        task=judged.task,
        digests=Evidence.digest([features.digests[row] for row in verdict.rows]),
        groups=np.asarray(judged.groups, np.int64),
        targets=np.asarray(judged.targets, np.float32),
        probabilities=np.asarray(judged.probabilities, np.float32),
        announced=np.asarray(called, np.float32).mean(0).T,
    )


def check_trainable(data: Dataset) -> None:
    """Raises DataError, saying what is missing, when there is nothing to tell apart."""
    if data.task == "detection":
        raise DataError(
            f"{data.root} marks places in pictures (boxes of {', '.join(data.labels)}) but has no classes of whole"
            " pictures to tell apart; localisation cannot be trained yet.",
            "Give a label column with --labels, or sort the pictures into one folder a class.",
        )
    counts, one = {name: n for name, n in data.counts().items() if n}, data.things.removesuffix("s")
    if len(data) < 2:
        raise DataError(
            f"{data.root} has {f'only 1 {one}' if len(data) else f'no {data.things}'}.",
            "Bring at least ten a class; thirty give a first impression.",
        )
    if data.task == "multiclass" and len(counts) < 2:
        only = next(iter(counts), None)
        raise DataError(
            f"{data.root} has only one class{f', {only} ({counts[only]:,} {data.things})' if only else ''}; a"
            " classifier needs at least two to tell apart.",
            "Add a folder (or rows) of the other class, for example healthy people.",
        )
    if data.task == "multiclass" and sorted(counts.values())[-2] < 2:
        few = ", ".join(name for name, n in counts.items() if n == 1)
        raise DataError(
            f"{data.root} has only one {one} of {few}; one cannot both teach and judge.",
            "Bring at least ten a class; thirty give a first impression.",
        )
    if data.task == "multilabel" and not counts:
        raise DataError(f"{data.root} has no positive case of any label.", "Check the label column.")


def _check_what_is_left(features: Features) -> None:
    """As check_trainable, for the readable part; the error then tells what could not be read."""
    try:
        check_trainable(features.data)
    except DataError as e:
        n, (file, why) = len(features.unreadable), features.unreadable[0]
        raise DataError(
            f"{e.message} That is what is left: {n:,} {'file' if n == 1 else 'files'} could not be read, such as"
            f" {file}: {why}",
            e.hint,
        ) from e
