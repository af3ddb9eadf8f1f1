"""`medloupe models`: list, show, add, promote, roll back and remove the models of the store.

With --json each command prints lines on stdout, described in docs/models.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medloupe.cli.options import Home, Json, ModelName, Name, Reason, Yes
from medloupe.cli.places import PlacesTyper, read_place
from medloupe.errors import StoreError, UnknownError

if TYPE_CHECKING:
    from medloupe.model.bundle import Model

models_app = PlacesTyper(
    help="The models of the store: list, show, add, promote, roll back and remove them.", no_args_is_help=True
)


@models_app.command("list")
def models_list(json: Json = False, home: Home = None) -> None:
    """All versions of all models; an arrow marks what is in production."""
    from medloupe.cli import console
    from medloupe.store.models import Store

    console.print_versions(Store.open().list(), json=json)


@models_app.command("show", help="The card of one model, and the precisions that it is kept in.")
def models_show(model: ModelName, json: Json = False, home: Home = None) -> None:
    """Show the card of one model, and the precisions that it is kept in."""
    from medloupe.cli import console
    from medloupe.inference.find import find_model

    loaded = find_model(model, composed=True)
    others = _other_precisions(loaded)
    if json:
        console.print_json({**loaded.card, **({"precisions": others} if others else {})})
    else:
        console.print_card(loaded)
        for precision, said in others.items():
            times = said["served_times_faster"]
            measured = f"{times:.2f} times as fast on this machine" if times else "not timed by a server here yet"
            typer.echo(
                f"also kept in {precision}: AUC {said[precision]['auc']:.4f} of {said['fp32']['auc']:.4f}; {measured}"
            )


@models_app.command("add")
def models_add(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.onnx", parser=read_place, help="A model that medloupe exported.")
    ],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its name here (default: as in its card).")] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Take a model file into the store, after checking it, as the next version of its name."""
    from medloupe.cli import console
    from medloupe.store.intake import add_file

    added = add_file(file, name=name, actor=name_operator())
    if json:
        console.print_json({"added": added.name, "version": added.version, "onnx": str(added.onnx)})
    else:
        typer.echo(f"Added {added.name}@{added.version}.", err=True)


@models_app.command("promote")
def models_promote(
    model: Annotated[str, typer.Argument(metavar="NAME@V", help="The version; `NAME@candidate` is the newest one.")],
    force: Annotated[bool, typer.Option("--force", help="Even if it is worse or cannot be compared.")] = False,
    reason: Reason = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """Put a version into production if it is not worse than what is there. Running servers take it up by themselves."""
    from medloupe.cli import console
    from medloupe.errors import PromotionRefusedError
    from medloupe.store.models import Store
    from medloupe.store.names import parse_reference

    name, version = parse_reference(model)
    if version is None:
        raise typer.BadParameter(f"{model!r} names no version: write {model}@3 or {model}@candidate.")
    if force and not reason.strip():
        raise typer.BadParameter("a forced promotion needs --reason; it goes into the audit log.")
    store = Store.open()
    try:
        with _explaining_shipped(name):
            comparison = store.promote(name, version, actor=name_operator(), reason=reason, force=force)
    except PromotionRefusedError as e:
        if json:
            c = e.comparison
            console.print_json(
                {"refused": name, "version": c.candidate, "production": c.production, "comparison": c.as_json()}
            )
        raise
    number = store.production()[name][0]
    if json:
        seen = None if comparison is None else comparison.as_json()
        forced = comparison is not None and not comparison.passed
        console.print_json({"promoted": name, "version": number, "forced": forced, "comparison": seen})
        return
    if comparison is not None:
        typer.echo(comparison.words)
    typer.echo(f"{name}@{number} is in production.", err=True)


@models_app.command("rollback")
def models_rollback(name: Name, reason: Reason = "", json: Json = False, home: Home = None) -> None:
    """Put back the version that was in production before; again and again it goes further back."""
    from medloupe.cli import console
    from medloupe.store.models import Store
    from medloupe.store.names import check_name

    check_name(name)
    with _explaining_shipped(name):
        number = Store.open().rollback(name, actor=name_operator(), reason=reason)
    if json:
        console.print_json({"rolled_back": name, "version": number})
    else:
        typer.echo(f"{name}@{number} is in production again.", err=True)


@models_app.command("history")
def models_history(name: Name, json: Json = False, home: Home = None) -> None:
    """How the production version of a model changed, and who changed it."""
    from medloupe.cli import console
    from medloupe.store.models import Store
    from medloupe.store.names import check_name

    check_name(name)
    with _explaining_shipped(name):
        changes = Store.open().history(name)
    console.print_history(changes, json=json)


@models_app.command("remove")
def models_remove(
    model: ModelName,
    yes: Yes = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Remove one version (name@version), or all versions of a name."""
    from medloupe.store.models import Store
    from medloupe.store.names import parse_reference

    name, version = parse_reference(model)
    what = f"version {version} of {name}" if version else f"all versions of {name}"
    store = Store.open()
    if store.has(name) and not yes and not typer.confirm(f"Remove {what}?", err=True):
        raise typer.Exit(1)
    with _explaining_shipped(name):
        removed = store.remove(name, version, actor=name_operator())
    if json:
        from medloupe.cli import console

        for number in removed:
            console.print_json({"removed": name, "version": number})
    else:
        typer.echo(f"Removed {what}.", err=True)


@models_app.command("collect")
def models_collect(
    hours: Annotated[
        float, typer.Option(metavar="H", min=0.0, help="How long what no version names stays in object storage.")
    ] = 24.0,
    json: Json = False,
    home: Home = None,
) -> None:
    """Remove from object storage (MEDLOUPE_BLOBS) what no version has named for a day; to be run again and again."""
    from dataclasses import asdict

    from medloupe.store.garbage import collect_garbage
    from medloupe.store.models import Store

    found = collect_garbage(Store.open(), grace=hours * 3600)
    if json:
        from medloupe.cli import console

        console.print_json(asdict(found))
    else:
        typer.echo(
            f"{found.kept:,} blobs are in use; {found.removed:,} were removed ({found.freed:,} bytes), {found.marked:,}"
            f" marked to go, {found.waiting:,} wait.",
            err=True,
        )


@contextmanager
def _explaining_shipped(name: str) -> Iterator[None]:
    """Say of a check-up of the package, which the store does not know, that it has no versions.

    Raises
    ------
    StoreError
        The name is of such a check-up.
    """
    from medloupe.starter import shipped
    from medloupe.store.models import Store

    try:
        yield
    except UnknownError as e:
        if name not in shipped.list_shipped() or Store.open().has(name):
            raise
        raise StoreError(
            f"{name} comes with medloupe and has no versions in the store.",
            f"Make one that goes on from it: medloupe train FOLDER --name {name} --from {name}. MEDLOUPE_STARTERS says"
            " which check-ups are offered.",
        ) from e


def _other_precisions(model: Model) -> dict[str, dict[str, Any]]:
    """Tell what a model of the store costs in its other precisions, and how much faster servers here found them.

    By precision; empty where it has none.
    """
    from medloupe.serving.engine.precisions import measurement_key, read_measurements
    from medloupe.store.models import Store

    store = Store.open()
    if model.version is None or not store.has(model.name):
        return {}
    try:
        variants = store.variants(model.name, model.version)
    except UnknownError:  # a file of a version that is not here
        return {}
    timed = read_measurements(store.home / "cache" / "graphs") if variants else {}
    return {
        precision: {
            **variant.card["precision"],
            "served_times_faster": timed.get(measurement_key(model.backbone.sha256, variant.backbone.sha256)),
        }
        for precision, variant in variants.items()
    }


def name_operator() -> str:
    """Name whoever uses the command line, for the audit log."""
    from medloupe.accounts.log import operator

    return operator()
