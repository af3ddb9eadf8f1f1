"""Read what a request brings beside the picture: the fields of a form that are inputs of the check-up asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.data.modalities import MODALITIES
from medloupe.inference.inputs import match_inputs, weigh_inputs
from medloupe.model.prediction import Influence

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp

PREFIX = "input."
"""May stand before the name of an input, which then cannot be mistaken for another field of the form."""

_PHOTO = {"photo", "corners", "cropped", "shrunk"}  # engine/question.py
_OTHERS = frozenset(
    {"csrf", "user", "model", "models", "heatmap", "version", "lang", "image", "images", "image[]"} | _PHOTO
)
_MOST_NAMED = 20  # of the fields that were no inputs


@dataclass(frozen=True, slots=True)
class GivenInputs:
    """What was given beside one picture.

    Attributes
    ----------
    logits : ndarray, optional
        Float32 (K,): what it adds to the logits.
    influences : tuple of Influence, optional
        The same by input; None where the check-up reads the picture alone.
    given : Mapping of str
        The inputs as they came, by name.
    ignored : tuple of str
        Names that are no inputs.
    """

    logits: np.ndarray | None = None
    influences: tuple[Influence, ...] | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


NO_INPUTS = GivenInputs()


def read_inputs(checkup: CheckUp, fields: Mapping[str, str]) -> GivenInputs:
    """Read the fields of a form that are inputs of a check-up.

    Raises
    ------
    ClinicalError
        A value cannot be read.
    """
    if checkup.extras is None and not fields:
        return NO_INPUTS
    own = {n.removeprefix(PREFIX): v for n, v in fields.items() if n.startswith(PREFIX)}
    plain = {n: v for n, v in fields.items() if n not in _OTHERS and not n.startswith(PREFIX)}
    given, others = match_inputs(checkup.extras, {**plain, **own})
    ignored = tuple(name[:80] for name in others[:_MOST_NAMED])
    if checkup.extras is None:
        return GivenInputs(ignored=ignored)
    found = weigh_inputs(checkup.extras, checkup.labels, given)
    return GivenInputs(found.logits, found.influences, given, ignored)


def form_fields(checkup: CheckUp) -> list[dict[str, Any]]:
    """List the fields that a form asks for: all inputs but those that are measured."""
    fields = checkup.extras.fields() if checkup.extras is not None else []
    measured = MODALITIES[checkup.modality].measured
    return [f for f in fields if f["name"] not in measured]


def input_widths(checkup: CheckUp) -> dict[str, int]:
    """Count the numbers that encode what a check-up reads beside the picture, by the name of its file's input."""
    extras = checkup.extras
    if extras is None:
        return {}
    found = {"clinical": extras.clinical_width, "notes": extras.notes_width}
    return {name: width for name, width in found.items() if width}


def weigh_encoded(checkup: CheckUp, given: Mapping[str, np.ndarray]) -> list[GivenInputs]:
    """Weigh inputs that come encoded, as the Open Inference Protocol sends them.

    Parameters
    ----------
    checkup
        One that has such inputs.
    given
        Float32 (N, width) by name.

    Returns
    -------
    list of GivenInputs
        Of each of N pictures.
    """
    assert checkup.extras is not None
    at, added = 0, {}
    for name, width in input_widths(checkup).items():
        if name in given:
            added[name] = given[name] @ checkup.extras.weight[:, at : at + width].T
        at += width

    def one(i: int) -> GivenInputs:
        effects = {name: dict(zip(checkup.labels, map(float, rows[i]), strict=True)) for name, rows in added.items()}
        total = np.stack([rows[i] for rows in added.values()]).sum(0)
        return GivenInputs(total, tuple(Influence(name=n, value="encoded", effect=e) for n, e in effects.items()))

    return [one(i) for i in range(len(next(iter(given.values()))))]
