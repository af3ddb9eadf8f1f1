"""`medloupe forget`: delete all that is kept of a patient, and say what was deleted where."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medloupe.cli.options import Home, Json, Yes
from medloupe.errors import MedloupeError

if TYPE_CHECKING:
    from medloupe.erasure.nouns import Receipt

_WORDS = {
    "pictures": "pictures of data sets",
    "version_places": "places in versions of data sets, now empty",
    "frozen_places": "places in frozen tests, now empty",
    "answers": "answers of the history",
    "kept_pictures": "pictures kept with answers",
    "cases": "cases of review",
    "uploads": "files on their way",
    "changes": "lines in the logs of data sets, without what they said of it",
    "files": "files",
    "features": "rows of features",
    "caches": "caches, made anew when needed",
    "exports": "archives that were being taken away",
    "reports": "reports, now without pictures",
}


def run_forget(
    patient: Annotated[
        str | None, typer.Option(metavar="ID", help="Whose pictures, recordings and answers; as the data has it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with deletions that were interrupted; servers do so by themselves.")
    ] = False,
    receipts: Annotated[bool, typer.Option("--receipts", help="The receipts of all deletions so far.")] = False,
    again: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="After an older back-up was restored: forget again whoever was forgotten in PATH, a home folder, a"
            " newer back-up, or what --receipts --json printed.",
        ),
    ] = None,
    yes: Yes = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Delete all that is kept of a patient; the receipt says what went where, and which models learned from it."""
    from medloupe.accounts.log import operator
    from medloupe.erasure.eraser import Eraser
    from medloupe.store.models import Store

    eraser = Eraser(Store.open())
    if receipts or resume:
        for receipt in eraser.receipts() if receipts else eraser.resume():
            _print(receipt, json)
        return
    if again is not None:
        from medloupe.erasure.tombstones import read_tombstones

        done = eraser.forget_again(read_tombstones(again), by=operator())
        for receipt in done:
            _print(receipt, json)
        if not done and not json:
            typer.echo("Nobody who was forgotten there is here.", err=True)
        return
    if patient is None:
        raise MedloupeError("Whose?", "medloupe forget --patient ID")
    if dry_run or not yes:
        _print(eraser.preview(patient), json)
        if dry_run:
            return
        if not sys.stdin.isatty():
            raise MedloupeError("Nothing was deleted.", "Say --yes: it cannot be undone.")
        if not typer.confirm("Delete it for good?", err=True):
            raise MedloupeError("Nothing was deleted.")
    _print(eraser.forget(patient, by=operator()), json)


def _print(receipt: Receipt, json: bool) -> None:
    from medloupe.cli import console

    if json:
        console.print_json(receipt.as_json())
        return
    typer.echo(f"receipt {receipt.id} of {receipt.at}" if receipt.id else "There is:")
    for name, n in receipt.counts.items():
        if n:
            typer.echo(f"    {n:7,}  {_WORDS[name]}")
    if not any(receipt.counts.values()):
        typer.echo("    nothing under this id; ids are compared letter by letter")
    if receipt.joined:
        typer.echo(
            f"    {receipt.joined:,} of the pictures had been joined with the patient's, or were under another id"
        )
    if receipt.versions:
        typer.echo(f"    versions: {', '.join(receipt.versions)}")
    for model in receipt.models:
        typer.echo(
            f"    {model.name}@{model.version} learned from {model.learned:,}"
            + (f", was judged on {model.judged:,}" if model.judged else "")
            + ": train it again, or remove it"
        )
    for job in receipt.stopped:
        typer.echo(f"    job {job[:8]} was stopped: it trained on them")
    if receipt.unread:
        typer.echo(f"    {receipt.unread:,} files are still arriving; whose they are is told when they are there")
