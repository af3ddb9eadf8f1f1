"""Read what is told of crops: that pictures are some, or which detector finds where to cut them."""

from __future__ import annotations

import typer

from medloupe.errors import QuestionError
from medloupe.model.bundle import Model


def read_finder(model: Model, find: str | None, *, cropped: bool) -> Model | None:
    """Find what crops pictures for a model, where it is told to.

    Parameters
    ----------
    model : Model
        What is asked.
    find : str or None
        DETECTOR, or DETECTOR:LABEL, as --find has it.
    cropped : bool
        Whether the pictures are said to be crops.

    Returns
    -------
    Model or None
        A detector; of a model of single boxes the two, composed for this once. None where nothing is to be found.

    Raises
    ------
    QuestionError
        Where the model looks at crops alone, and nobody says that these are some.
    StoreError
        Where the two do not fit together.
    """
    from medloupe.inference.compose import assemble
    from medloupe.inference.find import find_model

    crop = model.card.get("crop")
    if crop is None:
        if cropped or find:
            option = "--find" if find else "--cropped"
            raise typer.BadParameter(
                f"goes with models of crops; {model.name} looks at whole pictures.", param_hint=option
            )
        return None
    if cropped and find:
        raise typer.BadParameter("Crops need no detector: leave one of --cropped and --find out.", param_hint="--find")
    if find is None:
        if cropped:
            return None
        raise QuestionError(
            f"{model.name} looks at crops of {', '.join(crop['labels'])} alone. Are these pictures such crops, or is a"
            " detector to find where to cut them?",
            ("--cropped", "--find DETECTOR"),
        )
    detector, colon, label = find.rpartition(":")
    finder = find_model(detector if colon else find)
    if not crop["each"]:
        if colon:
            raise typer.BadParameter(
                f"{model.name} is cropped to {' and '.join(crop['labels'])}: name the detector alone.",
                param_hint="--find",
            )
        return finder
    if not colon and len(finder.labels) == 1:
        label = finder.labels[0]
    elif not colon:
        raise typer.BadParameter(
            f"{finder.name} finds {', '.join(finder.labels)}: say which is asked about, such as"
            f" {finder.name}:{finder.labels[0]}.",
            param_hint="--find",
        )
    return assemble(model.name, finder, label, model)
