"""Serve the JSON routes of health facilities: the lists, what is near, all of it as a table.

A position comes in the body alone, so that it stands in no address; it is used, and then gone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from medloupe.errors import UnknownError
from medloupe.facilities.directory import WITHIN_KM, Directory
from medloupe.facilities.facility import SEES_PATIENTS
from medloupe.facilities.wording import describe_list, describe_place, write_csv
from medloupe.serving.access.auth import require
from medloupe.serving.context import facilities_of
from medloupe.serving.http.intake import JsonRoute
from medloupe.serving.http.threads import run_file

router = APIRouter(route_class=JsonRoute)
NOTE = (
    "Call before you travel: lists are out of date. Nearest first, in a straight line; nothing is said of how good a"
    " place is."
)
Kind = Literal[
    "hospital", "health_centre", "clinic", "health_post", "dispensary", "doctors", "laboratory", "pharmacy", "other"
]


class NearIn(BaseModel):
    """Where somebody is: `lat` and `lon`, or `place`, words of a name in the lists, or the `number` of such a place."""

    model_config = ConfigDict(extra="forbid")
    lat: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)] | None = None
    place: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    number: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    kinds: Annotated[list[Kind], Field(min_length=1, max_length=20)] | None = None
    limit: int = Field(5, ge=1, le=50)

    @model_validator(mode="after")
    def _one_of_three(self) -> NearIn:
        if (self.lat is None) != (self.lon is None):
            raise ValueError("lat and lon belong together")
        if sum(given is not None for given in (self.lat, self.place, self.number)) != 1:
            raise ValueError("give lat and lon, or place, or number")
        return self


class ListOut(BaseModel):
    """A list, with what must stand beside whatever is shown of it."""

    id: str
    source: str
    licence: str = Field(description="Empty where none is stated.")
    attribution: str
    url: str
    date: str = Field(description="Of when it is; empty where that is not known.")
    imported: str
    count: int


class ListsOut(BaseModel):
    """What there is: places, entries of several lists joined, the kinds among them."""

    lists: list[ListOut]
    places: int
    joined: int
    kinds: list[Kind]


class PlaceOut(BaseModel):
    """One place. `apart_km`: how far the lists that name it put it from each other."""

    number: int
    name: str
    kind: Kind
    type: str = Field(description="In the list's own words.")
    km: float
    bearing: int
    direction: str
    lat: float
    lon: float
    phone: str
    opening: str
    emergency: str
    beds: str
    specialities: str
    town: str
    country: str
    lists: list[str]
    apart_km: float
    geo: str
    map: str


class NearOut(BaseModel):
    """The nearest places. `choices`: where the words fit several places, which one is meant, for `number`.

    `nearest_km`: of the nearest one, however far, where none lies within `within_km`.
    """

    places: list[PlaceOut]
    choices: list[PlaceOut]
    nearest_km: float | None
    within_km: float
    lists: list[ListOut]
    note: str


@router.get("/api/v1/facilities", response_model=ListsOut, summary="The lists of health facilities")
async def facilities(request: Request) -> dict[str, Any]:
    """Which lists there are, of when, under which licence."""
    require(request, "viewer")
    known = facilities_of(request)
    lists = [describe_list(info) for info in known.lists]
    return {"lists": lists, "places": known.count, "joined": known.joined, "kinds": list(known.kinds)}


@router.get("/api/v1/facilities.csv", summary="All places as a table", response_class=Response)
async def facilities_csv(request: Request) -> Response:
    """With source, licence and attribution of each; entries that name one place are joined."""
    require(request, "viewer")
    headers = {"Content-Disposition": 'attachment; filename="facilities.csv"'}
    return StreamingResponse(write_csv(facilities_of(request)), 200, headers, "text/csv; charset=utf-8")


@router.post("/api/v1/facilities/near", response_model=NearOut, summary="The places nearest to a position")
async def near(request: Request, asked: NearIn) -> dict[str, Any]:
    """Sorted by distance alone. The position is not stored, and stands in no log."""
    require(request, "viewer")
    return await run_file(find_near, facilities_of(request), asked)


def find_near(known: Directory, asked: NearIn) -> dict[str, Any]:
    """Answer a question.

    Raises
    ------
    UnknownError
        There is no place of that number.
    """
    lat, lon, choices = asked.lat, asked.lon, []
    if asked.place is not None:
        choices = known.search(asked.place)
        if len(choices) == 1:
            lat, lon = choices[0].facility.lat, choices[0].facility.lon
            choices = []
    elif asked.number is not None:
        origin = known.get(asked.number)
        if origin is None:
            raise UnknownError("There is no place of that number.", "Ask with `place` again.")
        lat, lon = origin.lat, origin.lon
    if lat is None or lon is None:
        found, nearest = (), None
    else:
        result = known.near(lat, lon, asked.kinds or SEES_PATIENTS, limit=asked.limit)
        found, nearest = result.places, result.nearest_km
    shown = {info.id: info for near in (*found, *choices) for info in near.lists}
    return {
        "places": [describe_place(near) for near in found],
        "choices": [describe_place(near) for near in choices],
        "nearest_km": None if nearest is None else round(nearest, 3),
        "within_km": WITHIN_KM,
        "lists": [describe_list(info) for info in shown.values()],
        "note": NOTE,
    }
