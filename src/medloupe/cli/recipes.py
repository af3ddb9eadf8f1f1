"""`medloupe recipes`: list and show the public data sets that are read as they unpack, and how to cite them."""

from __future__ import annotations

from typing import Annotated

import typer

from medloupe.cli.options import Home, Json

recipes_app = typer.Typer(help="Well-known public data sets that are read as they unpack.", invoke_without_command=True)


@recipes_app.callback()
def recipes(context: typer.Context, json: Json = False, home: Home = None) -> None:
    """Well-known public data sets that are read as they unpack: list them, show one."""
    if context.invoked_subcommand is None:
        _list(json)


@recipes_app.command("list")
def recipes_list(json: Json = False, home: Home = None) -> None:
    """All recipes: what each set holds, what tells patients apart, the folder expected."""
    _list(json)


@recipes_app.command("show")
def recipes_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `medloupe recipes list` has it.")],
    json: Json = False,
    home: Home = None,
) -> None:
    """All about one: where to get it, the expected tree, patients, leaks, licence, citation, what to type."""
    from medloupe.cli import console
    from medloupe.data.originals.known import find_original

    original = find_original(name)
    if json:
        console.print_json(original.as_json())
        return
    typer.echo(typer.style(f"{original.name}: {original.title}", bold=True))
    typer.echo(f"  {original.what}")
    if original.labels:
        typer.echo(f"  labels    {', '.join(original.labels)}")
    typer.echo(f"  from      {original.url}")
    typer.echo(f"  licence   {original.licence}")
    typer.echo(f"  cite      {original.citation}")
    typer.echo("\nExpected, in a folder of any name:")
    for line in original.expected.strip().splitlines():
        typer.echo(f"  {line}")
    typer.echo(f"\nPatients: {original.patients}")
    for leak in original.known_leaks:
        typer.echo(f"Known leak or weakness: {leak}")
    typer.echo("\nThen:")
    for command in original.commands:
        typer.echo(f"  {command}")


def _list(json: bool) -> None:
    from medloupe.cli import console
    from medloupe.data.originals.known import ORIGINALS

    for original in ORIGINALS:
        if json:
            console.print_json(original.as_json())
            continue
        folder = original.expected.strip().splitlines()[0].split("  ")[0]
        typer.echo(typer.style(f"{original.name:16}", bold=True) + f" {original.what}")
        typer.echo(f"{'':16}   patients by {original.patients}")
        typer.echo(f"{'':16}   expected    {folder}")
    if not json:
        typer.echo("\nUnpack one and give its folder: medloupe train FOLDER --name NAME", err=True)
        typer.echo("More of one: medloupe recipes show NAME", err=True)
