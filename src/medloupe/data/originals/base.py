"""Define Original: a well-known public data set as its download unpacks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from medloupe.data.originals.outline import Outline
from medloupe.data.readers.base import ReadOptions
from medloupe.data.records import Dataset


class Layout(Protocol):
    """How an original lies on disk, and what turns it into records."""

    def accepts(self, options: ReadOptions) -> bool:
        """Tell whether it can do as the person tells; otherwise the ordinary readers read the folder."""
        ...

    def recognises(self, seen: Outline) -> bool:
        """Tell whether the files and columns seen are of this shape; never raises for content that is merely broken."""
        ...

    def read(self, root: Path, options: ReadOptions) -> Dataset:
        """Read the data set.

        Raises
        ------
        DataError
            Where files are missing or broken.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """What is known of a public data set, and the layout that reads it.

    Attributes
    ----------
    name : str
        As `medloupe recipes show` takes it.
    title : str
        As people call it.
    what : str
        What it holds, in one line.
    url : str
        Where it is to be had, as text.
    licence, citation : str
        Under what terms, and what to cite.
    expected : str
        The tree of folders that is recognised.
    patients : str
        The rule that tells patients apart, in words.
    known_leaks : tuple of str
        Sentences on what makes its figures too good.
    labels : tuple of str
        All that it may hold, in their order.
    layout : Layout
        Recognises and reads it.
    """

    name: str
    title: str
    what: str
    url: str
    licence: str
    citation: str
    expected: str
    patients: str
    known_leaks: tuple[str, ...]
    labels: tuple[str, ...]
    layout: Layout

    @property
    def commands(self) -> tuple[str, ...]:
        """What to type once the download is unpacked."""
        folder = self.expected.strip().splitlines()[0].split("  ")[0].rstrip("/").strip()
        given = f'"{folder}"' if " " in folder else folder
        name = self.name.replace("_", "-")
        return (
            f"medloupe check {given}",
            f"medloupe train {given} --name {name}",
            f"medloupe train {given} --name {name} --finetune auto",
        )

    def recognises(self, seen: Outline, options: ReadOptions) -> bool:
        """Tell whether this original is what lies there, and nothing was told that speaks against its recipe."""
        return self.layout.accepts(options) and self.layout.recognises(seen)

    def read(self, root: Path, options: ReadOptions) -> Dataset:
        """Read the data set, saying in notes and origin which recipe read it.

        What a SOURCE or LICENCE file beside the data says goes before what is known of the original, as it speaks of
        this very copy.

        Raises
        ------
        DataError
            Where files are missing or broken.
        """
        data = self.layout.read(root, options)
        if options.patient:
            who = f"Patients are as told (--patient {options.patient}), not as in the recipe."
        else:
            who = f"Patients: {self.patients}"
        leaks = [f"Known of this set: {leak}" for leak in self.known_leaks]
        stated = {"title": self.title, "licence": self.licence, "citation": self.citation, "source": self.url}
        return replace(
            data,
            reader=f"original:{self.name}",
            notes=(f"Read as {self.title}: {self.what}", who, *leaks, *data.notes),
            origin={**stated, **data.origin},
        )

    def as_json(self) -> dict[str, Any]:
        """Return what `medloupe recipes --json` prints."""
        return {
            "name": self.name,
            "title": self.title,
            "what": self.what,
            "labels": list(self.labels),
            "patients": self.patients,
            "known_leaks": list(self.known_leaks),
            "expected": self.expected.strip().splitlines(),
            "url": self.url,
            "licence": self.licence,
            "citation": self.citation,
            "commands": list(self.commands),
        }
