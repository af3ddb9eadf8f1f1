"""Describe the card as a typed schema, and check cards from elsewhere against it.

Keys that are not described here are allowed and kept: a card of another version, older or newer, is to be read.
`python -m medloupe.modelfile.schema` prints the JSON Schema that is published as docs/card.schema.json.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from medloupe.embed.modalities import EMBEDDINGS
from medloupe.modelfile.applies import AppliesEntry
from medloupe.modelfile.entries import (
    MAX_LABELS,
    MAX_LEADS,
    MAX_RATE,
    CardDecision,
    CardFigure,
    CardLeads,
    CardQuality,
    CardRoles,
    LabelRow,
    Object,
    OpenEntry,
    Places,
    Text,
    Whole,
)
from medloupe.utils.validation import MISSING, ROOT, explain

_TAGS = ("image", "ecg", "added")


def _check_distinct(labels: list[str]) -> list[str]:
    label, times = Counter(labels).most_common(1)[0]
    if times > 1:
        raise ValueError(f"names the label {label!r} twice")
    return labels


def _check_leads(leads: list[str]) -> list[str]:
    if len(set(leads)) < len(leads):
        raise ValueError("names a lead of its backbone twice")
    return leads


def _check_no_path(name: str) -> str:
    # A backbone can be asked for by name or by path: a name from a file must not be taken for a path.
    if any(c in name for c in "/\\:") or name.endswith(".onnx"):
        raise ValueError("names a path as its backbone")
    return name


def _check_one_row(places: list[int]) -> list[int]:
    if places[0] != 1:
        raise ValueError("has a backbone of ECGs whose map has more than one row")
    return places


def _check_no_cut(cut: object) -> object:
    if cut not in (None, [0, 0, 0]):
        raise ValueError("has a backbone of ECGs with a 'cut', which is of pictures only")
    return cut


class _NetworkEntry(OpenEntry):
    """What all backbones say."""

    name: Annotated[Text, AfterValidator(_check_no_path)]
    source: Text
    licence: Text
    sha256: Text = Field(description="of its ONNX file")
    input_size: Whole = Field(description="side in pixels; of ECGs the samples of one window")
    dimension: Whole = Field(description="numbers of an embedding")
    levels: list[Whole] = Field(description="how the dimension divides, the last map first; they add up to it")

    @model_validator(mode="after")
    def _check_levels(self) -> _NetworkEntry:
        if sum(self.levels) != self.dimension:
            raise ValueError("lacks proper 'levels' of its backbone, which add up to its dimension")
        return self


class PictureBackbone(_NetworkEntry):
    """The network under the head, of pictures."""

    modality: Literal["image"] = "image"
    places: Places = Field(description="height and width of the map")
    cut: Annotated[list[Whole], Field(min_length=3, max_length=3)] = Field(
        description="channels, height and width of the map at which tuned tails begin"
    )


class SignalBackbone(_NetworkEntry):
    """The network under the head, of ECGs."""

    modality: Literal["ecg"]
    leads: Annotated[list[Text], Field(min_length=1, max_length=MAX_LEADS), AfterValidator(_check_leads)] = Field(
        description="names, in order"
    )
    rate: Annotated[float, Field(gt=0, le=MAX_RATE, allow_inf_nan=False)] = Field(description="samples a second")
    before: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        description="seconds of a window before the R peak"
    )
    places: Annotated[Places, AfterValidator(_check_one_row)] = Field(description="1, and places along the window")
    cut: Annotated[Any, AfterValidator(_check_no_cut), WithJsonSchema({"enum": [None, [0, 0, 0]]})] = Field(
        None, description="of pictures only"
    )

    @model_validator(mode="after")
    def _check_before(self) -> SignalBackbone:
        if self.before * self.rate > self.input_size:
            raise ValueError(SENTENCES["backbone.before"])
        return self


class AddedBackbone(_NetworkEntry):
    """The network under the head, of a kind of data that was added from outside."""

    modality: Text = Field(
        description="the kind's name; whoever added it says what more must be there",
        json_schema_extra={"not": {"enum": ["image", "ecg"]}},
    )
    places: Places = Field(description="height and width of the map")

    @model_validator(mode="after")
    def _check_by_kind(self) -> AddedBackbone:
        if fault := EMBEDDINGS[self.modality].card_fault(self.model_dump()):
            raise ValueError(fault)
        return self


def _tag(entry: object) -> str:
    """Tell by which model a backbone is checked; what is no kind of data is refused as a network of pictures."""
    modality = entry.get("modality") if isinstance(entry, dict) else None
    if modality == "ecg":
        return "ecg"
    return "added" if modality in {kind.name for kind in EMBEDDINGS.added} else "image"


class CardWarning(OpenEntry):
    """What must be read before the figures."""

    level: str
    text: str


class ModelCard(OpenEntry):
    """The evaluation passport of a model: docs/card.md says more of each key."""

    name: Text
    task: Literal["multiclass", "multilabel"]
    labels: Annotated[list[Text], Field(min_length=1, max_length=MAX_LABELS), AfterValidator(_check_distinct)] = Field(
        description="names, all different, in the order of the outputs"
    )
    version: Whole | None = None
    backbone: Annotated[
        Annotated[PictureBackbone, Tag("image")]
        | Annotated[SignalBackbone, Tag("ecg")]
        | Annotated[AddedBackbone, Tag("added")],
        Discriminator(_tag),
    ]
    per_label: list[LabelRow] | None = None
    roles: CardRoles | None = Field(None, description="null: by the names of the labels")
    scope: Annotated[list[Annotated[Text, Field(max_length=80)]], Field(max_length=3)] | None = Field(
        None, description="whom and what it is for, in up to three short lines"
    )
    applies: Annotated[list[AppliesEntry], Field(max_length=4)] | None = Field(
        None, description="questions that decide whether it is meant, where the app chooses; null: it always is"
    )
    decision: CardDecision | None = None
    leads: CardLeads | None = Field(None, description="of ECGs; null: all leads of the backbone are needed")
    quality: CardQuality | None = Field(None, description="of pictures; null: only blank and tiny ones are stopped")
    metrics: dict[str, CardFigure | Any] | None = Field(None, description="figures by name")
    data: Object | None = Field(None, description="what it was trained on, with shortened hashes of the images")
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
    label_counts: dict[str, Any] | None = Field(None, description="cases of each label")
    positive: str | None = Field(None, description="of two classes the one looked for")
    input: Object | None = Field(None, description="size and name of the fitting")
    tail: Object | None = Field(None, description="tuned upper stages: sha256 and width")
    finetuning: Object | None = Field(None, description="what came of tuning the network")
    search: Object | None = Field(None, description="trials of recipes, and which was best")
    few_images: Object | None = Field(None, description="AUC by images a class")
    started_from: Object | None = Field(None, description="the model whose network this one goes on from")
    precision: Object | None = Field(None, description="of a file in fewer bits: which, and how it was judged")
    split: Object | None = Field(None, description="how the data was divided, and a sentence")
    audit: Object | None = Field(None, description="what was found in the data")
    secondary: Object | None = Field(None, description="cross-validation, where `metrics` is from a test split")
    with_leaks: dict[str, CardFigure | Any] | None = Field(None, description="`metrics` with leaking images left in")
    confusion: Object | None = Field(None, description="truth by announced class")
    subgroups: list[Object] | None = Field(None, description="AUC and balanced accuracy by sex, age band, view, site")
    stress: Object | None = Field(None, description="figures when pictures are disturbed")
    inputs: Object | None = Field(None, description="what is read beside the picture")
    calibration: Object | None = Field(None, description="temperatures, already in the head")
    adapted: Object | None = Field(None, description="what fitting to local cases changed")
    novelty: Object | None = Field(None, description="by what other kinds of picture are refused")
    head: Object | None = Field(None, description="penalty and levels chosen, and all that was tried")
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
    "task": "has the task {value!r}, neither multiclass nor multilabel",
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
    "leads": "has 'leads' that do not say which may be missing",
    "quality": "has a 'quality' without proper limits",
    "applies": "has an 'applies' that is no list of questions, each with the choices that it is for",
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


def json_schema() -> dict[str, Any]:
    """Describe the card as JSON Schema (draft 2020-12)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ModelCard.model_json_schema()}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
