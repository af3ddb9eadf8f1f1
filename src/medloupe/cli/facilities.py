"""`medloupe facilities`: import lists of health facilities, list and remove them, find the nearest places.

With --json each command prints lines on stdout, described in docs/facilities.md.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medloupe.cli.options import Home, Json, Yes
from medloupe.cli.places import PlacesTyper, read_place

if TYPE_CHECKING:
    from medloupe.facilities.directory import Nearby
    from medloupe.facilities.facility import ListInfo

CALL = "Call before you travel: lists are out of date, and say nothing of how good a place is."
facilities_app = PlacesTyper(
    help="Lists of health facilities, for the places nearby on the page of an answer.", no_args_is_help=True
)
Kinds = Annotated[
    str,
    typer.Option(
        "--kind", metavar="KIND,…", help="Only these, such as hospital,health_centre (default: all that see patients)."
    ),
]


@facilities_app.command("import")
def facilities_import(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", parser=read_place, help="CSV, GeoJSON or OpenStreetMap's (Overpass) JSON.")
    ],
    source: Annotated[str, typer.Option(metavar="TEXT", help="Who made the list, where the file does not say.")] = "",
    licence: Annotated[str, typer.Option(metavar="TEXT", help="Its licence, where that is not known here.")] = "",
    date: Annotated[str, typer.Option(metavar="DATE", help="Of when it is: 2021, 2021-06 or 2021-06-30.")] = "",
    columns: Annotated[
        str,
        typer.Option(metavar="ROLE=COL,…", help="What columns are, where their names do not say: lat=Y,lon=X,name=N."),
    ] = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """Read a list into the home folder, in the place of an earlier one of the same source; says what it decided."""
    from medloupe.accounts.log import operator
    from medloupe.cli import console
    from medloupe.facilities.reading import ReadList, Told, read_facilities
    from medloupe.facilities.storage import FacilityStore
    from medloupe.settings import home as home_folder
    from medloupe.store.tables import now

    store = FacilityStore(home_folder())
    before = store.load()
    told = Told(source=source, licence=licence, date=date, columns=_parse_columns(columns))
    lists, notes = read_facilities(file, told, known=before.positions if before.count else None)
    made = [ReadList(info=replace(one.info, imported=now(), by=operator()), places=one.places) for one in lists]
    for note in notes:
        typer.echo(f"  {note}", err=True)
    replaced = {info.id for info in before.lists} & {one.info.id for one in made}
    after = store.add(made)
    if json:
        for one in made:
            told_list = {**list_json(one.info), "replaced": one.info.id in replaced}
            console.print_json({"imported": one.info.id, **told_list, "places": after.count, "joined": after.joined})
        return
    for one in made:
        how = "in the place of the earlier one" if one.info.id in replaced else "new"
        typer.echo(
            f"{one.info.id}: {one.info.count:,} entries, {how}. Remove it: medloupe facilities remove {one.info.id}"
        )
    typer.echo(
        f"{after.count:,} places in all; {after.joined:,} entries were joined to others that name the same place.",
        err=True,
    )


@facilities_app.command("list")
def facilities_list(json: Json = False, home: Home = None) -> None:
    """List what was imported, with licence and date."""
    from medloupe.cli import console

    directory = _load()
    for info in directory.lists:
        if json:
            console.print_json(list_json(info))
            continue
        typer.echo(
            typer.style(f"{info.id:20}", bold=True) + f" {info.count:,} entries, of {info.date or 'an unknown date'}"
        )
        typer.echo(f"{'':20} {info.attribution}\n{'':20} licence: {info.licence or 'not stated'}")
    if not directory.lists:
        typer.echo("No lists yet: medloupe facilities import FILE (docs/facilities.md says where to get one)", err=True)
    elif not json:
        typer.echo(
            f"{directory.count:,} places; {directory.joined:,} entries name a place that another one names.", err=True
        )


@facilities_app.command("near", context_settings={"ignore_unknown_options": True})
def facilities_near(
    lat: Annotated[float, typer.Argument(metavar="LAT", min=-90, max=90, help="Degrees, south is negative.")],
    lon: Annotated[float, typer.Argument(metavar="LON", min=-180, max=180, help="Degrees, west is negative.")],
    kind: Kinds = "",
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=50, help="How many.")] = 5,
    json: Json = False,
    home: Home = None,
) -> None:
    """Find the nearest places, by distance alone; none is recommended."""
    from medloupe.cli import console
    from medloupe.facilities.directory import WITHIN_KM
    from medloupe.facilities.facility import SEES_PATIENTS

    directory = _load()
    found = directory.near(lat, lon, _parse_kinds(kind) or SEES_PATIENTS, limit=limit)
    for place in found.places:
        if json:
            console.print_json(place_json(place))
        else:
            typer.echo(_say(place))
    if not found.places and not json:
        far = "" if found.nearest_km is None else f" The nearest is {found.nearest_km:,.0f} km away."
        typer.echo(f"No list has such a place within {WITHIN_KM:.0f} km.{far}", err=True)
    if found.places and not json:
        typer.echo("\n".join([CALL, *dict.fromkeys(i.attribution for p in found.places for i in p.lists)]), err=True)


@facilities_app.command("remove")
def facilities_remove(
    id: Annotated[str, typer.Argument(metavar="LIST", help="As `medloupe facilities list` has it.")],
    yes: Yes = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Remove a list."""
    from medloupe.cli import console
    from medloupe.facilities.storage import FacilityStore
    from medloupe.settings import home as home_folder

    store = FacilityStore(home_folder())
    if any(info.id == id for info in store.load().lists) and not yes and not typer.confirm(f"Remove {id}?", err=True):
        raise typer.Exit(1)
    gone = store.remove(id)
    if json:
        console.print_json({"removed": gone.id})
    else:
        typer.echo(f"Removed {gone.id}, {gone.count:,} entries.", err=True)


def list_json(info: ListInfo) -> dict[str, Any]:
    """Write a list as JSON, without its places."""
    return asdict(info)


def place_json(place: Nearby) -> dict[str, Any]:
    """Write a place near somewhere as JSON."""
    from medloupe.facilities.wording import describe_place

    return describe_place(place)


def _say(place: Nearby) -> str:
    one = place_json(place)
    facts = [one["type"] or one["kind"].replace("_", " ")]
    facts += [f"{one['beds']} beds"] if one["beds"] else []
    facts += ["emergency department"] if one["emergency"] == "yes" else []
    facts += [text for text in (one["specialities"], one["opening"], one["phone"], one["town"]) if text]
    return f"{one['km']:8,.1f} km {one['direction']:3} {one['name'] or '(no name)'}\n{'':16}{' · '.join(facts)}"


def _load() -> Any:
    from medloupe.facilities.storage import FacilityStore
    from medloupe.settings import home as home_folder

    return FacilityStore(home_folder()).load()


def _parse_columns(text: str) -> dict[str, str]:
    """Read "lat=Y,lon=X". Raises typer.BadParameter."""
    found = {}
    for part in filter(None, text.split(",")):
        role, sign, column = part.partition("=")
        if not sign or not column.strip():
            raise typer.BadParameter(f"{part!r} is no ROLE=COLUMN; write lat=Y,lon=X.", param_hint="--columns")
        found[role.strip()] = column.strip()
    return found


def _parse_kinds(text: str) -> list[str]:
    from medloupe.facilities.facility import KINDS

    kinds = [part.strip() for part in text.split(",") if part.strip()]
    if wrong := [kind for kind in kinds if kind not in KINDS]:
        raise typer.BadParameter(f"{wrong[0]!r} is no kind; there are: {', '.join(KINDS)}.", param_hint="--kind")
    return kinds
