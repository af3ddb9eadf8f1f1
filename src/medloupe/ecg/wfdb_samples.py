"""Decode the sample files (.dat) of WFDB records: https://physionet.org/physiotools/wag/signal-5.htm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medloupe.ecg.wfdb_header import SignalLine

_MISSING = {"80": -(2**7), "310": -(2**9), "311": -(2**9), "212": -(2**11), "24": -(2**23), "32": -(2**31)}
_MISSING |= dict.fromkeys(("16", "61", "160"), -(2**15))
"""The stored value that stands for no sample, by format."""


def count_samples(form: str, size: int) -> int:
    """Count the samples of a format that so many bytes hold."""
    if form == "212":
        return size // 3 * 2 + (size % 3 == 2)
    if form in ("310", "311"):
        return size // 4 * 3
    return size // {"8": 1, "80": 1, "24": 3, "32": 4}.get(form, 2)


def decode_file(data: bytes, lines: Sequence[SignalLine], frames: int) -> list[np.ndarray]:
    """Decode the channels of one file.

    Parameters
    ----------
    data : bytes
        The file, with the bytes before the first sample.
    lines : Sequence of SignalLine
        Those of its channels, in order; all of one format.
    frames : int
        How many are read; at most as many as the bytes hold.

    Returns
    -------
    list of ndarray of float32, shape (frames × samples a frame,)
        In the channel's unit; NaN not recorded.
    """
    form = lines[0].form
    total = sum(line.per_frame for line in lines)
    stored = _decode_samples(data[max(line.offset for line in lines) :], form)[: frames * total]
    by_frame = stored.reshape(frames, total)
    found, at = [], 0
    for line in lines:
        samples = by_frame[:, at : at + line.per_frame].reshape(-1)
        at += line.per_frame
        if form == "8":  # differences from each sample to the next
            samples = np.cumsum(samples, dtype=np.int64) + line.initial
        physical = ((samples.astype(np.float64) - line.baseline) / line.gain).astype(np.float32)
        if form in _MISSING:
            physical[samples == _MISSING[form]] = np.nan
        found.append(_advance(physical, line.skew * line.per_frame))
    return found


def _advance(samples: np.ndarray, by: int) -> np.ndarray:
    """Move a channel that lags so many samples; NaN beyond its end."""
    if not by:
        return samples
    moved = np.full_like(samples, np.nan)
    if by < samples.size:
        moved[:-by] = samples[by:]
    return moved


def _decode_samples(data: bytes, form: str) -> np.ndarray:
    """Decode all samples of a file, in the order in which they are stored."""
    if form in ("212", "310", "311"):
        return _unpack(np.frombuffer(data, np.uint8), form, count_samples(form, len(data)))
    whole = data[: len(data) // 3 * 3] if form == "24" else data
    if form == "24":
        parts = np.frombuffer(whole, np.uint8).reshape(-1, 3).astype(np.int32)
        return parts[:, 0] | parts[:, 1] << 8 | (parts[:, 2].astype(np.int8).astype(np.int32) << 16)
    kind = {"8": "i1", "16": "<i2", "61": ">i2", "32": "<i4", "80": "u1", "160": "<u2"}[form]
    samples = np.frombuffer(data, kind, len(data) // np.dtype(kind).itemsize)
    if form == "80":
        return samples.astype(np.int16) - 128
    return samples.astype(np.int32) - 32768 if form == "160" else samples


def _unpack(data: np.ndarray, form: str, count: int) -> np.ndarray:
    """Unpack samples of 12 bits, two in three bytes, or of 10 bits, three in four."""
    block, each, bits = (3, 2, 12) if form == "212" else (4, 3, 10)
    blocks = -(-count // each)
    parts = np.zeros(blocks * block, np.uint8)
    parts[: min(data.size, parts.size)] = data[: parts.size]
    a = parts.reshape(blocks, block).astype(np.int16)
    out = np.empty((blocks, each), np.int16)
    if form == "212":
        out[:, 0] = a[:, 0] | (a[:, 1] & 0x0F) << 8
        out[:, 1] = a[:, 2] | (a[:, 1] >> 4) << 8
    elif form == "310":
        out[:, 0] = a[:, 0] >> 1 | (a[:, 1] & 0x07) << 7
        out[:, 1] = a[:, 2] >> 1 | (a[:, 3] & 0x07) << 7
        out[:, 2] = a[:, 1] >> 3 | (a[:, 3] >> 3) << 5
    else:
        out[:, 0] = a[:, 0] | (a[:, 1] & 0x03) << 8
        out[:, 1] = a[:, 1] >> 2 | (a[:, 2] & 0x0F) << 6
        out[:, 2] = a[:, 2] >> 4 | (a[:, 3] & 0x3F) << 4
    samples = out.reshape(-1)[:count]
    samples[samples >= 1 << (bits - 1)] -= 1 << bits
    return samples
