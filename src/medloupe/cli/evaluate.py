"""`medloupe evaluate`: judge a model on another site's labelled data or boxes, or where its heat maps point."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medloupe.cli.options import AllowUrls, Data, Folders, Home, Image, Json, Labels, ModelName, Patient, Table, Unboxed
from medloupe.cli.places import write_place
from medloupe.cli.reading import Cropped, ModelTask, reading_of

if TYPE_CHECKING:
    from medloupe.data.records import Dataset
    from medloupe.evaluation.localisation import LocalisationResult
    from medloupe.model.bundle import Model


def run_evaluate(
    model: ModelName,
    data: Data,
    labels: Labels = None,
    patient: Patient = None,
    image: Image = None,
    table: Table = None,
    allow_urls: AllowUrls = False,
    folders: Folders = None,
    task: ModelTask = None,
    unboxed: Unboxed = None,
    cropped: Cropped = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=write_place, help="Also write the whole report as an HTML page."),
    ] = None,
    boxes: Annotated[
        bool, typer.Option("--boxes", help="Judge by the data's boxes where the heat maps point, instead.")
    ] = False,
    box_label: Annotated[
        list[str] | None,
        typer.Option(metavar="BOX=LABEL", help="Which label boxes of another name are (or, with --boxes, show)."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="With --boxes: write it into the card, as a new version of the model.")
    ] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Judge a model on another site's labelled data; with --boxes, where its heat maps point."""
    from medloupe.cli import console
    from medloupe.data.reading import read
    from medloupe.inference.find import find_model

    told = _check_options(model, boxes, box_label, keep, report)
    loaded = find_model(model)
    finds = loaded.detector is not None
    _check_kind(loaded, boxes, box_label)
    dataset = read(
        data,
        labels=labels,
        patient=patient,
        image=image,
        table=table,
        folders=folders,
        unboxed=unboxed,
        **reading_of(loaded, task, cropped=cropped),
    )
    if boxes:
        _judge_boxes(loaded, dataset, told, keep=keep, json=json)
        return
    from medloupe.evaluation.external import validate
    from medloupe.evaluation.external_boxes import validate_detector

    with console.progress() as say:
        if finds:
            validation = validate_detector(loaded, dataset, told, progress=say)
        else:
            validation = validate(loaded, dataset, progress=lambda d, t: say("embedding", d, t))
    if report:
        from medloupe.report.pages import render

        console.write_page(report, render(validation.report))
    if json:
        console.print_json(validation.as_json())
    else:
        console.print_validation(validation, report)


def _check_options(
    model: str, boxes: bool, box_label: list[str] | None, keep: bool, report: Path | None
) -> dict[str, str]:
    """Read what boxes were told to be; refuse what does not go together before any work is done."""
    if not boxes and keep:
        raise typer.BadParameter("goes with --boxes.", param_hint="--keep")
    if boxes and report:
        raise typer.BadParameter("does not go with --boxes; --json has all figures.", param_hint="--report")
    if keep and (model.endswith(".onnx") or Path(model).is_file()):
        raise typer.BadParameter(
            "works for models in the store and shipped ones; `medloupe models add FILE` takes a file in.",
            param_hint="--keep",
        )
    told: dict[str, str] = {}
    for pair in box_label or ():
        box, equals, label = pair.partition("=")
        if not (equals and box.strip() and label.strip()):
            raise typer.BadParameter(f"{pair!r} is not BOX=LABEL.", param_hint="--box-label")
        if told.setdefault(box.strip(), label.strip()) != label.strip():
            raise typer.BadParameter(f"names two labels for {box.strip()!r}.", param_hint="--box-label")
    return told


def _check_kind(model: Model, boxes: bool, box_label: list[str] | None) -> None:
    """Refuse what goes only with the other kind of model."""
    if model.detector is not None and boxes:
        raise typer.BadParameter(
            f"judges where heat maps of classifiers point; {model.name} marks places, and is judged by boxes without"
            " it.",
            param_hint="--boxes",
        )
    if model.detector is None and box_label and not boxes:
        raise typer.BadParameter("goes with --boxes, or with a model that marks places.", param_hint="--box-label")


def _judge_boxes(model: Model, data: Dataset, told: dict[str, str], *, keep: bool, json: bool) -> None:
    from medloupe.cli import console
    from medloupe.evaluation.kept import keep_entry
    from medloupe.evaluation.localisation import judge_localisation

    with console.progress() as say:
        found = judge_localisation(model, data, told, progress=say)
    kept = keep_entry(model, "localisation", found.entry, found.records) if keep else None
    if json:
        console.print_json({**found.as_json(), **({"kept": f"{kept.name}@{kept.version}"} if kept else {})})
        return
    _print(found)
    if kept is not None:
        typer.echo("\n" + _next_step(kept), err=True)


def _next_step(kept: Model) -> str:
    """Say what was written and what to do with it."""
    from medloupe.store.models import Store

    called = f"{kept.name}@{kept.version}"
    said = f"{called} was written, with this in its card and the same weights."
    if Store.open().production().get(kept.name, (0, ""))[0] == kept.version:
        return f"{said} It answers under {kept.name} from now on."
    return f"{said} It answers under its name once it is promoted:\n  medloupe models promote {called}"


def _print(found: LocalisationResult) -> None:
    """Print sentences first, then the table: the heat map, and under it what needs no look at the picture."""
    from medloupe.cli.console import DISCLAIMER

    typer.echo(typer.style(f"{found.name}: where its heat maps point, by boxes of {found.data}", bold=True))
    typer.echo(f"  {DISCLAIMER}")
    for sentence in found.basis:
        typer.echo(f"  {sentence}")
    for row in found.labels:
        typer.echo("\n  " + row["words"])
        typer.echo(f"\n  {'':26}{'points into a box':>24}{'heat inside':>22}{'overlap (IoU)':>22}")
        lines = [(row["label"], row), *((_NAMES[name], own) for name, own in row["baselines"].items())]
        for name, figures in lines:
            cells = "".join(
                f"{_figure(figures.get(key), whole):>{wide}}"
                for key, whole, wide in (("pointing", True, 24), ("energy", True, 22), ("iou", False, 22))
            )
            typer.echo(f"  {name[:25]:26}{cells}")


_NAMES = {
    "middle": "always the middle",
    "average_map": "the average heat map",
    "usual_place": "where boxes usually lie",
}


def _figure(metric: dict[str, float | None] | None, whole: bool) -> str:
    """Write a figure as "52 % [33-70]" or "0.21 [0.18, 0.24]"."""
    value = (metric or {}).get("value")
    if metric is None or value is None:
        return "–"
    low, high = metric.get("low"), metric.get("high")
    if whole:
        return f"{100 * value:.0f} %" + ("" if low is None or high is None else f" [{100 * low:.0f}-{100 * high:.0f}]")
    return f"{value:.2f}" + ("" if low is None or high is None else f" [{low:.2f}, {high:.2f}]")
