"""Compute all outputs of a check-up for many examples at once, as the Open Inference Protocol wants them."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.imaging.decode import fit
from medloupe.imaging.photo import AUTO
from medloupe.imaging.picture import full_side, image_from_array, whole_picture
from medloupe.imaging.sandbox.pool import Decoded
from medloupe.model.boxes import FoundBox, fit_boxes
from medloupe.model.decision import Why
from medloupe.model.prediction import Prediction
from medloupe.modelfile.layout import BOXES
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.found import find_places
from medloupe.serving.engine.inputs import GivenInputs, read_inputs, weigh_encoded
from medloupe.serving.engine.kinds import asking
from medloupe.serving.engine.negatives import find_inverted
from medloupe.serving.engine.service import Service
from medloupe.serving.engine.windows import run_windows

OUTPUTS = ("probabilities", "logits", "embedding", "heatmap")
MORE_OF_DETECTORS = (BOXES,)
TILING = "tiling"  # a text that only detectors have


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The outputs for a batch of N examples.

    Attributes
    ----------
    answers : list of Answer
        One for each example.
    outputs : dict
        By name, float32 (N, ...) or N texts.
    """

    answers: list[Answer]
    outputs: dict[str, np.ndarray | list[str]]


def infer_all(
    service: Service, checkup: CheckUp, image: np.ndarray | list[bytes], maps: bool, given: dict[str, np.ndarray]
) -> BatchResult:
    """Compute all outputs for a batch; one pass of the network for each picture, to bound its memory.

    Parameters
    ----------
    service
        The running service.
    checkup
        Which answers.
    image
        Pixels uint8 (N, h, w, 3) or N files; of ECGs windows float32 (N, L, T) in mV.
    maps
        Whether to compute the output `heatmap`.
    given
        What is known beside them, float32 (N, width) by name, encoded.
    """
    known = weigh_encoded(checkup, given) if given else [read_inputs(checkup, {})] * len(image)
    answers: list[Answer] = []
    rows: dict[str, list[Any]] = {name: [] for name in (*OUTPUTS, *MORE_OF_DETECTORS)}
    if checkup.windows is not None:
        return _infer_windows(service, checkup, np.asarray(image), maps, known)
    for one, more in zip(image, known, strict=True):
        decoded = _decode(service, checkup, one)
        pixels = decoded.pixels if decoded is not None else _fit_to(np.asarray(one), checkup)
        measures = decoded.measures if isinstance(one, bytes) and decoded is not None else None
        seen = service.answerer.networks.forward(checkup, pixels[None], maps=maps)
        found = service.answerer.networks.apply_head(checkup, seen, 0)
        places = find_places(service.answerer.networks, checkup, seen, decoded)
        own = found.logits if places.logits is None else places.logits
        logits = own if more.logits is None else own + more.logits
        passes = {checkup.network_sha256: places.seen}
        inverted = places.judged is not None and bool(
            find_inverted(service.answerer.networks.forward, [checkup], passes, places.judged)
        )
        width, height = (checkup.size, checkup.size) if decoded is None else (decoded.width, decoded.height)
        boxes = places.boxes
        answer = service.answerer.answer(
            checkup,
            places.seen.shared[0],
            own,
            {},
            known=more,
            measures=measures,
            inverted=inverted,
            boxes=boxes,
            photo=None if decoded is None else decoded.photo,
        )
        answer = places.add_to(answer, decoded)
        digest = hashlib.sha256(one).hexdigest()
        answers.append(Answer(id=secrets.token_hex(16), digest=digest, prediction=answer, checkup=checkup))
        rows["probabilities"].append(checkup.probabilities(logits).astype(np.float32))
        rows["logits"].append(logits)
        rows["embedding"].append(found.embedding)
        if found.parts is not None:
            rows["heatmap"].append(found.parts)
        if seen.boxes is not None:
            tiled = boxes if places.logits is not None else None
            rows[BOXES].append(seen.boxes[0] if tiled is None else _as_rows(tiled, checkup, width, height))
    return _collect(answers, rows)


def _decode(service: Service, checkup: CheckUp, one: bytes | np.ndarray) -> Decoded | None:
    """Decode a file, in full too where it is large for a detector; of pixels only what is so large, else None."""
    above = checkup.full_above
    if isinstance(one, bytes):
        return service.decoders.decode(one, checkup.size, AUTO, above)
    if above is None or max(one.shape[:2]) <= above:
        return None
    picture = whole_picture(image_from_array(one))
    full = picture.fit(full_side(picture.width, picture.height))
    sides = (picture.width, picture.height)
    return Decoded(picture.fit(checkup.size), *sides, picture.kind, 0.0, picture.measure(), full=full)


def _as_rows(boxes: tuple[FoundBox, ...], checkup: CheckUp, width: int, height: int) -> np.ndarray:
    """Put boxes of a picture's tiles into rows as a file gives them: the surest, in pixels of the fitted picture."""
    rows = np.zeros((checkup.most_boxes, 6), np.float32)
    some = boxes[: len(rows)]
    corners = np.array([[b.x, b.y, b.x + b.width, b.y + b.height] for b in some], np.float32)
    rows[: len(some), :4] = fit_boxes(corners, width, height, checkup.size)
    rows[: len(some), 4] = [b.score for b in some]
    rows[: len(some), 5] = [checkup.labels.index(b.label) for b in some]
    return rows


def _infer_windows(
    service: Service, checkup: CheckUp, windows: np.ndarray, maps: bool, known: list[GivenInputs]
) -> BatchResult:
    """Compute the same for windows (N, *checkup.shape), in one pass."""
    seen = run_windows(service.answerer.networks.run, checkup, windows, maps=maps)
    scores = checkup.novelty.score(seen.embedding).tolist() if checkup.novelty is not None else [None] * len(windows)
    logits = seen.logits + np.stack([np.zeros(len(checkup.labels)) if k.logits is None else k.logits for k in known])
    answers: list[Answer] = []
    for window, row, score, more in zip(windows, logits, scores, known, strict=True):
        p = checkup.probabilities(row)
        unusable = _find_missing_leads(checkup, window)
        prediction = Prediction.of(
            checkup.decision,
            p,
            file="",
            model=checkup.name,
            version=checkup.version,
            refused=None if unusable else asking(checkup.modality).refusal(checkup, score),
            unusable=unusable,
            inputs=more.influences,
        )
        digest = hashlib.sha256(window.tobytes()).hexdigest()
        answers.append(Answer(id=secrets.token_hex(16), digest=digest, prediction=prediction, checkup=checkup))
    rows: dict[str, list[Any]] = {
        "probabilities": list(checkup.probabilities(logits).astype(np.float32)),
        "logits": list(logits.astype(np.float32)),
        "embedding": list(seen.embedding),
        "heatmap": list(seen.parts) if seen.parts is not None else [],
    }
    return _collect(answers, rows)


def _find_missing_leads(checkup: CheckUp, window: np.ndarray) -> Why | None:
    """Say which leads of a window (L, T) are missing, that is 0 throughout, where too many are for an answer."""
    if checkup.leads is None or not checkup.leads.reads:
        return None
    return checkup.leads.fault([n for n, lead in zip(checkup.leads.reads, window, strict=True) if not lead.any()])


def _collect(answers: list[Answer], rows: dict[str, list[Any]]) -> BatchResult:
    predictions: list[Prediction] = [a.prediction for a in answers]
    outputs: dict[str, np.ndarray | list[str]] = {n: np.stack(v) for n, v in rows.items() if v}
    outputs["state"] = [p.state for p in predictions]
    outputs["prediction"] = [p.prediction for p in predictions]
    outputs["flagged"] = ["|".join(p.flagged) for p in predictions]
    outputs["refused"] = [p.refused.reason if p.refused else "" for p in predictions]
    outputs[TILING] = ["" if p.tiling is None else _word_tiling(p) for p in predictions]
    return BatchResult(answers, outputs)


def _word_tiling(prediction: Prediction) -> str:
    """Say as JSON how a large picture was looked at, and how many boxes were found, as `boxes` holds the surest."""
    told = {} if prediction.tiling is None else prediction.tiling.as_json()
    return json.dumps({**told, "found": len(prediction.boxes or ())})


def _fit_to(pixels: np.ndarray, checkup: CheckUp) -> np.ndarray:
    if pixels.shape[:2] == (checkup.size, checkup.size):
        return pixels
    return fit(pixels, checkup.size)
