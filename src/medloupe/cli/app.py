"""The command line: one short command a stage. Results go to stdout, all else to stderr."""

from __future__ import annotations

import io
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from medloupe.cli.adapt import adapt
from medloupe.cli.compare import compare
from medloupe.cli.models import models_app
from medloupe.cli.options import (
    BackboneName,
    Data,
    Home,
    Image,
    Json,
    Labels,
    ModelName,
    Patient,
    Seed,
    SplitColumn,
    Table,
)
from medloupe.cli.predict import predict
from medloupe.cli.recipes import recipes_app
from medloupe.cli.serve import serve
from medloupe.cli.starters import starters_app
from medloupe.cli.stress import stress
from medloupe.cli.train import train
from medloupe.cli.users import users_app
from medloupe.errors import MedloupeError, StoreError
from medloupe.version import __version__

app = typer.Typer(
    help="From a labelled folder of medical images to an honestly evaluated classifier in one ONNX file.\n\n"
    "Research software, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models_app, name="models")
app.add_typer(starters_app, name="starters")
app.add_typer(users_app, name="users")
app.add_typer(recipes_app, name="recipes")


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"medloupe {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    home: Home = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
) -> None:
    pass


def check(
    data: Data,
    labels: Labels = None,
    patient: Patient = None,
    split: SplitColumn = None,
    image: Image = None,
    table: Table = None,
    backbone: BackboneName = None,
    seed: Seed = 0,
    json: Json = False,
    home: Home = None,
) -> None:
    """What is wrong with this data, before any training."""
    from medloupe.cli import console
    from medloupe.data.reading import read
    from medloupe.data.scan import scan_dataset
    from medloupe.embed.features import embed
    from medloupe.embed.registry import backbone as find_backbone
    from medloupe.embed.registry import choose_backbone_name
    from medloupe.training.audit.findings import audit
    from medloupe.training.fusion.choose import with_columns

    dataset = read(data, labels=labels, patient=patient, split=split, image=image, table=table)
    with console.progress() as say:
        features = embed(
            scan_dataset(dataset),
            find_backbone(backbone or choose_backbone_name(dataset)),
            lambda d, t: say("embedding", d, t),
        )
        audited = with_columns(audit(features, seed), features.data, seed)
    if json:
        console.print_json({**console.described(dataset), **audited.as_json()})
    else:
        console.print_audit(dataset, audited)


def evaluate(
    model: ModelName,
    data: Data,
    labels: Labels = None,
    patient: Patient = None,
    image: Image = None,
    table: Table = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the whole report as an HTML page.")
    ] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Judge a model on another site's labelled data."""
    from medloupe.cli import console
    from medloupe.data.reading import read
    from medloupe.evaluation.external import validate
    from medloupe.inference.find import find_model

    loaded = find_model(model)
    dataset = read(data, labels=labels, patient=patient, image=image, table=table)
    with console.progress() as say:
        validation = validate(loaded, dataset, progress=lambda d, t: say("embedding", d, t))
    if report:
        from medloupe.report.pages import render

        _write(report, render(validation.report))
    if json:
        console.print_json(validation.as_json())
    else:
        console.print_validation(validation, report)


def export(
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
    force: Annotated[bool, typer.Option("--force", help="Write int8 even where it costs accuracy.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Write one self-contained ONNX file, checked against the model."""
    from medloupe.cli import console
    from medloupe.training.compress.export import export as run

    if data is None and any((labels, patient, split, image, table)):
        raise typer.BadParameter("--labels, --patient, --split, --image and --table go with --data.")
    read_as = {"labels": labels, "patient": patient, "split": split, "image": image, "table": table}
    with console.progress() as say:
        done = run(model, out, precision=precision, data=data, read_as=read_as, force=force, progress=say)
    if json:
        console.print_json(done.as_json())
    else:
        typer.echo(done.words, err=True)


for command in (check, train, evaluate, predict, compare, stress, adapt, export, serve):  # as the help lists them
    app.command()(command)


def _write(path: Path, text: str) -> None:
    from medloupe.utils.files import write_atomically

    try:
        write_atomically(path, text.encode())
    except OSError as e:
        raise StoreError(f"{path} cannot be written: {e.strerror or e}.", "Choose another place.") from e


def main(arguments: list[str] | None = None) -> Any:
    """Entry point: errors raised on purpose become one or two lines and exit code 1, Ctrl-C one line and 130."""
    for stream in (sys.stdout, sys.stderr):  # a terminal or pipe that cannot show a character must not end the work
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with _interruptible() as stopped:
        try:
            app(arguments)
        except BaseException as e:
            # Not only KeyboardInterrupt: Typer turns it into an exit, and an import in C into an ImportError.
            if stopped:
                typer.echo(f"medloupe: stopped. {_RESUMES}", err=True)
                sys.exit(130)
            if isinstance(e, MedloupeError):
                _fail(e.message, e.hint)
            if isinstance(e, BrokenPipeError):
                sys.stderr.close()
                sys.exit(1)
            if isinstance(e, OSError):  # a folder without rights, a disk that fails
                place = f"{e.filename}: " if e.filename else ""
                _fail(f"{place}{e.strerror or e}.", "Check the path, your rights there and the disk.")
            raise


_RESUMES = "What was embedded so far is kept; the same command goes on from there."


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Remembers, in the list, that Ctrl-C was pressed."""
    stopped: list[int] = []

    def stop(number: int, frame: object) -> None:
        stopped.append(number)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield stopped  # started with Ctrl-C ignored, or inside another program, which sees to it
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


def _fail(message: str, hint: str) -> NoReturn:
    typer.echo(f"medloupe: {message}", err=True)
    if hint:
        typer.echo(f"  → {hint}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
