"""Define the answer to one example: Prediction, and what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.model.applies import Ask
from medloupe.model.boxes import FoundBox, to_photograph
from medloupe.model.cells import AskedCells, Estimate
from medloupe.model.decision import WITHHELD, Decision, Said, State, Why
from medloupe.model.measurements import Measured
from medloupe.model.tiling import Tiling

if TYPE_CHECKING:
    from medloupe.ecg.reading import Reading
    from medloupe.imaging.facts import Fact
    from medloupe.imaging.photo import Photo


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an image was not judged, and what it looks like instead. code: as Why has it."""

    reason: str
    looks_like: str
    code: str = "foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """How one input beside the picture moved the answer.

    Attributes
    ----------
    value
        As it was understood; "" where it is missing and that counts.
    effect
        What it added to each label's logit.
    """

    name: str
    value: str
    effect: Mapping[str, float]

    def toward(self, label: str, *, several: bool) -> float:
        """Compute what it added to the label's log odds.

        Among exclusive classes (not several) that is to those against the others on average: what adds the same to all
        of them moves nothing.
        """
        others = [v for name, v in self.effect.items() if name != label]
        return self.effect[label] - (0 if several or not others else sum(others) / len(others))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The answer to one image or ECG.

    Attributes
    ----------
    model, version
        Which answered; "" and None where all check-ups that could be chosen refused.
    said
        State, reason, most probable label and labels flagged.
    probabilities
        By label; of a refused or unusable example, still there to be looked into, they mean nothing.
    refused
        Why the image was not judged; then nothing is said.
    heatmap
        float32 (K, h, w), what each place adds to each label's logit, in the order of `probabilities`; None unless
        asked for.
    timings
        Milliseconds by stage.
    inputs
        How each input beside the picture moved the answer; None of a model that reads the picture alone.
    ecg
        Of an ECG, its beats and rhythm.
    scope
        Whom and what the model is for, in a line; "" where its card does not say.
    answers
        Where the app chose, those of all check-ups of the kind, the main answer, which this is, first.
    ask
        Where the app chose, what it must still be told, since the state depends on it.
    facts
        Of a picture what had to be decided while it was decoded.
    boxes
        Of a detector what it found, the surest first, in pixels of the picture as given; None of a model that finds
        none.
    lines
        By label the score from which on a box is marked, above 1 where none is; None of a model that finds none.
    counts
        By label how many boxes there are, from the score on at which counts were nearest to the truth.
    size
        Of a picture in which boxes were looked for its width and height as given, in pixels.
    asked
        Of a composed check-up what was said of each thing found; then `probabilities` are shares of those judged.
    measurements
        What was computed from the boxes.
    photo
        Where the picture lay in the photograph from which it was cut out; None of one that is no photograph.
    tiling
        Of a picture much larger than those that a detector learned from, how it was looked at.
    """

    file: str
    model: str
    version: int | None
    said: Said
    probabilities: Mapping[str, float]
    refused: Refusal | None = None
    heatmap: np.ndarray | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    inputs: tuple[Influence, ...] | None = None
    ecg: Reading | None = None
    scope: str = ""
    answers: tuple[Prediction, ...] = ()
    ask: Ask | None = None
    facts: tuple[Fact, ...] = ()
    boxes: tuple[FoundBox, ...] | None = None
    lines: Mapping[str, float] | None = None
    counts: Mapping[str, int] | None = None
    size: tuple[int, int] | None = None
    asked: AskedCells | None = None
    measurements: tuple[Measured, ...] = ()
    photo: Photo | None = None
    tiling: Tiling | None = None

    @classmethod
    def of(
        cls,
        decision: Decision,
        p: np.ndarray,
        *,
        refused: Refusal | None = None,
        unusable: Why | None = None,
        said: Said | None = None,
        heatmap: np.ndarray | None = None,
        boxes: tuple[FoundBox, ...] | None = None,
        cropped: bool = False,
        **more: Any,
    ) -> Prediction:
        """Make the answer that a decision gives for probabilities (K,).

        Parameters
        ----------
        decision
            Of the model.
        p
            float64 (K,), calibrated.
        refused, unusable
            Why nothing is said, if so.
        said
            What was decided where that does not follow from p alone, as for the beats of a recording.
        heatmap
            float32 (K, h, w), in the order of the labels.
        boxes
            What a detector found, the surest first; by their lines it is decided what is said.
        cropped
            Whether the picture is said to be cropped, for models that look at crops alone.
        more
            The other fields.
        """
        shown = list(decision.labels_shown(p))
        unusable = unusable or decision.require_crop(cropped)
        nothing = refused is not None or unusable is not None
        if boxes is not None and not nothing:
            said = decision.decide_boxes(p, boxes)
        if said is None or nothing:
            why = None if refused is None else Why(code=refused.code, text=refused.reason)
            said = decision.decide(p, refused=why, unusable=unusable)
        if boxes is not None:
            more |= decision.of_boxes(() if nothing else boxes)
            if not nothing:
                more["measurements"] = tuple(m.measure(more["boxes"], more["lines"]) for m in decision.measurements)
        return cls(
            said=said,
            probabilities={decision.labels[k]: float(p[k]) for k in shown},
            refused=None if unusable is not None else refused,
            heatmap=None if heatmap is None else heatmap[shown],
            scope=" · ".join(decision.scope),
            **more,
        )

    def in_photograph(self, photo: Photo | None) -> Prediction:
        """Say where the picture lay in the photograph from which it was cut out, and where its boxes lie in that.

        What was computed from boxes was computed in the picture, and stays. photo: None of a picture that is none.
        """
        if photo is None or photo.corners is None or self.size is None:
            return replace(self, photo=photo)
        moved = None if self.boxes is None else to_photograph(self.boxes, photo, *self.size)
        asked = self.asked
        if asked is not None:
            places = to_photograph([cell.box for cell in asked.cells], photo, *self.size)
            cells = [replace(cell, box=box) for cell, box in zip(asked.cells, places, strict=True)]
            asked = replace(asked, cells=cells)
        return replace(self, photo=photo, boxes=moved, asked=asked, size=(photo.width, photo.height))

    def with_cells(self, decision: Decision, asked: AskedCells) -> Prediction:
        """Say what follows from the things that were asked about. decision: of the check-up that was asked.

        What the detector itself flags stays flagged.
        """
        said = decision.decide_cells(asked)
        if said.state == "refused":
            why = said.why or Why(code="cells_refused", text="")
            refused, asked = Refusal(reason=why.text, looks_like="", code=why.code), asked.without_estimates()
            return replace(self, said=said, refused=refused, asked=asked, probabilities=asked.shares())
        if self.said.state == "flagged":
            own = self.said
            both = (*said.flagged, *own.flagged)
            said = replace(said, state="flagged", why=said.why if said.flagged else own.why, flagged=both)
        counted = tuple(_measure_field(e, asked) for e in asked.estimates)
        return replace(
            self,
            said=said,
            asked=asked,
            probabilities=asked.shares(),
            measurements=(*self.measurements, *counted),
        )

    @property
    def state(self) -> State:
        """One of unusable, refused, flagged, unclear, clear, answered; pilot where nothing is shown."""
        return self.said.state

    @property
    def prediction(self) -> str:
        """The most probable label; "" where it was refused or cannot be used."""
        return self.said.prediction

    @property
    def flagged(self) -> tuple[str, ...]:
        """The labels flagged, the most dangerous first."""
        return self.said.flagged

    def as_json(self) -> dict[str, Any]:
        """Give the line that `predict --json` prints."""
        why = self.said.why
        told: dict[str, Any] = {
            "file": self.file,
            "model": self.model or None,
            "version": self.version,
            "state": self.state,
            "why": why and {"code": why.code, "text": why.text},
            "prediction": self.prediction,
            "flagged": list(self.flagged),
            "probabilities": dict(self.probabilities),
        }
        if self.said.grade is not None:
            told |= {"grade": self.said.grade, "at_least": dict(self.said.at_least or {})}
        told["scope"] = self.scope
        told["refused"] = self.refused and {"reason": self.refused.reason, "looks_like": self.refused.looks_like}
        if self.inputs is not None:
            told["inputs"] = [{"name": i.name, "value": i.value, "effect": dict(i.effect)} for i in self.inputs]
        if self.ecg is not None:
            told["ecg"] = self.ecg.as_json()
        if self.boxes is not None:
            told["boxes"] = [box.as_json() for box in self.boxes]
            told["counts"] = dict(self.counts or {})
            told["lines"] = dict(self.lines or {})
        if self.measurements:
            told["measurements"] = [m.as_json() for m in self.measurements]
        if self.asked is not None:
            told["asked"] = self.asked.as_json()
        sides = {} if self.size is None else {"width": self.size[0], "height": self.size[1]}
        if self.tiling is not None:
            told["tiling"] = self.tiling.as_json()
        if self.facts or sides:
            told["picture"] = {**sides, "notes": [fact.as_json() for fact in self.facts]}
        if self.photo is not None:
            told["photo"] = self.photo.as_json()
        if self.ask is not None:
            told["ask"] = {"question": self.ask.question, "choices": list(self.ask.choices)}
        if self.answers:
            told["answers"] = [
                {k: v for k, v in a.as_json().items() if k not in ("file", "picture", "photo")} for a in self.answers
            ]
        return told


def _measure_field(estimate: Estimate, asked: AskedCells) -> Measured:
    """Say how many things of a field have a finding, at most also all of those that were not judged."""
    name = f"{estimate.label} per field"
    if estimate.count is None or estimate.high is None:
        return Measured(name=name, value=None, why=f"how often {asked.checkup} errs is not known")
    return Measured(
        name=name,
        value=estimate.count * asked.found / estimate.n,
        low=estimate.low,
        high=estimate.high + asked.found - asked.judged,
    )


def refuse_by_all(file: str, refused: Refusal, timings: Mapping[str, float], code: str = "foreign") -> Prediction:
    """Make the answer to an example that no model answers that could be chosen. code: why, as Why has it."""
    said = Said(state="refused", why=Why(code=code, text=refused.reason), prediction="")
    return Prediction(file=file, model="", version=None, said=said, probabilities={}, refused=refused, timings=timings)


def stop_by_all(file: str, unusable: Why, timings: Mapping[str, float]) -> Prediction:
    """Make the answer to an example that no model that could be chosen can use."""
    said = Said(state="unusable", why=unusable, prediction="")
    return Prediction(file=file, model="", version=None, said=said, probabilities={}, timings=timings)


def withhold(model: str, version: int | None, file: str = "") -> Prediction:
    """Make what is shown of an answer in a pilot: which model was asked, and nothing of what it said."""
    said = Said(state=WITHHELD, why=None, prediction="")
    return Prediction(file=file, model=model, version=version, said=said, probabilities={})
