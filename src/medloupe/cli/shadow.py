"""`medloupe shadow`: let another version answer live requests unseen, and compare both."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medloupe.cli.models import name_operator
from medloupe.cli.options import Home, Json

if TYPE_CHECKING:
    from medloupe.metrics.shadow import ShadowFigures
    from medloupe.store.shadows import Shadow

_SHOWN = 10  # lines of a table


def run_shadow(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the check-up.")],
    version: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Compare this version with the one in production.")
    ] = None,
    requests: Annotated[int, typer.Option(metavar="N", min=1, help="On so many requests; then it ends.")] = 200,
    stop: Annotated[bool, typer.Option("--stop", help="End the comparison that goes on.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Compare two versions of a check-up on live requests: one is shown, the other answers the same unseen."""
    from medloupe.cli import console
    from medloupe.errors import StoreError
    from medloupe.metrics.shadow import compare_answers
    from medloupe.store.models import Store
    from medloupe.store.shadows import Shadows

    store = Store.open()
    shadows = Shadows(store.engine)
    if version is not None and stop:
        raise typer.BadParameter("give a version or --stop.", param_hint="--stop")
    if version is not None:
        present = store.production().get(name)
        if present is None:
            raise StoreError(f"No version of {name} is in production.", "medloupe models list shows what is.")
        shadows.begin(name, present[0], version, wanted=requests, by=name_operator())
    elif stop:
        shadows.end(name, by=name_operator())
    found = shadows.list(name)
    if not found and not json:
        typer.echo("Nothing was compared. Begin: medloupe shadow NAME --version N", err=True)
    for one in found:
        cases = list(shadows.cases(one))
        figures = compare_answers(((c.site, c.before, c.after) for c in cases), (c.ms for c in cases))
        if json:
            told: dict[str, Any] = {**asdict(one), "figures": figures.as_json()}
            console.print_json(told)
        else:
            _print(one, figures)


def _print(one: Shadow, figures: ShadowFigures) -> None:
    state = "goes on" if one.running else f"ended {one.ended} by {one.ended_by}"
    typer.echo(f"{one.model}: version {one.after} against {one.before}, since {one.started}, {state}")
    typer.echo(
        f"  {one.compared:,} of {one.wanted:,} requests compared, {one.dropped:,} left out as the server was busy,"
        f" {one.failed:,} failed"
    )
    if not figures.n:
        return
    typer.echo(
        f"  alike: {figures.agreed:,} of {figures.n:,} ({figures.agreed / figures.n:.1%},"
        f" {figures.low:.1%} to {figures.high:.1%})"
    )
    for before, after, n in figures.states[:_SHOWN]:
        typer.echo(f"  {before} → {after}: {n:,}")
    for d in figures.differences[:_SHOWN]:
        typer.echo(f"  {d.label}: probability {d.mean:+.3f} on average, apart by {d.size:.3f} (95 %: {d.p95:.3f})")
    for s in figures.sites[:_SHOWN]:
        typer.echo(f"  {s.site or 'no site told'}: {s.agreed:,} of {s.n:,} alike")
