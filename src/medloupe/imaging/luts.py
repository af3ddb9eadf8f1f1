"""Read lookup tables of DICOM as they are, whatever their descriptor says: PS3.3 C.11.1 and C.11.2.

Writers often tell the wrong depth: the third number of the descriptor is then the size in which the values are stored,
or entries of 8 bits are packed two a word. Viewers go by what the table holds, and so does this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

_SPARE = 2  # bits that a table must leave unused, at least, before its depth is doubted; a dark one may leave one


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupTable:
    """A lookup table.

    Attributes
    ----------
    values : ndarray of uint16, shape (n,)
        What is looked up.
    first : int
        The value that is mapped to the first of them.
    declared : int
        Bits that the descriptor tells.
    """

    values: np.ndarray
    first: int
    declared: int

    @property
    def bits(self) -> int:
        """The depth that counts: the declared one unless the values contradict it."""
        return believed_bits(self.declared, int(self.values.max()))

    def apply(self, stored: np.ndarray) -> np.ndarray:
        """Look values up; those outside get the first or the last entry."""
        at = np.clip(np.nan_to_num(np.rint(stored)).astype(np.int64) - self.first, 0, len(self.values) - 1)
        return self.values[at]


def believed_bits(declared: int, most: int) -> int:
    """Tell how many bits values have that reach `most`: as declared, unless they take more, or far fewer."""
    held = max(1, most.bit_length())
    return held if held > declared or held <= declared - _SPARE else declared


def read_table(item: Dataset, lowest: float) -> LookupTable:
    """Read the table of an item of a modality or VOI LUT sequence.

    Parameters
    ----------
    item : Dataset
        With LUTDescriptor and LUTData.
    lowest : float
        The lowest value to be looked up; where it is negative, so may the first value mapped be.

    Raises
    ------
    ValueError
        Where the table is empty or cut short.
    """
    entries, first, declared = (int(v) for v in item.LUTDescriptor)
    entries = entries & 0xFFFF or 0x10000
    if first > 0x7FFF and lowest < 0:
        first -= 0x10000
    values = unpack_entries(item["LUTData"].value, entries, little=bool(item.original_encoding[1] is not False))
    if not len(values):
        raise ValueError("an empty lookup table")
    return LookupTable(values=values, first=first, declared=max(1, min(declared, 16)))


def unpack_entries(data: object, entries: int, *, little: bool) -> np.ndarray:
    """Unpack a table's data, bytes or numbers, to uint16 (n,), n = entries where there are as many.

    Entries of 8 bits may fill a byte each, two a word: they are told by there being half as many words.
    """
    order = "<u2" if little else ">u2"
    if isinstance(data, bytes | bytearray):
        raw = bytes(data)
    else:
        numbers = np.atleast_1d(np.asarray(data, np.int64)) & 0xFFFF
        if 2 * len(numbers) - entries not in (0, 1):
            return numbers[:entries].astype(np.uint16)
        raw = numbers.astype(order).tobytes()
    if len(raw) - entries in (0, 1) and len(raw) < 2 * entries:
        return np.frombuffer(raw, np.uint8, entries).astype(np.uint16)
    return np.frombuffer(raw, order, min(entries, len(raw) // 2)).astype(np.uint16)
