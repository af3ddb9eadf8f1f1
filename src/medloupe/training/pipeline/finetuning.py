"""Tune the network in a training, judge it, and describe it in card and report."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.data.modalities import MODALITIES
from medloupe.data.split import Plan
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.field import FieldFeatures
from medloupe.embed.field_cuts import FieldCuts
from medloupe.embed.modalities import EMBEDDINGS
from medloupe.embed.tail import Tail, find_upper_part, list_lower_levels, load_graph
from medloupe.errors import FinetuneError
from medloupe.graphs.module import import_torch
from medloupe.settings import home
from medloupe.training.options import MINUTES, Options
from medloupe.training.tune.loop import overfitting_epoch
from medloupe.utils.progress import StageProgress

if TYPE_CHECKING:
    from medloupe.training.heads.tuned_fit import TunedFit, TuningCandidate
    from medloupe.training.heads.verdict import Verdict
    from medloupe.training.tune.run import TunedNetworks

CURVE_NAMES = {"tail": "upper stages tuned", "full": "whole network tuned"}


@dataclass(slots=True)
class Tuning:
    """What came of tuning in a training.

    Attributes
    ----------
    tuned : TunedNetworks or None
        None where nothing was tuned.
    why_not : str
        Why `auto` could not.
    extras : dict
        Parts of the report: search, comparison with a network from scratch.
    """

    tuned: TunedNetworks | None = None
    why_not: str = ""
    extras: dict[str, Any] = field(default_factory=dict)

    def judge(self, features: Features, plan: Plan, levels: tuple[int, ...], options: Options) -> Verdict:
        """Judge the tuned networks; where `auto` finds it as good, the untuned one.

        Parameters
        ----------
        features : Features
            By the network as it was.
        plan : Plan
            Which rows a head may learn from, and which it is judged on.
        levels : tuple of int
            How embeddings divide.
        options : Options
            Of the training.
        """
        from medloupe.training.tune.verdict import judge_tuned

        assert self.tuned is not None
        return judge_tuned(
            features,
            plan,
            self.tuned,
            levels=levels,
            seed=options.seed,
            sensitivity=options.sensitivity,
            may_stay=options.finetune == "auto",
        )

    def write_network(self, backbone: Backbone, verdict: Verdict, options: Options) -> tuple[Backbone, Tail | None]:
        """Give backbone and tail of the model to ship; what was tuned is written under home."""
        from medloupe.embed import tail
        from medloupe.training.tune.run import build_tuned_graph

        if self.tuned is None or verdict.tuned is None or verdict.tuned.alpha == 0:
            return backbone, options.start
        graph = build_tuned_graph(backbone, self.tuned, verdict.tuned.alpha)
        written = tail.write_tail(graph, home() / "cache" / "tuned")
        if self.tuned.kind == "tail":
            return backbone, written
        described = replace(backbone.card, name=f"{backbone.card.name}, tuned", file=None, weights=None, extra=None)
        return Backbone(card=described, path=written.path, sha256=written.sha256), None

    def novelty_embeddings(self, shared: Features, verdict: Verdict) -> np.ndarray:
        """Give the embeddings that the shipped model's novelty will read.

        Returns
        -------
        np.ndarray
            float32 (N, D), of the shared network; of the tuned one where all of it was tuned.
        """
        if self.tuned is None or self.tuned.kind == "tail" or verdict.tuned is None or verdict.tuned.alpha == 0:
            return shared.embeddings
        return self.tuned.embeddings(None, verdict.tuned.alpha)

    def describe(self, report: dict[str, Any], verdict: Verdict, tail: Tail | None, options: Options) -> None:
        """Add what was tried and found to the card and the report."""
        card = report["card"]
        card["tail"] = tail.as_json() if tail is not None else None
        self._describe_extras(report)
        found, tuned = verdict.tuned, self.tuned
        if found is None or tuned is None:
            return
        card["finetuning"] = _build_entry(found, tuned, options)
        beside = self.extras.get("histories", [])
        named = [(f"{CURVE_NAMES[tuned.kind]}, fold {i + 1}", done) for i, done in enumerate(tuned.of_fold)]
        history = [
            {"name": name, "epochs": done.history, "parts_at": overfitting_epoch(done.history)} for name, done in named
        ]
        # those beside are of one split, and comparable with each other
        mixed = tuned.recipe.mixup or tuned.recipe.smoothing
        report["finetuning"] = {
            **self._with_comparison(card["finetuning"]),
            "history": beside or history[:1],
            "mixed": bool(mixed) and not beside,
            "automatic": options.finetune == "auto",
        }

    def _describe_extras(self, report: dict[str, Any]) -> None:
        """Add search, comparison with a network from scratch, and why nothing was tuned."""
        card, beside = report["card"], self.extras.get("histories", [])
        report |= {name: part for name, part in self.extras.items() if name not in ("histories", "compared")}
        if "search" in self.extras:
            from medloupe.training.tune.search import search_card

            card["search"] = search_card(self.extras["search"])
        if "few_images" in self.extras:
            card["few_images"] = self.extras["few_images"]
        if self.why_not:
            card["finetuning"] = {"winner": "linear", "words": f"The network was not tuned: {self.why_not}"}
            report["finetuning"] = {**self._with_comparison(card["finetuning"]), "history": beside}
        elif beside and self.tuned is None:
            report["finetuning"] = {"words": self.extras["compared"], "history": beside}

    def _with_comparison(self, said: dict[str, Any]) -> dict[str, Any]:
        """Add for the report, which also shows the network from scratch, what was left out of that comparison."""
        return {**said, "words": " ".join(filter(None, (said["words"], self.extras.get("compared"))))}


def learns_views(network: Backbone, options: Options) -> bool:
    """Tell whether upper stages will be tuned that can learn from field views."""
    if options.finetune not in ("auto", "tail"):
        return False
    try:
        import_torch()
        find_upper_part(load_graph(network))
    except FinetuneError:
        return False
    return True


def attempt_tuning(
    features: Features,
    shared: Features,
    plan: Plan,
    network: Backbone,
    options: Options,
    say: StageProgress,
    field: tuple[FieldFeatures, FieldCuts] | None = None,
) -> Tuning:
    """Tune as asked, and compare with a network from scratch where that is asked for.

    Parameters
    ----------
    features : Features
        By the network that the training goes on from.
    shared : Features
        By its backbone, untuned.
    plan : Plan
        Which rows may be learned from.
    network : Backbone
        What is tuned.
    options : Options
        Of the training.
    say : callable
        Told the stage, how much of it is done, and of how much.
    field : tuple of (FieldFeatures, FieldCuts), optional
        Field views that upper stages may learn from.

    Raises
    ------
    FinetuneError
        Where it is not possible here; `auto` goes on without.
    """
    if options.finetune == "none" and not options.scratch:
        return Tuning()
    from medloupe.training.scratch.run import compare_with_scratch

    automatic = options.finetune == "auto"
    if not EMBEDDINGS[features.data.modality].tunable:
        called = MODALITIES[features.data.modality].called
        what, instead = f"Networks of {called} are used as they are, not tuned.", "Leave --finetune and --scratch out."
        if automatic and not options.scratch:
            return Tuning(why_not=what)
        raise FinetuneError(what, instead)
    made = Tuning()
    if options.finetune != "none":
        try:
            _tune(made, features, shared, plan, network, options, say, field)
        except FinetuneError as e:
            if not automatic:
                raise
            made.why_not = f"{e.message} {e.hint}"
    if options.scratch:
        made.extras |= compare_with_scratch(shared, plan, network, options, say)
    return made


def _tune(
    made: Tuning,
    features: Features,
    shared: Features,
    plan: Plan,
    network: Backbone,
    options: Options,
    say: StageProgress,
    field: tuple[FieldFeatures, FieldCuts] | None,
) -> None:
    """Search a recipe where that is asked for, and tune by it; both are kept in `made`."""
    from medloupe.training.tune.run import default_recipe, tune
    from medloupe.training.tune.search import SearchTask, search

    recipe = default_recipe("full" if options.finetune == "full" else "tail", len(plan.fitting))
    minutes = options.minutes if options.minutes is not None or options.finetune != "auto" else MINUTES
    if options.search:
        task = SearchTask(features=features, shared=shared, plan=plan, network=network, recipe=recipe, options=options)
        recipe, trials = search(task, say)
        made.extras["search"] = trials
        minutes = None if minutes is None else max(minutes / 2, minutes - trials["seconds"] / 60)
    made.tuned = tune(
        shared,
        plan,
        network,
        recipe,
        seed=options.seed,
        minutes=minutes,
        start=options.start,
        base=features.embeddings,
        field=field,
        progress=say,
    )


def untuned_levels(backbone: Backbone) -> tuple[int, ...]:
    """Tell how the end of the embedding divides that a tail leaves alone; by it pictures of other kinds are told."""
    return list_lower_levels(backbone.card, find_upper_part(load_graph(backbone)).width) or backbone.card.levels


def _build_entry(found: TunedFit, tuned: TunedNetworks, options: Options) -> dict[str, Any]:
    """Build the card's entry `finetuning`."""
    candidates = [
        {
            "name": "linear" if c.alpha == 0 else tuned.kind,
            "alpha": c.alpha,
            "auc": c.auc,
            "difference": c.difference,
            "seconds": tuned.seconds if c.alpha else None,
        }
        for c in found.candidates
    ]
    best = max((c for c in found.candidates if c.alpha), key=lambda c: c.auc["value"] or 0)
    return {
        "winner": tuned.kind if found.alpha else "linear",
        "kind": tuned.kind,
        "alpha": found.alpha,
        "words": " ".join(filter(None, (_word_result(best, found.alpha, tuned, options), tuned.words))),
        "recipe": tuned.recipe.as_json(),
        "views": tuned.symmetry.as_json(),
        "folds": len(tuned.of_fold),
        "candidates": candidates,
        "seconds": tuned.seconds,
        **({} if tuned.share is None else {"field": tuned.share.as_json()}),
    }


def _word_result(best: TuningCandidate, alpha: float, tuned: TunedNetworks, options: Options) -> str:
    """Say which network won, and by how much."""
    d = best.difference
    gained = f"{d['value']:+.3f} AUC ({d['low']:+.3f} to {d['high']:+.3f})" if d else "an unknown amount"
    what = "The upper stages of the network were tuned" if tuned.kind == "tail" else "The whole network was tuned"
    before = "" if tuned.start is None else ", except where the network that they went on from had"
    judged = (
        f"{what} to these pictures, and judged in {len(tuned.of_fold)} folds by networks that had seen no patient of"
        f" the fold{before}: {gained} against a linear head on the untuned network, on the same folds."
    )
    if alpha == 0:
        return f"{judged} That is not more than chance may give, so the untuned network was kept."
    way = "" if alpha == 1 else " The weights that ship lie halfway between the untuned and the tuned ones."
    worse = ""
    if d and d["low"] is not None and d["low"] <= 0 and options.finetune != "auto":
        worse = " It was not shown to be better than the linear head; --finetune auto would have kept that."
    return " ".join(filter(None, (judged + way + worse, tuned.symmetry.words, _word_views(tuned))))


def _word_views(tuned: TunedNetworks) -> str:
    """Say whether the network learned from field views, and what that costs direct pictures."""
    if tuned.share is None:
        return ""
    _, _, both = tuned.share.candidates
    cost = f"{-both.auc_lost:+.3f} AUC on the direct pictures of one fold"
    if tuned.share.share:
        return f"Half of what it was shown were photographs and worn copies of the pictures ({cost})."
    return f"It was not shown photographs of the pictures, which would have cost too much ({cost})."
