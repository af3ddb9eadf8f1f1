"""ECG files of a few kilobytes that claim or unpack to gigabytes, or keep a reader busy."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable

import numpy as np

from ecgmaker import ecg, even
from ecgwriters import dicom_waveform, edf


def _npz(how: int, samples: int, dtype: str = "<f8", **more: np.ndarray) -> bytes:
    """An .npz whose array `signal` is all zeros, written piece by piece."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        with archive.open("signal.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": (samples,)})
            left = samples * np.dtype(dtype).itemsize
            while left:
                left -= file.write(bytes(min(left, 2**22)))
        for name, values in {"fs": np.asarray(360), **more}.items():
            member = io.BytesIO()
            np.save(member, values)
            archive.writestr(f"{name}.npy", member.getvalue())
    return out.getvalue()


def _wfdb(claimed: int, skew: int) -> dict[str, bytes]:
    lines = "".join(f"r.dat 16x16:{skew} 200/mV 12 0 0 0 0 L{k}\n" for k in range(32))
    return {"r.hea": f"r 32 360 {claimed}\n{lines}".encode(), "r.dat": bytes(5000)}


def _members(count: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        member = io.BytesIO()
        np.save(member, np.zeros(1))
        for k in range(count):
            archive.writestr(zipfile.ZipInfo(f"{k}.npy"), member.getvalue())
    return out.getvalue()


def _directory(size: int) -> bytes:
    return struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 9, 9, size, 0, 0)


def _nested(depth: int) -> bytes:
    data = dicom_waveform(ecg(even(3), 3, 250, ("I", "II")))
    at = data.index(b"\x00\x54\x00\x01")
    return data[:at] + b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * depth + data[at:]


def _edf(records: int) -> bytes:
    data = bytearray(edf(ecg(even(3), 3, 250, ("I", "II"))))
    data[236:244] = f"{records:<8}".encode()
    return bytes(data)


RECORDINGS: dict[str, Callable[[], dict[str, bytes]]] = {
    "WFDB of a skew beyond its end": lambda: _wfdb(78, 1_000_000),
    "WFDB of gigabytes": lambda: _wfdb(1_200_000, 0),
    "npz of gigabytes": lambda: {"a.npz": _npz(zipfile.ZIP_DEFLATED, 64 * 2**20)},
    "npz of half a gigabyte in one byte": lambda: {"a.npz": _npz(zipfile.ZIP_DEFLATED, 2**29 - 2**20, "|i1")},
    "npz packed by bz2": lambda: {"a.npz": _npz(zipfile.ZIP_BZIP2, 16 * 2**20)},
    "npz packed by lzma": lambda: {"a.npz": _npz(zipfile.ZIP_LZMA, 8 * 2**20)},
    "npz of 60,000 members": lambda: {"a.npz": _members(60_000)},
    "npz with a rate of megabytes": lambda: {
        "a.npz": _npz(zipfile.ZIP_STORED, 10, sampling_rate=np.zeros(2**20), lead_names=np.zeros(2**20))
    },
    "npz that is a directory alone": lambda: {"a.npz": b"PK\x03\x04" + _directory(2**31)},
    "DICOM of 200,000 nested sequences": lambda: {"a.dcm": _nested(200_000)},
    "EDF of a hundred million records": lambda: {"a.edf": _edf(99_999_999)},
    "text of blanks": lambda: {"a.csv": b" " * 4_000_000 + b"\n# fs=360\n1,2\n" + (b"\t" * 100_000 + b"x\n") * 3},
    "text of digits": lambda: {"a.csv": b"# fs=" + b"3" * 1_000_000 + b"\n" + b"1" * 1_000_000 + b"," + b"2\n" * 9},
    "a column name of brackets": lambda: {"a.csv": b"# fs=360\n" + b"(" * 500_000 + b",I\n1.5,2.5\n" * 2},
    "WFDB of a long gain": lambda: {
        "r.hea": b"r 1 360 100\nr.dat 16 " + b"2" * 20_000 + b"(" * 20_000 + b"\n",
        "r.dat": bytes(5000),
    },
}
"""What each is, and what makes its files: none can be read."""
