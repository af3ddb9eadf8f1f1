"""Compute a training: embed, audit, plan, tune if asked for, judge, describe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medloupe.data.modalities import PICTURES
from medloupe.data.scan import Scan
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features, embed
from medloupe.embed.tail import Tail
from medloupe.errors import DataError
from medloupe.model.head import Head
from medloupe.model.legibility import NOT_ANSWERED, answers_photographs
from medloupe.training.options import Options
from medloupe.training.pipeline.outcome import Outcome
from medloupe.training.pipeline.preconditions import check_readable
from medloupe.training.provenance import collect_evidence
from medloupe.utils.progress import StageProgress
from medloupe.utils.rowfile import RowFile, stream_large
from medloupe.utils.stacked import take_rows

if TYPE_CHECKING:
    from medloupe.data.source_column import SourceColumn
    from medloupe.data.split import Plan
    from medloupe.embed.field import FieldFeatures
    from medloupe.inputs.extras import Extras
    from medloupe.metrics.weighted import Metric
    from medloupe.training.audit.finding import Audit
    from medloupe.training.fusion.ablation import WeighedVerdict
    from medloupe.training.fusion.beats import JointFeatures
    from medloupe.training.fusion.choose import ChosenInputs
    from medloupe.training.heads.legibility import FittedLegibility
    from medloupe.training.heads.verdict import Verdict
    from medloupe.training.pipeline.apart import Apart
    from medloupe.training.pipeline.finetuning import Tuning


class _Stages:
    """Say where a training is, and keep how long each stage took.

    Attributes
    ----------
    seconds : dict of str to float
        By stage, in the order in which they ended.
    """

    def __init__(self, say: StageProgress):
        self._say = say
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, *, quiet: bool = False) -> Iterator[None]:
        """Time a stage. quiet: it says itself how far it is."""
        began = time.perf_counter()
        if not quiet:
            self._say(name, 0, 1)
        yield
        self.seconds[name] = round(time.perf_counter() - began, 2)
        if not quiet:
            self._say(name, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _FittedParts:
    """What came of fitting: the verdict, the head to ship with what it reads beside, and its network."""

    verdict: Verdict
    audited: Audit
    head: Head
    extras: Extras | None
    network: Backbone
    tail: Tail | None
    apart: Apart
    wholes: dict[str, Metric] | None
    withheld: FittedLegibility | None
    chosen: ChosenInputs | None
    joined: JointFeatures | None
    weighed: WeighedVerdict | None
    sources: SourceColumn | None


def learn(found: Scan, network: Backbone, options: Options, say: StageProgress) -> Outcome:
    """Train and judge, without writing anything but caches.

    Parameters
    ----------
    found : Scan
        The data set, its files read once.
    network : Backbone
        What embeds it.
    options : Options
        What was asked for.
    say : callable
        Told the stage, how much of it is done, and of how much.

    Returns
    -------
    Outcome
        Head, refusal, report and the predictions behind its figures.

    Raises
    ------
    MedloupeError
        As `train` does.
    """
    from medloupe.data.source_column import find_source_column
    from medloupe.data.split import plan_split
    from medloupe.training.audit.findings import audit, require_sound
    from medloupe.training.heads.source_verdict import check_sources
    from medloupe.training.pipeline import finetuning
    from medloupe.training.pipeline.crops import check_options
    from medloupe.training.pipeline.field import see_field

    if found.data.task == "detection":
        if options.robust:
            raise DataError("A detector is not chosen by sources left out.", "Leave --robust out.")
        from medloupe.training.pipeline.detection import learn_boxes

        return learn_boxes(found, network, options, say)
    cropped = found.data.cropped
    if cropped is not None:
        check_options(cropped, options)
    stages = _Stages(say)
    with stages.stage("embedding", quiet=True):
        shared, features = _embed(found, network, options, say)
    if features.unreadable:
        check_readable(features)
    with stages.stage("audit"):
        audited = audit(shared, options.seed)
    require_sound(audited.findings)
    planned = plan_split(features.data, audited.groups)
    sources = find_source_column(features.data, options.source) if options.robust else None
    if sources is not None:
        check_sources(sources.told, planned, features.data.targets, options.seed)
    with stages.stage("field views", quiet=True):
        cuts = finetuning.learns_views(network, options)
        photographed = (options.finetune == "none" or cuts) and cropped is None  # nobody photographs a crop
        field = see_field(features, planned.groups, network, options, say, keep_cuts=cuts) if photographed else None
    with stages.stage("fine-tuning", quiet=True):
        taught = (field[0], field[1]) if field is not None and field[1] is not None else None
        tuning = finetuning.attempt_tuning(features, shared, planned, network, options, say, taught)
    views = field[0] if field is not None else None
    if isinstance(stream_large(shared.embeddings), RowFile):
        say("streaming", 0, 1)
        say("streaming", 1, 1)
    with stages.stage("fitting"):
        fit = _fit(features, shared, planned, tuning, audited, network, options, views, sources)
    with stages.stage("judging"):
        report = _describe(features, planned, tuning, fit, options)
    seconds = {s: t for s, t in stages.seconds.items() if t >= 0.005 or s not in ("fine-tuning", "field views")}
    report["card"]["seconds"] = seconds
    changed = fit.network is not network
    across = fit.verdict.secondary
    return Outcome(
        head=fit.head,
        novelty=fit.apart.novelty,
        report=report,
        evidence=collect_evidence(features, fit.verdict.judged, fit.verdict.rows),
        out_of_fold=None if across is None else collect_evidence(features, across, fit.verdict.judging),
        network=_own_network(fit, changed, options),
        whole=changed,
        extras=fit.extras,
    )


def _embed(found: Scan, network: Backbone, options: Options, say: StageProgress) -> tuple[Features, Features]:
    """Embed by the shared network, and by the tail that the training goes on from, if it does."""

    def tell(done: int, total: int) -> None:
        say("embedding", done, total)

    shared = embed(found, network, tell)
    return shared, shared if options.start is None else embed(found, network, tell, tail=options.start)


def _fit(
    features: Features,
    shared: Features,
    planned: Plan,
    tuning: Tuning,
    audited: Audit,
    network: Backbone,
    options: Options,
    views: FieldFeatures | None,
    sources: SourceColumn | None,
) -> _FittedParts:
    """Fit the head, what it reads beside, and the refusal of other kinds."""
    from medloupe.starter.kind_bank import load_kind_bank
    from medloupe.training.fusion import beats, choose
    from medloupe.training.fusion.ablation import weigh_inputs
    from medloupe.training.pipeline import finetuning
    from medloupe.training.pipeline.crops import set_crops_apart
    from medloupe.training.pipeline.field import fit_novelty
    from medloupe.training.pipeline.polarity import add_polarity

    seed, levels = options.seed, network.card.levels
    chosen = joined = weighed = None
    if choose.reads_inputs(features.data, options):
        chosen = choose.choose_inputs(features.data, planned.fitting, planned.groups, options)
        audited = audited.with_columns(chosen.findings, [p.as_json() for p in chosen.probes])
        if beats.holds_beats(features.data):
            joined = beats.join_rhythm(features, planned, chosen, levels, seed)
    verdict = _judge(features, planned, tuning, joined, levels, options, views, sources)
    if chosen is not None and joined is None:
        weighed = weigh_inputs(features, planned, verdict, chosen, seed=seed, sensitivity=options.sensitivity)
        verdict = weighed.verdict
    head, extras = verdict.head, weighed.extras if weighed is not None else None
    if joined is not None:
        head, extras = joined.split_head(verdict.head)
    own, tail = tuning.write_network(network, verdict, options)
    kept = levels if own is network and tail is None else finetuning.untuned_levels(network)
    rows = verdict.everything
    embeddings = take_rows(tuning.novelty_embeddings(shared, verdict), rows)
    known = load_kind_bank(network.sha256, kept) if own is network or tail is not None else None
    apart, withheld = fit_novelty(embeddings, planned.groups[rows], kept, verdict, seed, known, options.kind)
    wholes = None
    if shared.wholes is not None and apart.novelty is not None:
        crops = [features.data.records[i] for i in rows]
        apart, wholes = set_crops_apart(apart, known, embeddings, planned.groups[rows], crops, shared.wholes, seed)
    if features.data.modality == PICTURES.name:
        pictures = [features.data.records[i] for i in rows]
        targets = features.data.targets[rows]
        apart = add_polarity(apart, pictures, embeddings, targets, planned.groups[rows], own, seed)
    return _FittedParts(
        verdict=verdict,
        audited=audited,
        head=head,
        extras=extras,
        network=own,
        tail=tail,
        apart=apart,
        wholes=wholes,
        withheld=withheld,
        chosen=chosen,
        joined=joined,
        weighed=weighed,
        sources=sources,
    )


def _judge(
    features: Features,
    planned: Plan,
    tuning: Tuning,
    joined: JointFeatures | None,
    levels: tuple[int, ...],
    options: Options,
    views: FieldFeatures | None,
    sources: SourceColumn | None,
) -> Verdict:
    """Judge heads on the network that was tuned, or as it is; of beats, on shape and rhythm together."""
    from medloupe.training.heads.verdict import judge

    if joined is None and tuning.tuned is not None:
        return tuning.judge(features, planned, levels, options)
    if joined is not None:
        features, levels = joined.features, joined.levels
    return judge(
        features,
        planned,
        levels=levels,
        seed=options.seed,
        sensitivity=options.sensitivity,
        views=views,
        sources=None if sources is None else sources.told,
    )


def _describe(features: Features, planned: Plan, tuning: Tuning, fit: _FittedParts, options: Options) -> dict[str, Any]:
    """Put card, curves and pictures of the report together."""
    from medloupe.imaging.quality import Limits
    from medloupe.metrics.curves import curves
    from medloupe.training.fusion import beats
    from medloupe.training.fusion.examples import pick_influence_examples
    from medloupe.training.pipeline.card import build_card
    from medloupe.training.pipeline.crops import describe_crops, warn_of_wholes
    from medloupe.training.pipeline.examples import render_examples
    from medloupe.training.pipeline.feature_maps import render_report_stages
    from medloupe.training.pipeline.field import describe_field, soft_measures
    from medloupe.training.pipeline.leads import describe_leads
    from medloupe.training.pipeline.quality import describe_quality
    from medloupe.training.pipeline.second_look import render_suspects
    from medloupe.training.pipeline.sources import describe_sources

    verdict, seed = fit.verdict, options.seed
    facts = build_card(
        features, fit.audited, planned, verdict, fit.network, fit.apart, seed=seed, sensitivity=options.sensitivity
    )
    if (crop := describe_crops(features, verdict.everything, fit.wholes, seed)) is not None:
        facts |= {"crop": crop, "warnings": [*warn_of_wholes(crop), *facts["warnings"]]}
        facts["limits"] = [*crop["words"], *facts["limits"]]
    if fit.sources is not None:
        facts["robust"] = describe_sources(fit.sources, verdict)
    facts["leads"] = describe_leads(features, fit.network, planned.groups, verdict, seed)
    if features.data.modality == PICTURES.name:
        rows = verdict.everything
        shown, digests = [features.data.records[i] for i in rows], [features.digests[i] for i in rows]
        size = fit.network.card.input_size
        photographed = soft_measures(verdict)
        facts["quality"] = describe_quality(shown, planned.groups[rows], size, seed, digests, photographed)
        limits = Limits.from_json(facts["quality"])
        facts["field"] = describe_field(
            verdict, planned.groups[verdict.judging], fit.withheld, fit.apart.novelty, limits, seed
        )
        if (field := facts["field"]) and field["weight"] and not answers_photographs(facts):
            field["words"].append(NOT_ANSWERED)
    report: dict[str, Any] = {
        "card": facts,
        "curves": {**curves(verdict.judged), "learning": verdict.learning},
        "examples": render_examples(features, verdict.judged, verdict.rows, fit.head, fit.network, fit.tail),
    }
    report["suspects"] = render_suspects(features, fit.audited.suspects, fit.network)
    report["stages"] = render_report_stages(features, report["examples"], fit.head, fit.network, fit.tail)
    tuning.describe(report, verdict, fit.tail, options)
    if fit.joined is not None and fit.chosen is not None:
        facts["inputs"] = beats.describe_rhythm(fit.joined, planned, verdict, fit.chosen, seed)
    if fit.weighed is not None and fit.chosen is not None:
        facts["inputs"] = fit.weighed.facts
        shown = fit.weighed.shown
        report["moved"] = pick_influence_examples(features, shown, fit.chosen) if shown and fit.weighed.extras else []
    return report


def _own_network(fit: _FittedParts, changed: bool, options: Options) -> bytes:
    """Read the bytes of the network or tail that this training made; b"" where it made none."""
    if changed:
        return fit.network.path.read_bytes()
    return fit.tail.path.read_bytes() if fit.tail and fit.tail is not options.start else b""
