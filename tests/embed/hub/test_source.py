"""Networks of transformers as backbones: made here with random weights, saved, exported, trained on, served."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import transformers

import generated
import medloupe
from live import running
from medloupe.embed import tail
from medloupe.embed.backbone import Backbone
from medloupe.embed.hub import pretrained, source, vision
from medloupe.embed.hub.pixels import read_pixel_format
from medloupe.embed.registry import backbone
from medloupe.errors import BackboneError, FinetuneError
from medloupe.evaluation.external import validate
from medloupe.graphs import check
from medloupe.graphs.session import open_session, run
from medloupe.inference.pictures import Predictor
from medloupe.store.models import Store

SIDE = 64
MEAN, DEVIATION = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
CARD = "---\nlanguage: en\nlicense: apache-2.0\ntags:\n- vision\n---\n# A network\n\nlicense: mit\n"
_VIT: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SIDE}
CONFIGS: dict[str, Any] = {
    "convnext": transformers.ConvNextConfig(hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 1, 1], image_size=SIDE),
    "vit": transformers.ViTConfig(**_VIT, intermediate_size=64, patch_size=16),
    # trained on larger pictures than it is given: its positions are interpolated
    "dinov2": transformers.Dinov2Config(**{**_VIT, "image_size": 112}, patch_size=16),
    "regnet": transformers.RegNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], groups_width=8
    ),
}


def save(folder: Path, config: Any, **processor: Any) -> Path:
    torch.manual_seed(0)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    stated = {"image_mean": MEAN, "image_std": DEVIATION, "size": {"shortest_edge": SIDE}, **processor}
    (folder / "preprocessor_config.json").write_text(json.dumps(stated))
    (folder / "README.md").write_text(CARD)
    return folder


@pytest.fixture(scope="module")
def _networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("networks")
    for name, config in CONFIGS.items():
        save(root / name, config)
    return root


@pytest.fixture
def networks(_networks: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of networks, one a kind; the home in force keeps what was exported for all tests of this file."""
    monkeypatch.setenv("MEDLOUPE_HOME", str(_networks / "home"))
    return _networks


def answers(b: Backbone, images: np.ndarray) -> list[np.ndarray]:
    return run(open_session(b.path), ["map", "embedding", "cut"], images)


def expected(folder: Path, images: np.ndarray) -> torch.Tensor:
    """What transformers itself makes of the images."""
    network = transformers.AutoModel.from_pretrained(folder).eval()
    x = (images.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    with torch.no_grad():
        return network(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).last_hidden_state


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_backbone_is_the_network(kind: str, networks: Path) -> None:
    b = backbone(networks / kind)
    card = b.card
    assert (card.name, card.input_size, card.licence) == (kind, SIDE, "apache-2.0")
    assert card.source == f"transformers network of the folder {kind}"
    assert card.dimension == sum(card.levels)
    for n in (1, 2, 5):  # any number of pictures
        images = np.random.default_rng(n).integers(0, 256, (n, SIDE, SIDE, 3), np.uint8)
        feature_map, embedding, cut = answers(b, images)
        want = expected(networks / kind, images)
        assert feature_map.shape == (n, card.dimension, *card.places)
        np.testing.assert_array_equal(cut, feature_map)
        assert card.cut == cut.shape[1:]
        np.testing.assert_allclose(embedding, feature_map.mean((2, 3)), atol=1e-5)
        if want.ndim == 4:
            np.testing.assert_allclose(feature_map, want, atol=1e-4)
        else:  # a class token, then 4 × 4 patches row by row
            d = want.shape[2]
            assert card.levels == (d, d)
            for y, x in np.ndindex(4, 4):
                np.testing.assert_allclose(feature_map[:, :d, y, x], want[:, 1 + 4 * y + x], atol=1e-4)
                np.testing.assert_allclose(feature_map[:, d:, y, x], want[:, 0], atol=1e-4)


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_file_is_plain_onnx_that_tells_nothing_of_this_machine(kind: str, networks: Path) -> None:
    b = backbone(networks / kind)
    data = b.path.read_bytes()
    model = check.parse(data, kind)
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", vision.OPSET)]
    assert [v.name for v in model.graph.input] == ["image"]
    assert not tail.has_upper_part(model)
    for told in (str(networks), "site-packages", "stack_trace", str(Path.home())):
        assert told.encode() not in data


def test_made_once_and_again_when_the_folder_changes(networks: Path, tmp_path: Path, monkeypatch: Any) -> None:
    first = backbone(networks / "vit")
    folder = tmp_path / "vit"
    shutil.copytree(networks / "vit", folder)
    monkeypatch.setattr(vision, "export_backbone", lambda *a: pytest.fail("exported again"))
    assert backbone(str(folder)) == first
    made: list[str] = []

    def noted(folder: Path, given: Any, called: str) -> vision.ExportedBackbone:
        made.append(called)
        return vision.ExportedBackbone(data=b"x", dimension=1, levels=(1,), places=(1, 1))

    monkeypatch.setattr(vision, "export_backbone", noted)
    (folder / "README.md").write_text(CARD.replace("apache-2.0", "other\nlicense_name: my-terms"))
    assert backbone(folder).card.licence == "my-terms"
    shutil.copy(networks / "dinov2" / "model.safetensors", folder)
    backbone(folder)
    (folder / "preprocessor_config.json").unlink()
    assert backbone(folder).card.source.endswith("ImageNet's is assumed")
    assert made == ["vit"] * 3


def test_trained_exported_evaluated_and_served_like_any_other(
    networks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = generated.folders(tmp_path / "tissue", 16)
    ran = generated.run(capsys, "train", data, "--name", "tissue", "--backbone", networks / "vit", "--json")
    assert ran.code == 0, ran.err
    model = Store.open().get("tissue")
    assert model.card["backbone"]["name"] == "vit"
    assert model.card["backbone"]["licence"] == "apache-2.0"
    assert model.tail is None
    assert "vit" in model.report
    model.save(tmp_path / "out.onnx")
    loaded = medloupe.load(tmp_path / "out.onnx")
    picture = data / "sick" / "003.png"
    want = Predictor(model).predict(picture, heatmap=True)
    got = Predictor(loaded).predict(picture, heatmap=True)
    assert dict(got.probabilities) == pytest.approx(dict(want.probabilities), abs=1e-4)
    assert got.heatmap is not None
    other = medloupe.read(generated.folders(tmp_path / "other", 6, first=500))
    judged, of_file = (validate(m, other).as_json() for m in (model, loaded))
    assert judged["metrics"]["auc"]["value"] is not None
    assert of_file["metrics"]["auc"] == judged["metrics"]["auc"]
    half = generated.run(capsys, "export", "tissue", tmp_path / "half.onnx", "--precision", "fp16", "--json")
    assert half.code == 0, half.err
    assert (tmp_path / "half.onnx").stat().st_size < 0.75 * (tmp_path / "out.onnx").stat().st_size
    with running(networks / "home") as server:
        answer = server.ask("tissue", picture.read_bytes(), heatmap="true").json()
    assert answer["probabilities"] == pytest.approx(dict(want.probabilities), abs=1e-4)


def test_it_has_no_tail_to_tune_and_says_so(networks: Path, tmp_path: Path) -> None:
    data = medloupe.read(generated.folders(tmp_path / "tissue", 10))
    with pytest.raises(FinetuneError, match="no trainable stages above its cut"):
        medloupe.train(data, name="tissue", backbone=networks / "convnext", finetune="tail")


# What cannot serve


@pytest.mark.parametrize("others", [[], ["pytorch_model.bin"], ["tf_model.h5", "pytorch_model.bin"]])
def test_pickled_weights_are_not_read(others: list[str], networks: Path, tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(networks / "vit", folder)
    (folder / "model.safetensors").unlink()
    for name in others:
        torch.save({}, folder / name)
    with pytest.raises(BackboneError, match=r"old holds no model\.safetensors") as error:
        backbone(folder)
    assert ("pytorch_model.bin is not read" in error.value.message) == ("pytorch_model.bin" in others)
    assert not list(home.rglob("*.onnx"))


def spoil(folder: Path, name: str, change: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "nonesuch"}, "transformers cannot load"),
        ({"auto_map": {"AutoModel": "evil.Evil"}, "model_type": "evil"}, "transformers cannot load"),
        ({"num_hidden_layers": 3}, "do not fit its config.json"),
        ({"hidden_size": 64}, "cannot load|do not fit"),
        ({"patch_size": 32}, "cannot load|do not fit"),
    ],
)
def test_a_config_that_is_not_its_own(change: Any, said: str, networks: Path, tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "odd"
    shutil.copytree(networks / "vit", folder)
    (folder / "evil.py").write_text(
        f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\nclass Evil: pass\n"
    )
    spoil(folder, "config.json", change)
    with pytest.raises(BackboneError, match=said) as error:
        backbone(folder)
    assert "odd" in error.value.message
    assert not (tmp_path / "ran").exists()
    assert not list(home.rglob("*.onnx"))


def test_pictures_of_another_size_than_its_positions(networks: Path, tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "odd"
    shutil.copytree(networks / "vit", folder)
    spoil(folder, "preprocessor_config.json", {"size": 96})
    with pytest.raises(BackboneError, match="feature map of pictures of 96 pixels"):
        backbone(folder)


def test_a_network_of_texts(tmp_path: Path, home: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    with pytest.raises(BackboneError, match="feature map") as error:
        backbone(save(tmp_path / "bert", config))
    assert "vision network" in error.value.hint


@pytest.mark.parametrize("damage", [b"", b"junk", b"\xff" * 100])
@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_damaged_files(name: str, damage: bytes, networks: Path, tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(networks / "vit", folder)
    (folder / name).write_bytes(damage)
    with pytest.raises(BackboneError, match="broken") as error:
        backbone(folder)
    assert error.value.hint


def test_a_folder_that_is_no_network(tmp_path: Path, home: Path) -> None:
    with pytest.raises(BackboneError, match=r"holds no config\.json"):
        backbone(tmp_path)
    with pytest.raises(BackboneError, match="There is no backbone") as error:
        backbone(tmp_path / "missing")
    assert "hub:OWNER/NAME" in error.value.message


def test_an_export_that_answers_otherwise_is_refused(networks: Path, tmp_path: Path) -> None:
    """The file of one network held against another of the same kind."""
    torch.manual_seed(1)
    transformers.AutoModel.from_config(CONFIGS["vit"]).save_pretrained(tmp_path / "other")
    given = read_pixel_format({"size": SIDE, "image_mean": MEAN, "image_std": DEVIATION}, {}, "vit")
    data = backbone(networks / "vit").path.read_bytes()
    with torch.no_grad():
        module = vision._module(torch, pretrained.load_network(tmp_path / "other", "vit"), given, "vit")
        with pytest.raises(BackboneError, match="answers differently as ONNX"):
            vision._check(torch, data, module, SIDE, "vit")


def test_without_the_extra(networks: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, reference in (("transformers", str(networks / "vit")), ("huggingface_hub", "hub:a/b")):
        with monkeypatch.context() as context:
            context.setitem(sys.modules, module, None)
            with pytest.raises(BackboneError, match="not installed") as error:
                backbone(reference)
            assert error.value.hint == "Run: pip install 'medloupe[hub]'"


# By name


def closed_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def unreachable(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment in which nothing answers where the hub should be, and nothing was fetched before."""
    yield {
        **os.environ,
        "MEDLOUPE_HOME": str(tmp_path / "home"),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": f"http://127.0.0.1:{closed_port()}",
    }


@pytest.mark.parametrize("offline", ["0", "1"])
def test_a_hub_that_cannot_be_reached(offline: str, unreachable: dict[str, str], tmp_path: Path) -> None:
    data = generated.folders(tmp_path / "tissue", 3)
    done = subprocess.run(
        [sys.executable, "-m", "medloupe", "train", data, "--name", "x", "--backbone", "hub:owner/name"],
        env={**unreachable, "HF_HUB_OFFLINE": offline},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "medloupe: owner/name cannot be fetched: the Hugging Face hub cannot be reached" in done.stderr
    assert "copy them into a folder" in done.stderr


def test_what_was_fetched_before_needs_no_hub(networks: Path, unreachable: dict[str, str], tmp_path: Path) -> None:
    """A repository in the hub's cache, laid out as its client does."""
    at = tmp_path / "hf" / "hub" / "models--owner--vit"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (at / "refs").mkdir(parents=True)
    (at / "refs" / "main").write_text(commit)
    shutil.copytree(networks / "vit", at / "snapshots" / commit)
    ask = (
        "from medloupe.embed.hub import vision;"  # what exporting gives is seen above
        "made = vision.ExportedBackbone(data=b'x', dimension=1, levels=(1,), places=(1, 1));"
        "vision.export_backbone = lambda *a: made;"
        "from medloupe.embed.registry import backbone; b = backbone('hub:owner/vit');"
        "print(b.card.name, b.card.source, b.card.licence, sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask],
        env={**unreachable, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == f"vit|owner/vit on the Hugging Face hub, revision {commit[:12]}|apache-2.0\n", done.stderr


@pytest.mark.parametrize("name", ["", "a/b/c", "../../etc", "a b", "https://x.org/y", "@main"])
def test_what_names_no_repository(name: str, home: Path) -> None:
    with pytest.raises(BackboneError, match="names no repository"):
        backbone(f"hub:{name}")


@pytest.mark.parametrize(
    ("header", "licence"),
    [
        (CARD, "apache-2.0"),
        ("---\r\nlicense: 'mit'\r\n---\r\n", "mit"),
        ("---\nlicense: other\nlicense_name: terms of X\n---\n", "terms of X"),
        ("---\nlicense: other\n---\n", source.UNKNOWN),
        ("---\ntags:\n- license:mit\n---\n", source.UNKNOWN),
        ("license: mit\n", source.UNKNOWN),
        ("---\nlicense: a\x07b\n---\n", "ab"),
        ("", source.UNKNOWN),
    ],
)
def test_the_licence_of_a_model_card(header: str, licence: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(header.encode())
    assert source.read_licence(tmp_path) == licence


def test_without_a_model_card_the_licence_is_unknown(tmp_path: Path) -> None:
    assert source.read_licence(tmp_path) == source.UNKNOWN
