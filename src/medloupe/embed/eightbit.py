"""Find or make the 8-bit networks of a model: the one that is shipped, or one for its own kind of picture.

The shipped one was calibrated on open pictures of several kinds (scripts/build_int8.py). All check-ups that keep their
accuracy on it share it, so that many of them still cost one network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medloupe.embed.backbone import Backbone
from medloupe.embed.registry import STARTER, backbone
from medloupe.settings import home
from medloupe.utils.files import sha256_of, write_atomically

if TYPE_CHECKING:
    from onnx import ModelProto

    from medloupe.embed.tail import Tail

SHIPPED = STARTER / "efficientnet-lite0-int8.onnx"
SUFFIX = "-int8"


def find_shipped_network(network: Backbone) -> Backbone | None:
    """Find the shipped 8-bit network of a backbone, if it is the default one."""
    usual = backbone()
    if network.sha256 != usual.sha256 or not SHIPPED.is_file():
        return None
    return _name_network(network, SHIPPED, hash_shipped_network())


def hash_shipped_network() -> str:
    """Hash the shipped 8-bit network's file: sha256 in hex."""
    return sha256_of(SHIPPED)


def quantise_backbone(network: Backbone, images: Iterable[np.ndarray]) -> Backbone:
    """Write a backbone in 8 bits and keep it in the cache.

    Parameters
    ----------
    network : Backbone
        The float network.
    images : iterable of np.ndarray
        uint8 (S, S, 3) that it is calibrated on.

    Raises
    ------
    ValueError
        Where the network has nothing to write in 8 bits.
    OSError
        When the cache cannot be written.
    """
    import onnx

    from medloupe.graphs.quantise import quantise

    data = onnx.load(network.path, load_external_data=False)
    return _name_network(network, *_keep_in_cache(quantise(data, ({"image": image[None]} for image in images))))


def quantise_tail(tail: Tail, eight: Backbone, images: Sequence[np.ndarray]) -> Tail:
    """Write a tail in 8 bits, calibrated on what the 8-bit backbone gives it, and keep it in the cache.

    Parameters
    ----------
    tail : Tail
        The float tail.
    eight : Backbone
        The 8-bit backbone below it.
    images : sequence of np.ndarray
        uint8 (S, S, 3) that it is calibrated on.

    Raises
    ------
    ValueError
        Where the tail has nothing to write in 8 bits.
    OSError
        When the cache cannot be written.
    """
    import onnx

    from medloupe.graphs.quantise import quantise
    from medloupe.graphs.session import open_session, run

    opened = open_session(eight.path)
    data = onnx.load(tail.path, load_external_data=False)
    path, sha256 = _keep_in_cache(quantise(data, ({"cut": run(opened, ["cut"], image[None])[0]} for image in images)))
    return replace(tail, path=path, sha256=sha256)


def compose_network(network: Backbone, tail: Tail) -> Backbone:
    """Compose backbone and tail to one network, which gives the tuned `map` and `embedding`, and keep it in the cache.

    What the tail takes the place of is not computed any more.
    """
    import onnx

    whole = onnx.load(network.path, load_external_data=False)
    path, sha256 = _keep_in_cache(join_graphs(whole, onnx.load(tail.path, load_external_data=False)))
    return Backbone(card=network.card, path=path, sha256=sha256)


def join_graphs(whole: ModelProto, tail: ModelProto) -> ModelProto:
    """Join a backbone's graph and a tail's: its map begins with the tail's.

    Raises
    ------
    ValueError
        Where the map is not made of parts, or nothing makes `cut`.
    """
    from onnx import ModelProto, helper
    from onnx.compose import add_prefix

    from medloupe.embed.tail import find_upper_part

    parts = find_upper_part(whole).levels
    out = ModelProto()
    out.CopyFrom(whole)
    del out.graph.node[:]
    added = add_prefix(tail, "tail.", rename_inputs=False)  # merge_models would only put one graph behind the other
    for node in whole.graph.node:
        if node.output[0] == "map":
            below = [i for i in node.input if i not in parts]
            out.graph.node.extend(added.graph.node)
            out.graph.node.append(helper.make_node("Concat", ["tail.map", *below], ["map"], name="map", axis=1))
        else:
            out.graph.node.append(node)
    if all(node.output[0] != "cut" for node in out.graph.node):
        raise ValueError("The backbone's graph does not make `cut`.")
    _order_cut_first(out)
    out.graph.initializer.extend(added.graph.initializer)
    return out


def _order_cut_first(model: ModelProto) -> None:
    """Put `cut`, which may be made after what now reads it, right behind what it is made of."""
    nodes = list(model.graph.node)
    made = next(n for n in nodes if n.output[0] == "cut")
    nodes.remove(made)
    at = next(i for i, n in enumerate(nodes) if made.input[0] in n.output)
    nodes.insert(at + 1, made)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _name_network(network: Backbone, path: Path, sha256: str) -> Backbone:
    return Backbone(card=replace(network.card, name=network.card.name + SUFFIX), path=path, sha256=sha256)


def _keep_in_cache(model: ModelProto) -> tuple[Path, str]:
    """Write a network into the cache, where it is not yet; its path and its hash."""
    data = model.SerializeToString(deterministic=True)
    sha256 = hashlib.sha256(data).hexdigest()
    path = home() / "cache" / "networks" / f"{sha256[:32]}.onnx"
    if not path.is_file() or sha256_of(path) != sha256:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    return path, sha256
