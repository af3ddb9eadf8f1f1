"""Decide how data is read for a model at hand: by its own kind, and cropped as it learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from medloupe.model.bundle import Model

ModelTask = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="detection|classification",
        help="How data that can teach both is read: the model's own kind decides, and contradictions are refused.",
    ),
]
Cropped = Annotated[
    bool, typer.Option("--cropped", help="The pictures are crops already, of a model that learned from crops.")
]


def reading_of(model: Model, task: str | None, *, cropped: bool = False) -> dict[str, Any]:
    """Give the options of `read` that follow from a model: task, and where it learned from crops how to crop.

    Parameters
    ----------
    model : Model
        What is to be judged or changed.
    task : str or None
        What was told.
    cropped : bool
        Whether the pictures are said to be crops already.

    Raises
    ------
    typer.BadParameter
        Where the model can do nothing with data read so.
    """
    from medloupe.data.modalities import PICTURES
    from medloupe.data.reading import TASKS

    if task not in (None, *TASKS):
        raise typer.BadParameter(f"{task!r} is none of {' and '.join(TASKS)}.", param_hint="--task")
    own = "classification" if model.detector is None else "detection"
    crop = model.card.get("crop")
    if task not in (None, own) and not (crop and crop["each"]):
        does = "marks places" if model.detector is not None else "tells whole pictures apart"
        raise typer.BadParameter(f"{model.name} {does}, for which data is read by --task {own}.", param_hint="--task")
    if cropped and not crop:
        raise typer.BadParameter(f"{model.name} looks at whole pictures.", param_hint="--cropped")
    if model.backbone.card.modality != PICTURES.name:
        return {}
    if not crop or cropped:
        return {"task": own}
    return {
        "task": "detection" if crop["each"] else own,
        "crop": crop["margin"],
        "crop_to": ",".join(crop["labels"]),
    }
