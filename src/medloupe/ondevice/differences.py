"""Send a tuned part of a network as what differs from the shared one: a few bits a weight instead of 16.

A tail's weights bear the names and shapes of those of the backbone that it was tuned from, and lie close to them. Each
difference is sent as a whole number of steps, a step for each tensor, which deflate packs well: most are small. The
browser adds them to the weights of the shared network, which it has already, and puts them into what is left of the
tail's file; card.py tells where. The file so rebuilt is the same in Python and in a browser, to the last bit, and is
named by its sha256.

It is not quite the tail: it is sent so only where what comes out of it is as good as the same (`NEAR`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.embed.samples import generate_images
from medloupe.graphs.session import open_session

if TYPE_CHECKING:
    from onnx import ModelProto

_FINENESS = (54, 80)
"""Steps in a standard deviation of the differences of a tensor, the coarsest first; of convolutions over single places
that many, of others a share of them, as tried on the shipped check-ups: rounding these costs less."""
_SHARES = (("last_map", 1 / 5), ("depthwise", 1 / 3), ("project", 1 / 2), ("_b_", 1 / 3))
_MOST = 16_000
NEAR = 0.002
"""Of the tail's outputs, by which those of the rebuilt one may differ at most: root mean square of the difference, of
pictures that are the same everywhere, as a share of that of the outputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A tensor of a tail: where in its file and in the network's its bytes begin, how many numbers, and the step."""

    at: int
    base: int
    count: int
    step: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """A tail as it is sent.

    Attributes
    ----------
    sha256, length
        Of the file as it is rebuilt.
    parts
        In the order in which they lie in the file.
    data
        What lies in the file around the parts, then the low bytes of all steps, then the high ones; a step is uint16:
        0, -1, 1, -2, 2, … are 0, 1, 2, 3, 4, ….
    """

    sha256: str
    length: int
    parts: tuple[Part, ...]
    data: bytes

    def as_json(self) -> dict[str, Any]:
        """Describe it for a device card."""
        return {
            "sha256": self.sha256,
            "length": self.length,
            "parts": [[p.at, p.base, p.count, p.step] for p in self.parts],
        }


@lru_cache(maxsize=64)
def find_differences(network: Path, tail: Path) -> Differences | None:
    """Give the differences of a tail to the network it was tuned from.

    Returns None where it has none worth sending so: other names or shapes, other numbers than of 16 bits, or outputs
    that would differ.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    base, own = network.read_bytes(), tail.read_bytes()
    pairs = _match(base, own)
    if not pairs:
        return None
    cut = _run(base, {"image": generate_images(_input_size(base))}, ["cut"])[0]
    wanted = _run(own, {"cut": cut}, ["embedding"])[0]
    for fineness in _FINENESS:
        rebuilt, parts, steps = _quantise(base, own, pairs, fineness)
        made = _run(rebuilt, {"cut": cut}, ["embedding"])[0]
        if float(np.sqrt(np.mean((made - wanted) ** 2)) / np.sqrt(np.mean(wanted**2))) <= NEAR:
            around = _leave_out(own, parts)
            digest = hashlib.sha256(rebuilt).hexdigest()
            return Differences(sha256=digest, length=len(own), parts=parts, data=around + steps)
    return None


def rebuild(base: bytes, told: Differences) -> bytes:
    """Rebuild a tail's file from the network's and its differences, as half.js does."""
    out, read, at = bytearray(told.length), 0, 0
    for part in told.parts:
        out[at : part.at] = told.data[read : read + part.at - at]
        read, at = read + part.at - at, part.at + 2 * part.count
    out[at:] = told.data[read : read + told.length - at]
    read += told.length - at
    low, high = np.frombuffer(told.data, np.uint8, offset=read).reshape(2, -1)
    steps, read = _unfold(low.astype(np.uint16) | high.astype(np.uint16) << 8), 0
    for part in told.parts:
        out[part.at : part.at + 2 * part.count] = _add(base, part, steps[read : read + part.count])
        read += part.count
    return bytes(out)


def _fold(steps: np.ndarray) -> np.ndarray:
    """Turn whole numbers into their places in 0, -1, 1, -2, …; int16 to uint16."""
    return ((steps << 1) ^ (steps >> 15)).astype(np.uint16)


def _unfold(folded: np.ndarray) -> np.ndarray:
    return (folded >> 1).astype(np.int16) ^ -(folded & 1).astype(np.int16)


def _add(base: bytes, part: Part, steps: np.ndarray) -> bytes:
    weights = np.frombuffer(base, "<f2", part.count, part.base).astype(np.float64)
    return (weights + steps * part.step).astype("<f2").tobytes()


def _quantise(
    base: bytes, own: bytes, pairs: Sequence[tuple[str, int, int, int]], fineness: int
) -> tuple[bytes, tuple[Part, ...], bytes]:
    rebuilt, parts, all_steps = bytearray(own), [], []
    for name, at, start, count in pairs:
        weights = np.frombuffer(base, "<f2", count, start).astype(np.float64)
        difference = np.frombuffer(own, "<f2", count, at).astype(np.float64) - weights
        fine = fineness * next((share for part, share in _SHARES if part in name), 1)
        step = float(np.float32(max(difference.std() / fine, np.abs(difference).max() / _MOST)))
        steps = np.rint(difference / step).astype(np.int16) if step else np.zeros(count, np.int16)
        part = Part(at=at, base=start, count=count, step=step)
        rebuilt[at : at + 2 * count] = _add(base, part, steps)
        parts.append(part)
        all_steps.append(_fold(steps))
    folded = np.concatenate(all_steps)
    planes = (folded & 255).astype(np.uint8).tobytes() + (folded >> 8).astype(np.uint8).tobytes()
    return bytes(rebuilt), tuple(parts), planes


def _leave_out(own: bytes, parts: Sequence[Part]) -> bytes:
    kept, at = [], 0
    for part in parts:
        kept.append(own[at : part.at])
        at = part.at + 2 * part.count
    return b"".join([*kept, own[at:]])


def _match(base: bytes, own: bytes) -> list[tuple[str, int, int, int]]:
    """Find the tensors of 16 bits that both have: name, offset in the tail, offset in the network, numbers."""
    shared, found = _locate(base), []
    for name, (shape, at) in _locate(own).items():
        if name in shared and shared[name][0] == shape:
            found.append((name, at, shared[name][1], int(np.prod(shape))))
    return sorted(found, key=lambda pair: pair[1])


def _locate(data: bytes) -> dict[str, tuple[tuple[int, ...], int]]:
    """Locate the raw bytes of a file's tensors of 16 bits; what is found twice in it is left out."""
    from onnx import TensorProto

    found: dict[str, tuple[tuple[int, ...], int]] = {}
    for tensor in _read(data).graph.initializer:
        raw = tensor.raw_data
        if tensor.data_type != TensorProto.FLOAT16 or len(raw) < 64:
            continue
        at = data.find(raw)
        if at >= 0 and data.find(raw, at + 1) < 0:
            found[tensor.name] = (tuple(tensor.dims), at)
    return found


def _read(data: bytes) -> ModelProto:
    import onnx

    return onnx.load_from_string(data)


def _input_size(data: bytes) -> int:
    """Read the side of the pictures that a network takes."""
    (given,) = (i for i in _read(data).graph.input if i.name == "image")
    return int(given.type.tensor_type.shape.dim[1].dim_value)


def _run(data: bytes, given: dict[str, np.ndarray], wanted: list[str]) -> list[np.ndarray]:
    return open_session(data, threads=1).run(wanted, given)
