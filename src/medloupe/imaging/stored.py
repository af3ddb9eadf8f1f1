"""Bring the words of a DICOM frame to its values: which bits of a word count, and whether they have a sign.

PS3.5 section 8.1.1: BitsStored bits end at HighBit; what else a word holds may be overlays. Where the words
contradict that, they count. Which of two readings is a picture is told by its neighbours: pixels beside each other
differ little, unless values wrap round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medloupe.imaging.facts import Fact

_SMOOTHER = 0.5  # of the differences between neighbours, below which the other reading is taken
_DISTINCT = 16  # values with the top bit, of which there are fewer in masks and saturated backgrounds
_FEWEST_BITS = 10  # of values without a sign that are taken to have one
_SAMPLES = 200_000
_ROWS = 256  # that are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValues:
    """The values of a frame.

    Attributes
    ----------
    pixels : ndarray
        Of the same shape as its words.
    bits : int
        That a value takes.
    facts : tuple of Fact
        Where the words contradict what is declared.
    """

    pixels: np.ndarray
    bits: int
    facts: tuple[Fact, ...] = ()


def resolve_words(words: np.ndarray, *, bits: int, high_bit: int | None, overlays: bool) -> StoredValues:
    """Bring words to values.

    Parameters
    ----------
    words : ndarray of integers
        As stored; of a signed type where the values are declared so.
    bits : int
        BitsStored.
    high_bit : int or None
        HighBit; None where it says nothing, as of compressed frames.
    overlays : bool
        Whether the unused bits are declared to hold overlays.
    """
    room = 8 * words.itemsize
    if words.dtype.kind not in "iu" or room > 32 or not words.size or not 1 < bits <= room:
        return StoredValues(pixels=words, bits=bits)
    plain = words.view(f"u{words.itemsize}") if words.dtype.isnative else words.astype(f"u{words.itemsize}")
    used = int(np.bitwise_or.reduce(plain, axis=None))
    facts: list[Fact] = []
    shift = 0 if high_bit is None else high_bit + 1 - bits
    if 0 < shift <= room - bits:
        if used >> bits == 0 and used & ((1 << shift) - 1):
            facts.append(Fact("high_bit", {"declared": high_bit or 0, "found": bits - 1}))
        else:
            plain = plain >> np.array(shift, plain.dtype)
            used >>= shift
            if used >> bits:
                plain, used = _keep_low(plain, bits), used & ((1 << bits) - 1)
            return _with_sign(plain, bits, words.dtype.kind == "i", used, facts)
    if words.dtype.kind == "i" and used >> bits and _is_extended(words, bits):
        return _with_sign(_keep_low(plain, bits), bits, True, used & ((1 << bits) - 1), facts)
    if used >> bits:
        kept = _keep_low(plain, bits)
        # Low bits alone have a small range: what counts is how rough they are within it.
        if overlays or _relative_roughness(kept) <= _relative_roughness(plain):
            plain = kept
        else:
            found = used.bit_length()
            facts.append(Fact("bits", {"declared": bits, "found": found}))
            bits = found
        used &= (1 << bits) - 1
    return _with_sign(plain, bits, words.dtype.kind == "i", used, facts)


def _with_sign(plain: np.ndarray, bits: int, signed: bool, used: int, facts: list[Fact]) -> StoredValues:
    """Give the low `bits` of words a sign or none, as declared unless only the other reading is a picture."""
    top = 1 << (bits - 1)
    if not used & top:  # both readings are the same
        return StoredValues(pixels=plain, bits=bits, facts=tuple(facts))
    if (signed or bits >= _FEWEST_BITS) and _may_be_other(plain, top, signed):
        other = _signed(plain, bits) if not signed else plain
        declared = _signed(plain, bits) if signed else plain
        if _roughness(other) < _SMOOTHER * _roughness(declared):
            said = ("signed", "unsigned") if signed else ("unsigned", "signed")
            facts.append(Fact("sign", {"declared": said[0], "found": said[1]}))
            signed = not signed
    return StoredValues(pixels=_signed(plain, bits) if signed else plain, bits=bits, facts=tuple(facts))


def _may_be_other(plain: np.ndarray, top: int, signed: bool) -> bool:
    """Tell whether values may have a sign, or none, against what is declared.

    Many must have the top bit and others not. What has a sign lies around 0, which leaves the middle of the words
    empty; a picture without one is never of black and white alone.
    """
    sample = plain.reshape(-1)[:: max(1, plain.size // _SAMPLES)]
    above = sample[sample >= top]
    if not 0 < above.size < sample.size or np.unique(above).size < _DISTINCT:
        return False
    middle = bool(((sample >= top // 2) & (sample < top + top // 2)).any())
    return middle if signed else not middle


def _signed(plain: np.ndarray, bits: int) -> np.ndarray:
    spare = 8 * plain.itemsize - bits
    return (plain << np.array(spare, plain.dtype)).view(f"i{plain.itemsize}") >> spare


def _keep_low(plain: np.ndarray, bits: int) -> np.ndarray:
    return plain & np.array((1 << bits) - 1, plain.dtype)


def _is_extended(words: np.ndarray, bits: int) -> bool:
    """Tell whether all values of a signed word lie in the range of so many bits."""
    half = 1 << (bits - 1)
    return -half <= int(words.min()) and int(words.max()) < half


def _relative_roughness(values: np.ndarray) -> float:
    """Measure how much neighbours differ, by how far values lie from their mean; infinite where all are the same."""
    rows = values[:: max(1, len(values) // _ROWS)].astype(np.float64)
    spread = float(np.abs(rows - rows.mean()).mean())
    return _roughness(values) / spread if spread else np.inf


def _roughness(values: np.ndarray) -> float:
    """Measure how much neighbours in a row differ, on average."""
    rows = values[:: max(1, len(values) // _ROWS)].astype(np.float64)
    if rows.ndim < 2 or rows.shape[1] < 2:
        return 0.0
    return float(np.abs(np.diff(rows, axis=1)).mean())
