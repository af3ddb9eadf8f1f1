"""The runtime: image → decode → network → calibrated probabilities → answer. Nothing here trains."""

from __future__ import annotations

import glob
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.errors import ImageError
from medloupe.images import load
from medloupe.model import Model, probabilities
from medloupe.records import Prediction
from medloupe.runtime import run, session
from medloupe.settings import threads

_AHEAD = 8  # images decoded or answered at once for each worker


class Predictor:
    """A model ready to answer; safe to use from several threads.

    A model loaded from one self-contained file answers with that file, one from the store with its backbone and head.
    """

    def __init__(self, model: Model, *, network_threads: int | None = None):
        self.model = model
        self.size: int = model.backbone.card.input_size
        self._own = model.onnx is not None
        path = model.onnx if model.onnx is not None else model.backbone.path
        self._network = session(path, threads=network_threads)
        self._limits = operating_points(model.card).astype(np.float32)
        self._weights = decision_weights(model.card)

    def predict(self, image: str | Path | bytes | np.ndarray, *, file: str = "", heatmap: bool = False) -> Prediction:
        """The answer to one image: a path, the bytes of a file, or pixels. Raises ImageError."""
        started = time.perf_counter()
        source = Path(image) if isinstance(image, str) else image
        pixels = load(source, self.size)
        decoded = time.perf_counter()
        logits, parts = self.run(pixels[None], heatmap=heatmap)
        answered = time.perf_counter()
        name = file or (str(image) if isinstance(image, (str, Path)) else "")
        return self.answer(
            name,
            logits[0],
            None if parts is None else parts[0],
            {"decode": 1000 * (decoded - started), "network": 1000 * (answered - decoded)},
        )

    def run(self, pixels: np.ndarray, *, heatmap: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
        """Calibrated logits (N, K) and, if asked for, heat maps (N, K, h, w), of pixels uint8 (N, S, S, 3)."""
        if self._own:
            wanted = ["logits", "heatmap"] if heatmap else ["logits"]
            outputs = run(self._network, wanted, pixels)
            return outputs[0], outputs[1] if heatmap else None
        wanted = ["embedding", "map"] if heatmap else ["embedding"]
        outputs = run(self._network, wanted, pixels)
        logits = self.model.head.logits(outputs[0])
        if not heatmap:
            return logits, None
        from medloupe.heatmaps import contributions

        return logits, contributions(self.model.head, outputs[1])

    def answer(
        self, file: str, logits: np.ndarray, parts: np.ndarray | None, timings: Mapping[str, float]
    ) -> Prediction:
        """Logits (K,) to a Prediction."""
        task = self.model.card["task"]
        p = probabilities(logits.astype(np.float64), task)
        labels = self.model.labels
        if task == "multilabel":
            # In single precision, as the limits were found: near 1 a limit is rounded up to 1, above all that is exact.
            flags = p.astype(np.float32) >= self._limits
            called = "|".join(name for name, flag in zip(labels, flags, strict=True) if flag)
        else:
            called = labels[int((p * self._weights).argmax())]
        order: Sequence[int] = range(len(labels))
        top = self.model.card.get("top_shown")
        if top:
            order = np.argsort(-p)[:top].tolist()
        return Prediction(
            file=file,
            model=self.model.name,
            version=self.model.version,
            prediction=called,
            probabilities={labels[k]: float(p[k]) for k in order},
            heatmap=parts,
            timings=timings,
        )

    def predict_many(self, files: Iterable[Path]) -> Iterator[tuple[Path, Prediction | ImageError]]:
        """Answers in the order of the files, several at once; an unreadable file gives its error and the rest go on."""
        waiting = iter(files)

        def one(path: Path) -> tuple[Path, Prediction | ImageError]:
            try:
                return path, self.predict(path)
            except ImageError as e:
                return path, e

        with ThreadPoolExecutor(threads()) as pool:
            running = [pool.submit(one, path) for path in islice(waiting, _AHEAD * threads())]
            while running:
                yield running.pop(0).result()
                running += [pool.submit(one, path) for path in islice(waiting, 1)]


def operating_points(card: Mapping[str, Any]) -> np.ndarray:
    """Threshold (K,) of each label's operating point; one half where the card has none."""
    rows = {row["label"]: row["operating_point"]["threshold"] for row in card.get("per_label") or ()}
    return np.array([0.5 if rows.get(name) is None else rows[name] for name in card["labels"]])


def decision_weights(card: Mapping[str, Any]) -> np.ndarray:
    """What the probabilities (K,) are multiplied by before the largest is announced; ones where the card has none."""
    weights = (card.get("decision") or {}).get("weights") or {}
    return np.array([weights.get(name, 1.0) for name in card["labels"]])


def expand(paths: Iterable[str]) -> Iterator[Path]:
    """The files that paths name: files as they are, folders by all images within, globs by what they match.

    What counts as an image in a folder is what counts when a data set is read. A path that names nothing comes back as
    it is, to fail as a missing file.
    """
    for text in paths:
        path = Path(text)
        if path.is_dir():
            yield from _images_in(path)
        elif path.exists():
            yield path
        else:
            matches = [Path(m) for m in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207 (may start anywhere)
            for match in matches:
                if match.is_dir() and "**" not in text:  # which names what is in the folders already
                    yield from _images_in(match)
                elif match.is_file():
                    yield match
            if not matches:
                yield path


def _images_in(folder: Path) -> Iterator[Path]:
    from medloupe.readers.base import scan

    return (folder / name for name in scan(folder).images)
