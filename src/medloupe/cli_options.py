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
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="A name, name@version, or an .onnx file.")]
