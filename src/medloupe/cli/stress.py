"""`medloupe stress`: show how a model's figures move under what happens to pictures in the field."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medloupe.cli.options import Folders, Home, Image, Json, Labels, ModelName, Patient, SplitColumn, Table, Unboxed
from medloupe.cli.places import read_place, write_place
from medloupe.cli.reading import Cropped, ModelTask, reading_of
from medloupe.errors import StoreError

if TYPE_CHECKING:
    from medloupe.evaluation.stress import StressResult


def run_stress(
    model: ModelName,
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", parser=read_place, help="A folder, a table or a MedMNIST .npz, with labels."),
    ],
    labels: Labels = None,
    patient: Patient = None,
    split: SplitColumn = None,
    image: Image = None,
    table: Table = None,
    folders: Folders = None,
    task: ModelTask = None,
    unboxed: Unboxed = None,
    cropped: Cropped = False,
    images: Annotated[int, typer.Option(metavar="N", min=10, help="About how many images to judge.")] = 300,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Same data and seed, same figures.")] = 0,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", parser=write_place, help="Also write a page with table, chart and example pictures."
        ),
    ] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """How a model's figures move when pictures are blurred, badly lit, tilted, saved again or photographed."""
    from medloupe.cli import console
    from medloupe.data.reading import read
    from medloupe.evaluation.stress import stress
    from medloupe.evaluation.stress_boxes import stress_detector
    from medloupe.inference.find import find_model

    if report and not report.parent.is_dir():  # told before the work, not after
        raise StoreError(f"{report} cannot be written: there is no folder {report.parent}.", "Choose another place.")
    loaded = find_model(model)
    dataset = read(
        data,
        labels=labels,
        patient=patient,
        split=split,
        image=image,
        table=table,
        folders=folders,
        unboxed=unboxed,
        **reading_of(loaded, task, cropped=cropped),
    )
    with console.progress() as say:
        judge = stress_detector if loaded.detector is not None else stress
        found = judge(loaded, dataset, images=images, seed=seed, progress=say)
    if report:
        from medloupe.report.pages import render_stress

        console.write_page(report, render_stress(found.as_json(), found.pictures))
    if json:
        console.print_json(found.as_json())
    else:
        _print(found, report)


def _print(found: StressResult, report: Path | None) -> None:
    """Print the table on stdout, with the sentences around it."""
    from medloupe.cli.console import DISCLAIMER, MORE_THAN_CHANCE, format_difference

    typer.echo(typer.style(f"{found.name} on {found.data}, changed", bold=True) + f"  {DISCLAIMER}")
    for sentence in found.basis:
        typer.echo(f"  {sentence}")
    main, title = ("map50", "AP50") if "map50" in found.unchanged else ("auc", "AUC")
    shown = [(name, heading) for name, heading in _HEADINGS if name in found.unchanged]
    typer.echo(
        "\n" + " " * 28 + "".join(f"{heading:>12}" for _, heading in shown) + f"{'same':>7}   {title}, difference"
    )
    unchanged = "".join(f"{_figure(name, found.unchanged[name]['value']):>12}" for name, _ in shown)
    typer.echo(f"  {'unchanged':26}{unchanged}")
    for row in found.rows:
        if not row.altered:
            typer.echo(f"  {row.change.title:26}  changes nothing in these pictures")
            continue
        figures = "".join(f"{_figure(n, row.figures[n]['value'] if n in row.figures else None):>12}" for n, _ in shown)
        d = row.figures[main]["difference"] if main in row.figures else None
        told = "" if d is None else format_difference(d["value"], d["low"], d["high"])
        typer.echo(f"  {row.change.title:26}{figures}{_figure('same', row.same['value']):>7}   {told}")
    typer.echo(f"{MORE_THAN_CHANCE}\n")
    for sentence in found.words:
        typer.echo(f"  {sentence}")
    if report:
        typer.echo(f"\n  report  {report}", err=True)


_HEADINGS = (
    ("auc", "AUC"),
    ("map50", "AP50"),
    ("found", "found"),
    ("false_marks", "false marks"),
    ("count_error", "counts off"),
    ("balanced_accuracy", "balanced"),
    ("sensitivity", "sensitivity"),
    ("specificity", "specificity"),
    ("ece", "calibration"),
    ("refused", "refused"),
)


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name == "false_marks":
        return f"{value:.2f}"
    return f"{value:.3f}" if name in ("auc", "map50", "ece") else f"{value:.0%}"
