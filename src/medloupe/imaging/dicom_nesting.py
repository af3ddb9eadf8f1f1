"""Refuse DICOM files whose sequences lie too deep in each other, before they are parsed.

Parsers of DICOM call themselves for each level: a few megabytes of nested items keep them busy for minutes. This walks
over the elements once, without looking into their values.
"""

from __future__ import annotations

import struct

from medloupe.errors import UnreadableImageError

MAX_DEPTH = 32
"""Most sequences within each other; structured reports, which nest most, have about ten."""

MAX_ELEMENTS = 500_000
"""Most elements of a file, those in sequences counted."""

_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_PIXELS = (0x7FE0, 0x0010)
_UNDEFINED = 0xFFFFFFFF


def check_nesting(data: bytes, at: int, *, implicit: bool, little: bool, name: str) -> None:
    """Check how deep the sequences of a data set are nested, and how many elements it has.

    Parameters
    ----------
    data : bytes
        The file.
    at : int
        Where its data set begins.
    implicit, little : bool
        How its elements are written.
    name : str
        What to call it in errors.

    Raises
    ------
    UnreadableImageError
        Where they are deeper than MAX_DEPTH, or more than MAX_ELEMENTS.
    """
    order = "<" if little else ">"
    tag_of, long_of, short_of = struct.Struct(order + "HH"), struct.Struct(order + "I"), struct.Struct(order + "H")
    item = tag_of.pack(*_ITEM)
    ends: list[int | None] = []  # of the sequences and items around; None where a delimiter ends them
    end, count = len(data), 0
    while at + 8 <= end:
        while ends and (last := ends[-1]) is not None and at >= last:
            ends.pop()
        count += 1
        if count > MAX_ELEMENTS:
            raise UnreadableImageError(f"{name} has more than {MAX_ELEMENTS:,} elements.", "Export it again.")
        tag = tag_of.unpack_from(data, at)
        if tag in (_ITEM_END, _SEQUENCE_END):
            if ends:
                ends.pop()
            at += 8
            continue
        vr = data[at + 4 : at + 6]
        if tag == _ITEM or implicit:
            head, (length,) = 8, long_of.unpack_from(data, at + 4)
        elif vr in _LONG:
            if at + 12 > end:
                return
            head, (length,) = 12, long_of.unpack_from(data, at + 8)
        else:
            head, (length,) = 8, short_of.unpack_from(data, at + 6)
        begin = at + head
        if length == _UNDEFINED and tag == _PIXELS:
            return  # fragments, which are no data sets
        if length == _UNDEFINED or tag == _ITEM or vr == b"SQ" or data[begin : begin + 4] == item:
            ends.append(None if length == _UNDEFINED else begin + length)
            if len(ends) > 2 * MAX_DEPTH:  # a sequence and its item
                raise UnreadableImageError(
                    f"{name} has sequences more than {MAX_DEPTH} deep in each other, which no DICOM file needs.",
                    "Export it again from where it came.",
                )
            at = begin
        else:
            at = begin + length
