"""Find which file on disk a table's cell means, without ever leaving the data folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from medloupe.data.modalities import sure_suffixes
from medloupe.data.readers.base import Files, parse_split
from medloupe.data.readers.places import Places, read_places
from medloupe.data.readers.spelling import fold, fold_numbers, strip_address
from medloupe.data.records import Split

MISSING = "named in the table but missing"
OUTSIDE = "outside the data folder"
UNCLEAR = "named in the table, but several files have that name"
BLANK = "rows without a file name"
CLAIMED = "named in the table, but another name there means the same file"

_SPELLINGS: tuple[Callable[[str], str], ...] = (fold, fold_numbers)  # the nearest first


class Locator:
    """Finder of files by the names that tables give them.

    A cell is first taken as written, relative to the table's folder and to the data folder. Failing that, the file is
    looked for by the end of its path, with or without the extension; such a find counts only when it is the only
    one (or the only one below the table's folder), no other row claims the file, and it does not carry an image from
    one split into another. Under the same
    conditions it is then looked for in other spellings: accents, case, %20, zeros before a number.

    Parameters
    ----------
    files : Files
        What lies in the data folder.
    aliases : Mapping, optional
        Other names of files, such as a DICOM file's SOPInstanceUID.
    """

    def __init__(self, files: Files, aliases: Mapping[str, str] | None = None):
        self.files = files
        self._images = frozenset(files.images)
        self._aliases = aliases or {}
        # Links stay as they are written: a linked data folder is inside itself under both of its names.
        written = os.path.abspath(files.root)  # noqa: PTH100
        self._roots = tuple(dict.fromkeys((written, os.path.realpath(files.root))))
        self._by_tail: dict[str, list[str]] | None = None
        self._places: dict[str | None, Places] = {}
        self._by_spelling: dict[Callable[[str], str], dict[str, list[str]]] = {}
        self._sure = sure_suffixes()

    def places(self, layout: str | None) -> Places:
        """Read what the folders say of the images, as `read_places` does; once for each layout."""
        if layout not in self._places:
            self._places[layout] = read_places(self.files.images, layout)
        return self._places[layout]

    def locate(
        self, names: Iterable[str], home: Path, split: Split | None = None, *, spelled: bool = True
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Locate the files that cells name.

        Parameters
        ----------
        names : Iterable of str
            The cells.
        home : Path
            The table's folder.
        split : str, optional
            The split that the table is of: of several files of a name, that in the split's folder is meant.
        spelled : bool, optional
            Whether other spellings count.

        Returns
        -------
        found : dict
            Place by name.
        lost : dict
            Reason by name, for those not found.
        """
        found: dict[str, str] = {}
        lost: dict[str, str] = {}
        loose: dict[str, list[str]] = {}
        here = os.path.abspath(home)  # noqa: PTH100
        for name in dict.fromkeys(names):
            place = self._aliases.get(name) or self._find_as_written(name, here)
            if place:
                found[name] = place
            elif not name:
                lost[name] = BLANK
            elif self._escapes(name, here):
                lost[name] = OUTSIDE
            else:
                places = self._nearest(_of_split(self._find_by_end(name), split), here)
                absolute = name.startswith("/") and self._relative(os.path.normpath(name)) is None
                lost[name] = UNCLEAR if len(places) > 1 else OUTSIDE if absolute else MISSING
                if len(places) == 1:
                    loose.setdefault(places[0], []).append(name)
        taken = set(found.values())
        for place, claims in loose.items():
            if len(claims) == 1 and place not in taken:
                found[claims[0]] = place
                del lost[claims[0]]
        if spelled and (MISSING in lost.values() or UNCLEAR in lost.values()):
            self._add_spelled(found, lost, {name for claims in loose.values() for name in claims}, split, here)
        return found, lost

    def find_all(self, name: str) -> tuple[str, ...]:
        """List all files that a cell may mean by the end of its path."""
        return tuple(self._find_by_end(name)) if name and len(name) <= 1000 else ()

    def names_file(self, name: str, home: Path) -> bool:
        """Tell whether a cell names a file that is there, as it is written or by the end of its path."""
        if not name or len(name) > 1000:
            return False
        here = os.path.abspath(home)  # noqa: PTH100
        return name in self._aliases or bool(self._find_as_written(name, here) or self._find_by_end(name))

    def _add_spelled(
        self, found: dict[str, str], lost: dict[str, str], claiming: set[str], split: Split | None, here: str
    ) -> None:
        """Find what is still missing in other spellings: nobody else's file, and no other's claim."""
        for spelling in _SPELLINGS:
            taken = set(found.values())
            claims: dict[str, list[str]] = {}
            for name, reason in lost.items():
                if reason not in (MISSING, UNCLEAR) or name in claiming:
                    continue
                places = self._nearest(_of_split(self._find_spelled(name, spelling), split), here)
                if len(places) > 1:
                    lost[name] = UNCLEAR
                elif places and places[0] not in taken:
                    claims.setdefault(places[0], []).append(name)
            for place, names in claims.items():
                if len(names) == 1:
                    found[names[0]] = place
                    del lost[names[0]]
                else:
                    lost.update(dict.fromkeys(names, CLAIMED))

    def _find_as_written(self, name: str, here: str) -> str | None:
        for base in (here, self._roots[0]):
            place = self._relative(os.path.normpath(os.path.join(base, name.replace("\\", "/"))))  # noqa: PTH118
            if place in self._images:
                return place
        return name if name in self._images else None

    def _relative(self, absolute: str) -> str | None:
        """Return the path relative to the data folder; None outside of it. On the text alone, nothing is opened."""
        for root in self._roots:
            if absolute.startswith(root.rstrip(os.sep) + os.sep):
                return absolute[len(root.rstrip(os.sep)) + 1 :].replace(os.sep, "/")
        return None

    def _nearest(self, places: list[str], here: str) -> list[str]:
        """Keep, of several files, those below the table's folder, where there are any."""
        home = self._relative(here) if len(places) > 1 else None
        return [place for place in places if home and place.startswith(f"{home}/")] or places

    def _escapes(self, name: str, here: str) -> bool:
        """Tell whether the name leads out of the data folder: by "..", or to a file that is elsewhere on this machine.

        An absolute path that does not exist here was written on another machine; its end may still be found.
        """
        name = name.replace("\\", "/")
        written = [os.path.normpath(os.path.join(base, name)) for base in (here, self._roots[0])]  # noqa: PTH118
        if any(self._relative(path) is not None for path in written):
            return False
        return not name.startswith("/") or os.path.lexists(name)

    def _find_by_end(self, name: str) -> list[str]:
        if self._by_tail is None:
            self._by_tail = {}
            for place in self.files.images:
                for tail in _tails(place.split("/")):
                    self._by_tail.setdefault(tail, []).append(place)
                    self._by_tail.setdefault(self._bare(tail), []).append(place)
        parts = _split_path(name)
        for tail in _tails(parts):
            # Converted copies keep the name and change the extension.
            places = self._by_tail.get(tail) or self._by_tail.get(self._bare(tail))
            if places:
                places = sorted(set(places))
                return [place for place in places if len(places) > 1 or not _changes_split(parts, place)]
        return []

    def _find_spelled(self, name: str, spelling: Callable[[str], str]) -> list[str]:
        if spelling not in self._by_spelling:
            index: dict[str, list[str]] = {}
            for place in self.files.images:
                for tail in _tails(place.split("/")):
                    for written in {spelling(tail), spelling(self._bare(tail))}:
                        index.setdefault(written, []).append(place)
            self._by_spelling[spelling] = index
        index = self._by_spelling[spelling]
        parts = _split_path(strip_address(name))
        for tail in _tails(parts):
            places = index.get(spelling(tail)) or index.get(spelling(self._bare(tail)))
            if places:
                places = sorted(set(places))
                return [place for place in places if len(places) > 1 or not _changes_split(parts, place)]
        return []

    def _bare(self, path: str) -> str:
        """Return the path without its suffix where that is one of a known kind of file."""
        stem, dot, suffix = path.rpartition(".")
        return stem if dot and stem and stem[-1] != "/" and f".{suffix.lower()}" in self._sure else path


def _split_path(name: str) -> list[str]:
    r"""Split a path into its parts, with slashes of either kind, without what stands above: "C:\", "..", "/"."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return parts[1:] if len(parts) > 1 and len(parts[0]) == 2 and parts[0][1] == ":" else parts


def _tails(parts: list[str]) -> list[str]:
    """List the ends of a path, longest first."""
    return ["/".join(parts[k:]) for k in range(len(parts))]


def _of_split(places: list[str], split: Split | None) -> list[str]:
    """Keep, of several files, those in folders of the split, where there are any."""
    if split is None or len(places) < 2:
        return places
    return [p for p in places if any(parse_split(part) == split for part in p.split("/")[:-1])] or places


def _changes_split(parts: list[str], place: str) -> bool:
    told = {parse_split(part) for part in parts[:-1]} - {None}
    here = {parse_split(part) for part in place.split("/")[:-1]} - {None}
    return bool(told and here and told != here)
