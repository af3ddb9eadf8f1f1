"""NumPy archives: their names and arrays, and none of what they could do."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from medloupe.errors import DataError
from medloupe.utils.arrays import load, names


@pytest.fixture
def path(tmp_path: Path) -> Path:
    np.savez(tmp_path / "a.npz", allow_pickle=True, X=np.arange(6).reshape(2, 3), fs=360)
    return tmp_path / "a.npz"


def test_arrays_by_name(path: Path):
    assert names(path) == {"X", "fs"}
    for source in (path, path.read_bytes()):
        arrays = load(source, "a.npz")
        assert arrays["X"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert int(arrays["fs"]) == 360


def test_broken_archives(path: Path):
    data = path.read_bytes()
    for bad in (b"", b"PK\x03\x04", data[: len(data) // 2], data[:60] + b"\xff" * 60 + data[120:]):
        path.write_bytes(bad)
        for source in (path, bad):
            with pytest.raises(DataError, match=r"a\.npz"):
                load(source, "a.npz")
    assert names(path.with_name("absent.npz")) == frozenset()


def test_a_shape_that_the_bytes_do_not_bear_out():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000,), }\n"
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(80))
    with pytest.raises(DataError, match="claims 800000000000 bytes and holds 80"):
        load(out.getvalue(), "a.npz")
