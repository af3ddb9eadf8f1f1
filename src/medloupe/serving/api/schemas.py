"""Describe the JSON of pictures for OpenAPI: what is sent, answered and refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from medloupe.serving.api.photos import CROPPED_FIELD, PHOTO_FIELDS, PhotoOut

_IMAGE = {
    "type": "string",
    "format": "binary",
    "description": "JPEG, PNG, DICOM, TIFF, WebP, BMP, GIF; for check-ups of ECGs a recording as WFDB (.hea and .dat,"
    " as two parts), CSV, EDF, .npz or DICOM waveform. The parts may also be named `signal`, `ecg` or `file`.",
}
_RATE = {"type": "number", "description": "Of ECGs: sampling rate in Hz, where the file does not tell it."}
_GAIN = {"type": "number", "description": "Of ECGs: units a millivolt, where the file does not tell its unit."}
_START = {"type": "number", "description": "Of ECGs: second from which a page draws it."}


_APPLIES = {"type": "string", "description": "What `ask` asked, such as `applies.age=adult`; also in the address."}


def takes(*fields: str, applies: bool = False) -> dict[str, Any]:
    """Describe a body with images or ECGs for OpenAPI; intake.py reads it and not FastAPI, which would spool it.

    applies: whether the app chooses, so that questions of check-ups may be answered.
    """
    form: dict[str, Any] = {"image": {"type": "array", "items": _IMAGE}}
    form |= {name: {"type": "string"} for name in fields}
    form |= {**PHOTO_FIELDS, "cropped": CROPPED_FIELD, "rate": _RATE, "gain": _GAIN, "start": _START}
    kinds: dict[str, Any] = {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": form,
                **({"patternProperties": {r"^applies\.": _APPLIES}} if applies else {}),
                "additionalProperties": {
                    "type": "string",
                    "description": "What is known beside the picture, by the names of the model's `inputs`, such as"
                    " `age`; `notes` for its notes. All are optional.",
                },
            }
        }
    }
    if not fields:
        kinds |= {kind: {"schema": _IMAGE} for kind in ("image/*", "application/dicom", "text/csv", "application/edf")}
    return {"requestBody": {"required": True, "content": kinds}}


class ErrorDetail(BaseModel):
    """What went wrong and what to do."""

    code: str
    message: str
    hint: str


class ErrorBody(BaseModel):
    """The body of every answer that is no success."""

    error: ErrorDetail


class RefusedOut(BaseModel):
    """Why a picture was not judged, and what it looks like instead."""

    reason: str
    looks_like: str


class InfluenceOut(BaseModel):
    """How one input beside the picture moved the answer: what it added to each label's logit, exactly."""

    name: str
    value: str = Field(description="As it was understood; empty where it is missing and that counts.")
    effect: dict[str, float]


class BeatOut(BaseModel):
    """One heartbeat: when its R peak is, its class, and how probable that is."""

    second: float
    label: str
    probability: float


class EcgOut(BaseModel):
    """What was measured of an ECG.

    `rhythm`: how even its beats come ("even", "slightly uneven", "uneven"), with "slow" below 60 a minute or "fast"
    above 100; it names no disease. `told`: in what is remembered, the `rate` and `gain` that were told
    beside the file. `counts`, `beats`: of check-ups of single beats.
    """

    seconds: float
    rate: float
    leads: list[str]
    heart_rate: float | None
    rhythm: str
    r_peaks: list[float]
    notes: list[str]
    told: dict[str, float] | None = None
    counts: dict[str, int] | None = None
    beats: list[BeatOut] | None = None


class WhyOut(BaseModel):
    """The reason for a state: a code, and a sentence in English."""

    code: str
    text: str


class FactOut(BaseModel):
    """One thing that had to be decided while a picture was decoded: a code, a sentence, and what that names."""

    code: str
    text: str
    values: dict[str, str | int]


class TilingOut(BaseModel):
    """How a detector looked at a picture much larger than those it learned from, or that learned from tiles at any.

    `code`: "tiles", "shrunk" (in fewer tiles than its scale of training asks for), "whole" or "unsure" (as a whole);
    of one that learned from tiles "learned" (as it learned), "learned_short" and "learned_unsure" (so, though the
    picture is much shorter, or much longer and nothing told its scale).
    `larger`: how many times as long as these. `side`: pixels of the picture along a tile. `shrunk`: how many times
    smaller than learned boxes come out. `foreign`: tiles of which nothing is told, being unlike what was learned from.
    `left_out`: marked boxes beyond the most that an answer holds.
    """

    code: str
    text: str
    larger: float
    tiles: int
    side: int
    shrunk: float
    foreign: int
    left_out: int


class PictureOut(BaseModel):
    """What had to be decided about a picture whose file contradicts itself, or holds several.

    `width`, `height`: only where boxes were looked for, of the picture as given, in pixels.
    """

    notes: list[FactOut]
    width: int | None = None
    height: int | None = None


class AskOut(BaseModel):
    """What must still be told, since the state depends on it: send the choice as `applies.QUESTION`."""

    question: str
    choices: list[str]


class OneOfOut(BaseModel):
    """What one check-up says.

    `prediction`: the most probable label; "" where it refused or cannot be used. `grade`, `at_least`: of ordered
    classes.
    """

    model: str | None
    version: int | None
    state: Literal["unusable", "refused", "flagged", "unclear", "clear", "answered", "pilot"]
    why: WhyOut | None
    prediction: str
    flagged: list[str] = Field(description="The most dangerous first.")
    probabilities: dict[str, float]
    grade: str | None = None
    at_least: dict[str, float] | None = None
    scope: str = Field(description="Whom and what it is for.")
    refused: RefusedOut | None


class BoxOut(BaseModel):
    """One place that a detector found, in pixels of the picture as given; score: calibrated."""

    label: str
    score: float
    x: float
    y: float
    w: float
    h: float


class MeasuredOut(BaseModel):
    """What was computed from boxes, with a 95 % interval; `why`: where it could not be, or its error is not known."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    why: str | None = None


class EndsOut(BaseModel):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class IfNoneOut(BaseModel):
    """How many would be flagged by mistake if none had the finding: on average, and at most in 39 of 40 pictures."""

    mean: float
    at_most: int


class EstimateOut(BaseModel):
    """How many of the things judged have a finding, by the sensitivity and specificity of the check-up."""

    label: str
    flagged: int
    of: int
    count: EndsOut | None
    share: EndsOut | None
    flagged_if_none: IfNoneOut | None


class CellOut(BaseModel):
    """One thing that was found and asked about; `label` is "" where it was not judged."""

    x: float
    y: float
    w: float
    h: float
    score: float
    state: str
    label: str
    probabilities: dict[str, float]


class AskedOut(BaseModel):
    """What a composed check-up asked about the things that it found, of `what`, and what came of it."""

    what: str
    checkup: str
    found: int
    asked: int
    judged: int
    refused: int
    unusual: int = 0
    unclear: int
    labels: dict[str, int]
    estimates: list[EstimateOut]
    cells: list[CellOut]


class PredictionOut(OneOfOut):
    """The answer to one picture or ECG.

    `answers`: where the app chose, those of all check-ups of the kind, the most dangerous, which this is, first. `ecg`:
    of an ECG alone. `picture`: where something had to be decided while it was decoded; of a detector also its size.
    `photo`: of a photograph, out of which the picture was cut. `heatmap`: by label, what each place adds to the logit.
    `boxes`, `counts`, `lines`: of a detector alone; a box is marked where its score reaches the line of its label.
    `boxes_left_out`: of what is remembered, how many marked boxes are not. `tiling`: of a large picture alone.
    `measurements`: what was computed from boxes. `asked`: of a composed check-up alone; `probabilities` are then shares
    of the things judged. `inputs`: only of a model that reads more than the picture. `ignored`: fields of the form that
    are none of its inputs.
    """

    file: str = ""
    id: str
    answers: list[OneOfOut] | None = None
    ask: AskOut | None = None
    heatmap: dict[str, list[list[float]]] | None = None
    inputs: list[InfluenceOut] | None = None
    ignored: list[str] | None = None
    ecg: EcgOut | None = None
    picture: PictureOut | None = None
    photo: PhotoOut | None = None
    boxes: list[BoxOut] | None = None
    counts: dict[str, int] | None = None
    lines: dict[str, float] | None = None
    boxes_left_out: int | None = None
    measurements: list[MeasuredOut] | None = None
    asked: AskedOut | None = None
    tiling: TilingOut | None = None
    timings: dict[str, float] = Field(default_factory=dict, description="Milliseconds by stage.")


class PredictionsOut(BaseModel):
    """The answers to several pictures, in their order; an unreadable one has an error instead."""

    predictions: list[PredictionOut | dict[str, Any]]


class FeedbackIn(BaseModel):
    """Was the answer right? labels: the true ones, where it was not."""

    model_config = ConfigDict(extra="forbid")
    right: bool | None = None
    labels: list[Annotated[str, Field(max_length=1000)]] | None = Field(None, max_length=100)


FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": text}
    for status, text in (
        (400, "The request cannot be read."),
        (401, "Log in first."),
        (403, "Not allowed."),
        (404, "There is no such thing."),
        (408, "The body stopped coming."),
        (409, "The promotion gate refuses, or it is not possible as things stand."),
        (413, "Too large, by bytes or by pixels."),
        (415, "Not an image, or not an ECG, where one was expected."),
        (422, "An image, an ECG or a value beside it that cannot be read, or fields that do not fit."),
        (501, "A part of the installation is missing."),
        (503, "Busy or out of order for now; see Retry-After."),
    )
}
