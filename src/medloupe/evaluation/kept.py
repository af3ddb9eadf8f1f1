"""Keep what was judged afterwards in a model's card: a new version with the same weights."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from medloupe.data.contents import read_content
from medloupe.data.records import Record
from medloupe.errors import StoreError
from medloupe.graphs.optimised import ensure_optimised
from medloupe.imaging import decode
from medloupe.metrics.evidence import FILE
from medloupe.model.bundle import Model
from medloupe.modelfile import reader
from medloupe.modelfile.writer import write_onnx
from medloupe.store.models import Store
from medloupe.training.adapt.storage import is_stored
from medloupe.utils.files import sha256_of

_REPORT = "report.html"
_CHECKED = 8  # pictures on which the new file must answer as the model does


def keep_entry(
    model: Model, name: str, entry: Mapping[str, Any], records: Sequence[Record], *, store: Store | None = None
) -> Model:
    """Write the model with one entry more in its card as the next version of its name.

    Weights, report and the predictions it was judged by stay what they are. The first version of a name answers at
    once, others when they are promoted.

    Parameters
    ----------
    model : Model
        Of the store, or shipped.
    name : str
        Of the entry.
    entry : mapping
        What it holds.
    records : sequence of Record
        Pictures on which the new file is checked before it is kept.
    store : Store, optional
        The one of home where left out.

    Raises
    ------
    StoreError
        The model is a file of its own, or the store cannot be written.
    """
    store = store or Store.open()
    stored = is_stored(store, model)
    if not stored and (model.version is not None or model.onnx is not None):
        raise StoreError(
            f"{model.name} is a file of its own, and files are not changed.",
            "Take it into the store first (medloupe models add FILE), then judge it by its name.",
        )
    made = replace(model, card={**model.card, name: dict(entry)})
    size = model.backbone.card.input_size
    pixels = np.stack([decode.load(_read(record), size) for record in records[:_CHECKED]])
    before = store.folder(model.name, model.version) if stored else None

    def write_files(folder: Path, new: Model) -> None:
        write_onnx(new, folder / "model.onnx", check_images=pixels)
        for file in (_REPORT, FILE):
            if before is not None and (before / file).is_file():
                shutil.copyfile(before / file, folder / file)

    if model.onnx is None or model.backbone.path != model.onnx:
        return store.add(made, write_files=write_files)
    with TemporaryDirectory(prefix="medloupe-") as folder:
        file = Path(folder) / "model.onnx"
        write_onnx(made, file)
        ensure_optimised(file, sha256_of(file), store.home / "cache" / "graphs")
        return store.add(reader.load(file), write_files=write_files)


def _read(record: Record) -> bytes | np.ndarray:
    source = record.picture
    return source if isinstance(source, np.ndarray) else read_content(source)
