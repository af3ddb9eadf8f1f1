"""`medloupe export`: write one self-contained ONNX file, or a folder that answers in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from medloupe.cli.options import Folders, Home, Image, Json, Labels, ModelName, Patient, SplitColumn, Table
from medloupe.cli.places import read_place, write_place
from medloupe.cli.reading import Cropped, ModelTask, reading_of

_BECAUSE = {
    "signal": "it reads neither pictures nor ECGs",
    "boxes": "it marks places",
    "inputs": "it also reads what is known beside the picture",
    "crops": "it looks at crops, which nobody would cut in a browser",
    "file": "it comes from an ONNX file, whose parts are not apart; name its version in the store",
}


def run_export(
    model: ModelName,
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", parser=write_place, help="The file to write, or for --target web the folder."),
    ],
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option(help="fp32 as trained, fp16 weights, or int8: smallest and fastest, if it keeps the accuracy."),
    ] = "fp32",
    target: Annotated[
        Literal["onnx", "web"],
        typer.Option(help="onnx, one file; or web: a folder that any web server can hand out, to answer in browsers."),
    ] = "onnx",
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", parser=read_place, help="For int8: the training images, if they were moved."),
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
    """Write one self-contained ONNX file, checked against the model, or a folder that answers in a browser."""
    from medloupe.cli import console
    from medloupe.inference.find import find_model

    if target == "web":
        if precision != "fp32" or data is not None or force:
            raise typer.BadParameter("--target web takes the network as it is; leave --precision, --data and --force.")
        _export_web(model, out, json=json)
        return
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


def _export_web(name: str, out: Path, *, json: bool) -> None:
    from medloupe.cli import console
    from medloupe.errors import MedloupeError
    from medloupe.inference.find import find_model
    from medloupe.ondevice.card import withheld_because
    from medloupe.ondevice.folder import write_folder
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.web.device import build_device_release

    checkup = CheckUp.of(find_model(name))
    if because := withheld_because(checkup):
        raise MedloupeError(
            f"{checkup.name} cannot be answered in a browser: {_BECAUSE[because]}.",
            "Serve it (medloupe serve), or export it as an ONNX file.",
        )
    written = write_folder(build_device_release([checkup], server=False), out)
    if json:
        told = {"name": checkup.name, "version": checkup.version, "folder": str(written.folder), "files": written.count}
        console.print_json({**told, "bytes": written.bytes})
        return
    typer.echo(
        f"Wrote {written.folder}: {written.count} files, {written.bytes / 1e6:.1f} MB. Put the folder on any web"
        " server; over https:// browsers keep it and answer without a connection.",
        err=True,
    )
