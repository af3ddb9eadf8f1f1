"""Find the kind that a picture is of, and say what a foreign one looks like, by its embedding alone.

All check-ups of a router share one backbone, so one pass of the network answers for all of them. Those of one kind
(chest X-ray, fundus) all answer: which of them is meant, the picture does not tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.model.novelty import Novelty
from medloupe.model.printed_ecg import KIND, PrintedEcg
from medloupe.model.sketch import sketch

CLEAR = 0.5  # probability from which an everyday object is named
CLEAR_TOGETHER = 0.6  # of two taken together, where neither alone is clear
# What the everyday head sees in X-rays, scans, smears and skin; said to a health worker it would be nonsense.
EVOKED = frozenset(
    (
        *("nematode", "tick", "jellyfish", "isopod", "velvet", "gong", "grey whale", "shower cap", "steel drum"),
        *("spotlight", "Petri dish", "oxygen mask", "fountain", "head cabbage", "hourglass", "projectile", "wool"),
        *("submarine", "breastplate", "caldron", "stinkhorn", "bubble", "spatula", "wall clock", "gasmask", "dugong"),
        *("milk can", "broccoli", "bathtub", "suspension bridge", "loupe", "pick", "wallet", "Windsor tie"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a picture belongs.

    Attributes
    ----------
    name
        Of the check-up that the picture fits best; None where all refuse.
    scores
        By name, above 1 is refused.
    """

    name: str | None
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Everyday:
    """The published head for everyday objects.

    Attributes
    ----------
    weight
        float16 (K, d) for the first d numbers of an embedding.
    bias
        (K,).
    labels
        K names.
    """

    weight: np.ndarray
    bias: np.ndarray
    labels: tuple[str, ...]

    def name(self, embedding: np.ndarray) -> str:
        """Name what an embedding (D,) clearly shows ("tabby", "tabby or Egyptian cat"), or ""."""
        logits = (self.weight @ embedding[: self.weight.shape[1]].astype(np.float32) + self.bias).astype(np.float64)
        if not np.isfinite(logits).all():
            return ""
        p = np.exp(logits - logits.max())
        p /= p.sum()
        first, second = np.argsort(-p)[:2].tolist()
        if p[first] >= CLEAR:
            named = (first,)
        elif p[first] + p[second] >= CLEAR_TOGETHER:
            named = (first, second)
        else:
            return ""
        labels = [self.labels[k] for k in named]
        return "" if EVOKED.intersection(labels) else " or ".join(labels)


class Router:
    """A choice among check-ups by name; each Novelty was fitted on embeddings of the same backbone.

    everyday: names what is foreign to all of them (see `Everyday`), or None. printed: recognises printed ECGs, or None.
    """

    def __init__(
        self, checkups: Mapping[str, Novelty], everyday: Everyday | None = None, printed: PrintedEcg | None = None
    ):
        self.checkups = dict(checkups)
        self.everyday, self.printed = everyday, printed

    def scores(self, embedding: np.ndarray) -> dict[str, float]:
        """Score how foreign an embedding (D,) is to each check-up, by name: above 1 it is refused."""
        return self._scores(self._sketches(embedding))

    def rank(self, embedding: np.ndarray) -> dict[str, float]:
        """Rank the check-ups that do not refuse an embedding (D,), the best first, each with its distance.

        They are held against each other by distance alone: what a contrast forgives (medloupe.model.contrast) says that
        a picture may be judged, not that it fits better than elsewhere.
        """
        sketches = self._sketches(embedding)
        return self._rank(sketches, self._scores(sketches))

    def choose(self, embedding: np.ndarray) -> Route:
        """Choose the check-up that an embedding (D,) fits best, if it is not foreign to all."""
        sketches = self._sketches(embedding)
        scores = self._scores(sketches)
        return Route(name=next(iter(self._rank(sketches, scores)), None), scores=scores)

    def looks_like(self, embedding: np.ndarray, asked: str = "") -> str:
        """Say what a picture that the check-up `asked` refused looks like instead.

        That is the name of another check-up that knows its kind, else printed_ecg.KIND where it is a printed ECG, else
        "an everyday object: …" where one is clearly seen, else "".
        """
        other = next((name for name in self.rank(embedding) if name != asked), "")
        if other:
            return other
        if self.printed is not None and self.printed.recognise(embedding):
            return KIND
        seen = self.everyday.name(embedding) if self.everyday is not None else ""
        return f"an everyday object: {seen}" if seen else ""

    def _sketches(self, embedding: np.ndarray) -> dict[str, np.ndarray]:
        """(1, W) by check-up; those with the same levels share one."""
        made = {levels: sketch(embedding[None], levels) for levels in {n.levels for n in self.checkups.values()}}
        return {name: made[novelty.levels] for name, novelty in self.checkups.items()}

    def _scores(self, sketches: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {name: float(self.checkups[name].score_sketch(z)[0]) for name, z in sketches.items()}

    def _rank(self, sketches: Mapping[str, np.ndarray], scores: Mapping[str, float]) -> dict[str, float]:
        found = {n: float(self.checkups[n].distance(z)[0]) for n, z in sketches.items() if scores[n] <= 1}
        return dict(sorted(found.items(), key=lambda entry: entry[1]))


def kind_key(card: Mapping[str, Any], name: str) -> str:
    """Make the key of a check-up's kind of picture, as its card says; without one it is a kind of its own."""
    kind = str(card.get("kind") or "").strip().casefold()
    return f"kind {kind}" if kind else f"name {name}"


def find_kind(ranked: Mapping[str, float], kinds: Mapping[str, str]) -> list[str]:
    """List the check-ups of the kind that a picture is of.

    Parameters
    ----------
    ranked : mapping of float
        Distance by name of those that do not refuse the picture, as `Router.rank` gives it.
    kinds : mapping of str
        Key of the kind by name, of all check-ups that may answer.

    Returns
    -------
    list of str
        Names of all that are of the kind of the nearest, those that know the picture first, the nearest before others;
        none where all refuse.
    """
    near = sorted(ranked, key=lambda name: ranked[name])
    if not near:
        return []
    kind = kinds[near[0]]
    names = [name for name in near if kinds[name] == kind]
    return names + [name for name, other in kinds.items() if other == kind and name not in ranked]


def refusal_reason(name: str, score: float) -> str:
    """Say why a check-up refuses a picture, as a sentence."""
    return f"This picture is unlike everything {name!r} was trained on ({score:.1f} times the limit)."


UNKNOWN_TO_ALL = "This picture is unlike everything that any check-up here was trained on."
