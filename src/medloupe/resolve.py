"""From what a person types to a model: a name in the store, name@version, an .onnx file, or a shipped one."""

from __future__ import annotations

from pathlib import Path

from medloupe.errors import StoreError
from medloupe.model import Model


def find_model(reference: str) -> Model:
    """The model of that name, name@version or file. A model in the store goes before a shipped one of the same name.

    Raises StoreError, ModelFileError or BackboneError.
    """
    if reference.endswith(".onnx") or Path(reference).is_file():
        from medloupe.modelfile import load

        return load(Path(reference))
    if reference == "auto":
        raise StoreError(
            "Choosing the model by itself (`auto`) is not available yet.", "Name a model; `medloupe models list`."
        )
    from medloupe import starter
    from medloupe.names import parse_reference
    from medloupe.store import Store

    name, version = parse_reference(reference)
    store = Store.open()
    if name in starter.NAMES and version is None and not store.has(name):
        return starter.load(name)
    return store.get(name, version)
