"""Read the MedMNIST collection: one .npz file a set, 28 to 224 pixels.

Yang et al., "MedMNIST v2", Scientific Data 10:41, 2023.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np

from medloupe.data.originals.outline import Outline
from medloupe.data.readers.base import ReadOptions
from medloupe.data.readers.medmnist import MEDMNIST
from medloupe.data.records import Dataset

SETS = (
    *("pathmnist", "chestmnist", "dermamnist", "octmnist", "pneumoniamnist", "retinamnist", "breastmnist"),
    *("bloodmnist", "tissuemnist", "organamnist", "organcmnist", "organsmnist"),
)
SIDES = (28, 64, 128, 224)  # pixels, as published


class NpzLayout:
    """A file of the collection by its name, whose arrays have the published sides; or a folder with one such file."""

    def accepts(self, options: ReadOptions) -> bool:
        """Tell whether no option was told: there is nothing to tell of such a set."""
        return not any((options.labels, options.patient, options.split, options.image, options.table, options.folders))

    def recognises(self, seen: Outline) -> bool:
        """Tell whether the file, or the one in the folder, is of the collection."""
        if seen.images or seen.tables:
            return False
        files = [seen.root] if seen.root.is_file() else sorted(seen.root.glob("*.npz"))
        return len(files) == 1 and _is_published(files[0])

    def read(self, root: Path, options: ReadOptions) -> Dataset:
        """Read the data set."""
        return MEDMNIST.read(root, options)


def _is_published(path: Path) -> bool:
    """Tell whether a file is of the collection, from its name and the header of one array."""
    if path.suffix.lower() != ".npz" or re.sub(r"_\d+$", "", path.stem.lower()) not in SETS:
        return False
    try:
        with zipfile.ZipFile(path) as archive, archive.open("train_images.npy") as file:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, _ = header(file)
    except (zipfile.BadZipFile, OSError, KeyError, ValueError, EOFError, RuntimeError, NotImplementedError):
        return False
    return len(shape) in (3, 4) and shape[1] == shape[2] and shape[1] in SIDES
