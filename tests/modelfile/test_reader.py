import json
import os
import pickle
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import several
import tiny
import tinyecg
from badmodels import (
    Change,
    changed,
    conditional,
    constant_bomb,
    custom_domain,
    custom_operator,
    cycle,
    external_attribute,
    external_initialiser,
    function,
    huge_claim,
    many_nodes,
    negative_claim,
    no_nodes,
    not_a_number,
    overflowing_claim,
    slow_product,
    tile_bomb,
    weight,
    wrong_type,
)
from medloupe.embed.modalities import generate_examples
from medloupe.embed.samples import generate_images
from medloupe.errors import ModelFileError, NotOurModelError, UnsafeModelError
from medloupe.graphs import check
from medloupe.graphs.session import open_session, run
from medloupe.modelfile import card as filecard
from medloupe.modelfile import reader, writer
from medloupe.modelfile.card import read_card
from places import GOLDEN

GOLDEN_FILE = GOLDEN / "tiny-v1.onnx"


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("valid")
    writer.write_onnx(tiny.model(folder), folder / "m.onnx")
    return (folder / "m.onnx").read_bytes()


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# ---------------------------------------------------------------------- sound files


def test_golden_file_still_answers_the_same() -> None:
    recorded = json.loads(GOLDEN_FILE.with_suffix(".json").read_text(encoding="utf-8"))
    model = reader.load(GOLDEN_FILE)
    (p,) = run(open_session(GOLDEN_FILE), ["probabilities"], generate_images(tiny.SIZE))
    assert list(model.labels) == recorded["labels"]
    np.testing.assert_allclose(p, recorded["probabilities"], atol=1e-5)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_loading_gives_back_what_was_saved(tmp_path: Path, task: str) -> None:
    model = tiny.model(tmp_path, task)
    writer.write_onnx(model, tmp_path / "m.onnx")
    loaded = reader.load(tmp_path / "m.onnx")
    np.testing.assert_array_equal(loaded.head.weight, model.head.weight)
    np.testing.assert_array_equal(loaded.head.bias, model.head.bias)
    assert (loaded.head.task, loaded.labels, loaded.version) == (task, tuple(tiny.LABELS), 3)
    assert loaded.onnx == loaded.backbone.path == tmp_path / "m.onnx"
    assert loaded.backbone.card == model.backbone.card
    images = generate_images(tiny.SIZE)
    (embedding,) = run(open_session(loaded.backbone.path), ["embedding"], images)
    (p,) = run(open_session(tmp_path / "m.onnx"), ["probabilities"], images)
    np.testing.assert_allclose(loaded.head.probabilities(embedding), p, atol=1e-6)


def test_two_heads_on_one_backbone_share_its_hash(tmp_path: Path) -> None:
    model = tiny.model(tmp_path)
    other = replace(model, head=replace(model.head, weight=model.head.weight * 2))
    hashes = {reader.load(m.save(tmp_path / "m.onnx").onnx or "").backbone.sha256 for m in (model, other)}
    assert len(hashes) == 1


def test_card_alone_needs_neither_onnx_nor_onnxruntime() -> None:
    script = f"""
        import sys
        from medloupe.modelfile.card import read_card
        assert read_card({str(GOLDEN_FILE)!r})["name"] == "tiny"
        assert not {{"onnx", "onnxruntime"}} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
    assert read_card(GOLDEN_FILE) == reader.load(GOLDEN_FILE).card


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_link_to_the_file_is_followed(tmp_path: Path, valid: bytes) -> None:
    (tmp_path / "link.onnx").symlink_to(written(tmp_path / "m.onnx", valid))
    assert reader.load(tmp_path / "link.onnx").name == "tiny"


# --------------------------------------------------------------- not a model file


def refused(path: Path, error: type[ModelFileError], said: str) -> None:
    """Both ways of reading refuse; load with exactly that class and a message that names the file and says why."""
    with pytest.raises(error) as caught:
        reader.load(path)
    assert type(caught.value) is error
    assert said in str(caught.value)
    assert path.name in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"\x00" * 1000, "damaged"),
        (b"Dear model,\nplease classify.\n", "is text"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "Keras"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(100), "TensorFlow Lite"),
        (b"\x00\x00\x00\x00ORTM" + bytes(100), "ONNX Runtime's own format"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00" + b'{"a":{"b":[]}}  ' * 3, "safetensors"),
        (pickle.dumps({"weight": [1.0] * 50}), "never unpickles"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", "never unpickles"),
        (np.random.default_rng(0).bytes(5000), "damaged"),
        (b"\xff" * 5000, "damaged"),
    ],
    ids="empty zeros text h5 tflite ort lfs safetensors pickle torch-old noise ones".split(),  # noqa: SIM905
)
def test_other_formats_are_named(tmp_path: Path, data: bytes, said: str) -> None:
    refused(written(tmp_path / "m.onnx", data), ModelFileError, said)


@pytest.mark.parametrize(
    ("member", "said"),
    [("archive/data.pkl", "a PyTorch checkpoint; medloupe never unpickles"), ("config.json", "Keras"), ("a", "a zip")],
)
def test_archives_are_named(tmp_path: Path, member: str, said: str) -> None:
    with zipfile.ZipFile(tmp_path / "m.onnx", "w") as z:
        z.writestr(member, "x")
    refused(tmp_path / "m.onnx", ModelFileError, said)


def test_missing_file_offers_the_nearest(tmp_path: Path, valid: bytes) -> None:
    written(tmp_path / "pneumonia.onnx", valid)
    refused(tmp_path / "pnuemonia.onnx", ModelFileError, "Did you mean 'pneumonia.onnx'?")
    refused(tmp_path / "zzz.onnx", ModelFileError, "There are: pneumonia.onnx")
    refused(tmp_path / "no" / "m.onnx", ModelFileError, "Check the path")
    refused(tmp_path, ModelFileError, "Name the file in it: pneumonia.onnx")


@pytest.mark.skipif(os.name == "nt", reason="needs named pipes")
def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.onnx")
    refused(tmp_path / "m.onnx", ModelFileError, "a device or pipe")


def test_too_large_is_told_before_reading(tmp_path: Path) -> None:
    with (tmp_path / "m.onnx").open("wb") as f:
        f.truncate(filecard.MAX_BYTES + 1)
    refused(tmp_path / "m.onnx", UnsafeModelError, "512")


def test_broken_off_anywhere(tmp_path: Path, valid: bytes) -> None:
    for end in sorted({*range(1, len(valid), 37), *range(len(valid) - 40, len(valid))}):
        with pytest.raises(ModelFileError):
            reader.load(written(tmp_path / "m.onnx", valid[:end]))


# ----------------------------------------------------------------- hostile graphs


def loop(graph: onnx.ModelProto) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])],
        "forever",
        [helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("go", 9, [])],
        [helper.make_tensor_value_info("on", 9, [])],
    )
    graph.graph.node.append(helper.make_node("Loop", ["", "yes"], [], body=body))


def training(graph: onnx.ModelProto) -> None:
    graph.training_info.add()


def texts(graph: onnx.ModelProto) -> None:
    graph.graph.initializer.append(TensorProto(name="t", data_type=TensorProto.STRING, dims=[1], string_data=[b"x"]))


def sparse(graph: onnx.ModelProto) -> None:
    graph.graph.sparse_initializer.add(dims=[10**9])


def many_constants(graph: onnx.ModelProto) -> None:
    graph.graph.initializer.append(numpy_helper.from_array(np.array([2**20]), "big"))
    graph.graph.node.extend(helper.make_node("ConstantOfShape", ["big"], [f"bomb{i}"]) for i in range(50))


def expand_bomb(graph: onnx.ModelProto) -> None:
    graph.graph.initializer.append(numpy_helper.from_array(np.array([2**40, 1, 1, 1, 1]), "shape"))
    graph.graph.node.append(helper.make_node("Expand", ["map", "shape"], ["bomb"]))


def wide_chain(graph: onnx.ModelProto) -> None:
    graph.graph.initializer.append(numpy_helper.from_array(np.array([1, 2**17, 1, 1]), "times"))
    graph.graph.node.append(helper.make_node("Tile", ["map", "times"], ["t0"]))
    graph.graph.node.extend(helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"]) for i in range(40))


def slow_pools(graph: onnx.ModelProto) -> None:
    shape = {"kernel_shape": [401, 401], "pads": [200] * 4}
    graph.graph.node.extend(helper.make_node("AveragePool", ["nchw"], [f"p{i}"], **shape) for i in range(400))


def slow_filter(graph: onnx.ModelProto) -> None:
    """A filter made of nothing, as large as the padded image."""
    graph.graph.initializer.append(numpy_helper.from_array(np.array([8, 3, 701, 701]), "kernel"))
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros(4_000_000, np.int8), "ballast"))
    graph.graph.node.append(helper.make_node("ConstantOfShape", ["kernel"], ["filter"]))
    graph.graph.node.append(helper.make_node("Conv", ["nchw", "filter"], ["slow"], pads=[500] * 4))


def depends_on_values(graph: onnx.ModelProto) -> None:
    graph.graph.node.append(helper.make_node("NonZero", ["map"], ["where"]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (external_initialiser, "refers to another file for the tensor 'head.weight'"),
        (external_attribute, "refers to another file"),
        (conditional, "control flow (If)"),
        (loop, "control flow (Loop)"),
        (custom_operator, "custom operator com.evil.Transpose"),
        (custom_domain, "custom operators of 'com.microsoft'"),
        (function, "functions of its own ('Mine')"),
        (training, "training graph"),
        (huge_claim, "claims the shape"),
        (negative_claim, "claims the shape"),
        (overflowing_claim, "claims the shape"),
        (texts, "neither numbers nor truth values"),
        (sparse, "sparse tensors"),
        (many_nodes, "more than 200,000 parts"),
        (constant_bomb, "1,073,741,824 numbers at once"),
        (many_constants, "52,4"),
        (tile_bomb, "134,217,728 numbers at once"),
        (expand_bomb, "numbers at once"),
        (wide_chain, "numbers for one image"),
        (slow_product, "multiplications for one image"),
        (slow_pools, "multiplications for one image"),
        (slow_filter, "multiplications for one image"),
        (depends_on_values, "operator 'NonZero'"),
    ],
)
def test_harmful_graphs_are_refused_quickly(tmp_path: Path, valid: bytes, change: Change, said: str) -> None:
    path = written(tmp_path / "m.onnx", changed(valid, change))
    started = time.process_time()
    refused(path, UnsafeModelError, said)
    assert time.process_time() - started < 2


def unsorted(graph: onnx.ModelProto) -> None:
    nodes = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend(reversed(nodes))


def twice_assigned(graph: onnx.ModelProto) -> None:
    graph.graph.node.append(helper.make_node("Relu", ["top"], ["map"]))


def twice_stored(graph: onnx.ModelProto) -> None:
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros((4, 8), np.float32), "head.weight"))


def twice_stored_large(graph: onnx.ModelProto) -> None:
    """The checker sees large tensors as inputs, which a small one of that name would legally replace."""
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros(2000, np.float32), "head.weight"))


def stored_input(graph: onnx.ModelProto) -> None:
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 32, 32, 3), np.uint8), "image"))


def unknown_standard(graph: onnx.ModelProto) -> None:
    graph.opset_import[0].version = 9999


def overflow(graph: onnx.ModelProto) -> None:
    weight(graph, "w2_f16").raw_data = np.full(128, np.inf, np.float16).tobytes()


def decoy_head(graph: onnx.ModelProto) -> None:
    real = weight(graph, "head.weight")
    graph.graph.initializer.append(TensorProto(name="real", data_type=1, dims=real.dims, raw_data=real.raw_data))
    for node in graph.graph.node:
        node.input[:] = ["real" if name == "head.weight" else name for name in node.input]
    real.raw_data = bytes(len(real.raw_data))


def one_image_only(graph: onnx.ModelProto) -> None:
    graph.graph.initializer.append(numpy_helper.from_array(np.array([1, 8]), "one"))
    graph.graph.node.insert(len(graph.graph.node) - 4, helper.make_node("Reshape", ["embedding", "one"], ["single"]))
    next(n for n in graph.graph.node if n.op_type == "Gemm").input[0] = "single"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cycle, "not a valid ONNX graph"),
        (unsorted, "not a valid ONNX graph"),
        (twice_assigned, "not a valid ONNX graph"),
        (twice_stored, "two of its tensors have one name"),
        (twice_stored_large, "two of its tensors have one name"),
        (stored_input, "two of its tensors have one name"),
        (unknown_standard, "not a valid ONNX graph"),
        (wrong_type, "not a valid ONNX graph"),
        (no_nodes, "damaged"),
        (not_a_number, "no numbers"),
        (overflow, "no numbers"),
        (decoy_head, "contradicts itself"),
        (one_image_only, "The model failed"),
    ],
)
def test_broken_graphs_are_refused(tmp_path: Path, valid: bytes, change: Change, said: str) -> None:
    path = written(tmp_path / "m.onnx", changed(valid, change))
    with pytest.raises(ModelFileError) as caught:
        reader.load(path)
    assert type(caught.value) is ModelFileError
    assert said in str(caught.value)


def test_every_listed_operator_exists_in_the_standard() -> None:
    known = {s.name for s in onnx.defs.get_all_schemas() if s.domain == ""}
    assert known >= check.OPERATORS


# --------------------------------------------------------------- not one of ours


def output(graph: onnx.ModelProto, name: str) -> onnx.ValueInfoProto:
    return next(v for v in graph.graph.output if v.name == name)


def other_names(graph: onnx.ModelProto) -> None:
    for node in graph.graph.node:
        node.output[:] = ["scores" if name == "probabilities" else name for name in node.output]
    output(graph, "probabilities").name = "scores"


def other_order(graph: onnx.ModelProto) -> None:
    values = list(graph.graph.output)
    del graph.graph.output[:]
    graph.graph.output.extend(reversed(values))


def second_input(graph: onnx.ModelProto) -> None:
    graph.graph.input.append(helper.make_tensor_value_info("clinical", 1, ["N", 3]))


def fixed_batch(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def no_head(graph: onnx.ModelProto) -> None:
    weight(graph, "head.bias").name = "bias"
    for node in graph.graph.node:
        node.input[:] = ["bias" if name == "head.bias" else name for name in node.input]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_names, "gives scores, logits, embedding, heatmap"),
        (other_order, "gives heatmap, embedding, logits, probabilities"),
        (second_input, "takes image, clinical"),
        (fixed_batch, "'image' is declared as uint8 [1, 32, 32, 3]"),
        (no_head, "no tensor 'head.bias'"),
    ],
)
def test_other_inputs_and_outputs(tmp_path: Path, valid: bytes, change: Change, said: str) -> None:
    refused(written(tmp_path / "m.onnx", changed(valid, change)), NotOurModelError, said)


def with_card(data: bytes, change: Callable[[dict[str, Any]], object] | str, version: str = "1") -> bytes:
    graph = onnx.ModelProto.FromString(data)
    text = change
    if not isinstance(change, str):
        card = json.loads(graph.metadata_props[0].value)
        change(card)
        text = json.dumps(card)
    del graph.metadata_props[:]
    graph.metadata_props.add(key="medloupe.card", value=text)
    graph.metadata_props.add(key="medloupe.format", value=version)
    return graph.SerializeToString()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("not JSON", "is not JSON"),
        ("[]", "is not an object"),
        ("[" * 100_000, "is not JSON"),
        ('{"name": NaN}', "is not JSON"),
        ('{"name": 1e999}', "is not JSON"),
        ('{"name": "\\ud800"}', "is not JSON"),
        ('{"version": 1' + "0" * 5000 + "}", "is not JSON"),
        (lambda c: c.pop("task"), "has no task"),
        (lambda c: [c.pop("labels"), c.pop("backbone")], "has no labels, backbone"),
        (lambda c: c.update(name=" "), "no proper name"),
        (lambda c: c.update(task="regression"), "task 'regression'"),
        (lambda c: c.update(labels="abcd"), "labels, each a text"),
        (lambda c: c.update(labels=["a", "b", "c", ""]), "labels, each a text"),
        (lambda c: c.update(labels=["a", "b", "c", 4]), "labels, each a text"),
        (lambda c: c.update(labels=["a", "b", "c", "d\n"]), "labels, each a text"),
        (lambda c: c.update(labels=["a", "b", "c", "b"]), "label 'b' twice"),
        (lambda c: c.update(labels=["a", "b"], per_label=[]), "by its card (2 labels"),
        (lambda c: c.update(version="x"), "version"),
        (lambda c: c.update(backbone="lite0"), "does not describe its backbone"),
        (lambda c: c["backbone"].pop("sha256"), "'sha256' of its backbone"),
        (lambda c: c["backbone"].update(input_size=True), "'input_size' of its backbone"),
        (lambda c: c["backbone"].update(places=[4]), "'places' of its backbone"),
        (lambda c: c["backbone"].update(dimension=9, levels=[9]), "'embedding' is declared as"),
        (lambda c: c["backbone"].update(dimension=9), "'levels' of its backbone"),
        (lambda c: c["backbone"].update(name="../../secret.onnx"), "names a path"),
        (lambda c: c.update(per_label=[{"label": "normal"}]), "row in per_label"),
        (lambda c: c.update(per_label=[{"label": [], "operating_point": {}}]), "row in per_label"),
        (lambda c: c["per_label"][0]["operating_point"].update(threshold="low"), "that is no number"),
    ],
)
def test_cards_that_cannot_be_relied_on(tmp_path: Path, valid: bytes, change: Any, said: str) -> None:
    refused(written(tmp_path / "m.onnx", with_card(valid, change)), NotOurModelError, said)


def test_any_other_classifier_is_told_what_is_missing(tmp_path: Path, valid: bytes) -> None:
    path = written(tmp_path / "m.onnx", changed(valid, lambda g: g.ClearField("metadata_props")))
    refused(path, NotOurModelError, "no medloupe.format and no medloupe.card")
    refused(path, NotOurModelError, "exported by medloupe")
    with pytest.raises(NotOurModelError):
        read_card(path)


def test_two_cards_are_one_too_many(tmp_path: Path, valid: bytes) -> None:
    def again(graph: onnx.ModelProto) -> None:
        graph.metadata_props.append(graph.metadata_props[0])

    refused(written(tmp_path / "m.onnx", changed(valid, again)), NotOurModelError, "more than one card")


def test_newer_format_asks_for_an_upgrade(tmp_path: Path, valid: bytes) -> None:
    path = written(tmp_path / "m.onnx", with_card(valid, lambda c: None, "2"))
    refused(path, ModelFileError, "made by a newer medloupe")
    refused(path, ModelFileError, "pip install -U medloupe")
    for version in ("", "one", "-1", "0", "9" * 5000):
        with pytest.raises(ModelFileError):
            reader.load(written(tmp_path / "m.onnx", with_card(valid, lambda c: None, version)))


def test_card_too_large(tmp_path: Path, valid: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filecard, "MAX_CARD", 1000)
    path = written(tmp_path / "m.onnx", with_card(valid, lambda c: c.update(notes="x" * 1000)))
    refused(path, UnsafeModelError, "the limit is 1,000")


# ------------------------------------------------------------------------- fuzz

FUZZ = """
    import sys, warnings
    from pathlib import Path
    import numpy as np
    from medloupe.embed.samples import generate_images
    from medloupe.errors import ModelFileError
    from medloupe.graphs.session import open_session, run
    from medloupe.modelfile import reader
    from medloupe.modelfile.layout import OUTPUTS

    warnings.simplefilter("error")
    data, path = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
    images = generate_images(32)
    loaded = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        bad = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(len(bad)))
            if seed % 4 == 3:
                del bad[at : at + int(rng.integers(1, 9))]
            else:
                bad[at] = int(rng.integers(256))
        path.write_bytes(bad)
        try:
            model = reader.load(path)
        except ModelFileError as error:
            assert error.hint, error
            continue
        assert all(np.isfinite(a).all() for a in run(open_session(path), OUTPUTS, images)), seed
        assert np.isfinite(model.head.weight).all() and len(model.labels) == len(model.head.bias)
        loaded += 1
    print("loaded", loaded)
"""


def test_random_damage_is_refused_or_harmless(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FUZZ), str(GOLDEN_FILE), str(tmp_path / "m.onnx")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("loaded ")


# ------------------------------------------------------------------ what is read beside the picture


@pytest.fixture(scope="module")
def richer(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file whose model reads three columns and notes."""
    folder = tmp_path_factory.mktemp("richer")
    writer.write_onnx(several.model(folder), folder / "m.onnx")
    return (folder / "m.onnx").read_bytes()


def prop(graph: onnx.ModelProto, key: str) -> onnx.StringStringEntryProto:
    return next(p for p in graph.metadata_props if p.key == key)


def test_extras_come_back_as_they_were_saved(tmp_path: Path, richer: bytes) -> None:
    loaded = reader.load(written(tmp_path / "m.onnx", richer))
    expected = several.model(tmp_path)
    assert loaded.extras is not None and expected.extras is not None
    assert loaded.extras.names == ("age", "sex", "place", "history")
    assert loaded.extras.columns == expected.extras.columns
    np.testing.assert_array_equal(loaded.extras.weight, expected.extras.weight)
    ours, theirs = (e.vectors(several.GIVEN) for e in (loaded.extras, expected.extras))
    np.testing.assert_array_equal(np.concatenate(ours), np.concatenate(theirs))
    loaded.save(tmp_path / "again.onnx")
    feeds = {"image": generate_images(tiny.SIZE), "clinical": np.tile(ours[0], (3, 1))}
    answers = [run(open_session(tmp_path / n), ["logits"], feeds)[0] for n in ("m.onnx", "again.onnx")]
    np.testing.assert_array_equal(answers[0], answers[1])


def test_what_reads_the_picture_alone_has_no_extras(tmp_path: Path, valid: bytes) -> None:
    assert reader.load(written(tmp_path / "m.onnx", valid)).extras is None


def extras_changed(change: Callable[[dict[str, Any]], object]) -> Change:
    def apply(graph: onnx.ModelProto) -> None:
        entry = prop(graph, filecard.EXTRAS_KEY)
        said = json.loads(entry.value)
        change(said)
        entry.value = json.dumps(said)

    return apply


def without_extras(graph: onnx.ModelProto) -> None:
    graph.metadata_props.remove(prop(graph, filecard.EXTRAS_KEY))


def other_weight(graph: onnx.ModelProto) -> None:
    tensor = weight(graph, "clinical.weight")
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + 0.01, tensor.name))


def left_out(graph: onnx.ModelProto) -> None:
    """The notes are an input, but add nothing."""
    node = next(n for n in graph.graph.node if n.output[0] == "logits")
    node.input.remove("notes.logits")


def into_the_embedding(graph: onnx.ModelProto) -> None:
    """The clinical columns change what is said to be the picture's embedding."""
    nodes = graph.graph.node
    made = next(n for n in nodes if n.output[0] == "map")
    made.output[0] = "clean"
    sizes = [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in (("axes_", [1, 2, 3]), ("last", [1]))]
    graph.graph.initializer.extend(sizes)
    at = list(nodes).index(made) + 1
    nodes.insert(at, helper.make_node("ReduceSum", ["clinical", "last"], ["one"], keepdims=0))
    nodes.insert(at + 1, helper.make_node("Unsqueeze", ["one", "axes_"], ["four"]))
    nodes.insert(at + 2, helper.make_node("Add", ["clean", "four"], ["map"]))


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (without_extras, NotOurModelError, "takes image, clinical, notes and gives"),
        (extras_changed(lambda e: e.update(format=9)), NotOurModelError, "format 9"),
        (extras_changed(lambda e: e.update(labels=3)), NotOurModelError, "medloupe.extras cannot be used"),
        (extras_changed(lambda e: e.update(notes=None)), NotOurModelError, "the weights do not fit the inputs"),
        (extras_changed(lambda e: e["columns"][0].update(name="\ud800")), NotOurModelError, "surrogates not allowed"),
        (extras_changed(lambda e: e["columns"][0].update(name="sex")), NotOurModelError, "two of one name"),
        (extras_changed(lambda e: e.update(more="x" * filecard.MAX_EXTRAS)), UnsafeModelError, "limit is 8,388,608"),
        (other_weight, ModelFileError, "'clinical.weight' is not what its medloupe.extras says"),
        (left_out, ModelFileError, "contradicts itself"),
        (into_the_embedding, ModelFileError, "depend on more than the picture"),
    ],
)
def test_extras_that_do_not_fit_are_refused(
    tmp_path: Path, richer: bytes, change: Change, error: type[ModelFileError], said: str
) -> None:
    data = changed(richer, change)
    with pytest.raises(error) as caught:
        reader.load(written(tmp_path / "m.onnx", data))
    assert type(caught.value) is error
    assert said in str(caught.value)
    assert caught.value.hint


# ------------------------------------------------------------------ ECGs


def test_a_model_of_ecgs_is_read(tmp_path: Path) -> None:
    model = tinyecg.model(tmp_path)
    writer.write_onnx(model, tmp_path / "m.onnx")
    loaded = reader.load(tmp_path / "m.onnx")
    assert loaded.backbone.card == model.backbone.card
    assert loaded.backbone.card.leads == ("MLII", "V1")
    np.testing.assert_array_equal(loaded.head.weight, model.head.weight)
    examples = generate_examples(model.backbone.card)
    assert (examples.dtype, examples.shape) == (np.float32, (3, 2, 64))
    assert not examples[2].any() and examples[0].any() and 0.5 < np.abs(examples[1]).max() < 5


def test_a_long_recurrence_is_counted_before_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.write_onnx(tinyecg.model(tmp_path), tmp_path / "m.onnx")
    steps = tinyecg.PLACES * 3 * tinyecg.D * (4 + tinyecg.D)
    monkeypatch.setattr(check, "MAX_WORK", steps)
    refused(tmp_path / "m.onnx", UnsafeModelError, "multiplications for one image")
