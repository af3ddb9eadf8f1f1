"""`medloupe check`: find what is wrong with data before any training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medloupe.cli.options import (
    AllowUrls,
    BackboneName,
    Crop,
    CropTo,
    Data,
    Folders,
    Home,
    Image,
    Json,
    Labels,
    Margin,
    Patient,
    Seed,
    SplitColumn,
    Table,
    Task,
    Unboxed,
    read_crop,
)
from medloupe.cli.places import write_place

if TYPE_CHECKING:
    from medloupe.embed.backbone import Backbone
    from medloupe.embed.features import Features
    from medloupe.training.audit.finding import Audit

_ON_PAGE = 200  # pictures on the page of suspects: some 2 MB


def run_check(
    data: Data,
    labels: Labels = None,
    patient: Patient = None,
    split: SplitColumn = None,
    image: Image = None,
    table: Table = None,
    allow_urls: AllowUrls = False,
    folders: Folders = None,
    task: Task = None,
    unboxed: Unboxed = None,
    crop: Crop = False,
    crop_to: CropTo = None,
    margin: Margin = None,
    backbone: BackboneName = None,
    seed: Seed = 0,
    suspects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            parser=write_place,
            help="Write the labels that look wrong, the most suspicious first, as a table to decide in, and beside it a"
            " page with the pictures.",
        ),
    ] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Say what is wrong with this data, before any training; exit code 1 where nothing could be trained on it."""
    from medloupe.cli import console
    from medloupe.data.reading import read
    from medloupe.data.scan import scan_dataset
    from medloupe.embed import registry
    from medloupe.embed.features import embed
    from medloupe.training.audit.findings import STOPPING, audit
    from medloupe.training.fusion.choose import probe_table

    dataset = read(
        data,
        labels=labels,
        patient=patient,
        split=split,
        image=image,
        table=table,
        folders=folders,
        task=task,
        unboxed=unboxed,
        crop=read_crop(crop, margin, crop_to),
        crop_to=crop_to,
    )
    with console.progress() as say:
        network = registry.backbone(backbone or registry.choose_backbone_name(dataset))
        features = embed(scan_dataset(dataset), network, lambda d, t: say("embedding", d, t))
        audited = probe_table(audit(features, seed), features.data, seed)
    if json:
        listed = [suspect.as_json() for suspect in audited.suspects]
        console.print_json({**console.dataset_json(dataset), **audited.as_json(), "label_suspects": listed})
    else:
        console.print_audit(dataset, audited)
    if suspects is not None:
        _write_suspects(suspects, features, audited, network)
    if any(finding.kind in STOPPING for finding in audited.findings):
        raise typer.Exit(1)


def _write_suspects(table: Path, features: Features, audited: Audit, network: Backbone) -> None:
    """Write the table of suspicious labels, and the page with their pictures beside it."""
    from medloupe.cli import console
    from medloupe.errors import StoreError
    from medloupe.report.pages import render_suspects as render_page
    from medloupe.training.audit.decisions import write_suspects
    from medloupe.training.pipeline.second_look import render_suspects

    try:
        write_suspects(audited.suspects, table)
    except OSError as e:
        raise StoreError(f"{table} cannot be written: {e.strerror or e}.", "Choose another place.") from e
    typer.echo(f"\n  table  {table}", err=True)
    shown = render_suspects(features, audited.suspects, network, most=_ON_PAGE)
    if shown is None:
        typer.echo("  No label deserves a second look, or there are too few records to tell.", err=True)
        return
    page = table.with_suffix(".html")
    console.write_page(page, render_page(shown, features.data.name, table.name))
    typer.echo(f"  page   {page}", err=True)
