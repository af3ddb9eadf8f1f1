"""Find which file on disk a table's cell means, without ever leaving the data folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from medloupe.data.modalities import sure_suffixes
from medloupe.data.readers.base import Files, parse_split

MISSING = "named in the table but missing"
OUTSIDE = "outside the data folder"
UNCLEAR = "named in the table, but several files have that name"
BLANK = "rows without a file name"


class Locator:
    """Finder of files by the names that tables give them.

    A cell is first taken as written, relative to the table's folder and to the data folder. Failing that, the file is
    looked for by the end of its path, with or without the extension; such a find counts only when it is the only
    one, no other row claims the file, and it does not carry an image from one split into another.

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
        self._sure = sure_suffixes()

    def locate(self, names: Iterable[str], home: Path) -> tuple[dict[str, str], dict[str, str]]:
        """Locate the files that cells name.

        Parameters
        ----------
        names : Iterable of str
            The cells.
        home : Path
            The table's folder.

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
                places = self._find_by_end(name)
                absolute = name.startswith("/") and self._relative(os.path.normpath(name)) is None
                lost[name] = UNCLEAR if len(places) > 1 else OUTSIDE if absolute else MISSING
                if len(places) == 1:
                    loose.setdefault(places[0], []).append(name)
        taken = set(found.values())
        for place, claims in loose.items():
            if len(claims) == 1 and place not in taken:
                found[claims[0]] = place
                del lost[claims[0]]
        return found, lost

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
        parts = [part for part in PureWindowsPath(name).parts if part not in ("..", PureWindowsPath(name).anchor)]
        for tail in _tails(parts):
            # Converted copies keep the name and change the extension.
            places = self._by_tail.get(tail) or self._by_tail.get(self._bare(tail))
            if places:
                places = sorted(set(places))
                return [place for place in places if len(places) > 1 or not _changes_split(parts, place)]
        return []

    def _bare(self, path: str) -> str:
        """Return the path without its suffix where that is one of a known kind of file."""
        pure = PurePosixPath(path)
        return str(pure.with_suffix("")) if pure.suffix.lower() in self._sure else path


def _tails(parts: list[str]) -> list[str]:
    """List the ends of a path, longest first."""
    return ["/".join(parts[k:]) for k in range(len(parts))]


def _changes_split(parts: list[str], place: str) -> bool:
    told = {parse_split(part) for part in parts[:-1]} - {None}
    here = {parse_split(part) for part in place.split("/")[:-1]} - {None}
    return bool(told and here and told != here)
