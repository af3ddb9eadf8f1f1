"""`medloupe export`: write one self-contained ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from medloupe.cli.options import Folders, Home, Image, Json, Labels, ModelName, Patient, SplitColumn, Table
from medloupe.cli.reading import Cropped, ModelTask, reading_of


def run_export(
    model: ModelName,
    out: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="The file to write.")],
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option(help="fp32 as trained, fp16 weights, or int8: smallest and fastest, if it keeps the accuracy."),
    ] = "fp32",
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", readable=False, help="For int8: the training images, if they were moved."),
    ] = None,
    labels: Labels = None,
    patient: Patient = None,
    split: SplitColumn = None,
    image: Image = None,
    table: Table = None,
    folders: Folders = None,
    task: ModelTask = None,
    cropped: Cropped = False,
    force: Annotated[bool, typer.Option("--force", help="Write int8 even where it costs accuracy.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Write one self-contained ONNX file, checked against the model."""
    from medloupe.cli import console
    from medloupe.inference.find import find_model
    from medloupe.training.compress.export import export

    if data is None and any((labels, patient, split, image, table, folders, task, cropped)):
        raise typer.BadParameter(
            "--labels, --patient, --split, --image, --table, --folders, --task and --cropped go with --data."
        )
    read_as: dict[str, Any] = {
        "labels": labels,
        "patient": patient,
        "split": split,
        "image": image,
        "table": table,
        "folders": folders,
    }
    if data is not None:
        read_as |= reading_of(find_model(model), task, cropped=cropped)
    with console.progress() as say:
        done = export(model, out, precision=precision, data=data, read_as=read_as, force=force, progress=say)
    if json:
        console.print_json(done.as_json())
    else:
        typer.echo(done.words, err=True)
