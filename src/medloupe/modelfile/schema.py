"""Describe the card as a typed schema, and check cards from elsewhere against it.

Keys that are not described here are allowed and kept: a card of another version, older or newer, is to be read.
`python -m medloupe.modelfile.schema` prints the JSON Schema that is published as docs/card.schema.json.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from medloupe.embed.modalities import EMBEDDINGS
from medloupe.errors import ModelFileError
from medloupe.modelfile.applies import AppliesEntry
from medloupe.modelfile.backbones import AddedBackbone, PictureBackbone, SignalBackbone, tag_backbone
from medloupe.modelfile.entries import (
    MAX_LABELS,
    MAX_LEADS,
    MAX_RATE,
    CardDecision,
    CardLeads,
    CardQuality,
    CardRoles,
    LabelRow,
    Object,
    OpenEntry,
    Text,
    Whole,
)
from medloupe.modelfile.evaluation import (
    CardAdapted,
    CardAudit,
    CardCalibration,
    CardConfusion,
    CardData,
    CardDetection,
    CardField,
    CardFinetuning,
    CardHead,
    CardInput,
    CardInputs,
    CardSecondary,
    CardSplit,
    CardStress,
    CardSubgroup,
    CardTail,
    Count,
    Figures,
)
from medloupe.modelfile.localisation import CardLocalisation
from medloupe.modelfile.measuring import MOST_MEASUREMENTS, CardComposed, CardCrop, CardMeasurement
from medloupe.modelfile.robust import CardRobust
from medloupe.utils.validation import MISSING, ROOT, explain

_TAGS = ("image", "ecg", "added")
_DECIDING = frozenset(
    (
        *("name", "task", "labels", "version", "backbone", "tail", "format", "top_shown"),
        *("per_label", "roles", "applies", "decision", "leads", "quality", "detection", "measurements", "composed"),
        "crop",
    )
)
"""Entries by which answers go: an answer without them would be another."""


def _check_distinct(labels: list[str]) -> list[str]:
    label, times = Counter(labels).most_common(1)[0]
    if times > 1:
        raise ValueError(f"names the label {label!r} twice")
    return labels


class CardWarning(OpenEntry):
    """What must be read before the figures."""

    level: str
    text: str


class ModelCard(OpenEntry):
    """The evaluation passport of a model: docs/card.md says more of each key."""

    name: Text
    task: Literal["multiclass", "multilabel", "detection"]
    labels: Annotated[list[Text], Field(min_length=1, max_length=MAX_LABELS), AfterValidator(_check_distinct)] = Field(
        description="names, all different, in the order of the outputs"
    )
    version: Whole | None = None
    backbone: Annotated[
        Annotated[PictureBackbone, Tag("image")]
        | Annotated[SignalBackbone, Tag("ecg")]
        | Annotated[AddedBackbone, Tag("added")],
        Discriminator(tag_backbone),
    ]
    per_label: list[LabelRow] | None = None
    roles: CardRoles | None = Field(None, description="null: by the names of the labels")
    scope: Annotated[list[Annotated[Text, Field(max_length=80)]], Field(max_length=3)] | None = Field(
        None, description="whom and what it is for, in up to three short lines"
    )
    terms: Literal["open", "non-commercial", "research"] | None = Field(
        None, description="of a check-up that comes with the package, what the licence of its data allows"
    )
    applies: Annotated[list[AppliesEntry], Field(max_length=4)] | None = Field(
        None, description="questions that decide whether it is meant, where the app chooses; null: it always is"
    )
    decision: CardDecision | None = None
    leads: CardLeads | None = Field(None, description="of ECGs; null: all leads of the backbone are needed")
    quality: CardQuality | None = Field(None, description="of pictures; null: only blank and tiny ones are stopped")
    detection: CardDetection | None = Field(None, description="of a model that finds boxes: how, and how well")
    measurements: Annotated[list[CardMeasurement], Field(max_length=MOST_MEASUREMENTS)] | None = Field(
        None, description="of a model that finds boxes what is computed from them"
    )
    crop: CardCrop | None = Field(None, description="of a model that learned from crops: how they were made")
    composed: CardComposed | None = Field(
        None, description="of a composed check-up: what finds things, and what is asked about each"
    )
    metrics: Figures | None = Field(None, description="figures by name")
    data: CardData | None = None
    top_shown: Whole | None = Field(None, description="how many labels an answer shows; null: all")
    limits: list[str] | None = None

    format: Whole | None = Field(None, description="a reader refuses what is newer than it knows")
    medloupe: str | None = Field(None, description="version that made it")
    created: str | None = Field(None, description="UTC, ISO 8601")
    seconds: Object | None = Field(None, description="how long each step took")
    reused: bool | None = Field(None, description="whether the outcome was taken from the cache")
    title: str | None = Field(None, description="of a check-up, for people")
    about: str | None = Field(None, description="of a check-up, in a sentence")
    kind: str | None = Field(None, description="of picture, in words; check-ups of one kind answer together")
    modality: str | None = Field(None, description="image, ecg, or the name of a kind that was added")
    label_counts: dict[str, Count] | None = Field(None, description="cases of each label")
    positive: str | None = Field(None, description="of two classes the one looked for")
    input: CardInput | None = None
    tail: CardTail | None = None
    finetuning: CardFinetuning | None = None
    search: Object | None = Field(None, description="trials of recipes, and which was best")
    few_images: Object | None = Field(None, description="AUC by images a class")
    started_from: Object | None = Field(None, description="the model whose network this one goes on from")
    precision: Object | None = Field(None, description="of a file in fewer bits: which, and how it was judged")
    split: CardSplit | None = None
    audit: CardAudit | None = None
    secondary: CardSecondary | None = None
    with_leaks: Figures | None = Field(None, description="`metrics` with leaking images left in")
    confusion: CardConfusion | None = None
    subgroups: list[CardSubgroup] | None = Field(None, description="by sex, age band, view, site")
    stress: CardStress | None = None
    field: CardField | None = None
    robust: CardRobust | None = Field(None, description="how heads fare on sources that they have not seen")
    localisation: CardLocalisation | None = Field(None, description="where the heat maps point")
    inputs: CardInputs | None = None
    calibration: CardCalibration | None = None
    adapted: CardAdapted | None = None
    novelty: Object | None = Field(None, description="by what other kinds of picture are refused")
    head: CardHead | None = None
    erased: Object | None = Field(None, description="records behind the figures that were erased since, if any")
    warnings: list[CardWarning] | None = None
    intended_use: str | None = None
    licence: str | None = None

    @model_validator(mode="after")
    def _check_rows(self) -> ModelCard:
        # Operating points are applied to every answer, so they must be of labels that exist.
        if not {row.label for row in self.per_label or ()} <= set(self.labels):
            raise ValueError(SENTENCES["per_label"])
        return self


SENTENCES = {  # ends of sentences that begin with "its card"
    ROOT: "is not an object",
    MISSING: "has no {missing}",
    "name": "has no proper name",
    "task": "has the task {value!r}, neither multiclass nor multilabel nor detection",
    "labels": f"must list 1 to {MAX_LABELS:,} labels, each a text that is not empty",
    "version": "has a version that is no whole number",
    "backbone": "does not describe its backbone",
    "backbone.*": "lacks a proper {key!r} of its backbone",
    "backbone.leads": f"lacks proper 'leads' of its backbone: 1 to {MAX_LEADS} names",
    "backbone.rate": f"lacks a proper 'rate' of its backbone, above 0 and at most {MAX_RATE:,} Hz",
    "backbone.before": "lacks a proper 'before' of its backbone: seconds within the window",
    "backbone.levels": "lacks proper 'levels' of its backbone, which add up to its dimension",
    "per_label": "has a row in per_label without a known label or an operating point",
    "per_label.#.operating_point.threshold": "has an operating point of {within[1][label]!r} that is no number",
    "decision": "has a 'decision' that is no object",
    "decision.weights": "has weights of its decision that are no numbers",
    "decision.unclear": "has a beginning of unclear answers that is no probability",
    "roles": "has 'roles' that do not say what its labels mean",
    "scope": "has a 'scope' that is no list of up to three short lines",
    "terms": "has 'terms' that are none of open, non-commercial and research",
    "leads": "has 'leads' that do not say which may be missing",
    "quality": "has a 'quality' without proper limits",
    "applies": "has an 'applies' that is no list of questions, each with the choices that it is for",
    "measurements": "has 'measurements' that are no list of formulas over boxes",
    "crop": "has a 'crop' that does not say how pictures were cropped",
    "composed": "has a 'composed' that does not say what finds things and what is asked about them",
    "top_shown": "has a 'top_shown' that is no whole number",
    "limits": "has 'limits' that are no list of texts",
    "warnings": "has 'warnings' that are no list of objects with a level and a text",
}


def card_fault(card: object) -> str:
    """Say what of a card cannot be relied on, as the end of a sentence ("has no labels"); "" when it is sound."""
    try:
        ModelCard.model_validate(card)
    except ValidationError as error:
        known = f"has a backbone for {{value!r}}, neither {' nor '.join(EMBEDDINGS.names)}"
        return explain(error, card, {**SENTENCES, "backbone.modality": known}, tags=_TAGS)
    return ""


def drop_unsound_entries(card: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Take out of a card the entries that only describe the model and are not as they must be.

    A version that was taken in before its entries were checked goes on answering.

    Returns
    -------
    tuple of dict, tuple of str
        The card without them, and their names.

    Raises
    ------
    ModelFileError
        What the card says of deciding cannot be relied on.
    """
    kept, dropped = dict(card), []
    while True:
        try:
            ModelCard.model_validate(kept)
        except ValidationError as error:
            places = {str(e["loc"][0]) if e["loc"] else "" for e in error.errors(include_url=False)}
            if fault := places - set(kept) or places & _DECIDING:
                said = card_fault(kept) or f"is unsound ({', '.join(sorted(fault))})"
                raise ModelFileError(f"Its card {said}.", "Train or export it again.") from None
            for name in sorted(places):
                del kept[name]
                dropped.append(name)
        else:
            return kept, tuple(dropped)


def json_schema() -> dict[str, Any]:
    """Describe the card as JSON Schema (draft 2020-12)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ModelCard.model_json_schema()}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
