"""Hold one version of a model as serving needs it: to answer and to be introduced, without its whole card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.data.modalities import PICTURES
from medloupe.embed.modalities import EMBEDDINGS
from medloupe.embed.registry import BACKBONES, ECG_BEATS
from medloupe.embed.tail import Tail
from medloupe.imaging.quality import Limits
from medloupe.model.applies import Applies, read_applies
from medloupe.model.bundle import Model
from medloupe.model.crops import CellQuestion
from medloupe.model.decision import Decision
from medloupe.model.head import probabilities
from medloupe.model.large import LargePictures
from medloupe.model.leads import LeadRule
from medloupe.model.novelty import Novelty
from medloupe.model.printed_ecg import PrintedEcg
from medloupe.model.router import kind_key
from medloupe.model.sight import SharedSight
from medloupe.model.strength import NOT_JUDGED, Strength, judge_strength
from medloupe.model.tiling import LearnedSizes
from medloupe.serving.engine.figures import (
    FoundFigures,
    Hardship,
    Point,
    Pointed,
    read_found,
    read_hardships,
    read_point,
    read_pointed,
    read_value,
)
from medloupe.starter.printed_ecg import find_printed_ecg

if TYPE_CHECKING:
    from medloupe.embed.backbone import BackboneCard
    from medloupe.inputs.extras import Extras


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckUp:
    """One version of a model, ready to answer: what is needed for that and for introducing it, not the whole card.

    Attributes
    ----------
    version : int, optional
        None for a check-up of the package.
    network, network_sha256 : Path, str
        The ONNX file that runs.
    tail : Tail, optional
        The tuned upper stages that run after it.
    whole : bool
        The file answers by itself, with outputs `logits` and `heatmap`; else it is a backbone.
    weight, bias : ndarray
        The head, float32 (K, d) and (K,); d is the leading part of the embedding that has any weight.
    novelty : Novelty, optional
        Tells how foreign a picture is.
    points : Mapping of Point
        The operating point of each label.
    images : int, optional
        How many it was trained on.
    adapted_to, adapted_cases : str, int
        Name of the data to whose cases its percentages and lines were fitted, and how many; "" where to none.
    precision : str
        Of the network.
    precisions : tuple of str
        Those in which the version keeps its accuracy.
    base : str
        Sha256 of the network that it was trained on, whatever runs.
    extras : Extras, optional
        What it reads beside the picture.
    windows : BackboneCard, optional
        Of a check-up that reads no pictures its backbone's card, which says what windows it takes; None where it looks
        at pictures.
    announced : Mapping of Point
        How each label fares when it is the one announced.
    leads : LeadRule, optional
        Of a check-up of ECGs which leads it needs.
    quality : Limits, optional
        Of a check-up of pictures what can be used; None of one that was made before, which has no limits of its own.
    kind : str
        Key of its kind of picture (medloupe.model.router.kind_key); those of one kind answer together.
    applies : tuple of Applies
        Whom or what it is for, where the app chooses.
    strength : Strength
        How strong its card shows it to be.
    looks_at : str
        What its pictures are of, as its card names it; "" where it does not say.
    most_boxes : int
        Of a detector the M of its output `boxes`, (N, M, 6).
    found_labels : Mapping of FoundFigures
        Of a detector, how well it finds and counts, by label.
    found : float, optional
        Share of the examples with a finding that are flagged, 0 to 1; None where that was not measured.
    dimension : int
        D, of an embedding.
    places : (int, int)
        (h, w) of a heat map.
    pointed : Mapping of Pointed
        By label how often its heat map points at the right place, where that was measured.
    sight : SharedSight, optional
        Of a check-up with a network of its own, by what the app finds it with the network that others share.
    asks : AskedCheckUp, optional
        Of a composed check-up, which is a detector otherwise, what it asks about each thing that it finds.
    large : LargePictures, optional
        Of a detector how it looks at pictures much larger than those it learned from.
    printed : PrintedEcg, optional
        By what it tells printed ECGs among the pictures that it refuses.
    """

    name: str
    version: int | None
    created: str
    title: str
    decision: Decision
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
    terms: str
    intended_use: str
    limits: tuple[str, ...]
    adapted_to: str = ""
    adapted_cases: int = 0
    precision: str = "fp32"
    precisions: tuple[str, ...] = ("fp32",)
    base: str = ""
    hardships: tuple[Hardship, ...] = ()
    extras: Extras | None = None
    windows: BackboneCard | None = None
    announced: Mapping[str, Point] = field(default_factory=dict)
    leads: LeadRule | None = None
    quality: Limits | None = None
    kind: str = ""
    applies: tuple[Applies, ...] = ()
    strength: Strength = NOT_JUDGED
    looks_at: str = ""
    most_boxes: int = 0
    found_labels: Mapping[str, FoundFigures] = field(default_factory=dict)
    found: float | None = None
    dimension: int = 0
    places: tuple[int, int] = (1, 1)
    pointed: Mapping[str, Pointed] = field(default_factory=dict)
    sight: SharedSight | None = None
    asks: AskedCheckUp | None = None
    large: LargePictures | None = None
    printed: PrintedEcg | None = None

    @property
    def full_above(self) -> int | None:
        """Pixels of a picture's longer side above which it is looked at in parts, too; None for never."""
        if self.asks is not None:
            return 0
        return None if self.large is None else self.large.learned.large_from

    @property
    def shown_points(self) -> Mapping[str, Point]:
        """What is told of each label.

        Its operating point; of single beats, which raise no flags, how it fares when announced.
        """
        return self.announced if self.beats else self.points

    @property
    def chooses_itself(self) -> bool:
        """Whether a picture may choose it: of those that look at whole pictures, by themselves."""
        return self.windows is None and self.asks is None and not self.decision.crops

    @property
    def modality(self) -> str:
        """The kind of data that it reads, by its name in data/modalities."""
        return PICTURES.name if self.windows is None else self.windows.modality

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example: (S, S, 3) of a picture, (L, T) of a window of an ECG."""
        return (self.size, self.size, 3) if self.windows is None else self.windows.input_shape

    def blank(self, n: int = 1) -> np.ndarray:
        """Make examples of zeros, as its network takes them."""
        return np.zeros((n, *self.shape), EMBEDDINGS[self.modality].dtype)

    @property
    def beats(self) -> bool:
        """Whether it judges single beats."""
        return self.windows is not None and self.windows.leads == BACKBONES[ECG_BEATS].leads

    @property
    def task(self) -> str:
        """How its labels relate: "multiclass" or "multilabel"."""
        return self.decision.task

    @property
    def finds_boxes(self) -> bool:
        """Whether it marks places in pictures."""
        return self.task == "detection"

    @property
    def labels(self) -> tuple[str, ...]:
        """The K labels, in the order of its logits."""
        return self.decision.labels

    @property
    def answered_labels(self) -> tuple[str, ...]:
        """The labels that an answer is about: its own, or of a composed check-up those of the one that it asks."""
        return self.labels if self.asks is None else self.asks.checkup.labels

    def logits(self, embedding: np.ndarray) -> np.ndarray:
        """Apply the head to embeddings float32 (N, D).

        Returns
        -------
        ndarray
            Calibrated logits float32 (N, K), before what is given beside the picture.
        """
        return embedding[:, : self.weight.shape[1]] @ self.weight.T + self.bias

    def contributions(self, feature_map: np.ndarray) -> np.ndarray:
        """Compute what each place of one map, float32 (D, h, w), adds to each logit: float32 (K, h, w)."""
        used = feature_map[: self.weight.shape[1]]
        return (self.weight @ used.reshape(len(used), -1)).reshape(-1, *used.shape[1:])

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Turn logits (..., K) into probabilities float64 of the same shape."""
        return probabilities(logits.astype(np.float64), self.task)

    @classmethod
    def of(cls, model: Model) -> CheckUp:
        """Take from a model what serving needs."""
        card = model.card
        data = card.get("data") or {}
        adapted = found if isinstance(found := card.get("adapted"), Mapping) else {}
        auc = (card.get("metrics") or {}).get("auc")
        whole = model.onnx is not None
        decision, size = Decision.from_card(card), model.backbone.card.input_size
        learned = None if model.detector is None else LearnedSizes.from_card(card, size)
        used = np.flatnonzero(model.head.weight.any(0))
        depth = int(used[-1]) + 1 if len(used) else 1
        return cls(
            name=model.name,
            version=model.version,
            created=str(card.get("created") or ""),
            title=str(card.get("title") or readable_title(model.name)),
            decision=decision,
            size=size,
            network=model.onnx or model.backbone.path,
            network_sha256=model.backbone.sha256,
            tail=model.tail,
            whole=whole,
            weight=np.ascontiguousarray(model.head.weight[:, : 1 if whole else depth]),
            bias=model.head.bias,
            novelty=model.novelty,
            positive=card.get("positive"),
            points={row["label"]: read_point(row["operating_point"]) for row in card.get("per_label") or ()},
            auc=auc if isinstance(auc, Mapping) else None,
            data_name=str(data.get("name") or ""),
            images=data.get("labelled"),
            licence=str(card.get("licence") or ""),
            terms=str(card.get("terms") or ""),
            intended_use=str(card.get("intended_use") or ""),
            limits=tuple(card.get("limits") or ()),
            adapted_to=str(adapted.get("data") or ""),
            adapted_cases=int(adapted.get("n") or 0),
            base=model.backbone.sha256,
            hardships=tuple(read_hardships(card.get("stress"))),
            extras=model.extras,
            announced={row["label"]: read_point(row) for row in card.get("per_label") or ()},
            kind=kind_key(card, model.name),
            applies=read_applies(card),
            strength=judge_strength(card),
            looks_at=str(card.get("kind") or ""),
            most_boxes=0 if model.detector is None else model.detector.most,
            found_labels=read_found(card) if card.get("task") == "detection" else {},
            found=read_value((card.get("decision") or {}).get("measured"), "flagged_with"),
            windows=None if model.backbone.card.modality == PICTURES.name else model.backbone.card,
            leads=LeadRule.from_card(card, model.backbone.card.leads)
            if model.backbone.card.modality == "ecg"
            else None,
            quality=Limits.from_json(card.get("quality")),
            dimension=model.backbone.card.dimension,
            places=model.backbone.card.places,
            pointed=dict(read_pointed(card.get("localisation"))),
            sight=model.sight,
            asks=None if model.asks is None else _read_asked(model),
            large=LargePictures.of(decision, learned, model.novelty),
            printed=None if model.backbone.card.modality != PICTURES.name else find_printed_ecg(model),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCheckUp:
    """What a composed check-up asks about each thing that it finds, and which check-up."""

    checkup: CheckUp
    question: CellQuestion


def _read_asked(model: Model) -> AskedCheckUp:
    """Take from a composed model what it asks."""
    assert model.asks is not None
    asked = model.asks.checkup
    question = CellQuestion.from_cards(
        model.card["composed"],
        Decision.from_card(model.card),
        asked.card,
        asked.novelty,
        asked.backbone.card.input_size,
    )
    return AskedCheckUp(checkup=CheckUp.of(asked), question=question)


def readable_title(name: str) -> str:
    """Write a name as people read it: "chest-pneumonia" as "Chest pneumonia"."""
    words = name.replace("-", " ").replace("_", " ").strip()
    return words[:1].upper() + words[1:]
