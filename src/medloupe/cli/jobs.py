"""`medloupe jobs`: the queue of long tasks, and the workers that do them."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medloupe.cli.options import Home, Json

if TYPE_CHECKING:
    from medloupe.store.jobrows import QueuedJob
    from medloupe.store.queue import JobQueue

jobs_app = typer.Typer(
    help="Long tasks that wait, run or are over: kept in the database until they are done, whatever dies in between.",
    no_args_is_help=True,
)
JobId = Annotated[str, typer.Argument(metavar="ID", help="Of the job, or its first four letters or more.")]
_SHORT = 8  # letters of an id that are shown


@jobs_app.command("add", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def jobs_add(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="train|evaluate|stress|adapt", help="Which command it is.")],
    json: Json = False,
    home: Home = None,
) -> None:
    """Put a command at the end of the queue: medloupe jobs add train DATA --name NAME."""
    from medloupe.cli import console

    if kind == "retrain":
        raise typer.BadParameter("ask for it by `medloupe retrain NAME --no-wait`.", param_hint="KIND")
    job = _queue().add(kind, context.args, folder=str(Path.cwd()))
    if json:
        console.print_json(asdict(job))
    else:
        typer.echo(job.id[:_SHORT])
        typer.echo("A worker does it: medloupe jobs work · how far it is: medloupe jobs list", err=True)


@jobs_app.command("list")
def jobs_list(
    all: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Show what waits and what runs, the newest first."""
    from medloupe.cli import console
    from medloupe.store.jobrows import RUNNING, WAITING

    found = _queue().list(*(() if all else (WAITING, RUNNING)))
    for job in found:
        if json:
            console.print_json(asdict(job))
        else:
            typer.echo(describe_job(job))
    if not found and not json:
        typer.echo("No job waits or runs." if not all else "There are no jobs.", err=True)


@jobs_app.command("show")
def jobs_show(id: JobId, json: Json = False, home: Home = None) -> None:
    """One job: what it is, how far it is, what came of it."""
    from medloupe.cli import console

    job = _queue().get(id)
    if json:
        console.print_json(asdict(job))
        return
    typer.echo(describe_job(job))
    for what, told in (
        ("asked for", f"{job.created} by {job.created_by}"),
        ("taken", f"{job.started} by {job.worker or 'nobody now'}, attempt {job.attempt}" if job.started else ""),
        ("over", job.finished or ""),
        ("result", " ".join(f"{k}={v}" for k, v in (job.result or {}).items() if isinstance(v, str | int | float))),
        ("said", job.error),
    ):
        if told:
            typer.echo(f"    {what:10}{told}")


@jobs_app.command("stop")
def jobs_stop(id: JobId, home: Home = None) -> None:
    """Cancel a job that waits, or stop one that runs; what it computed so far is kept."""
    job = _queue().ask_to_stop(id)
    came = "is stopped as soon as its worker hears of it" if job.finished is None else job.state
    typer.echo(f"{job.id[:_SHORT]} {came}")


@jobs_app.command("work")
def jobs_work(
    once: Annotated[bool, typer.Option("--once", help="Do what waits, then end.")] = False,
    memory: Annotated[
        int | None, typer.Option(metavar="MB", min=256, help="Address space that a job may have (Linux).")
    ] = None,
    hours: Annotated[float | None, typer.Option(metavar="H", min=0.001, help="How long a job may run.")] = None,
    attended: Annotated[
        bool, typer.Option("--attended", help="End, giving its job back, when standard input ends.", hidden=True)
    ] = False,
    home: Home = None,
) -> None:
    """Do the jobs of the queue, one at a time, until Ctrl-C or SIGTERM, which give the one at work back."""
    from medloupe.errors import MedloupeError
    from medloupe.jobs.local import bounds_memory
    from medloupe.settings import home as home_folder
    from medloupe.store.worker import Worker, end_with_input, work_until_signalled

    if sys.platform == "win32":
        raise MedloupeError("Workers run on Linux and macOS.", "Run the command itself here, without the queue.")
    if memory is not None and not bounds_memory():
        raise MedloupeError("The memory of a job cannot be bounded on this system.", "Leave --memory out.")
    worker = Worker(
        _queue(),
        home_folder(),
        memory=None if memory is None else memory * 2**20,
        seconds=None if hours is None else 3600 * hours,
    )
    if once:
        while worker.run_one():
            pass
    else:
        if attended:
            end_with_input(worker)
        work_until_signalled(worker)


@jobs_app.command("forget")
def jobs_forget(
    days: Annotated[float, typer.Option(metavar="N", min=0, help="For how long they have been over.")] = 30,
    home: Home = None,
) -> None:
    """Remove jobs that have been over for some days."""
    typer.echo(f"{_queue().forget(days):,} removed")


def describe_job(job: QueuedJob) -> str:
    """Write a job as one line."""
    command = shlex.join([job.kind, *job.arguments])
    far = _describe_progress(job.progress) if job.finished is None else ""
    return f"{job.id[:_SHORT]}  {job.state:9} {far:28} {command}"


def _describe_progress(told: dict[str, Any] | None) -> str:
    if not told:
        return ""
    from medloupe.cli.console import name_stage

    done, total = told.get("done", 0), told.get("total", 0)
    return f"{name_stage(str(told.get('stage', '')))} {done:,}/{total:,}"


def _queue() -> JobQueue:
    from medloupe.store.models import Store
    from medloupe.store.queue import JobQueue

    return JobQueue(Store.open().engine)
