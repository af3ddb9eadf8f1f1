"""`medloupe predict`: ask a model about images or ECGs, with what is known beside them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medloupe.cli.options import Cropped, Gain, Given, Home, Json, Photo, Rate, parse_pairs
from medloupe.cli.places import read_named, read_place, write_place
from medloupe.errors import DataError, MedloupeError

if TYPE_CHECKING:
    from medloupe.imaging.photo import PhotoRequest
    from medloupe.model.bundle import Model


def run_predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            parser=read_named,
            help="A name, name@version, an .onnx file, or `auto`: each file chooses.",
        ),
    ],
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", parser=read_named, help="Files, folders and globs.")],
    given: Given = None,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", parser=read_place, help="A table that says it for each image, which a column names."
        ),
    ] = None,
    rate: Rate = None,
    gain: Gain = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", parser=write_place, help="Of a detector: write the boxes that are marked as a table."
        ),
    ] = None,
    coco: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", parser=write_place, help="Of a detector: write the boxes that are marked as COCO JSON."
        ),
    ] = None,
    photo: Photo = "auto",
    corners: Annotated[
        str | None,
        typer.Option(
            metavar="X0,Y0,…",
            help="Of one photograph: the picture's corners in pixels, from the upper left clockwise.",
        ),
    ] = None,
    cropped: Cropped = False,
    find: Annotated[
        str | None,
        typer.Option(
            metavar="DETECTOR[:LABEL]", help="Of a model that learned from crops: what finds where to crop pictures."
        ),
    ] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Ask a model about images or ECGs."""
    from medloupe.cli.answers import AnswerPrinter, decision_at_hand, known_decision
    from medloupe.cli.boxes import BoxWriter
    from medloupe.cli.crops import read_finder
    from medloupe.data.modalities import MODALITIES
    from medloupe.inference.cropping import CroppingPredictor
    from medloupe.inference.find import AUTO, find_model, make_looks_like
    from medloupe.inference.pictures import Predictor
    from medloupe.inference.predictors import AnyPredictor, predictor
    from medloupe.settings import threads
    from medloupe.utils.remote.fetch import name_of

    taken = _read_photo(photo, corners, paths)
    if Path(model).is_file() and not model.endswith(".onnx") and not Path(paths[0]).exists():
        raise typer.BadParameter(f"{model} is no model: the MODEL comes first, then the files.", param_hint="MODEL")
    network_threads = 1 if threads() > 1 else None
    auto = model == AUTO and not Path(model).is_file()
    named: Model | None = None
    if auto and (cropped or find):
        raise typer.BadParameter(
            "`auto` asks no model of crops; name it.", param_hint="--find" if find else "--cropped"
        )
    if auto and table:
        raise typer.BadParameter(
            "`auto` takes no table; name the model, or say it of all: --with.", param_hint="--table"
        )
    kinds = MODALITIES.names
    decision = decision_at_hand
    if auto:
        told = _read_choices(given or [])
        every = AnyPredictor(network_threads=network_threads, rate=rate, gain=gain, told=told, photo=taken)
        answers = every.predict_many(_files(paths, kinds))
    else:
        named = find_model(model, composed=True)
        finder = read_finder(named, find, cropped=cropped)
        if finder is not None and finder.asks is not None:
            named, finder = finder, None
        decision = known_decision(named)
        kinds = (named.backbone.card.modality,)
        kind = MODALITIES[kinds[0]]
        if rate is not None and not kind.timed:
            raise typer.BadParameter(f"{named.name} looks at {kind.called}, which have no rate.", param_hint="--rate")
        if gain is not None and not kind.timed:
            raise typer.BadParameter(f"{named.name} looks at {kind.called}, which have no gain.", param_hint="--gain")
        beside = _inputs_by_file(named, given or [], table, paths)
        alike = make_looks_like(named.backbone.sha256)
        if finder is not None:
            asked = CroppingPredictor(named, finder, network_threads=network_threads, looks_like=alike)
            asked.photo = taken
        else:
            asked = predictor(
                named, network_threads=network_threads, looks_like=alike, rate=rate, gain=gain, photo=taken
            )
        if isinstance(asked, Predictor):
            asked.cropped = cropped
        answers = asked.predict_many(_files(paths, kinds), beside)
    kept = BoxWriter(csv, coco, named)
    failed = done = 0
    printer = AnswerPrinter(decision, json=json, chosen=auto)
    for path, answer in answers:
        done += 1
        failed += isinstance(answer, MedloupeError)
        printer.print(name_of(path), answer)
        kept.add(answer)
    printer.close()
    kept.close()
    if not done:
        things = " or ".join(MODALITIES[name].many for name in kinds)
        raise MedloupeError(f"There are no {things} in {', '.join(paths)}.", f"Give files or folders of {things}.")
    if failed:
        raise typer.Exit(1)


def _read_photo(photo: str, corners: str | None, paths: list[str]) -> PhotoRequest:
    from medloupe.errors import CornersError
    from medloupe.imaging.photo import read_photo_request

    if corners is not None and (len(paths) != 1 or Path(paths[0]).is_dir()):
        raise typer.BadParameter("Corners are those of one photograph; give one file.", param_hint="--corners")
    try:
        return read_photo_request(photo, corners)
    except CornersError as e:
        raise typer.BadParameter(str(e), param_hint="--photo" if corners is None else "--corners") from e


def _read_choices(told: list[str]) -> dict[str, str]:
    """Read what decides which check-ups are meant, where each file chooses, as fields of medloupe.model.applies."""
    from medloupe.inference.find import list_questions
    from medloupe.model.applies import PREFIX, read_told

    fields = {f"{PREFIX}{name.removeprefix(PREFIX)}": value for name, value in parse_pairs(told).items()}
    if not fields:
        return {}
    questions = list_questions()
    try:
        _, unknown = read_told(fields, questions)
    except MedloupeError as e:
        raise typer.BadParameter(str(e), param_hint="--with") from e
    if unknown:
        there = "; ".join(f"{name}={'|'.join(choices)}" for name, choices in questions.items())
        raise typer.BadParameter(
            f"No check-up that `auto` chooses among asks for {unknown[0].removeprefix(PREFIX)}"
            f"{f' (they ask for {there})' if there else ''}; name the model to tell it more.",
            param_hint="--with",
        )
    return fields


def _files(paths: list[str], kinds: Collection[str]) -> Iterator[Path]:
    from medloupe.inference.paths import expand_paths
    from medloupe.inference.predictors import answering, list_folder

    found = expand_paths(paths, lambda folder: list_folder(folder, kinds))
    for kind in kinds:
        found = answering(kind).whole(found)
    return found


def _inputs_by_file(
    model: Model, told: list[str], table: Path | None, paths: list[str]
) -> Callable[[Path], Mapping[str, str]] | None:
    """Read what is known beside each image: of all by --with, of each by a row of --table, which goes before."""
    from medloupe.inference.inputs import read_inputs_table, require_inputs, weigh_inputs

    if not told and table is None:
        return None
    pairs = parse_pairs(told)
    try:
        common = require_inputs(model, pairs)
        files = [] if table is None else list(_files(paths, (model.backbone.card.modality,)))
        rows = {} if table is None else read_inputs_table(model, table, files)
        if model.extras is not None:
            weigh_inputs(model.extras, model.labels, common)  # what cannot be read is told before any image is
    except DataError:  # the table, not how it was asked for
        raise
    except MedloupeError as e:
        raise typer.BadParameter(str(e), param_hint="--with" if told else "--table") from e
    if without := len(files) - len(rows):
        typer.echo(f"{table} has no row for {without:,} of {len(files):,} images.", err=True)
    return lambda path: {**common, **rows.get(path, {})}
