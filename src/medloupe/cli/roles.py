"""Ask the person who trains which labels are looked for, where their names do not say."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from medloupe.cli.options import parse_labels

if TYPE_CHECKING:
    from medloupe.data.records import Dataset
    from medloupe.training.options import Options

_MOST = 30  # labels about which a person is asked


def ask_roles(data: Dataset, options: Options) -> Options:
    """Ask at a terminal what labels without a role mean; elsewhere say how it can be told.

    Parameters
    ----------
    data : Dataset
        What is trained on.
    options : Options
        What was told; where roles were, nothing is asked.
    """
    told = options.normal or options.sought or options.harmless or options.ordered
    without = [name for name in data.labels if data.roles.of(name) == "none"]
    if told or not without or len(data.labels) > _MOST:
        return options
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        typer.echo(
            f"  What do {', '.join(without)} mean? Say which labels are findings, the most dangerous first, and which"
            " are normal: --sought A,B --normal C. Without that nothing is flagged.",
            err=True,
        )
        return options
    typer.echo(f"  The labels are {', '.join(data.labels)}.", err=True)
    normal = typer.prompt(
        "  Which say that nothing was found? (commas; Enter for none)",
        default=", ".join(n for n in data.labels if data.roles.of(n) == "normal"),
        err=True,
    )
    sought = typer.prompt("  Which are findings, the most dangerous first? (Enter for none)", default="", err=True)
    return replace(options, normal=parse_labels(normal, data.labels), sought=parse_labels(sought, data.labels))
