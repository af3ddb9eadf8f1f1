"""Declare the options that several commands share, and read those that are lists."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from medloupe.cli.places import read_named, read_place


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


def _use_engine(value: str | None) -> str | None:
    from medloupe.jobs.engines import ENGINES

    if value is not None:
        if value not in ENGINES:
            raise typer.BadParameter(f"{value!r} is none of {', '.join(ENGINES)}.")
        os.environ["MEDLOUPE_ENGINE"] = value
    return value


Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="local|ray",
        callback=_use_engine,
        help="Where pictures are embedded: this process, or a Ray cluster (MEDLOUPE_ENGINE; RAY_ADDRESS).",
    ),
]
Given = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="NAME=VALUE",
        help="What is known beside the images, such as age=55, or with `auto` age=child; repeated.",
    ),
]
Rate = Annotated[
    float | None, typer.Option(metavar="HZ", min=1, help="Sampling rate of ECGs, where a file does not tell it.")
]
Gain = Annotated[
    float | None,
    typer.Option(
        metavar="UNITS",
        min=1e-6,
        help="How many units make 1 mV in ECGs, where a file does not tell its unit: 1000 of µV.",
    ),
]
Photo = Annotated[
    str,
    typer.Option(
        metavar="auto|never|always",
        help="Whether pictures are photographs of a screen, film or print, out of which the picture is cut.",
    ),
]
Cropped = Annotated[bool, typer.Option("--cropped", help="The pictures are crops, of a model that learned from crops.")]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable lines on stdout.")]
ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", parser=read_named, help="A name, name@version, or an .onnx file.")
]
Data = Annotated[Path, typer.Argument(metavar="DATA", parser=read_place, help="A folder, a table or a MedMNIST .npz.")]
Labels = Annotated[
    str | None, typer.Option(metavar="COL", help="Label column, several joined by commas, or a DICOM keyword.")
]
Patient = Annotated[
    str | None, typer.Option(metavar="COL", help="Column of the patient, or a regular expression on file names.")
]
SplitColumn = Annotated[str | None, typer.Option("--split", metavar="COL", help="Column that says train, val or test.")]
Image = Annotated[str | None, typer.Option(metavar="COL", help="Column that names the image file.")]
Table = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        parser=read_place,
        help="The table, where it lies apart; of several annotations of boxes the one to read.",
    ),
]
AllowUrls = Annotated[
    bool,
    typer.Option(
        "--allow-urls",
        help="Fetch the pictures that the table names by https:// addresses, from public hosts only.",
    ),
]
Folders = Annotated[
    str | None,
    typer.Option(
        metavar="LEVELS",
        help="What the folders above the files are, from the top: split/class, class/patient, site/class, -/class.",
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        metavar="detection|classification|multilabel",
        help="Find places (boxes), or tell whole images apart, where the data can teach both; multilabel: columns of 1"
        " and 0 are findings of which an image may have any number.",
    ),
]
Unboxed = Annotated[
    str | None,
    typer.Option(
        metavar="negative|unknown|leave-out",
        help="Of boxes: what pictures without any are. Unless told, negatives only where the data say so.",
    ),
]
Crop = Annotated[
    bool,
    typer.Option(
        "--crop", help="Crop to the boxes: each is an example, or each picture is cut to its own where it has a class."
    ),
]
CropTo = Annotated[
    str | None, typer.Option("--crop-to", metavar="LABEL,…", help="With --crop: the boxes that are meant.")
]
Margin = Annotated[
    float | None,
    typer.Option(metavar="M", help="With --crop: added around each box, of its own side (0.15 unless told)."),
]
Seed = Annotated[int, typer.Option(metavar="S", min=0, help="Same data and seed, same model.")]
Sensitivity = Annotated[
    float, typer.Option(metavar="P", help="Share of the cases that each operating point is to find.")
]
Normal = Annotated[
    str | None, typer.Option(metavar="LABEL,…", help="Labels that say that nothing was found: never flagged.")
]
Sought = Annotated[
    str | None, typer.Option(metavar="LABEL,…", help="Labels that are findings, the most dangerous first.")
]
Harmless = Annotated[str | None, typer.Option(metavar="LABEL,…", help="Labels that say that nothing matters.")]
Ordered = Annotated[
    bool, typer.Option("--ordered", help="The labels are grades in their order: the first is normal, the last worst.")
]
FalseFlags = Annotated[
    float, typer.Option(metavar="P", help="Share of the examples without a finding that may be flagged.")
]
FalseMarks = Annotated[
    float, typer.Option(metavar="N", help="Of boxes: how many of a label may be marked wrongly, a picture.")
]
BackboneName = Annotated[
    str | None, typer.Option(metavar="B", parser=read_named, help="A backbone by name, or an .onnx file.")
]
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
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of a model in the store.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit log.")]
Kind = Annotated[
    str,
    typer.Option(
        metavar="TEXT",
        help='Kind of picture, such as "chest X-ray": all of one kind answer `predict auto`; others are refused.',
    ),
]
KeepLeaks = Annotated[bool, typer.Option("--keep-leaks", help="Read columns that name the answer all the same.")]


def parse_labels(told: str | None, labels: Sequence[str]) -> tuple[str, ...]:
    """Read names of labels with commas between; a label may hold commas itself."""
    if not told:
        return ()
    if told.strip() in labels:
        return (told.strip(),)
    return tuple(name.strip() for name in told.split(",") if name.strip())


def parse_pairs(told: Sequence[str]) -> dict[str, str]:
    """Read what --with says, each NAME=VALUE. Raises BadParameter for what is of another form."""
    pairs = [text.partition("=") for text in told]
    for text, (name, equals, _) in zip(told, pairs, strict=True):
        if not equals or not name.strip():
            raise typer.BadParameter(f"{text!r} is not of the form NAME=VALUE, such as age=55.", param_hint="--with")
    return {name.strip(): value for name, _, value in pairs}


def parse_columns(clinical: str | None) -> list[str] | None:
    """Read --clinical: the columns it names, [] for none, None where nothing is said."""
    if clinical is None:
        return None
    names = [name.strip() for name in clinical.split(",") if name.strip()]
    return [] if [name.lower() for name in names] == ["none"] else names


def parse_mask(mask: str) -> list[str] | None:
    """Read --mask: the words it names, [] for none, None for auto."""
    words = [word.strip() for word in mask.split(",") if word.strip()]
    said = [word.lower() for word in words]
    return None if said == ["auto"] else [] if said == ["none"] else words


def read_crop(crop: bool, margin: float | None, to: str | None) -> float | None:
    """Read the margin with which pictures are cropped; None where they are not."""
    from medloupe.imaging.crops import MARGIN

    if not crop and (margin is not None or to):
        raise typer.BadParameter("goes with --crop.", param_hint="--margin" if margin is not None else "--crop-to")
    return (MARGIN if margin is None else margin) if crop else None
