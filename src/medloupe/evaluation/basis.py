"""Say on what, and by whom, a model was judged that may have seen the images."""

from __future__ import annotations

import numpy as np

from medloupe.data.records import Dataset
from medloupe.evaluation.heldout import HeldOutPanel
from medloupe.model.bundle import Model

_MOST_OF_IT = 0.8  # share of the training images below which stand-in heads are said to be weaker


def word_basis(model: Model, data: Dataset, chosen: HeldOutPanel) -> tuple[str, ...]:
    """Say on what the figures stand, and what flatters or weakens them, a sentence each.

    Parameters
    ----------
    model : Model
        That was judged.
    data : Dataset
        Where the images are from.
    chosen : HeldOutPanel
        Who judged them.
    """
    said = _word_images(model, data, chosen)
    if chosen.judged == "model" and model.card.get("adapted"):
        said.append(
            "Its lines and percentages were fitted to local cases; where these are among them, they are flattered."
        )
    if chosen.judged != "model":
        said += _word_stand_ins(model, chosen)
    listed = [f"{count:,} {reason}" for reason, count in chosen.left_out.items() if count]
    if listed:
        said.append(f"Left out: {', '.join(listed)}.")
    return tuple(said)


def _word_images(model: Model, data: Dataset, chosen: HeldOutPanel) -> list[str]:
    n, groups = len(chosen.records), len(np.unique(chosen.groups))
    some = f"{n:,} of the {chosen.of:,}" if n < chosen.of else f"the {n:,}"
    said = [f"Judged on {some} images of {data.name} ({groups:,} groups of patients and copies)"]
    if chosen.judged == "model":
        said[0] += ", none of which the model was trained on, by the model itself."
    elif chosen.judged == "test split":
        said[0] += " in the test split that the data brings, by a head fitted like the model's own without them."
    else:
        said[0] += (
            " that the model was trained on, each by a head fitted like the model's own without the image's group"
            f" ({len(chosen.judges)} folds)."
        )
        if model.tuned:
            said.append("The tuned stages have seen these pictures: differences hold, levels are flattered.")
    return said


def _word_stand_ins(model: Model, chosen: HeldOutPanel) -> list[str]:
    """Say in what heads that stand in for the model's own differ from it."""
    said = []
    whole = (model.card.get("data") or {}).get("labelled") or 0
    if chosen.fitted < _MOST_OF_IT * whole:
        said.append(
            f"Only {chosen.fitted:,} of the {whole:,} images that the model was trained on are here: these heads"
            " know less than its own."
        )
    if model.novelty is not None and model.novelty.contrast is not None:
        said.append(
            "What sets its kind apart from others has seen these pictures: a few more may be refused of new ones."
        )
    if model.card.get("adapted"):
        said.append("The model's adaptation to local cases is left out.")
    return said
