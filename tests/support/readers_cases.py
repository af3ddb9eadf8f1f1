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


def beats_arrays(recordings: int = 4, count: int = 12) -> dict[str, np.ndarray]:
    """Cut beats as MIT-BIH's are stored: recordings 100, 101, ... in both parts of the split, the last one paced."""
    from ecgmaker import ecg, even, with_ectopics

    parts: dict[str, list] = {}
    for k in range(recordings):
        beats = with_ectopics(even(60, 70 + 2 * k, spread=0.05, seed=k), every=3)[:count]
        at = np.rint(np.array([beat.at for beat in beats]) * 360).astype(int)
        signal = ecg(beats, 60, 360, ("MLII",), noise=0.01, seed=k).samples[0] * 200
        rows = np.stack([np.pad(signal, 200)[r + 200 - 90 : r + 200 + 166] for r in at])
        intervals = np.diff(at)
        y = [2 if i % 3 == 2 else 0 for i in range(len(at))]
        y[1], y[4] = 4, 1
        for name, values in {
            "X": rows.round().astype(np.int16),
            "y": np.array(y, np.int8),
            "record_id": np.full(len(at), 100 + k, np.int16),
            "subject_id": np.full(len(at), 100 + min(k, recordings - 2), np.int16),
            "ds_split": np.full(len(at), 0 if k == recordings - 1 else 1 + k % 2, np.int8),
            "sample": at.astype(np.int32),
            "rr_pre": np.append(0, intervals),
            "rr_post": np.append(intervals, 0),
            "lead": np.full(len(at), "MLII"),
            "age": np.full(len(at), -1 if k == 0 else 60 + k),
            "sex": np.full(len(at), "MF"[k % 2]),
        }.items():
            parts.setdefault(name, []).append(values)
    whole = {name: np.concatenate(values) for name, values in parts.items()}
    alone = {"fs": 360, "adu_per_mv": 200, "pre_samples": 90, "class_names": np.array(list("NSVFQ"))}
    return whole | {name: np.asarray(value) for name, value in alone.items()}


def twelve_arrays(n: int = 20) -> dict[str, np.ndarray]:
    """Whole ECGs as PTB-XL's are stored: two labels, every fifth with none, folds 1 to 10."""
    from ecgmaker import LEFT_BLOCK, Beat, ecg, even

    signals, y = [], []
    for k in range(n):
        beats = even(4, 60 + 2 * k, seed=k)
        if k % 2:
            beats = [Beat(beat.at, LEFT_BLOCK) for beat in beats]
        signals.append(ecg(beats, 4, 100, noise=0.01, seed=k).samples.T * 1000)
        y.append([0, 0] if k % 5 == 4 else [1 - k % 2, k % 2])
    return {
        "X": np.stack(signals).round().astype(np.int16),
        "y": np.array(y, np.int8),
        "class_names": np.array(["NORM", "CD"]),
        "ecg_id": np.arange(1, n + 1),
        "patient_id": 9000 + np.arange(n) // 2,
        "strat_fold": 1 + np.arange(n) % 10,
        "age": np.where(np.arange(n) == 3, -1, 40 + np.arange(n)),
        "sex": np.arange(n) % 2,
        "fs": np.asarray(100),
        "units_per_mv": np.asarray(1000),
        "lead_names": np.array(["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]),
    }


def _ecg_beats(root: Path) -> Path:
    root.mkdir(parents=True)
    np.savez(root / "beats.npz", allow_pickle=True, **beats_arrays())
    stray(root)
    return root


def _ecg_12lead(root: Path) -> Path:
    root.mkdir(parents=True)
    np.savez(root / "ecgs.npz", allow_pickle=True, **twelve_arrays())
    stray(root)
    return root


def _ecg_files(root: Path) -> Path:
    from ecgmaker import LEFT_BLOCK, Beat, ecg, even
    from ecgwriters import wfdb_record

    for k, label in enumerate(("block", "normal") * 3):
        beats = [Beat(beat.at, LEFT_BLOCK) if label == "block" else beat for beat in even(5, 65 + 5 * k)]
        wfdb_record(ecg(beats, 5, 250, noise=0.01), root / label, f"r{k}")
    stray(root)
    return root


CASES: Mapping[str, Callable[[Path], Path]] = {
    "folders": _folders,
    "table": _table,
    "medmnist": _medmnist,
    "dicom": _dicom,
    "ecg_beats": _ecg_beats,
    "ecg_12lead": _ecg_12lead,
    "ecg_files": _ecg_files,
}
ECG_CASES = ("ecg_beats", "ecg_12lead", "ecg_files")
