import json
import os
import stat
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import several
import tiny
import tinyecg
import tunable
from medloupe.embed import tail as tails
from medloupe.embed.network import Network
from medloupe.embed.registry import backbone
from medloupe.errors import BackboneError, ModelFileError, ParityError
from medloupe.graphs.session import open_session, run
from medloupe.model.bundle import Model
from medloupe.model.head import Head, probabilities
from medloupe.modelfile import reader, writer
from medloupe.modelfile.layout import OUTPUTS
from medloupe.training.compress.run import to_half_precision
from othertails import tuned

IMAGES = np.random.default_rng(3).integers(0, 256, (11, tiny.SIZE, tiny.SIZE, 3)).astype(np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    (tmp_path / "backbone").mkdir()
    return tiny.model(tmp_path / "backbone")


def left_over(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name != "backbone")


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_file_answers_as_the_training_path_does(tmp_path: Path, task: str) -> None:
    model = tiny.model(tmp_path, task)
    apart = writer.write_onnx(model, tmp_path / "m.onnx", check_images=IMAGES)
    p, logits, embedding, heatmap = run(open_session(tmp_path / "m.onnx"), OUTPUTS, IMAGES)
    trained_on, maps = run(open_session(model.backbone.path), ["embedding", "map"], IMAGES)
    assert apart <= 1e-6
    np.testing.assert_allclose(p, model.head.probabilities(trained_on), atol=1e-6)
    np.testing.assert_allclose(logits, model.head.logits(trained_on), atol=1e-5)
    np.testing.assert_allclose(embedding, trained_on, atol=1e-6)
    np.testing.assert_allclose(heatmap, np.einsum("kd,ndhw->nkhw", model.head.weight, maps), atol=1e-5)
    np.testing.assert_allclose(heatmap.mean((2, 3)) + model.head.bias, logits, atol=1e-5)
    if task == "multiclass":
        np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)


def test_graph_is_the_contract_and_nothing_else(tmp_path: Path, model: Model) -> None:
    writer.write_onnx(model, tmp_path / "m.onnx")
    graph = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(graph, full_check=True)
    assert [v.name for v in graph.graph.input] == ["image"]
    assert [v.name for v in graph.graph.output] == ["probabilities", "logits", "embedding", "heatmap"]
    assert all(v.type.tensor_type.shape.dim[0].dim_param == "N" for v in graph.graph.output)
    assert (graph.ir_version, graph.opset_import[0].version, graph.producer_name) == (8, 17, "medloupe")
    assert "cut" not in {name for node in graph.graph.node for name in node.output}
    weights = {t.name: t for t in graph.graph.initializer}
    assert weights["head.weight"].data_type == onnx.TensorProto.FLOAT
    assert weights["w1_f16"].data_type == onnx.TensorProto.FLOAT16


def test_card_travels_with_unicode_figures_and_backbone(tmp_path: Path, model: Model) -> None:
    figure = {"value": np.float32(0.5), "low": float("nan"), "high": np.float64(1)}
    card = {**model.card, "metrics": {"auc": figure}, "each": np.arange(2)}
    writer.write_onnx(replace(model, card=card), tmp_path / "m.onnx")
    props = {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert props["medloupe.format"] == "1"
    assert "क्षय रोग" in props["medloupe.card"]
    read = json.loads(props["medloupe.card"])
    assert list(read) == sorted(read)
    assert read["metrics"] == {"auc": {"value": 0.5, "low": None, "high": 1.0}}
    assert read["each"] == [0, 1]
    assert read["backbone"]["sha256"] == model.backbone.sha256
    assert "file" not in read["backbone"]


def test_the_same_model_gives_the_same_bytes(tmp_path: Path, model: Model) -> None:
    writer.write_onnx(model, tmp_path / "a.onnx")
    backwards = dict(reversed(list(model.card.items())))
    writer.write_onnx(replace(model, card=backwards), tmp_path / "b.onnx", check_images=IMAGES)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_a_tail_is_merged_into_the_file(tmp_path: Path, task: str) -> None:
    """One file answers as backbone, tail and head did; the map that the heads read is the tuned one."""
    base = tunable.backbone(tmp_path / "backbone")
    graph = tuned(tails.extract_upper_part(tails.load_graph(base)), spread=0.3)
    tail = tails.write_tail(graph, tmp_path / "tails")
    rng = np.random.default_rng(0)
    head = Head(
        weight=rng.normal(0, 1, (3, base.card.dimension)).astype(np.float32),
        bias=rng.normal(0, 1, 3).astype(np.float32),
        task=task,  # pyright: ignore[reportArgumentType]
    )
    card = {"name": "x", "task": task, "labels": ["a", "b", "c"], "tail": tail.as_json()}
    model = Model(backbone=base, head=head, card=card, tail=tail)
    assert writer.write_onnx(model, tmp_path / "m.onnx", check_images=IMAGES) <= 1e-5
    names = {t.name for t in onnx.load(tmp_path / "m.onnx").graph.initializer}
    assert len(names) == len({t.name for t in tails.load_graph(base).graph.initializer}) + 2 + len(
        names & {"head.kernel", "head.kernel_shape"}
    )  # no weights twice
    p, logits, embedding, heatmap = run(open_session(tmp_path / "m.onnx"), OUTPUTS, IMAGES)
    seen = Network(base, tail).see(IMAGES, maps=True)
    assert seen.map is not None
    np.testing.assert_allclose(embedding, seen.embedding, atol=1e-5)
    np.testing.assert_allclose(p, head.probabilities(seen.embedding), atol=1e-5)
    np.testing.assert_allclose(heatmap, np.einsum("kd,ndhw->nkhw", head.weight, seen.map), atol=1e-4)
    np.testing.assert_allclose(heatmap.mean((2, 3)) + head.bias, logits, atol=1e-4)
    untuned = Network(base).see(IMAGES).embedding
    assert np.abs(head.probabilities(untuned) - p).max() > 0.01
    loaded = reader.load(tmp_path / "m.onnx")
    assert loaded.tail is None and loaded.backbone.sha256 != base.sha256  # its network is its own
    loaded.save(tmp_path / "again.onnx")
    (again,) = run(open_session(tmp_path / "again.onnx"), ["probabilities"], IMAGES)
    np.testing.assert_array_equal(again, p)


def test_a_tail_of_another_backbone_is_refused_and_leaves_nothing(tmp_path: Path, model: Model) -> None:
    """Nothing of it fits in: the file would answer as the untuned network."""
    base = tunable.backbone(tmp_path / "backbone", lambda nodes, weights: None)
    graph = tails.extract_upper_part(tails.load_graph(base))
    for tensor in graph.graph.initializer:
        tensor.name = f"other_{tensor.name}"
    for node in graph.graph.node:
        node.input[:] = [
            f"other_{i}" if f"other_{i}" in {t.name for t in graph.graph.initializer} else i for i in node.input
        ]
    tail = tails.write_tail(tuned(graph, spread=0.5), tmp_path / "backbone" / "tails")
    head = Head(weight=np.ones((2, tunable.D), np.float32), bias=np.zeros(2, np.float32), task="multilabel")
    head.weight[1] = -1
    card = {"name": "x", "task": "multilabel", "labels": ["a", "b"], "tail": tail.as_json()}
    with pytest.raises(ParityError, match="differ"):
        writer.write_onnx(Model(backbone=base, head=head, card=card, tail=tail), tmp_path / "m.onnx")
    assert left_over(tmp_path) == []


def test_a_loaded_model_can_be_saved_again(tmp_path: Path, model: Model) -> None:
    first = reader.load(model.save(tmp_path / "a.onnx").onnx or "")
    second = reader.load(first.save(tmp_path / "b.onnx").onnx or "")
    second.save(tmp_path / "c.onnx")
    assert (tmp_path / "b.onnx").read_bytes() == (tmp_path / "c.onnx").read_bytes()
    answers = [run(open_session(tmp_path / f), ["probabilities"], IMAGES)[0] for f in ("a.onnx", "c.onnx")]
    np.testing.assert_array_equal(*answers)


def test_shipped_backbone_comes_back_as_the_installed_one(tmp_path: Path) -> None:
    base = backbone()
    rng = np.random.default_rng(0)
    head = Head(
        weight=rng.normal(0, 0.05, (3, base.card.dimension)).astype(np.float32),
        bias=np.zeros(3, np.float32),
        task="multiclass",
    )
    model = Model(backbone=base, head=head, card={"name": "x", "task": "multiclass", "labels": ["a", "b", "c"]})
    assert writer.write_onnx(model, tmp_path / "m.onnx") <= 1e-4
    loaded = reader.load(tmp_path / "m.onnx")
    assert loaded.backbone == base
    loaded.save(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "m.onnx").read_bytes()

    # The same claim over other weights is not believed: its embeddings would be cached as the installed backbone's.
    forged = onnx.load(tmp_path / "m.onnx")
    weight = next(t for t in forged.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16)
    weight.raw_data = bytes(len(weight.raw_data))
    (tmp_path / "forged.onnx").write_bytes(forged.SerializeToString())
    assert reader.load(tmp_path / "forged.onnx").backbone.sha256 != base.sha256


# ------------------------------------------------------------ nothing but whole


def test_disagreement_is_refused_and_leaves_nothing(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Head, "logits", lambda self, e: np.zeros((len(e), 4), np.float32))
    with pytest.raises(ParityError, match="differ by"):
        writer.write_onnx(model, tmp_path / "m.onnx")
    assert left_over(tmp_path) == []


def test_what_is_no_number_never_agrees(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Head, "logits", lambda self, e: np.full((len(e), 4), np.nan, np.float32))
    with pytest.raises(ParityError, match="inf"):
        writer.write_onnx(model, tmp_path / "m.onnx")
    assert left_over(tmp_path) == []


def test_embedding_must_be_the_mean_of_the_map(tmp_path: Path, model: Model) -> None:
    graph = onnx.load(model.backbone.path)
    graph.graph.node[-1].op_type = "ReduceMax"
    model.backbone.path.write_bytes(graph.SerializeToString())
    with pytest.raises(ParityError, match="do not add up"):
        writer.write_onnx(model, tmp_path / "m.onnx")
    assert left_over(tmp_path) == []


def test_a_file_that_was_there_survives_a_failure(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write_onnx(model, tmp_path / "m.onnx")
    before = (tmp_path / "m.onnx").read_bytes()
    monkeypatch.setattr(writer, "PARITY", -1.0)
    with pytest.raises(ParityError):
        writer.write_onnx(replace(model, card={**model.card, "name": "other"}), tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == before
    assert left_over(tmp_path) == ["m.onnx"]


@pytest.mark.skipif(os.name == "nt", reason="needs resource limits")
def test_full_disk_leaves_nothing(tmp_path: Path) -> None:
    script = """
        import resource, sys
        from pathlib import Path
        import tiny
        from medloupe.errors import ModelFileError
        from medloupe.modelfile.writer import write_onnx
        folder = Path(sys.argv[1])
        (folder / "backbone").mkdir()
        model = tiny.model(folder / "backbone")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_onnx(model, folder / "m.onnx")
        except ModelFileError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(tiny.__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(tmp_path / "m.onnx") in done.stdout
    assert "make room for 0.0 MB" in done.stdout
    assert left_over(tmp_path) == []


def test_missing_folder_says_what_to_create(tmp_path: Path, model: Model) -> None:
    with pytest.raises(ModelFileError, match=r"Create the folder .*nowhere"):
        writer.write_onnx(model, tmp_path / "nowhere" / "m.onnx")
    with pytest.raises(ModelFileError, match="is a folder"):
        writer.write_onnx(model, tmp_path)
    assert left_over(tmp_path) == []


def test_failed_rename_is_told_and_cleaned_up(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(ModelFileError, match="Choose a folder you may write to"):
        writer.write_onnx(model, tmp_path / "m.onnx")
    assert left_over(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_others_may_read_the_file_as_the_umask_says(tmp_path: Path, model: Model) -> None:
    before = os.umask(0o022)
    try:
        writer.write_onnx(model, tmp_path / "m.onnx")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "m.onnx").stat().st_mode) == 0o644


# ------------------------------------------------------------- parts that do not fit


def test_head_for_another_backbone(tmp_path: Path, model: Model) -> None:
    head = replace(model.head, weight=np.zeros((4, 5), np.float32))
    with pytest.raises(ModelFileError, match=r"\(4, 5\).*need \(4, 8\)"):
        writer.write_onnx(replace(model, head=head), tmp_path / "m.onnx")


def test_head_that_is_no_number(tmp_path: Path, model: Model) -> None:
    head = replace(model.head, bias=np.full(4, np.nan, np.float32))
    with pytest.raises(ModelFileError, match="no numbers"):
        writer.write_onnx(replace(model, head=head), tmp_path / "m.onnx")
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": ["a", "b", "c", "a"]}, "label 'a' twice"),
        ({"name": ""}, "no proper name"),
        ({"task": "multilabel"}, "but the head is multiclass"),
    ],
)
def test_card_that_could_not_be_read_back(tmp_path: Path, model: Model, change: dict, said: str) -> None:
    with pytest.raises(ModelFileError, match=said):
        writer.write_onnx(replace(model, card={**model.card, **change}), tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "images",
    [IMAGES[:0], IMAGES.astype(np.float32), IMAGES[0], IMAGES[:, :16]],
    ids=["none", "float", "single", "small"],
)
def test_check_images_of_another_shape(tmp_path: Path, model: Model, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"must be uint8 \(n, 32, 32, 3\)"):
        writer.write_onnx(model, tmp_path / "m.onnx", check_images=images)


def rename(graph: onnx.ModelProto, old: str, new: str) -> None:
    for node in graph.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == old:
                    names[i] = new


@pytest.mark.parametrize(
    ("old", "new", "said"), [("map", "other", "does not compute map"), ("top", "logits", "names logits")]
)
def test_backbone_outside_the_contract(tmp_path: Path, model: Model, old: str, new: str, said: str) -> None:
    graph = onnx.load(model.backbone.path)
    rename(graph, old, new)
    model.backbone.path.write_bytes(graph.SerializeToString())
    with pytest.raises(BackboneError, match=said):
        writer.write_onnx(model, tmp_path / "m.onnx")


def test_backbone_with_an_operator_that_is_not_listed(tmp_path: Path, model: Model) -> None:
    graph = onnx.load(model.backbone.path)
    graph.graph.node[-2].op_type = "Hardmax"
    model.backbone.path.write_bytes(graph.SerializeToString())
    with pytest.raises(ModelFileError, match=r"m\.onnx uses the operator 'Hardmax'"):
        writer.write_onnx(model, tmp_path / "m.onnx")
    assert left_over(tmp_path) == []


def test_missing_backbone(tmp_path: Path, model: Model) -> None:
    model.backbone.path.unlink()
    with pytest.raises(BackboneError, match="cannot be read"):
        writer.write_onnx(model, tmp_path / "m.onnx")


def test_advice_names_what_to_do() -> None:
    for number, said in ((28, "make room"), (30, "may write to"), (2, "Create the folder"), (5, "Check the folder")):
        assert said in writer._advice(OSError(number, ""), Path("/x/m.onnx"), 10)


# ------------------------------------------------------------------ more inputs than a picture


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
@pytest.mark.parametrize("parts", [{}, {"notes": False}, {"clinical": False}])
def test_extras_add_to_the_logits_and_nothing_else(tmp_path: Path, task: str, parts: dict[str, bool]) -> None:
    """With all of them missing, the answer is that of the picture alone; each input's part is its numbers times its
    weights."""
    model = several.model(tmp_path, task, **parts)
    assert model.extras is not None
    assert writer.write_onnx(model, tmp_path / "m.onnx", check_images=IMAGES) <= 1e-6
    graph = onnx.load(tmp_path / "m.onnx").graph
    onnx.checker.check_model(onnx.load(tmp_path / "m.onnx"), full_check=True)
    f, m = model.extras.clinical_width, model.extras.notes_width
    shapes = [("image", [tiny.SIZE, tiny.SIZE, 3]), ("clinical", [f] * bool(f)), ("notes", [m] * bool(m))]
    wanted = [(name, shape) for name, shape in shapes if shape]
    assert [(v.name, [d.dim_value for d in v.type.tensor_type.shape.dim][1:]) for v in graph.input] == wanted
    writer.write_onnx(replace(model, extras=None), tmp_path / "alone.onnx")
    opened, n = open_session(tmp_path / "m.onnx"), len(IMAGES)
    alone = run(open_session(tmp_path / "alone.onnx"), OUTPUTS, IMAGES)
    for ours, theirs in zip(run(opened, OUTPUTS, IMAGES), alone, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    rng = np.random.default_rng(0)
    clinical, notes = rng.normal(size=(n, f)).astype(np.float32), rng.normal(size=(n, m)).astype(np.float32)
    feed = {"image": IMAGES, **({"clinical": clinical} if f else {}), **({"notes": notes} if m else {})}
    p, logits, embedding, heatmap = run(opened, OUTPUTS, feed)
    weight = model.extras.weight
    added = clinical @ weight[:, :f].T + notes @ weight[:, f:].T
    np.testing.assert_allclose(logits, alone[1] + added, atol=1e-4)
    np.testing.assert_allclose(p, probabilities(logits, task), atol=1e-6)
    assert np.abs(p - alone[0]).max() > 0.05
    np.testing.assert_array_equal(embedding, alone[2])
    np.testing.assert_array_equal(heatmap, alone[3])


def test_extras_of_other_labels_are_refused(tmp_path: Path, model: Model) -> None:
    with pytest.raises(ModelFileError, match="The extras weigh 3 labels; the model has 4"):
        writer.write_onnx(replace(model, extras=several.extras(3)), tmp_path / "m.onnx")
    assert left_over(tmp_path) == []


def test_halved_weights_leave_extras_as_they_are(tmp_path: Path) -> None:
    model = to_half_precision(several.model(tmp_path))
    assert writer.write_onnx(model, tmp_path / "m.onnx", tolerance=writer.PARITY_SMALL) <= 0.01
    loaded = reader.load(tmp_path / "m.onnx").extras
    assert loaded is not None and model.extras is not None
    np.testing.assert_array_equal(loaded.weight, model.extras.weight)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_a_model_of_ecgs_takes_signals(tmp_path: Path, task: str) -> None:
    model = tinyecg.model(tmp_path, task)
    model = replace(model, extras=several.extras(4, notes=False))
    assert model.extras is not None
    x = tinyecg.signals(11)
    assert writer.write_onnx(model, tmp_path / "m.onnx", check_images=x) <= 1e-6
    graph = onnx.load(tmp_path / "m.onnx").graph
    assert [v.name for v in graph.input] == ["signal", "clinical"]
    p, logits, embedding, heatmap = run(open_session(tmp_path / "m.onnx"), OUTPUTS, x)
    (trained_on,) = run(open_session(model.backbone.path), ["embedding"], x)
    np.testing.assert_allclose(embedding, trained_on, atol=1e-6)
    np.testing.assert_allclose(p, model.head.probabilities(trained_on), atol=1e-6)
    np.testing.assert_allclose(heatmap.mean((2, 3)) + model.head.bias, logits, atol=1e-5)
    assert heatmap.shape == (11, 4, 1, tinyecg.PLACES)
    with pytest.raises(ValueError, match=r"must be float32 \(n, 2, 64\)"):
        writer.write_onnx(model, tmp_path / "n.onnx", check_images=x.astype(np.float64))
