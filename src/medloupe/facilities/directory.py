"""Search facilities by distance and by name, in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from medloupe.facilities.facility import KINDS, SEES_PATIENTS, Facility, ListInfo
from medloupe.facilities.geodesy import bearing, haversine
from medloupe.facilities.names import plain

WITHIN_KM = 200.0
"""Farther places are not called near; where all are, the lists may not cover where somebody is."""
MOST = 50
"""Most places of one answer."""
_FILLED = ("name", "phone", "opening", "emergency", "beds", "specialities", "town", "country")
_LEAST_LETTERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearby:
    """A facility and where it lies from here.

    Attributes
    ----------
    number : int
        Of the entry, within the directory.
    facility : Facility
        With what all lists say of it.
    km : float
        Along the surface.
    degrees : float
        From north over east, 0 to 360.
    lists : tuple of ListInfo
        That name it, the one whose coordinates are taken first.
    apart_km : float
        How far these put it from each other.
    """

    number: int
    facility: Facility
    km: float
    degrees: float
    lists: tuple[ListInfo, ...]
    apart_km: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPlaces:
    """What was found around a position. nearest_km: of all kinds looked for, however far; None where there are none."""

    places: tuple[Nearby, ...]
    nearest_km: float | None


class Directory:
    """All lists, entries that name one place joined.

    Parameters
    ----------
    lists
        The lists.
    list_of
        The number of each entry's list.
    places
        The entries.
    groups
        Numbers of entries that name one place, by two and more.
    """

    def __init__(
        self,
        lists: Sequence[ListInfo],
        list_of: Sequence[int],
        places: Sequence[Facility],
        groups: Sequence[tuple[int, ...]],
    ):
        self.lists, self.list_of, self.places, self.groups = lists, list_of, places, groups
        self._others = {self._main(group): group for group in groups}
        joined = np.zeros(len(places), bool)
        for main, group in self._others.items():
            joined[[i for i in group if i != main]] = True
        self._shown: list[int] = np.flatnonzero(~joined).tolist()
        self._lats = np.array([places[i].lat for i in self._shown], np.float64)
        self._lons = np.array([places[i].lon for i in self._shown], np.float64)
        self._kinds = np.array([KINDS.index(places[i].kind) for i in self._shown], np.int8)

    @property
    def count(self) -> int:
        """How many places there are, those that several lists name counted once."""
        return len(self._shown)

    @property
    def joined(self) -> int:
        """How many entries were joined to another one."""
        return len(self.places) - self.count

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that there are, in the order of KINDS."""
        return tuple(kind for k, kind in enumerate(KINDS) if (self._kinds == k).any())

    @property
    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Latitudes and longitudes of all places, float64 (N,)."""
        return self._lats, self._lons

    def near(
        self,
        lat: float,
        lon: float,
        kinds: Collection[str] = SEES_PATIENTS,
        *,
        limit: int = 5,
        within_km: float = WITHIN_KM,
    ) -> FoundPlaces:
        """Find the nearest places.

        Parameters
        ----------
        lat, lon
            Degrees.
        kinds
            Of KINDS, which are looked for.
        limit
            How many at most, 1 to MOST.
        within_km
            How far away at most.

        Returns
        -------
        FoundPlaces
            The nearest first; nothing but distance orders them.
        """
        km = haversine(lat, lon, self._lats, self._lons)
        if not set(self.kinds) <= set(kinds):
            km = np.where(np.isin(self._kinds, [KINDS.index(kind) for kind in kinds]), km, np.inf)
        limit = min(max(limit, 1), MOST, len(km))
        if not limit:
            return FoundPlaces(places=(), nearest_km=None)
        first = np.argpartition(km, limit - 1)[:limit]
        first = first[np.argsort(km[first], kind="stable")]
        nearest = float(km[first[0]])
        first = first[km[first] <= within_km]
        degrees = bearing(lat, lon, self._lats[first], self._lons[first])
        places = tuple(
            self._describe(self._shown[k], float(km[k]), float(d)) for k, d in zip(first, degrees, strict=True)
        )
        return FoundPlaces(places=places, nearest_km=nearest if np.isfinite(nearest) else None)

    def search(self, text: str, limit: int = 8) -> list[Nearby]:
        """Find places by words of their names, towns and countries; those whose names begin so come first.

        Returns
        -------
        list of Nearby
            With no distance, 0.
        """
        words = plain(text).split()
        if sum(map(len, words)) < _LEAST_LETTERS:
            return []
        found: list[tuple[int, int, int]] = []
        for i, line in zip(self._shown, self._lines, strict=True):
            if all(f" {word}" in line for word in words):
                whole = all(f" {word} " in line for word in words)
                found.append((not whole, len(line), i))
        return [self._describe(i, 0.0, 0.0) for _, _, i in sorted(found)[:limit]]

    def get(self, number: int) -> Facility | None:
        """Return an entry by its number; None where there is none."""
        return self.places[number] if 0 <= number < len(self.places) else None

    def all(self) -> list[Nearby]:
        """Return all places, in the order of their lists, with no distance, 0."""
        return [self._describe(i, 0.0, 0.0) for i in self._shown]

    @cached_property
    def _lines(self) -> list[str]:
        """Of each place its names, town and country, also those that only another list has, as they are searched."""
        found = []
        for i in self._shown:
            one = self._describe(i, 0.0, 0.0).facility
            others = [self.places[k].name for k in self._others.get(i, ()) if k != i]
            found.append(f" {plain(' '.join([one.name, *others, one.town, one.country]))} ")
        return found

    def _main(self, group: Sequence[int]) -> int:
        """Choose the entry that stands for a group: the one that says most, then that of the newest list."""

        def rank(i: int) -> tuple[int, str, int]:
            place = self.places[i]
            return sum(bool(getattr(place, key)) for key in _FILLED), self.lists[self.list_of[i]].date, -i

        return max(group, key=rank)

    def _describe(self, i: int, km: float, degrees: float) -> Nearby:
        place = self.places[i]
        others = [k for k in self._others.get(i, ()) if k != i]
        filled = {
            key: next(filter(None, (getattr(self.places[k], key) for k in others)), "")
            for key in _FILLED
            if not getattr(place, key)
        }
        numbers = list(dict.fromkeys(self.list_of[k] for k in (i, *others)))
        apart = 0.0
        if others:
            lats, lons = (np.array([getattr(self.places[k], key) for k in others]) for key in ("lat", "lon"))
            apart = float(haversine(place.lat, place.lon, lats, lons).max())
        return Nearby(
            number=i,
            facility=replace(place, **filled),
            km=km,
            degrees=degrees,
            lists=tuple(self.lists[n] for n in numbers),
            apart_km=apart,
        )
