"""Read protobuf field by field, in place, before (or without) a parser that builds objects of it.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from medloupe.errors import UnsafeModelError

MAX_FIELDS = 200_000  # EfficientNet-Lite0 has 3,400. An empty node takes 2 bytes in a file and 150 in memory
MAX_DEPTH = 20  # an ONNX model without control flow nests 7 deep
SHORT, LONG, BYTES, WORD = 0, 1, 2, 5  # wire types: varint, 8 bytes, length and bytes, 4 bytes


def iterate_fields(data: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Iterate over the protobuf fields in data, nothing copied.

    Yields
    ------
    tuple
        Number, wire type, start and end of the content.

    Raises
    ------
    ValueError or IndexError
        Where the bytes are not protobuf.
    """
    start, end = 0, len(data)
    while start < end:
        tag, start = _varint(data, start)
        number, kind = tag >> 3, tag & 7
        begin = start
        if kind == SHORT:
            _, start = _varint(data, start)
        elif kind == BYTES:
            size, begin = _varint(data, start)
            start = begin + size
        elif kind in (LONG, WORD):
            start += 8 if kind == LONG else 4
        else:
            raise ValueError("not protobuf: unknown wire type")
        if number == 0 or start > end:
            raise ValueError("not protobuf: a field of number 0, or one that ends beyond the data")
        yield number, kind, begin, start


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read a variable-length number and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("not protobuf: a number too long")


def count_fields(data: memoryview, message: Any, called: str, count: int = 0, depth: int = 0) -> int:
    """Count the fields a parser would build, without building any, and refuse more than MAX_FIELDS.

    Parameters
    ----------
    data : memoryview
        A message.
    message : Descriptor
        Of its kind.
    called : str
        The file's name for messages.
    count, depth : int
        How many fields were counted before it, and how deep it nests.

    Returns
    -------
    int
        `count` and the fields of this message.

    Raises
    ------
    UnsafeModelError
        When there are more fields, or they nest deeper than MAX_DEPTH.
    ValueError
        Where the bytes are not protobuf; also for text that is not UTF-8, which protobuf would hand out only to fail
        later.
    """
    for number, kind, begin, end in iterate_fields(data):
        count += 1
        if count > MAX_FIELDS or depth > MAX_DEPTH:
            raise UnsafeModelError(
                f"{called} has more than {MAX_FIELDS:,} parts or nests too deep, which would use up the memory.",
                "Only load models exported by medloupe, from a source you trust.",
            )
        field = message.fields_by_number.get(number)
        if field is None or kind != BYTES:
            continue
        if field.message_type is not None:
            count = count_fields(data[begin:end], field.message_type, called, count, depth + 1)
        elif field.type == field.TYPE_STRING:
            str(data[begin:end], "utf-8")
    return count
