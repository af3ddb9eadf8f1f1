"""`medloupe relabel`: apply decisions about suspicious labels to a data set, as a new table."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from medloupe.cli.options import Data, Folders, Image, Json, Labels, Patient, SplitColumn, Table, Task
from medloupe.cli.places import read_place, write_place


def run_relabel(
    data: Data,
    decisions: Annotated[
        Path,
        typer.Argument(
            metavar="DECISIONS", parser=read_place, help="The table of `medloupe check --suspects`, with decisions."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="TABLE.csv", parser=write_place, help="Where the table with all labels goes."),
    ],
    labels: Labels = None,
    patient: Patient = None,
    split: SplitColumn = None,
    image: Image = None,
    table: Table = None,
    folders: Folders = None,
    task: Task = None,
    json: Json = False,
) -> None:
    """Write the labels of a data set with decisions applied, as a table to train from; the data stay as they are.

    In the column `decision` stands the label that is right, `leave out`, `unknown`, or nothing to keep the label.
    """
    from medloupe.cli import console
    from medloupe.data.reading import read
    from medloupe.data.writers.label_table import write_label_table
    from medloupe.errors import StoreError
    from medloupe.training.audit.decisions import apply_decisions

    dataset = read(
        data, labels=labels, patient=patient, split=split, image=image, table=table, folders=folders, task=task
    )
    applied = apply_decisions(dataset, decisions)
    try:
        told = write_label_table(applied.data, out)
    except OSError as e:
        raise StoreError(f"{out} cannot be written: {e.strerror or e}.", "Choose another place.") from e
    options = [part for name, value in told.items() for part in (f"--{name}", value)]
    root = str(applied.data.root)
    again = ["medloupe", "train", root, "--table", str(out.absolute()), *options, "--name", "NAME"]
    if json:
        counts = {name: getattr(applied, name) for name in ("relabelled", "left_out", "made_unknown", "kept")}
        console.print_json({**counts, "records": len(applied.data), "table": str(out), "train": again})
        return
    typer.echo(
        f"{applied.relabelled:,} relabelled, {applied.left_out:,} left out, {applied.made_unknown:,} made unknown,"
        f" {applied.kept:,} kept; {len(applied.data):,} {dataset.things} in {out}"
    )
    typer.echo(f"Next: {shlex.join(again)}", err=True)
