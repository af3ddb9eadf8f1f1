"""Score many files: cut them into shards, give those to workers, and end with a manifest; go on after any end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from medloupe.data.modalities import MODALITIES
from medloupe.errors import DataError, MedloupeError, StoreError
from medloupe.inference.find import AUTO, find_model
from medloupe.inference.inputs import list_askable_inputs, match_inputs
from medloupe.jobs.engines import open_pool
from medloupe.jobs.pool import Lost, WorkerPool
from medloupe.model.bundle import Model
from medloupe.scoring.inputs import Given, Item, list_inputs, read_items
from medloupe.scoring.places import open_place
from medloupe.scoring.rows import import_pyarrow
from medloupe.scoring.shards import ResultFolder
from medloupe.scoring.worker import ScoringQuestion, Shard, ShardScorer, identify
from medloupe.utils.progress import Progress
from medloupe.utils.remote.address import is_remote
from medloupe.version import __version__

ROWS = 500  # files of a shard: half a minute of one core, so that little is lost and little is waited for at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A complete run.

    Attributes
    ----------
    out : str
        The folder of its results, or its address.
    files, answers, unreadable : int
        How many files there were, have an answer, and have none.
    states : mapping
        How many answers have each state.
    kept : int
        Files whose shards were there before.
    replaced : int
        Workers that died and were replaced.
    """

    out: str
    files: int
    answers: int
    unreadable: int
    states: Mapping[str, int]
    kept: int
    replaced: int

    def as_json(self) -> dict[str, Any]:
        """Give the line that `score --json` prints."""
        return asdict(self)


def score(
    reference: str,
    source: str,
    out: str | Path,
    *,
    engine: str = "local",
    workers: int | None = None,
    rows: int = ROWS,
    image: str | None = None,
    given: Mapping[str, str] | None = None,
    rate: float | None = None,
    gain: float | None = None,
    photo: str = "auto",
    cropped: bool = False,
    urls: bool = False,
    progress: Progress | None = None,
) -> Scored:
    """Score all files of a folder, list or table, each once.

    What is there of an earlier run with the same arguments is kept; of a complete one nothing is done again. The
    results are the same bytes by every engine, however often it was interrupted.

    Parameters
    ----------
    reference : str
        A model by name, name@version or file; or `auto`.
    source : str
        A folder, a file, a glob, a list (.txt, a file a line) or a table; here, or by its address (s3, gs, az, https).
    out : str or Path
        The folder of results, or its address in object storage.
    engine, workers
        As medloupe.jobs.engines.open_pool has them.
    rows : int
        Files of one shard.
    image : str, optional
        The column of a table that names the files.
    given : mapping, optional
        What is known beside all files, by names of the model's inputs. Columns of a table of such names say it of each.
    rate, gain : float, optional
        Of ECGs, as `medloupe.predictor` has them.
    photo : str
        Whether pictures are photographs: auto, never or always.
    cropped : bool
        Whether they are crops, of a model that looks at crops alone.
    urls : bool
        Whether a list or table may name addresses.
    progress : callable, optional
        Called with how many files are done, and of how many.

    Raises
    ------
    DataError
        When there is nothing to score.
    StoreError
        When there is no such model, or the folder holds results of another run.
    RemoteError, BusyError
        When what lies elsewhere cannot be read or written; what is done is kept.
    MedloupeError
        When what is told does not go with the model.
    """
    import_pyarrow()
    model = None if reference == AUTO and not Path(reference).is_file() else find_model(reference, composed=True)
    if model is not None:
        _require_question(model, rate, gain, cropped=cropped)
        if not reference.endswith(".onnx") and model.version is not None and model.onnx is None:
            reference = f"{model.name}@{model.version}"  # whatever is promoted meanwhile
    elif given or cropped:
        raise MedloupeError("`auto` takes nothing beside the files.", "Name the model.")
    asked = ScoringQuestion(
        model=reference, identity=identify(reference), rate=rate, gain=gain, photo=photo, cropped=cropped
    )
    place = open_place(out)
    folder = ResultFolder(place)
    folder.prepare()
    with folder.hold() as here:
        told = {"question": asdict(asked), "rows": rows, "source": source, **({"urls": True} if urls else {})}
        plan = _make_plan(folder, told, lambda: _list_items(model, source, image, given or {}, urls=urls), here)
        count = plan["inputs"]["count"]
        shards = -(-count // rows)
        done = kept = 0
        waiting: list[int] = []
        for number, entry in enumerate(folder.read_entries(shards)):
            if entry is None:
                waiting.append(number)
            else:
                kept += entry["files"]
        if progress:
            progress(kept, count)
        replaced = 0
        if waiting:
            listed = folder.bring_items(plan, here)
            where = str(out) if is_remote(str(out)) else str(Path(out).absolute())
            with open_pool(engine, ShardScorer(asked, where), workers) as pool:
                for shard in _score_shards(pool, listed, waiting, rows):
                    done += len(shard.items)
                    if progress:
                        progress(kept + done, count)
                replaced = pool.replaced
        sums = folder.write_manifest(plan, shards)
    return Scored(out=str(out), kept=kept, replaced=replaced, **sums)


def _score_shards(pool: WorkerPool[Shard], listed: Path, numbers: Iterable[int], rows: int) -> Iterator[Shard]:
    """Have shards scored, and yield each that is whole; of those at which workers die, the files to blame are found.

    listed: the list of all files.
    """
    wanted = set(numbers)
    lost: list[Shard] = []
    parts = enumerate(read_items(listed, rows))
    for shard, result in pool.run(Shard(k, items) for k, items in parts if k in wanted):
        if isinstance(result, Lost):
            lost.append(shard)
        else:
            yield shard
    for shard in lost:
        each = [Shard(-1, (item,)) for item in shard.items]
        ending = frozenset(one.items[0].file for one, result in pool.run(each) if isinstance(result, Lost))
        for again, result in pool.run([Shard(shard.number, shard.items, ending)]):
            if isinstance(result, Lost):
                raise MedloupeError(
                    f"Every process that scored shard {shard.number} ended, though each file can be read alone.",
                    "Memory may be short: ask for fewer --workers.",
                )
            yield again


def _list_items(model: Model | None, source: str, image: str | None, given: Given, *, urls: bool) -> Iterator[Item]:
    kinds = MODALITIES.names if model is None else (model.backbone.card.modality,)
    if model is None or model.extras is None:
        yield from list_inputs(source, kinds, image, urls=urls)
        return
    askable, extras = list_askable_inputs(model), model.extras

    def match(row: Given) -> Given:
        return {name: value for name, value in match_inputs(extras, row)[0].items() if name in askable}

    for item in list_inputs(source, kinds, image, match, urls=urls):
        yield replace(item, given={**given, **item.given})


def _make_plan(
    folder: ResultFolder, told: Mapping[str, Any], items: Callable[[], Iterator[Item]], here: Path
) -> dict[str, Any]:
    """Make the plan, or take up the one that is there."""
    told = {"medloupe": __version__, **told}
    plan = folder.read_plan()
    if plan is None:
        plan = folder.make_plan(told, items(), here) or folder.read_plan()
    if plan is None:
        raise DataError(f"There is nothing to score in {told['source']}.", "Give a folder with files in it.")
    if other := [name for name in {*told, *plan} - {"inputs"} if plan.get(name) != told.get(name)]:
        said = {"question": "another model or other options", "source": "other files"}
        named = next((said[name] for name in said if name in other), f"another {min(other)}")
        raise StoreError(
            f"{folder.place.name} holds results of {named}.",
            "Give another --out, or the same command as before to go on.",
        )
    return plan


def _require_question(model: Model, rate: float | None, gain: float | None, *, cropped: bool) -> None:
    """Refuse what does not go with a model before any work is done."""
    kind = MODALITIES[model.backbone.card.modality]
    if (rate is not None or gain is not None) and not kind.timed:
        raise MedloupeError(f"{model.name} looks at {kind.called}, which have no rate and no gain.", "Leave it out.")
    crop = model.card.get("crop")
    if cropped and crop is None:
        raise MedloupeError(f"{model.name} looks at whole pictures.", "Leave --cropped out.")
    if crop is not None and not cropped and model.asks is None:
        raise MedloupeError(
            f"{model.name} looks at crops of {', '.join(crop['labels'])} alone.",
            "Say that these are such crops (--cropped), or compose it with a detector first (medloupe compose).",
        )
