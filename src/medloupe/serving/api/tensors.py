"""Read tensors of the Open Inference Protocol v2: as JSON, or by its binary tensor data extension.

Source: KServe "Open Inference Protocol" and Triton's "Binary Tensor Data Extension".
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medloupe.embed.modalities import EMBEDDINGS
from medloupe.serving.http.errors import HttpError

MAX_ELEMENTS = 200_000_000  # of one tensor; far above what a body may carry
MAX_NUMBER = 1e6  # of an encoded input; they are standardised
MAX_JSON = 16 * 2**20
"""Most bytes of JSON: files as base64 fill it sooner than numbers."""
_MOST_OF = {b",": 2_000_000, b"[": 1_000_000, b"{": 10_000}  # in JSON; each costs far more in memory than on the wire
_MOST_DIMENSIONS = 8
DATATYPES = {"float32": "FP32", "uint8": "UINT8"}
"""Types of tensors in the protocol's words, by NumPy's."""
BESIDE = ("clinical", "notes")
"""Inputs of models that read more than the picture, encoded as their files take them."""
_FP32, _UINT8, _BYTES = "FP32", "UINT8", "BYTES"


@dataclass(slots=True, kw_only=True)
class InferenceRequest:
    """A request for inference.

    Attributes
    ----------
    id : str
        As the client calls it, or "".
    image : ndarray or list of bytes
        Pixels uint8 (N, h, w, 3), or the bytes of N files; of ECGs their windows float32 (N, L, T).
    main : str
        The name of that input, by its kind's entry in `embed.modalities`: "image", "signal".
    beside : dict of ndarray
        Float32 (N, width) by name, encoded.
    outputs : list of (str, bool)
        The name of each output asked for, and whether as binary data; none for all.
    binary : bool
        Whether all are wanted as binary data.
    """

    id: str
    image: np.ndarray | list[bytes]
    main: str = "image"
    beside: dict[str, np.ndarray] = field(default_factory=dict)
    outputs: list[tuple[str, bool]] = field(default_factory=list)
    binary: bool = False


def parse_request(body: bytes, header_length: str | None, most_files: int = 32) -> InferenceRequest:
    """Read the request in a body.

    Parameters
    ----------
    body
        JSON, then binary tensor data.
    header_length
        Bytes of its JSON, by `Inference-Header-Content-Length`; None for JSON only.
    most_files
        Most image files in a BYTES input.

    Raises
    ------
    HttpError
        400 for what is not of the protocol, 413 for more JSON or more files than are read.
    """
    text, rest = _split_json(body, header_length)
    said = _load_json(text)
    inputs = said.get("inputs") if isinstance(said, Mapping) else None
    if not isinstance(inputs, list) or not inputs or not all(isinstance(i, Mapping) for i in inputs):
        raise _bad("The request must have the input `image`, or of ECGs `signal`.")
    kinds = {kind.input: kind for kind in EMBEDDINGS}
    names, main = _input_names(inputs, kinds)
    parts = _share_out(inputs, rest)
    binary = _parameter(said, "binary_data_output") is True
    outputs = _wanted_outputs(said, binary)
    entry, part = next((i, p) for n, i, p in zip(names, inputs, parts, strict=True) if n == main)
    return InferenceRequest(
        id=str(said.get("id") or "")[:200],
        image=_image(entry, part, most_files)
        if kinds[main].overlaid
        else _numbers(main, entry, part, kinds[main].rank),
        main=main,
        beside={n: _numbers(n, i, p) for n, i, p in zip(names, inputs, parts, strict=True) if n not in kinds},
        outputs=outputs,
        binary=binary,
    )


def _split_json(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    """Part a body into its JSON and the bytes that follow."""
    end = len(body)
    if header_length is not None:
        digits = header_length if header_length.isascii() and header_length.isdigit() else ""
        if not 0 < len(digits) < 12 or int(digits) > len(body):
            raise _bad(f"Inference-Header-Content-Length is {header_length[:40]!r}; the body has {len(body):,} bytes.")
        end = int(digits)
    return body[:end], body[end:]


def _load_json(text: bytes) -> Any:
    if len(text) > MAX_JSON or any(text.count(mark) > most for mark, most in _MOST_OF.items()):
        raise HttpError(
            413,
            "too_much_json",
            f"The JSON is too large: at most {MAX_JSON >> 20} MiB and {_MOST_OF[b',']:,} numbers are read.",
            "Send pixels as binary tensor data, or image files as BYTES.",
        )
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as e:
        raise _bad(f"The request is no JSON ({str(e)[:100]}).") from e


def _input_names(inputs: Sequence[Mapping[str, Any]], kinds: Collection[str]) -> tuple[list[str], str]:
    """Check the names of the inputs; return them, and which is the main one."""
    names = [str(i.get("name"))[:60] for i in inputs]
    if unknown := [name for name in names if name not in (*kinds, *BESIDE)]:
        raise _bad(
            f"An input is named {unknown[0]!r}; expected 'image' ('signal' of ECGs), and of some models 'clinical' and"
            " 'notes'."
        )
    main = [name for name in names if name in kinds]
    if len(set(names)) < len(names) or len(main) != 1:
        raise _bad("The request must have the input `image` once (of ECGs `signal`), and others at most once.")
    return names, main[0]


def _wanted_outputs(said: Mapping[str, Any], binary: bool) -> list[tuple[str, bool]]:
    wanted = said.get("outputs") or []
    if not isinstance(wanted, list) or not all(
        isinstance(o, Mapping) and isinstance(o.get("name"), str) for o in wanted
    ):
        raise _bad("`outputs` must be a list of objects with a name.")
    name, times = Counter(o["name"] for o in wanted).most_common(1)[0] if wanted else ("", 0)
    if times > 1:
        raise _bad(f"`outputs` names {name[:60]!r} {times} times; each is given once.")
    return [(o["name"], _parameter(o, "binary_data") is True or binary) for o in wanted]


def _share_out(inputs: Sequence[Mapping[str, Any]], rest: bytes) -> list[bytes]:
    """Share the bytes after the JSON out to the inputs. With one input all of it is its own, to be checked there."""
    if len(inputs) == 1:
        return [rest]
    parts, at = [], 0
    for entry in inputs:
        size = _parameter(entry, "binary_data_size")
        if size is not None and (type(size) is not int or not 0 <= size <= len(rest) - at):
            raise _bad(f"`binary_data_size` is {str(size)[:40]}, but {len(rest) - at:,} bytes are left.")
        parts.append(rest[at : at + (size or 0)])
        at += size or 0
    if at != len(rest):
        raise _bad(f"{len(rest) - at:,} bytes follow the JSON that belong to no input.")
    return parts


def _shape(name: str, entry: Mapping[str, Any]) -> list[int]:
    shape = entry.get("shape")
    if (
        not isinstance(shape, list)
        or not 0 < len(shape) <= _MOST_DIMENSIONS
        or not all(type(n) is int and 0 < n < 2**31 for n in shape)
    ):
        raise _bad(f"`shape` of {name} must be a short list of whole numbers above 0.")
    if math.prod(shape) > MAX_ELEMENTS:
        raise _bad(f"A tensor `{name}` of shape {shape} is too large.")
    return shape


def _numbers(name: str, entry: Mapping[str, Any], rest: bytes, dimensions: int = 2) -> np.ndarray:
    """Read an input float32 (N, width), or of more dimensions, all of it numbers."""
    shape, kind, size = _shape(name, entry), entry.get("datatype"), _parameter(entry, "binary_data_size")
    if kind != _FP32 or len(shape) != dimensions:
        raise _bad(f"`{name}` is {str(kind)[:20]} {shape}; expected FP32 of {dimensions} dimensions.")
    if size is None:
        flat = _floats(name, entry.get("data"))
    else:
        if len(rest) % 4:
            raise _bad(f"`{name}` has {len(rest):,} bytes, no whole number of FP32 values.")
        flat = np.frombuffer(rest, "<f4")
    if flat.size != math.prod(shape):
        raise _bad(f"The shape {shape} of {name} needs {math.prod(shape):,} values, {flat.size:,} came.")
    if not (np.abs(flat) < MAX_NUMBER).all():  # nor where one is no number
        raise _bad(f"`{name}` holds values that are no numbers, or beyond {MAX_NUMBER:,.0f}.")
    return flat.reshape(shape).astype(np.float32)


def _floats(name: str, data: Any) -> np.ndarray:
    """Read numbers from JSON, flat or nested evenly: float64, flat."""
    try:
        values = np.asarray(data, object).ravel().tolist()
        if not set(map(type, values)) <= {int, float}:
            raise TypeError
        return np.array(values, np.float64)
    except (ValueError, TypeError, RecursionError, OverflowError) as e:
        raise _bad(f"`data` of {name} must be numbers, flat or nested evenly.") from e


def _image(entry: Mapping[str, Any], rest: bytes, most_files: int) -> np.ndarray | list[bytes]:
    """Read the input `image`: pixels uint8 (N, h, w, 3), or the bytes of N files."""
    shape, kind = _shape("image", entry), entry.get("datatype")
    size = _parameter(entry, "binary_data_size")
    if size is not None and (type(size) is not int or size != len(rest)):
        raise _bad(f"`binary_data_size` is {str(size)[:40]}, but {len(rest):,} bytes follow the JSON.")
    data = entry.get("data")
    if kind == _BYTES:
        return _files(shape, most_files, lambda: _unpack(rest, shape[0]) if size is not None else _from_base64(data))
    if kind != _UINT8:
        raise _bad(f"The image is {str(kind)[:20]}; expected UINT8 (RGB pixels) or BYTES (image files).")
    if len(shape) != 4 or shape[3] != 3:
        raise _bad(f"The image has the shape {shape}; expected [N, height, width, 3].")
    flat = np.frombuffer(rest, np.uint8) if size is not None else _from_numbers(data)
    if flat.size != math.prod(shape):
        raise _bad(f"The shape {shape} needs {math.prod(shape):,} values, {flat.size:,} came.")
    return flat.reshape(shape)


def _files(shape: Sequence[int], most: int, read: Callable[[], list[bytes]]) -> list[bytes]:
    """Read the files of a BYTES image once its shape, (N,), is known to be sound.

    Empty files cost next to nothing to send, and each would be an object here.
    """
    if math.prod(shape) != shape[0]:
        raise _bad(f"A BYTES image must have the shape [N], not {shape}.")
    if shape[0] > most:
        raise too_many(shape[0], "images", most)
    files = read()
    if len(files) != shape[0]:
        raise _bad(f"The shape says {shape[0]} files, {len(files)} came.")
    return files


def _from_numbers(data: Any) -> np.ndarray:
    """Read pixels from JSON: uint8, flat."""
    try:  # as objects: an array of texts would give each the room of the longest
        values = np.asarray(data, object).ravel().tolist()
    except (ValueError, TypeError, RecursionError) as e:
        raise _bad("`data` of the image must be numbers, flat or nested evenly.") from e
    if set(map(type, values)) != {int} or min(values) < 0 or max(values) > 255:
        raise _bad("`data` of the image must be whole numbers from 0 to 255, flat or nested evenly.")
    return np.array(values, np.uint8)


def _from_base64(data: Any) -> list[bytes]:
    if not isinstance(data, list) or not all(isinstance(text, str) for text in data):
        raise _bad("`data` of a BYTES image must be a list of base64 texts.")
    try:
        return [base64.b64decode(text, validate=True) for text in data]
    except (binascii.Error, ValueError) as e:
        raise _bad("`data` of a BYTES image must be base64, or sent as binary tensor data.") from e


def _unpack(data: bytes, most: int) -> list[bytes]:
    """Read a BYTES tensor of at most so many elements: each after its length, uint32 little endian."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        if len(found) == most:
            raise _bad(f"The shape says {most} files, more came.")
        if at + 4 > len(data):
            raise _bad("A BYTES tensor ends within a length.")
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        if at + length > len(data):
            raise _bad(f"A BYTES tensor claims an element of {length:,} bytes, but {len(data) - at:,} are left.")
        found.append(data[at : at + length])
        at += length
    return found


def _parameter(entry: Mapping[str, Any], name: str) -> Any:
    parameters = entry.get("parameters")
    return parameters.get(name) if isinstance(parameters, Mapping) else None


def too_many(came: int, things: str, most: int) -> HttpError:
    """Make the error for more examples than one request may bring."""
    return HttpError(
        413, "too_many_images", f"{came:,} {things} in one request; {most} are allowed.", "Split the request."
    )


def _bad(message: str) -> HttpError:
    return HttpError(400, "bad_inference_request", message, "See GET /v2/models/NAME for inputs and outputs.")
