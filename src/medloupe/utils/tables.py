"""Tables of entries by name, to which modules outside the package can add."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import cache
from typing import Any, Generic, Protocol, TypeVar

from medloupe.errors import MedloupeError
from medloupe.settings import setting

VARIABLE = "MEDLOUPE_KINDS"
"""The setting that names the modules, by commas."""


class Named(Protocol):
    """What stands in a table. name: by which it is found."""

    @property
    def name(self) -> str:
        """The entry's name."""
        ...


E = TypeVar("E", bound=Named)


class Table(Generic[E]):
    """Entries by name: the package's own, and those of the modules that the setting MEDLOUPE_KINDS names.

    Such a module is a package that has, for each table it adds to, a module of the name `part` with an `ENTRY`. It is
    imported when the table is first asked, and never without the setting.
    """

    def __init__(self, part: str, *own: E):
        self.part = part
        self.own = own

    @property
    def added(self) -> tuple[E, ...]:
        """The entries of modules outside the package, in the order of the setting. Raises MedloupeError."""
        found = _entries(setting("MEDLOUPE_KINDS"), self.part)
        if taken := {e.name for e in found} & {e.name for e in self.own}:
            raise MedloupeError(f"{VARIABLE} adds {taken.pop()!r}, which medloupe has.", "Give it another name.")
        return found

    def __iter__(self) -> Iterator[E]:
        return iter((*self.own, *self.added))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all entries, the package's own first."""
        return tuple(e.name for e in self)

    def find(self, name: str) -> E | None:
        """Find the entry of that name, None where there is none."""
        return next((e for e in self.own if e.name == name), None) or next(
            (e for e in self.added if e.name == name), None
        )

    def __getitem__(self, name: str) -> E:
        """Find the entry of that name. Raises MedloupeError where there is none."""
        found = self.find(name)
        if found is None:
            raise MedloupeError(
                f"There is no entry for the kind of data {name!r}; there are {', '.join(self.names)}.",
                f"Set {VARIABLE} to the module that brings it (docs/modalities.md).",
            )
        return found


@cache
def _entries(modules: str, part: str) -> tuple[Any, ...]:
    found = []
    for name in filter(None, (text.strip() for text in modules.split(","))):
        try:
            importlib.import_module(name)
        except ImportError as e:
            raise MedloupeError(
                f"{VARIABLE} names {name!r}, which cannot be imported: {e}.", "Install it, or unset the variable."
            ) from e
        if importlib.util.find_spec(f"{name}.{part}") is not None:
            found.append(importlib.import_module(f"{name}.{part}").ENTRY)
    return tuple(found)
