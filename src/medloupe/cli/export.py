"""`medloupe export`: write one self-contained ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from medloupe.cli.options import Folders, Home, Image, Json, Labels, ModelName, Patient, SplitColumn, Table


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
    force: Annotated[bool, typer.Option("--force", help="Write int8 even where it costs accuracy.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Write one self-contained ONNX file, checked against the model."""
    from medloupe.cli import console
    from medloupe.training.compress.export import export

    if data is None and any((labels, patient, split, image, table)):
        raise typer.BadParameter("--labels, --patient, --split, --image and --table go with --data.")
    read_as = {"labels": labels, "patient": patient, "split": split, "image": image, "table": table, "folders": folders}
    with console.progress() as say:
        done = export(model, out, precision=precision, data=data, read_as=read_as, force=force, progress=say)
    if json:
        console.print_json(done.as_json())
    else:
        typer.echo(done.words, err=True)
