"""`medloupe select`: which of many unlabelled examples to label next (active learning)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medloupe.cli.options import Home, Json, ModelName, Seed
from medloupe.cli.places import read_place, write_place

if TYPE_CHECKING:
    from medloupe.evaluation.selection import Selection


def run_select(
    model: ModelName,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", parser=read_place, help="Of pictures or ECGs that nobody has labelled.")
    ],
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, max=10_000, help="How many to select.")] = 20,
    patient: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Finds the patient in a file's name: of each at most one.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.csv", parser=write_place, help="Also write a table to label in."),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
    home: Home = None,
) -> None:
    """Say which of many unlabelled pictures to label next, so that the model learns most from each label.

    They are those of which the model is unsure, spread over what there is, at most one of each patient.
    """
    from medloupe.cli import console
    from medloupe.errors import DataError
    from medloupe.evaluation.selection import select_examples
    from medloupe.inference.find import find_model
    from medloupe.inference.predictors import list_folder

    if not folder.is_dir():
        raise DataError(f"{folder} is no folder.", "Give the folder of the pictures that nobody has labelled.")
    loaded = find_model(model)
    files = list(list_folder(folder, (loaded.backbone.card.modality,)))
    with console.progress() as say:
        found = select_examples(loaded, folder, files, count, patient=patient, seed=seed, progress=say)
    if out is not None:
        _write(found, out)
    if json:
        for chosen in found.chosen:
            console.print_json(chosen.as_json())
    else:
        typer.echo(f"Of {found.of:,}, label these first:")
        for chosen in found.chosen:
            typer.echo(f"{chosen.rank:5}  {chosen.file}  ({chosen.prediction}, {chosen.probability:.0%})")
    for why, n in found.left_out.items():
        typer.echo(f"  left out: {n:,} {why}", err=True)
    if out is not None:
        typer.echo(f"\n  table  {out}", err=True)


def _write(found: Selection, out: Path) -> None:
    """Write a table to label in: file, label (empty), and what the model says."""
    from medloupe.errors import StoreError
    from medloupe.utils.csvcells import escape_cell
    from medloupe.utils.files import write_atomically

    lines = [["file", "label", "rank", "uncertainty"]]
    lines += [[c.file, "", str(c.rank), f"{c.uncertainty:.3f}"] for c in found.chosen]
    text = "".join(",".join(map(escape_cell, line)) + "\r\n" for line in lines)
    try:
        write_atomically(out, text.encode("utf-8", "backslashreplace"))
    except OSError as e:
        raise StoreError(f"{out} cannot be written: {e.strerror or e}.", "Choose another place.") from e
