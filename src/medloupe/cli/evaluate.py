"""`medloupe evaluate`: judge a model on another site's labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medloupe.cli.options import Data, Home, Image, Json, Labels, ModelName, Patient, Table


def run_evaluate(
    model: ModelName,
    data: Data,
    labels: Labels = None,
    patient: Patient = None,
    image: Image = None,
    table: Table = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the whole report as an HTML page.")
    ] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Judge a model on another site's labelled data."""
    from medloupe.cli import console
    from medloupe.data.reading import read
    from medloupe.evaluation.external import validate
    from medloupe.inference.find import find_model

    loaded = find_model(model)
    dataset = read(data, labels=labels, patient=patient, image=image, table=table)
    with console.progress() as say:
        validation = validate(loaded, dataset, progress=lambda d, t: say("embedding", d, t))
    if report:
        from medloupe.report.pages import render

        console.write_page(report, render(validation.report))
    if json:
        console.print_json(validation.as_json())
    else:
        console.print_validation(validation, report)
