"""Score shards in one worker: open the model once, answer files as `predict` does, write the shard."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medloupe.errors import ImageError, MedloupeError
from medloupe.imaging.photo import read_photo_request
from medloupe.inference.find import AUTO, find_model, make_looks_like
from medloupe.inference.pictures import Predictor, Unanswered
from medloupe.inference.predictors import AnyPredictor, predictor
from medloupe.model.bundle import Model
from medloupe.model.prediction import Prediction
from medloupe.scoring.fetching import FetchedItems, GoneError
from medloupe.scoring.inputs import Given, Item
from medloupe.scoring.places import open_place
from medloupe.scoring.rows import answer_row, unreadable_row
from medloupe.scoring.shards import ResultFolder

Answers = Iterator[tuple[Path, Prediction | Unanswered]]
Ask = Callable[[Iterable[Path], Callable[[Path], Given]], Answers]


class ReaderEndedError(ImageError):
    """The process that read this one file ended, every time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringQuestion:
    """What all files are asked.

    Attributes
    ----------
    model : str
        A name with its version, the path of a file, or `auto`.
    identity : str
        As `identify` gives it, of the model that is meant.
    rate, gain : float or None
        Of ECGs, as `predictor` has them.
    photo : str
        Whether pictures are photographs: auto, never or always.
    cropped : bool
        Whether they are crops.
    """

    model: str
    identity: str
    rate: float | None = None
    gain: float | None = None
    photo: str = "auto"
    cropped: bool = False


@dataclass(frozen=True, slots=True)
class Shard:
    """What a worker does at once.

    Attributes
    ----------
    number : int
        Of the shard; below 0 nothing is written, and files are only read, to see which ends the process.
    items : tuple of Item
        The files.
    skip : frozenset of str
        Files that are known to end the process that reads them.
    """

    number: int
    items: tuple[Item, ...]
    skip: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ShardScorer:
    """Opens a model in a worker; what it gives scores shards.

    Attributes
    ----------
    question : ScoringQuestion
        What is asked.
    out : str
        The folder of results, or its address.
    """

    question: ScoringQuestion
    out: str

    def __call__(self) -> Callable[[Shard], dict[str, Any] | None]:
        """Open the model. Raises MedloupeError where it is another than the one that is meant."""
        if identify(self.question.model) != self.question.identity:
            raise MedloupeError(
                f"{self.question.model} is another model for a worker than where this was started.",
                "All machines must share the home folder or the model file, and nothing be promoted meanwhile.",
            )
        ask = open_question(self.question)
        folder = ResultFolder(open_place(self.out))
        return lambda shard: _score(shard, ask, folder)


def _score(shard: Shard, ask: Ask, folder: ResultFolder) -> dict[str, Any] | None:
    rows: list[dict[str, Any]] = []
    unreadable: list[dict[str, str]] = []
    with FetchedItems(shard.items) as files:
        asked = [k for k, item in enumerate(shard.items) if item.file not in shard.skip]
        answers = ask(files.readable(asked), lambda path: files.items[path].given)
        for k, item in enumerate(shard.items):
            if item.file in shard.skip:
                said = "The process that reads it ended each time."
                ended = ReaderEndedError(said, "It may want too much memory, or be made to break decoders.")
                unreadable.append(unreadable_row(item.file, ended))
                continue
            path = files.locate(k)
            if isinstance(path, GoneError):
                unreadable.append(unreadable_row(item.file, path))
                continue
            answer = next(answers)[1]
            if isinstance(answer, Prediction):
                rows.append(answer_row(answer, item.file))
            else:
                row = unreadable_row(item.file, answer)
                unreadable.append({**row, "error": files.name(row["error"], item, path)})
            files.drop(path)
    return folder.write_shard(shard.number, rows, unreadable) if shard.number >= 0 else None


def open_question(question: ScoringQuestion) -> Ask:
    """Open what answers, as `predict` does.

    Raises
    ------
    MedloupeError
        When the model is not there or cannot be asked so.
    """
    photo = read_photo_request(question.photo)
    if _is_auto(question.model):
        every = AnyPredictor(network_threads=1, rate=question.rate, gain=question.gain, photo=photo)
        return lambda files, given: every.predict_many(files)
    model = find_model(question.model, composed=True)
    asked = predictor(
        model,
        network_threads=1,
        looks_like=make_looks_like(model.backbone.sha256),
        rate=question.rate,
        gain=question.gain,
        photo=photo,
    )
    if isinstance(asked, Predictor):
        asked.cropped = question.cropped
    if model.extras is None:
        return lambda files, given: asked.predict_many(files)
    return lambda files, given: asked.predict_many(files, given)


def identify(reference: str) -> str:
    """Name what a reference means right now, by a sha256 of all that answers depend on.

    Raises
    ------
    StoreError, ModelFileError
        When it means nothing.
    """
    if _is_auto(reference):
        from medloupe.starter import shipped
        from medloupe.store.models import Store

        meant: Any = [sorted(Store.open().production().items()), sorted(shipped.list_offered())]
    else:
        meant = _describe(find_model(reference, composed=True))
    return hashlib.sha256(json.dumps(meant, sort_keys=True, default=str).encode()).hexdigest()


def _describe(model: Model) -> list[Any]:
    head = hashlib.sha256(model.head.weight.tobytes() + model.head.bias.tobytes()).hexdigest()
    file = None
    if model.onnx is not None:
        with model.onnx.open("rb") as f:
            file = hashlib.file_digest(f, "sha256").hexdigest()
    parts = [dict(model.card), model.backbone.sha256, head, model.tail and model.tail.sha256, file]
    return [*parts, None if model.asks is None else _describe(model.asks.checkup)]


def _is_auto(reference: str) -> bool:
    return reference == AUTO and not Path(reference).is_file()
