"""Recognise well-known public data sets as their downloads unpack, by their shape.

To add one: an `Original` in the module of its kind, a line in ORIGINALS, a miniature tree in
tests/support/originals_trees.py.
"""

from __future__ import annotations

from pathlib import Path

from medloupe.data.originals.base import Original
from medloupe.data.originals.boxed import BOXED
from medloupe.data.originals.by_path import NAMED
from medloupe.data.originals.chest import CHEST
from medloupe.data.originals.chest_boxes import CHEST_BOXES
from medloupe.data.originals.chest_reports import CHEST_REPORTS
from medloupe.data.originals.covid_radiography import COVID_RADIOGRAPHY
from medloupe.data.originals.ecg import ECG
from medloupe.data.originals.idrid import IDRID
from medloupe.data.originals.lung_colon import LC25000
from medloupe.data.originals.npz_layout import NpzLayout
from medloupe.data.originals.outline import outline_folder
from medloupe.data.originals.skin import SKIN
from medloupe.data.originals.skin_eye import LISTED
from medloupe.data.readers.base import ReadOptions
from medloupe.errors import UnknownError, did_you_mean

MEDMNIST = Original(
    name="medmnist",
    title="MedMNIST",
    what="Twelve sets of small images (28 to 224 pixels), one .npz file each, with an official split.",
    url="https://medmnist.com, https://zenodo.org/records/10519652",
    licence="CC BY 4.0 (DermaMNIST: CC BY-NC 4.0)",
    citation="Yang et al., MedMNIST v2, Scientific Data 10:41, 2023, doi 10.1038/s41597-022-01721-8",
    expected="""
breastmnist_224.npz                      (give the file, or a folder that holds nothing else)
""",
    patients="none are known; the official split is kept.",
    known_leaks=(
        "images of one patient, where a set has several, cannot be told apart.",
        "the sets are cut from other originals of this list: never test on one what was trained on the other.",
    ),
    labels=(),
    layout=NpzLayout(),
)

ORIGINALS: tuple[Original, ...] = (
    *NAMED,
    COVID_RADIOGRAPHY,
    LC25000,
    *CHEST,
    *CHEST_REPORTS,
    *CHEST_BOXES,
    *LISTED,
    IDRID,
    *SKIN,
    *BOXED,
    *ECG,
    MEDMNIST,
)


def recognise_original(path: Path, options: ReadOptions | None = None) -> Original | None:
    """Find the original that lies at path, by structure alone.

    Parameters
    ----------
    path : Path
        Where data lies.
    options : ReadOptions, optional
        What was told.

    Returns
    -------
    Original or None
        None where it is none, or the options do not leave its recipe standing.
    """
    told = options or ReadOptions()
    if not any(original.layout.accepts(told) for original in ORIGINALS):
        return None
    seen = outline_folder(path)
    return next((original for original in ORIGINALS if original.recognises(seen, told)), None)


def find_original(name: str) -> Original:
    """Return the original of that name.

    Raises
    ------
    UnknownError
        Where there is none, offering the nearest.
    """
    for original in ORIGINALS:
        if original.name == name.strip().lower():
            return original
    names = [original.name for original in ORIGINALS]
    hint = did_you_mean(name, names) or f"There are: {', '.join(names)}."
    raise UnknownError(f"There is no recipe {name!r}.", hint)


def overview_table() -> str:
    """Write the table of all originals in Markdown, as docs/recipes.md has it."""
    lines = ["| name | what | labels | patients by | licence |", "|---|---|---|---|---|"]
    for o in ORIGINALS:
        labels = ", ".join(o.labels) or "as published with each file"
        lines.append(f"| `{o.name}` | **{o.title}**: {o.what} | {labels} | {o.patients} | {o.licence} |")
    return "\n".join(lines)
