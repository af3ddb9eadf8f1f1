"""NumPy arrays from strangers: what they hold, and none of what they could do."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from medloupe.errors import DataError
from medloupe.utils.arrays import decode_base64, decode_finite, encode_base64, list_npz, load_npz


@pytest.fixture
def path(tmp_path: Path) -> Path:
    np.savez(tmp_path / "a.npz", allow_pickle=True, X=np.arange(6).reshape(2, 3), fs=360)
    return tmp_path / "a.npz"


def test_arrays_by_name(path: Path):
    assert list_npz(path) == {"X", "fs"}
    for source in (path, path.read_bytes()):
        arrays = load_npz(source, "a.npz")
        assert arrays["X"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert int(arrays["fs"]) == 360


def test_broken_archives(path: Path):
    data = path.read_bytes()
    for bad in (b"", b"PK\x03\x04", data[: len(data) // 2], data[:60] + b"\xff" * 60 + data[120:]):
        path.write_bytes(bad)
        for source in (path, bad):
            with pytest.raises(DataError, match=r"a\.npz"):
                load_npz(source, "a.npz")
    assert list_npz(path.with_name("absent.npz")) == frozenset()


def test_a_shape_that_the_bytes_do_not_bear_out():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000,), }\n"
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(80))
    with pytest.raises(DataError, match="claims 800000000000 bytes and holds 80"):
        load_npz(out.getvalue(), "a.npz")


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", "<u8"])
def test_numbers_come_back_from_base64_bit_for_bit(dtype: str):
    values = np.arange(6, dtype=dtype).reshape(2, 3) / np.array(3, dtype)
    text = encode_base64(values.T, dtype)
    assert decode_base64(text, dtype, "values").tobytes() == np.ascontiguousarray(values.T, dtype).tobytes()
    assert decode_finite(text, 6, dtype, "values", "the labels").tolist() == values.T.astype(dtype).ravel().tolist()


@pytest.mark.parametrize("text", ["%%%%", "AAA", "AAAA"])
def test_text_that_is_no_base64_of_numbers(text: str):
    with pytest.raises(ValueError, match="weights are no base64 of float32"):
        decode_base64(text, "<f4", "weights")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "weights do not fit 2 labels"),
        (encode_base64(np.zeros(3), "<f4"), "weights do not fit 2 labels"),
        (encode_base64(np.array([1, np.nan]), "<f4"), "weights hold values that are no numbers"),
        (encode_base64(np.array([1, np.inf]), "<f4"), "weights hold values that are no numbers"),
    ],
)
def test_numbers_of_another_count_or_not_finite(value: object, message: str):
    with pytest.raises(ValueError, match=message):
        decode_finite(value, 2, "<f4", "weights", "2 labels")
