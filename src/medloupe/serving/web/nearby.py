"""Serve the places nearby, below an answer and as a page of their own; a position comes in a form and is not kept."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from medloupe.facilities.directory import WITHIN_KM, Directory, Nearby
from medloupe.facilities.facility import KINDS, SEES_PATIENTS, ListInfo
from medloupe.facilities.wording import compass, geo_address, map_address
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.context import facilities_of
from medloupe.serving.http.errors import HttpError
from medloupe.serving.http.threads import run_file
from medloupe.serving.web.language import Language
from medloupe.serving.web.placemap import PlaceMap, draw_map
from medloupe.serving.web.render import first_value, language_of, read_form, render_page

router = APIRouter(include_in_schema=False)
_SHOWN = 5
_INEXACT_KM = 1.0  # of a device's own word on its position, from which on it is told
_APART_KM = 0.5
_TEXT = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRow:
    """One place of the list.

    Attributes
    ----------
    number : int
        Within the lists, by which it is chosen as where somebody is.
    title, kind, distance : str
        Its name, its kind and how far it is, as people read them.
    facts : tuple of str
        What it can do and when, as the lists have it.
    where : str
        Its town and country, or "".
    phone, dial : str
        Its number as written, and as dialled; "" where none is known.
    apart : str
        That its lists put it at different places, or "".
    geo, map : str
        Addresses for maps.
    """

    number: int
    title: str
    kind: str
    distance: str
    facts: tuple[str, ...]
    where: str
    phone: str
    dial: str
    apart: str
    geo: str
    map: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """A list as it must be named: attribution; of when, and whether its licence is known; an address or ""."""

    attribution: str
    facts: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NearbyView:
    """What was found.

    Attributes
    ----------
    title : str
        Around what.
    rows : tuple of PlaceRow
        The nearest.
    choices : tuple of PlaceRow
        Which place may be meant.
    trouble : str
        Why there is nothing, or "".
    note : str
        What makes the order doubtful, or "".
    map : PlaceMap or None
        Where they lie.
    step : str
        The length of its scale bar.
    drawing : str
        What the map shows, in words.
    lists : tuple of ListRow
        Where they are from.
    """

    title: str = ""
    rows: tuple[PlaceRow, ...] = ()
    choices: tuple[PlaceRow, ...] = ()
    trouble: str = ""
    note: str = ""
    map: PlaceMap | None = None
    step: str = ""
    drawing: str = ""
    lists: tuple[ListRow, ...] = ()


@router.get("/nearby")
async def nearby(request: Request) -> Response:
    """Show the form that asks where somebody is."""
    require(request, "viewer")
    return render_page(request, "nearby.html", found=None, told="", level=2)


@router.post("/nearby")
async def find(request: Request) -> Response:
    """Show the nearest places: as a part of a page for a script (X-Part), else as a page."""
    require(request, "viewer")
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    language = language_of(request)
    found = await run_file(view_nearby, facilities_of(request), fields, language)
    if request.headers.get("x-part"):
        level = 2 if first_value(fields, "level") == "2" else 4
        return render_page(request, "nearbyfound.html", found=found, level=level)
    return render_page(request, "nearby.html", found=found, told=first_value(fields, "place")[:_TEXT], level=2)


def view_nearby(known: Directory, fields: Mapping[str, list[str]], lang: Language) -> NearbyView:
    """Answer the form.

    Parameters
    ----------
    known
        The lists.
    fields
        `lat`, `lon` and `accuracy` (metres), or `number` of a place, or `place`, words of a name; `kind`.
    lang
        The language of the page.

    Raises
    ------
    HttpError
        422 for a position that is none.
    """
    kind = first_value(fields, "kind")
    kinds = (kind,) if kind in KINDS else SEES_PATIENTS
    if first_value(fields, "lat") or first_value(fields, "lon"):
        lat, lon = _degrees(fields, "lat", 90), _degrees(fields, "lon", 180)
        km = _number(first_value(fields, "accuracy")) / 1000
        note = lang.t("nearby.inexact", km=lang.number(km)) if _INEXACT_KM <= km < math.inf else ""
        return _around(known, lat, lon, kinds, lang, title=lang.t("nearby.around_you"), note=note)
    number = first_value(fields, "number")
    origin = known.get(int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else None
    if origin is None:
        choices = known.search(first_value(fields, "place")[:_TEXT])
        if not choices:
            return NearbyView(trouble=lang.t("nearby.nothing"))
        if len(choices) > 1:
            rows = tuple(_row(near, lang) for near in choices)
            return NearbyView(title=lang.t("nearby.which"), choices=rows, lists=_list_rows(choices, lang))
        origin = choices[0].facility
    title = lang.t("nearby.around", place=origin.name or lang.t("nearby.nameless"))
    return _around(known, origin.lat, origin.lon, kinds, lang, title=title)


def _around(
    known: Directory, lat: float, lon: float, kinds: Sequence[str], lang: Language, *, title: str, note: str = ""
) -> NearbyView:
    result = known.near(lat, lon, kinds, limit=_SHOWN)
    if not result.places:
        if result.nearest_km is None:
            return NearbyView(title=title, trouble=lang.t("nearby.none"))
        km, within = lang.number(result.nearest_km), lang.number(WITHIN_KM)
        return NearbyView(title=title, trouble=lang.t("nearby.far", within=within, km=km))
    drawn = draw_map([(near.km, near.degrees) for near in result.places])
    return NearbyView(
        title=title,
        note=note,
        rows=tuple(_row(near, lang) for near in result.places),
        map=drawn,
        step=f"{lang.number(drawn.step_km, 0 if drawn.step_km >= 1 else 1)} km",
        drawing=lang.t("nearby.drawing", n=len(result.places)),
        lists=_list_rows(result.places, lang),
    )


def _row(near: Nearby, lang: Language) -> PlaceRow:
    one = near.facility
    kind = lang.t(f"nearby.kinds.{one.kind}")
    facts = (
        [lang.t("nearby.called", words=one.called)]
        if one.called and one.called.casefold().replace(" ", "_") != one.kind
        else []
    )
    facts += [lang.t("nearby.emergency" if one.emergency == "yes" else "nearby.no_emergency")] if one.emergency else []
    facts += [lang.t("nearby.beds", n=int(one.beds))] if one.beds else []
    facts += [lang.t("nearby.can", words=one.specialities.replace(";", ", "))] if one.specialities else []
    facts += [lang.t("nearby.opening", hours=one.opening)] if one.opening else []
    far = lang.t("nearby.near_by")
    if near.km >= 0.05:
        direction = lang.t(f"nearby.directions.{compass(near.degrees)}")
        far = lang.t("nearby.distance", km=_kilometres(near.km, lang), direction=direction)
    apart = near.apart_km
    return PlaceRow(
        number=near.number,
        title=one.name or lang.t("nearby.nameless"),
        kind=kind,
        distance=far,
        facts=tuple(facts),
        where=", ".join(filter(None, (one.town, one.country))),
        phone=one.phone,
        dial=re.sub(r"(?!^\+)\D", "", one.phone.replace("(0)", "").strip()),
        apart=lang.t("nearby.apart", km=_kilometres(apart, lang)) if apart >= _APART_KM else "",
        geo=geo_address(one),
        map=map_address(one),
    )


def _list_rows(places: Sequence[Nearby], lang: Language) -> tuple[ListRow, ...]:
    shown: dict[str, ListInfo] = {info.id: info for near in places for info in near.lists}
    rows = []
    for info in shown.values():
        facts = [lang.t("nearby.of_date", date=info.date) if info.date else lang.t("nearby.undated")]
        facts += [] if info.licence else [lang.t("nearby.no_licence")]
        url = info.url if info.url.startswith("https://") else ""
        rows.append(ListRow(attribution=info.attribution, facts=" ".join(facts), url=url))
    return tuple(rows)


def _kilometres(km: float, lang: Language) -> str:
    return lang.number(km, 0 if km >= 9.95 else 1)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _degrees(fields: Mapping[str, list[str]], name: str, most: float) -> float:
    value = _number(first_value(fields, name))
    if not abs(value) <= most:  # also where it is no number; what was sent is not told again
        raise HttpError(422, "invalid", f"{name} is no number of degrees from -{most:g} to {most:g}.", "Try again.")
    return value
