"""Define the answer to one example: Prediction, and what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.model.applies import Ask
from medloupe.model.decision import Decision, Said, State, Why

if TYPE_CHECKING:
    from medloupe.ecg.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an image was not judged, and what it looks like instead."""

    reason: str
    looks_like: str


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
        more
            The other fields.
        """
        shown = list(decision.labels_shown(p))
        nothing = refused is not None or unusable is not None
        if said is None or nothing:
            said = decision.decide(p, refused=refused.reason if refused else "", unusable=unusable)
        return cls(
            said=said,
            probabilities={decision.labels[k]: float(p[k]) for k in shown},
            refused=None if unusable is not None else refused,
            heatmap=None if heatmap is None else heatmap[shown],
            scope=" · ".join(decision.scope),
            **more,
        )

    @property
    def state(self) -> State:
        """One of unusable, refused, flagged, unclear, clear, answered."""
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
        if self.ask is not None:
            told["ask"] = {"question": self.ask.question, "choices": list(self.ask.choices)}
        if self.answers:
            told["answers"] = [{k: v for k, v in a.as_json().items() if k != "file"} for a in self.answers]
        return told


def refuse_by_all(file: str, refused: Refusal, timings: Mapping[str, float], code: str = "foreign") -> Prediction:
    """Make the answer to an example that no model answers that could be chosen. code: why, as Why has it."""
    said = Said(state="refused", why=Why(code=code, text=refused.reason), prediction="")
    return Prediction(file=file, model="", version=None, said=said, probabilities={}, refused=refused, timings=timings)


def stop_by_all(file: str, unusable: Why, timings: Mapping[str, float]) -> Prediction:
    """Make the answer to an example that no model that could be chosen can use."""
    said = Said(state="unusable", why=unusable, prediction="")
    return Prediction(file=file, model="", version=None, said=said, probabilities={}, timings=timings)
