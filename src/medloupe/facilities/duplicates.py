"""Find entries that name the same place: near each other, of one kind, with names alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from medloupe.facilities.facility import Facility
from medloupe.facilities.geodesy import EARTH_KM, haversine, unit_vectors
from medloupe.facilities.names import likeness, parts_of, plain

NEAR_KM, MIDDLE_KM, FAR_KM = 0.3, 1.0, 5.0
"""Up to these distances names must be half alike, three quarters, or the same in all words of their own."""
_NAMELESS_KM, _ONE_SITE_KM = 0.1, 0.15
_HALF, _MOST = 0.5, 0.75
_NEIGHBOURS = [shift for shift in product((-1, 0, 1), repeat=3) if shift > (0, 0, 0)]
_COMMON = 50  # entries with the same words of their own, above which these words say nothing

Pair = tuple[float, float, int, int]


def find_duplicates(places: Sequence[Facility], lists: Sequence[int]) -> list[tuple[int, ...]]:
    """Group entries that name one place.

    Two of different lists do by distance and likeness of their names; two of one list only where they are called the
    same within NEAR_KM, as where a point and an outline were both mapped. What says which of several in a town it is
    (district, mission, children's) must not differ, but for the level within 150 m. A group has one entry a list, but
    for those.

    Parameters
    ----------
    places : sequence of Facility
    lists : sequence of int
        The number of each one's list.

    Returns
    -------
    list of tuple of int
        The groups of two and more, by number.
    """
    if len(places) < 2:
        return []
    own: list[Pair] = []
    across: list[Pair] = []
    for i, j, km in _candidates(places):
        a, b = places[i], places[j]
        if a.kind != b.kind:
            continue
        if lists[i] == lists[j]:
            if km <= NEAR_KM and a.name and parts_of(a.name) == parts_of(b.name) and likeness(a.name, b.name) == 1:
                own.append((-1.0, km, i, j))
        elif (alike := _join(a, b, km)) is not None:
            across.append((-alike, km, i, j))
    return _group(len(places), lists, sorted(own), sorted(across))


def _join(a: Facility, b: Facility, km: float) -> float | None:
    """Say how alike two entries are that name one place; None where they do not."""
    if not a.name or not b.name:
        return 0.1 if km <= _NAMELESS_KM else None
    if km <= NEAR_KM and plain(a.name) == plain(b.name):
        return 1.0
    alike = likeness(a.name, b.name, one_site=km <= _ONE_SITE_KM)
    least = _HALF if km <= NEAR_KM else _MOST if km <= MIDDLE_KM else 1.0
    return alike if alike >= least else None


def _candidates(places: Sequence[Facility]) -> Iterator[tuple[int, int, float]]:
    """List the pairs within MIDDLE_KM, and those of the same own words within FAR_KM, with their kilometres."""
    lats, lons = np.array([p.lat for p in places]), np.array([p.lon for p in places])
    cells: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, cell in enumerate(np.floor(unit_vectors(lats, lons) * (EARTH_KM / MIDDLE_KM)).astype(int).tolist()):
        cells[tuple(cell)].append(i)
    for cell, inside in cells.items():
        for n, i in enumerate(inside):
            yield from _within(i, inside[n + 1 :], lats, lons, MIDDLE_KM)
            for shift in _NEIGHBOURS:
                beside = cells.get(tuple(c + s for c, s in zip(cell, shift, strict=True)))
                if beside:
                    yield from _within(i, beside, lats, lons, MIDDLE_KM)
    alike: dict[frozenset[str], list[int]] = defaultdict(list)
    for i, place in enumerate(places):
        if words := parts_of(place.name)[0]:
            alike[words].append(i)
    for inside in alike.values():
        if len(inside) <= _COMMON:
            for n, i in enumerate(inside):
                yield from _within(i, inside[n + 1 :], lats, lons, FAR_KM)


def _within(
    i: int, others: Sequence[int], lats: np.ndarray, lons: np.ndarray, most: float
) -> Iterator[tuple[int, int, float]]:
    if not others:
        return
    far = haversine(lats[i], lons[i], lats[list(others)], lons[list(others)])
    for j, km in zip(others, far.tolist(), strict=True):
        if km <= most:
            yield min(i, j), max(i, j), km


def _group(n: int, lists: Sequence[int], own: Sequence[Pair], across: Sequence[Pair]) -> list[tuple[int, ...]]:
    """Join pairs, the surest first, so that no two of one list meet by way of another list."""
    group = list(range(n))
    members = {i: [i] for i in range(n)}

    def merge(a: int, b: int) -> None:
        for k in members[b]:
            group[k] = a
        members[a] += members.pop(b)

    for _, _, i, j in own:
        if group[i] != group[j]:
            merge(group[i], group[j])
    for _, _, i, j in across:
        a, b = group[i], group[j]
        if a != b and not {lists[k] for k in members[a]} & {lists[k] for k in members[b]}:
            merge(a, b)
    return [tuple(sorted(found)) for found in members.values() if len(found) > 1]
