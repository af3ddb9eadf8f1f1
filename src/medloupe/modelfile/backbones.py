"""Describe what a card says of the network under the head, for each kind of data."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from medloupe.embed.modalities import EMBEDDINGS
from medloupe.modelfile.entries import MAX_LEADS, MAX_RATE, OpenEntry, Places, Text, Whole


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
            raise ValueError("lacks a proper 'before' of its backbone: seconds within the window")
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


def tag_backbone(entry: object) -> str:
    """Tell by which model a backbone is checked; what is no kind of data is refused as a network of pictures."""
    modality = entry.get("modality") if isinstance(entry, dict) else None
    if modality == "ecg":
        return "ecg"
    return "added" if any(kind.name == modality for kind in EMBEDDINGS.added) else "image"
