"""Read MedMNIST .npz files: arrays train_images, train_labels and so on.

Yang et al., "MedMNIST v2", Scientific Data 10:41, 2023.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.data.readers.base import ReadOptions, merge_reasons, npz_files, walk
from medloupe.data.readers.origin import read_origin
from medloupe.data.records import Dataset, Record, Split, Task
from medloupe.errors import DataError
from medloupe.utils.arrays import load_npz

_SPLITS: tuple[Split, ...] = ("test", "train", "val")  # as their ids sort
_ORGANS = (
    *("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right"),
    *("liver", "lung-left", "lung-right", "pancreas", "spleen"),
)
# As published with the data; a label's place is its number. RetinaMNIST's grades 0 to 4 have no other names.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "pathmnist": (
        *("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa"),
        *("cancer-associated stroma", "colorectal adenocarcinoma epithelium"),
    ),
    "chestmnist": (
        *("atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia"),
        *("pneumothorax", "consolidation", "edema", "emphysema", "fibrosis", "pleural", "hernia"),
    ),
    "dermamnist": (
        *("actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma", "benign keratosis-like lesions"),
        *("dermatofibroma", "melanoma", "melanocytic nevi", "vascular lesions"),
    ),
    "octmnist": ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    "pneumoniamnist": ("normal", "pneumonia"),
    "breastmnist": ("malignant", "normal, benign"),
    "bloodmnist": (
        *("basophil", "eosinophil", "erythroblast"),
        "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)",
        *("lymphocyte", "monocyte", "neutrophil", "platelet"),
    ),
    **dict.fromkeys(("organamnist", "organcmnist", "organsmnist"), _ORGANS),
}


def _check_labels(labels: np.ndarray, file: str, key: str, n: int) -> np.ndarray:
    """Return integer labels (n,) of classes, or (n, K) of 1 and 0."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim not in (1, 2) or len(labels) != n:
        raise DataError(f"{file}: {key} has shape {labels.shape} for {n} images.", "Expected (n,), (n, 1) or (n, K).")
    whole = labels.astype(np.int64, copy=False) if labels.dtype.kind in "iubf" and np.isfinite(labels).all() else None
    if whole is None or (whole != labels).any() or (whole < 0).any() or (labels.ndim == 2 and (whole > 1).any()):
        raise DataError(f"{file}: {key} holds other values than class numbers (or, for several labels, 1 and 0).")
    return whole


def _check_images(images: np.ndarray, file: str, key: str) -> np.ndarray:
    """Return uint8 (n, h, w) or (n, h, w, 3)."""
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        volumes = " Volumes (MedMNIST3D) are not read." if images.ndim > 3 else ""
        raise DataError(
            f"{file}: {key} is {images.dtype} {images.shape}.",
            f"Expected uint8 of shape (n, height, width) or (n, height, width, 3).{volumes}",
        )
    return images


def _label_names(stem: str, count: int) -> tuple[tuple[str, ...], bool]:
    """Return label names, and whether they are the published ones; "breastmnist_64" is the same set at 64 pixels."""
    known = _NAMES.get(re.sub(r"_\d+$", "", stem.lower()), ())
    return (known, True) if len(known) >= count else (tuple(str(k) for k in range(count)), False)


def read_medmnist(path: Path, reader: str) -> Dataset:
    """Read the data set of one MedMNIST file; images are views of its arrays.

    Raises
    ------
    DataError
        Where the file is broken, or its arrays are others.
    """
    arrays = load_npz(path)
    present: list[Split] = [split for split in _SPLITS if f"{split}_images" in arrays and f"{split}_labels" in arrays]
    if not present:
        raise _not_medmnist(path, arrays)
    images = {s: _check_images(arrays[f"{s}_images"], path.name, f"{s}_images") for s in present}
    labels = {s: _check_labels(arrays[f"{s}_labels"], path.name, f"{s}_labels", len(images[s])) for s in present}
    widths = {y.shape[1:] for y in labels.values()}
    if len(widths) > 1:
        raise DataError(
            f"{path.name}: the labels of its splits have different shapes.", "Expected one number of labels."
        )
    several = widths != {()}
    count = next(iter(widths))[0] if several else 1 + max((int(y.max()) for y in labels.values() if len(y)), default=-1)
    if count > 10_000:
        raise DataError(f"{path.name}: its labels go up to {count - 1}, so they are no class numbers.")
    names, published = _label_names(path.stem, count)
    task: Task = "multilabel" if several else "multiclass"
    width = max(5, *(len(str(len(x))) for x in images.values()))
    records: list[Record] = []
    for split in present:
        for i, (image, y) in enumerate(zip(images[split], labels[split].tolist(), strict=True)):
            stated: dict[str, int] = dict(zip(names, y, strict=True)) if several else {names[y]: 1}
            records.append(Record(id=f"{split}/{i:0{width}}", image=image, labels=stated, split=split))
    if not records:
        raise DataError(f"{path} holds no images.", "Download it again.")
    notes = ["MedMNIST gives no patients; its official split is kept."]
    if not published:
        notes.append(f"The file does not say what its labels 0 to {count - 1} mean.")
    return Dataset(
        name=path.stem,
        root=path,
        records=tuple(records),
        labels=names,
        task=task,
        reader=reader,
        notes=tuple(notes),
        origin=read_origin(path.parent, path.stem),
    )


def _not_medmnist(path: Path, arrays: Mapping[str, Any]) -> DataError:
    return DataError(
        f"{path} is not a MedMNIST file: it holds {', '.join(arrays) or 'nothing'}.",
        "Expected train_images and train_labels (likewise val_ and test_), or for ECGs X, y and fs.",
    )


class MedMnistReader:
    """Reader of a MedMNIST .npz file, or of a folder that holds exactly one and no image files."""

    name = "medmnist"

    def recognises(self, path: Path, options: ReadOptions) -> bool:
        """Tell whether path is an .npz file, or a folder with one and without images."""
        if path.is_file():
            return path.suffix.lower() == ".npz"
        return bool(npz_files(path)) and not options.table and not walk(path).images

    def read(self, path: Path, options: ReadOptions) -> Dataset:
        """Read the data set.

        Raises
        ------
        DataError
            Where options name what such a file has not, the folder holds several, or the file is another.
        """
        for flag in ("labels", "patient", "split", "image", "table"):
            if getattr(options, flag):
                raise DataError(
                    f"--{flag} names a column or a table, but {path} is MedMNIST and has none.", "Leave it out."
                )
        if path.is_file():
            return read_medmnist(path, self.name)
        found = npz_files(path)
        if len(found) > 1:
            raise DataError(
                f"{path} holds several data sets: {', '.join(file.name for file in found)}.",
                f"Name one, such as {found[0]}.",
            )
        dataset = read_medmnist(found[0], self.name)
        beside = walk(path).skipped
        rest = {reason: [file for file in files if file != found[0].name] for reason, files in beside.items()}
        return replace(dataset, skipped=merge_reasons(rest))


MEDMNIST = MedMnistReader()
