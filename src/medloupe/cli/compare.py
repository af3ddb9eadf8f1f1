"""`medloupe compare`: two runs of the store beside each other, in words, figures and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medloupe.cli.options import Home, Json
from medloupe.errors import StoreError

Run = Annotated[str, typer.Argument(metavar="RUN", help="A model's name, or name@version.", show_default=False)]


def compare(
    a: Run,
    b: Run,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.html", help="Also write a page with all curves and tables.")
    ] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Which of two runs is better, and how sure that is: on the same images, pair by pair."""
    from medloupe.cli import console
    from medloupe.evaluation.compare import compare_runs

    found = compare_runs(a, b)
    if out:
        from medloupe.report.pages import render_comparison
        from medloupe.utils.files import write_atomically

        try:
            write_atomically(out, render_comparison(found).encode("utf-8", "backslashreplace"))
        except OSError as e:
            raise StoreError(f"{out} cannot be written: {e.strerror or e}.", "Choose another place.") from e
    if json:
        console.print_json(found.as_json())
        return
    typer.echo(found.words, err=True)
    figures = [("AUC", found.auc), ("balanced accuracy", found.balanced_accuracy)]
    if len(found.labels) > 2 or found.task == "multilabel":  # of two classes both have the AUC of the whole
        figures += [(f"AUC {p.label}", p.auc) for p in found.per_label]
    for name, pair in figures:
        interval = "" if pair.low is None else f"  [{pair.low:+.3f}, {pair.high:+.3f}]"
        mark = " *" if pair.apart else ""
        typer.echo(f"  {name:32}{pair.a:.3f} → {pair.b:.3f}  {pair.difference:+.3f}{interval}{mark}", err=True)
    if any(pair.apart for _, pair in figures):
        typer.echo("  * more than chance explains: the 95 % interval leaves out 0", err=True)
    if out:
        typer.echo(f"\n  page  {out}", err=True)
