"""`medloupe train`: make a judged version in the store from labelled data."""

from __future__ import annotations

from typing import Annotated

import typer

from medloupe.cli.options import (
    AllowUrls,
    BackboneName,
    Clinical,
    Crop,
    CropTo,
    Data,
    Engine,
    FalseFlags,
    FalseMarks,
    Folders,
    Harmless,
    Home,
    Image,
    Json,
    KeepLeaks,
    Kind,
    Labels,
    Margin,
    Mask,
    Normal,
    Notes,
    NotesModel,
    Ordered,
    Patient,
    Seed,
    Sensitivity,
    Sought,
    SplitColumn,
    Table,
    Task,
    Unboxed,
    parse_columns,
    parse_labels,
    parse_mask,
    read_crop,
)


def run_train(
    data: Data,
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the model in the store.")],
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
    finetune: Annotated[
        str,
        typer.Option(
            metavar="none|tail|full|auto",
            help="Also train the network's upper stages, or all of it; auto: if that beats a linear head.",
        ),
    ] = "none",
    minutes: Annotated[
        float | None,
        typer.Option(
            metavar="M",
            help="That fine-tuning may take (auto: 15 unless told), half of it for --search; --compare as much again.",
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="MODEL", help="Go on from the network of a model in the store.")
    ] = None,
    search: Annotated[bool, typer.Option("--search", help="Look for a better recipe of fine-tuning first.")] = False,
    compare: Annotated[
        str | None, typer.Option(metavar="scratch", help="Also train the same network from random weights.")
    ] = None,
    field: Annotated[
        str,
        typer.Option(
            metavar="auto|none",
            help="Learn from simulated photographs of the pictures too; auto: where there are enough pictures.",
        ),
    ] = "auto",
    robust: Annotated[
        bool,
        typer.Option(
            "--robust",
            help="Choose the head by leaving one source (hospital, device) out at a time, and judge by sources.",
        ),
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(metavar="COL", help="With --robust: the column that tells the source (found by its name)."),
    ] = None,
    sensitivity: Sensitivity = 0.9,
    clinical: Clinical = None,
    notes: Notes = None,
    notes_model: NotesModel = None,
    mask: Mask = "auto",
    keep_leaks: KeepLeaks = False,
    normal: Normal = None,
    sought: Sought = None,
    harmless: Harmless = None,
    ordered: Ordered = False,
    false_flags: FalseFlags = 0.25,
    false_marks: FalseMarks = 1.0,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMULA",
            help='Of boxes: what is computed from them, such as "ctr = width(heart) / width(lungs)"; repeated.',
        ),
    ] = None,
    kind: Kind = "",
    held: Annotated[
        bool, typer.Option("--held", help="Wait to be promoted by a person, even as the first version of the name.")
    ] = False,
    backbone: BackboneName = None,
    seed: Seed = 0,
    engine: Engine = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Train, judge and export a classifier: a store version, report.html and model.onnx."""
    from medloupe.cli import console, roles
    from medloupe.data.reading import read
    from medloupe.inference.find import find_model
    from medloupe.store.models import Store
    from medloupe.training.options import FIELD_MODES, FINETUNE_MODES, Options
    from medloupe.training.pipeline.run import summarise, train

    if finetune not in FINETUNE_MODES:
        raise typer.BadParameter(f"{finetune!r} is none of {', '.join(FINETUNE_MODES)}.", param_hint="--finetune")
    if field not in FIELD_MODES:
        raise typer.BadParameter(f"{field!r} is none of {', '.join(FIELD_MODES)}.", param_hint="--field")
    if compare not in (None, "scratch"):
        raise typer.BadParameter(f"{compare!r}: only 'scratch' can be compared.", param_hint="--compare")
    if start is not None and backbone is not None:
        raise typer.BadParameter("--from brings its own backbone; leave --backbone out.", param_hint="--from")
    began = find_model(start) if start is not None else None
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
    told = Options(
        normal=parse_labels(normal, dataset.labels),
        sought=parse_labels(sought, dataset.labels),
        harmless=parse_labels(harmless, dataset.labels),
        ordered=ordered,
        false_flags=false_flags,
        false_marks=false_marks,
        kind=kind,
        seed=seed,
        sensitivity=sensitivity,
        measure=tuple(measure or ()),
    )
    if not json:
        console.print_dataset(dataset)
        told = roles.ask_roles(dataset, told)
        typer.echo(f"  {told.assign_roles(dataset).roles.words}", err=True)
    with console.progress() as say:
        model = train(
            dataset,
            name=name,
            options=told,
            backbone=backbone,
            start=began,
            finetune=finetune,
            minutes=minutes,
            field=field,
            robust=robust,
            source=source,
            search=search,
            scratch=compare == "scratch",
            clinical=parse_columns(clinical),
            notes=notes,
            notes_model=notes_model,
            mask=parse_mask(mask),
            keep_leaks=keep_leaks,
            held=held,
            progress=say,
        )
    folder = Store.open().folder(model.name, model.version)
    if json:
        console.print_json(summarise(model, folder))
    else:
        console.print_model(model, folder)
