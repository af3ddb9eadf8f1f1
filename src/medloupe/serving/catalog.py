"""The check-ups: what answers under each name, as small as it can be, exchanged in one step when a version changes."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medloupe import starter
from medloupe.errors import MedloupeError, UnknownError, did_you_mean
from medloupe.model import Model, probabilities
from medloupe.novelty import Novelty
from medloupe.rules import Rules
from medloupe.store import Store
from medloupe.tails import Tail

_SHIPPED = (None, "")  # the mark of a model of the package
_RETRY = 30.0  # seconds until what could not be loaded is tried again
_KEPT = 60.0  # seconds for which a version is kept that is not in production
_MOST_HARDSHIPS = 60  # read from a card
_OTHERS = 16  # versions kept that are not in production but were asked for
log = logging.getLogger("medloupe.serving")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A label's operating point. sensitivity, specificity: measured shares, None where there is none."""

    threshold: float | None
    sensitivity: float | None
    specificity: float | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardship:
    """What a change of the pictures does (stress.py). name: of the change; title: in English. value, low, high: of the
    AUC's difference to unchanged pictures. refused: share of pictures refused."""

    name: str
    title: str
    value: float | None
    low: float | None
    high: float | None
    refused: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckUp:
    """One version of a model, ready to answer: what is needed for that and for introducing it, not the whole card.

    network, network_sha256: the ONNX file that runs. tail: the tuned upper stages that run after it, if any. whole: the
    file answers by itself, with outputs `logits` and `heatmap`; else it is a backbone, `weight` float32 (K, d) and
    `bias` (K,) are the head, d the leading part of the embedding that has any weight. images: how many it was trained
    on. adapted_to: name of the data whose adapted_cases its percentages and lines were fitted to, if any. precision: of
    the network. precisions: those in which the version keeps its accuracy. base: sha256 of the
    network that it was trained on, whatever runs.
    """

    name: str
    version: int | None
    created: str
    title: str
    rules: Rules
    size: int
    network: Path
    network_sha256: str
    tail: Tail | None
    whole: bool
    weight: np.ndarray
    bias: np.ndarray
    novelty: Novelty | None
    positive: str | None
    points: Mapping[str, Point]
    auc: Mapping[str, Any] | None
    data_name: str
    images: int | None
    licence: str
    intended_use: str
    limits: tuple[str, ...]
    adapted_to: str = ""
    adapted_cases: int = 0
    precision: str = "fp32"
    precisions: tuple[str, ...] = ("fp32",)
    base: str = ""
    hardships: tuple[Hardship, ...] = ()

    @property
    def task(self) -> str:
        return self.rules.task

    @property
    def labels(self) -> tuple[str, ...]:
        return self.rules.labels

    def logits(self, embedding: np.ndarray) -> np.ndarray:
        """Calibrated logits float32 (N, K) of embeddings (N, D)."""
        return embedding[:, : self.weight.shape[1]] @ self.weight.T + self.bias

    def contributions(self, feature_map: np.ndarray) -> np.ndarray:
        """What each place adds to each logit, float32 (K, h, w), of one map (D, h, w)."""
        used = feature_map[: self.weight.shape[1]]
        return (self.weight @ used.reshape(len(used), -1)).reshape(-1, *used.shape[1:])

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """float64, as many as logits."""
        return probabilities(logits.astype(np.float64), self.task)

    @classmethod
    def of(cls, model: Model) -> CheckUp:
        """What serving needs of a model."""
        card = model.card
        data = card.get("data") or {}
        adapted = found if isinstance(found := card.get("adapted"), Mapping) else {}
        auc = (card.get("metrics") or {}).get("auc")
        whole = model.onnx is not None
        used = np.flatnonzero(model.head.weight.any(0))
        depth = int(used[-1]) + 1 if len(used) else 1
        return cls(
            name=model.name,
            version=model.version,
            created=str(card.get("created") or ""),
            title=str(card.get("title") or title(model.name)),
            rules=Rules.of(card),
            size=model.backbone.card.input_size,
            network=model.onnx or model.backbone.path,
            network_sha256=model.backbone.sha256,
            tail=model.tail,
            whole=whole,
            weight=np.ascontiguousarray(model.head.weight[:, : 1 if whole else depth]),
            bias=model.head.bias,
            novelty=model.novelty,
            positive=card.get("positive"),
            points={row["label"]: _point(row["operating_point"]) for row in card.get("per_label") or ()},
            auc=auc if isinstance(auc, Mapping) else None,
            data_name=str(data.get("name") or ""),
            images=data.get("labelled"),
            licence=str(card.get("licence") or ""),
            intended_use=str(card.get("intended_use") or ""),
            limits=tuple(card.get("limits") or ()),
            adapted_to=str(adapted.get("data") or ""),
            adapted_cases=int(adapted.get("n") or 0),
            base=model.backbone.sha256,
            hardships=tuple(_hardships(card.get("stress"))),
        )


def _hardships(entry: Any) -> Iterator[Hardship]:
    """Those of a card's entry `stress` that alter its pictures at all; cards come from elsewhere, so nothing is taken
    for granted."""

    def inner(x: Any, key: str) -> Any:
        return x.get(key) if isinstance(x, Mapping) else None

    def number(x: Any) -> float | None:
        return float(x) if isinstance(x, int | float) and math.isfinite(x) else None

    rows = inner(entry, "changes")
    for row in rows[:_MOST_HARDSHIPS] if isinstance(rows, list) else ():
        if inner(row, "altered") and (kind := str(inner(row, "kind") or "")):
            difference = inner(inner(row, "auc"), "difference")
            strength = inner(row, "strength")
            yield Hardship(
                name=str(inner(row, "change")),
                title=f"{kind} ({strength})" if strength else kind,
                value=number(inner(difference, "value")),
                low=number(inner(difference, "low")),
                high=number(inner(difference, "high")),
                refused=number(inner(inner(row, "refused"), "value")),
            )


def title(name: str) -> str:
    """ "chest-pneumonia" as people read it: "Chest pneumonia"."""
    words = name.replace("-", " ").replace("_", " ").strip()
    return words[:1].upper() + words[1:]


class Catalog:
    """The check-ups in production; safe to use from several threads.

    A reader takes a whole state at once and keeps it for its request: answers of two versions cannot mix.
    warm: called with each new check-up before it answers anybody, so that no request waits for its network to open.
    choose: which of a version's check-ups by precision is to answer (precisions.py); by default the one trained in.
    """

    def __init__(
        self,
        store: Store,
        warm: Callable[[CheckUp], None] = lambda _: None,
        choose: Callable[[Mapping[str, CheckUp]], CheckUp] = lambda options: options["fp32"],
    ):
        self._store = store
        self._warm = warm
        self._choose = choose
        self._now: Mapping[str, CheckUp] = {}
        self._marks: dict[str, tuple[int, str]] = {}
        self._loaded: dict[str, tuple[int | None, str]] = {}  # the mark of each that is in `_now`
        self._again = 0.0  # when to try again what could not be loaded
        self._others: OrderedDict[tuple[str, int], tuple[float, CheckUp]] = OrderedDict()
        self._lock, self._others_lock = threading.Lock(), threading.Lock()
        self.broken: dict[str, str] = {}
        """Names whose version in production cannot be loaded, with the error; what answered before goes on."""
        self.swaps = 0

    def all(self) -> list[CheckUp]:
        """Those in production, by title; everyday objects last."""
        return sorted(self._now.values(), key=lambda c: (c.name == starter.EVERYDAY, c.title.lower()))

    def get(self, name: str, version: int | None = None) -> CheckUp:
        """The version in production, or another one. Raises StoreError when there is none."""
        found = self._now.get(name)
        if found is None:
            raise UnknownError(
                f"There is no check-up {name!r}.",
                did_you_mean(name, self._now) or "GET /api/v1/models lists what there is.",
            )
        return found if version in (None, found.version) else self._other(name, version)

    def refresh(self) -> bool:
        """Take up what changed in the store; whether anything did. Raises StoreError when the store cannot be read."""
        with self._lock:
            marks = self._store.production()
            again = bool(self.broken) and time.monotonic() >= self._again
            if marks == self._marks and self._now and not again:
                return False
            made: dict[str, CheckUp] = {}
            broken: dict[str, str] = {}
            for name, mark in {**dict.fromkeys(starter.names(), _SHIPPED), **marks}.items():
                if name in self._now and self._loaded.get(name) == mark:
                    made[name] = self._now[name]
                    continue
                try:
                    made[name] = self.load(name, mark[0])
                    self._loaded[name] = mark
                except Exception as e:  # whatever is wrong with one must not stop the others
                    if not isinstance(e, MedloupeError):
                        log.exception("unexpected", extra={"model": name, "version": mark[0]})
                    broken[name] = str(e)
                    log.error("version not loaded", extra={"model": name, "version": mark[0], "reason": str(e)})
                    if name in self._now:  # the one that answered so far goes on
                        made[name] = self._now[name]
            self.swaps += sum(self._now.get(n) is not c for n, c in made.items())
            self._again = time.monotonic() + _RETRY
            self._marks, self._now, self.broken = marks, made, broken
            return True

    def load(self, name: str, version: int | None) -> CheckUp:
        """A version from the store, or a model of the package, with its network open. Raises StoreError."""
        if version is None:
            checkup = CheckUp.of(starter.load(name))
            starter.load.cache_clear()  # what is needed of them is in the check-ups now
        else:
            checkup = self._chosen(name, version)
        self._warm(checkup)
        return checkup

    def _chosen(self, name: str, version: int) -> CheckUp:
        """A version in the precision that is to answer here."""
        options = {"fp32": CheckUp.of(self._store.get(name, version, report=False))}
        try:
            variants = self._store.variants(name, version)
        except MedloupeError as e:  # the version itself is whole: it answers
            log.error("precision not loaded", extra={"model": name, "version": version, "reason": str(e)})
            variants = {}
        usual = options["fp32"]
        if not usual.whole:
            options |= {p: replace(CheckUp.of(m), precision=p, base=usual.base) for p, m in variants.items()}
        kept = ("fp32", *(p for p in options if p != "fp32"))
        chosen = self._choose({p: replace(c, precisions=kept) for p, c in options.items()})
        if len(options) > 1:
            log.info("precision chosen", extra={"model": name, "version": version, "reason": chosen.precision})
        return chosen

    def _other(self, name: str, version: int) -> CheckUp:
        with self._others_lock:
            now = time.monotonic()
            until, found = self._others.get((name, version), (0.0, None))
            if found is None or until < now:  # it may have been removed meanwhile
                found = self.load(name, version)
                self._others[name, version] = now + _KEPT, found
            self._others.move_to_end((name, version))
            if len(self._others) > _OTHERS:
                self._others.popitem(last=False)
            return found


def _point(entry: Mapping[str, Any]) -> Point:
    def value(key: str) -> float | None:
        figure = entry.get(key)
        return figure.get("value") if isinstance(figure, Mapping) else figure

    return Point(
        threshold=entry.get("threshold"),
        sensitivity=value("sensitivity"),
        specificity=value("specificity"),
        words=str(entry.get("words") or ""),
    )
