"""Put the command line together: one short command a stage. Results go to stdout, all else to stderr."""

from __future__ import annotations

import errno
import io
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer

from medloupe.cli.adapt import run_adapt
from medloupe.cli.check import run_check
from medloupe.cli.compare import run_compare
from medloupe.cli.compose import run_compose
from medloupe.cli.evaluate import run_evaluate
from medloupe.cli.export import run_export
from medloupe.cli.facilities import facilities_app
from medloupe.cli.forget import run_forget
from medloupe.cli.jobs import jobs_app
from medloupe.cli.models import models_app
from medloupe.cli.options import Home
from medloupe.cli.pilot import pilot_app
from medloupe.cli.places import PlacesTyper
from medloupe.cli.predict import run_predict
from medloupe.cli.recipes import recipes_app
from medloupe.cli.relabel import run_relabel
from medloupe.cli.retrain import run_retrain
from medloupe.cli.score import run_score
from medloupe.cli.select import run_select
from medloupe.cli.serve import run_serve
from medloupe.cli.shadow import run_shadow
from medloupe.cli.starters import starters_app
from medloupe.cli.stress import run_stress
from medloupe.cli.train import run_train
from medloupe.cli.users import users_app
from medloupe.errors import MedloupeError, QuestionError, StorageError
from medloupe.jobs.inside import end_with_worker
from medloupe.version import __version__

app = PlacesTyper(
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
app.add_typer(jobs_app, name="jobs")
app.add_typer(facilities_app, name="facilities")
app.add_typer(pilot_app, name="pilot")


_RESUMES = "What was embedded so far is kept; the same command goes on from there."


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


# As the help lists them.
app.command("check", help="What is wrong with this data, before any training.")(run_check)
app.command("relabel")(run_relabel)
app.command("train")(run_train)
app.command("retrain")(run_retrain)
app.command("shadow")(run_shadow)
app.command("evaluate")(run_evaluate)
app.command("predict", help="What a model sees in images or ECGs.")(run_predict)
app.command("score", help="Answer very many files, as tables in a folder.")(run_score)
app.command("select")(run_select)
app.command("compare")(run_compare)
app.command("compose")(run_compose)
app.command("stress")(run_stress)
app.command("adapt")(run_adapt)
app.command("export")(run_export)
app.command("forget")(run_forget)
app.command("serve")(run_serve)


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line.

    Errors raised on purpose become one or two lines and exit code 1 (74 where the store cannot be used), a question to
    the person the commands that answer it and 2, Ctrl-C one line and 130.

    Parameters
    ----------
    arguments : list of str, optional
        What follows `medloupe`; those of the process where left out.
    """
    for stream in (sys.stdout, sys.stderr):  # a terminal or pipe that cannot show a character must not end the work
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    end_with_worker()
    with _interruptible() as stopped:
        try:
            app(arguments)
        except BaseException as e:
            # Not only KeyboardInterrupt: Typer turns it into an exit, and an import in C into an ImportError.
            if stopped:
                typer.echo(f"medloupe: stopped. {_RESUMES}", err=True)
                sys.exit(130)
            if isinstance(e, QuestionError):
                _ask(e, sys.argv[1:] if arguments is None else arguments)
            if isinstance(e, MedloupeError):
                _fail(e.message, e.hint, e.exit_code)
            if isinstance(e, BrokenPipeError):
                sys.stderr.close()
                sys.exit(1)
            if isinstance(e, OSError):  # a folder without rights, a disk that fails
                place = f"{e.filename}: " if e.filename else ""
                full = e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
                code = StorageError.exit_code if full else 1
                _fail(f"{place}{e.strerror or e}.", "Check the path, your rights there and the disk.", code)
            raise


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Remember, in the list, that Ctrl-C was pressed."""
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


def _ask(question: QuestionError, arguments: list[str]) -> NoReturn:
    """Put the question, with the commands that answer it: what was typed, and the option that was missing."""
    typer.echo(f"medloupe: {question.message}", err=True)
    if question.answers:
        typed = shlex.join(["medloupe", *map(str, arguments)])
        typer.echo("  → Say which:", err=True)
        for answer in question.answers:
            typer.echo(f"    {typed} {answer}", err=True)
    elif question.hint:
        typer.echo(f"  → {question.hint}", err=True)
    sys.exit(2)


def _fail(message: str, hint: str, code: int = 1) -> NoReturn:
    typer.echo(f"medloupe: {message}", err=True)
    if hint:
        typer.echo(f"  → {hint}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
