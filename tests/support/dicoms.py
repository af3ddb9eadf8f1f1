"""DICOM files: bundled with pydicom, and made on the spot."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian


def bundled(name: str) -> Path:
    found = get_testdata_file(name, download=False)
    assert isinstance(found, str)
    return Path(found)


def dicom(
    pixels: np.ndarray, *, syntax: str = ExplicitVRLittleEndian, data: bytes | None = None, **tags: object
) -> bytes:
    """A file of `pixels` (h, w) or (h, w, 3), or of encapsulated `data` of that shape; tags override."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3"
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    ds.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.itemsize
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.tobytes() + bytes(pixels.nbytes % 2) if data is None else data
    ds["PixelData"].VR = "OB" if pixels.itemsize == 1 or data is not None else "OW"
    for keyword, value in tags.items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def deflated(body: bytes) -> bytes:
    whole = dicom(RAMP, syntax=DeflatedExplicitVRLittleEndian)
    at = 144 + struct.unpack_from("<I", whole, 140)[0]  # behind the file meta information
    return whole[:at] + body


def deflated_bomb() -> bytes:
    """1 MB that inflates to 1 GiB, as one private element before any pixel."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = [packer.compress(b"\x09\x00\x10\x10OB\x00\x00" + struct.pack("<I", 2**30))]
    parts += [packer.compress(bytes(2**20)) for _ in range(1024)]
    return deflated(b"".join([*parts, packer.flush()]))
