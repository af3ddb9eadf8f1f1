"""`medloupe score`: answer very many files, as tables in a folder, exactly once and resumable."""

from __future__ import annotations

from typing import Annotated

import typer

from medloupe.cli.options import Cropped, Gain, Given, Home, Json, Photo, Rate, parse_pairs


def run_score(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A name, name@version, an .onnx file, or `auto`: each file chooses.")
    ],
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="A folder, a glob, a list (.txt, a file a line) or a table of files; here, or s3://, gs://, az://, https://.",
        ),
    ],
    into: Annotated[
        str,
        typer.Option(
            "--out", metavar="DIR", help="Folder of the results, made where it is missing; or s3://, gs://, az://."
        ),
    ],
    engine: Annotated[
        str, typer.Option(metavar="local|ray", help="Processes of this machine, or a Ray cluster (RAY_ADDRESS).")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="How many, of one core each (default: all cores).")
    ] = None,
    rows: Annotated[int, typer.Option(metavar="N", min=1, help="Files of one shard of the tables.")] = 500,
    image: Annotated[
        str | None, typer.Option(metavar="COL", help="Of a table: the column that names the files.")
    ] = None,
    urls: Annotated[
        bool,
        typer.Option("--allow-urls", help="A list or table may name addresses; only the public internet is asked."),
    ] = False,
    given: Given = None,
    rate: Rate = None,
    gain: Gain = None,
    photo: Photo = "auto",
    cropped: Cropped = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Answer very many files, as tables in a folder: each exactly once, resumable after any end."""
    from medloupe.cli import console
    from medloupe.errors import CornersError, MedloupeError, RemoteRefusedError
    from medloupe.imaging.photo import read_photo_request
    from medloupe.inference.find import AUTO, find_model
    from medloupe.inference.inputs import require_inputs
    from medloupe.jobs.engines import ENGINES
    from medloupe.scoring.run import score
    from medloupe.utils.remote.address import BUCKETS, is_remote, parse_address

    for hint, place, schemes in (("IN", source, (*BUCKETS, "https")), ("--out", into, BUCKETS)):
        if is_remote(place):
            try:
                scheme = parse_address(place).scheme
            except RemoteRefusedError as e:
                raise typer.BadParameter(str(e), param_hint=hint) from e
            if scheme not in schemes:
                raise typer.BadParameter(
                    f"{place} can only be read; write to s3://, gs:// or az://, or to a folder.", param_hint=hint
                )
    if engine not in ENGINES:
        raise typer.BadParameter(f"{engine!r} is none of {', '.join(ENGINES)}.", param_hint="--engine")
    try:
        read_photo_request(photo)
    except CornersError as e:
        raise typer.BadParameter(str(e), param_hint="--photo") from e
    told = parse_pairs(given or [])
    if told and model != AUTO:
        try:
            told = require_inputs(find_model(model, composed=True), told)
        except MedloupeError as e:
            raise typer.BadParameter(str(e), param_hint="--with") from e
    with console.progress() as say:
        scored = score(
            model,
            source,
            into,
            engine=engine,
            workers=workers,
            rows=rows,
            image=image,
            given=told,
            rate=rate,
            gain=gain,
            photo=photo,
            cropped=cropped,
            urls=urls,
            progress=lambda done, total: say("scoring", done, total),
        )
    if json:
        console.print_json(scored.as_json())
        return
    states = ", ".join(f"{count:,} {state}" for state, count in scored.states.items())
    typer.echo(f"{scored.files:,} files: {states or 'no answers'}; {scored.unreadable:,} could not be read.")
    if scored.kept:
        typer.echo(f"  {scored.kept:,} of them were there from an earlier run.", err=True)
    if scored.replaced:
        typer.echo(f"  {scored.replaced:,} workers ended in between and were replaced.", err=True)
    typer.echo(f"  answers: {into.rstrip('/')}/answers")
    if scored.unreadable:
        typer.echo(f"  without an answer, with reasons: {into.rstrip('/')}/unreadable")
    typer.echo(f"{console.DISCLAIMER} Decisions about a patient need a qualified person.", err=True)
