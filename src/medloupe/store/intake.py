"""Take a model file from elsewhere into the store."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from medloupe.graphs.optimised import ensure_optimised
from medloupe.model.bundle import Model
from medloupe.store.models import Store
from medloupe.store.names import check_name


def add_file(file: Path, *, name: str | None = None, actor: str = "local", store: Store | None = None) -> Model:
    """Check a model file as medloupe.modelfile.reader.load does and add it as the next version of a name.

    A file on an installed backbone is kept as that backbone and its own head, any other as it is. It brings no report
    and no predictions to compare it by.

    Parameters
    ----------
    file
        On disk.
    name
        Of the model (default: its card's).
    actor
        Who does so, for the audit log.
    store
        Default: the one under the home folder in force.

    Raises
    ------
    ModelFileError
        The file is damaged, foreign or unsafe.
    StoreError
        The store cannot take it.
    """
    from medloupe.modelfile.card import read_bytes
    from medloupe.modelfile.reader import load
    from medloupe.modelfile.writer import write_onnx

    data = read_bytes(file)
    with TemporaryDirectory(prefix="medloupe-") as folder:
        own = Path(folder) / file.name  # what was checked and what is kept must be the same bytes
        own.write_bytes(data)
        model = load(own)
        if name is not None:
            model = replace(model, card={**model.card, "name": name})
        check_name(model.name)

        def write_files(into: Path, made: Model) -> None:
            write_onnx(made, into / "model.onnx")  # with its name and version here in its card

        store = store or Store.open()
        if model.backbone.path == own:  # kept as it is: no server is to optimise it at the promotion, while people wait
            ensure_optimised(own, hashlib.sha256(data).hexdigest(), store.home / "cache" / "graphs")
        return store.add(model, write_files=write_files, actor=actor)
