"""Send a tuned part of a network as what differs from the shared one: a few bits a weight instead of 16.

A tail's weights bear the names and shapes of those of the backbone that it was tuned from, and lie close to them. Each
difference is sent as a whole number of steps, with a step for each output channel, which deflate packs well: most are
small. Shipped tails lie on such steps as they are (starter/pack.py). The browser adds them to the weights of the shared
network, which it has already, and puts them into what is left of the tail's file; card.py tells where. The file so
rebuilt is the same in Python and in a browser, to the last bit, and is named by its sha256.

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

_STEPS = (31, 127, 511, 2047)
"""Steps from 0 to a channel's largest difference, the fewest first."""
_MOST = 16_000
_FEWEST = 512  # bytes of a tensor, below which it is sent as it is
NEAR = 0.0012
"""Of the tail's outputs, by which those of the rebuilt one may differ at most: root mean square of the difference, of
pictures that are the same everywhere, as a share of that of the outputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A tensor of a tail: where in its file and in the network's its bytes begin, how many numbers, and channels."""

    at: int
    base: int
    count: int
    channels: int


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
        What lies in the file around the parts, then the sizes of steps, float32 a channel, then the low bytes of all
        numbers of steps, then the high ones; these are uint16: 0, -1, 1, -2, 2, … are 0, 1, 2, 3, 4, ….
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
            "parts": [[p.at, p.base, p.count, p.channels] for p in self.parts],
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
    for most in _STEPS:
        rebuilt, parts, steps = _quantise(base, own, pairs, most)
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
    channels = sum(part.channels for part in told.parts)
    sizes = np.frombuffer(told.data, "<f4", channels, read)
    low, high = np.frombuffer(told.data, np.uint8, offset=read + 4 * channels).reshape(2, -1)
    steps, read, channel = _unfold(low.astype(np.uint16) | high.astype(np.uint16) << 8), 0, 0
    for part in told.parts:
        own = steps[read : read + part.count], sizes[channel : channel + part.channels]
        out[part.at : part.at + 2 * part.count] = _add(base, part, *own)
        read, channel = read + part.count, channel + part.channels
    return bytes(out)


def _fold(steps: np.ndarray) -> np.ndarray:
    """Turn whole numbers into their places in 0, -1, 1, -2, …; int16 to uint16."""
    return ((steps << 1) ^ (steps >> 15)).astype(np.uint16)


def _unfold(folded: np.ndarray) -> np.ndarray:
    return (folded >> 1).astype(np.int16) ^ -(folded & 1).astype(np.int16)


def _add(base: bytes, part: Part, steps: np.ndarray, sizes: np.ndarray) -> bytes:
    weights = np.frombuffer(base, "<f2", part.count, part.base).astype(np.float64)
    added = steps.reshape(part.channels, -1) * sizes.astype(np.float64)[:, None]
    return (weights + added.ravel()).astype("<f2").tobytes()


def _quantise(
    base: bytes, own: bytes, pairs: Sequence[tuple[int, int, int, int]], most: int
) -> tuple[bytes, tuple[Part, ...], bytes]:
    rebuilt, parts, all_sizes, all_steps = bytearray(own), [], [], []
    for at, start, count, channels in pairs:
        part = Part(at=at, base=start, count=count, channels=channels)
        weights, wanted = (np.frombuffer(f, "<f2", count, k).astype(np.float64) for f, k in ((base, start), (own, at)))
        apart = (wanted - weights).reshape(channels, -1)
        size = np.maximum(np.abs(apart).max(1), 1e-12) / most
        steps = np.rint(apart / size[:, None])
        size = ((steps * apart).sum(1) / np.maximum((steps**2).sum(1), 1)).astype(
            np.float32
        )  # rounding hid it a little
        size[size <= 0] = 1e-12
        steps = np.rint(apart / size[:, None]).clip(-_MOST, _MOST).astype(np.int16).ravel()
        rebuilt[at : at + 2 * count] = _add(base, part, steps, size)
        parts.append(part)
        all_sizes.append(size.astype("<f4").tobytes())
        all_steps.append(_fold(steps))
    folded = np.concatenate(all_steps)
    planes = (folded & 255).astype(np.uint8).tobytes() + (folded >> 8).astype(np.uint8).tobytes()
    return bytes(rebuilt), tuple(parts), b"".join(all_sizes) + planes


def _leave_out(own: bytes, parts: Sequence[Part]) -> bytes:
    kept, at = [], 0
    for part in parts:
        kept.append(own[at : part.at])
        at = part.at + 2 * part.count
    return b"".join([*kept, own[at:]])


def _match(base: bytes, own: bytes) -> list[tuple[int, int, int, int]]:
    """Find the tensors of 16 bits that both have: offset in the tail, offset in the network, numbers, channels."""
    shared, found = _locate(base), []
    for name, (shape, at) in _locate(own).items():
        if name in shared and shared[name][0] == shape:
            found.append((at, shared[name][1], int(np.prod(shape)), shape[0]))
    return sorted(found)


def _locate(data: bytes) -> dict[str, tuple[tuple[int, ...], int]]:
    """Locate the raw bytes of a file's tensors of 16 bits; what is found twice in it is left out."""
    from onnx import TensorProto

    found: dict[str, tuple[tuple[int, ...], int]] = {}
    for tensor in _read(data).graph.initializer:
        raw = tensor.raw_data
        if tensor.data_type != TensorProto.FLOAT16 or len(raw) < _FEWEST or len(tensor.dims) < 2:
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
