"""Write another card into a model file that is there; graph and weights stay as they are, to the byte."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medloupe.graphs.wire import BYTES, iterate_fields
from medloupe.modelfile.card import CARD_KEY, METADATA_PROPS
from medloupe.utils.files import write_atomically


def replace_card(path: Path, card: Mapping[str, Any]) -> None:
    """Put a card in the place of the one that a model file has.

    Parameters
    ----------
    path : Path
        Of a file that `write_onnx` wrote.
    card : Mapping
        In types that JSON has.

    Raises
    ------
    OSError
        The file cannot be read or written.
    ValueError or IndexError
        It is no model file with a card.
    """
    data = path.read_bytes()
    view = memoryview(data)
    out = bytearray()
    at, done = 0, False
    for number, kind, begin, end in iterate_fields(view):
        if number == METADATA_PROPS and kind == BYTES and _key_of(view[begin:end]) == CARD_KEY.encode():
            if not done:
                out += _entry(CARD_KEY, json.dumps(card, ensure_ascii=False, sort_keys=True, allow_nan=False))
            done = True
        else:
            out += view[at:end]
        at = end
    if not done:
        raise ValueError(f"{path.name} has no card")
    write_atomically(path, bytes(out))


def _key_of(entry: memoryview) -> bytes:
    return next((bytes(entry[b:e]) for n, k, b, e in iterate_fields(entry) if n == 1 and k == BYTES), b"")


def _entry(key: str, value: str) -> bytes:
    """Write an entry of ONNX's metadata as protobuf."""
    pair = b"".join(_field(number, text.encode()) for number, text in ((1, key), (2, value)))
    return _field(METADATA_PROPS, pair)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
