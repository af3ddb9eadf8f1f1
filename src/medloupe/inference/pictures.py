"""Answer pictures: image → decode → network → calibrated probabilities → answer. Nothing here trains."""

from __future__ import annotations

import glob
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medloupe.embed.modalities import EMBEDDINGS
from medloupe.embed.network import Network
from medloupe.errors import ClinicalError, ImageError
from medloupe.graphs.session import open_session, run
from medloupe.imaging.decode import load_judged
from medloupe.imaging.quality import Limits
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision, Why
from medloupe.model.head import probabilities
from medloupe.model.prediction import Influence, Prediction, Refusal
from medloupe.model.quality import judge_quality
from medloupe.model.router import refusal_reason
from medloupe.settings import threads

if TYPE_CHECKING:
    from medloupe.inference.inputs import WeighedInputs

_AHEAD = 8  # images decoded or answered at once for each worker
LooksLike = Callable[[np.ndarray, str], str]  # as Router.looks_like
Unanswered = ImageError | ClinicalError  # what is wrong with one file, not with all


class Predictor:
    """A model ready to answer; safe to use from several threads.

    A model loaded from one self-contained file answers with that file, one from the store with its backbone and head.

    Parameters
    ----------
    model : Model
        The model.
    network_threads : int, optional
        Of one run of the network; settings.threads() by default.
    looks_like : callable, optional
        Asked what a refused picture looks like instead, with its embedding and the model's name.
    """

    def __init__(self, model: Model, *, network_threads: int | None = None, looks_like: LooksLike | None = None):
        self.model = model
        self._looks_like = looks_like
        self.size: int = model.backbone.card.input_size
        self._file = open_session(model.onnx, threads=network_threads) if model.onnx is not None else None
        self._network = None if self._file else Network(model.backbone, model.tail, threads=network_threads)
        self._decision = Decision.from_card(model.card)
        self._kind = EMBEDDINGS[model.backbone.card.modality]
        self._limits = Limits.from_json(model.card.get("quality"))

    def predict(
        self,
        image: str | Path | bytes | np.ndarray,
        given: Mapping[str, str] | None = None,
        *,
        file: str = "",
        heatmap: bool = False,
    ) -> Prediction:
        """Answer one image.

        Parameters
        ----------
        image : str, Path, bytes or np.ndarray
            A path, the bytes of a file, or pixels.
        given : mapping, optional
            What is known beside it, by the names of the model's inputs.
        file : str
            What to call it in the answer; its path by default.
        heatmap : bool
            Whether heat maps are wanted, too.

        Raises
        ------
        ImageError
            When it cannot be read.
        ClinicalError
            When a value beside it cannot be read.
        MedloupeError
            When the model has no such input.
        """
        beside = self._beside(given or {})
        started = time.perf_counter()
        source = Path(image) if isinstance(image, str) else image
        pixels, unusable = self._look(source)
        decoded = time.perf_counter()
        logits, parts, shared = self._run(pixels[None], heatmap=heatmap)
        answered = time.perf_counter()
        name = file or (str(image) if isinstance(image, (str, Path)) else "")
        return make_prediction(
            self.model,
            self._decision,
            name,
            logits[0] if beside is None else logits[0] + beside.logits,
            None if parts is None else parts[0],
            {"decode": 1000 * (decoded - started), "network": 1000 * (answered - decoded)},
            refused=None if shared is None or unusable else self.refusal(shared[0]),
            inputs=None if beside is None else beside.influences,
            unusable=unusable,
        )

    def _look(self, source: Path | bytes | np.ndarray) -> tuple[np.ndarray, Why | None]:
        """Bring an example into the form that the network reads; of a picture also why it cannot be used, if so."""
        if self._kind.name != "image":
            return self._kind.window(source, self.model.backbone.card), None
        pixels, measures = load_judged(source, self.size)
        return pixels, judge_quality(measures, self._limits)

    def _beside(self, given: Mapping[str, str]) -> WeighedInputs | None:
        """Weigh what is given beside a picture; None of a model that reads the picture alone."""
        if self.model.extras is None and not given:
            return None
        from medloupe.inference.inputs import require_inputs, weigh_inputs

        known = require_inputs(self.model, given)
        return None if self.model.extras is None else weigh_inputs(self.model.extras, self.model.labels, known)

    def run(self, pixels: np.ndarray, *, heatmap: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
        """Run the model on pictures alone.

        Parameters
        ----------
        pixels : np.ndarray
            uint8 (N, S, S, 3).
        heatmap : bool
            Whether heat maps are wanted, too.

        Returns
        -------
        logits : np.ndarray
            float32 (N, K), calibrated.
        heatmaps : np.ndarray or None
            float32 (N, K, h, w), if asked for.
        """
        return self._run(pixels, heatmap=heatmap)[:2]

    def _run(self, pixels: np.ndarray, *, heatmap: bool) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Run as `run` does; also embeddings (N, D) that novelty reads, of a file only if needed."""
        if self._file is not None:
            wanted = ["logits"]
            if self.model.novelty is not None:
                wanted.append("embedding")
            if heatmap:
                wanted.append("heatmap")
            found = dict(zip(wanted, run(self._file, wanted, pixels), strict=True))
            return found["logits"], found.get("heatmap"), found.get("embedding")
        assert self._network is not None
        seen = self._network.see(pixels, maps=heatmap)
        return (*apply_head(self.model, seen.embedding, seen.map), seen.shared)

    def embedding(self, source: str | Path | bytes | np.ndarray) -> np.ndarray:
        """Compute what novelty reads of one example: float32 (D,). Raises ImageError."""
        window = self._kind.window(source, self.model.backbone.card)[None]
        if self._file is not None:
            return run(self._file, ["embedding"], window)[0][0]
        assert self._network is not None
        return self._network.see(window).shared[0]

    def refusal(self, embedding: np.ndarray) -> Refusal | None:
        """Tell why a picture with this embedding (D,) is not judged; None where it is of the model's kind."""
        novelty = self.model.novelty
        if novelty is None or (score := float(novelty.score(embedding[None])[0])) <= 1:
            return None
        name = self.model.name
        return Refusal(
            reason=refusal_reason(name, score), looks_like=self._looks_like(embedding, name) if self._looks_like else ""
        )

    def predict_many(
        self, files: Iterable[Path], given: Callable[[Path], Mapping[str, str]] | None = None
    ) -> Iterator[tuple[Path, Prediction | Unanswered]]:
        """Answer files in their order, several at once; an unreadable file gives its error and the rest go on.

        given: what is known beside each picture.
        """
        return predict_in_order(self.predict if given is None else lambda path: self.predict(path, given(path)), files)


def apply_head(model: Model, embedding: np.ndarray, maps: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Apply a model's head: calibrated logits (N, K) and, from maps (N, D, h, w), heat maps (N, K, h, w)."""
    logits = model.head.logits(embedding)
    if maps is None:
        return logits, None
    from medloupe.model.heatmaps import map_contributions

    return logits, map_contributions(model.head, maps)


def make_prediction(
    model: Model,
    decision: Decision,
    file: str,
    logits: np.ndarray,
    parts: np.ndarray | None,
    timings: Mapping[str, float],
    refused: Refusal | None = None,
    inputs: tuple[Influence, ...] | None = None,
    unusable: Why | None = None,
) -> Prediction:
    """Turn logits (K,) into a Prediction. A refused or unusable one keeps its probabilities; nothing is said of it."""
    return Prediction.of(
        decision,
        probabilities(logits.astype(np.float64), decision.task),
        refused=refused,
        unusable=unusable,
        heatmap=parts,
        file=file,
        model=model.name,
        version=model.version,
        timings=timings,
        inputs=inputs,
    )


def predict_in_order(
    predict: Callable[[Path], Prediction], files: Iterable[Path]
) -> Iterator[tuple[Path, Prediction | Unanswered]]:
    """Predict each file in its order, several at once; what one file lacks is given, not raised."""
    waiting = iter(files)

    def one(path: Path) -> tuple[Path, Prediction | Unanswered]:
        try:
            return path, predict(path)
        except (ImageError, ClinicalError) as e:
            return path, e

    with ThreadPoolExecutor(threads()) as pool:
        running = [pool.submit(one, path) for path in islice(waiting, _AHEAD * threads())]
        while running:
            yield running.pop(0).result()
            running += [pool.submit(one, path) for path in islice(waiting, 1)]


def expand_paths(paths: Iterable[str], within: Callable[[Path], Iterable[Path]] | None = None) -> Iterator[Path]:
    """Expand paths to the files that they name.

    Files stay as they are, folders become all images within, globs what they match. A path that names nothing comes
    back as it is, to fail as a missing file.

    Parameters
    ----------
    paths : iterable of str
        As people type them.
    within : callable, optional
        What counts in a folder, instead of images. What counts as an image is what counts when a data set is read.
    """
    within = within or _images_in
    for text in paths:
        path = Path(text)
        if path.is_dir():
            yield from within(path)
        elif path.exists():
            yield path
        else:
            matches = [Path(m) for m in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207 (may start anywhere)
            for match in matches:
                if match.is_dir() and "**" not in text:  # which names what is in the folders already
                    yield from within(match)
                elif match.is_file():
                    yield match
            if not matches:
                yield path


def _images_in(folder: Path) -> Iterator[Path]:
    from medloupe.data.readers.base import walk

    return (folder / name for name in walk(folder).images)
