"""Send a tuned part of a network as what differs from the shared one: a few bits a weight instead of 16.

A tail's weights bear the names and shapes of those of the backbone that it was tuned from, and lie close to them. Each
difference is sent as a whole number of steps, with a step for each output channel, which deflate packs well: most are
small. Shipped tails lie on such steps as they are (starter/pack.py). The browser adds them to the weights of the shared
network, which it has already, corrects by how many places in the order of all halves it still is off (mostly none), and
puts them into what is left of the tail's file; card.py tells where. The file so rebuilt is the tail, to the last bit.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto

_STEPS = (31, 127, 511)
"""Steps from 0 to a channel's largest difference: the fewest that leave little to correct."""
_LITTLE = 0.1  # of the numbers of a tail
_MOST = 16_000
_FEWEST = 512  # bytes of a tensor, below which it is sent as it is
_WORTH = 0.7  # of the tail's bytes, above which differences are not sent


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorPart:
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
        Deflated (zlib): what lies in the file around the parts; the sizes of steps, float32 a channel; the low bytes of
        all numbers of steps, then the high ones; then the same of corrections. These are uint16: 0, -1, 1, -2, 2, … are
        0, 1, 2, 3, 4, ….
    """

    sha256: str
    length: int
    parts: tuple[TensorPart, ...]
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

    Returns None where it has none worth sending so: other names or shapes, or other numbers than of 16 bits.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    base, own = network.read_bytes(), tail.read_bytes()
    pairs = _match(base, own)
    if not pairs:
        return None
    parts, data = _quantise(base, own, pairs)
    if not data:
        return None
    packed = zlib.compress(_leave_out(own, parts) + data, 6)
    if len(packed) > _WORTH * len(own):
        return None
    return Differences(sha256=hashlib.sha256(own).hexdigest(), length=len(own), parts=parts, data=packed)


def rebuild(base: bytes, told: Differences) -> bytes:
    """Rebuild a tail's file from the network's and its differences, as half.js does."""
    out, read, at, data = bytearray(told.length), 0, 0, zlib.decompress(told.data)
    for part in told.parts:
        out[at : part.at] = data[read : read + part.at - at]
        read, at = read + part.at - at, part.at + 2 * part.count
    out[at:] = data[read : read + told.length - at]
    read += told.length - at
    channels = sum(part.channels for part in told.parts)
    sizes = np.frombuffer(data, "<f4", channels, read)
    planes = np.frombuffer(data, np.uint8, offset=read + 4 * channels).reshape(4, -1)
    steps, corrections = (_unfold(planes[k].astype(np.uint16) | planes[k + 1].astype(np.uint16) << 8) for k in (0, 2))
    read, channel = 0, 0
    for part in told.parts:
        place = slice(read, read + part.count)
        near = _add(base, part, steps[place], sizes[channel : channel + part.channels])
        out[part.at : part.at + 2 * part.count] = _from_order(_to_order(near) + corrections[place])
        read, channel = read + part.count, channel + part.channels
    return bytes(out)


def _to_order(halves: bytes) -> np.ndarray:
    """Give the places of halves in their order, int32; 0 is nought, and -0 lies before it."""
    bits = np.frombuffer(halves, "<u2").astype(np.int32)
    return np.where(bits & 0x8000, -1 - (bits & 0x7FFF), bits)


def _from_order(places: np.ndarray) -> bytes:
    return np.where(places < 0, 0x8000 | (-1 - places), places).astype("<u2").tobytes()


def _fold(steps: np.ndarray) -> np.ndarray:
    """Turn whole numbers into their places in 0, -1, 1, -2, …; int16 to uint16."""
    return ((steps << 1) ^ (steps >> 15)).astype(np.uint16)


def _unfold(folded: np.ndarray) -> np.ndarray:
    return (folded >> 1).astype(np.int16) ^ -(folded & 1).astype(np.int16)


def _add(base: bytes, part: TensorPart, steps: np.ndarray, sizes: np.ndarray) -> bytes:
    weights = np.frombuffer(base, "<f2", part.count, part.base).astype(np.float64)
    added = steps.reshape(part.channels, -1) * sizes.astype(np.float64)[:, None]
    return (weights + added.ravel()).astype("<f2").tobytes()


def _quantise(
    base: bytes, own: bytes, pairs: Sequence[tuple[int, int, int, int]]
) -> tuple[tuple[TensorPart, ...], bytes]:
    """Give parts, and sizes, steps and corrections of all; no bytes where a correction is too large."""
    parts, sizes, steps, corrections = _round(base, own, pairs, _STEPS[0])
    for most in _STEPS[1:]:
        if np.count_nonzero(corrections) <= _LITTLE * corrections.size:
            break
        parts, sizes, steps, corrections = _round(base, own, pairs, most)
    if np.abs(corrections).max() > _MOST:
        return parts, b""
    return parts, sizes + _planes(_fold(steps)) + _planes(_fold(corrections.astype(np.int16)))


def _round(
    base: bytes, own: bytes, pairs: Sequence[tuple[int, int, int, int]], most: int
) -> tuple[tuple[TensorPart, ...], bytes, np.ndarray, np.ndarray]:
    """Round differences to steps: parts, the sizes of steps, their numbers, and what is still to be corrected."""
    parts, all_sizes, all_steps, all_corrections = [], [], [], []
    for at, start, count, channels in pairs:
        part = TensorPart(at=at, base=start, count=count, channels=channels)
        weights, wanted = (np.frombuffer(f, "<f2", count, k).astype(np.float64) for f, k in ((base, start), (own, at)))
        apart = (wanted - weights).reshape(channels, -1)
        size = np.maximum(np.abs(apart).max(1), 1e-12) / most
        steps = np.rint(apart / size[:, None])
        # By least squares, since rounding to 16 bits has hidden it a little.
        size = ((steps * apart).sum(1) / np.maximum((steps**2).sum(1), 1)).astype(np.float32)
        size[size <= 0] = 1e-12
        steps = np.rint(apart / size[:, None]).clip(-_MOST, _MOST).astype(np.int16)
        size = _fit_sizes(weights.reshape(channels, -1), own[at : at + 2 * count], steps, size)
        steps = steps.ravel()
        off = _to_order(own[at : at + 2 * count]) - _to_order(_add(base, part, steps, size))
        parts.append(part)
        all_sizes.append(size.astype("<f4").tobytes())
        all_steps.append(steps)
        all_corrections.append(off)
    return tuple(parts), b"".join(all_sizes), np.concatenate(all_steps), np.concatenate(all_corrections)


def _fit_sizes(weights: np.ndarray, own: bytes, steps: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Find sizes of steps with which sums round to the very halves that are wanted, where a channel has such a one.

    Each half is what all sums within half a place of it round to, so each of a channel's numbers bounds the size.
    """
    place = _to_order(own)
    half, below, above = (_halves(place + k) for k in (0, -1, 1))
    low, high = ((half + side).reshape(weights.shape) / 2 - weights for side in (below, above))
    down = steps < 0
    low, high = np.where(down, high, low), np.where(down, low, high)
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(steps == 0, -np.inf, low / steps).max(1)
        most = np.where(steps == 0, np.inf, high / steps).min(1)
    found = np.isfinite(least) & np.isfinite(most) & (least < most)
    middle = (np.where(found, least, sizes) + np.where(found, most, sizes)) / 2
    return middle.astype(np.float32)


def _halves(places: np.ndarray) -> np.ndarray:
    return np.frombuffer(_from_order(places), "<f2").astype(np.float64)


def _planes(folded: np.ndarray) -> bytes:
    return (folded & 255).astype(np.uint8).tobytes() + (folded >> 8).astype(np.uint8).tobytes()


def _leave_out(own: bytes, parts: Sequence[TensorPart]) -> bytes:
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
