"""`medloupe retrain`: make a candidate of the corrections of a check-up, and hold it against what is in production."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medloupe.cli.models import name_operator
from medloupe.cli.options import Home, Json

if TYPE_CHECKING:
    from medloupe.metrics.paired import PairedDifference
    from medloupe.retrain.figures import CandidateFigures
    from medloupe.store.candidates import Candidate
    from medloupe.store.jobrows import QueuedJob
    from medloupe.store.models import Store

_LOOK_SECONDS = 0.5
_SHOWN = 10  # contradicted cases


def run_retrain(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Of the check-up and its data set; none with --due.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for it, and do it here where no worker takes it.")
    ] = True,
    list_: Annotated[bool, typer.Option("--list", help="Show the candidates that there are.")] = False,
    due: Annotated[bool, typer.Option("--due", help="Make those of all check-ups that are due.")] = False,
    after: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="From now on after N new corrections; 0: not by that.")
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(metavar="DAYS", min=0, help="From now on after so many days with any correction; 0: not by that."),
    ] = None,
    candidate: Annotated[str | None, typer.Option(metavar="ID", hidden=True)] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Make a candidate of a check-up's corrections; the gate judges it on the frozen test, a person promotes it."""
    from medloupe.retrain.begin import start_candidate
    from medloupe.retrain.due import start_due
    from medloupe.store.datasets import Datasets
    from medloupe.store.models import Store

    if (name is None) != due:
        raise typer.BadParameter("name a check-up, or give --due.", param_hint="NAME")
    store = Store.open()
    sets = Datasets(store.engine, store.home)
    if candidate is not None:
        _make(store, candidate, json=json)
        return
    if name is not None and list_:
        _list(store, sets.get(name).id, json=json)
        return
    if name is not None and (after is not None or every is not None):
        _set_rule(store, sets.get(name).id, after, every, json=json)
        return
    if name is None:
        started = start_due(store, sets)
    else:
        started = [start_candidate(store, sets, name, cause="command", by=name_operator())]
    for one in started:
        if wait:
            _follow(store, one, json=json)
        else:
            _print_candidate(one, json=json)
    if not started and not json:
        typer.echo("No candidate is due.", err=True)


def _make(store: Store, id: str, *, json: bool) -> None:
    """Do the job of a candidate."""
    from medloupe.cli import console
    from medloupe.errors import StoreError
    from medloupe.jobs.inside import read_job
    from medloupe.retrain.conclude import conclude_candidate
    from medloupe.retrain.run import make_candidate
    from medloupe.store.candidates import Candidates

    candidate = Candidates(store.engine).get(id)
    if read_job() is None:
        raise StoreError("Workers make candidates.", "Ask for one: medloupe retrain NAME")
    if candidate.version is None:
        with console.progress() as say:
            make_candidate(store, candidate, say)
    concluded, figures = conclude_candidate(store, id)
    _report(concluded, figures, json=json)


def _follow(store: Store, candidate: Candidate, *, json: bool) -> None:
    """Wait for a candidate, doing what waits in the queue where nobody else does, and report."""
    from medloupe.errors import StoreError
    from medloupe.retrain.conclude import conclude_candidate
    from medloupe.store.jobrows import CANCELLED, FAILED, WAITING
    from medloupe.store.queue import JobQueue
    from medloupe.store.worker import Worker

    queue = JobQueue(store.engine)
    worker = Worker(queue, store.home)
    while not _is_over(job := queue.get(candidate.job)):
        if job.state != WAITING or not worker.run_one():
            time.sleep(_LOOK_SECONDS)
    if job.state in (FAILED, CANCELLED):
        raise StoreError(
            f"The candidate was not made: {job.state}. {job.error}".strip(), f"medloupe jobs show {job.id}"
        )
    concluded, figures = conclude_candidate(store, candidate.id)
    _report(concluded, figures, json=json)


def _is_over(job: QueuedJob) -> bool:
    return job.finished is not None


def _report(candidate: Candidate, figures: CandidateFigures, *, json: bool) -> None:
    """Print how a candidate stands to what is in production."""
    from medloupe.cli import console

    if json:
        console.print_json({"candidate": candidate.id, "state": candidate.state, **figures.for_log()})
        return
    typer.echo(figures.gate.words)
    rows: list[tuple[str, PairedDifference | None]] = []
    if figures.paired is not None:
        rows += [("frozen test: AUC", figures.paired.auc)]
        if figures.several:
            rows += [(f"frozen test: AUC of {row.label}", row.auc) for row in figures.paired.per_label]
        rows += [("frozen test: balanced accuracy", figures.paired.balanced_accuracy)]
    wrongly = "findings said wrongly" if figures.several else "answered wrongly"
    for what, told in (("corrections", figures.prequential), ("new corrections", figures.fresh)):
        if told is not None:
            rows.append((f"{told.corrections:,} {what}: {wrongly}", told.wrong))
    for title, pair in rows:
        if pair is not None:
            difference = console.format_difference(pair.difference, pair.low, pair.high)
            typer.echo(f"  {title:44}{pair.a:.3f} → {pair.b:.3f}  {difference}", err=True)
    added = figures.added
    typer.echo(
        f"  {added['corrections']:,} corrections added; the check-up had been wrong in {added['wrong']:,}.", err=True
    )
    if not figures.gate.passed:
        _print_contradicted(figures.contradicted)
    name = figures.gate.name
    if candidate.state == "ready":
        typer.echo(
            f"Look at it in the studio, or promote it: medloupe models promote {name}@{figures.version}", err=True
        )
    else:
        typer.echo(f"{name}@{figures.version}: {candidate.state}", err=True)


def _print_contradicted(told: Any) -> None:
    """Name the readers and cases that everything else contradicts."""
    for reader in told["readers"]:
        usual = "" if told["usual"] is None else f" (of all other pictures {told['usual']:.0%})"
        typer.echo(
            f"  {reader['reader']}: {reader['contradicted']:,} of {reader['corrections']:,} corrections are"
            f" contradicted by everything else{usual}",
            err=True,
        )
    for case in told["cases"][:_SHOWN]:
        typer.echo(
            f"    case {case['case'][:8]} by {', '.join(case['readers'])}: {case['given']} → {case['likely']}?"
            f" ({case['probability_given']:.2f} against {case['probability_likely']:.2f})",
            err=True,
        )


def _list(store: Store, dataset: str, *, json: bool) -> None:
    from medloupe.store.candidates import Candidates

    found = Candidates(store.engine).list(dataset)
    for one in found:
        _print_candidate(one, json=json)
    if not found and not json:
        typer.echo("There are no candidates.", err=True)


def _print_candidate(one: Candidate, *, json: bool) -> None:
    from medloupe.cli import console

    if json:
        told = {k: v for k, v in asdict(one).items() if k != "figures"}
        console.print_json(told)
        return
    made = f"version {one.version}" if one.version is not None else ""
    typer.echo(f"{one.id[:8]}  {one.state:11} {made:12} {one.added:,} corrections, {one.cause}, {one.created}")


def _set_rule(store: Store, dataset: str, after: int | None, every: float | None, *, json: bool) -> None:
    """Say from when on candidates are made by themselves; what is not told stays."""
    from medloupe.cli import console
    from medloupe.store.candidates import Candidates, RetrainRule

    candidates = Candidates(store.engine)
    now = candidates.rule(dataset)
    rule = RetrainRule(
        corrections=now.corrections if after is None else after or None,
        days=now.days if every is None else every or None,
    )
    candidates.set_rule(dataset, rule, by=name_operator())
    if json:
        console.print_json({"corrections": rule.corrections, "days": rule.days})
    else:
        told = [f"after {rule.corrections:,} new corrections"] if rule.corrections else []
        told += [f"every {rule.days:g} days with any"] if rule.days else []
        typer.echo(f"Candidates are made {' and '.join(told)}." if told else "Candidates are made when asked for.")
