"""NumPy arrays from strangers: what they hold, and none of what they could do."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from medloupe.errors import DataError
from medloupe.utils.arrays import MAX_MEMBERS, decode_base64, decode_finite, encode_base64, list_npz, load_npz, open_npz


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


def packed(how: int, size: int = 2**20, count: int = 1) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        member = io.BytesIO()
        np.save(member, np.zeros(size, np.uint8))
        for k in range(count):
            archive.writestr(f"X{k}.npy", member.getvalue())
    return out.getvalue()


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_ways_of_packing_that_unpack_by_whole_blocks_are_refused(how: int, tmp_path: Path):
    data = packed(how)
    (tmp_path / "a.npz").write_bytes(data)
    for source in (data, tmp_path / "a.npz"):
        with pytest.raises(DataError, match="in a way that NumPy does not"):
            load_npz(source, "a.npz")


def test_more_members_than_an_ecg_has_are_refused_before_they_are_listed(monkeypatch: pytest.MonkeyPatch):
    assert len(load_npz(packed(zipfile.ZIP_STORED, 10, MAX_MEMBERS), "a.npz")) == MAX_MEMBERS
    data = packed(zipfile.ZIP_STORED, 10, 3 * MAX_MEMBERS)
    monkeypatch.setattr(zipfile.ZipFile, "_RealGetContents", None)
    with pytest.raises(DataError, match=f"archive of {3 * MAX_MEMBERS} files"):
        load_npz(data, "a.npz")


def test_what_unpacks_to_far_more_than_its_size_is_refused(tmp_path: Path):
    data = packed(zipfile.ZIP_DEFLATED, 64 * 2**20)
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(DataError, match="times its size"):
        load_npz(data, "a.npz")
    assert load_npz(tmp_path / "a.npz")["X0"].size == 64 * 2**20, "a data set of one's own may"


def test_arrays_are_unpacked_when_asked_for(path: Path):
    with open_npz(path.read_bytes(), "a.npz") as arrays:
        assert {key: (arrays.shape(key), arrays.dtype(key).kind) for key in arrays} == {
            "X": ((2, 3), "i"),
            "fs": ((), "i"),
        }
        assert arrays["X"].tolist() == [[0, 1, 2], [3, 4, 5]]
