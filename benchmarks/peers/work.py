"""What every peer does with a picture, so that they differ in the serving only: Pillow decodes and fits, ONNX Runtime
answers. The model's path comes by MODEL, the count of worker processes or threads by WORKERS."""

from __future__ import annotations

import json
import os
from typing import BinaryIO

import numpy as np
import onnxruntime
from PIL import Image

WORKERS = int(os.environ.get("WORKERS", "2"))


def load(threads: int | None = None) -> onnxruntime.InferenceSession:
    """The model; threads: of one answer (None: as ONNX Runtime chooses, one a core)."""
    options = onnxruntime.SessionOptions()
    if threads is not None:
        options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])


def labels(session: onnxruntime.InferenceSession) -> list[str]:
    """In the order of the model's outputs."""
    return json.loads(session.get_modelmeta().custom_metadata_map["medloupe.card"])["labels"]


def fit(picture: Image.Image) -> np.ndarray:
    """uint8 (1, 224, 224, 3) as the model was trained: aspect kept, bicubic, centred on black."""
    picture = picture.convert("RGB")
    w, h = (max(1, round(side * 224 / max(picture.size))) for side in picture.size)
    out = Image.new("RGB", (224, 224))
    out.paste(picture.resize((w, h), Image.Resampling.BICUBIC), ((224 - w) // 2, (224 - h) // 2))
    return np.asarray(out)[None]


def decode(file: BinaryIO) -> np.ndarray:
    """An uploaded file to uint8 (1, 224, 224, 3)."""
    return fit(Image.open(file))


def answer(session: onnxruntime.InferenceSession, names: list[str], pixels: np.ndarray) -> dict[str, dict[str, float]]:
    """{"probabilities": {label: p}} of uint8 (1, 224, 224, 3)."""
    p = session.run(["probabilities"], {"image": pixels})[0][0]
    return {"probabilities": dict(zip(names, p.tolist(), strict=True))}
