"""`medloupe check`: find what is wrong with data before any training."""

from __future__ import annotations

import typer

from medloupe.cli.options import (
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


def run_check(
    data: Data,
    labels: Labels = None,
    patient: Patient = None,
    split: SplitColumn = None,
    image: Image = None,
    table: Table = None,
    folders: Folders = None,
    task: Task = None,
    unboxed: Unboxed = None,
    crop: Crop = False,
    crop_to: CropTo = None,
    margin: Margin = None,
    backbone: BackboneName = None,
    seed: Seed = 0,
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
        console.print_json({**console.dataset_json(dataset), **audited.as_json()})
    else:
        console.print_audit(dataset, audited)
    if any(finding.kind in STOPPING for finding in audited.findings):
        raise typer.Exit(1)
