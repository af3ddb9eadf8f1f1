"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def _use_home(value: Path | None) -> Path | None:
    if value is not None:
        os.environ["MEDLOUPE_HOME"] = str(value.expanduser().absolute())
    return value


Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        readable=False,  # what cannot be read is a failure with advice, not a mistake in typing
        callback=_use_home,
        help="Where the store and the caches live (MEDLOUPE_HOME).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable lines on stdout.")]
Clinical = Annotated[
    str | None,
    typer.Option(
        metavar="COL,…",
        help="Columns of the table to read beside the picture, all (all that name no answer), or none.",
    ),
]
Notes = Annotated[str | None, typer.Option(metavar="COL", help="Column of free text to read beside the picture.")]
NotesModel = Annotated[
    str | None,
    typer.Option(
        metavar="hub:NAME|DIR", help="Language network that reads the notes (default: by their letters; needs [hub])."
    ),
]
Mask = Annotated[
    str,
    typer.Option(
        metavar="auto|none|WORD,…",
        help="Words blanked in the notes: those found to state the label, none, or your own (*covid* masks every word"
        " that holds it).",
    ),
]
KeepLeaks = Annotated[bool, typer.Option("--keep-leaks", help="Read columns that name the answer all the same.")]


def columns_asked(clinical: str | None) -> list[str] | None:
    """What --clinical names; [] for none, None where nothing is said."""
    if clinical is None:
        return None
    names = [name.strip() for name in clinical.split(",") if name.strip()]
    return [] if [name.lower() for name in names] == ["none"] else names


def words_masked(mask: str) -> list[str] | None:
    """What --mask says; [] for none, None for auto."""
    words = [word.strip() for word in mask.split(",") if word.strip()]
    said = [word.lower() for word in words]
    return None if said == ["auto"] else [] if said == ["none"] else words


ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="A name, name@version, or an .onnx file.")]
