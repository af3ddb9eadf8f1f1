"""`medloupe adapt`: fit a model's calibration and operating points to local cases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medloupe.cli.options import Folders, Home, Image, Json, Labels, ModelName, Patient, Sensitivity, Table
from medloupe.cli.places import read_place, write_place
from medloupe.cli.reading import Cropped, ModelTask, reading_of

if TYPE_CHECKING:
    from medloupe.model.bundle import Model
    from medloupe.training.adapt.run import AdaptedModel

_CALLED = {"log_loss": "log loss", "brier": "Brier score", "ece": "calibration error"}
_WIDE = 28  # characters of a label's name


def run_adapt(
    model: ModelName,
    data: Annotated[
        Path, typer.Argument(metavar="DATA", parser=read_place, help="50 to 200 labelled local cases, as they come.")
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the new version, where it is to be another.")
    ] = None,
    sensitivity: Sensitivity = 0.9,
    labels: Labels = None,
    patient: Patient = None,
    image: Image = None,
    table: Table = None,
    folders: Folders = None,
    task: ModelTask = None,
    cropped: Cropped = False,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Same data and seed, same version.")] = 0,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", parser=write_place, help="Also write the page with the report.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come of it.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Fit a model's percentages and operating points to local cases: a new version, if it is better than noise."""
    from medloupe.cli import console
    from medloupe.data.reading import read
    from medloupe.inference.find import find_model
    from medloupe.training.adapt.run import adapt
    from medloupe.training.adapt.storage import keep_adapted

    if not 0 < sensitivity < 1:
        raise typer.BadParameter("must lie between 0 and 1, such as 0.9.", param_hint="--sensitivity")
    loaded = find_model(model)
    dataset = read(
        data,
        labels=labels,
        patient=patient,
        image=image,
        table=table,
        folders=folders,
        **reading_of(loaded, task, cropped=cropped),
    )
    with console.progress() as say:
        made = adapt(loaded, dataset, sensitivity=sensitivity, seed=seed, progress=say)
    kept = None if dry_run else keep_adapted(made, name=name)
    if report:
        console.write_page(report, made.page if kept is None else kept.report)
    if json:
        console.print_json({**made.as_json(), **({"name": kept.name, "version": kept.version} if kept else {})})
    else:
        _print(made, kept, report)


def _print(made: AdaptedModel, kept: Model | None, report: Path | None) -> None:
    """Print sentences first, then the table; what to do next comes last."""
    from medloupe.cli.console import DISCLAIMER

    entry = made.entry
    typer.echo(typer.style(f"{made.base.name} on {entry['data']}", bold=True) + f"  {DISCLAIMER}")
    for sentence in entry["words"]:
        typer.echo(f"  {sentence}")
    for warning in made.model.card["warnings"][len(made.base.card.get("warnings") or ()) :]:
        typer.echo(typer.style(f"  ✖ {warning['text']}", fg="red"))
    figures = entry["figures"]
    changed = entry["calibration"]["kind"] != "unchanged"
    typer.echo("")
    for key, called in _CALLED.items():
        line = f"  {called:{_WIDE}}{_figure(figures['before'][key])}"
        typer.echo(f"{line} → {_figure(figures['after'][key])}" if changed else line)
    typer.echo(f"\n  {'at the line':{_WIDE}}{'finds of 100 cases':30}{'flags of 100 others':30}line")
    for row in entry["labels"]:
        before, after = row["before"], row["after"]
        cells = [
            _before_and_after(before, after, key, turn) for key, turn in (("sensitivity", False), ("specificity", True))
        ]
        old, new = _line(before), "kept" if after is None else _line(after)
        typer.echo(f"  {row['label'][: _WIDE - 2]:{_WIDE}}{cells[0]:30}{cells[1]:30}{old} → {new}")
    typer.echo("")
    if kept is None:
        typer.echo("Nothing was written (--dry-run).", err=True)
    else:
        typer.echo(_next_step(made, kept), err=True)
    if report:
        typer.echo(f"  report  {report}", err=True)


def _next_step(made: AdaptedModel, kept: Model) -> str:
    """Say what was written and what to do with it."""
    from medloupe.store.models import Store

    called = f"{kept.name}@{kept.version}"
    if Store.open().production().get(kept.name, (0, ""))[0] == kept.version:
        shipped = made.base.version is None and made.base.onnx is None and kept.name == made.base.name
        instead = ", instead of the one that is shipped" if shipped else ""
        return f"{called} was written and answers under {kept.name} from now on{instead}."
    return f"{called} was written. It answers under its name once it is promoted:\n  medloupe models promote {called}"


def _before_and_after(before: Mapping[str, Any], after: Mapping[str, Any] | None, key: str, turned: bool) -> str:
    old = _per_hundred(before[key], turned)
    return old if after is None else f"{old} → {_per_hundred(after[key], turned)}"


def _per_hundred(metric: Mapping[str, Any], turned: bool) -> str:
    """Write a share as "91 [78-97]" of a hundred; turned: what is left of it."""
    values = [metric["value"], metric["low"], metric["high"]]
    if values[0] is None:
        return "–"
    if turned:
        values = [None if v is None else 1 - v for v in (values[0], values[2], values[1])]
    interval = "" if values[1] is None or values[2] is None else f" [{100 * values[1]:.0f}-{100 * values[2]:.0f}]"
    return f"{100 * values[0]:.0f}{interval}"


def _line(point: Mapping[str, Any]) -> str:
    return "–" if point["threshold"] is None else f"{point['threshold']:.3f}"


def _figure(metric: Mapping[str, Any]) -> str:
    if metric["value"] is None:
        return "–"
    interval = "" if metric["low"] is None else f" [{metric['low']:.3f}, {metric['high']:.3f}]"
    return f"{metric['value']:.3f}{interval}"
