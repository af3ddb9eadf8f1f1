"""Put a shipped detector together as the one file that answers, when it is first used.

Of a detector the package holds its own part alone, beside the shared network; the file that runs is made of both, at
the size at which the detector looks, and kept under the home folder.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from medloupe.embed.backbone import Backbone
from medloupe.embed.maps import resize_card, resize_network
from medloupe.errors import StoreError
from medloupe.model.bundle import Model
from medloupe.modelfile.parts import head_bytes
from medloupe.utils.files import sha256_of, write_atomically
from medloupe.version import __version__


def require_shared_network(model: Model, network: Backbone) -> None:
    """Raise StoreError where a detector's file holds another network than this one, whose weights would be lost."""
    import onnx
    from onnx import numpy_helper

    held = onnx.load(model.backbone.path, load_external_data=False).graph.initializer
    own = {t.name: t for t in held}
    for tensor in onnx.load(network.path, load_external_data=False).graph.initializer:
        mine = own.get(tensor.name)
        if mine is not None and not np.array_equal(numpy_helper.to_array(mine), numpy_helper.to_array(tensor)):
            raise StoreError(
                f"{model.name} has a network of its own; only detectors on the network that comes with the package are"
                " shipped.",
                "Train it without --backbone.",
            )


def write_whole(model: Model, network: Backbone, folder: Path) -> Model:
    """Give a detector as one file, which is written unless it lies there whole.

    Parameters
    ----------
    model : Model
        A detector without a file of its own; its card says at which size it looks.
    network : Backbone
        The shared network, at its own size.
    folder : Path
        Where the file is kept.

    Raises
    ------
    StoreError
        The file cannot be written.
    """
    size = int(model.card["backbone"]["input_size"])
    text = json.dumps(dict(model.card), sort_keys=True)
    parts = head_bytes(model.head, model.novelty, None, model.detector, model.sight)
    key = hashlib.sha256(f"{__version__} {network.sha256} {text}".encode() + parts).hexdigest()[:32]
    sized = Backbone(card=resize_card(network.card, size), path=network.path, sha256=network.sha256)
    path = _find_whole(folder, key)
    if path is None:
        try:
            path = _build(replace(model, backbone=sized), folder, key, size)
        except OSError as e:
            raise StoreError(
                f"{folder} cannot be written: {e.strerror or e}.", "Choose another place with --home or MEDLOUPE_HOME."
            ) from e
    return replace(model, backbone=replace(sized, path=path, sha256=sha256_of(path)), onnx=path)


def _find_whole(folder: Path, key: str) -> Path | None:
    """Find the file of that key, if it was written before and is what it was: its name ends with its own hash."""
    for path in folder.glob(f"{key}-*.onnx"):
        if sha256_of(path).startswith(path.stem.rpartition("-")[2]):
            return path
    return None


def _build(model: Model, folder: Path, key: str, size: int) -> Path:
    import onnx

    from medloupe.modelfile.writer import build

    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=f".{secrets.token_hex(4)}-") as temporary:
        resized = Path(temporary) / "network.onnx"
        resized.write_bytes(
            resize_network(onnx.load(model.backbone.path, load_external_data=False), size).SerializeToString()
        )
        whole = build(replace(model, backbone=replace(model.backbone, path=resized))).SerializeToString(
            deterministic=True
        )
    path = folder / f"{key}-{hashlib.sha256(whole).hexdigest()[:32]}.onnx"
    write_atomically(path, whole)
    return path
