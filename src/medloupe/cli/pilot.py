"""`medloupe pilot`: answers that are recorded and not shown, and what comes of comparing them with the reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medloupe.cli.options import Home, Json
from medloupe.errors import StorageError, StoreError

if TYPE_CHECKING:
    from medloupe.metrics.pilot import Share
    from medloupe.store.models import Store
    from medloupe.store.pilots import Pilot, Pilots

pilot_app = typer.Typer(
    help="A pilot: answers are recorded and not shown, to be compared with the reference later.", no_args_is_help=True
)
Csv = Annotated[bool, typer.Option("--csv", help="As a table.")]
_ACTOR = "command line"


@pilot_app.command("plan")
def pilot_plan(
    sensitivity: Annotated[float, typer.Option(metavar="S", help="As expected, from 0 to 1.")] = 0.9,
    specificity: Annotated[float, typer.Option(metavar="S", help="As expected, from 0 to 1.")] = 0.9,
    half_width: Annotated[float, typer.Option(metavar="W", help="Half of the 95 % interval wished for.")] = 0.05,
    prevalence: Annotated[float, typer.Option(metavar="P", help="Share of people with the finding.")] = 0.1,
    keep: Annotated[bool, typer.Option("--keep", help="Keep it with the pilot that runs.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """How many people a pilot takes."""
    from medloupe.cli import console
    from medloupe.metrics.pilot import ASSURANCE, plan_pilot

    plan = plan_pilot(sensitivity=sensitivity, specificity=specificity, half_width=half_width, prevalence=prevalence)
    if keep:
        _, pilots = _open()
        if pilots.running() is None:
            raise StoreError("No pilot runs to keep it with.", "medloupe pilot begin")
        pilots.begin(by=_ACTOR, plan=plan.as_json())
    if json:
        console.print_json(plan.as_json())
        return
    typer.echo(f"{plan.people:,} people: {plan.having:,} with the finding and {plan.lacking:,} without, on average")
    typer.echo(f"{plan.assured:,} so that there are as many with a probability of {ASSURANCE:.0%}")
    typer.echo(f"{plan.normal:,} by the normal approximation (Buderer 1996), which is too few near 0 and 1")


@pilot_app.command("begin")
def pilot_begin(home: Home = None) -> None:
    """Record answers from now on and show none, also of servers that run."""
    store, pilots = _open()
    found = pilots.begin(by=_ACTOR)
    _log(store, "pilot.begin", found.id)
    typer.echo(f"A pilot runs since {found.started}. Answers are recorded and not shown.")


@pilot_app.command("end")
def pilot_end(home: Home = None) -> None:
    """End the pilot; its answers are shown from now on."""
    store, pilots = _open()
    running = pilots.running()
    shown = pilots.end(by=_ACTOR)
    _log(store, "pilot.end", running.id if running else "")
    typer.echo(f"The pilot is over; {shown:,} answers that were hidden are shown.")


@pilot_app.command("status")
def pilot_status(csv: Csv = False, json: Json = False, home: Home = None) -> None:
    """How far the pilot is: answers, and those with a reference; --csv: those that wait for one, to be filled in."""
    from medloupe.cli import console
    from medloupe.watch.pilots import write_waiting

    _, pilots = _open()
    pilot = _latest(pilots)
    if csv:
        typer.echo(write_waiting(pilots, pilot), nl=False)
        return
    counts = pilots.count(pilot.id)
    if json:
        told = {"id": pilot.id, "started": pilot.started, "ended": pilot.ended, "plan": pilot.plan}
        console.print_json({**told, "models": {m: {"answers": n, "referred": r} for m, (n, r) in counts.items()}})
        return
    typer.echo(f"since {pilot.started} by {pilot.started_by}" + (f", ended {pilot.ended}" if pilot.ended else ", runs"))
    if pilot.plan:
        typer.echo(f"planned: {pilot.plan['people']:,} people, {pilot.plan['having']:,} with the finding")
    for model, (answers, referred) in counts.items():
        typer.echo(f"{model or '(refused by all)'}: {answers:,} answers, {referred:,} with a reference")


@pilot_app.command("reference")
def pilot_reference(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with `id` and `labels` (A|B; ? where not known).")],
    home: Home = None,
) -> None:
    """Give references to answers; each is shown from then on, and its reference stays."""
    from medloupe.watch.pilots import give_references, read_references

    store, pilots = _open()
    pilot = _latest(pilots)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise StorageError(f"{file} cannot be read: {e}.", "Write a CSV file in UTF-8.") from e
    taken, failed = give_references(pilots, pilot, read_references(text), by=_ACTOR)
    _log(store, "pilot.reference", pilot.id, taken)
    for why in failed:
        typer.echo(why, err=True)
    typer.echo(f"{taken:,} references taken, {len(failed):,} not.")
    if failed:
        raise typer.Exit(1)


@pilot_app.command("report")
def pilot_report(
    csv: Csv = False,
    cases: Annotated[bool, typer.Option("--cases", help="Each answer beside its reference, as a table.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Answers against the reference: sensitivity, specificity and predictive values with 95 % intervals."""
    from medloupe.cli import console
    from medloupe.watch.pilots import report_on, write_cases, write_report

    store, pilots = _open()
    pilot = _latest(pilots)
    if cases:
        typer.echo(write_cases(pilots, pilot), nl=False)
        return
    reports = report_on(pilots, pilot, store)
    if csv:
        typer.echo(write_report(reports), nl=False)
        return
    for report in reports:
        if json:
            console.print_json(report.as_json())
            continue
        typer.echo(f"{report.model}: {report.referred:,} of {report.answers:,} answers have a reference")
        for table in report.tables:
            figures = table.figures()
            typer.echo(f"  {table.label or 'any finding'}: tp {table.tp}, fp {table.fp}, fn {table.fn}, tn {table.tn}")
            for name in ("sensitivity", "specificity", "ppv", "npv"):
                typer.echo(f"    {name:12}{_word_share(figures[name])}")
            undecided = {**table.undecided_with}
            for state, n in table.undecided_without.items():
                undecided[state] = undecided.get(state, 0) + n
            told = ", ".join(f"{n} {state}" for state, n in undecided.items() if n)
            if told:
                worst = f"{_word_share(figures['sensitivity_all'])}; {_word_share(figures['specificity_all'])}"
                typer.echo(f"    {told}; taken as wrong: {worst}")


def _word_share(share: Share) -> str:
    if share.value is None:
        return f"none ({share.hits}/{share.n})"
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%}; {share.hits}/{share.n})"


def _open() -> tuple[Store, Pilots]:
    from medloupe.store.models import Store
    from medloupe.store.pilots import Pilots

    store = Store.open()
    return store, Pilots(store.engine)


def _latest(pilots: Pilots) -> Pilot:
    found = pilots.latest()
    if found is None:
        raise StoreError("There has been no pilot.", "medloupe serve --pilot, or medloupe pilot begin")
    return found


def _log(store: Store, action: str, object: str, count: int | None = None) -> None:
    from medloupe.accounts.log import AuditLog

    AuditLog(store.engine).add(_ACTOR, action, object, None if count is None else {"references": count})
