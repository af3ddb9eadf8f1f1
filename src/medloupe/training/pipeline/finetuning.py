"""What fine-tuning adds to a training: the attempt, its judgement, the network it gives and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.data.split import Plan
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.tail import Tail, find_upper_part, list_lower_levels, load_graph
from medloupe.errors import FinetuneError
from medloupe.settings import home
from medloupe.training.options import MINUTES, Options
from medloupe.training.tune.loop import overfitting_epoch
from medloupe.utils.progress import StageProgress

if TYPE_CHECKING:
    from medloupe.training.heads.verdict import Verdict
    from medloupe.training.tune.run import TunedNetworks

NAMES = {"tail": "upper stages tuned", "full": "whole network tuned"}


@dataclass(slots=True)
class Tuning:
    """tuned: None where nothing was tuned. why_not: why `auto` could not. extras: of the report (search, scratch)."""

    tuned: TunedNetworks | None = None
    why_not: str = ""
    extras: dict[str, Any] = field(default_factory=dict)

    def judged(self, features: Features, plan: Plan, levels: tuple[int, ...], options: Options) -> Verdict:
        """The verdict on the tuned networks, or on the untuned one where `auto` finds it as good."""
        from medloupe.training.tune.verdict import judge_tuned

        assert self.tuned is not None
        may_stay = options.finetune == "auto"
        return judge_tuned(
            features,
            plan,
            self.tuned,
            levels=levels,
            seed=options.seed,
            sensitivity=options.sensitivity,
            may_stay=may_stay,
        )

    def network(self, backbone: Backbone, verdict: Verdict, options: Options) -> tuple[Backbone, Tail | None]:
        """The network of the model to ship; a tuned one is written under home."""
        from medloupe.embed import tail as tails
        from medloupe.training.tune.run import build_tuned_graph

        if self.tuned is None or verdict.tuned is None or verdict.tuned.alpha == 0:
            return backbone, options.start
        graph = build_tuned_graph(backbone, self.tuned, verdict.tuned.alpha)
        written = tails.write_tail(graph, home() / "cache" / "tuned")
        if self.tuned.kind == "tail":
            return backbone, written
        described = replace(backbone.card, name=f"{backbone.card.name}, tuned", file=None, weights=None, extra=None)
        return Backbone(card=described, path=written.path, sha256=written.sha256), None

    def seen(self, shared: Features, verdict: Verdict) -> np.ndarray:
        """Embeddings (N, D) as the shipped model's novelty will read them: of the shared network, but of the tuned one
        where all of it was tuned."""
        if self.tuned is None or self.tuned.kind == "tail" or verdict.tuned is None or verdict.tuned.alpha == 0:
            return shared.embeddings
        return self.tuned.embeddings(None, verdict.tuned.alpha)

    def describe(self, report: dict[str, Any], verdict: Verdict, tail: Tail | None, options: Options) -> None:
        """Adds what was tried and found to the card and the report."""
        card = report["card"]
        card["tail"] = tail.as_json() if tail is not None else None
        beside = self.extras.get("histories", [])
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
        found, tuned = verdict.tuned, self.tuned
        if found is None or tuned is None:
            return
        winner = tuned.kind if found.alpha else "linear"
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
        card["finetuning"] = {
            "winner": winner,
            "kind": tuned.kind,
            "alpha": found.alpha,
            "words": " ".join(filter(None, (_words(best, found.alpha, tuned, options), tuned.words))),
            "recipe": tuned.recipe.as_json(),
            "views": tuned.symmetry.as_json(),
            "folds": len(tuned.of_fold),
            "candidates": candidates,
            "seconds": tuned.seconds,
        }
        named = [(f"{NAMES[tuned.kind]}, fold {i + 1}", done) for i, done in enumerate(tuned.of_fold)]
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

    def _with_comparison(self, said: dict[str, Any]) -> dict[str, Any]:
        """For the report, which also shows the network from scratch: what was left out of that comparison."""
        return {**said, "words": " ".join(filter(None, (said["words"], self.extras.get("compared"))))}


def attempt(
    features: Features, shared: Features, plan: Plan, network: Backbone, options: Options, say: StageProgress
) -> Tuning:
    """Tune as asked. `auto` goes on without where it is not possible here; any other way raises FinetuneError."""
    if options.finetune == "none" and not options.scratch:
        return Tuning()
    from medloupe.training.scratch.run import compare_with_scratch
    from medloupe.training.tune.run import default_recipe, tune
    from medloupe.training.tune.search import SearchTask, search

    made = Tuning()
    automatic = options.finetune == "auto"
    if features.data.modality != "image":
        what, instead = "Networks of ECGs are used as they are, not tuned.", "Leave --finetune and --scratch out."
        if automatic and not options.scratch:
            return Tuning(why_not=what)
        raise FinetuneError(what, instead)
    kind = "full" if options.finetune == "full" else "tail"
    if options.finetune != "none":
        recipe = default_recipe(kind, len(plan.fitting))
        minutes = options.minutes if options.minutes is not None or not automatic else MINUTES
        try:
            if options.search:
                task = SearchTask(
                    features=features, shared=shared, plan=plan, network=network, recipe=recipe, options=options
                )
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
                progress=say,
            )
        except FinetuneError as e:
            if not automatic:
                raise
            made.why_not = f"{e.message} {e.hint}"
    if options.scratch:
        made.extras |= compare_with_scratch(shared, plan, network, options, say)
    return made


def untouched(backbone: Backbone) -> tuple[int, ...]:
    """How the end of the embedding divides that a tail leaves alone; by it pictures of other kinds are told."""
    return list_lower_levels(backbone.card, find_upper_part(load_graph(backbone)).width) or backbone.card.levels


def _words(best: Any, share: float, tuned: TunedNetworks, options: Options) -> str:
    """Which won, and by how much."""
    d = best.difference
    gained = f"{d['value']:+.3f} AUC ({d['low']:+.3f} to {d['high']:+.3f})" if d else "an unknown amount"
    what = "The upper stages of the network were tuned" if tuned.kind == "tail" else "The whole network was tuned"
    before = "" if tuned.start is None else ", except where the network that they went on from had"
    judged = (
        f"{what} to these pictures, and judged in {len(tuned.of_fold)} folds by networks that had seen no patient of"
        f" the fold{before}: {gained} against a linear head on the untuned network, on the same folds."
    )
    if share == 0:
        return f"{judged} That is not more than chance may give, so the untuned network was kept."
    way = "" if share == 1 else " The weights that ship lie halfway between the untuned and the tuned ones."
    worse = (
        " It was not shown to be better than the linear head; --finetune auto would have kept that."
        if d and d["low"] <= 0 and options.finetune != "auto"
        else ""
    )
    return judged + way + worse + " " + tuned.symmetry.words
