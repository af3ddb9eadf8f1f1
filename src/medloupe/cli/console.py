"""Print for the command line: results on stdout, all else on stderr; and write the pages it makes."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from medloupe.data.records import Dataset
from medloupe.errors import StoreError
from medloupe.jobs.inside import open_progress
from medloupe.model.bundle import Model

if TYPE_CHECKING:
    from medloupe.evaluation.external import Validation
    from medloupe.store.models import VersionInfo
    from medloupe.store.production import ProductionChange
    from medloupe.training.audit.finding import Audit
    from medloupe.utils.progress import StageProgress

DISCLAIMER = "Research software, not a medical device."
MORE_THAN_CHANCE = "  * more than chance explains: the 95 % interval leaves out 0"
_NOTED = ("boxes_missing", "label_suspects")  # findings whose files come with a note, not with others
_MARKS = {"serious": ("✖", "red"), "warning": ("▲", "yellow"), "notice": ("·", "cyan")}
_STAGES = {
    "embedding": "Embedding",
    "scoring": "Scoring",
    "audit": "Looking for faults in the data",
    "preparing": "Preparing views",
    "searching": "Looking for a recipe",
    "fine-tuning": "Fine-tuning",
    "scratch": "Training from scratch",
    "field views": "Photographing pictures",
    "streaming": "Features are larger than memory: heads are fitted by passes over their file",
    "fitting": "Fitting and cross-validating",
    "judging": "Judging",
    "writing": "Writing report and ONNX file",
}
_FIGURES = (
    *("map50", "map", "sensitivity", "false_marks"),
    *("auc", "balanced_accuracy", "accuracy", "majority_accuracy", "ece"),
)
_NAMES = {
    "map50": "mAP at IoU .5",
    "map": "mAP at IoU .5 to .95",
    "sensitivity": "share of boxes found",
    "false_marks": "false marks a picture",
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "majority_accuracy": "always the commonest class",
    "ece": "calibration error",
}


def name_stage(stage: str) -> str:
    """Name a stage of a training as people read it."""
    return _STAGES.get(stage, stage)


def print_json(value: Any) -> None:
    """Print one line of JSON; ASCII only where stdout cannot show all (its encoding, file names that are no text)."""
    line = jsonlib.dumps(value, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        line = jsonlib.dumps(value)
    typer.echo(line)


def format_difference(value: float | None, low: float | None, high: float | None) -> str:
    """Write a difference with its 95 % interval, and a star where that leaves out 0."""
    told = "" if value is None else f"{value:+.3f}"
    if low is None or high is None:
        return told
    return f"{told}  [{low:+.3f}, {high:+.3f}]{' *' if high < 0 or low > 0 else ''}"


def write_page(path: Path, page: str) -> None:
    """Write a page as UTF-8, whole or not at all.

    Raises
    ------
    StoreError
        It cannot be written there.
    """
    from medloupe.utils.files import write_atomically

    try:
        write_atomically(path, page.encode("utf-8", "backslashreplace"))
    except OSError as e:
        raise StoreError(f"{path} cannot be written: {e.strerror or e}.", "Choose another place.") from e


@contextmanager
def progress() -> Iterator[StageProgress]:
    """Show a progress bar on stderr, one line a stage; nothing where stderr is no terminal. Tell a worker, if any."""
    if (worker := open_progress()) is not None:
        yield worker
        return
    if not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    tasks: dict[str, Any] = {}
    with bar:

        def say(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(name_stage(stage), total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield say


def dataset_json(data: Dataset) -> dict[str, Any]:
    """Describe what was read, for --json."""
    return {
        "data": data.name,
        "reader": data.reader,
        "task": data.task,
        "records": len(data),
        "labels": data.counts(),
        "splits": {k or "none": v for k, v in data.splits.items()},
        "patients": len({r.patient for r in data.records} - {None}) or None,
        "skipped": {reason: len(names) for reason, names in data.skipped.items()},
        "notes": list(data.notes),
    }


def print_dataset(data: Dataset) -> None:
    """Print what was read, on stderr."""
    facts = dataset_json(data)
    counts = ", ".join(f"{name} {n:,}" for name, n in facts["labels"].items())
    patients = f", {facts['patients']:,} patients" if facts["patients"] else ""
    typer.echo(f"{data.name}: {len(data):,} {data.things}{patients} ({counts})", err=True)
    for reason, n in facts["skipped"].items():
        typer.echo(f"  left out: {n:,} {reason}", err=True)
    for note in data.notes:
        typer.echo(f"  {note}", err=True)


def print_audit(data: Dataset, audited: Audit) -> None:
    """Print all findings, the most serious first."""
    facts = dataset_json(data)
    typer.echo(f"{data.name}: {audited.checked:,} {data.things}, task {data.task}, read as {data.reader}")
    typer.echo("  " + ", ".join(f"{name} {n:,}" for name, n in facts["labels"].items()))
    if facts["patients"]:
        typer.echo(f"  {facts['patients']:,} patients")
    for reason, n in facts["skipped"].items():
        typer.echo(f"  left out: {n:,} {reason}")
    for note in data.notes:
        typer.echo(f"  {note}")
    if not audited.findings:
        typer.echo("\nNothing wrong was found.")
    for f in audited.findings:
        mark, colour = _MARKS[f.level]
        typer.echo("\n" + typer.style(f"{mark} {f.title}", fg=colour, bold=f.level != "notice"))
        typer.echo(f"  {f.detail}")
        for files in f.files[:3]:
            typer.echo("    " + (":  " if f.kind in _NOTED else "  =  ").join(files[:3]))
        if len(f.files) > 3:
            typer.echo(f"    … {f.count:,} in all; --json lists up to 50")
        typer.echo(f"  → {f.advice}")
    if audited.shortcut and not any(f.kind == "shortcut" for f in audited.findings):
        typer.echo(f"\nShortcut probe: {audited.shortcut['sentence']}")


def print_model(model: Model, folder: Path) -> None:
    """Print what came out of a training, and where it lies."""
    typer.echo("")
    print_card(model)
    typer.echo(f"\n  report  {folder / 'report.html'}")
    typer.echo(f"  model   {folder / 'model.onnx'}")
    typer.echo(f"\nNext: medloupe predict {model.name} FILE   or, on a page: medloupe serve", err=True)


def print_card(model: Model) -> None:
    """Print the headline of a card."""
    card = model.card
    version = f" version {model.version}" if model.version else ""
    typer.echo(typer.style(f"{model.name}{version}", bold=True) + f"  {DISCLAIMER}")
    if card.get("split"):
        typer.echo(f"  {card['split'].get('sentence') or ''}")
    print_figures(card.get("metrics") or {})
    print_inputs(card.get("inputs") or {})
    for part in ("detection", "finetuning", "search", "novelty"):
        if words := (card.get(part) or {}).get("words"):
            typer.echo(f"  {words}")
    for sentence in (card.get("robust") or {}).get("words") or ():
        typer.echo(f"  {sentence}")
    for warning in card.get("warnings") or ():
        mark, colour = _MARKS.get(warning["level"], ("!", None))  # cards come from elsewhere, too
        typer.echo(typer.style(f"  {mark} {warning['text']}", fg=colour))
    stressed = card.get("stress")
    if isinstance(stressed, dict) and stressed.get("words"):
        typer.echo(f"  In the field: {' '.join(map(str, stressed['words']))}")


def print_inputs(facts: dict[str, Any]) -> None:
    """Print what is read beside the picture and what it adds."""
    if facts.get("words"):
        typer.echo(f"  {facts['words']}")
    for left in facts.get("columns_left_out") or ():
        typer.echo(f"  left out: {left['name']}, {left['why']}")
    masked = (facts.get("notes") or {}).get("masked")
    if masked:
        typer.echo(f"  masked in the notes: {', '.join(m['word'] for m in masked)}")


def print_figures(metrics: dict[str, Any]) -> None:
    """Print one line a figure with its interval."""
    for key in _FIGURES:
        metric = metrics.get(key)
        if metric and metric.get("value") is not None:
            bounds = [metric.get("low"), metric.get("high")]
            interval = "" if None in bounds else f"  [{bounds[0]:.3f}, {bounds[1]:.3f}]"
            typer.echo(f"  {_NAMES[key]:28}{metric['value']:.3f}{interval}")


def print_validation(validation: Validation, report: Path | None) -> None:
    """Print the figures of an external validation beside those of the model's card."""
    card = validation.report["card"]
    typer.echo(typer.style(f"{card['name']} on {card['data']['name']}", bold=True) + f"  {DISCLAIMER}")
    typer.echo(f"  {card['split']['sentence']}")
    for n, what in (
        (validation.seen, "that the model was trained on"),
        (validation.unlabelled, "without one of its labels"),
        (validation.unreadable, "unreadable files"),
    ):
        if n:
            typer.echo(f"  left out: {n:,} {what}")
    print_figures(card["metrics"])
    claimed = (card["claimed"].get("auc") or {}).get("value")
    if claimed is not None:
        typer.echo(f"  {'AUC that its card claims':28}{claimed:.3f}")
    for row in card["per_label"]:
        typer.echo(f"  {row['label']}: {row['operating_point']['words']}")
    for warning in card["warnings"]:
        typer.echo(typer.style(f"  ✖ {warning['text']}", fg="red"))
    if report:
        typer.echo(f"\n  report  {report}")


def print_versions(versions: Sequence[VersionInfo], *, json: bool) -> None:
    """Print the store's content, a line a version; an arrow marks what is in production."""
    if json:
        for v in versions:
            print_json(
                {
                    "name": v.name,
                    "version": v.version,
                    "created": v.created,
                    "task": v.task,
                    "labels": list(v.labels),
                    "auc": v.auc,
                    "production": v.production,
                }
            )
        return
    if not versions:
        typer.echo("No models yet. Train one: medloupe train FOLDER --name NAME", err=True)
    for v in versions:
        auc = "" if not v.auc or v.auc["value"] is None else f"AUC {v.auc['value']:.3f}"
        mark = "→" if v.production else " "
        typer.echo(f"{mark} {v.name}@{v.version:<4} {v.created[:16]:18} {auc:10} {', '.join(v.labels)}")
    if versions:
        typer.echo("→ in production: answers under the bare name", err=True)


def print_history(changes: Sequence[ProductionChange], *, json: bool) -> None:
    """Print how a model's production version changed, a line a change."""
    for change in changes:
        if json:
            print_json(change.as_json())
            continue
        came = f" (before: {change.previous})" if change.previous is not None else ""
        forced = typer.style(" forced", fg="yellow") if change.forced else ""
        reason = f": {change.reason}" if change.reason else ""
        typer.echo(f"{change.at[:16]}  {change.kind:8}{forced} → {change.version}{came}  by {change.actor}{reason}")
