"""Tensors on the wire: what is of the protocol is read, what is not is said to be none."""

from __future__ import annotations

import base64
import json
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloupe.serving.api.outputs import MAX_BINARY_BACK, MAX_NUMBERS_BACK, check_answer_size, render_response
from medloupe.serving.api.tensors import parse_request
from medloupe.serving.http.errors import HttpError

PIXELS = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)


def request(entry: dict[str, Any], rest: bytes = b"", **more: Any) -> tuple[bytes, str | None]:
    text = json.dumps({"inputs": [{"name": "image", **entry}], **more}).encode()
    return text + rest, str(len(text)) if rest else None


def test_pixels_as_json_flat_or_nested_and_as_binary() -> None:
    shape = list(PIXELS.shape)
    for body in (
        request({"shape": shape, "datatype": "UINT8", "data": PIXELS.ravel().tolist()}),
        request({"shape": shape, "datatype": "UINT8", "data": PIXELS.tolist()}),
        request(
            {"shape": shape, "datatype": "UINT8", "parameters": {"binary_data_size": PIXELS.size}}, PIXELS.tobytes()
        ),
    ):
        got = parse_request(*body).image
        assert isinstance(got, np.ndarray)
        np.testing.assert_array_equal(got, PIXELS)


def test_files_as_base64_and_as_binary() -> None:
    files = [b"one", b"", b"three" * 100]
    packed = b"".join(struct.pack("<I", len(f)) + f for f in files)
    told = {"shape": [3], "datatype": "BYTES"}
    assert parse_request(*request({**told, "data": [base64.b64encode(f).decode() for f in files]})).image == files
    assert parse_request(*request({**told, "parameters": {"binary_data_size": len(packed)}}, packed)).image == files


def test_outputs_asked_for() -> None:
    body, length = request(
        {"shape": [1, 1, 1, 3], "datatype": "UINT8", "data": [1, 2, 3]},
        id="7",
        outputs=[{"name": "logits"}, {"name": "heatmap", "parameters": {"binary_data": True}}],
    )
    wish = parse_request(body, length)
    assert wish.outputs == [("logits", False), ("heatmap", True)]
    assert (wish.id, wish.binary) == ("7", False)


def test_an_output_asked_for_twice_is_refused() -> None:
    entry = {"shape": [1, 1, 1, 3], "datatype": "UINT8", "data": [1, 2, 3]}
    with pytest.raises(HttpError, match=r"'heatmap' 32 times"):
        parse_request(*request(entry, outputs=[{"name": "heatmap"}] * 32))


@pytest.mark.parametrize(("binary", "most"), [(False, MAX_NUMBERS_BACK), (True, MAX_BINARY_BACK // 4)])
def test_an_answer_too_large_is_refused_before_it_is_made(binary: bool, most: int) -> None:
    numbers = {"heatmap": 1000 * 49, "probabilities": 40_000}
    fits = most // 49_000
    check_answer_size(fits, numbers, [("heatmap", binary), ("state", binary)])
    for n, wanted in ((fits + 1, ["heatmap"]), (fits, ["heatmap", "probabilities"])):
        with pytest.raises(HttpError, match="The answer would hold") as refused:
            check_answer_size(n, numbers, [(name, binary) for name in wanted])
        assert refused.value.status == 413


def test_many_empty_files_are_refused_before_they_are_made() -> None:
    empty = bytes(4 * 2_000_000)
    entry = {"datatype": "BYTES", "parameters": {"binary_data_size": len(empty)}}
    tracemalloc.start()
    try:
        with pytest.raises(HttpError, match="2,000,000 images in one request; 32") as refused:
            parse_request(*request({**entry, "shape": [2_000_000]}, empty))
        assert refused.value.status == 413
        with pytest.raises(HttpError, match="says 3 files, more came"):
            parse_request(*request({**entry, "shape": [3]}, empty))
        assert tracemalloc.get_traced_memory()[1] < 5 * len(
            empty
        )  # the body and its copies; 2 million objects are more
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("entry", "rest", "says"),
    [
        ({"shape": [1, 2, 2, 3], "datatype": "UINT8", "data": [1] * 11}, b"", "12 values, 11 came"),
        ({"shape": [1, 2, 2, 3], "datatype": "UINT8", "data": [300] * 12}, b"", "from 0 to 255"),
        ({"shape": [1, 2, 2, 3], "datatype": "UINT8", "data": ["x"] * 12}, b"", "whole numbers"),
        ({"shape": [1, 2, 2, 3], "datatype": "UINT8", "data": [[1, 2], [3]]}, b"", "flat or nested"),
        ({"shape": [1, 2, 2, 3], "datatype": "UINT8"}, b"", "whole numbers"),
        ({"shape": [1, 2, 2, 3], "datatype": "FP32", "data": [0.5] * 12}, b"", "expected UINT8"),
        ({"shape": [1, 3, 2, 2], "datatype": "UINT8", "data": [1] * 12}, b"", "expected [N, height, width, 3]"),
        ({"shape": [1, -2, 2, 3], "datatype": "UINT8", "data": []}, b"", "above 0"),
        ({"shape": [1, 60000, 60000, 3], "datatype": "UINT8", "data": []}, b"", "too large"),
        ({"shape": [2**31 - 1] * 9, "datatype": "UINT8", "data": []}, b"", "short list"),
        ({"shape": [], "datatype": "BYTES", "data": []}, b"", "short list"),
        ({"shape": [1, 1, 1, 3], "datatype": "UINT8", "data": [1, True, 2]}, b"", "whole numbers"),
        ({"shape": "all", "datatype": "UINT8", "data": []}, b"", "`shape`"),
        ({"shape": [1, 1, 1, 3], "datatype": "UINT8", "parameters": {"binary_data_size": 9}}, b"123", "3 bytes"),
        ({"shape": [2], "datatype": "BYTES", "data": ["YQ=="]}, b"", "2 files, 1 came"),
        ({"shape": [1], "datatype": "BYTES", "data": ["***"]}, b"", "base64"),
        ({"shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}}, b"\xff\xff\x00\x00ab", "claims"),
        ({"shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 2}}, b"ab", "within a length"),
    ],
)
def test_what_does_not_fit_is_named(entry: dict[str, Any], rest: bytes, says: str) -> None:
    with pytest.raises(HttpError) as error:
        parse_request(*request(entry, rest))
    assert error.value.status == 400
    assert says in error.value.message


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"inputs": {}}', b'{"inputs": [1]}', b'{"inputs": []}', b"\xff"])
def test_what_is_no_request_is_named(body: bytes) -> None:
    with pytest.raises(HttpError) as error:
        parse_request(body, None)
    assert error.value.status == 400


@given(st.binary(max_size=200), st.one_of(st.none(), st.text(max_size=6), st.integers(-5, 300).map(str)))
def test_any_bytes_are_read_or_refused(body: bytes, length: str | None) -> None:
    with pytest.raises(HttpError):
        parse_request(body, length)


def test_an_answer_in_json_and_in_bytes() -> None:
    p = np.array([[0.25, 0.75]], np.float32)
    text, headers = render_response({"model_name": "m"}, [("probabilities", p, False), ("prediction", ["ü"], False)])
    said = json.loads(text)
    assert said["outputs"][0] == {"name": "probabilities", "datatype": "FP32", "shape": [1, 2], "data": [0.25, 0.75]}
    assert said["outputs"][1] == {"name": "prediction", "datatype": "BYTES", "shape": [1], "data": ["ü"]}
    assert headers == {"Content-Type": "application/json"}

    text, headers = render_response({"model_name": "m"}, [("probabilities", p, True), ("prediction", ["ü"], True)])
    end = int(headers["Inference-Header-Content-Length"])
    assert [o["parameters"]["binary_data_size"] for o in json.loads(text[:end])["outputs"]] == [8, 6]
    np.testing.assert_array_equal(np.frombuffer(text[end : end + 8], "<f4"), p[0])
    assert text[end + 8 :] == b"\x02\x00\x00\x00\xc3\xbc"
