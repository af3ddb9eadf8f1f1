"""Describe what a card says of the data and of how the model was judged: what pages, reports and the API show of it.

Only keys that something reads are described; others are allowed and kept. What is described has its type, so that no
reader meets a text where it computes with a number.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from medloupe.modelfile.entries import CardFigure, ComparedFigure, Number, Object, OpenEntry
from medloupe.modelfile.learned_sizes import CardLearned

Count = Annotated[int, Field(ge=0, lt=2**53)]
Figures = dict[str, CardFigure | None]
Texts = list[str]


class CardData(OpenEntry):
    """What it was trained on, with shortened hashes of the images."""

    name: str | None = None
    source: str | None = None
    reader: str | None = None
    licence: str | None = None
    citation: str | None = None
    things: str | None = Field(None, description="what its examples are called: images, beats, ECGs")
    labelled: Count | None = Field(None, description="examples with a label")
    records: Count | None = None
    groups: Count | None = Field(None, description="patients, or what else must not be parted")
    patients: Count | None = None
    digests: str | None = Field(None, description="shortened hashes of the images, packed")
    fingerprint: str | None = None
    splits: dict[str, Count | None] | None = None
    skipped: dict[str, Count | None] | None = Field(None, description="files that were left out, by the reason")
    notes: Texts | None = None
    unboxed: str | None = Field(None, description="what pictures without boxes are, where that was told")
    unreadable: list[Object] | None = None


class CardSplit(OpenEntry):
    """How the data was divided, and a sentence."""

    scheme: str | None = None
    sentence: str | None = None
    train: Count | None = None
    test: Count | None = None
    groups: Count | None = None
    folds: Count | None = None
    repeats: Count | None = None
    leaking: Count | None = None
    patients_shared: Count | None = None


class AuditFinding(OpenEntry):
    """One thing found in the data."""

    kind: str | None = None
    level: str | None = None
    title: str | None = None
    detail: str | None = None
    advice: str | None = None
    count: Count | None = None
    files: list[Texts] | None = None


class ShortcutFeature(OpenEntry):
    """How well one plain property of a picture tells the classes apart."""

    name: str
    auc: Number | None = None


class ShortcutBest(OpenEntry):
    """Which label a column tells best."""

    label: str | None = None
    auc: Number | None = None


class ShortcutColumn(OpenEntry):
    """How well one column of the table tells the classes apart."""

    name: str
    auc: CardFigure | None = None
    best: ShortcutBest | None = None
    leaks: bool | None = None
    afterwards: bool | None = None


class CardShortcut(OpenEntry):
    """Whether something beside the picture's content gives the class away."""

    auc: CardFigure | None = None
    sentence: str | None = None
    features: list[ShortcutFeature] | None = None


class CardAudit(OpenEntry):
    """What was found in the data."""

    checked: Count | None = None
    findings: list[AuditFinding] | None = None
    shortcut: CardShortcut | None = None
    columns: list[ShortcutColumn] | None = None


class CardSecondary(OpenEntry):
    """Cross-validation, where `metrics` is from a test split."""

    title: str | None = None
    metrics: Figures | None = None


class CardConfusion(OpenEntry):
    """Truth by announced class."""

    labels: Texts
    matrix: list[list[Count]]


class CardSubgroup(OpenEntry):
    """AUC and balanced accuracy of one value of one column."""

    column: str | None = None
    value: str | None = None
    n: Count | None = None
    auc: CardFigure | None = None
    balanced_accuracy: CardFigure | None = None
    note: str | None = None


class StressChange(OpenEntry):
    """How the figures move under one change of the pictures."""

    change: str | None = None
    kind: str | None = None
    strength: str | None = None
    words: str | None = None
    altered: Number | bool | None = Field(None, description="share of the pictures that it alters")
    auc: ComparedFigure | None = None
    balanced_accuracy: ComparedFigure | None = None
    ece: ComparedFigure | None = None
    refused: ComparedFigure | None = None
    same: ComparedFigure | None = None
    sensitivity: ComparedFigure | None = None
    specificity: ComparedFigure | None = None


class CardStress(OpenEntry):
    """Figures when pictures are disturbed."""

    basis: Texts | None = None
    words: Texts | None = None
    changes: list[StressChange] | None = None
    unchanged: Figures | None = None
    n: Count | None = None
    groups: Count | None = None
    data: str | None = None
    judged: str | None = None
    positive: str | None = None


class FieldRow(OpenEntry):
    """How answers on one kind of field view fare, at one severity."""

    kind: str | None = None
    severity: str | None = None
    n: Count | None = None
    auc: CardFigure | None = None
    auc_before: CardFigure | None = Field(None, description="of a head that learned from direct pictures alone")
    auc_answered: CardFigure | None = Field(None, description="over those that are not withheld")
    wrong: CardFigure | None = None
    withheld: CardFigure | None = None
    wrong_withheld: CardFigure | None = Field(None, description="of wrong answers the share that is withheld")
    right_withheld: CardFigure | None = None


class CardField(OpenEntry):
    """What simulated photographs taught it, and how answers on them fare."""

    method: str | None = None
    pictures: Count | None = None
    views: Count | None = None
    rounds: Count | None = None
    weight: Number | None = Field(None, description="of the views of a picture against the picture itself; 0: unused")
    freer: Number | None = None
    seed: Count | None = None
    withholds: bool | None = Field(None, description="whether photographs that are too poor are not answered")
    rows: list[FieldRow] | None = None
    words: Texts | None = None


class CardAdapted(OpenEntry):
    """What fitting to local cases changed."""

    data: str | None = None
    n: Count | None = None


class TrialOfNetwork(OpenEntry):
    """One way of tuning that was tried."""

    name: str | None = None
    alpha: Number | None = None
    auc: CardFigure | None = None
    difference: CardFigure | None = None
    seconds: Number | None = None


class ShareTried(OpenEntry):
    """A way of learning from field views, against direct pictures alone, on one fold."""

    name: str | None = None
    direct_loss: Number | None = Field(None, description="mean log loss of direct pictures")
    field_loss: Number | None = Field(None, description="of field views")
    lost: Number | None = Field(None, description="direct pictures' loss above that without views")
    error: Number | None = Field(None, description="its standard error over groups")
    auc_lost: Number | None = None
    auc_error: Number | None = None


class NetworkField(OpenEntry):
    """Whether the network learned from field views."""

    share: Number | None = Field(None, description="of what it was shown; 0: direct pictures alone")
    tried: list[ShareTried] | None = None


class CardFinetuning(OpenEntry):
    """What came of tuning the network."""

    winner: str | None = None
    words: str | None = None
    kind: str | None = None
    folds: Count | None = None
    seconds: Number | None = None
    candidates: list[TrialOfNetwork] | None = None
    field: NetworkField | None = None


class ColumnLeftOut(OpenEntry):
    """A column of the table that is not read, and why."""

    name: str
    why: str


class CardInputs(OpenEntry):
    """What is read beside the picture."""

    words: str | None = None
    fields: list[Object] | None = None
    fusion: list[Object] | None = None
    said: list[Any] | None = None
    unused: list[Any] | None = None
    columns_left_out: list[ColumnLeftOut] | None = None


class CardHead(OpenEntry):
    """Penalty and levels chosen, and all that was tried."""

    dimension: Count | None = None
    levels: list[Count] | None = None
    regularisation: Number | None = None
    tried: list[Object] | None = None


class CardCalibration(OpenEntry):
    """Temperatures, already in the head."""

    temperature: list[Number] | Number | None = None


class CardInput(OpenEntry):
    """Size and name of the fitting."""

    size: Count | None = None


class CardTail(OpenEntry):
    """Tuned upper stages: sha256 and width."""

    sha256: str
    width: Count | None = None


class FoundLabel(OpenEntry):
    """How well boxes of one label are found, and the score from which on they are marked."""

    label: str
    line: Annotated[float, Field(ge=0, le=1)] | None = Field(None, description="score from which on a box is marked")
    count_line: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="score from which on a box is counted; null: none is"
    )
    boxes: Count | None = Field(None, description="of it among the pictures it was judged on")
    map50: CardFigure | None = None
    map: CardFigure | None = None
    sensitivity: CardFigure | None = Field(None, description="share of its boxes found at the line")
    false_marks: CardFigure | None = Field(None, description="boxes a picture at the line that lie on none of it")
    count_error: CardFigure | None = Field(None, description="marked less annotated, a picture, in the mean")
    whole_picture: str | None = Field(None, description="how its probability of a whole picture came about")
    words: str | None = None


class CardDetection(OpenEntry):
    """How a detector finds boxes, and how well it does."""

    input_size: Annotated[int, Field(gt=0, le=2**12)] | None = Field(None, description="side of the fitted picture")
    most: Annotated[int, Field(gt=0, le=2**16)] | None = Field(None, description="boxes a picture, at most")
    overlap: Number | None = Field(None, description="IoU from which on the weaker of two boxes is left out")
    learned: CardLearned | None = Field(None, description="sizes of the pictures and boxes it learned from")
    false_marks: Number | None = Field(None, description="a picture, that the lines allow")
    calibrated: bool | None = Field(None, description="whether scores were calibrated on boxes found out of fold")
    calibration_error: CardFigure | None = None
    per_label: list[FoundLabel] | None = None
    figures: Object | None = Field(None, description="all that was measured, as metrics/detection gives it")
    words: str | None = None
