"""`medloupe starters`: list the check-ups that come with the package."""

from __future__ import annotations

from typing import Any

import typer

from medloupe.cli.options import Home, Json

_TERMS = {"": "", "open": "", "non-commercial": "; non-commercial use only", "research": "; research only"}

starters_app = typer.Typer(help="The check-ups that come with the package.", no_args_is_help=True)


@starters_app.command("list")
def starters_list(json: Json = False, home: Home = None) -> None:
    """All of them, with what they tell apart, how well, and on whose data."""
    from medloupe.cli import console
    from medloupe.starter import shipped

    offered = set(shipped.list_offered())
    for name in shipped.list_shipped():
        entry = _entry(name, offered)
        if json:
            console.print_json(entry)
            continue
        name_of, value = ("AP50", entry["map50"]) if entry["task"] == "detection" else ("AUC", entry["auc"])
        figure = (
            f"{name_of} {value['value']:.3f} ({value['low']:.3f}–{value['high']:.3f})" if value else "not judged here"
        )
        labels = entry["labels"]
        shown = ", ".join(labels) if len(labels) <= 8 else f"{len(labels):,} labels"
        off = "" if entry["offered"] else "  (switched off)"
        typer.echo(f"{typer.style(name, bold=True):30} {entry['title']}{off}")
        licence = f"{entry['licence']}{_TERMS[entry['terms']]}"
        typer.echo(f"    {shown}\n    {figure} · {entry['images'] or 0:,} {entry['things']} · {licence}")
    if not json:
        typer.echo(
            "Ask one: medloupe predict NAME picture.jpg · its passport: medloupe models show NAME · go on from it:"
            " medloupe train FOLDER --name MINE --from NAME",
            err=True,
        )


def _entry(name: str, offered: set[str]) -> dict[str, Any]:
    from medloupe.starter import shipped

    card = shipped.load_shipped(name).card
    metrics = card.get("metrics") or {}
    of_boxes = {"map50": metrics.get("map50")} if card["task"] == "detection" else {}
    return {
        "name": name,
        "title": card.get("title") or name,
        "about": card.get("about"),
        "labels": list(card["labels"]),
        "task": card["task"],
        "auc": metrics.get("auc"),
        **of_boxes,
        "data": card["data"]["name"],
        "images": card["data"].get("labelled"),
        "things": card["data"].get("things") or "images",
        "licence": card.get("licence"),
        "terms": card.get("terms") or "",
        "tuned": bool(card.get("tail")),
        "offered": name in offered,
    }
