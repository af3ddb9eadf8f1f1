"""Tuned stages that are sent as differences: rebuilt to the last bit, in Python and in a browser."""

from __future__ import annotations

import base64
import hashlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from medloupe.ondevice.differences import find_differences, rebuild
from medloupe.serving.engine.checkup import CheckUp
from medloupe.starter.shipped import list_shipped, load_shipped

MOST_BYTES = 2.0e6  # packed, of a tail of 5.3 MB
_REBUILD = """async ([base, sent, told]) => {
  const {rebuild} = await import(`${location.origin}/checkup.js`);
  const {sha256} = await import(`${location.origin}/keeper.js`);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  return sha256(await rebuild(bytes(base), bytes(sent), told));
}"""
_HALVES = """async ([words, steps, size]) => {
  const {addSteps} = await import(`${location.origin}/half.js`), made = Uint16Array.from(words);
  addSteps(made, Int16Array.from(steps), size, new Int16Array(made.length));
  return [...made];
}"""


@pytest.fixture(scope="module", params=["breast", "breast-tissue"])  # the latter has a weight of -0
def tuned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CheckUp:
    if request.param not in list_shipped():
        pytest.skip("medloupe-research is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(tmp_path_factory.mktemp("home")))
        return CheckUp.of(load_shipped(request.param))


def test_a_tail_is_rebuilt_and_light(tuned: CheckUp) -> None:
    assert tuned.tail is not None
    found = find_differences(tuned.network, tuned.tail.path)
    assert found is not None
    own = tuned.tail.path.read_bytes()
    assert rebuild(tuned.network.read_bytes(), found) == own
    assert found.sha256 == hashlib.sha256(own).hexdigest() == tuned.tail.sha256
    assert len(found.data) < MOST_BYTES < 0.5 * len(zlib.compress(own, 6))


def test_a_browser_rebuilds_the_same(tuned: CheckUp, modules: Any) -> None:
    assert tuned.tail is not None
    found = find_differences(tuned.network, tuned.tail.path)
    assert found is not None
    sent = [base64.b64encode(data).decode() for data in (tuned.network.read_bytes(), found.data)]
    assert modules.page.evaluate(_REBUILD, [*sent, found.as_json()]) == found.sha256


def test_halves_are_rounded_as_numpy_does(modules: Any) -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(0, 65536, 4000).astype(np.uint16)
    words = words[np.isfinite(words.view(np.float16))]
    steps = rng.integers(-300, 300, words.size).astype(np.int16)
    for size in (2.0**-24, 3e-5, 0.0371, 1.7):
        size = float(np.float32(size))
        with np.errstate(over="ignore"):
            wanted = (words.view(np.float16).astype(float) + steps * size).astype(np.float16)
        made = np.array(modules.page.evaluate(_HALVES, [words.tolist(), steps.tolist(), size]), np.uint16)
        assert np.array_equal(made, wanted.view(np.uint16))


def test_another_network_has_no_differences(tuned: CheckUp, tmp_path: Path) -> None:
    assert tuned.tail is not None
    model = onnx.load(tuned.tail.path)
    names = {tensor.name for tensor in model.graph.initializer}
    for tensor in model.graph.initializer:
        tensor.name = f"other_{tensor.name}"
    for node in model.graph.node:
        node.input[:] = [f"other_{name}" if name in names else name for name in node.input]
    onnx.save(model, tmp_path / "other.onnx")
    assert find_differences(tuned.network, tmp_path / "other.onnx") is None
