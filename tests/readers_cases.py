"""Miniature data sets for the readers' contract tests: one tree for each reader in READERS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def picture(path: Path, shade: int = 0) -> Path:
    """A small grey picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 5), shade % 256).save(path)
    return path


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def stray(root: Path) -> None:
    """What lies about in real folders: two hidden entries and one file that is no image."""
    write(root / ".DS_Store", "x")
    write(root / ".git" / "config", "x")
    write(root / "notes.docx", "x")


def dicom(path: Path, **tags: str) -> Path:
    """A tiny but complete DICOM file; tags by keyword."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = tags.get("SOPInstanceUID") or generate_uid(entropy_srcs=[path.name])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = 2, 2, 8, 8, 7
    ds.SamplesPerPixel, ds.PixelRepresentation, ds.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    ds.PixelData = b"\0\1\2\3"
    for name, value in tags.items():
        setattr(ds, name, value)
    ds.save_as(path)
    return path


def mnist(path: Path, shape: tuple[int, ...] = (), several: int = 0, **arrays: np.ndarray) -> Path:
    """A MedMNIST file: 4 train, 2 val and 2 test images of 3 × 3 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, np.ndarray] = {}
    for split, n in (("train", 4), ("val", 2), ("test", 2)):
        content[f"{split}_images"] = np.arange(n * 9, dtype=np.uint8).reshape(n, 3, 3)
        y = np.arange(n) % 2
        content[f"{split}_labels"] = np.stack([y, 1 - y, y], 1)[:, :several] if several else y.reshape(n, *shape)
    np.savez(path, allow_pickle=True, **(content | arrays))
    return path


def _folders(root: Path) -> Path:
    for split in ("Training", "Testing"):
        for k, label in enumerate(("normal", "pneumonia")):
            for i in range(3):
                picture(root / split / label / ("deep" if i == 2 else "") / f"{label}{i}.png", k * 9 + i)
    stray(root)
    return root


def _table(root: Path) -> Path:
    rows = ["file,Edema,Mass,patient_id,split,age"]
    for i in range(6):
        picture(root / "images" / f"{i}.png", i)
        rows.append(
            f"images/{i}.png,{i % 2},{'' if i == 3 else int(i < 2)},p{i // 2},{'train' if i < 4 else 'test'},{40 + i}"
        )
    write(root / "labels.csv", "\n".join(rows))
    stray(root)
    return root


def _medmnist(root: Path) -> Path:
    mnist(root / "breastmnist.npz", shape=(1,))
    stray(root)
    return root


def _dicom(root: Path) -> Path:
    for i in range(4):
        label = ("CHEST", "HAND")[i % 2]
        dicom(
            root / label / f"{i}.dcm", PatientID=f"p{i // 2}", PatientSex="F", PatientAge="045Y", PatientName="Doe^Jane"
        )
    stray(root)
    return root


CASES: Mapping[str, Callable[[Path], Path]] = {
    "folders": _folders,
    "table": _table,
    "medmnist": _medmnist,
    "dicom": _dicom,
}
