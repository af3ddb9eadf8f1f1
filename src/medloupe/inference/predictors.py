"""Choose the predictor that answers: by what a model looks at, and with `auto` by what each file is.

The table has an entry for each kind of data; kinds added from outside that bring none answer by what their entries in
data/modalities and embed/modalities say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from medloupe.data.modalities import MODALITIES, PICTURES, of_suffix, recognise_file
from medloupe.errors import StoreError
from medloupe.imaging.photo import AUTO, PhotoRequest
from medloupe.inference.choosing import AutoPredictor
from medloupe.inference.find import list_beside, list_choosable_models
from medloupe.inference.paths import merge_ecg_parts
from medloupe.inference.pictures import Predictor, Unanswered, predict_in_order
from medloupe.model.applies import gather_questions, read_applies, read_told
from medloupe.model.bundle import Model
from medloupe.model.choosing import Opinion, choose_nearest
from medloupe.model.decision import Decision
from medloupe.model.prediction import Prediction
from medloupe.model.router import kind_key
from medloupe.utils.tables import Table

if TYPE_CHECKING:
    from medloupe.data.readers.base import Files
    from medloupe.inference.ecgs import EcgPredictor
    from medloupe.inference.pictures import LooksLike


class Chooser(Protocol):
    """What lets each example choose among models of its kind."""

    def predict(self, source: Any, /) -> Prediction:
        """Answer one file. Raises ImageError."""
        ...


class Answering(ABC):
    """How models of one kind of data answer. name: the kind's, as in data/modalities."""

    name: str

    @abstractmethod
    def predictor(
        self,
        model: Model,
        *,
        network_threads: int | None,
        looks_like: LooksLike | None,
        rate: float | None,
        gain: float | None,
    ) -> Predictor | EcgPredictor:
        """Make a model ready to answer."""

    @abstractmethod
    def chooser(
        self, *, network_threads: int | None, rate: float | None, gain: float | None, told: Mapping[str, str]
    ) -> Chooser:
        """Open the models at hand among which files choose. Raises StoreError where there is none.

        told: what is known beside the files, as AutoPredictor has it.
        """

    def whole(self, files: Iterable[Path]) -> Iterator[Path]:
        """Of files, each example once: where several files are one, only that by which it is read."""
        yield from files

    @abstractmethod
    def in_folder(self, seen: Files) -> Sequence[str]:
        """Those of a folder's files that are of this kind, relative to it."""


class _PictureAnswering(Answering):
    name = "image"

    def predictor(
        self,
        model: Model,
        *,
        network_threads: int | None,
        looks_like: LooksLike | None,
        rate: float | None,
        gain: float | None,
    ) -> Predictor:
        if model.asks is not None:
            from medloupe.inference.composed import ComposedPredictor

            return ComposedPredictor(model, network_threads=network_threads, looks_like=looks_like)
        return Predictor(model, network_threads=network_threads, looks_like=looks_like)

    def chooser(
        self, *, network_threads: int | None, rate: float | None, gain: float | None, told: Mapping[str, str]
    ) -> AutoPredictor:
        models = list_choosable_models()
        return AutoPredictor(models, beside=list_beside(models), told=told, network_threads=network_threads)

    def in_folder(self, seen: Files) -> Sequence[str]:
        return seen.images


class _EcgAnswering(Answering):
    name = "ecg"

    def predictor(
        self,
        model: Model,
        *,
        network_threads: int | None,
        looks_like: LooksLike | None,
        rate: float | None,
        gain: float | None,
    ) -> EcgPredictor:
        from medloupe.inference.ecgs import EcgPredictor

        return EcgPredictor(model, network_threads=network_threads, rate=rate, gain=gain)

    def chooser(
        self, *, network_threads: int | None, rate: float | None, gain: float | None, told: Mapping[str, str]
    ) -> AutoEcgPredictor:
        models = list_models("ecg")
        return AutoEcgPredictor(models, network_threads=network_threads, rate=rate, gain=gain, told=told)

    def whole(self, files: Iterable[Path]) -> Iterator[Path]:
        return merge_ecg_parts(files)

    def in_folder(self, seen: Files) -> Sequence[str]:
        from medloupe.data.readers.ecg.folder import find_ecgs

        return find_ecgs(seen).images


class _AddedAnswering(Answering):
    """A kind added from outside, by its entries in data/modalities and embed/modalities."""

    def __init__(self, name: str):
        self.name = name
        self._kind = MODALITIES[name]

    def predictor(
        self,
        model: Model,
        *,
        network_threads: int | None,
        looks_like: LooksLike | None,
        rate: float | None,
        gain: float | None,
    ) -> Predictor:
        from medloupe.inference.examples import ExamplePredictor

        return ExamplePredictor(model, network_threads=network_threads)

    def chooser(
        self, *, network_threads: int | None, rate: float | None, gain: float | None, told: Mapping[str, str]
    ) -> Chooser:
        from medloupe.inference.examples import ExampleAuto

        return ExampleAuto(list_models(self.name), network_threads=network_threads, told=told)

    def in_folder(self, seen: Files) -> Sequence[str]:
        return [name for names in seen.skipped.values() for name in names if of_suffix(name) is self._kind]


ANSWERING: Table[Answering] = Table("inference", _PictureAnswering(), _EcgAnswering())


def answering(kind: str) -> Answering:
    """How models of a kind of data answer. Raises MedloupeError where there is no such kind."""
    return ANSWERING.find(kind) or _AddedAnswering(kind)


def _with_photo(made: Any, photo: PhotoRequest) -> Any:
    """Tell what answers pictures whether they may be photographs."""
    if isinstance(made, Predictor | AutoPredictor):
        made.photo = photo
    return made


def predictor(
    model: Model,
    *,
    network_threads: int | None = None,
    looks_like: LooksLike | None = None,
    rate: float | None = None,
    gain: float | None = None,
    photo: PhotoRequest = AUTO,
) -> Predictor | EcgPredictor:
    """Make a model ready to answer.

    Parameters
    ----------
    model : Model
        The model.
    network_threads : int, optional
        Of one run of the network; settings.threads() by default.
    looks_like : callable, optional
        Of pictures, as Predictor has it.
    rate : float, optional
        Of ECGs, in Hz, where a file tells none.
    gain : float, optional
        Of ECGs, units a millivolt, where a file tells no unit.
    photo : PhotoRequest, optional
        Whether pictures may be photographs of pictures, which are then cut out; by default that is found out.
    """
    kind = answering(model.backbone.card.modality)
    made = kind.predictor(model, network_threads=network_threads, looks_like=looks_like, rate=rate, gain=gain)
    return _with_photo(made, photo)


class AnyPredictor:
    """Lets each file choose the model, whatever kind of data it is; safe to use from several threads.

    The models of a kind are opened when the first file of it comes; StoreError where there is none for it.

    Parameters
    ----------
    network_threads : int, optional
        Of one run of the network; settings.threads() by default.
    rate : float, optional
        Of ECGs, in Hz, where a file tells none.
    told : mapping, optional
        What is known beside the files, as AutoPredictor has it.
    photo : PhotoRequest, optional
        As predictor() has it.
    """

    def __init__(
        self,
        *,
        network_threads: int | None = None,
        rate: float | None = None,
        gain: float | None = None,
        told: Mapping[str, str] | None = None,
        photo: PhotoRequest = AUTO,
    ):
        self._threads, self._rate, self._gain, self._told = network_threads, rate, gain, told or {}
        self._photo = photo

    def predict_many(self, files: Iterable[Path]) -> Iterator[tuple[Path, Prediction | Unanswered]]:
        """Answer files as Predictor.predict_many does.

        What kind a file is of is told by its first bytes and its name.
        """

        @cache
        def chooser(kind: str) -> Chooser:
            asked = {"network_threads": self._threads, "rate": self._rate, "gain": self._gain, "told": self._told}
            return _with_photo(answering(kind).chooser(**asked), self._photo)

        def chosen(waiting: Iterable[Path]) -> Iterator[Path]:
            for path in waiting:
                _ = chooser(recognise_file(path).name)  # opened by one thread
                yield path

        def predict(path: Path) -> Prediction:
            return chooser(recognise_file(path).name).predict(path)

        yield from predict_in_order(predict, chosen(files))


class AutoEcgPredictor:
    """Lets each ECG choose its models by its leads; of several that fit, those of the kind that it is nearest to."""

    def __init__(
        self,
        models: Sequence[Model],
        *,
        network_threads: int | None = None,
        rate: float | None = None,
        gain: float | None = None,
        told: Mapping[str, str] | None = None,
    ):
        from medloupe.inference.ecgs import EcgPredictor

        self._rate, self._gain = rate, gain
        self._told, _ = read_told(told or {}, gather_questions(read_applies(m.card) for m in models))
        self._predictors = [EcgPredictor(m, network_threads=network_threads, rate=rate) for m in models]

    def predict(self, source: str | Path | Mapping[str, bytes], *, heatmap: bool = False) -> Prediction:
        """Answer one ECG.

        Raises
        ------
        SignalError
            When it cannot be read or is no usable ECG.
        """
        from medloupe.ecg.files import read_ecg
        from medloupe.inference.recordings import select_fitting_backbones

        signal = read_ecg(Path(source) if isinstance(source, str) else source, rate=self._rate, gain=self._gain)
        cards = [p.model.backbone.card for p in self._predictors]
        able = select_fitting_backbones(signal, cards, [p.leads for p in self._predictors])
        file = str(source) if isinstance(source, str | Path) else ""
        answers = [self._predictors[k].predict_signal(signal, {}, file=file, heatmap=heatmap) for k in able]
        opinions = [_opinion(self._predictors[k].model, *answer) for k, answer in zip(able, answers, strict=True)]
        return choose_nearest(opinions, self._told).prediction


def _opinion(model: Model, prediction: Prediction, foreign: float) -> Opinion:
    return Opinion(
        prediction=prediction,
        decision=Decision.from_card(model.card),
        applies=read_applies(model.card),
        asked=True,
        kind=kind_key(model.card, model.name),
        foreign=foreign,
    )


def list_models(kind: str) -> list[Model]:
    """List the models of a kind of data in production or shipped. kind: its name.

    Raises
    ------
    StoreError
        When there is none.
    """
    from medloupe.starter import shipped
    from medloupe.store.models import Store

    store = Store.open()
    stored = list(dict.fromkeys(v.name for v in store.list()))
    models = [store.get(name, report=False) for name in stored]
    models += [shipped.load_shipped(name) for name in shipped.list_offered() if name not in stored]
    able = [m for m in models if m.backbone.card.modality == kind]
    if not able:
        raise StoreError(
            f"No model of the store {store.home} reads {MODALITIES[kind].called}.",
            "Train one: medloupe train FOLDER --name NAME",
        )
    return able


def list_folder(folder: Path, kinds: Collection[str]) -> Iterator[Path]:
    """List what a folder holds of some kinds of data, as data sets are read. kinds: their names."""
    from medloupe.data.readers.base import walk

    seen = walk(folder)
    names: list[str] = []
    for kind in sorted(kinds, key=lambda kind: kind == PICTURES.name):  # pictures are what no other kind takes
        there = set(names)
        names += [name for name in answering(kind).in_folder(seen) if name not in there]
    return (folder / name for name in names)
