"""Write tensors of the Open Inference Protocol v2: as JSON, or by its binary tensor data extension.

Source: KServe "Open Inference Protocol" and Triton's "Binary Tensor Data Extension".
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medloupe.serving.http.errors import HttpError

MAX_NUMBERS_BACK = 1_000_000
"""Most numbers of an answer in JSON: each takes some 75 bytes of memory while it is written."""
MAX_BINARY_BACK = 64 * 2**20
"""Most bytes of numbers of an answer as binary data."""


def check_answer_size(n: int, numbers: Mapping[str, int], wanted: Sequence[tuple[str, bool]]) -> None:
    """Check that an answer may be held in memory, before anything of it is computed.

    Parameters
    ----------
    n
        Examples.
    numbers
        How many each output has for one example, by name; of texts nothing.
    wanted
        Name of each output asked for, and whether as binary data.

    Raises
    ------
    HttpError
        413 where it is too large.
    """
    for binary, most in ((False, MAX_NUMBERS_BACK), (True, MAX_BINARY_BACK // 4)):
        count = n * sum(numbers.get(name, 0) for name, is_binary in wanted if is_binary == binary)
        if count > most:
            raise HttpError(
                413,
                "answer_too_large",
                f"The answer would hold {count:,} numbers {'as binary data' if binary else 'in JSON'};"
                f" {most:,} are given at most.",
                "Ask for fewer outputs" + (", or split the request." if binary else " or binary data, or split it."),
            )


def render_response(
    head: Mapping[str, Any], outputs: Sequence[tuple[str, np.ndarray | list[str], bool]]
) -> tuple[bytes, dict[str, str]]:
    """Write an answer.

    Parameters
    ----------
    head
        What stands in its JSON before the outputs.
    outputs
        Name, values and whether as binary data; texts are BYTES tensors.

    Returns
    -------
    tuple of bytes, dict
        Its body and headers.
    """
    entries, parts = [], []
    for name, values, binary in outputs:
        entry, part = _output(name, values, binary)
        entries.append(entry)
        parts.append(part)
    text = json.dumps({**head, "outputs": entries}).encode()
    if all(part is None for part in parts):
        return text, {"Content-Type": "application/json"}
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(text))}
    return b"".join([text, *(part for part in parts if part is not None)]), headers


def _output(name: str, values: np.ndarray | list[str], binary: bool) -> tuple[dict[str, Any], bytes | None]:
    """Write one output: its entry in the JSON, and what follows the JSON if it is binary data."""
    texts = isinstance(values, list)
    entry: dict[str, Any] = {
        "name": name,
        "datatype": "BYTES" if texts else "FP32",
        "shape": [len(values)] if texts else list(values.shape),
    }
    if not binary:
        entry["data"] = values if texts else np.asarray(values, np.float64).ravel().tolist()
        return entry, None
    data = _pack(values) if texts else np.ascontiguousarray(values, "<f4").tobytes()
    entry["parameters"] = {"binary_data_size": len(data)}
    return entry, data


def _pack(texts: Sequence[str]) -> bytes:
    encoded = [text.encode() for text in texts]
    return b"".join(struct.pack("<I", len(data)) + data for data in encoded)
