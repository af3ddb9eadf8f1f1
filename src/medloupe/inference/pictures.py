"""Answer pictures: image → decode → network → calibrated probabilities → answer. Nothing here trains."""

from __future__ import annotations

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
from medloupe.imaging.decode import decode_in_full
from medloupe.imaging.photo import AUTO, Photo, PhotoRequest
from medloupe.imaging.picture import Picture, negative_of
from medloupe.imaging.quality import Limits
from medloupe.inference.answering import apply_head, make_prediction
from medloupe.model import printed_ecg
from medloupe.model.boxes import name_boxes, score_logits
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision, Why
from medloupe.model.large import LargeLook, LargePictures
from medloupe.model.polarity import Negative, looks_inverted, refuse_inverted
from medloupe.model.prediction import Prediction, Refusal
from medloupe.model.quality import judge_legibility, judge_photo, judge_quality
from medloupe.model.router import refusal_reason
from medloupe.model.tiling import LearnedSizes
from medloupe.modelfile.layout import BOXES
from medloupe.settings import threads
from medloupe.starter.printed_ecg import find_printed_ecg

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

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

    Attributes
    ----------
    photo : PhotoRequest
        Whether pictures may be photographs, out of which the picture is cut.
    cropped : bool
        Whether pictures are said to be crops, of a model that looks at crops alone.
    """

    def __init__(self, model: Model, *, network_threads: int | None = None, looks_like: LooksLike | None = None):
        self.model = model
        self.photo: PhotoRequest = AUTO
        self.cropped = False
        self._looks_like, self._printed = looks_like, find_printed_ecg(model)
        self.size: int = model.backbone.card.input_size
        self._file = _open_file(model, network_threads)
        self._network = None if self._file else Network(model.backbone, model.tail, threads=network_threads)
        self._decision = Decision.from_card(model.card)
        self._kind = EMBEDDINGS[model.backbone.card.modality]
        self._limits = Limits.from_json(model.card.get("quality"))
        self._large = None
        if model.detector is not None:
            learned = LearnedSizes.from_card(model.card, self.size)
            self._large = LargePictures.of(self._decision, learned, model.novelty)
        self._full_above = None if self._large is None else self._large.learned.large_from

    def predict(
        self,
        image: str | Path | bytes | np.ndarray,
        given: Mapping[str, str] | None = None,
        *,
        file: str = "",
        heatmap: bool = False,
        photo: PhotoRequest | None = None,
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
        photo : PhotoRequest, optional
            Whether it may be a photograph of a picture; as the attribute says by default.

        Raises
        ------
        ImageError
            When it cannot be read.
        ClinicalError
            When a value beside it cannot be read.
        MedloupeError
            When the model has no such input.
        """
        prediction, _, where, _ = self._predict(image, given, file=file, heatmap=heatmap, photo=photo)
        return prediction.in_photograph(where)

    def judge(
        self, image: str | Path | bytes | np.ndarray, *, file: str = "", heatmap: bool = False
    ) -> tuple[Prediction, np.ndarray | None]:
        """Answer as `predict` does; also give the embedding (D,) by which the image was judged, None without any.

        That is the image's own, or where a detector looked at it in tiles that of one of these.
        """
        prediction, _, where, embedding = self._predict(image, None, file=file, heatmap=heatmap, photo=None)
        return prediction.in_photograph(where), embedding

    def _predict(
        self,
        image: str | Path | bytes | np.ndarray,
        given: Mapping[str, str] | None,
        *,
        file: str,
        heatmap: bool,
        photo: PhotoRequest | None,
    ) -> tuple[Prediction, np.ndarray | None, Photo | None, np.ndarray | None]:
        """Answer as `predict` does, with boxes in pixels of the picture that was looked at.

        Also given: that picture in full, uint8 (F, F, 3), where it was looked at so, where it lay in a photograph, and
        the embedding (D,) by which it was judged.
        """
        beside = self._beside(given or {})
        started = time.perf_counter()
        source = Path(image) if isinstance(image, str) else image
        pixels, picture, full, unusable = self._look(source, photo)
        decoded = time.perf_counter()
        logits, parts, shared, found = self._run(pixels[None], heatmap=heatmap)
        answered = time.perf_counter()
        timings = {"decode": 1000 * (decoded - started), "network": 1000 * (answered - decoded)}
        name = file or (str(image) if isinstance(image, (str, Path)) else "")
        own, embedding = logits[0], None if shared is None else shared[0]
        size = None if picture is None else (picture.width, picture.height)
        seen, at = pixels, size
        boxes = tiling = None
        if found is not None and size is not None:
            boxes = name_boxes(found[0], self.model.labels, *size, self.size)
            large = None if unusable or full is None else self._look_large(full, size, found[0], embedding)
            if large is not None:
                tiling = large.tiling
                timings["tiles"] = 1000 * (time.perf_counter() - answered)
                if large.boxes is not None and large.best is not None and large.pixels is not None:
                    own, boxes = score_logits(large.best).astype(np.float32), large.boxes
                    seen, embedding, at = large.pixels, large.embedding, (self.size, self.size)
        refused = None
        if embedding is not None:
            refused = self.refusal(embedding, None if unusable else self._negative(seen, at))
            refused = refused if not unusable or (refused and refused.code == printed_ecg.CODE) else None
            unusable = None if refused else unusable or judge_legibility(self.model.novelty, embedding)
        prediction = make_prediction(
            self.model,
            self._decision,
            name,
            own if beside is None else own + beside.logits,
            None if parts is None else parts[0],
            timings,
            refused=refused,
            inputs=None if beside is None else beside.influences,
            unusable=unusable,
            facts=() if picture is None else picture.facts,
            boxes=boxes,
            size=None if found is None else size,
            tiling=tiling,
            cropped=self.cropped,
        )
        return prediction, full, None if picture is None else picture.photo, embedding

    def _look_large(
        self, full: np.ndarray, size: tuple[int, int], whole: np.ndarray, embedding: np.ndarray | None
    ) -> LargeLook | None:
        """Look at a large picture in tiles, if it is one. size: its width and height as given."""
        if self._large is None or not self._large.is_large(*size):
            return None

        def run_tiles(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
            _, _, shared, found = self._run(pixels, heatmap=False)
            assert found is not None
            return found, shared

        return self._large.look(full, *size, whole, embedding, run_tiles)

    def _look(
        self, source: Path | bytes | np.ndarray, photo: PhotoRequest | None
    ) -> tuple[np.ndarray, Picture | None, np.ndarray | None, Why | None]:
        """Bring an example into the form that the network reads.

        Of a picture also given: the picture, the same in full where that is wanted, and why it cannot be used, if so.
        """
        if self._kind.name != "image":
            return self._kind.window(source, self.model.backbone.card), None, None, None
        picture, full = decode_in_full(source, self.size, self._full_above, photo or self.photo)
        why = judge_photo(picture.photo, self._decision.photographs) or judge_quality(picture.measure(), self._limits)
        return picture.fit(self.size), picture, full, why

    def _negative(self, pixels: np.ndarray, size: tuple[int, int] | None) -> Negative | None:
        """Give what computes the embedding of the negative of a fitted picture, where it is asked for."""
        if size is None:
            return None

        def compute() -> np.ndarray | None:
            negative = negative_of(pixels, *size)
            return None if negative is None else self.run_shared(negative[None])[0]

        return compute

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

    def _run(
        self, pixels: np.ndarray, *, heatmap: bool
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        """Run as `run` does; also embeddings (N, D) that novelty reads, of a file only if needed, and boxes (N, M, 6).

        Boxes are those of a detector, in pixels of the fitted pictures.
        """
        if self._file is not None:
            wanted = ["logits"]
            if self.model.novelty is not None:
                wanted.append("embedding")
            if heatmap:
                wanted.append("heatmap")
            if self.model.detector is not None:
                wanted.append(BOXES)
            found = dict(zip(wanted, run(self._file, wanted, pixels), strict=True))
            return found["logits"], found.get("heatmap"), found.get("embedding"), found.get(BOXES)
        assert self._network is not None
        seen = self._network.see(pixels, maps=heatmap)
        return (*apply_head(self.model, seen.embedding, seen.map), seen.shared, None)

    def embedding(self, source: str | Path | bytes | np.ndarray) -> np.ndarray:
        """Compute what novelty reads of one example: float32 (D,). Raises ImageError."""
        if self._kind.name == "image":
            return self.run_shared(self._look(Path(source) if isinstance(source, str) else source, None)[0][None])[0]
        return self.run_shared(self._kind.window(source, self.model.backbone.card)[None])[0]

    def run_shared(self, windows: np.ndarray) -> np.ndarray:
        """Compute what novelty reads of examples (N, ...): float32 (N, D)."""
        if self._file is not None:
            return run(self._file, ["embedding"], windows)[0]
        assert self._network is not None
        return self._network.see(windows).shared

    def refusal(self, embedding: np.ndarray, negative: Negative | None = None) -> Refusal | None:
        """Tell why a picture with this embedding (D,) is not judged; None where it is of the model's kind.

        negative: computes the embedding of its negative, where that might be nearer.
        """
        novelty, name = self.model.novelty, self.model.name
        if novelty is None:
            return None
        if negative is not None and looks_inverted(novelty, embedding, negative):
            return refuse_inverted(name)
        if (score := float(novelty.score(embedding[None])[0])) <= 1:
            return None
        alike = self._looks_like(embedding, name) if self._looks_like else ""
        return printed_ecg.refuse_foreign(refusal_reason(name, score), alike, self._printed, embedding)

    def run_with_shared(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Run on pictures uint8 (N, S, S, 3): logits (N, K), and what novelty reads (N, D), None where it has none."""
        logits, _, shared, _ = self._run(pixels, heatmap=False)
        return logits, shared

    def predict_many(
        self, files: Iterable[Path], given: Callable[[Path], Mapping[str, str]] | None = None
    ) -> Iterator[tuple[Path, Prediction | Unanswered]]:
        """Answer files in their order, several at once; an unreadable file gives its error and the rest go on.

        given: what is known beside each picture.
        """
        return predict_in_order(self.predict if given is None else lambda path: self.predict(path, given(path)), files)


def _open_file(model: Model, threads: int | None) -> InferenceSession | None:
    """Open a model's own file; a detector from the store is put together first. None of one that answers in parts."""
    if model.onnx is not None:
        return open_session(model.onnx, threads=threads)
    if model.detector is None:
        return None
    from medloupe.modelfile.writer import build

    return open_session(build(model).SerializeToString(), threads=threads)


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
