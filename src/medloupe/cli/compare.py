"""`medloupe compare`: set two runs of the store beside each other, in words, figures and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medloupe.cli.options import Home, Json
from medloupe.cli.places import write_place

RunName = Annotated[str, typer.Argument(metavar="RUN", help="A model's name, or name@version.", show_default=False)]


def run_compare(
    a: RunName,
    b: RunName,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE.html", parser=write_place, help="Also write a page with all curves and tables."
        ),
    ] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Which of two runs is better, and how sure that is: on the same images, pair by pair."""
    from medloupe.cli import console
    from medloupe.evaluation.compare import compare_runs
    from medloupe.evaluation.compare_boxes import is_detector

    if is_detector(a) and is_detector(b):
        _compare_boxes(a, b, out, json=json)
        return
    found = compare_runs(a, b)
    if out:
        from medloupe.report.pages import render_comparison

        console.write_page(out, render_comparison(found))
    if json:
        console.print_json(found.as_json())
        return
    typer.echo(found.words, err=True)
    figures = [("AUC", found.auc), ("balanced accuracy", found.balanced_accuracy)]
    if len(found.labels) > 2 or found.task == "multilabel":  # of two classes both have the AUC of the whole
        figures += [(f"AUC {p.label}", p.auc) for p in found.per_label]
    for name, pair in figures:
        difference = console.format_difference(pair.difference, pair.low, pair.high)
        typer.echo(f"  {name:32}{pair.a:.3f} → {pair.b:.3f}  {difference}", err=True)
    if any(pair.apart for _, pair in figures):
        typer.echo(console.MORE_THAN_CHANCE, err=True)
    if out:
        typer.echo(f"\n  page  {out}", err=True)


def _compare_boxes(a: str, b: str, out: Path | None, *, json: bool) -> None:
    """Compare two detectors."""
    from medloupe.cli import console
    from medloupe.evaluation.compare_boxes import compare_detectors

    found = compare_detectors(a, b)
    if out:
        from medloupe.report.pages import render_box_comparison

        console.write_page(out, render_box_comparison(found.as_json(), found.curves, found.cards))
    if json:
        console.print_json(found.as_json())
        return
    typer.echo(found.words, err=True)
    figures = [("AP50", found.map50)]
    if len(found.per_label) > 1:
        figures += [(f"AP50 {name}", d) for name, d in found.per_label.items()]
    for name, d in figures:
        difference = console.format_difference(d.difference, d.low, d.high)
        typer.echo(f"  {name:32}{d.production:.3f} → {d.candidate:.3f}  {difference}", err=True)
    if any(d.low > 0 or d.high < 0 for _, d in figures):
        typer.echo(console.MORE_THAN_CHANCE, err=True)
    if out:
        typer.echo(f"\n  page  {out}", err=True)
