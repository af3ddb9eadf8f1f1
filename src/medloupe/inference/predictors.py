"""Choose the predictor that answers: by what a model looks at, and with `auto` by what each file is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from medloupe.errors import StoreError
from medloupe.imaging import headers
from medloupe.inference.pictures import AutoPredictor, Predictor, Unanswered, predict_in_order
from medloupe.model.bundle import Model
from medloupe.model.prediction import Prediction

if TYPE_CHECKING:
    from medloupe.inference.ecgs import EcgPredictor
    from medloupe.inference.pictures import LooksLike

_START_BYTES = 64 * 1024


def predictor(
    model: Model,
    *,
    network_threads: int | None = None,
    looks_like: LooksLike | None = None,
    rate: float | None = None,
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
    """
    if model.backbone.card.modality == "ecg":
        from medloupe.inference.ecgs import EcgPredictor

        return EcgPredictor(model, network_threads=network_threads, rate=rate)
    return Predictor(model, network_threads=network_threads, looks_like=looks_like)


class AnyPredictor:
    """Lets each file choose the model, pictures and ECGs alike; safe to use from several threads.

    Parameters
    ----------
    pictures, ecgs : callable
        Called when the first file of that kind comes; they raise StoreError where there is no model for it.
    network_threads : int, optional
        Of one run of the network; settings.threads() by default.
    rate : float, optional
        Of ECGs, in Hz, where a file tells none.
    """

    def __init__(
        self,
        pictures: Callable[[], Sequence[Model]],
        ecgs: Callable[[], Sequence[Model]],
        *,
        network_threads: int | None = None,
        rate: float | None = None,
    ):
        self._pictures, self._ecgs = pictures, ecgs
        self._threads, self._rate = network_threads, rate

    def predict_many(self, files: Iterable[Path]) -> Iterator[tuple[Path, Prediction | Unanswered]]:
        """Answer files as Predictor.predict_many does.

        What kind a file is of is told by its first bytes and its name.
        """
        pictures = cache(lambda: AutoPredictor(self._pictures(), network_threads=self._threads))
        ecgs = cache(self._of_ecgs)

        def chosen(waiting: Iterable[Path]) -> Iterator[Path]:
            for path in waiting:
                _ = ecgs() if is_ecg_file(path) else pictures()  # opened by one thread
                yield path

        def predict(path: Path) -> Prediction:
            return ecgs().predict(path) if is_ecg_file(path) else pictures().predict(path)

        yield from predict_in_order(predict, chosen(files))

    def _of_ecgs(self) -> AutoEcgPredictor:
        return AutoEcgPredictor(self._ecgs(), network_threads=self._threads, rate=self._rate)


class AutoEcgPredictor:
    """Lets each ECG choose the model by its leads; of several that fit, the one to which it is least foreign."""

    def __init__(self, models: Sequence[Model], *, network_threads: int | None = None, rate: float | None = None):
        from medloupe.inference.ecgs import EcgPredictor

        self._rate = rate
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

        signal = read_ecg(Path(source) if isinstance(source, str) else source, rate=self._rate)
        able = select_fitting_backbones(signal, [p.model.backbone.card for p in self._predictors])
        file = str(source) if isinstance(source, str | Path) else ""
        answers = [self._predictors[k].predict_signal(signal, {}, file=file, heatmap=heatmap) for k in able]
        answered = [a for a in answers if a[0].refused is None]
        return min(answered or answers, key=lambda a: a[1])[0]


def list_ecg_models() -> list[Model]:
    """List the models of ECGs in production or shipped.

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
    able = [m for m in models if m.backbone.card.modality == "ecg"]
    if not able:
        raise StoreError(
            f"No model of the store {store.home} reads ECGs.", "Train one: medloupe train FOLDER --name NAME"
        )
    return able


def is_ecg_file(path: Path) -> bool:
    """Tell whether a file is an ECG rather than a picture, by its start and its name; False where it cannot be read."""
    from medloupe.ecg.files import is_ecg_bytes

    try:
        with path.open("rb") as f:
            start = f.read(_START_BYTES)
    except OSError:
        return path.with_name(path.name + ".hea").is_file()  # a WFDB record without its suffix
    if headers.sniff(start[: headers.SNIFF_BYTES]) == "DICOM":
        return headers.WAVEFORM_CLASSES in start
    return is_ecg_bytes(start, path.name)


def merge_ecg_parts(paths: Iterable[Path]) -> Iterator[Path]:
    """List the files of ECGs, each recording once: in place of its parts the header of a WFDB record."""
    done: set[Path] = set()
    for path in paths:
        header = path.with_suffix(".hea")
        part = path.suffix.lower() in (".dat", ".atr", ".qrs", ".xyz") and header.is_file()
        chosen = header if part else path
        if chosen not in done:
            done.add(chosen)
            yield chosen


def list_folder(folder: Path, *, pictures: bool, ecgs: bool) -> Iterator[Path]:
    """List what a folder holds of pictures and ECGs, as data sets are read."""
    from medloupe.data.readers.base import walk

    seen = walk(folder)
    names: list[str] = []
    if ecgs:
        from medloupe.data.readers.ecg.folder import find_ecgs

        names += find_ecgs(seen).images
    if pictures:
        names += [name for name in seen.images if name not in set(names)]
    return (folder / name for name in names)
