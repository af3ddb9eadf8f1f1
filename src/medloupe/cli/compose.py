"""`medloupe compose`: a detector finds things, a check-up is asked about each of them."""

from __future__ import annotations

from typing import Annotated

import typer

from medloupe.cli.options import Home, Json


def run_compose(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the composed check-up in the store.")],
    find: Annotated[
        str,
        typer.Option(
            metavar="DETECTOR[@V]:LABEL", help="A model that finds boxes, and the label of those asked about."
        ),
    ],
    ask: Annotated[str, typer.Option(metavar="CHECKUP[@V]", help="What is asked about each of them.")],
    crops: Annotated[
        str | None,
        typer.Option(
            metavar="grey|colour:PIXELS",
            help="What the check-up learned from, and the longer side of its pictures: crops are made like these.",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            metavar="M",
            help="Added around each box before it is cropped, of its own side (as the check-up learned, else 0.15).",
        ),
    ] = None,
    cut_out: Annotated[
        bool,
        typer.Option(
            "--cut-out", help="Black outside the ellipse in each crop, for check-ups that learned from cut-out cells."
        ),
    ] = False,
    title: Annotated[str, typer.Option(metavar="TEXT", help="For people.")] = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """Compose a check-up of whole fields: find what a detector marks, and ask a check-up about each."""
    from medloupe.cli import console
    from medloupe.inference.compose import compose
    from medloupe.inference.find import find_model

    detector, colon, label = find.rpartition(":")
    if not colon or not detector or not label:
        raise typer.BadParameter(f"{find!r} names no label: write for example cells:RBC.", param_hint="--find")
    grey, side = _read_crops(crops)
    made = compose(
        name,
        find_model(detector),
        label,
        find_model(ask),
        grey=grey,
        side=side,
        margin=margin,
        cut_out=cut_out,
        title=title,
    )
    if json:
        console.print_json({"name": made.name, "version": made.version, "composed": made.card["composed"]})
        return
    typer.echo(f"{made.name}@{made.version}: {' '.join(made.card['composed']['words'])}")
    typer.echo(f"\nNext: medloupe predict {made.name} PICTURE   or, on a page: medloupe serve", err=True)


def _read_crops(text: str | None) -> tuple[bool | None, int | None]:
    """Read whether crops are grey, and their longer side in pixels; None of both where it is not told."""
    if text is None:
        return None, None
    kind, _, side = text.partition(":")
    if kind not in ("grey", "colour") or not (side.isascii() and side.isdigit() and len(side) <= 5):
        raise typer.BadParameter(f"{text!r} is not of the form grey:50 or colour:130.", param_hint="--crops")
    return kind == "grey", int(side)
