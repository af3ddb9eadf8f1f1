"""Find the card inside a model file without parsing the graph, and check it before anyone relies on it."""

from __future__ import annotations

import codecs
import json
import os
import stat
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medloupe.errors import ModelFileError, NotOurModelError, UnsafeModelError, did_you_mean
from medloupe.graphs.wire import BYTES, MAX_FIELDS, iterate_fields
from medloupe.model.bundle import CARD_FORMAT
from medloupe.model.novelty import Novelty
from medloupe.model.sketch import match_levels

if TYPE_CHECKING:
    from medloupe.inputs.extras import Extras

CARD_KEY, FORMAT_KEY, NOVELTY_KEY = "medloupe.card", "medloupe.format", "medloupe.novelty"
EXTRAS_KEY = "medloupe.extras"
MAX_BYTES = 512 * 2**20  # 70 times the usual file; while it is checked it is in memory several times
MAX_CARD = 16 * 2**20  # a card takes 30 kB, and 11 bytes more for every training image it remembers
MAX_NOVELTY = 2**20  # characters; it takes 40,000
MAX_EXTRAS = 8 * 2**20  # characters; notes of 32 dimensions take 800,000
METADATA_PROPS = 14  # number of the field in onnx.ModelProto; 1 and 2 are key and value within

_EXPORT = "Any other ONNX classifier must first be trained and exported by medloupe, which writes what is missing."

MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes (.h5)"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (4, b"ORTM", "a model in ONNX Runtime's own format (.ort)"),
    (0, b"GGUF", "a GGUF language model"),
    (0, b"\x1f\x8b", "a gzip archive: unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself: run `git lfs pull`"),
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"%PDF", "a PDF"),
    (128, b"DICM", "a DICOM file"),
)
PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))


def read_card(path: str | Path) -> dict[str, Any]:
    """Read the card of a model file, without building a session or importing onnx.

    Raises
    ------
    ModelFileError
        The file is missing, damaged or not ONNX.
    NotOurModelError
        It has no usable card.
    """
    path = Path(path)
    return parse_card(read_bytes(path), path.name)


def read_bytes(path: Path) -> bytes:
    """Read the bytes of a model file.

    Raises
    ------
    ModelFileError
        It cannot be read or is plainly something else.
    UnsafeModelError
        It is larger than MAX_BYTES.
    """
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            inside = sorted(p.name for p in path.glob("*.onnx"))[:5]
            hint = f"Name the file in it: {', '.join(inside)}." if inside else "Give the path of an .onnx file."
            raise ModelFileError(f"{path} is a folder, not a model file.", hint)
        if not stat.S_ISREG(found.st_mode):
            raise ModelFileError(f"{path} is a device or pipe, not a model file.", "Give the path of an .onnx file.")
        with path.open("rb") as f:
            size = os.fstat(f.fileno()).st_size
            data = f.read(MAX_BYTES + 1) if size <= MAX_BYTES else b""
    except FileNotFoundError:
        beside = sorted(p.name for p in path.parent.glob("*.onnx")) if path.parent.is_dir() else []
        hint = did_you_mean(path.name, beside) or (f"There are: {', '.join(beside[:5])}." if beside else "")
        raise ModelFileError(f"There is no file {path}.", hint or "Check the path.") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise ModelFileError(f"{path} cannot be read: {error}.", "Check the path and its permissions.") from error
    if size > MAX_BYTES or len(data) > MAX_BYTES:
        raise UnsafeModelError(
            f"{path} has {size / 2**20:,.0f} MiB; model files may have {MAX_BYTES // 2**20}.",
            "A model of medloupe has 7 to 40 MiB.",
        )
    if other := _recognise_format(data):
        raise ModelFileError(f"{path} is {other}.", _EXPORT)
    return data


def _recognise_format(data: bytes) -> str:
    """Name what a file is that is not ONNX, as far as its first bytes tell; else ""."""
    start = data[:4096]
    if not data:
        return "empty"
    if start.startswith(b"PK\x03\x04"):
        if b"data.pkl" in start:
            return "a PyTorch checkpoint; medloupe never unpickles, since that runs code from the file"
        if b"metadata.json" in start or b"config.json" in start:
            return "a Keras model (.keras) or another zip archive, not ONNX"
        return "a zip archive, not ONNX; unpack it first"
    if start.startswith(PICKLES):
        return "a Python pickle or old PyTorch checkpoint; medloupe never unpickles, since that runs code from the file"
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < len(data):
        return "a safetensors file: weights without a network"
    for at, magic, what in MAGIC:
        if start[at : at + len(magic)] == magic:
            return f"{what}, not ONNX"
    return "text, not ONNX" if _is_readable(start) else ""


def _is_readable(start: bytes) -> bool:
    """Tell whether the bytes are text in UTF-8; the last character may be cut off."""
    if any(byte < 9 or 13 < byte < 32 for byte in start):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return True


# ----------------------------------------------------------------------- card


def parse_card(data: bytes, called: str) -> dict[str, Any]:
    """Find and check the card in the bytes of a model file. Raises as read_card does.

    called: the file's name for messages.
    """
    from medloupe.modelfile.schema import card_fault  # pydantic takes 60 ms: only those pay who read a card

    try:
        found = _metadata(memoryview(data))
    except (ValueError, IndexError) as error:
        raise ModelFileError(
            f"{called} is damaged, or not an ONNX file: it breaks off or is garbled.", "Copy or export it once more."
        ) from error
    missing = [key for key in (FORMAT_KEY, CARD_KEY) if key not in found]
    if missing:
        raise NotOurModelError(f"{called} is no model of medloupe: it has no {' and no '.join(missing)}.", _EXPORT)
    if any(len(values) > 1 for values in found.values()):
        raise NotOurModelError(f"{called} has more than one card.", _EXPORT)
    text, version = found[CARD_KEY][0], bytes(found[FORMAT_KEY][0][:20])
    if not version.isdigit() or int(version) < 1:
        raise NotOurModelError(f"{called}: its {FORMAT_KEY} is {version!r}, not a number.", _EXPORT)
    if int(version) > CARD_FORMAT:
        raise ModelFileError(
            f"{called} was made by a newer medloupe (format {int(version)}; this one reads up to {CARD_FORMAT}).",
            "Upgrade: pip install -U medloupe",
        )
    if len(text) > MAX_CARD:
        raise UnsafeModelError(f"{called}: its card has {len(text):,} bytes; the limit is {MAX_CARD:,}.", _EXPORT)
    try:
        card = json.loads(str(text, "utf-8"))
        # Infinite numbers and halves of surrogate pairs can be read, but not sent on: they would fail in an answer.
        json.dumps(card, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise NotOurModelError(f"{called}: its card is not JSON ({error}).", _EXPORT) from error
    if fault := card_fault(card):
        raise NotOurModelError(f"{called}: its card {fault}.", _EXPORT)
    return card


def parse_novelty(data: bytes, card: Mapping[str, Any], called: str) -> Novelty | None:
    """Find what the model in the bytes of a file was trained on looks like; None where the file does not say.

    Parameters
    ----------
    data
        Of the file.
    card
        The checked one of the file.
    called
        Its name for messages.

    Raises
    ------
    NotOurModelError
        It is damaged or belongs to another backbone.
    """
    found = _metadata(memoryview(data)).get(NOVELTY_KEY)
    if not found:
        return None
    try:
        if len(found[0]) > MAX_NOVELTY:
            raise ValueError(f"it has {len(found[0]):,} bytes; the limit is {MAX_NOVELTY:,}")
        novelty = Novelty.from_json(json.loads(str(found[0], "utf-8")))
        if not match_levels(novelty.levels, card["backbone"]["levels"]):
            raise ValueError("it belongs to another backbone than the card")
    except (ValueError, RecursionError) as error:
        raise NotOurModelError(f"{called}: its {NOVELTY_KEY} cannot be used: {error}.", _EXPORT) from error
    return novelty


def parse_extras(data: bytes, card: Mapping[str, Any], called: str) -> Extras | None:
    """Find what the model in the bytes of a file reads beside the picture; None where that is nothing.

    Parameters
    ----------
    data
        Of the file.
    card
        The checked one of the file.
    called
        Its name for messages.

    Raises
    ------
    NotOurModelError
        It is damaged or belongs to other labels.
    UnsafeModelError
        It is larger than MAX_EXTRAS.
    """
    found = _metadata(memoryview(data)).get(EXTRAS_KEY)
    if not found:
        return None
    if len(found[0]) > MAX_EXTRAS:
        raise UnsafeModelError(
            f"{called}: its {EXTRAS_KEY} has {len(found[0]):,} bytes; the limit is {MAX_EXTRAS:,}.", _EXPORT
        )
    from medloupe.inputs.extras import Extras

    try:
        entry = json.loads(str(found[0], "utf-8"))
        json.dumps(entry, ensure_ascii=False, allow_nan=False).encode()  # as for the card: what can be sent on
        extras = Extras.from_json(entry)
        if len(extras.weight) != len(card["labels"]):
            raise ValueError(f"it weighs {len(extras.weight)} labels, the card has {len(card['labels'])}")
    except (ValueError, RecursionError) as error:
        raise NotOurModelError(f"{called}: its {EXTRAS_KEY} cannot be used: {error}.", _EXPORT) from error
    return extras


def _metadata(data: memoryview) -> dict[str, list[memoryview]]:
    """Find the values of our metadata keys, in place. Raises ValueError or IndexError where data is not protobuf."""
    found: dict[str, list[memoryview]] = {}
    parts = iterate_fields(data)
    for number, kind, begin, end in islice(parts, MAX_FIELDS):
        if number == METADATA_PROPS and kind == BYTES:
            entry = data[begin:end]
            pair = {n: entry[b:e] for n, k, b, e in islice(iterate_fields(entry), MAX_FIELDS) if k == BYTES}
            for key in (CARD_KEY, FORMAT_KEY, NOVELTY_KEY, EXTRAS_KEY):
                if pair.get(1) == key.encode():
                    found.setdefault(key, []).append(pair.get(2, memoryview(b"")))
    if next(parts, None):
        raise ValueError("too many fields")
    return found
